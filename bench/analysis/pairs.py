"""Every two rows of a data set compared, and the rows' ranks over several data sets.

The comparisons are written as `RESULTS/SUITE/DATASET/pairs.csv`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from bench.analysis.columns import PAIRS, SCHEMA
from bench.analysis.families import Family, all_pairs
from bench.analysis.leaderboard import MEAN
from bench.analysis.runs import RowIdentity, SuiteRuns
from bench.analysis.significance import ALPHA, PairedComparison, Tested, compare_all, holm
from bench.conventions import PRIMARY_METRIC


def pair_tests(runs: SuiteRuns, wide: pd.DataFrame) -> Tested:
    """Every two rows with complete runs by the primary metric, best first.

    Whatever else the report says of two rows on all queries takes its test from here, so that a pair of rows has one
    p-value, and only its correction depends on what was asked.

    Args:
        runs: Of one data set.
        wide: Its leaderboard.
    """
    return compare_all({row: runs.of_row(row) for row in ranked(wide)}, PRIMARY_METRIC)


def pairs(runs: SuiteRuns, wide: pd.DataFrame, tested: Tested | None = None) -> pd.DataFrame:
    """Every two rows with complete runs as a frame.

    Holm's correction is over all pairs, not only those with the best row: which one is best is known from the same
    numbers, so tests against it alone would find too much.

    Args:
        runs: Of one data set.
        wide: Its leaderboard.
        tested: Its `pair_tests`, where these are known.

    Returns:
        A frame with the columns `bench.analysis.columns.PAIRS`, best rows first.
    """
    tested = pair_tests(runs, wide) if tested is None else tested
    corrected = holm([test.p_value for test in tested.values()])
    family, identities = all_pairs(len(tested)), runs.identities()
    return PAIRS.frame(
        (SCHEMA, runs.suite.name, runs.dataset, *test_cells((identities[a], identities[b]), test, p_holm, family))
        for ((a, b), test), p_holm in zip(tested.items(), corrected, strict=True)
    )


def test_cells(
    rows: tuple[RowIdentity, RowIdentity], test: PairedComparison, p_holm: float, family: Family
) -> tuple[object, ...]:
    """One test as the cells of `bench.analysis.columns.PAIRS` from `metric` on."""
    return (
        test.metric,
        *rows[0],
        *rows[1],
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


def best_baseline(wide: pd.DataFrame) -> str | None:
    """The row that a new model has to beat: the best one whose model is there to be a mark for others.

    Args:
        wide: A leaderboard.
    """
    return next(iter(ranked(wide[wide["role"].isin(["baseline", "reference"])])), None)


def verdicts(compared: pd.DataFrame, reference: str) -> dict[str, int]:
    """Model -> 1 where it is significantly better than `reference`, -1 where worse, 0 where neither is shown."""
    signs = {}
    for row in compared.to_dict("records"):
        if reference in (row["first"], row["second"]):
            other, sign = (row["second"], -1) if row["first"] == reference else (row["first"], 1)
            signs[str(other)] = sign * int(np.sign(row["difference"])) if row["p_holm"] < ALPHA else 0
    return signs


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


def ranked(wide: pd.DataFrame) -> list[str]:
    """The rows of a leaderboard with a mean, best first."""
    return [str(row) for row in wide.loc[wide[MEAN].notna(), "row"]]


def rows_of(compared: pd.DataFrame) -> list[str]:
    """The rows of `pairs`, best first."""
    return list(dict.fromkeys([*compared["first"], *compared["second"]]))
