"""Sentences that follow from decoding traces; differences between rows are described, not tested."""

from __future__ import annotations

import numpy as np
from scipy.stats import norm

from bench.analysis.families import Family, in_words
from bench.analysis.frames import DatasetFrames
from bench.analysis.significance import ALPHA, holm
from bench.number_text import number
from bench.reporting.blocks import Bullets, bullets
from bench.reporting.tables.decoding import Traces
from bench.reporting.tables.questions import questions_of
from bench.reporting.words import Words, strong


def findings(frames: DatasetFrames) -> Bullets | None:
    """Where the rows of each question lose the target, and how the gate goes with what was retrieved."""
    traces = Traces(frames)
    questions = [labels for labels in questions_of(frames) if set(labels) <= set(traces.rows)]
    return bullets([*(_compared(traces, *labels) for labels in questions), *_gate_sentences(traces)])


def _compared(traces: Traces, first: str, second: str) -> Words:
    """One question of the suite, on where the two rows lose the target."""

    def at(metric: str, level: int | None, digits: int) -> str:
        """Both means, at the last level of each row without a level."""
        means = []
        for row in (first, second):
            last = max(traces.levels(row, metric), default=0)
            mean = traces.over_seeds(row, metric, f"level:{level or last}")
            means.append(number(mean.mean if mean else None, digits))
        return " against ".join(means)

    text = strong(f"{first} against {second}") + ": the best ID begins with the target's first code for a share of "
    text += f"{at('prefix-precision', 1, 3)} of the queries; a target still in the beam loses "
    text += f"{at('rank-progression', 2, 2)} places at level 2 and {at('rank-progression', 3, 2)} at level 3; the beam "
    return text + f"ends with a share of {at('survival', None, 3)} of the targets in it."


def _gate_sentences(traces: Traces) -> list[Words]:
    """How the gate goes with what was retrieved, of every row where that is defined; tested as one family."""
    lines = {row: traces.line(row, "gate-correlation") for row in traces.rows}
    known = {row: line.mean for row, line in lines.items() if line.values}
    sizes = {row: int(min(traces.line(row, "median-retrieved").sizes)) for row in known}
    # Without any relation Spearman's coefficient has a standard deviation of 1 / sqrt(n - 1).
    alone = {row: 2 * float(norm.sf(abs(r) * np.sqrt(sizes[row] - 1))) for row, r in known.items()}
    corrected = dict(zip(alone, holm(list(alone.values())), strict=True))
    family = Family("gates", len(known), "gate|gates")
    sentences = []
    for row, r in known.items():
        text = strong(row) + f": gate and number of retrieved events have a rank correlation of {r:+.2f} "
        text += f"(n = {sizes[row]:,}, {in_words(alone[row], corrected[row], family)})"
        course = f": the more is retrieved, the {'wider' if r > 0 else 'less'} the gate opens."
        sentences.append(text + (course if corrected[row] < ALPHA else ", no more than chance may bring about."))
    return sentences
