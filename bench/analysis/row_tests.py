"""Any two rows by any metric on any part of the queries: what a reader asks who has the ranks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bench.analysis.runs import SuiteRuns, row_named
from bench.analysis.significance import ALPHA, PairedComparison, compare, holm
from bench.errors import BenchError, unknown_name
from bench.evaluation.evaluator import K_MAX
from bench.evaluation.metrics import compute
from bench.evaluation.slices import named_slices
from bench.spec import RunResult, RunSpec


@dataclass(frozen=True)
class RowTest:
    """Two rows on one data set.

    Attributes:
        dataset: Its label.
        first, second: Labels of the rows.
        results: Of all runs that were compared, those of the first row before those of the second.
        test: By the metric, on the part. None where the two could not be paired.
        p_holm: Its p-value with Holm's correction over the data sets; 1 without a test.
        refusal: Why there is no test; "" where there is one.
    """

    dataset: str
    first: str
    second: str
    results: tuple[RunResult, ...] = ()
    test: PairedComparison | None = None
    p_holm: float = 1.0
    refusal: str = ""

    @property
    def specs(self) -> list[RunSpec]:
        """What was compared."""
        return [result.spec for result in self.results]

    @property
    def significant(self) -> bool:
        """Over all data sets that were asked."""
        return self.p_holm < ALPHA


def compare_rows(runs: SuiteRuns, first: str, second: str, metric: str, part: str) -> list[RowTest]:
    """Tests one row against another on each data set of a suite.

    Args:
        runs: Of the suite, on one data set or several.
        first, second: Labels of rows, or models whose first row is meant.
        metric: E.g. "recall@20".
        part: Of the queries, as `bench.evaluation.slices.named_slices` names it: "overall", "tail", "reach:far".

    Raises:
        BenchError: There is no such row, metric or part.
    """
    compute(metric, np.zeros(1, dtype=np.int64), K_MAX)  # complains before anything is compared
    known = dict.fromkeys(name for run in runs.runs for name in (run.spec.label, run.spec.model))
    for name in (first, second):
        if name not in known:
            raise unknown_name("row", name, known)
    tests = [_on(runs.on(dataset), first, second, metric, part) for dataset in runs.datasets]
    if tests and all(test.refusal.startswith("no queries") for test in tests):
        raise unknown_part(part, runs)
    p_values = iter(holm([test.test.p_value for test in tests if test.test]))
    return [replace(test, p_holm=next(p_values)) if test.test else test for test in tests]


def unknown_part(part: str, runs: SuiteRuns) -> BenchError:
    """The error for a part of the queries that no data set has."""
    names = dict.fromkeys(
        name
        for dataset in runs.datasets
        for result in runs.on(dataset).results[:1]
        if result.queries is not None
        for name in named_slices(result.queries, runs.suite.slices)
    )
    return unknown_name("part of the queries", part, names)


def means(results: Sequence[RunResult], metrics: Sequence[str], part: str, columns: tuple[str, ...]) -> np.ndarray:
    """Means of a row on a part of the queries.

    Args:
        results: Complete ones of one row.
        metrics: E.g. "ndcg@10".
        part: As for `compare_rows`.
        columns: The suite's slices by item table.

    Returns:
        float64 `[n_results, n_metrics]`; NaN where the part has no queries.
    """
    values = np.full((len(results), len(metrics)), np.nan)
    for row, result in enumerate(results):
        assert result.queries is not None  # a complete result has its queries
        mask = named_slices(result.queries, columns).get(part)
        if mask is not None and mask.any():
            ranks = result.queries["item_rank"].to_numpy()[mask]
            values[row] = [compute(metric, ranks, K_MAX).mean() for metric in metrics]
    return values


def _on(runs: SuiteRuns, first: str, second: str, metric: str, part: str) -> RowTest:
    labels = row_named(runs, first), row_named(runs, second)
    named = RowTest(runs.dataset, labels[0] or first, labels[1] or second)
    for label, name in zip(labels, (first, second), strict=True):
        if label is None:
            return replace(named, refusal=f"no complete run of {name}")
    left, right = runs.of_row(named.first), runs.of_row(named.second)
    assert left[0].queries is not None  # a complete result has its queries
    mask = named_slices(left[0].queries, runs.suite.slices).get(part)
    if mask is None:
        return replace(named, refusal=f"no queries in part '{part}'")
    test = compare(left, right, metric, mask)
    both = (*left, *right)
    if test is None:
        return replace(named, results=both, refusal="no seed in common, other queries, or fewer than two of them")
    return replace(named, results=both, test=test)
