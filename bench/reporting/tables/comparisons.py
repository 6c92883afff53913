"""The suite's comparisons as tables and sentences, from the answers of `bench.analysis.comparisons`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.analysis.comparisons import Answer, ComparedRow
from bench.analysis.families import both
from bench.analysis.fitness import mark_of
from bench.analysis.significance import PairedComparison
from bench.conventions import PRIMARY_METRIC, PRIMARY_NAME, SECONDARY_METRIC
from bench.number_text import number
from bench.reporting.blocks import Bullets
from bench.reporting.cautions import caution
from bench.reporting.kinds import COUNT, Interval, MeanStd, mean_std
from bench.reporting.metric_names import column
from bench.reporting.table import Column, Flagged, Table
from bench.reporting.tables.columns import tested_columns
from bench.reporting.words import Words, joined, words

HOW_TO_READ = (
    f"In this and the next comparisons, {PRIMARY_NAME} at item level is tested as above. p is that of the row alone, p "
    "(Holm) is corrected over the tested rows of the table. A difference that is not significant is not thereby zero: "
    "its interval tells what it may be."
)


def comparison_table(answer: Answer) -> Table:
    """Quality, the test, and cost of each row."""
    scores = {f"item.overall.{PRIMARY_METRIC}": PRIMARY_NAME}
    if any(np.isfinite(row.scores[f"sid.overall.{PRIMARY_METRIC}.mean"]) for row in answer.rows):
        scores[f"sid.overall.{PRIMARY_METRIC}"] = f"{PRIMARY_NAME} SID"
    scores[f"item.overall.{SECONDARY_METRIC}"] = column(SECONDARY_METRIC)
    columns = [
        Column("Row"),
        *(Column(name, mean_std()) for name in scores.values()),
        *tested_columns(f"{PRIMARY_NAME} - {answer.comparison.against}"),
        Column("Training, s", mean_std(1)),
        Column("ms per user", mean_std(2)),
        Column("Parameters", COUNT),
    ]
    rows = [
        [
            Flagged(row.label, mark_of([row.label], answer.unfit)),
            *(_over_seeds(row, score) for score in scores),
            *_test(row),
            *(_over_seeds(row, cost) for cost in ("fit_seconds", "milliseconds_per_user")),
            row.scores["parameters.mean"],
        ]
        for row in answer.rows
    ]
    return Table.of("comparison", columns, rows)


def findings(answer: Answer) -> Bullets:
    """What was measured here, and what the paper says where that is known."""
    paper = [f"In the paper: {answer.comparison.paper}"] if answer.comparison.paper else []
    return Bullets((words("Here: ", sentence(answer)), *paper))


def sentence(answer: Answer) -> Words:
    """The answer in words: which rows differ significantly from the one they vary, and in which direction."""
    reference, tested = answer.reference, answer.tested
    if reference is None:
        return words(f"{answer.comparison.against} has no complete run yet, so nothing could be tested.")
    if not tested:
        return words(f"No row could be compared with {reference.label} query by query.")
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
    doubt = caution([row.label for row in answer.rows], answer.unfit)
    return joined(" ", [f"{text}({basis}{_seeds([test for _, test in tested])}).", doubt, left_out])


def _over_seeds(row: ComparedRow, score: str) -> MeanStd:
    return MeanStd(row.scores[f"{score}.mean"], row.scores[f"{score}.std"])


def _test(row: ComparedRow) -> list[object]:
    """The cells of the difference to the row that is varied."""
    if row.test is None:
        return [None] * 4
    return [row.test.difference, Interval(row.test.low, row.test.high), row.test.p_value, row.p_holm]


def _seeds(tests: Sequence[PairedComparison]) -> str:
    counts = sorted({len(test.seeds) for test in tests})
    if counts == [1]:
        return "one seed"
    return f"mean of {counts[0]} seeds" if len(counts) == 1 else f"mean of {counts[0]} to {counts[-1]} seeds"
