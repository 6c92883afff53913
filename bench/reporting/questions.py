"""The suite's questions, "is A better than B?", answered on all test queries and part by part.

The tests are also written to `RESULTS/SUITE/DATASET/tests.csv`, see `bench.reporting.tests_csv`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bench.evaluation.slices import (
    REACH_WINDOW,
    Slices,
    history_length_bins,
    history_length_quarters,
    popularity_slices,
    reach_parts,
)
from bench.reporting.grid import Grid
from bench.reporting.markdown import number, p_cell, table
from bench.reporting.significance import PairedComparison, compare, holm

METRIC = "recall@10"
"""Of the questions, at item level: whether the target is found is what a long history decides first."""

HOW_TO_READ = (
    "In this and the next questions, Recall@10 with the same test. Holm's correction is for the parts of one kind "
    "(head and tail, history lengths, halves, the target's reach, its category's), and on all queries for the suite's "
    "questions; between the kinds nothing is corrected."
)

OVERALL = "overall"

FAMILIES = {
    OVERALL: "",
    "popularity": "",
    "history": "history of ",
    "history-quarter": "history of ",
    "history-half": "",
    "reach": "target in the history: ",
    "category-reach": "its category in the history: ",
}
"""Families of parts -> what the report writes before the name of a part. Each but the first is a partition."""

_REACH = {"recent": f"last {REACH_WINDOW} events", "far": f"only before the last {REACH_WINDOW}", "never": "never"}


@dataclass(frozen=True)
class PartTest:
    """One of the suite's questions, tested on a part of the queries.

    Attributes:
        labels: The two rows; the test is of the first against the second.
        family: Of `FAMILIES`.
        part: Its name in the family, as in `metrics.csv` where it is there.
        test: The comparison.
        p_holm: Its p-value with Holm's correction over the family: the parts of one question and, on all queries, the
            questions of the suite.
    """

    labels: tuple[str, str]
    family: str
    part: str
    test: PairedComparison
    p_holm: float


def questions(grid: Grid) -> list[tuple[str, str]]:
    """Pairs of rows that the suite asks about (`Suite.questions`), without those of which one isn't there."""
    pairs = [(row_of(grid, first), row_of(grid, second)) for first, second in grid.suite.questions]
    return [(first, second) for first, second in pairs if first and second]


def row_of(grid: Grid, name: str) -> str | None:
    """The label of the row with complete runs that a name means: the row named so, else the first row of that model."""
    if any(result.spec.label == name for result in grid.results):
        return name
    return next((result.spec.label for result in grid.results if result.spec.model == name), None)


def question_tests(grid: Grid) -> list[PartTest]:
    """Every question on all queries and on each part, in the order of the suite and of `FAMILIES`.

    Args:
        grid: Runs on one data set.

    Returns:
        The tests; nothing on parts with fewer than two queries, and nothing of rows that can't be paired.
    """
    asked = questions(grid)
    overall = {labels: test for labels in asked if (test := _compare(grid, labels))}
    corrected = dict(zip(overall, holm([test.p_value for test in overall.values()]), strict=True))
    found = []
    for labels, test in overall.items():
        found.append(PartTest(labels, OVERALL, OVERALL, test, corrected[labels]))
        for family, parts in _parts(grid, labels).items():
            tests = {part: on_part for part, mask in parts.items() if (on_part := _compare(grid, labels, mask))}
            p_values = holm([on_part.p_value for on_part in tests.values()])
            found += [
                PartTest(labels, family, part, on_part, p)
                for (part, on_part), p in zip(tests.items(), p_values, strict=True)
            ]
    return found


def of_question(
    tests: list[PartTest], labels: tuple[str, str], family: str | None = None
) -> dict[tuple[str, str], PartTest]:
    """(family, part) -> test of one question; of one family where it is named."""
    return {
        (test.family, test.part): test
        for test in tests
        if test.labels == labels and (family is None or test.family == family)
    }


def question_table(tests: list[PartTest], labels: tuple[str, str]) -> str | None:
    """One of the suite's questions, answered on each part of the test queries.

    Returns:
        A markdown table, or None where the two models can't be compared.
    """
    rows = [
        [
            part_name(test),
            f"{test.test.n_queries:,}",
            *compared_cells(test.test),
            p_cell(test.test.p_value),
            p_cell(test.p_holm),
        ]
        for test in of_question(tests, labels).values()
    ]
    if not rows:
        return None
    return table(["Test queries", "n", *labels, "Difference", "95 % interval", "p", "p (Holm)"], rows)


def part_name(test: PartTest) -> str:
    """What the report calls a part."""
    name = _REACH.get(test.part, test.part) if test.family.endswith("reach") else test.part
    return f"{FAMILIES[test.family]}{name}"


def compared_cells(found: PairedComparison) -> list[str]:
    """Cells: first, second, difference, interval."""
    return [
        number(found.first),
        number(found.second),
        f"{found.difference:+.4f}",
        f"{found.low:+.4f} .. {found.high:+.4f}",
    ]


def _compare(grid: Grid, labels: tuple[str, str], mask: np.ndarray | None = None) -> PairedComparison | None:
    return compare(grid.of_model(labels[0]), grid.of_model(labels[1]), METRIC, mask)


def _parts(grid: Grid, labels: tuple[str, str]) -> Mapping[str, Slices]:
    """The parts of each family but the first; families that tell no queries apart have none."""
    queries = grid.of_model(labels[0])[0].queries
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
