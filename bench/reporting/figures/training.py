"""Figures of training on one data set: how quickly each row learns, and what quality costs."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from bench.analysis.frames import DatasetFrames
from bench.analysis.leaderboard import MEAN
from bench.conventions import PRIMARY_NAME
from bench.reporting.figures.looks import ModelStyle
from bench.reporting.figures.marks import (
    METRIC_NAME,
    Styles,
    basis,
    figure_of,
    marker,
    models_legend,
    panel_per_row,
)
from bench.reporting.figures.style import count_axis, headline, log_axis

_MOST_IN_ONE_PANEL = 6  # of rows whose learning curves can be told apart where they cross
_HOW_TO_READ = "one line per run (seed); its marker is the best validation, whose state is tested"
_AXES = {
    "fit_seconds": "Training time in seconds (log scale)",
    "milliseconds_per_user": "Milliseconds per user (log scale)",
    "parameters": "Learned parameters (log scale)",
}


def learning_curves(frames: DatasetFrames, styles: Styles) -> Figure | None:
    """Validation quality by time: one line per run, and a panel per row where these are many."""
    known = frames.curves[np.isfinite(frames.curves["validation"])]
    curves = [(str(row), curve) for (row, _), curve in known.groupby(["row", "seed"], sort=False) if len(curve) > 1]
    if not curves:
        return None
    drawn = {row for row, _ in curves}
    labels = [row for row in frames.rows if row in drawn]
    if len(labels) > _MOST_IN_ONE_PANEL:
        figure, panels = _curves_apart(labels, curves, styles)
    else:
        figure, panels = _curves_together(labels, curves, styles)
    top = max(curve["validation"].max() for _, curve in curves)
    for axes in panels:
        log_axis(axes)
        axes.set_ylim(0, 1.08 * max(top, 1e-4))
    others = "; grey: the other models" if len(labels) > _MOST_IN_ONE_PANEL else ""
    headline(figure, f"How quickly each model learns ({frames.dataset})", _HOW_TO_READ + others)
    return figure


def cost(frames: DatasetFrames, styles: Styles) -> Figure | str | None:
    """Quality against training time, answering time and size."""
    rows = frames.leaderboard[frames.leaderboard[MEAN].notna()]
    if rows.empty:
        return None
    if len(rows) == 1:
        return f"No figure: {rows['row'].iloc[0]} is the only row, and the table has its cost."
    figure = figure_of(11.0, 4.2)
    panels = figure.subplots(1, 3, sharey=True)
    for axes, (name, label) in zip(panels, _AXES.items(), strict=True):
        for row in rows.to_dict("records"):
            style = styles[row["row"]]
            order = 3 if style.strong else 2
            axes.plot(row[f"{name}.mean"], row[MEAN], **marker(style), markersize=9, linestyle="none", zorder=order)
        axes.set_xlabel(label)
        axes.margins(x=0.12, y=0.1)
        (count_axis if name == "parameters" else log_axis)(axes)
    panels[0].set_ylim(bottom=0)
    panels[0].set_ylabel(METRIC_NAME)
    models_legend(figure, {row: styles[row] for row in frames.rows if row in set(rows["row"])})
    headline(figure, f"What quality costs ({frames.dataset})", basis(frames, bars=False) + "; upper left is best")
    return figure


def _curves_apart(
    labels: list[str], curves: list[tuple[str, pd.DataFrame]], styles: Styles
) -> tuple[Figure, list[Axes]]:
    """A panel a row, with the curves of the others in grey."""
    figure, panels = panel_per_row(labels)
    for axes, label in zip(panels, labels, strict=True):
        others = [_points(curve, "seconds") for row, curve in curves if row != label]
        axes.add_collection(LineCollection(others, colors="#cccccc", linewidths=0.8, zorder=1))
        for curve in (curve for row, curve in curves if row == label):
            _draw_curve(axes, curve, "seconds", styles[label])
        axes.autoscale_view()
    figure.supxlabel("Seconds since the fit began (log scale)", fontsize="medium")
    figure.supylabel(f"{PRIMARY_NAME} on validation queries", fontsize="medium")
    return figure, panels


def _curves_together(
    labels: list[str], curves: list[tuple[str, pd.DataFrame]], styles: Styles
) -> tuple[Figure, list[Axes]]:
    """A panel by epochs and one by time."""
    figure = figure_of(10.5, 4.6)
    panels = list(figure.subplots(1, 2, sharey=True))
    for row, curve in curves:
        for axes, unit in zip(panels, ("epoch", "seconds"), strict=True):
            _draw_curve(axes, curve, unit, styles[row])
    panels[0].set_xlabel("Epochs of training (log scale)")
    panels[1].set_xlabel("Seconds since the fit began (log scale)")
    panels[0].set_ylabel(f"{PRIMARY_NAME} on validation queries")
    models_legend(figure, {label: styles[label] for label in labels})
    return figure, panels


def _points(curve: pd.DataFrame, unit: str) -> list[tuple[float, float]]:
    return list(zip(curve[unit].tolist(), curve["validation"].tolist(), strict=True))


def _draw_curve(axes: Axes, curve: pd.DataFrame, unit: str, style: ModelStyle) -> None:
    """The learning curve of one run, with a marker at its best validation."""
    points = _points(curve, unit)
    axes.plot(*zip(*points, strict=True), color=style.color, linestyle=style.line, linewidth=1.3, alpha=0.75)
    axes.plot(*max(points, key=lambda point: point[1]), **marker(style), zorder=3)
