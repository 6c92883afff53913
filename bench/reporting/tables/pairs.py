"""Who beats whom: every two models of a data set compared, and the models' ranks over several data sets.

The comparisons are also written as `RESULTS/SUITE/DATASET/pairs.csv`; every table here follows from that file.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from scipy.stats import friedmanchisquare, rankdata, studentized_range

from bench.analysis.families import Family, all_pairs
from bench.analysis.fitness import mark_of
from bench.analysis.grid import Grid, role_of
from bench.analysis.leaderboard import SCHEMA
from bench.analysis.significance import ALPHA, PairedComparison, Tested, compare_all, holm
from bench.evaluation.metrics import PRIMARY_METRIC, PRIMARY_NAME
from bench.registry import BUILT_IN
from bench.reporting.figures.style import GREY, headline
from bench.reporting.markdown import number, p_cell, table

MEAN = f"item.overall.{PRIMARY_METRIC}.mean"

PAIR_COLUMNS = {
    "schema": "version of these columns, that of `metrics.csv`",
    "suite": "name of the suite",
    "dataset": "label of the data set",
    "metric": "what is compared, at item level",
    "first": "the model with the higher mean in the leaderboard",
    "second": "the other one",
    "first_mean": "mean of the first over queries and the seeds that both have completed",
    "second_mean": "likewise",
    "difference": "first_mean - second_mean",
    "low": "lower end of the 95 % interval of the difference",
    "high": "upper end",
    "effect_size": "the difference in standard deviations of the queries' differences",
    "p_value": "two-sided, of this test alone, see `bench.analysis.significance.PairedComparison`",
    "p_holm": "with Holm's correction over the family",
    "family": "the tests that were corrected together, see `bench.analysis.families`: here all pairs of the data set",
    "family_size": "how many tests these are",
    "n_queries": "test queries",
    "seeds": "number of seeds that both have completed",
}
"""Columns of `pairs.csv`, one row per two models of a data set."""


def pair_tests(grid: Grid, wide: pd.DataFrame) -> Tested:
    """Every two models with complete runs by the primary metric, best first.

    Whatever else the report says of two rows on all queries takes its test from here, so that a pair of rows has one
    p-value, and only its correction depends on what was asked.

    Args:
        grid: Runs on one data set.
        wide: Its leaderboard.
    """
    return compare_all({model: grid.of_model(model) for model in _ranked(wide)}, PRIMARY_METRIC)


def pairs(grid: Grid, wide: pd.DataFrame, tested: Tested | None = None) -> pd.DataFrame:
    """Every two models with complete runs as a table.

    Holm's correction is over all pairs, not only those with the best model: which one is best is known from the same
    numbers, so tests against it alone would find too much.

    Args:
        grid: Runs on one data set.
        wide: Its leaderboard.
        tested: Its `pair_tests`, where these are known.

    Returns:
        A table with the columns `PAIR_COLUMNS`, best models first.
    """
    tested = pair_tests(grid, wide) if tested is None else tested
    corrected = holm([test.p_value for test in tested.values()])
    family = all_pairs(len(tested))
    rows = [
        (SCHEMA, grid.suite.name, grid.datasets[0], *compared_figures(*names, test, p_holm, family))
        for (names, test), p_holm in zip(tested.items(), corrected, strict=True)
    ]
    return pd.DataFrame(rows, columns=list(PAIR_COLUMNS))


def compared_figures(
    first: str, second: str, test: PairedComparison, p_holm: float, family: Family
) -> tuple[object, ...]:
    """One test as the cells of `PAIR_COLUMNS` from `metric` on."""
    return (
        test.metric,
        first,
        second,
        test.first,
        test.second,
        test.difference,
        test.low,
        test.high,
        test.effect_size,
        test.p_value,
        p_holm,
        family.name,
        family.size,
        test.n_queries,
        len(test.seeds),
    )


def best_baseline(grid: Grid, wide: pd.DataFrame) -> str | None:
    """The row that a new model has to beat: the best one among the models of the package `baselines`."""
    known = {name for name, place in BUILT_IN.items() if place.startswith("baselines.")}
    rows = {run.spec.label for run in grid.runs if run.spec.model in known}
    rows -= {result.spec.label for result in grid.results if role_of(result) == "oracle"}
    return next((model for model in _ranked(wide) if model in rows), None)


def verdicts(compared: pd.DataFrame, reference: str) -> dict[str, int]:
    """Model -> 1 where it is significantly better than `reference`, -1 where worse, 0 where neither is shown."""
    found = {}
    for row in compared.to_dict("records"):
        if reference in (row["first"], row["second"]):
            other, sign = (row["second"], -1) if row["first"] == reference else (row["first"], 1)
            found[str(other)] = sign * int(np.sign(row["difference"])) if row["p_holm"] < ALPHA else 0
    return found


def pair_of(compared: pd.DataFrame, one: str, other: str) -> dict[str, Any] | None:
    """The comparison of two models, as `one` against `other`. None where they can't be paired.

    Returns:
        difference (of `one`), p_value, p_holm and n_queries.
    """
    for row in compared.to_dict("records"):
        if {one, other} == {row["first"], row["second"]}:
            difference = row["difference"] if row["first"] == one else -row["difference"]
            return {"difference": difference, **{name: row[name] for name in ("p_value", "p_holm", "n_queries")}}
    return None


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
    models = _models(compared)
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


def pairwise_figure(compared: pd.DataFrame) -> Figure | None:
    """The differences of all pairs as a heat map, with a star where significant. None with fewer than three models."""
    models = _models(compared)
    if len(models) < 3:
        return None
    places = {model: place for place, model in enumerate(models)}
    values = np.full((len(models), len(models)), np.nan)
    texts = np.full(values.shape, "", dtype=object)
    for row in compared.to_dict("records"):
        a, b = places[row["first"]], places[row["second"]]
        for one, other, difference in ((a, b, row["difference"]), (b, a, -row["difference"])):
            values[one, other] = difference
            texts[one, other] = f"{difference:+.3f}{'*' if row['p_holm'] < ALPHA else ''}"
    limit = max(float(np.nanmax(np.abs(values))), 1e-4)
    figure = Figure(figsize=(2.6 + 0.66 * len(models), 1.5 + 0.4 * len(models)), layout="constrained")
    axes = figure.subplots()
    sns.heatmap(
        values,
        ax=axes,
        annot=texts,
        fmt="",
        annot_kws={"size": "x-small"},
        cmap="PuOr",
        vmin=-limit,
        vmax=limit,
        linewidths=1,
        cbar_kws={"label": f"row - column, {PRIMARY_NAME}"},
        xticklabels=[str(place) for place in range(1, len(models) + 1)],
        yticklabels=[f"{place}. {model}" for place, model in enumerate(models, start=1)],
    )
    axes.tick_params(axis="y", rotation=0)
    axes.grid(visible=False)
    axes.set_xlabel("compared with the model of this number")
    subtitle = (
        f"n = {compared['n_queries'].max():,} test queries; * p < {ALPHA:g} (Holm, {all_pairs(len(compared)).members})"
    )
    headline(figure, f"Who beats whom ({compared['dataset'].iloc[0]})", subtitle)
    return figure


def average_ranks(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame | None:
    """The mean rank of each model over the data sets on which it has complete runs.

    Args:
        tables: The leaderboard of each data set, by label.

    Returns:
        One row per model that has a mean on every data set with any: model, rank (mean; 1 is best, equal means share a
        rank), and the rank on each data set. Best first. None with fewer than two data sets or models.
    """
    measured = {dataset: wide.set_index("model")[MEAN].dropna() for dataset, wide in tables.items()}
    scores = pd.DataFrame({dataset: means for dataset, means in measured.items() if len(means)}).dropna()
    if scores.shape[0] < 2 or scores.shape[1] < 2:
        return None
    ranks = pd.DataFrame(rankdata(-scores.to_numpy(), axis=0), index=scores.index, columns=scores.columns)
    ranks.insert(0, "rank", ranks.mean(axis=1))
    return ranks.sort_values("rank", kind="stable").rename_axis("model").reset_index()


def critical_difference(n_models: int, n_datasets: int) -> float:
    """How far two mean ranks must be apart to differ significantly (Nemenyi's test; Demsar, JMLR 2006, section 3.2.2).

    It holds for every two of the models at once, at the level `ALPHA`.
    """
    quantile = studentized_range.ppf(1 - ALPHA, n_models, np.inf) / np.sqrt(2)
    return float(quantile * np.sqrt(n_models * (n_models + 1) / (6 * n_datasets)))


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


def ranks_figure(ranks: pd.DataFrame) -> Figure:
    """A critical-difference diagram: mean ranks, and a bar over models that are not significantly different."""
    n_datasets = len(ranks.columns) - 2
    places, models = ranks["rank"].tolist(), ranks["model"].tolist()
    gap = critical_difference(len(models), n_datasets)
    groups = indifferent(places, gap)
    figure = Figure(figsize=(8.5, 1.2 + 0.26 * len(models) + 0.14 * len(groups)), layout="constrained")
    axes = figure.subplots()
    for line, (first, last) in enumerate(groups, start=1):
        ends = (places[first] - 0.03, places[last] + 0.03)
        axes.plot(ends, (-0.5 * line,) * 2, color=GREY, linewidth=4, solid_capstyle="butt")
    bottom = -0.5 * (len(groups) + 1)
    for height, (place, model) in enumerate(zip(places, models, strict=True)):
        axes.plot(
            (place, place, len(models) + 0.4), (0, bottom - height, bottom - height), color="#444444", linewidth=1
        )
        axes.text(len(models) + 0.45, bottom - height, f"{model} ({place:.2f})", va="center")
    axes.set_xlim(1, len(models) + 0.4)
    axes.set_ylim(bottom - len(models) + 0.3, 0)
    axes.xaxis.tick_top()
    axes.set_xticks(range(1, len(models) + 1))
    axes.set_yticks([])
    axes.grid(visible=False)
    axes.spines[["left", "right", "bottom"]].set_visible(False)
    subtitle = f"1 is best; bars join what is not significantly different (Nemenyi, critical difference {gap:.2f})"
    headline(figure, f"Mean rank by {PRIMARY_NAME} over {n_datasets} data sets", subtitle)
    return figure


def indifferent(places: list[float], gap: float) -> list[tuple[int, int]]:
    """The widest runs of ascending `places` within `gap`, as (first, last) index, without runs of one."""
    groups: list[tuple[int, int]] = []
    for first, place in enumerate(places):
        last = max(index for index, other in enumerate(places) if other - place < gap)
        if last > first and (not groups or last > groups[-1][1]):
            groups.append((first, last))
    return groups


def _ranked(wide: pd.DataFrame) -> list[str]:
    """Models with a mean, best first."""
    return [str(model) for model in wide.loc[wide[MEAN].notna(), "model"]]


def _models(compared: pd.DataFrame) -> list[str]:
    """The models of `pairs`, best first."""
    return list(dict.fromkeys([*compared["first"], *compared["second"]]))
