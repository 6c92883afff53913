"""The suite's comparisons: rows that answer one question together, each tested against the one that they vary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bench.reporting.grid import Grid
from bench.reporting.markdown import NONE, foreign, number, p_cell, plus_minus, table
from bench.reporting.significance import ALPHA, PairedComparison, compare, holm
from bench.spec import Comparison

METRIC = "ndcg@10"
"""Of the tests, at item level: the criterion by which every model was stopped, too."""

HOW_TO_READ = (
    "In this and the next comparisons, NDCG@10 at item level is tested as above, with Holm's correction for the rows "
    "of the table. A difference that is not significant is not thereby zero: its interval tells what it may be."
)


@dataclass(frozen=True)
class ComparedRow:
    """One row of a comparison.

    Attributes:
        label: The row's name.
        scores: Its line of the leaderboard (`LEADERBOARD_COLUMNS`).
        test: Against the row that the comparison names, this row first. None for that row itself, and where the two
            can't be paired.
        p_value: Of the test, with Holm's correction over the rows of the comparison; 1 without a test.
    """

    label: str
    scores: Mapping[Any, Any]
    test: PairedComparison | None = None
    p_value: float = 1.0

    @property
    def significant(self) -> bool:
        return self.p_value < ALPHA


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


def answers(grid: Grid, wide: pd.DataFrame) -> list[Answer]:
    """The suite's comparisons of which at least two rows have complete runs.

    Args:
        grid: Runs on one data set.
        wide: Its leaderboard.
    """
    scores = {str(row["model"]): row for row in wide[wide["complete"] > 0].to_dict("records")}
    found = []
    for comparison in grid.suite.comparisons:
        labels = [label for label in comparison.rows if label in scores]
        if len(labels) >= 2:
            pending = tuple(label for label in comparison.rows if label in grid.models and label not in scores)
            found.append(Answer(comparison, _tested(grid, comparison.against, labels, scores), pending))
    return found


def comparison_table(answer: Answer) -> str:
    """Quality, the test, and cost of each row."""
    sids = any(np.isfinite(row.scores["sid.overall.ndcg@10.mean"]) for row in answer.rows)
    rows = []
    for row in answer.rows:
        scores = row.scores
        test = [NONE] * 3
        if row.test:
            test = [
                f"{row.test.difference:+.4f}",
                f"{row.test.low:+.4f} .. {row.test.high:+.4f}",
                p_cell(row.p_value),
            ]
        rows.append(
            [
                row.label,
                *(
                    plus_minus(scores[f"{column}.mean"], scores[f"{column}.std"])
                    for column in ("item.overall.recall@10", "item.overall.ndcg@10", "sid.overall.ndcg@10")
                    if sids or not column.startswith("sid")
                ),
                *test,
                plus_minus(scores["fit_seconds.mean"], scores["fit_seconds.std"], 1),
                plus_minus(scores["milliseconds_per_user.mean"], scores["milliseconds_per_user.std"], 2),
                f"{scores['parameters.mean']:,.0f}",
            ]
        )
    headers = ["Row", "Recall@10", "NDCG@10", *(["NDCG@10 SID"] if sids else [])]
    headers += [f"NDCG@10 - {answer.comparison.against}", "95 % interval", "p (Holm)"]
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
        f"{verdict}: " + ", ".join(f"{row.label} ({test.difference:+.4f})" for row, test in pairs)
        for verdict, pairs in groups.items()
        if pairs
    ]
    value = number(reference.scores["item.overall.ndcg@10.mean"])
    basis = f"paired over {tested[0][1].n_queries:,} queries, {_seeds([test for _, test in tested])}"
    left_out = f" Not complete yet: {', '.join(answer.pending)}." if answer.pending else ""
    return f"Against {reference.label} (NDCG@10 {value}), {'; '.join(verdicts)} ({basis}).{left_out}"


def _tested(
    grid: Grid, against: str, labels: Sequence[str], scores: Mapping[str, Mapping[Any, Any]]
) -> tuple[ComparedRow, ...]:
    reference = grid.of_model(against)
    tests = {label: compare(grid.of_model(label), reference, METRIC) for label in labels if label != against}
    made = {label: test for label, test in tests.items() if test}
    corrected = dict(zip(made, holm([test.p_value for test in made.values()]), strict=True))
    return tuple(ComparedRow(label, scores[label], made.get(label), corrected.get(label, 1.0)) for label in labels)


def _seeds(tests: Sequence[PairedComparison]) -> str:
    counts = sorted({len(test.seeds) for test in tests})
    if counts == [1]:
        return "one seed"
    return f"mean of {counts[0]} seeds" if len(counts) == 1 else f"mean of {counts[0]} to {counts[-1]} seeds"
