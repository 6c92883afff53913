"""Published figures beside the measured ones: verdicts, what differs where they disagree, and the order of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby, permutations

import numpy as np

from bench.analysis.grid import Grid
from bench.errors import BenchError
from bench.evaluation.evaluator import K_MAX
from bench.evaluation.metrics import compute
from bench.reporting.markdown import NONE, foreign, number, plus_minus, table
from bench.spec import Published, RunResult

REPRODUCED, ABOVE, BELOW, TREND = "reproduced", "above", "below", "trend only"


@dataclass(frozen=True)
class Replication:
    """A published figure, and what was measured of it.

    Attributes:
        row: Label of the row that should reproduce it.
        figure: As the suite has it.
        seeds: The measured metric, one value per complete run.
        problem: Why nothing could be measured. "": nothing stands in the way, but there may be no complete run yet.
    """

    row: str
    figure: Published
    seeds: tuple[float, ...]
    problem: str = ""

    @property
    def metric(self) -> str:
        """The metric's name, with its level where that is not the usual one."""
        return self.figure.metric + (" (SID level)" if self.figure.level == "sid" else "")

    @property
    def mean(self) -> float:
        return float(np.mean(self.seeds)) if self.seeds else np.nan

    @property
    def deviation(self) -> float:
        """Standard deviation over seeds, NaN with fewer than two."""
        return float(np.std(self.seeds, ddof=1)) if len(self.seeds) > 1 else np.nan

    @property
    def difference(self) -> float:
        """Relative to the published value."""
        return self.mean / self.figure.value - 1

    @property
    def verdict(self) -> str:
        """`REPRODUCED`, `ABOVE`, `BELOW` or `TREND`; else why there is none."""
        if self.problem or not self.seeds:
            return self.problem or "not measured"
        if self.figure.tolerance is None:
            return TREND
        if abs(self.difference) <= self.figure.tolerance:
            return REPRODUCED
        return ABOVE if self.difference > 0 else BELOW


def replications(grid: Grid, dataset: str) -> list[Replication]:
    """Every figure that the suite names for a data set, in its order."""
    return [
        _compared(entry.row, figure, grid.of_model(entry.row))
        for entry in grid.suite.models
        for figure in entry.published.get(dataset, ())
    ]


def published_table(found: Sequence[Replication]) -> str | None:
    """Published, measured, difference, tolerance and verdict of each figure. None where the suite names none."""
    rows = [
        [
            line.row,
            foreign(line.metric),
            number(line.figure.value),
            plus_minus(line.mean, line.deviation),
            f"{line.difference:+.1%}" if line.seeds else NONE,
            NONE if line.figure.tolerance is None else f"{line.figure.tolerance:.0%}",
            foreign(line.verdict),
            foreign(line.figure.source),
        ]
        for line in found
    ]
    headers = ["Model", "Metric", "Published", "Measured", "Difference", "Tolerance", "Verdict", "Source"]
    return table(headers, rows, left=2) if rows else None


def reasons(found: Sequence[Replication]) -> str | None:
    """What the suite says of every measured figure that is not reproduced, one line for each row and reason."""
    said: dict[tuple[str, str], list[str]] = {}
    for line in found:
        if line.verdict in (ABOVE, BELOW, TREND):
            said.setdefault((line.row, line.figure.why), []).append(f"{foreign(line.metric)} {line.verdict}")
    lines = [
        f"- **{row}** ({', '.join(verdicts)}): {foreign(why) or 'the suite names no difference in the set-up.'}"
        for (row, why), verdicts in said.items()
    ]
    return "\n".join(lines) or None


def order_of_trends(found: Sequence[Replication]) -> str | None:
    """Whether the rows of figures that only show a trend stand in the published order, a line for each metric.

    None where no metric has two such rows with complete runs and different published values.
    """
    trends = sorted((line for line in found if line.verdict == TREND), key=lambda line: line.metric)
    lines = []
    for metric, group in groupby(trends, key=lambda line: line.metric):
        members = list(group)
        rising = [(low, high) for low, high in permutations(members, 2) if low.figure.value < high.figure.value]
        if not rising:
            continue
        published = _ordered(members, lambda line: line.figure.value)
        kept = all(low.mean < high.mean for low, high in rising)
        same = "in the same order here" if kept else f"here {_ordered(members, lambda line: line.mean)}"
        lines.append(f"- {foreign(metric)}: published {published}; {same}.")
    return "\n".join(lines) or None


def _compared(row: str, figure: Published, results: Iterable[RunResult]) -> Replication:
    try:
        seeds = [float(compute(figure.metric, _ranks(result, figure.level), K_MAX).mean()) for result in results]
    except BenchError as error:
        return Replication(row, figure, (), f"can't be computed: {error}")
    return Replication(row, figure, tuple(seeds))


def _ranks(result: RunResult, level: str) -> np.ndarray:
    assert result.queries is not None  # a complete result has its queries
    return result.queries[f"{level}_rank"].to_numpy()


def _ordered(members: Sequence[Replication], value: Callable[[Replication], float]) -> str:
    """Rows from the lowest value to the highest."""
    equals = groupby(sorted(members, key=value), key=value)
    return " < ".join(" = ".join(line.row for line in group) for _, group in equals)
