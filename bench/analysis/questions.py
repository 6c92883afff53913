"""The suite's questions, "is A better than B?", tested on all test queries and part by part.

The tests are written to `RESULTS/SUITE/DATASET/tests.csv`, see `bench.analysis.tests_csv`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bench.analysis.families import Family, of_parts, of_questions
from bench.analysis.runs import SuiteRuns, row_named
from bench.analysis.significance import PairedComparison, Tested, common_means, compare, holm, pair_test
from bench.conventions import PRIMARY_METRIC, SECONDARY_METRIC
from bench.evaluation.slices import Slices, history_length_bins, history_length_quarters, popularity_slices, reach_parts

OVERALL = "overall"

PARTITIONS = {
    OVERALL: "",
    "popularity": "",
    "history": "history of ",
    "history-quarter": "history of ",
    "history-half": "",
    "reach": "target in the history: ",
    "category-reach": "its category in the history: ",
}
"""Partitions of the queries -> what the report writes before the name of a part. The first has one part: all."""


@dataclass(frozen=True)
class PartTest:
    """One of the suite's questions, tested on a part of the queries.

    Attributes:
        labels: The two rows; the test is of the first against the second.
        partition: Of `PARTITIONS`.
        part: Its name in the partition, as in `metrics.csv` where it is there.
        test: The comparison by the primary metric.
        p_holm: Its p-value with Holm's correction over the family.
        family: The parts of one question or, on all queries, the questions of the suite.
        secondary: Means of both rows by the secondary metric, which is not tested.
    """

    labels: tuple[str, str]
    partition: str
    part: str
    test: PairedComparison
    p_holm: float
    family: Family
    secondary: tuple[float, float]


def questions(runs: SuiteRuns) -> list[tuple[str, str]]:
    """Pairs of rows that the suite asks about (`Suite.questions`), without those of which one isn't there."""
    pairs = [(row_named(runs, first), row_named(runs, second)) for first, second in runs.suite.questions]
    return [(first, second) for first, second in pairs if first and second]


def question_tests(runs: SuiteRuns, tested: Tested | None = None) -> list[PartTest]:
    """Every question on all queries and on each part, in the order of the suite and of `PARTITIONS`.

    Args:
        runs: Of one data set.
        tested: Its `bench.analysis.pairs.pair_tests`, where these are known, for the tests on all queries.

    Returns:
        The tests; nothing on parts with fewer than two queries, and nothing of rows that can't be paired.
    """
    tests = []
    for overall in overall_tests(runs, tested):
        tests.append(overall)
        for partition, parts in _parts(runs, overall.labels).items():
            tests += _on_parts(runs, overall.labels, partition, parts)
    return tests


def overall_tests(runs: SuiteRuns, tested: Tested | None = None) -> list[PartTest]:
    """Every question on all queries; as `question_tests`, without the parts."""
    known = {labels: pair_test(tested, *labels) if tested else _compare(runs, labels) for labels in questions(runs)}
    overall = {labels: test for labels, test in known.items() if test}
    corrected = holm([test.p_value for test in overall.values()])
    family = of_questions(len(overall))
    return [
        PartTest(labels, OVERALL, OVERALL, test, p_holm, family, _secondary(runs, labels))
        for (labels, test), p_holm in zip(overall.items(), corrected, strict=True)
    ]


def _on_parts(runs: SuiteRuns, labels: tuple[str, str], partition: str, parts: Slices) -> list[PartTest]:
    """One question on the parts of one partition, corrected together."""
    tests = {part: test for part, mask in parts.items() if (test := _compare(runs, labels, mask))}
    p_values = holm([test.p_value for test in tests.values()])
    family = of_parts(labels, partition, len(tests))
    return [
        PartTest(labels, partition, part, test, p_holm, family, _secondary(runs, labels, parts[part]))
        for (part, test), p_holm in zip(tests.items(), p_values, strict=True)
    ]


def _compare(runs: SuiteRuns, labels: tuple[str, str], mask: np.ndarray | None = None) -> PairedComparison | None:
    return compare(runs.of_row(labels[0]), runs.of_row(labels[1]), PRIMARY_METRIC, mask)


def _secondary(runs: SuiteRuns, labels: tuple[str, str], mask: np.ndarray | None = None) -> tuple[float, float]:
    means = common_means(runs.of_row(labels[0]), runs.of_row(labels[1]), SECONDARY_METRIC, mask)
    assert means is not None  # of rows that were tested on this part
    return means


def _parts(runs: SuiteRuns, labels: tuple[str, str]) -> Mapping[str, Slices]:
    """The parts of each partition but the first; partitions that tell no queries apart have none."""
    queries = runs.of_row(labels[0])[0].queries
    assert queries is not None  # a complete result has its queries
    bins = history_length_bins(queries)
    return {
        "popularity": {part: mask for part, mask in popularity_slices(queries).items() if part != OVERALL},
        # Few of the fixed bins tell little; quarters are always there.
        **({"history": bins} if len(bins) >= 3 else {"history-quarter": history_length_quarters(queries)}),
        "history-half": _halves(queries),
        "reach": reach_parts(queries),
        "category-reach": reach_parts(queries, of="category"),
    }


def _halves(queries: pd.DataFrame) -> Slices:
    """Shorter and longer histories, in halves: large enough parts for a test where the bins are not."""
    lengths = queries["history_length"].to_numpy()
    middle = int(np.median(lengths))
    return {f"shorter half (history <= {middle})": lengths <= middle, f"longer half (> {middle})": lengths > middle}
