"""The figure beside a data card: what a data set looks like, whatever is trained on it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import EngFormatter, PercentFormatter

from bench.analysis.data_card import DataCard, DataShape
from bench.conventions import HEAD_SHARE, REACH_WINDOW
from bench.files import replaced
from bench.reporting.figures.style import COLORS, GREY, headline, log_axis, use_style

_PLACES = {
    "recent": f"in the last {REACH_WINDOW} events",
    "far": f"before the last {REACH_WINDOW} events",
    "never": "never before",
}
_LOOKS = {"item": ("the very item", COLORS[0], ""), "category": ("its category", COLORS[5], "///")}


def data_figure(card: DataCard, shape: DataShape) -> Figure | str:
    """Lengths of histories, popularity of items, and, where there are any, events over time and the reach of targets.

    Args:
        card: Of the data set.
        shape: Of the same data (`bench.analysis.data_card.shape_of`).

    Returns:
        The figure, under whose title stands in words what would be a single bar or point; those words alone where
        nothing else is left.
    """
    panels, words = _panels(card, shape)
    size = f"{card.users:,} users, {card.items:,} items, {card.events:,} events"
    if not panels:
        return f"No figure of {card.name} ({size}): {'; '.join(words)}."
    lines = -(-len(panels) // 2)
    figure = Figure(figsize=(10, 3.4 * lines), layout=ConstrainedLayoutEngine(w_pad=0.15, h_pad=0.15))
    positions = list(figure.subplots(lines, 2, squeeze=False).flat)
    for panel, position in zip(panels, positions, strict=False):
        panel(position)
    for position in positions[len(panels) :]:
        position.remove()
    headline(figure, f"The data set {card.name}", "; ".join([size, "no model is involved", *words]))
    return figure


def _panels(card: DataCard, shape: DataShape) -> tuple[list[Callable[[Axes], None]], list[str]]:
    """What there is to draw, and in words what one bar or point would show."""
    panels: list[Callable[[Axes], None]] = []
    words = []
    if len(shape.lengths) > 1:
        panels.append(lambda axes: _lengths(axes, card, shape.lengths))
    else:
        words.append(f"every history has about {card.lengths[50]:,} events")
    if len(shape.item_counts) > 1:
        panels.append(lambda axes: _popularity(axes, card, shape.item_counts))
    else:
        words.append("one item has all events")
    if (shape.over_time["events"] > 0).sum() > 1:
        panels.append(lambda axes: _over_time(axes, shape.over_time))
    elif len(shape.over_time):
        words.append(f"all events are of about {card.first_day}")
    if (shape.reach["share"] > 0).sum() > 1:
        panels.append(lambda axes: _reach(axes, card, shape.reach))
    elif len(shape.reach):
        part = shape.reach.loc[shape.reach["share"].idxmax(), "part"]
        words.append(f"test targets were last used {_PLACES[part]}")
    return panels, words


def save_data_figure(card: DataCard, shape: DataShape, path: Path) -> str:
    """Draws `data_figure` into a file whose suffix names the format.

    Returns:
        "", or what is to be said where there is nothing to draw; then there is no file.
    """
    use_style()
    figure = data_figure(card, shape)
    if isinstance(figure, str):
        return figure
    with replaced(path) as temporary:
        figure.savefig(temporary)
    return ""


def _lengths(axes: Axes, card: DataCard, lengths: pd.DataFrame) -> None:
    edges = [*lengths["shortest"], lengths["limit"].iloc[-1]]
    axes.hist(
        lengths["shortest"], bins=edges, weights=lengths["users"], color=COLORS[0], edgecolor="white", linewidth=0.5
    )
    log_axis(axes)
    axes.axvline(card.lengths[50], color="black", label=f"median: {card.lengths[50]:,}")
    usual = f"{REACH_WINDOW} events: a usual short-term history"
    axes.axvline(REACH_WINDOW, color=COLORS[1], linestyle="--", label=usual)
    axes.legend(fontsize="small", loc="upper right")
    axes.margins(y=0.25)
    axes.set_title(f"Length of histories ({card.longer_than_window:.0%} above {REACH_WINDOW} events)")
    axes.set_xlabel("events of a user (log scale)")
    axes.set_ylabel("users")


def _popularity(axes: Axes, card: DataCard, counts: pd.DataFrame) -> None:
    axes.plot(counts["rank"], counts["events"], color=COLORS[0], linewidth=2)
    log_axis(axes)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(EngFormatter(sep=""))
    head = f"head: the first {100 * HEAD_SHARE:g} % of items"
    axes.axvline(max(1, round(HEAD_SHARE * card.items)), color=GREY, linestyle="--", label=head)
    axes.legend(fontsize="small", loc="lower left")
    axes.set_title(f"Popularity of items ({card.head_share:.0%} of events on the head)")
    axes.set_xlabel("rank of an item by its events (log scale)")
    axes.set_ylabel("events of the item (log scale)")


def _over_time(axes: Axes, spans: pd.DataFrame) -> None:
    edges = np.array([*spans["start"], spans["end"].iloc[-1]])
    axes.stairs(spans["events"], edges.astype("datetime64[s]"), fill=True, color=COLORS[0])
    locator = AutoDateLocator(maxticks=7)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    axes.yaxis.set_major_formatter(EngFormatter(sep=""))
    axes.set_title(f"Events over time (in {len(spans)} equal spans)")
    axes.set_xlabel("time (UTC)")
    axes.set_ylabel("events")


def _reach(axes: Axes, card: DataCard, reach: pd.DataFrame) -> None:
    positions, kinds = np.arange(3), reach["of"].unique().tolist()
    width = 0.8 / len(kinds)
    for number, kind in enumerate(kinds):
        name, color, hatch = _LOOKS[kind]
        shares = reach.loc[reach["of"] == kind, "share"].tolist()
        shift = (number - (len(kinds) - 1) / 2) * width
        bars = axes.bar(
            positions + shift, shares, width * 0.94, color=color, hatch=hatch, edgecolor="white", label=name
        )
        axes.bar_label(bars, [f"{share:.0%}" for share in shares], fontsize="small", padding=2)
    axes.set_xticks(positions, [f"in the last {REACH_WINDOW}\nevents", "only further\nback", "never\nbefore"])
    axes.grid(axis="x", visible=False)
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set_ylim(0, 1.25 * reach["share"].max())
    axes.legend(fontsize="small")
    axes.set_title(f"Last use of the test target ({card.test_queries:,} queries)")
    axes.set_ylabel("share of test queries")
