"""The suite's comparisons: rows that answer one question together, each tested against the one that they vary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from bench.analysis.families import Family, of_comparison
from bench.analysis.pairs import pair_tests
from bench.analysis.runs import SuiteRuns
from bench.analysis.significance import ALPHA, PairedComparison, Tested, holm, pair_test
from bench.spec import Comparison


@dataclass(frozen=True)
class ComparedRow:
    """One row of a comparison.

    Attributes:
        label: The row's name.
        scores: Its line of the leaderboard (`LEADERBOARD_COLUMNS`).
        test: Against the row that the comparison names, this row first. None for that row itself, and where the two
            can't be paired.
        p_holm: Its p-value with Holm's correction over the rows of the comparison; 1 without a test.
    """

    label: str
    scores: Mapping[Any, Any]
    test: PairedComparison | None = None
    p_holm: float = 1.0

    @property
    def significant(self) -> bool:
        return self.p_holm < ALPHA

    @property
    def unfit(self) -> bool:
        """Whether the row carries the warning that it is no evidence."""
        return bool(self.scores["warning"])


@dataclass(frozen=True)
class Answer:
    """What the runs so far say about a comparison.

    Attributes:
        comparison: The question.
        rows: Those with a complete run, in the comparison's order; at least two.
        pending: Rows that are planned for this data set and have no complete run.
    """

    comparison: Comparison
    rows: tuple[ComparedRow, ...]
    pending: tuple[str, ...]

    @property
    def reference(self) -> ComparedRow | None:
        """The row that the others are tested against, None before it has a complete run."""
        return next((row for row in self.rows if row.label == self.comparison.against), None)

    @property
    def tested(self) -> list[tuple[ComparedRow, PairedComparison]]:
        """The rows with a test."""
        return [(row, row.test) for row in self.rows if row.test]

    @property
    def family(self) -> Family:
        """What the p-values were corrected over."""
        return of_comparison(self.comparison.title, len(self.tested))

    @property
    def unfit(self) -> list[str]:
        """The rows that are no evidence."""
        return [row.label for row in self.rows if row.unfit]


def answers(runs: SuiteRuns, wide: pd.DataFrame, tested: Tested | None = None) -> list[Answer]:
    """The suite's comparisons of which at least two rows have complete runs.

    Args:
        runs: Of one data set.
        wide: Its leaderboard.
        tested: Its `bench.analysis.pairs.pair_tests`, where these are known.
    """
    tested = pair_tests(runs, wide) if tested is None else tested
    scores = {str(row["row"]): row for row in wide[wide["complete"] > 0].to_dict("records")}
    outcomes = []
    for comparison in runs.suite.comparisons:
        labels = [label for label in comparison.rows if label in scores]
        if len(labels) >= 2:
            pending = tuple(label for label in comparison.rows if label in runs.rows and label not in scores)
            outcomes.append(Answer(comparison, _rows(comparison.against, labels, scores, tested), pending))
    return outcomes


def _rows(
    against: str, labels: Sequence[str], scores: Mapping[str, Mapping[Any, Any]], tested: Tested
) -> tuple[ComparedRow, ...]:
    made = {label: test for label in labels if (test := pair_test(tested, label, against))}
    corrected = dict(zip(made, holm([test.p_value for test in made.values()]), strict=True))
    return tuple(ComparedRow(label, scores[label], made.get(label), corrected.get(label, 1.0)) for label in labels)
