"""Who beats whom, as tables; every one follows from `RESULTS/SUITE/DATASET/pairs.csv`, see `bench.analysis.pairs`."""

from __future__ import annotations

from collections.abc import Collection

import pandas as pd
from scipy.stats import friedmanchisquare

from bench.analysis.fitness import mark_of
from bench.analysis.pairs import critical_difference, models_of, verdicts
from bench.analysis.significance import ALPHA
from bench.conventions import PRIMARY_NAME
from bench.number_text import number, p_cell
from bench.reporting.markdown import table


def against_best(compared: pd.DataFrame, unfit: Collection[str] = ()) -> str | None:
    """Every model against the best one. None with fewer than two comparable models.

    Args:
        compared: Of `pairs`.
        unfit: Rows whose comparisons carry `UNFIT_MARK`.
    """
    if compared.empty:
        return None
    best = str(compared["first"].iloc[0])
    rows = [
        [
            row["second"],
            number(row["second_mean"]),
            f"{row['difference']:+.4f}",
            f"{row['low']:+.4f} .. {row['high']:+.4f}",
            f"{row['effect_size']:+.2f}",
            p_cell(row["p_value"]),
            p_cell(row["p_holm"]),
            ("yes" if row["p_holm"] < ALPHA else "no") + mark_of((best, row["second"]), unfit),
        ]
        for row in compared[compared["first"] == best].to_dict("records")
    ]
    headers = ["Model", PRIMARY_NAME, f"{best} is ahead by", "95 % interval", "Effect size", "p", "p (Holm)"]
    return table([*headers, "Significant"], rows)


def beats_table(compared: pd.DataFrame, unfit: Collection[str] = ()) -> str | None:
    """Who beats whom as a matrix: the row against each column. None with fewer than three models.

    Args:
        compared: Of `pairs`.
        unfit: Rows that carry `UNFIT_MARK`.
    """
    models = models_of(compared)
    if len(models) < 3:
        return None
    rows = []
    for place, model in enumerate(models, start=1):
        verdict = verdicts(compared, model)  # of the others against it
        cells = [
            " " if other == model else {1: "<", -1: ">", 0: "=", None: "?"}[verdict.get(other)] for other in models
        ]
        beaten, lost = (sum(value == wanted for value in verdict.values()) for wanted in (-1, 1))
        rows.append([f"{place}. {model}{mark_of([model], unfit)}", *cells, str(beaten), str(lost)])
    return table(["Model", *(str(place) for place in range(1, len(models) + 1)), "Beats", "Loses to"], rows)


def ranks_table(ranks: pd.DataFrame) -> str:
    """Mean ranks and those on each data set, with the tests in a sentence below."""
    datasets = [str(column) for column in ranks.columns[2:]]
    values = ranks[["rank", *datasets]].to_numpy()
    rows = [
        [model, number(row[0], 2), *(f"{rank:g}" for rank in row[1:])]
        for model, row in zip(ranks["model"], values, strict=True)
    ]
    gap = critical_difference(len(ranks), len(datasets))
    text = f"Critical difference of mean ranks: {gap:.2f} (Nemenyi, {ALPHA:g}, over {len(datasets)} data sets), "
    text += f"which holds for every two of the {len(ranks)} models at once."
    if len(ranks) > 2:
        p_value = float(friedmanchisquare(*ranks[datasets].to_numpy()).pvalue)
        text += f" That all models are alike has p {p_cell(p_value)} (Friedman)."
    if gap >= len(ranks) - 1:
        text += " So many models on so few data sets can't be told apart by their ranks."
    return f"{table(['Model', 'Mean rank', *datasets], rows)}\n\n{text}"
