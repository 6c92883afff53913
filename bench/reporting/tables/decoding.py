"""How decoding goes: tables from the decoding traces of semantic-ID models, and what the paper found beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import zip_longest

import numpy as np
import pandas as pd
from scipy.stats import norm

from bench.analysis.decoding import (
    Measure,
    decoding_of,
    gate_correlation,
    measured_over_seeds,
    of_trace,
    prefix_name,
    training_accuracy,
)
from bench.analysis.families import Family, in_words
from bench.analysis.grid import Grid
from bench.analysis.questions import questions
from bench.analysis.significance import ALPHA, holm
from bench.evaluation.decoding import (
    Levels,
    conditional_rank,
    conditional_sizes,
    forced_accuracy,
    prefix_precision,
    rank_progression,
    survival,
    wrong_first_code,
)
from bench.number_text import number
from bench.reporting.blocks import Bullets, bullets
from bench.reporting.kinds import COUNT, MeanStd, decimals, mean_std, numbers, percent
from bench.reporting.table import Column, Table
from bench.reporting.words import Words, strong
from bench.spec import RunResult


def accuracy_table(grid: Grid) -> Table | None:
    """Accuracy of each level under teacher forcing, in training and on test queries."""
    measures = {"acc_{}, training": training_accuracy, "acc_{}, test": of_trace(forced_accuracy)}
    return _level_table("accuracy-by-level", grid, measures, digits=3)


def prefix_table(grid: Grid) -> Table | None:
    """Prefix precision of the best ID, and the share of targets that are still in the beam."""
    measures = {"P_{}": of_trace(prefix_precision), "In beam after level {}": of_trace(survival)}
    return _level_table("prefixes", grid, measures, digits=3)


def progression_table(grid: Grid) -> Table | None:
    """Both readings of Conditional Rank Progression, with the number of queries behind the first."""
    measures = {
        "Mean rank at level {}": of_trace(conditional_rank),
        "Places lost at level {}": of_trace(rank_progression),
        "n at level {}": of_trace(conditional_sizes),
    }
    return _level_table("rank-progression", grid, measures, digits=2, leave_out={"Places lost at level {}": 1})


def wrong_first_table(grid: Grid) -> Table | None:
    """Rank and accuracy of the target's later codes, given its own first code and given a wrong one."""
    columns = (
        Column("Model"),
        Column("Level", numbers("d")),
        Column("n", COUNT),
        Column("Mean rank, true first code", decimals(2)),
        Column("Mean rank, wrong one", decimals(2)),
        Column("Accuracy, true first code", percent()),
        Column("Accuracy, wrong one", percent()),
    )
    names = ("queries", "mean_rank", "mean_rank_wrong", "accuracy", "accuracy_wrong")
    rows = []
    for model in grid.models:
        frames = pd.concat([wrong_first_code(decoding_of(result)) for result in grid.of_model(model)])
        rows += [(model, level, *(part[name].mean() for name in names)) for level, part in frames.groupby("level")]
    return Table.of("wrong-first-code", columns, rows) if rows else None


def retrieval_table(grid: Grid) -> Table | None:
    """What the search finds for the target's first code, and how the gate goes with it. None without retrieval."""
    columns = (
        Column("Model"),
        Column("Nothing found", percent()),
        Column("Median events, where any", decimals(1)),
        Column("Mean gate, where any", decimals(3)),
        Column("Rank correlation of gate and events", mean_std(2)),
        Column("n, where any", COUNT),
    )
    rows = []
    for model in grid.models:
        results = [result for result in grid.of_model(model) if "retrieved" in decoding_of(result)]
        if results:
            counts = [decoding_of(result)["retrieved"] for result in results]
            traces = [trace[trace["retrieved"] > 0] for trace in map(decoding_of, results)]
            gates = [float(trace["gate"].mean()) for trace in traces if "gate" in trace]
            correlation, deviation = measured_over_seeds(results, gate_correlation)
            rows.append(
                (
                    model,
                    float(np.mean([(events == 0).mean() for events in counts])),
                    float(np.mean([events[events > 0].median() for events in counts])),
                    float(np.mean(gates)) if gates else None,
                    MeanStd(correlation[0], deviation[0]) if len(correlation) else None,
                    np.mean([(events > 0).sum() for events in counts]),
                )
            )
    return Table.of("retrieval", columns, rows) if rows else None


def paper_table(grid: Grid) -> Table | None:
    """What the paper found beside what was measured in the row that comes nearest. None where the suite names nothing.

    Conditional Rank Progression is compared with the places lost; the mean rank, its other reading, stands beside it.
    """
    columns = (
        *("Metric", "In the paper", "Data set", "Row here"),
        Column("Paper", numbers("g")),
        Column("Measured here", mean_std(3)),
        Column("Other reading", mean_std(3)),
        Column("Source", align="right"),
    )
    rows = []
    for finding in grid.suite.paper:
        kind, _, level = finding.metric.partition("@")
        compared, beside = _READINGS[kind]
        measured = _at_level(grid, finding.row, int(level or 1), compared)
        if measured is not None:
            name = _METRIC_NAMES[kind].format(prefix_name(int(level)) if kind == "p" else level)
            value = finding.value if kind != "gate" else ("rises" if finding.value > 0 else "falls")
            other = _at_level(grid, finding.row, int(level or 1), beside)
            rows.append((name, finding.system, finding.dataset, finding.row, value, measured, other, finding.source))
    return Table.of("paper", columns, rows) if rows else None


def findings(grid: Grid) -> Bullets | None:
    """Sentences that follow from the traces; differences between rows are described, not tested."""
    sentences = [_compared(grid, first, second) for first, second in questions(grid)]
    return bullets([*sentences, *_gate_sentences(grid)])


_READINGS: dict[str, tuple[Measure, Measure]] = {
    "acc": (training_accuracy, of_trace(forced_accuracy)),
    "p": (of_trace(prefix_precision), lambda result: None),
    "crp": (of_trace(rank_progression), of_trace(conditional_rank)),
    "gate": (gate_correlation, lambda result: None),
}
"""Which measure a paper's metric is compared with, and the one that stands beside it."""

_METRIC_NAMES = {
    "acc": "acc_{}, training (other reading: test)",
    "p": "P_{}",
    "crp": "CRP_{}: places lost (other reading: mean rank)",
    "gate": "gate by retrieved events: rank correlation",
}


def _at_level(grid: Grid, row: str, level: int, measure: Measure) -> MeanStd | None:
    """None where nothing was measured at the level."""
    mean, std = measured_over_seeds(grid.of_model(row), measure)
    return MeanStd(mean[level - 1], std[level - 1]) if level <= len(mean) and np.isfinite(mean[level - 1]) else None


def _level_table(
    name: str, grid: Grid, measures: dict[str, Measure], digits: int, leave_out: dict[str, int] | None = None
) -> Table | None:
    """Rows by model, for each measure one column per level.

    Args:
        name: Of the table.
        grid: Runs on one data set.
        measures: Heading with a gap for the level -> measure; the level of "P_{}" is written "123".
        digits: Decimals; of counts ("n ...") only the mean is shown, without any.
        leave_out: Heading -> how many of the first levels mean nothing.
    """
    skip, columns = leave_out or {}, [Column("Model")]
    values: list[tuple[object, ...]] = [tuple(grid.models)]
    for heading, measure in measures.items():
        counts = heading.startswith("n ")
        measured = [measured_over_seeds(grid.of_model(model), measure) for model in grid.models]
        of_models = [means if counts else [*map(MeanStd, means, stds)] for means, stds in measured]
        for level, of_level in enumerate(zip_longest(*of_models), start=1):
            if level > skip.get(heading, 0):
                title = heading.format(prefix_name(level) if heading == "P_{}" else level)
                columns.append(Column(title, COUNT if counts else mean_std(digits)))
                values.append(of_level)
    return Table.of(name, columns, zip(*values, strict=True)) if len(columns) > 1 else None


def _compared(grid: Grid, first: str, second: str) -> Words:
    """One question of the suite, on where the two models lose the target."""

    def at(measure: Callable[[pd.DataFrame], Levels], level: int, digits: int) -> str:
        means = [measured_over_seeds(grid.of_model(model), of_trace(measure))[0] for model in (first, second)]
        return " against ".join(number(mean[level] if level < len(mean) else None, digits) for mean in means)

    text = strong(f"{first} against {second}") + ": the best ID begins with the target's first code for a share of "
    text += f"{at(prefix_precision, 0, 3)} of the queries; a target still in the beam loses "
    text += f"{at(rank_progression, 1, 2)} places at level 2 and {at(rank_progression, 2, 2)} at level 3; the beam "
    return text + f"ends with a share of {at(survival, -1, 3)} of the targets in it."


def _gate_sentences(grid: Grid) -> list[Words]:
    """How the gate goes with what was retrieved, of every model where that is defined; tested as one family."""
    seeds = {model: measured_over_seeds(grid.of_model(model), gate_correlation)[0] for model in grid.models}
    known = {model: float(means[0]) for model, means in seeds.items() if len(means)}
    sizes = {model: min(_with_events(grid.of_model(model))) for model in known}
    # Without any relation Spearman's coefficient has a standard deviation of 1 / sqrt(n - 1).
    alone = {model: 2 * float(norm.sf(abs(r) * np.sqrt(sizes[model] - 1))) for model, r in known.items()}
    corrected = dict(zip(alone, holm(list(alone.values())), strict=True))
    family = Family("gates", len(known), "gate|gates")
    sentences = []
    for model, r in known.items():
        text = strong(model) + f": gate and number of retrieved events have a rank correlation of {r:+.2f} "
        text += f"(n = {sizes[model]:,}, {in_words(alone[model], corrected[model], family)})"
        course = f": the more is retrieved, the {'wider' if r > 0 else 'less'} the gate opens."
        sentences.append(text + (course if corrected[model] < ALPHA else ", no more than chance may bring about."))
    return sentences


def _with_events(results: Iterable[RunResult]) -> list[int]:
    """Of each result that tells of retrieval: the queries for which something was retrieved."""
    traces = map(decoding_of, results)
    return [int((trace["retrieved"] > 0).sum()) for trace in traces if "retrieved" in trace]
