"""The primary metric on parts of the test queries."""

from __future__ import annotations

from typing import Literal

from bench.analysis.frames import DatasetFrames
from bench.reporting.blocks import Block, Paragraph
from bench.reporting.kinds import MeanStd, mean_std
from bench.reporting.table import Column, Table
from bench.reporting.tables.questions import REACH


def reach_table(frames: DatasetFrames, of: Literal["item", "category"]) -> Table | None:
    """By how far back the target (or its category) last occurred. None where all are alike."""
    if of == "item":
        return part_table(frames, "reach", "Target last occurred in:")
    return part_table(frames, "category-reach", "Target's category last occurred in:")


def cold_table(frames: DatasetFrames) -> Table | None:
    """By how often training met the target. None where it met all of them often."""
    return part_table(frames, "cold", "Target in training:")


def history_table(frames: DatasetFrames) -> Table | None:
    """By length of the history, in fixed bins. None where all histories are in one."""
    return part_table(frames, "history", "Events before the target:")


def history_quarters_table(frames: DatasetFrames) -> Table | None:
    """By quarter of the history lengths. None where all are alike."""
    return part_table(frames, "history-quarter", "Events before the target, in quarters:")


def column_tables(frames: DatasetFrames) -> list[Block]:
    """By each column of the item table that the suite asks for; none before any run is complete."""
    if not frames.n_queries:
        return []
    return [_column_table(frames, name) for name in frames.item_columns]


def _column_table(frames: DatasetFrames, name: str) -> Block:
    missing = f"{name}: the results hold no such column of the item table, or one value of it."
    return part_table(frames, f"item.{name}", f"Target's {name}:") or Paragraph(missing)


def part_table(frames: DatasetFrames, family: str, title: str) -> Table | None:
    """The primary metric of every row on each part of the queries. None with fewer than two parts.

    Args:
        frames: Of a data set.
        family: How queries are divided, as in the frame of slices.
        title: Heading of the rows, which leads over to the parts beside it.
    """
    scores = frames.slices[frames.slices["family"] == family]
    if scores["part"].nunique() < 2:
        return None
    labels = list(dict.fromkeys(scores["row"]))
    columns, values = [Column(title)], [labels]
    for part, rows in scores.groupby("part", sort=False):
        name = REACH.get(str(part), part) if family.endswith("reach") else part
        of_rows = rows.set_index("row").reindex(labels)
        columns.append(Column(f"{name} (n = {rows['queries'].iloc[0]:,})", mean_std(), best="high"))
        values.append(list(map(MeanStd, of_rows["mean"], of_rows["std"])))
    return Table.of(family, columns, zip(*values, strict=True))
