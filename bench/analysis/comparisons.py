"""The suite's comparisons: rows that answer one question together, each tested against the one that they vary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from bench.analysis.families import Family, of_comparison
from bench.analysis.pairs import pair_tests
from bench.analysis.runs import SuiteRuns
from bench.analysis.significance import PairedComparison, Tested, holm, pair_test
from bench.spec import Comparison


@dataclass(frozen=True)
class ComparedRow:
    """One row of a comparison.

    Attributes:
        label: The row's name.
        complete: Number of its complete runs.
        test: Against the row that the comparison names, this row first. None for that row itself, and where the two
            can't be paired.
        p_holm: Its p-value with Holm's correction over the rows of the comparison; 1 without a test.
    """

    label: str
    complete: int
    test: PairedComparison | None = None
    p_holm: float = 1.0


@dataclass(frozen=True)
class ComparisonResult:
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
    def tested(self) -> list[tuple[ComparedRow, PairedComparison]]:
        """The rows with a test."""
        return [(row, row.test) for row in self.rows if row.test]

    @property
    def family(self) -> Family:
        """What the p-values were corrected over."""
        return of_comparison(self.comparison.title, len(self.tested))


def comparison_results(runs: SuiteRuns, wide: pd.DataFrame, tested: Tested | None = None) -> list[ComparisonResult]:
    """The suite's comparisons of which at least two rows have complete runs.

    Args:
        runs: Of one data set.
        wide: Its leaderboard.
        tested: Its `bench.analysis.pairs.pair_tests`, where these are known.
    """
    tested = pair_tests(runs, wide) if tested is None else tested
    complete = dict(zip(wide["row"].tolist(), wide["complete"].tolist(), strict=True))
    results = []
    for comparison in runs.suite.comparisons:
        labels = [label for label in comparison.rows if complete.get(label)]
        if len(labels) >= 2:
            pending = tuple(label for label in comparison.rows if complete.get(label) == 0)
            results.append(ComparisonResult(comparison, _rows(comparison.against, labels, complete, tested), pending))
    return results


def _rows(against: str, labels: Sequence[str], complete: Mapping[str, int], tested: Tested) -> tuple[ComparedRow, ...]:
    made = {label: test for label in labels if (test := pair_test(tested, label, against))}
    corrected = dict(zip(made, holm([test.p_value for test in made.values()]), strict=True))
    return tuple(ComparedRow(label, complete[label], made.get(label), corrected.get(label, 1.0)) for label in labels)
