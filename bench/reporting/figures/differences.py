"""Differences of rows to one of them, with paired intervals: how rows are compared in every figure of one data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from bench.analysis.frames import DatasetFrames
from bench.conventions import PRIMARY_NAME
from bench.reporting.figures.looks import ModelStyle, Styles
from bench.reporting.figures.marks import basis, figure_of
from bench.reporting.figures.style import GREY, headline, model_axis

INTERVALS = "bars: 95 % intervals of differences paired over queries and seeds"
_ONE_SCALE = 6
"""Panels share their scale unless the widest spans more than this many times the narrowest."""


def draw_differences(axes: Axes, lines: pd.DataFrame, rows: Sequence[str], styles: Styles) -> None:
    """Rows downwards, each with its difference and the interval of it, beside a line at 0.

    Args:
        axes: The panel.
        lines: With the columns row, difference, low, high and filled.
        rows: Labels from top to bottom.
        styles: Of the rows.
    """
    axes.axvline(0, color=GREY, linewidth=1.2, zorder=1)
    lines = lines[lines["difference"].notna()]
    places = [rows.index(row) for row in lines["row"]]
    axes.hlines(places, lines["low"], lines["high"], colors=[styles[row].color for row in lines["row"]], linewidth=1.8)
    for line, place in zip(lines.to_dict("records"), places, strict=True):
        point(axes, line["difference"], place, styles[line["row"]], bool(line["filled"]))
    model_axis(axes, rows, styles)
    axes.margins(x=0.08)
    axes.xaxis.set_major_locator(MaxNLocator(4))


def point(axes: Axes, x: float, y: float, style: ModelStyle, filled: bool, size: float = 7) -> None:
    """A mark without a bar."""
    face = style.color if filled else "white"
    look: dict[str, Any] = {"color": style.color, "marker": style.marker, "markerfacecolor": face, "markersize": size}
    axes.plot(x, y, markeredgewidth=1.5, zorder=3, **look)


def fill_legend(figure: Figure, entries: Mapping[str, bool], columns: int = 2) -> None:
    """What filled and hollow marks are."""
    handles = [
        Line2D([], [], color=GREY, marker="o", linestyle="none", markerfacecolor=GREY if full else "white", label=text)
        for text, full in entries.items()
    ]
    figure.legend(handles=handles, loc="outside lower left", frameon=False, ncols=columns, handletextpad=0.3)


def part_figure(
    frames: DatasetFrames, styles: Styles, family: str, names: Mapping[str, str], title: str
) -> Figure | str | None:
    """The difference of every row to the best baseline on each part of the queries, a panel a part.

    Args:
        frames: Of a data set.
        styles: Of the rows.
        family: Of the parts, as in `frames.part_differences`.
        names: What the figure calls the parts that it does not call by their names.
        title: In plain words.

    Returns:
        A sentence where one row alone has something to show; None where the queries have no such parts.
    """
    shown = frames.part_differences[frames.part_differences["family"] == family]
    if shown.empty:
        return _alone(frames, family)
    against = str(shown["against"].iloc[0])
    rows, parts = list(dict.fromkeys(shown["row"])), _in_order(frames, family, shown)
    shown = shown.assign(filled=(shown["low"] > 0) | (shown["high"] < 0))
    one_scale = _alike(shown)
    figure = figure_of(2.4 + (2.9 if len(parts) < 4 else 2.25) * len(parts), 1.9 + 0.3 * len(rows))
    panels = figure.subplots(1, len(parts), sharey=True, sharex=one_scale, squeeze=False)[0]
    for axes, part in zip(panels, parts, strict=True):
        lines = shown[shown["part"] == part]
        draw_differences(axes, lines, rows, styles)
        level = lines["against_mean"].median()
        axes.set_title(f"{names.get(part, part)}\nn = {lines['n_queries'].max():,}; {against}: {level:.4f}", fontsize=9)
    figure.supxlabel(
        f"{PRIMARY_NAME} minus that of {against}" + ("" if one_scale else " (each panel has its own scale)"),
        fontsize="medium",
    )
    measured = basis(frames, [*rows, against], bars=False)
    headline(figure, f"{title} ({frames.dataset})", f"{measured}; {INTERVALS}; filled: 0 is outside")
    return figure


def _in_order(frames: DatasetFrames, family: str, shown: pd.DataFrame) -> list[str]:
    """The parts that are shown, in the order of the tables."""
    order = frames.slices.loc[frames.slices["family"] == family, "part"]
    return [part for part in dict.fromkeys([*order, *shown["part"]]) if part in set(shown["part"])]


def _alike(shown: pd.DataFrame) -> bool:
    """Whether the panels can share one scale."""
    spans = shown.groupby("part")[["low", "high"]].agg({"low": "min", "high": "max"})
    widths = spans["high"].clip(lower=0) - spans["low"].clip(upper=0)
    return bool(widths.max() <= _ONE_SCALE * max(widths.min(), 1e-12))


def _alone(frames: DatasetFrames, family: str) -> str | None:
    """What a figure of one row would show, in words."""
    scores = frames.slices[frames.slices["family"] == family]
    if scores["part"].nunique() < 2 or scores["row"].nunique() != 1 or not np.isfinite(scores["mean"]).all():
        return None
    return f"No figure: {scores['row'].iloc[0]} is the only row here, so that there is no difference to show."
