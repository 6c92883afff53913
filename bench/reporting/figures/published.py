"""Published values and measured ones in one figure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from bench.analysis.grid import Grid
from bench.analysis.published import Replication
from bench.reporting.figures.quality import Styles, basis, dataset_name
from bench.reporting.figures.style import GREY, headline, model_axis

_HALF = 0.3
"""Half the height of a published mark and of its tolerance, in rows."""


def published(found: Sequence[Replication], grid: Grid, styles: Styles) -> Figure | None:
    """A panel a metric and a line a row: the published value with its tolerance in grey, the measured one on it.

    None where nothing published was measured.
    """
    shown = [line for line in found if line.seeds]
    if not shown:
        return None
    metrics = list(dict.fromkeys(line.metric for line in shown))
    rows = list(dict.fromkeys(line.row for line in shown))
    figure = Figure(figsize=(2.6 + 2.4 * len(metrics), 1.4 + 0.45 * len(rows)), layout="constrained")
    panels = figure.subplots(1, len(metrics), sharey=True, squeeze=False).flat
    for axes, metric in zip(panels, metrics, strict=True):
        lines = [line for line in shown if line.metric == metric]
        for line in lines:
            y, value, style = rows.index(line.row), line.figure.value, styles[line.row]
            if line.figure.tolerance is not None:
                reach = line.figure.tolerance * value
                axes.fill_betweenx([y - _HALF, y + _HALF], value - reach, value + reach, color=GREY, alpha=0.25, lw=0)
            dashed = (0, (2, 1)) if line.figure.trend else "solid"
            axes.vlines(value, y - _HALF, y + _HALF, color="#444444", linewidth=2, linestyle=dashed, zorder=2)
            axes.errorbar(
                line.mean,
                y,
                xerr=np.nan_to_num(line.deviation),
                color=style.color,
                marker=style.marker,
                capsize=3,
                zorder=3,
            )
        ends = [
            max(line.mean + np.nan_to_num(line.deviation), line.figure.value * (1 + (line.figure.tolerance or 0)))
            for line in lines
        ]
        axes.set_xlim(0, 1.05 * max(ends))
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.set_xlabel(metric)
        model_axis(axes, rows)
    _legend(figure, shown)
    headline(figure, f"Published against measured ({dataset_name(grid)})", basis(grid, labels=rows))
    return figure


def _legend(figure: Figure, shown: Sequence[Replication]) -> None:
    trends = {line.figure.trend for line in shown}
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
