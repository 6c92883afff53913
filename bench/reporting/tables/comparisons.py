"""The suite's comparisons as tables and sentences, from the answers of `bench.analysis.comparisons`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.analysis.comparisons import Answer
from bench.analysis.families import both
from bench.analysis.fitness import caution, mark_of
from bench.analysis.significance import PairedComparison
from bench.conventions import PRIMARY_METRIC, PRIMARY_NAME, SECONDARY_METRIC
from bench.number_text import NONE, number, p_cell, plus_minus
from bench.reporting.markdown import foreign, table
from bench.reporting.metric_names import column

HOW_TO_READ = (
    f"In this and the next comparisons, {PRIMARY_NAME} at item level is tested as above. p is that of the row alone, p "
    "(Holm) is corrected over the tested rows of the table. A difference that is not significant is not thereby zero: "
    "its interval tells what it may be."
)


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


def _seeds(tests: Sequence[PairedComparison]) -> str:
    counts = sorted({len(test.seeds) for test in tests})
    if counts == [1]:
        return "one seed"
    return f"mean of {counts[0]} seeds" if len(counts) == 1 else f"mean of {counts[0]} to {counts[-1]} seeds"
