"""Every test beyond those of all pairs as one table: the suite's questions part by part, its comparisons, its floor."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from bench.analysis.comparisons import Answer
from bench.analysis.fitness import FloorTest
from bench.analysis.grid import Grid
from bench.analysis.leaderboard import SCHEMA
from bench.analysis.pairs import PAIR_COLUMNS, compared_figures
from bench.analysis.questions import OVERALL, PartTest
from bench.conventions import SECONDARY_METRIC

_PLACE = ("schema", "suite", "dataset")

TEST_COLUMNS = {
    **{name: PAIR_COLUMNS[name] for name in _PLACE},
    "kind": "'question' (`Suite.questions`), 'comparison' (`Suite.comparisons`) or 'floor' (`Suite.floor`)",
    "title": "what is asked: 'A against B', or the comparison's title",
    "partition": "how queries are divided, see `bench.analysis.questions.PARTITIONS`; 'overall' is not at all",
    "part": "of the queries; where `metrics.csv` has it, its slice there is 'PARTITION:PART', or the part alone",
    **{name: meaning for name, meaning in PAIR_COLUMNS.items() if name not in _PLACE},
    "first": "label of the row that is tested",
    "second": "label of the row that it is tested against",
    "family": "the tests that were corrected together, see `bench.analysis.families`; no two families share a name",
    "n_queries": "test queries in the part",
    "secondary_metric": "of the next two columns, at item level: shown with a question, not tested; else blank",
    "secondary_first_mean": "mean of the first over queries and the seeds that both have completed",
    "secondary_second_mean": "likewise of the second",
}
"""Columns of `tests.csv`, one row a test. Every two models are compared in `pairs.csv`."""


def table_of_tests(
    grid: Grid, questions: Sequence[PartTest], answers: Sequence[Answer], floor: Sequence[FloorTest]
) -> pd.DataFrame:
    """All tests of one data set, questions first, with the columns `TEST_COLUMNS`.

    Args:
        grid: Runs on one data set.
        questions: Its `bench.analysis.questions.question_tests`.
        answers: Its `bench.analysis.comparisons.answers`.
        floor: Its `bench.analysis.fitness.floor_tests`.
    """
    place, untold = (SCHEMA, grid.suite.name, grid.datasets[0]), (None, None, None)
    rows: list[tuple[object, ...]] = [
        (
            *(*place, "question", " against ".join(asked.labels), asked.partition, asked.part),
            *compared_figures(*asked.labels, asked.test, asked.p_holm, asked.family),
            *(SECONDARY_METRIC, *asked.secondary),
        )
        for asked in questions
    ]
    rows += [
        (
            *(*place, "comparison", answer.comparison.title, OVERALL, OVERALL),
            *compared_figures(row.label, answer.comparison.against, test, row.p_holm, answer.family),
            *untold,
        )
        for answer in answers
        for row, test in answer.tested
    ]
    rows += [
        (
            *(*place, "floor", f"{row.label} against {row.floor}", OVERALL, OVERALL),
            *compared_figures(row.label, row.floor, row.test, row.p_holm, row.family),
            *untold,
        )
        for row in floor
    ]
    return pd.DataFrame(rows, columns=list(TEST_COLUMNS))
