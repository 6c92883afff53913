"""Who beats whom, as tables; every one follows from `RESULTS/SUITE/DATASET/pairs.csv`, see `bench.analysis.pairs`."""

from __future__ import annotations

import pandas as pd
from scipy.stats import friedmanchisquare

from bench.analysis.fitness import mark_of, unfit_rows
from bench.analysis.frames import DatasetFrames
from bench.analysis.pairs import rows_of, verdicts
from bench.analysis.significance import ALPHA
from bench.conventions import PRIMARY_NAME
from bench.number_text import p_cell
from bench.reporting.kinds import COUNT, DIFFERENCE, INTERVAL, P_VALUE, VERDICT, Interval, decimals, numbers
from bench.reporting.table import Column, Flagged, Table

_SIGNS = {1: "<", -1: ">", 0: "=", None: "?"}
"""Of the row against a column, by the verdict on the column's row against it."""


def against_best(frames: DatasetFrames) -> Table | None:
    """Every row against the best one. None with fewer than two comparable rows."""
    compared, unfit = frames.pairs, unfit_rows(frames.leaderboard)
    if compared.empty:
        return None
    best = str(compared["first"].iloc[0])
    columns = (
        Column("Model"),
        Column(PRIMARY_NAME, decimals()),
        Column(f"{best} is ahead by", DIFFERENCE),
        Column("95 % interval", INTERVAL),
        Column("Effect size", numbers("+.2f")),
        Column("p", P_VALUE),
        Column("p (Holm)", P_VALUE),
        Column("Significant", VERDICT),
    )
    rows = [
        (
            row["second"],
            row["second_mean"],
            row["difference"],
            Interval(row["low"], row["high"]),
            row["effect_size"],
            row["p_value"],
            row["p_holm"],
            Flagged("yes" if row["p_holm"] < ALPHA else "no", mark_of((best, row["second"]), unfit)),
        )
        for row in compared[compared["first"] == best].to_dict("records")
    ]
    return Table.of("against-best", columns, rows)


def beats_table(frames: DatasetFrames) -> Table | None:
    """Who beats whom as a matrix: the row against each column. None with fewer than three rows."""
    labels, unfit = rows_of(frames.pairs), unfit_rows(frames.leaderboard)
    if len(labels) < 3:
        return None
    rows = []
    for position, label in enumerate(labels, start=1):
        verdict = verdicts(frames.pairs, label)  # of the others against it
        signs = ["" if other == label else _SIGNS[verdict.get(other)] for other in labels]
        beaten, lost = (sum(value == wanted for value in verdict.values()) for wanted in (-1, 1))
        rows.append([Flagged(f"{position}. {label}", mark_of([label], unfit)), *signs, beaten, lost])
    opponents = [Column(str(position), VERDICT) for position in range(1, len(labels) + 1)]
    return Table.of("pairs", [Column("Model"), *opponents, Column("Beats", COUNT), Column("Loses to", COUNT)], rows)


def ranks_table(ranks: pd.DataFrame) -> Table:
    """Mean ranks with their intervals, and the ranks on each data set."""
    datasets = [str(column) for column in ranks.columns[4:]]
    of_each = (Column(name, numbers("g")) for name in datasets)
    columns = [Column("Model"), Column("Mean rank", decimals(2)), Column("95 % interval"), *of_each]
    rows = [
        (line["row"], line["rank"], f"{line['low']:.2f} .. {line['high']:.2f}", *(line[name] for name in datasets))
        for line in ranks.to_dict("records")
    ]
    return Table.of("ranks", columns, rows)


def ranks_tested(ranks: pd.DataFrame) -> str:
    """What can be concluded from mean ranks."""
    datasets = list(ranks.columns[4:])
    text = "No two models are told apart by their ranks here: the paired tests on each data set do that."
    if len(ranks) > 2:
        p_value = float(friedmanchisquare(*ranks[datasets].to_numpy()).pvalue)
        text += f" That all models are alike over these {len(datasets)} data sets has p {p_cell(p_value)} (Friedman)."
    return text
