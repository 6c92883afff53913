"""How decoding goes: tables from the decoding traces of semantic-ID models, and what the paper found beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np

from bench.analysis.decoding import prefix_name
from bench.analysis.frames import DatasetFrames
from bench.reporting.kinds import COUNT, MeanStd, decimals, mean_std, numbers, percent
from bench.reporting.table import Column, Table


@dataclass(frozen=True)
class Line:
    """A measure of a row at one part of the trace: its values and the queries behind them, one a seed."""

    values: tuple[float, ...] = ()
    sizes: tuple[float, ...] = ()

    @property
    def mean(self) -> float:
        return float(np.mean(self.values)) if self.values else np.nan

    @property
    def size(self) -> float:
        """Mean number of queries."""
        return float(np.mean(self.sizes)) if self.sizes else np.nan


class Traces:
    """The frame of decoding, by row, measure and part.

    Attributes:
        rows: The rows that left a trace, in the order of the plan.
    """

    def __init__(self, frames: DatasetFrames) -> None:
        lines: dict[tuple[str, str], dict[str, list[tuple[float, float]]]] = {}
        names = ["row", "metric", "part", "value", "n"]
        for row, metric, part, value, n in frames.decoding[names].itertuples(index=False, name=None):
            lines.setdefault((row, metric), {}).setdefault(part, []).append((value, n))
        traced = {row for row, _ in lines}
        self.rows = [row for row in frames.rows if row in traced]
        self._lines = {
            key: {part: Line(*zip(*seeds, strict=True)) for part, seeds in parts.items()}
            for key, parts in lines.items()
        }

    def line(self, row: str, metric: str, part: str = "overall") -> Line:
        """A measure; without values where the row has none."""
        return self._lines.get((row, metric), {}).get(part, Line())

    def over_seeds(self, row: str, metric: str, part: str = "overall") -> MeanStd | None:
        """A measure over seeds; None where the row has none, or not with every seed."""
        values = self.line(row, metric, part).values
        most = max((len(line.values) for line in self._lines.get((row, metric), {}).values()), default=0)
        if not values or len(values) < most or np.isnan(values).any():
            return None
        return MeanStd(float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else np.nan)

    def levels(self, row: str, metric: str) -> list[int]:
        """The levels at which a row has a measure."""
        parts = self._lines.get((row, metric), {})
        return sorted(int(part.removeprefix("level:")) for part in parts if part.startswith("level:"))


def accuracy_table(frames: DatasetFrames) -> Table | None:
    """Accuracy of each level under teacher forcing, in training and on test queries."""
    metrics = {"acc_{}, training": "training-accuracy", "acc_{}, test": "accuracy"}
    return _level_table("accuracy-by-level", frames, metrics, digits=3)


def prefix_table(frames: DatasetFrames) -> Table | None:
    """Prefix precision of the best ID, and the share of targets that are still in the beam."""
    metrics = {_PREFIX: "prefix-precision", "In beam after level {}": "survival"}
    return _level_table("prefixes", frames, metrics, digits=3)


def progression_table(frames: DatasetFrames) -> Table | None:
    """Both readings of Conditional Rank Progression, with the number of queries behind the first."""
    metrics = {
        "Mean rank at level {}": "conditional-rank",
        "Places lost at level {}": "rank-progression",
        "n at level {}": "conditional-rank",
    }
    return _level_table("rank-progression", frames, metrics, digits=2)


def wrong_first_table(frames: DatasetFrames) -> Table | None:
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
    measures = [f"{what}-after-{code}-first" for what in ("rank", "accuracy") for code in ("true", "wrong")]
    traces, rows = Traces(frames), []
    for row in traces.rows:
        for level in traces.levels(row, measures[0]):
            lines = [traces.line(row, measure, f"level:{level}") for measure in measures]
            rows.append((row, level, lines[0].size, *(line.mean for line in lines)))
    return Table.of("wrong-first-code", columns, rows) if rows else None


def retrieval_table(frames: DatasetFrames) -> Table | None:
    """What the search finds for the target's first code, and how the gate goes with it. None without retrieval."""
    columns = (
        Column("Model"),
        Column("Nothing found", percent()),
        Column("Median events, where any", decimals(1)),
        Column("Mean gate, where any", decimals(3)),
        Column("Rank correlation of gate and events", mean_std(2)),
        Column("n, where any", COUNT),
    )
    measures = ("nothing-retrieved", "median-retrieved", "gate")
    traces, rows = Traces(frames), []
    for row in traces.rows:
        lines = [traces.line(row, measure) for measure in measures]
        if lines[0].values:
            correlation = traces.over_seeds(row, "gate-correlation")
            rows.append((row, *(line.mean for line in lines), correlation, lines[1].size))
    return Table.of("retrieval", columns, rows) if rows else None


def paper_table(frames: DatasetFrames) -> Table | None:
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
    traces, rows = Traces(frames), []
    for finding in frames.paper.to_dict("records"):
        kind, _, level = finding["metric"].partition("@")
        part = f"level:{level}" if level else "overall"
        measured, other = (traces.over_seeds(finding["row"], metric, part) for metric in _READINGS[kind])
        if measured is not None:
            name = _METRIC_NAMES[kind].format(prefix_name(int(level)) if kind == "p" else level)
            value = finding["value"] if kind != "gate" else ("rises" if finding["value"] > 0 else "falls")
            paper = (name, finding["system"], finding["of"], finding["row"], value)
            rows.append((*paper, measured, other, finding["source"]))
    return Table.of("paper", columns, rows) if rows else None


_PREFIX = "P_{}"
_READINGS = {
    "acc": ("training-accuracy", "accuracy"),
    "p": ("prefix-precision", ""),
    "crp": ("rank-progression", "conditional-rank"),
    "gate": ("gate-correlation", ""),
}
"""Which measure a paper's metric is compared with, and the one that stands beside it."""

_METRIC_NAMES = {
    "acc": "acc_{}, training (other reading: test)",
    "p": "P_{}",
    "crp": "CRP_{}: places lost (other reading: mean rank)",
    "gate": "gate by retrieved events: rank correlation",
}


def _level_table(name: str, frames: DatasetFrames, metrics: Mapping[str, str], digits: int) -> Table | None:
    """One row's measures a line, for each measure one column per level.

    Args:
        name: Of the table.
        frames: Of a data set.
        metrics: Heading with a gap for the level -> metric; the level of "P_{}" is written "123". Under "n ..." stands
            the number of queries behind the metric. Places are lost from the second level on.
        digits: Decimals.
    """
    traces = Traces(frames)
    columns: list[Column] = [Column("Model")]
    values: list[Sequence[object]] = [traces.rows]
    for heading, metric in metrics.items():
        counts = heading.startswith("n ")
        levels = [_of_levels(traces, row, metric, counts) for row in traces.rows]
        for level, of_level in enumerate(zip_longest(*levels), start=1):
            if level > 1 or metric != "rank-progression":
                title = heading.format(prefix_name(level) if heading == _PREFIX else level)
                columns.append(Column(title, COUNT if counts else mean_std(digits)))
                values.append(of_level)
    return Table.of(name, columns, zip(*values, strict=True)) if len(columns) > 1 else None


def _of_levels(traces: Traces, row: str, metric: str, counts: bool) -> list[MeanStd | float | None]:
    """The values of a row by level, from the first; with `counts` the queries behind them."""
    parts = [f"level:{level}" for level in range(1, max(traces.levels(row, metric), default=0) + 1)]
    return [traces.line(row, metric, part).size if counts else traces.over_seeds(row, metric, part) for part in parts]
