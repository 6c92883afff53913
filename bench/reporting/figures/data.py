"""The figure beside a data card: what a data set looks like, whatever is trained on it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import EngFormatter, PercentFormatter

from bench.analysis.data_card import DataCard, Reach
from bench.conventions import HEAD_SHARE, REACH_WINDOW
from bench.data.dataset import Dataset
from bench.files import replaced
from bench.reporting.figures.style import COLORS, GREY, headline, log_axis, use_style

_TIME_BINS = 60
_LENGTH_EDGES = 40
_HATCHES = ("", "///")


def data_figure(card: DataCard, dataset: Dataset) -> Figure:
    """Lengths of histories, popularity of items, and, where there are any, events over time and the reach of targets.

    Args:
        card: Of the data set.
        dataset: The data.
    """
    panels: list[Callable[[Axes], None]] = [
        lambda axes: _lengths(axes, card, dataset),
        lambda axes: _popularity(axes, card, dataset),
    ]
    if dataset.has_time:
        panels.append(lambda axes: _over_time(axes, dataset))
    reaches = _reaches(card)
    if reaches:
        panels.append(lambda axes: _reach(axes, card, reaches))
    lines = -(-len(panels) // 2)
    figure = Figure(figsize=(10, 3.4 * lines), layout=ConstrainedLayoutEngine(w_pad=0.15, h_pad=0.15))
    places = list(figure.subplots(lines, 2, squeeze=False).flat)
    for panel, place in zip(panels, places, strict=False):
        panel(place)
    for place in places[len(panels) :]:
        place.remove()
    size = f"{card.users:,} users, {card.items:,} items, {card.events:,} events"
    headline(figure, f"The data set {card.name}", f"{size}; no model is involved")
    return figure


def save_data_figure(card: DataCard, dataset: Dataset, path: Path) -> None:
    """Draws `data_figure` into a file whose suffix names the format."""
    use_style()
    with replaced(path) as temporary:
        data_figure(card, dataset).savefig(temporary)


def _lengths(axes: Axes, card: DataCard, dataset: Dataset) -> None:
    lengths = dataset.interactions.lengths
    edges = np.unique(np.round(np.geomspace(max(1, lengths.min()), lengths.max() + 1, _LENGTH_EDGES)))
    axes.hist(lengths, bins=edges.tolist(), color=COLORS[0], edgecolor="white", linewidth=0.5)
    log_axis(axes)
    axes.axvline(card.lengths[50], color="black", label=f"median: {card.lengths[50]:,}")
    usual = f"{REACH_WINDOW} events: a usual short-term history"
    axes.axvline(REACH_WINDOW, color=COLORS[1], linestyle="--", label=usual)
    axes.legend(fontsize="small", loc="upper right")
    axes.margins(y=0.25)
    axes.set_title(f"Length of histories ({card.longer_than_window:.0%} above {REACH_WINDOW} events)")
    axes.set_xlabel("events of a user (log scale)")
    axes.set_ylabel("users")


def _popularity(axes: Axes, card: DataCard, dataset: Dataset) -> None:
    counts = np.sort(dataset.interactions.item_counts())[::-1]
    counts = counts[counts > 0]
    axes.plot(np.arange(1, len(counts) + 1), counts, color=COLORS[0], linewidth=2)
    log_axis(axes)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(EngFormatter(sep=""))
    head = f"head: the first {100 * HEAD_SHARE:g} % of items"
    axes.axvline(max(1, round(HEAD_SHARE * card.items)), color=GREY, linestyle="--", label=head)
    axes.legend(fontsize="small", loc="lower left")
    axes.set_title(f"Popularity of items ({card.head_share:.0%} of events on the head)")
    axes.set_xlabel("rank of an item by its events (log scale)")
    axes.set_ylabel("events of the item (log scale)")


def _over_time(axes: Axes, dataset: Dataset) -> None:
    moments = dataset.interactions.timestamps.astype("datetime64[s]")
    bins = np.linspace(moments.astype(np.int64).min(), moments.astype(np.int64).max() + 1, _TIME_BINS + 1)
    counts, edges = np.histogram(dataset.interactions.timestamps, bins=bins)
    axes.stairs(counts, edges.astype(np.int64).astype("datetime64[s]"), fill=True, color=COLORS[0])
    locator = AutoDateLocator(maxticks=7)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    axes.yaxis.set_major_formatter(EngFormatter(sep=""))
    axes.set_title(f"Events over time (in {_TIME_BINS} equal spans)")
    axes.set_xlabel("time (UTC)")
    axes.set_ylabel("events")


def _reaches(card: DataCard) -> dict[str, Reach]:
    """What can be said of the test targets; where seen items are excluded, no target was ever used before."""
    found = {"the very item": card.reach if card.seen_items == "keep" else None, "its category": card.category_reach}
    return {name: reach for name, reach in found.items() if reach is not None}


def _reach(axes: Axes, card: DataCard, reaches: dict[str, Reach]) -> None:
    places = np.arange(3)
    width = 0.8 / len(reaches)
    for number, (name, reach) in enumerate(reaches.items()):
        shares = (reach.recent, reach.further_back, reach.never)
        shift = (number - (len(reaches) - 1) / 2) * width
        bars = axes.bar(
            places + shift,
            shares,
            width * 0.94,
            color=(COLORS[0], COLORS[5])[number],
            hatch=_HATCHES[number],
            edgecolor="white",
            label=name,
        )
        axes.bar_label(bars, [f"{share:.0%}" for share in shares], fontsize="small", padding=2)
    axes.set_xticks(places, [f"in the last {REACH_WINDOW}\nevents", "only further\nback", "never\nbefore"])
    axes.grid(axis="x", visible=False)
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set_ylim(0, 1.25 * max(max(r.recent, r.further_back, r.never) for r in reaches.values()))
    axes.legend(fontsize="small")
    axes.set_title(f"Last use of the test target ({card.test_queries:,} queries)")
    axes.set_ylabel("share of test queries")
