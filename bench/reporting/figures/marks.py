"""What the figures of results have in common: marks, legends, panels, and what a figure is measured on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.analysis.frames import DatasetFrames
from bench.conventions import PRIMARY_NAME
from bench.reporting.figures.style import ModelStyle

Styles = Mapping[str, ModelStyle]
"""Label of a row -> its look."""

METRIC_NAME = f"{PRIMARY_NAME} on test queries, item level"


def figure_of(width: float, height: float) -> Figure:
    """An empty figure, in inches."""
    return Figure(figsize=(width, height), layout="constrained")


def panel_per_row(rows: Sequence[str]) -> tuple[Figure, list[Axes]]:
    """A grid of panels with common axes, each titled with its row; the lowest of each column carries the ticks."""
    columns = min(3 if len(rows) <= 12 else 4, len(rows))
    lines = -(-len(rows) // columns)
    figure = figure_of(3.1 * columns + 0.6, 2.1 * lines + 0.7)
    panels = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
    for index, axes in enumerate(panels.flat):
        axes.set_visible(index < len(rows))
        if index < len(rows) <= index + columns:
            axes.xaxis.set_tick_params(labelbottom=True)
    shown = list(panels.flat)[: len(rows)]
    for axes, row in zip(shown, rows, strict=True):
        axes.set_title(row)
    return figure, shown


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
