"""Published figures beside the measured ones: verdicts, what differs where they disagree, and the order of rows."""

from __future__ import annotations

from itertools import permutations

import pandas as pd

from bench.analysis.frames import DatasetFrames
from bench.analysis.published import ABOVE, BELOW, TREND
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


def published_table(frames: DatasetFrames) -> Table | None:
    """Published, measured, difference, tolerance and verdict of each figure. None where the suite names none."""
    rows = [
        (
            line["row"],
            line["metric"],
            line["published"],
            MeanStd(line["mean"], line["std"]),
            line["difference"],
            line["tolerance"],
            line["verdict"],
            line["source"],
        )
        for line in _of_ranking(frames).to_dict("records")
    ]
    return Table.of("published", _COLUMNS, rows) if rows else None


def reasons(frames: DatasetFrames) -> Bullets | None:
    """What the suite says of every measured figure that is not reproduced, one line for each row and reason."""
    lines = _of_ranking(frames)
    lines = lines[lines["verdict"].isin([ABOVE, BELOW, TREND])]
    return bullets(
        [
            _reason(row, why, (group["metric"] + " " + group["verdict"]).tolist())
            for (row, why), group in lines.groupby(["row", "why"], sort=False)
        ]
    )


def order_of_trends(frames: DatasetFrames) -> Bullets | None:
    """Whether the rows of figures that only show a trend stand in the published order, a line for each metric.

    None where no metric has two such rows with complete runs and different published values.
    """
    lines = _of_ranking(frames)
    sentences = []
    for metric, group in lines[lines["verdict"] == TREND].groupby("metric", sort=True):
        pairs = permutations(group[["published", "mean"]].itertuples(index=False, name=None), 2)
        rising = [(low, high) for low, high in pairs if low[0] < high[0]]
        if not rising:
            continue
        agrees = all(low[1] < high[1] for low, high in rising)
        same = "in the same order here" if agrees else f"here {_ordered(group, 'mean')}"
        sentences.append(f"{metric}: published {_ordered(group, 'published')}; {same}.")
    return bullets(sentences)


def _of_ranking(frames: DatasetFrames) -> pd.DataFrame:
    """The figures of ranking, with the level in the metric's name where it is not the usual one."""
    lines = frames.published[frames.published["level"] != "decoding"]
    # In pandas 3.0 a mapped column without rows is no column of words, and can't be added to one.
    named = lines["metric"].where(lines["level"] != "sid", lines["metric"] + " (SID level)")
    return lines.assign(metric=named)


def _reason(row: str, why: str, verdicts: list[str]) -> Words:
    return strong(row) + f" ({', '.join(verdicts)}): {why or 'the suite names no difference in the set-up.'}"


def _ordered(lines: pd.DataFrame, column: str) -> str:
    """Rows from the lowest value to the highest."""
    ordered = lines.sort_values(column, kind="stable").groupby(column, sort=True)["row"]
    return " < ".join(" = ".join(rows) for _, rows in ordered)
