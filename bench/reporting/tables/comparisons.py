"""The suite's comparisons: rows that answer one question together, each tested against the one that they vary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bench.analysis.families import Family, both, of_comparison
from bench.analysis.fitness import caution, mark_of
from bench.analysis.grid import Grid
from bench.analysis.significance import ALPHA, PairedComparison, Tested, holm, pair_test
from bench.evaluation.metrics import PRIMARY_METRIC, PRIMARY_NAME
from bench.reporting.markdown import NONE, foreign, number, p_cell, plus_minus, table
from bench.reporting.metric_names import SECONDARY_METRIC, column
from bench.reporting.tables.pairs import pair_tests
from bench.spec import Comparison

HOW_TO_READ = (
    f"In this and the next comparisons, {PRIMARY_NAME} at item level is tested as above. p is that of the row alone, p "
    "(Holm) is corrected over the tested rows of the table. A difference that is not significant is not thereby zero: "
    "its interval tells what it may be."
)


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


def answers(grid: Grid, wide: pd.DataFrame, tested: Tested | None = None) -> list[Answer]:
    """The suite's comparisons of which at least two rows have complete runs.

    Args:
        grid: Runs on one data set.
        wide: Its leaderboard.
        tested: Its `bench.reporting.tables.pairs.pair_tests`, where these are known.
    """
    tested = pair_tests(grid, wide) if tested is None else tested
    scores = {str(row["model"]): row for row in wide[wide["complete"] > 0].to_dict("records")}
    found = []
    for comparison in grid.suite.comparisons:
        labels = [label for label in comparison.rows if label in scores]
        if len(labels) >= 2:
            pending = tuple(label for label in comparison.rows if label in grid.models and label not in scores)
            found.append(Answer(comparison, _rows(comparison.against, labels, scores, tested), pending))
    return found


def comparison_table(answer: Answer) -> str:
    """Quality, the test, and cost of each row."""
    sids = any(np.isfinite(row.scores[f"sid.overall.{PRIMARY_METRIC}.mean"]) for row in answer.rows)
    shown = [f"item.overall.{PRIMARY_METRIC}", *([f"sid.overall.{PRIMARY_METRIC}"] if sids else [])]
    shown.append(f"item.overall.{SECONDARY_METRIC}")
    rows = []
    for row in answer.rows:
        scores = row.scores
        test = [NONE] * 4
        if row.test:
            test = [
                f"{row.test.difference:+.4f}",
                f"{row.test.low:+.4f} .. {row.test.high:+.4f}",
                p_cell(row.test.p_value),
                p_cell(row.p_holm),
            ]
        rows.append(
            [
                row.label + mark_of([row.label], answer.unfit),
                *(plus_minus(scores[f"{name}.mean"], scores[f"{name}.std"]) for name in shown),
                *test,
                plus_minus(scores["fit_seconds.mean"], scores["fit_seconds.std"], 1),
                plus_minus(scores["milliseconds_per_user.mean"], scores["milliseconds_per_user.std"], 2),
                f"{scores['parameters.mean']:,.0f}",
            ]
        )
    headers = ["Row", PRIMARY_NAME, *([f"{PRIMARY_NAME} SID"] if sids else []), column(SECONDARY_METRIC)]
    headers += [f"{PRIMARY_NAME} - {answer.comparison.against}", "95 % interval", "p", "p (Holm)"]
    return table([*headers, "Training, s", "ms per user", "Parameters"], rows)


def findings(answer: Answer) -> str:
    """What was measured here, and what the paper says where that is known."""
    paper = f"\n- In the paper: {foreign(answer.comparison.paper)}" if answer.comparison.paper else ""
    return f"- Here: {sentence(answer)}{paper}"


def sentence(answer: Answer) -> str:
    """The answer in words: which rows differ significantly from the one they vary, and in which direction."""
    reference, tested = answer.reference, answer.tested
    if reference is None:
        return f"{answer.comparison.against} has no complete run yet, so nothing could be tested."
    if not tested:
        return f"No row could be compared with {reference.label} query by query."
    groups = {
        "significantly lower": [pair for pair in tested if pair[0].significant and pair[1].difference < 0],
        "significantly higher": [pair for pair in tested if pair[0].significant and pair[1].difference > 0],
        "no significant difference": [pair for pair in tested if not pair[0].significant],
    }
    verdicts = [
        f"{verdict}: "
        + ", ".join(f"{row.label} ({test.difference:+.4f}, {both(test.p_value, row.p_holm)})" for row, test in pairs)
        for verdict, pairs in groups.items()
        if pairs
    ]
    value = number(reference.scores[f"item.overall.{PRIMARY_METRIC}.mean"])
    basis = f"{answer.family.phrase}; paired over {tested[0][1].n_queries:,} queries, "
    text = f"Against {reference.label} ({PRIMARY_NAME} {value}), {'; '.join(verdicts)} "
    left_out = f"Not complete yet: {', '.join(answer.pending)}." if answer.pending else ""
    sentences = [f"{text}({basis}{_seeds([test for _, test in tested])}).", _caution(answer), left_out]
    return " ".join(filter(None, sentences))


def _caution(answer: Answer) -> str:
    return caution([row.label for row in answer.rows], answer.unfit)


def _rows(
    against: str, labels: Sequence[str], scores: Mapping[str, Mapping[Any, Any]], tested: Tested
) -> tuple[ComparedRow, ...]:
    made = {label: test for label in labels if (test := pair_test(tested, label, against))}
    corrected = dict(zip(made, holm([test.p_value for test in made.values()]), strict=True))
    return tuple(ComparedRow(label, scores[label], made.get(label), corrected.get(label, 1.0)) for label in labels)


def _seeds(tests: Sequence[PairedComparison]) -> str:
    counts = sorted({len(test.seeds) for test in tests})
    if counts == [1]:
        return "one seed"
    return f"mean of {counts[0]} seeds" if len(counts) == 1 else f"mean of {counts[0]} to {counts[-1]} seeds"
