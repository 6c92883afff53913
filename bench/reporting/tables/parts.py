"""The primary metric on parts of the test queries."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pandas as pd

from bench.analysis.grid import Grid
from bench.analysis.leaderboard import by_slice
from bench.conventions import PRIMARY_METRIC
from bench.evaluation.slices import (
    ReachOf,
    Slices,
    category_reach_slices,
    cold_slices,
    column_slices,
    history_length_bins,
    history_length_quarters,
    reach_slices,
)
from bench.reporting.blocks import Block, Paragraph
from bench.reporting.kinds import MeanStd, mean_std
from bench.reporting.table import Column, Table


def reach_table(grid: Grid, of: ReachOf) -> Table | None:
    """By how far back the target (or its category) last occurred. None where all are alike."""
    slicer = reach_slices if of == "item" else category_reach_slices
    title = "Target last occurred in:" if of == "item" else "Target's category last occurred in:"
    return part_table(f"reach-{of}", grid, slicer, title)


def cold_table(grid: Grid) -> Table | None:
    """By how often training met the target. None where it met all of them often."""
    return part_table("cold", grid, cold_slices, "Target in training:")


def history_table(grid: Grid) -> Table | None:
    """By length of the history, in fixed bins. None where all histories are in one."""
    return part_table("history", grid, history_length_bins, "Events before the target:")


def history_quarters_table(grid: Grid) -> Table | None:
    """By quarter of the history lengths. None where all are alike."""
    return part_table("history-quarters", grid, history_length_quarters, "Events before the target, in quarters:")


def column_tables(grid: Grid) -> list[Block]:
    """By each column of the item table that the suite asks for."""
    if not grid.results:
        return []
    blocks: list[Block] = []
    for name in grid.suite.slices:
        table = part_table("item-column", grid, partial(column_slices, column=name), f"Target's {name}:")
        missing = Paragraph(f"{name}: the results hold no such column of the item table, or one value of it.")
        blocks.append(table or missing)
    return blocks


def part_table(name: str, grid: Grid, slicer: Callable[[pd.DataFrame], Slices], title: str) -> Table | None:
    """The primary metric of every model on each part of the queries. None with fewer than two parts.

    Args:
        name: Of the table.
        grid: Runs on one data set.
        slicer: Of `bench.evaluation.slices`.
        title: Heading of the models, which leads over to the parts beside it.
    """
    scores = by_slice(grid, slicer, PRIMARY_METRIC)
    if scores["slice"].nunique() < 2:
        return None
    models = list(dict.fromkeys(scores["model"]))
    columns, values = [Column(title)], [models]
    for part, rows in scores.groupby("slice", sort=False):
        of_models = rows.set_index("model").reindex(models)
        columns.append(Column(f"{part} (n = {rows['queries'].iloc[0]:,})", mean_std(), best="high"))
        values.append(list(map(MeanStd, of_models["mean"], of_models["std"])))
    return Table.of(name, columns, zip(*values, strict=True))
