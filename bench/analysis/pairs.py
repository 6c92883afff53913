"""Every two models of a data set compared, and the models' ranks over several data sets.

The comparisons are written as `RESULTS/SUITE/DATASET/pairs.csv`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata, studentized_range

from bench.analysis.families import Family, all_pairs
from bench.analysis.grid import Grid, role_of
from bench.analysis.leaderboard import SCHEMA
from bench.analysis.significance import ALPHA, PairedComparison, Tested, compare_all, holm
from bench.conventions import PRIMARY_METRIC
from bench.registry import BUILT_IN

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


def models_of(compared: pd.DataFrame) -> list[str]:
    """The models of `pairs`, best first."""
    return list(dict.fromkeys([*compared["first"], *compared["second"]]))
