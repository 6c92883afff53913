"""Published figures beside the measured ones: verdicts, what differs where they disagree, and the order of rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby, permutations

from bench.analysis.published import ABOVE, BELOW, TREND, Replication
from bench.reporting.blocks import Bullets, bullets
from bench.reporting.kinds import TEXT, VERDICT, MeanStd, decimals, mean_std, numbers
from bench.reporting.table import Column, Table
from bench.reporting.words import Words, strong

_COLUMNS = (
    Column("Model"),
    Column("Metric"),
    Column("Published", decimals()),
    Column("Measured", mean_std()),
    Column("Difference", numbers("+.1%")),
    Column("Tolerance", numbers(".0%")),
    Column("Verdict", VERDICT),
    Column("Source", TEXT, align="right"),
)


def published_table(found: Sequence[Replication]) -> Table | None:
    """Published, measured, difference, tolerance and verdict of each figure. None where the suite names none."""
    rows = [
        (
            line.row,
            line.metric,
            line.figure.value,
            MeanStd(line.mean, line.deviation),
            line.difference,
            line.figure.tolerance,
            line.verdict,
            line.figure.source,
        )
        for line in found
    ]
    return Table.of("published", _COLUMNS, rows) if rows else None


def reasons(found: Sequence[Replication]) -> Bullets | None:
    """What the suite says of every measured figure that is not reproduced, one line for each row and reason."""
    metrics: dict[tuple[str, str], list[str]] = {}
    for line in found:
        if line.verdict in (ABOVE, BELOW, TREND):
            metrics.setdefault((line.row, line.figure.why), []).append(f"{line.metric} {line.verdict}")
    return bullets([_reason(row, why, verdicts) for (row, why), verdicts in metrics.items()])


def order_of_trends(found: Sequence[Replication]) -> Bullets | None:
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
        agrees = all(low.mean < high.mean for low, high in rising)
        same = "in the same order here" if agrees else f"here {_ordered(members, lambda line: line.mean)}"
        lines.append(f"{metric}: published {published}; {same}.")
    return bullets(lines)


def _reason(row: str, why: str, verdicts: Sequence[str]) -> Words:
    return strong(row) + f" ({', '.join(verdicts)}): {why or 'the suite names no difference in the set-up.'}"


def _ordered(members: Sequence[Replication], value: Callable[[Replication], float]) -> str:
    """Rows from the lowest value to the highest."""
    equals = groupby(sorted(members, key=value), key=value)
    return " < ".join(" = ".join(line.row for line in group) for _, group in equals)
