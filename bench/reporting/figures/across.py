"""All data sets in one figure: every row beside the suite's references, and ranks averaged over data sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.analysis.frames import DatasetFrames
from bench.conventions import PRIMARY_NAME, REACH_WINDOW
from bench.reporting.figures.marks import figure_of, panel_grid
from bench.reporting.figures.style import COLORS, GREY, MARKERS, headline, model_axis

Part = tuple[str, str]
"""(family, part) of the queries, as in `effects.csv`."""

PART_NAMES: Mapping[Part, str] = {
    ("overall", "overall"): "all test queries",
    ("head-tail", "head"): "popular targets (head)",
    ("head-tail", "tail"): "rare targets (tail)",
    ("reach", "recent"): f"target seen in the last {REACH_WINDOW} events",
    ("reach", "far"): f"target last seen before the last {REACH_WINDOW}",
    ("repetition", "repeat"): "targets that the user has had (repeat)",
    ("repetition", "explore"): "targets that are new to the user (explore)",
    ("history", "shorter half"): "the shorter half of the histories",
    ("history", "longer half"): "the longer half of the histories",
}
"""What the figures call the parts, in their order."""

FAMILIES = {
    "overall": "on all queries",
    "head-tail": "on popular and on rare targets",
    "reach": "by how far back the target was last seen",
    "repetition": "on targets that the user has had, and on new ones",
    "history": "by length of the history",
}
"""What the title says of a family of parts."""


def forest_figure(datasets: Sequence[DatasetFrames], family: str, rows: Sequence[str]) -> Figure | None:
    """A forest plot: the difference of every row to each reference, with its interval, on each data set.

    A panel for each part of the family (downwards) and each reference (to the right). A mark is filled where its
    interval leaves out 0.

    Args:
        datasets: In the order of the plan.
        family: Of the parts.
        rows: Labels from top to bottom; those that occur nowhere are left out.

    Returns:
        None where there is nothing to draw.
    """
    effects = pd.concat([frames.effects for frames in datasets], ignore_index=True)
    effects = effects[effects["family"] == family]
    parts = [part for own, part in PART_NAMES if own == family and part in set(effects["part"])]
    references = list(dict.fromkeys(effects["against"]))
    shown = [row for row in rows if row in set(effects["row"])]
    if not parts or not shown:
        return None
    names = list(dict.fromkeys(effects["dataset"]))
    height = len(parts) * (0.55 + len(shown) * max(0.26, 0.15 * len(names))) + 0.9
    figure = figure_of(2.2 + 3.1 * len(references), height)
    panels = figure.subplots(len(parts), len(references), sharex="row", sharey=True, squeeze=False)
    for line, part in zip(panels, parts, strict=True):
        for axes, against in zip(line, references, strict=True):
            chosen = effects[(effects["part"] == part) & (effects["against"] == against)]
            _forest(axes, chosen, shown, names)
            axes.set_title(f"against {against}" + (f"\n{PART_NAMES[family, part]}" if len(parts) > 1 else ""))
    for axes in panels[-1]:
        axes.set_xlabel(f"difference in {PRIMARY_NAME}")
    handles = [
        Line2D([], [], color=COLORS[i % len(COLORS)], marker=MARKERS[i % len(MARKERS)], linestyle="-", label=name)
        for i, name in enumerate(names)
    ]
    figure.legend(handles=handles, loc="outside lower left", ncols=min(4, len(names)), frameon=False)
    headline(
        figure,
        f"Every row beside the references, {FAMILIES[family]}",
        "paired over queries and seeds; bars: 95 % intervals, of one difference each; filled: 0 is outside",
    )
    return figure


def _forest(axes: Axes, effects: pd.DataFrame, rows: Sequence[str], datasets: Sequence[str]) -> None:
    """One panel: the rows downwards, the data sets of each close together."""
    axes.axvline(0, color=GREY, linewidth=1.2, zorder=1)
    places = {dataset: place for place, dataset in enumerate(datasets)}
    step = min(0.24, 0.72 / len(datasets))
    for effect in effects.to_dict("records"):
        place = places[effect["dataset"]]
        color, marker = COLORS[place % len(COLORS)], MARKERS[place % len(MARKERS)]
        clear = effect["low"] > 0 or effect["high"] < 0
        axes.errorbar(
            effect["difference"],
            rows.index(effect["row"]) + step * (place - (len(datasets) - 1) / 2),
            xerr=[[effect["difference"] - effect["low"]], [effect["high"] - effect["difference"]]],
            color=color,
            marker=marker,
            markersize=5.5,
            markerfacecolor=color if clear else "white",
            markeredgewidth=1.3,
            linewidth=1.4,
            zorder=3,
        )
    model_axis(axes, rows)
    for border in np.arange(len(rows) - 1) + 0.5:
        axes.axhline(border, color="#ececec", linewidth=0.8, zorder=0)
    axes.margins(x=0.06)


def ranks_figure(ranks: Mapping[Part, pd.DataFrame], rows: Sequence[str], datasets: int) -> Figure | None:
    """Ranks averaged over data sets with their intervals, a panel for each part of the queries.

    Args:
        ranks: Part -> its `bench.analysis.average_ranks.ranks_with_intervals`.
        rows: Labels from top to bottom.
        datasets: Their number.
    """
    if not ranks:
        return None
    columns = min(3, len(ranks))
    figure, panels = panel_grid(
        len(ranks), columns, width=2.2 + 2.7 * columns, line=0.7 + 0.24 * len(rows), sharex=True
    )
    for axes, (part, table) in zip(panels, ranks.items(), strict=True):
        for own in table.to_dict("records"):
            axes.errorbar(
                own["rank"],
                rows.index(own["row"]),
                xerr=[[max(0.0, own["rank"] - own["low"])], [max(0.0, own["high"] - own["rank"])]],
                color=COLORS[0],
                marker="o",
                markersize=5.5,
                linewidth=1.6,
            )
        model_axis(axes, rows)
        axes.set_xlim(0.5, len(rows) + 0.5)
        axes.set_title(PART_NAMES[part])
    for axes in panels[-columns:]:
        axes.xaxis.set_tick_params(labelbottom=True)
        axes.set_xlabel("mean rank, 1 is best")
    headline(
        figure,
        f"Ranks by {PRIMARY_NAME}, averaged over {datasets} data sets",
        "bars: 95 % of the mean ranks over resampled users and seeds; the data sets are as they are",
    )
    return figure
