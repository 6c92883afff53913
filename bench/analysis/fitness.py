"""Which rows can't serve as evidence: they recommend next to nothing of the catalogue, or don't beat the suite's floor.

A row that was trained too briefly, or whose configuration doesn't suit the data, loses against anything; that another
row beats it says nothing of either's idea. Such rows carry a warning wherever the report draws a conclusion from them.
Only rows that contend are judged (`Recommender.role`): a row that merely counts what is popular is a mark for the
others, and so is one that knows the process behind generated data.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import pandas as pd

from bench.analysis.families import Family, against_floor, both, in_words
from bench.analysis.runs import SuiteRuns, role_of, row_named
from bench.analysis.significance import ALPHA, PairedComparison, Tested, holm, pair_test
from bench.conventions import PRIMARY_NAME
from bench.number_text import percent

UNFIT = "under-trained or unfit, not evidence"
UNFIT_MARK = " ⚠"
"""Behind the name of such a row, or behind a verdict on it, in tables."""

LEAST_COVERAGE = 0.02
"""Share of the catalogue that the first ten items of all lists together should hold."""

_LISTED = 10
_LEAST_OF_REACHABLE = 0.1
"""Where few queries are asked of a large catalogue: the least share of what their lists could hold at most."""


@dataclass(frozen=True)
class FloorTest:
    """A row against the suite's floor, by the primary metric on all queries.

    Attributes:
        label: The row.
        floor: The floor's row.
        test: The row against the floor.
        p_holm: Its p-value with Holm's correction over the family.
        family: All rows against the floor.
    """

    label: str
    floor: str
    test: PairedComparison
    p_holm: float
    family: Family

    @property
    def above(self) -> bool:
        """Whether the row is significantly better than the floor."""
        return self.p_holm < ALPHA and self.test.difference > 0

    @property
    def verdict(self) -> str:
        """What can be said of a row that is not significantly better."""
        below = self.p_holm < ALPHA and self.test.difference < 0
        return f"{'significantly below' if below else 'not significantly above'} {self.floor}"


@dataclass(frozen=True)
class Doubt:
    """Why a row is no evidence.

    Attributes:
        label: The row.
        coverage: Share of the catalogue in its lists, where that is too small.
        least: What it should be at least.
        floor: The name of the floor, where the row is not significantly above it.
        test: Its test against the floor; None where the two could not be paired.
    """

    label: str
    coverage: float | None = None
    least: float = LEAST_COVERAGE
    floor: str | None = None
    test: FloorTest | None = None

    @property
    def warning(self) -> str:
        """For the leaderboard and below the table of results: everything, in words."""
        return f"{UNFIT}: {'; '.join(self._reasons(brief=False))}"

    @property
    def in_short(self) -> str:
        """For the summary, which names the family of the tests once: "sim (lists hold 1.28 % of the catalogue)"."""
        return f"{self.label} ({'; '.join(self._reasons(brief=True))})"

    def _reasons(self, brief: bool) -> list[str]:
        reasons = []
        if self.coverage is not None:
            shares = f"{percent(self.coverage, 3)} of the catalogue, under {percent(self.least, 3)}"
            reasons.append(f"its lists of {_LISTED} hold {shares}")
        if self.test is not None:
            p_values = (self.test.test.p_value, self.test.p_holm)
            figures = both(*p_values) if brief else in_words(*p_values, self.test.family)
            reasons.append(f"its {PRIMARY_NAME} is {self.test.verdict}: {figures}")
        elif self.floor is not None:
            reasons.append(f"no test against {self.floor} was possible")
        return reasons


def floor_tests(runs: SuiteRuns, tested: Tested) -> list[FloorTest]:
    """Every row with complete runs against the suite's floor; none without one.

    Args:
        runs: Of one data set.
        tested: Its `bench.analysis.pairs.pair_tests`.
    """
    floor = floor_of(runs)
    if floor is None:
        return []
    made = {label: test for label in runs.complete_rows if (test := pair_test(tested, label, floor))}
    corrected = holm([test.p_value for test in made.values()])
    family = against_floor(floor, len(made))
    return [
        FloorTest(label, floor, test, p_holm, family)
        for (label, test), p_holm in zip(made.items(), corrected, strict=True)
    ]


def doubts(runs: SuiteRuns, wide: pd.DataFrame, tests: Sequence[FloorTest]) -> list[Doubt]:
    """The contending rows that are no evidence, in the order of the leaderboard.

    Args:
        runs: Of one data set.
        wide: Its leaderboard.
        tests: Its `floor_tests`.
    """
    floor, against = floor_of(runs), {test.label: test for test in tests}
    doubted = []
    for row in wide[wide["complete"] > 0].to_dict("records"):
        label, coverage = str(row["row"]), float(row["coverage@10.mean"])
        if label == floor or not _contends(runs, label):
            continue
        least, test = _least_coverage(runs, label), against.get(label)
        narrow = coverage < least * (1 - 1e-9)  # equal shares, worked out in another order, must count as equal
        low = floor is not None and not (test and test.above)
        if narrow or low:
            doubted.append(
                Doubt(label, coverage if narrow else None, least, floor if low else None, test if low else None)
            )
    return doubted


def floor_of(runs: SuiteRuns) -> str | None:
    """The row that the suite names as its floor; None where it names none, or that row has no complete run."""
    return row_named(runs, runs.suite.floor) if runs.suite.floor else None


def with_warnings(wide: pd.DataFrame, doubted: Sequence[Doubt]) -> pd.DataFrame:
    """The leaderboard with its column `warning` filled."""
    texts = {doubt.label: doubt.warning for doubt in doubted}
    return wide.assign(warning=[texts.get(str(row), "") for row in wide["row"]])


def unfit_rows(wide: pd.DataFrame) -> list[str]:
    """The rows of a leaderboard that carry a warning."""
    return [str(row["row"]) for row in wide.to_dict("records") if row["warning"]]


def mark_of(labels: Collection[str], unfit: Collection[str]) -> str:
    """`UNFIT_MARK` where one of these rows is unfit, else nothing."""
    return UNFIT_MARK if set(labels) & set(unfit) else ""


def _contends(runs: SuiteRuns, label: str) -> bool:
    return role_of(runs.of_row(label)[0]) not in ("reference", "oracle")


def _least_coverage(runs: SuiteRuns, label: str) -> float:
    """`LEAST_COVERAGE`, or less where the lists of all queries together could hardly reach it."""
    result = runs.of_row(label)[0]
    assert result.queries is not None  # a complete result has its queries
    n_items = result.environment.get("dataset", {}).get("items") or 1
    reachable = min(1.0, _LISTED * len(result.queries) / n_items)
    return min(LEAST_COVERAGE, _LEAST_OF_REACHABLE * reachable)
