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
from bench.number_text import NONE, number, percent, plus_minus
from bench.reporting.markdown import foreign, table
from bench.spec import RunResult


def accuracy_table(grid: Grid) -> str | None:
    """Accuracy of each level under teacher forcing, in training and on test queries."""
    measures = {"acc_{}, training": training_accuracy, "acc_{}, test": of_trace(forced_accuracy)}
    return _level_table(grid, measures, digits=3)


def prefix_table(grid: Grid) -> str | None:
    """Prefix precision of the best ID, and the share of targets that are still in the beam."""
    measures = {"P_{}": of_trace(prefix_precision), "In beam after level {}": of_trace(survival)}
    return _level_table(grid, measures, digits=3)


def progression_table(grid: Grid) -> str | None:
    """Both readings of Conditional Rank Progression, with the number of queries behind the first."""
    measures = {
        "Mean rank at level {}": of_trace(conditional_rank),
        "Places lost at level {}": of_trace(rank_progression),
        "n at level {}": of_trace(conditional_sizes),
    }
    return _level_table(grid, measures, digits=2, leave_out={"Places lost at level {}": 1})


def wrong_first_table(grid: Grid) -> str | None:
    """Rank and accuracy of the target's later codes, given its own first code and given a wrong one."""
    rows = []
    for model in grid.models:
        frames = pd.concat([wrong_first_code(decoding_of(result)) for result in grid.of_model(model)])
        for level, part in frames.groupby("level"):
            cells = [number(part[name].mean(), 2) for name in ("mean_rank", "mean_rank_wrong")]
            cells += [percent(part[name].mean()) for name in ("accuracy", "accuracy_wrong")]
            rows.append([model, str(level), f"{part['queries'].mean():,.0f}", *cells])
    if not rows:
        return None
    headers = ["Model", "Level", "n", "Mean rank, true first code", "Mean rank, wrong one"]
    return table([*headers, "Accuracy, true first code", "Accuracy, wrong one"], rows)


def retrieval_table(grid: Grid) -> str | None:
    """What the search finds for the target's first code, and how the gate goes with it. None without retrieval."""
    rows = []
    for model in grid.models:
        results = [result for result in grid.of_model(model) if "retrieved" in decoding_of(result)]
        if results:
            found = [decoding_of(result)["retrieved"] for result in results]
            some = [trace[trace["retrieved"] > 0] for trace in map(decoding_of, results)]
            gates = [float(trace["gate"].mean()) for trace in some if "gate" in trace]
            correlation, deviation = measured_over_seeds(results, gate_correlation)
            rows.append(
                [
                    model,
                    percent(float(np.mean([(events == 0).mean() for events in found]))),
                    number(float(np.mean([events[events > 0].median() for events in found])), 1),
                    number(float(np.mean(gates)), 3) if gates else NONE,
                    plus_minus(correlation[0], deviation[0], 2) if len(correlation) else NONE,
                    f"{np.mean([(events > 0).sum() for events in found]):,.0f}",
                ]
            )
    if not rows:
        return None
    headers = ["Model", "Nothing found", "Median events, where any", "Mean gate, where any"]
    return table([*headers, "Rank correlation of gate and events", "n, where any"], rows)


def paper_table(grid: Grid) -> str | None:
    """What the paper found beside what was measured in the row that comes nearest. None where the suite names nothing.

    Conditional Rank Progression is compared with the places lost; the mean rank, its other reading, stands beside it.
    """
    rows = []
    for finding in grid.suite.paper:
        kind, _, level = finding.metric.partition("@")
        compared, beside = _READINGS[kind]
        measured = _at_level(grid, finding.row, int(level or 1), compared)
        if measured != NONE:
            name = _METRIC_NAMES[kind].format(prefix_name(int(level)) if kind == "p" else level)
            value = f"{finding.value:g}" if kind != "gate" else ("rises" if finding.value > 0 else "falls")
            other = _at_level(grid, finding.row, int(level or 1), beside)
            paper = [name, foreign(finding.system), foreign(finding.dataset), finding.row, value]
            rows.append([*paper, measured, other, foreign(finding.source)])
    if not rows:
        return None
    headers = ["Metric", "In the paper", "Data set", "Row here", "Paper", "Measured here", "Other reading", "Source"]
    return table(headers, rows, left=4)


def findings(grid: Grid) -> str | None:
    """Sentences that follow from the traces; differences between rows are described, not tested."""
    sentences = [_compared(grid, first, second) for first, second in questions(grid)]
    sentences += _gate_sentences(grid)
    return "\n".join(f"- {sentence}" for sentence in sentences) or None


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


def _at_level(grid: Grid, row: str, level: int, measure: Measure) -> str:
    mean, std = measured_over_seeds(grid.of_model(row), measure)
    return plus_minus(mean[level - 1], std[level - 1], 3) if level <= len(mean) else NONE


def _level_table(
    grid: Grid, measures: dict[str, Measure], digits: int, leave_out: dict[str, int] | None = None
) -> str | None:
    """Rows by model, for each measure one column per level.

    Args:
        grid: Runs on one data set.
        measures: Column name with a place for the level -> measure; the level of "P_{}" is written "123".
        digits: Decimals; of counts ("n ...") only the mean is shown, without any.
        leave_out: Column name -> how many of the first levels mean nothing.
    """
    skip, headers = leave_out or {}, ["Model"]
    columns: list[list[str]] = []
    models = grid.models
    for name, measure in measures.items():
        cells = [_cells(measured_over_seeds(grid.of_model(model), measure), name, digits) for model in models]
        by_level = list(zip_longest(*cells, fillvalue=NONE))
        for level in range(1 + skip.get(name, 0), len(by_level) + 1):
            headers.append(name.format(prefix_name(level) if name == "P_{}" else level))
            columns.append(list(by_level[level - 1]))
    return table(headers, list(zip(models, *columns, strict=True))) if columns else None


def _cells(measured: tuple[Levels, Levels], name: str, digits: int) -> list[str]:
    if name.startswith("n "):
        return [f"{mean:,.0f}" for mean in measured[0]]
    return [plus_minus(mean, std, digits) for mean, std in zip(*measured, strict=True)]


def _compared(grid: Grid, first: str, second: str) -> str:
    """One question of the suite, on where the two models lose the target."""

    def at(measure: Callable[[pd.DataFrame], Levels], level: int, digits: int) -> str:
        means = [measured_over_seeds(grid.of_model(model), of_trace(measure))[0] for model in (first, second)]
        return " against ".join(number(mean[level] if level < len(mean) else None, digits) for mean in means)

    text = f"**{first} against {second}**: the best ID begins with the target's first code for a share of "
    text += f"{at(prefix_precision, 0, 3)} of the queries; a target still in the beam loses "
    text += f"{at(rank_progression, 1, 2)} places at level 2 and {at(rank_progression, 2, 2)} at level 3; the beam "
    return f"{text}ends with a share of {at(survival, -1, 3)} of the targets in it."


def _gate_sentences(grid: Grid) -> list[str]:
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
        text = f"**{model}**: gate and number of retrieved events have a rank correlation of {r:+.2f} "
        text += f"(n = {sizes[model]:,}, {in_words(alone[model], corrected[model], family)})"
        course = f": the more is retrieved, the {'wider' if r > 0 else 'less'} the gate opens."
        sentences.append(text + (course if corrected[model] < ALPHA else ", no more than chance may bring about."))
    return sentences


def _with_events(results: Iterable[RunResult]) -> list[int]:
    """Of each result that tells of retrieval: the queries for which something was retrieved."""
    traces = map(decoding_of, results)
    return [int((trace["retrieved"] > 0).sum()) for trace in traces if "retrieved" in trace]
