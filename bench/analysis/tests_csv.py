"""Every test beyond those of all pairs as one table: the suite's questions part by part, its comparisons, its floor."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from bench.analysis.columns import SCHEMA, TESTS
from bench.analysis.comparisons import ComparisonResult
from bench.analysis.fitness import FloorTest
from bench.analysis.pairs import test_cells
from bench.analysis.questions import OVERALL, PartTest
from bench.analysis.runs import SuiteRuns
from bench.conventions import SECONDARY_METRIC


def table_of_tests(
    runs: SuiteRuns, questions: Sequence[PartTest], comparisons: Sequence[ComparisonResult], floor: Sequence[FloorTest]
) -> pd.DataFrame:
    """All tests of one data set, questions first, with the columns `bench.analysis.columns.TESTS`.

    Args:
        runs: Of one data set.
        questions: Its `bench.analysis.questions.question_tests`.
        comparisons: Its `bench.analysis.comparisons.comparison_results`.
        floor: Its `bench.analysis.fitness.floor_tests`.
    """
    head, blank = (SCHEMA, runs.suite.name, runs.dataset), (None, None, None)
    known = runs.identities()
    rows: list[tuple[object, ...]] = [
        (
            *(*head, "question", " against ".join(question.labels), question.partition, question.part),
            *test_cells(
                (known[question.labels[0]], known[question.labels[1]]), question.test, question.p_holm, question.family
            ),
            *(SECONDARY_METRIC, *question.secondary),
        )
        for question in questions
    ]
    rows += [
        (
            *(*head, "comparison", compared.comparison.title, OVERALL, OVERALL),
            *test_cells((known[row.label], known[compared.comparison.against]), test, row.p_holm, compared.family),
            *blank,
        )
        for compared in comparisons
        for row, test in compared.tested
    ]
    rows += [
        (
            *(*head, "floor", f"{row.label} against {row.floor}", OVERALL, OVERALL),
            *test_cells((known[row.label], known[row.floor]), row.test, row.p_holm, row.family),
            *blank,
        )
        for row in floor
    ]
    return TESTS.frame(rows)
