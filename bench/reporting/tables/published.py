"""Published figures beside the measured ones: verdicts, what differs where they disagree, and the order of rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby, permutations

from bench.analysis.published import ABOVE, BELOW, TREND, Replication
from bench.number_text import NONE, number, plus_minus
from bench.reporting.markdown import foreign, table


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


def _ordered(members: Sequence[Replication], value: Callable[[Replication], float]) -> str:
    """Rows from the lowest value to the highest."""
    equals = groupby(sorted(members, key=value), key=value)
    return " < ".join(" = ".join(line.row for line in group) for _, group in equals)
