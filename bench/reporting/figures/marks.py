"""What the figures of results have in common: marks, legends, panels, and what a figure is measured on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.analysis.frames import DatasetFrames
from bench.conventions import PRIMARY_NAME
from bench.reporting.figures.looks import ModelStyle, Styles

METRIC_NAME = f"{PRIMARY_NAME} on test queries, item level"


def figure_of(width: float, height: float) -> Figure:
    """An empty figure, in inches."""
    return Figure(figsize=(width, height), layout="constrained")


def panel_grid(number: int, columns: int, width: float, line: float, sharex: bool = False) -> tuple[Figure, list[Axes]]:
    """So many panels in lines below each other, with a common y axis; the last line may be shorter.

    Args:
        number: Of panels.
        columns: Panels in a line at most.
        width: Of the figure, in inches.
        line: Height of a line, in inches.
        sharex: Whether they have a common x axis, too.
    """
    columns = min(columns, number)
    lines = -(-number // columns)
    figure = figure_of(width, line * lines + 0.8)
    panels = figure.subplots(lines, columns, sharex=sharex, sharey=True, squeeze=False).flatten().tolist()
    for axes in panels[number:]:
        axes.set_visible(False)
    return figure, panels[:number]


def against_others(axes: Axes, own: pd.DataFrame, others: Iterable[pd.DataFrame], style: ModelStyle) -> None:
    """One row in its colour, with error bars, before the others in grey.

    Args:
        axes: The panel of the row.
        own: With the columns x, mean and std.
        others: Likewise.
        style: Of the row.
    """
    lines = [other[["x", "mean"]].to_numpy() for other in others]
    axes.add_collection(LineCollection(lines, colors="#cccccc", linewidths=1, zorder=1))
    axes.errorbar(
        own["x"],
        own["mean"],
        yerr=own["std"].fillna(0),
        color=style.color,
        marker=style.marker,
        capsize=3,
        linewidth=2,
    )


def panel_per_row(rows: Sequence[str]) -> tuple[Figure, list[Axes]]:
    """A grid of panels with common axes, each titled with its row; the lowest of each column carries the ticks."""
    columns = min(3 if len(rows) <= 12 else 4, len(rows))
    figure, panels = panel_grid(len(rows), columns, width=3.1 * columns + 0.6, line=2.1, sharex=True)
    for axes, row in zip(panels, rows, strict=True):
        axes.set_title(row)
    for axes in panels[-columns:]:
        axes.xaxis.set_tick_params(labelbottom=True)
    return figure, panels


def marker(style: ModelStyle) -> dict[str, Any]:
    """How a point of a row looks, as arguments of matplotlib."""
    return {"color": style.color, "marker": style.marker, "markeredgecolor": "white", "markeredgewidth": 0.6}


def dot(axes: Axes, x: float, y: float, std: float, style: ModelStyle, filled: bool) -> None:
    """A point with its deviation along the x axis; what is compared with it is not filled."""
    axes.errorbar(
        x,
        y,
        xerr=np.nan_to_num(std),
        color=style.color,
        marker=style.marker,
        markerfacecolor=style.color if filled else "white",
        markeredgewidth=1.5,
        capsize=3,
        zorder=3 if filled else 2,
    )


def from_zero(axes: Axes) -> None:
    """An x axis from 0 on which no mark touches the frame."""
    largest = max(float(axes.dataLim.x1), 1e-4)
    axes.set_xlim(-0.02 * largest, 1.04 * largest)


def models_legend(figure: Figure, styles: Styles) -> None:
    """Names the rows beside the panels."""
    handles = [Line2D([], [], **marker(style), linestyle=style.line, label=row) for row, style in styles.items()]
    figure.legend(handles=handles, loc="outside right center", frameon=False, handlelength=3.5)


def basis(frames: DatasetFrames, labels: Sequence[str] | None = None, bars: bool = True) -> str:
    """What the figure is measured on: queries and seeds, and what its error bars are.

    Args:
        frames: Of a data set with complete runs.
        labels: The rows of the figure; None: all.
        bars: Whether there are error bars.
    """
    seeds = frames.seeds
    return basis_in_words(frames.n_queries, [seeds[label] for label in labels or seeds], bars)


def basis_in_words(queries: int, seeds: Sequence[int], bars: bool = True) -> str:
    """The same of so many test queries, and so many seeds of each row."""
    counts = set(seeds)
    if counts == {1}:
        return f"n = {queries:,} test queries; one seed"
    several = f"{max(counts)}" if len(counts) == 1 else f"{min(counts)} to {max(counts)}"
    text = f"n = {queries:,} test queries; mean of {several} seeds"
    return f"{text}, bars: ± 1 standard deviation over seeds" if bars else text
