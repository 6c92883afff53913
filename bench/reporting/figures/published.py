"""Published values and measured ones in one figure."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from bench.analysis.frames import DatasetFrames
from bench.reporting.figures.marks import Styles, basis
from bench.reporting.figures.style import GREY, headline, model_axis

_HALF = 0.3
"""Half the height of a published mark and of its tolerance, in rows."""


def published(frames: DatasetFrames, styles: Styles) -> Figure | None:
    """A panel a metric and a line a row: the published value with its tolerance in grey, the measured one on it.

    None where nothing published was measured.
    """
    shown = frames.published[(frames.published["level"] != "decoding") & (frames.published["seeds"] > 0)]
    shown = shown[shown["mean"].notna()]
    if shown.empty:
        return None
    shown = shown.assign(panel=shown["metric"] + shown["level"].map({"item": "", "sid": " (SID level)"}))
    metrics = shown["panel"].unique().tolist()
    rows = shown["row"].unique().tolist()
    figure = Figure(figsize=(2.6 + 2.4 * len(metrics), 1.4 + 0.45 * len(rows)), layout="constrained")
    panels = figure.subplots(1, len(metrics), sharey=True, squeeze=False).flat
    for axes, metric in zip(panels, metrics, strict=True):
        lines = shown[shown["panel"] == metric]
        for line in lines.to_dict("records"):
            y, value, style = rows.index(line["row"]), line["published"], styles[line["row"]]
            trend = np.isnan(line["tolerance"])
            if not trend:
                reach = line["tolerance"] * value
                axes.fill_betweenx([y - _HALF, y + _HALF], value - reach, value + reach, color=GREY, alpha=0.25, lw=0)
            dashed = (0, (2, 1)) if trend else "solid"
            axes.vlines(value, y - _HALF, y + _HALF, color="#444444", linewidth=2, linestyle=dashed, zorder=2)
            axes.errorbar(
                line["mean"],
                y,
                xerr=np.nan_to_num(line["std"]),
                color=style.color,
                marker=style.marker,
                capsize=3,
                zorder=3,
            )
        measured = lines["mean"] + lines["std"].fillna(0)
        stated = lines["published"] * (1 + lines["tolerance"].fillna(0))
        axes.set_xlim(0, 1.05 * max(measured.max(), stated.max()))
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.set_xlabel(metric)
        model_axis(axes, rows)
    _legend(figure, set(shown["tolerance"].isna()))
    headline(figure, f"Published against measured ({frames.dataset})", basis(frames, rows))
    return figure


def _legend(figure: Figure, trends: set[bool]) -> None:
    handles: list[Line2D | Patch] = [
        Line2D([], [], color=GREY, marker="o", linestyle="none", label="measured (in the colour of its model)")
    ]
    if False in trends:
        handles += [
            Line2D([], [], color="#444444", linewidth=2, label="published"),
            Patch(color=GREY, alpha=0.25, lw=0, label="its tolerance"),
        ]
    if True in trends:
        label = "published for other data or another system"
        handles.append(Line2D([], [], color="#444444", linewidth=2, linestyle=(0, (2, 1)), label=label))
    figure.legend(handles=handles, loc="outside lower left", frameon=False, ncols=2)
