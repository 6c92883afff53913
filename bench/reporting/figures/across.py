"""All data sets in one figure: every row beside the suite's references, and ranks averaged over data sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from bench.analysis.frames import DatasetFrames
from bench.conventions import PRIMARY_NAME, REACH_WINDOW
from bench.reporting.figures.differences import point
from bench.reporting.figures.looks import MARKERS, Styles
from bench.reporting.figures.marks import figure_of, panel_grid
from bench.reporting.figures.style import GREY, headline, model_axis

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

TITLE_WIDTH = 40
"""Characters above a panel of `forest_figure`, so that the titles of neighbours don't touch."""


def forest_figure(
    datasets: Sequence[DatasetFrames], family: str, rows: Sequence[str], styles: Styles
) -> Figure | str | None:
    """A forest plot: the difference of every row to each reference, with its interval, on each data set.

    A panel for each part of the family (downwards) and each reference (to the right). Rows have their own colours; of
    several data sets each has a marker. A mark is filled where its interval leaves out 0.

    Args:
        datasets: In the order of the plan.
        family: Of the parts.
        rows: Labels from top to bottom; those that occur nowhere are left out.
        styles: Of the rows.

    Returns:
        None where there is nothing to draw, a sentence in place of a single mark.
    """
    effects = pd.concat([frames.effects for frames in datasets], ignore_index=True)
    effects = effects[effects["family"] == family]
    parts = [part for own, part in PART_NAMES if own == family and part in set(effects["part"])]
    references = list(dict.fromkeys(effects["against"]))
    shown = [row for row in rows if row in set(effects["row"])]
    if not parts or not shown:
        return None
    if len(effects) == 1:
        (one,) = effects.to_dict("records")
        found = f"{one['difference']:+.4f} (95 % interval {one['low']:+.4f} to {one['high']:+.4f})"
        basis = f"paired over {one['n_queries']:,} queries and {one['seeds']} seeds of {one['dataset']}"
        return f"{one['row']} against {one['against']}, {PRIMARY_NAME}: {found}, {basis}."
    markers = _dataset_markers(effects)
    height = len(parts) * (0.55 + len(shown) * max(0.26, 0.15 * len(markers))) + 0.9
    figure = figure_of(2.2 + 3.1 * len(references), height)
    panels = figure.subplots(len(parts), len(references), sharex="row", sharey=True, squeeze=False)
    for line, part in zip(panels, parts, strict=True):
        for axes, against in zip(line, references, strict=True):
            chosen = effects[(effects["part"] == part) & (effects["against"] == against)]
            _forest(axes, chosen, shown, markers, styles)
            size = "" if len(markers) > 1 else f" (n = {chosen['n_queries'].max():,})" if len(chosen) else ""
            of_part = _in_lines(PART_NAMES[family, part], size) if len(parts) > 1 else ""
            axes.set_title(f"against {against}\n{of_part}".rstrip())
    for axes in panels[-1]:
        axes.set_xlabel(f"difference in {PRIMARY_NAME}")
    if len(markers) > 1:
        handles = [
            Line2D([], [], color=GREY, marker=marker, linestyle="-", label=_sized(datasets, name))
            for name, marker in markers.items()
        ]
        figure.legend(handles=handles, loc="outside lower left", ncols=min(4, len(markers)), frameon=False)
    where = "" if len(markers) > 1 else f" ({_sized(datasets, next(iter(markers)))})"
    headline(
        figure,
        f"Every row beside the references, {FAMILIES[family]}{where}",
        "paired over queries and seeds; bars: 95 % intervals, of one difference each; filled: 0 is outside",
    )
    return figure


def _in_lines(part: str, size: str) -> str:
    """The title of a panel in lines that fit above it; its number of queries is not broken.

    >>> print(_in_lines("target last seen before the last 50", " (n = 67)"))
    target last seen before the last 50
    (n = 67)
    """
    return fill(part + size.replace("n = ", "n@=@"), TITLE_WIDTH).replace("@", " ")


def _dataset_markers(effects: pd.DataFrame) -> dict[str, str]:
    """Label of a data set -> its marker; "" where there is one alone, so that rows have their own."""
    names = list(dict.fromkeys(effects["dataset"]))
    return {name: MARKERS[place % len(MARKERS)] if len(names) > 1 else "" for place, name in enumerate(names)}


def _sized(datasets: Sequence[DatasetFrames], name: str) -> str:
    """A data set with its number of test queries."""
    sizes = {frames.dataset: frames.n_queries for frames in datasets}
    return f"{name}, n = {sizes[name]:,} test queries"


def _forest(axes: Axes, effects: pd.DataFrame, rows: Sequence[str], markers: Mapping[str, str], styles: Styles) -> None:
    """One panel: the rows downwards, the data sets of each close together."""
    axes.axvline(0, color=GREY, linewidth=1.2, zorder=1)
    places = {dataset: place for place, dataset in enumerate(markers)}
    step = min(0.24, 0.72 / len(markers))
    heights = [
        rows.index(row) + step * (places[dataset] - (len(markers) - 1) / 2)
        for row, dataset in zip(effects["row"], effects["dataset"], strict=True)
    ]
    looks = [styles[row] for row in effects["row"]]
    axes.hlines(heights, effects["low"], effects["high"], colors=[look.color for look in looks], linewidth=1.4)
    for effect, look, height in zip(effects.to_dict("records"), looks, heights, strict=True):
        clear = effect["low"] > 0 or effect["high"] < 0
        own = replace(look, marker=markers[effect["dataset"]] or look.marker)
        point(axes, effect["difference"], height, own, clear, size=5.5)
    model_axis(axes, rows, styles)
    for border in np.arange(len(rows) - 1) + 0.5:
        axes.axhline(border, color="#ececec", linewidth=0.8, zorder=0)
    axes.margins(x=0.06)
    axes.xaxis.set_major_locator(MaxNLocator(4))


def ranks_figure(
    ranks: Mapping[Part, pd.DataFrame], rows: Sequence[str], datasets: Sequence[str], styles: Styles
) -> Figure | None:
    """Ranks averaged over data sets with their intervals, a panel for each part of the queries.

    Args:
        ranks: Part -> its `bench.analysis.average_ranks.ranks_with_intervals`.
        rows: Labels from top to bottom, those of all parts.
        datasets: Labels of all of them.
        styles: Of the rows.
    """
    if not ranks:
        return None
    columns = min(3, len(ranks))
    figure, panels = panel_grid(
        len(ranks), columns, width=2.2 + 2.7 * columns, line=0.7 + 0.24 * len(rows), sharex=True
    )
    for axes, (part, table) in zip(panels, ranks.items(), strict=True):
        places = [rows.index(row) for row in table["row"]]
        low, high = table[["rank", "low"]].min(axis=1), table[["rank", "high"]].max(axis=1)
        axes.hlines(places, low, high, colors=[styles[row].color for row in table["row"]], linewidth=1.6)
        for own, place in zip(table.to_dict("records"), places, strict=True):
            point(axes, own["rank"], place, styles[own["row"]], True, size=5.5)
        model_axis(axes, rows, styles)
        axes.set_xlim(0.5, len(rows) + 0.5)
        ranked_on = sum(dataset in table for dataset in datasets)
        some = f"\n(on {ranked_on} of {len(datasets)} data sets)" if ranked_on < len(datasets) else ""
        axes.set_title(PART_NAMES[part] + some)
    for axes in panels[-columns:]:
        axes.xaxis.set_tick_params(labelbottom=True)
        axes.set_xlabel("mean rank, 1 is best")
    headline(
        figure,
        f"Ranks by {PRIMARY_NAME}, averaged over {len(datasets)} data sets",
        "bars: 95 % of the mean ranks over resampled users and seeds; the data sets are as they are",
    )
    return figure
