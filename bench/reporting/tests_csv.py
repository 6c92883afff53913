"""Every test beyond those of all pairs as one table: the suite's questions part by part, and its comparisons."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from bench.reporting.comparisons import Answer
from bench.reporting.grid import Grid
from bench.reporting.leaderboard import SCHEMA
from bench.reporting.pairwise import PAIR_COLUMNS, compared_figures
from bench.reporting.questions import OVERALL, PartTest

_PLACE = ("schema", "suite", "dataset")

TEST_COLUMNS = {
    **{name: PAIR_COLUMNS[name] for name in _PLACE},
    "kind": "'question' (`Suite.questions`) or 'comparison' (`Suite.comparisons`)",
    "title": "what is asked: 'A against B', or the comparison's title",
    "family": "the parts of the queries that Holm's correction is over, see `bench.reporting.questions.FAMILIES`; of "
    "'overall' it is over the suite's questions, or over the rows of a comparison",
    "part": "of the queries; where `metrics.csv` has it, its slice there is 'FAMILY:PART', or the part alone",
    **{name: meaning for name, meaning in PAIR_COLUMNS.items() if name not in _PLACE},
    "first": "label of the row that is tested",
    "second": "label of the row that it is tested against",
    "p_holm": "with Holm's correction over the family",
    "n_queries": "test queries in the part",
}
"""Columns of `tests.csv`, one row a test. Every two models are compared in `pairs.csv`."""


def table_of_tests(grid: Grid, questions: Sequence[PartTest], answers: Sequence[Answer]) -> pd.DataFrame:
    """All tests of one data set, questions first, with the columns `TEST_COLUMNS`.

    Args:
        grid: Runs on one data set.
        questions: Its `bench.reporting.questions.question_tests`.
        answers: Its `bench.reporting.comparisons.answers`.
    """
    place = (SCHEMA, grid.suite.name, grid.datasets[0])
    rows = [
        (
            *(*place, "question", " against ".join(asked.labels), asked.family, asked.part),
            *compared_figures(*asked.labels, asked.test, asked.p_holm),
        )
        for asked in questions
    ]
    rows += [
        (
            *(*place, "comparison", answer.comparison.title, OVERALL, OVERALL),
            *compared_figures(row.label, answer.comparison.against, test, row.p_value),
        )
        for answer in answers
        for row, test in answer.tested
    ]
    return pd.DataFrame(rows, columns=list(TEST_COLUMNS))
