"""The figure of a comparison: some rows beside the one that they vary."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.analysis.frames import DatasetFrames
from bench.analysis.leaderboard import MEAN, STD
from bench.analysis.significance import ALPHA
from bench.reporting.figures.marks import METRIC_NAME, Styles, basis, dot, figure_of
from bench.reporting.figures.style import GREY, headline, model_axis

_COSTS = {"fit_seconds": "Training time in seconds", "milliseconds_per_user": "Milliseconds per user"}


def comparison(frames: DatasetFrames, title: str, styles: Styles) -> Figure:
    """The rows of a comparison beside the row that they vary; with costs where the question is one of cost.

    Args:
        frames: Of a data set on which two rows of the comparison are complete.
        title: Of the comparison.
        styles: Of the rows.
    """
    chosen = frames.comparisons[(frames.comparisons["title"] == title) & (frames.comparisons["complete"] > 0)]
    rows = chosen.merge(frames.leaderboard.drop(columns=["model", "role", "complete"]), on="row")
    labels, against = rows["row"].tolist(), str(rows["against"].iloc[0])
    shown = _COSTS if rows["cost"].iloc[0] else {}
    figure = figure_of(7.5 + 3.0 * len(shown), 1.3 + 0.42 * len(labels))
    panels = figure.subplots(1, 1 + len(shown), sharey=True, squeeze=False, width_ratios=[2.0, *(1.0 for _ in shown)])
    quality_axes, *cost_axes = panels.flat
    if against in labels:
        _band(quality_axes, rows[rows["row"] == against])
    for axes, name in zip(panels.flat, (MEAN.removesuffix(".mean"), *shown), strict=True):
        for y, row in enumerate(rows.to_dict("records")):
            dot(axes, row[f"{name}.mean"], y, row[f"{name}.std"], styles[row["row"]], filled=True)
        axes.margins(x=0.08)
        model_axis(axes, labels)
    quality_axes.set_xlabel(f"{METRIC_NAME} (the axis need not begin at 0)")
    _row_notes(quality_axes, rows)
    for axes, (column, name) in zip(cost_axes, shown.items(), strict=True):
        axes.set_xlabel(name)
        ends = rows[f"{column}.mean"] + rows[f"{column}.std"].fillna(0)
        axes.set_xlim(0, 1.1 * ends.max())
    line = f"; line and band: {against}" if against in labels else ""
    headline(figure, f"{title} ({frames.dataset})", basis(frames, labels) + line)
    return figure


def _band(axes: Axes, reference: pd.DataFrame) -> None:
    """The mean of the row that the others vary, and its deviation."""
    mean, std = reference[MEAN].iloc[0], reference[STD].iloc[0]
    axes.axvline(mean, color=GREY, linewidth=1.2, zorder=1)
    if np.isfinite(std):
        axes.axvspan(mean - std, mean + std, color=GREY, alpha=0.18, linewidth=0, zorder=0)


def _row_notes(axes: Axes, rows: pd.DataFrame) -> None:
    """Writes the difference of each row to its right, in bold with a star where it is significant."""
    notes = axes.secondary_yaxis("right")
    significant = rows["p_holm"].lt(ALPHA).tolist()
    differences = zip(rows["difference"].tolist(), significant, strict=True)
    texts = ["" if np.isnan(value) else f"{value:+.4f}{' *' if star else ''}" for value, star in differences]
    notes.set_yticks(range(len(rows)), texts)
    notes.tick_params(length=0)
    notes.spines["right"].set_visible(False)
    for text, star in zip(notes.get_yticklabels(), significant, strict=True):
        text.set_fontweight("bold" if star else "normal")
    if rows["difference"].notna().any():
        notes.set_ylabel(
            f"difference to {rows['against'].iloc[0]}\n* p < {ALPHA:g} (Holm)",
            rotation=0,
            ha="left",
            va="bottom",
            fontsize="small",
            color="#444444",
        )
        notes.yaxis.set_label_coords(1.02, 1.0)
