"""Every row beside one mark on each part of the queries: what the figures of a data set show of parts."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.analysis.pairs import best_baseline, ranked
from bench.analysis.report_columns import PART_DIFFERENCES
from bench.analysis.runs import SuiteRuns
from bench.analysis.significance import difference_intervals
from bench.conventions import PRIMARY_METRIC
from bench.evaluation.slices import (
    Slices,
    history_length_bins,
    history_length_quarters,
    popularity_slices,
    reach_parts,
)

_FEWEST_BINS = 3
"""With fewer fixed bins of history lengths than this, quarters tell more."""


def mark_of(wide: pd.DataFrame) -> str:
    """The row that the figures of a data set show all others beside: the best baseline, else the best row; "" for none.

    Args:
        wide: A leaderboard.
    """
    return best_baseline(wide) or next(iter(ranked(wide)), "")


def part_differences_frame(runs: SuiteRuns, wide: pd.DataFrame) -> pd.DataFrame:
    """Every row against the mark, with the columns `bench.analysis.report_columns.PART_DIFFERENCES`.

    Args:
        runs: Of one data set.
        wide: Its leaderboard, whose order the rows have.
    """
    return PART_DIFFERENCES.frame(_lines(runs, wide))


def parts_of(queries: pd.DataFrame) -> dict[tuple[str, str], NDArray[np.bool_]]:
    """The parts of the queries under (family, part), as the tables of a report name them."""
    fixed = history_length_bins(queries)
    lengths = (
        {"history": fixed} if len(fixed) >= _FEWEST_BINS else {"history-quarter": history_length_quarters(queries)}
    )
    head_tail = {part: mask for part, mask in popularity_slices(queries).items() if part != "overall"}
    families: dict[str, Slices] = {
        "head-tail": head_tail,
        **lengths,
        "reach": reach_parts(queries),
        "category-reach": reach_parts(queries, of="category"),
    }
    present = {
        family: {part: mask for part, mask in parts.items() if mask.sum() > 1} for family, parts in families.items()
    }
    return {(family, part): mask for family, parts in present.items() if len(parts) > 1 for part, mask in parts.items()}


def _lines(runs: SuiteRuns, wide: pd.DataFrame) -> Iterator[tuple[object, ...]]:
    mark, known = mark_of(wide), runs.identities()
    for row in ranked(wide) if mark else ():
        if row == mark:
            continue
        results = runs.of_row(row)
        assert results[0].queries is not None  # a complete result has its queries
        parts = parts_of(results[0].queries)
        found = difference_intervals(results, runs.of_row(mark), PRIMARY_METRIC, parts.values())
        for (family, part), interval in zip(parts, found, strict=True):
            if interval is not None:
                yield (*known[row], mark, family, part, *interval)
