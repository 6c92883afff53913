"""Figures of quality on one data set. Each function returns None where the runs so far leave nothing to draw."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from bench.analysis.frames import DatasetFrames
from bench.analysis.leaderboard import HEAD_TAIL, MEAN, SID_MEAN
from bench.conventions import HEAD_SHARE, PRIMARY_METRIC, PRIMARY_NAME, REACH_WINDOW
from bench.reporting.figures.marks import (
    METRIC_NAME,
    Styles,
    against_others,
    basis,
    dot,
    figure_of,
    from_zero,
    panel_per_row,
)
from bench.reporting.figures.style import GREY, headline, model_axis

_SHIFT = 0.15  # places the first of a row's two dots above the second, so that their error bars don't overlap
_FEW = 30  # a part with fewer queries is too noisy to set the scale of a figure
_REACH = {"recent": f"last {REACH_WINDOW} events", "far": f"only before the last {REACH_WINDOW}"}


def quality(frames: DatasetFrames, styles: Styles) -> Figure | None:
    """Every row at item level, those with semantic IDs at SID level too."""
    rows = _measured(frames)
    if rows.empty:
        return None
    figure = figure_of(7.5, 1.0 + 0.4 * len(rows))
    axes = figure.subplots()
    for y, row in enumerate(rows.to_dict("records")):
        style = styles[row["row"]]
        two = np.isfinite(row[SID_MEAN])
        for level, height in (("item", y - _SHIFT), ("sid", y + _SHIFT)) if two else (("item", y),):
            mean, std = row[f"{level}.overall.{PRIMARY_METRIC}.mean"], row[f"{level}.overall.{PRIMARY_METRIC}.std"]
            dot(axes, mean, height, std, style, filled=level == "item")
    model_axis(axes, rows["row"].tolist())
    axes.set_xlabel(f"{PRIMARY_NAME} on test queries (higher is better)")
    from_zero(axes)
    if rows[SID_MEAN].notna().any():
        _levels_legend(
            figure, {"item level: the very item": True, "SID level: an item with the same semantic ID": False}
        )
    headline(figure, f"How well each model finds the next item ({frames.dataset})", basis(frames))
    return figure


def head_tail(frames: DatasetFrames, styles: Styles) -> Figure | None:
    """Popular against rare targets, best head first."""
    scores = _parts(frames, HEAD_TAIL)
    if scores.empty:
        return None
    best_first = scores.groupby("row")["mean"].max().sort_values(ascending=False).index.tolist()
    figure = figure_of(7.5, 1.0 + 0.4 * len(best_first))
    axes = figure.subplots()
    for y, label in enumerate(best_first):
        for row in scores[scores["row"] == label].to_dict("records"):
            head = row["part"] == "head"
            dot(axes, row["mean"], y - _SHIFT if head else y + _SHIFT, row["std"], styles[label], filled=head)
    model_axis(axes, best_first)
    axes.set_xlabel(METRIC_NAME)
    from_zero(axes)
    sizes = _sizes(scores)
    _levels_legend(
        figure,
        {
            f"head: target among the {HEAD_SHARE:.0%} most popular items (n = {sizes.get('head', 0):,})": True,
            f"tail: all other targets (n = {sizes.get('tail', 0):,})": False,
        },
    )
    headline(figure, f"Popular targets against rare ones ({frames.dataset})", basis(frames))
    return figure


def popularity(frames: DatasetFrames) -> Figure | None:
    """Quality by tenth of the catalogue: a heat map, since ten lines would hide each other."""
    scores = _parts(frames, "popularity")
    if scores["part"].nunique() < 2:
        return None
    values = scores.pivot(index="row", columns="part", values="mean")
    parts = list(dict.fromkeys(scores.sort_values("part", key=lambda names: names.astype(int))["part"]))
    order = scores.assign(hits=scores["mean"] * scores["queries"]).groupby("row")["hits"].sum()
    values = values.loc[order.sort_values(ascending=False).index, parts]
    sizes = _sizes(scores)
    figure = figure_of(2.0 + 0.75 * len(parts), 1.2 + 0.34 * len(values))
    axes = figure.subplots()
    sns.heatmap(
        values,
        ax=axes,
        annot=True,
        fmt=".3f",
        annot_kws={"size": "small"},
        cmap="cividis",
        vmin=0,
        vmax=max(scores["mean"].where(scores["queries"] >= _FEW, 0).max(), 1e-4),
        linewidths=1,
        cbar_kws={"label": PRIMARY_NAME},
        xticklabels=[f"{part}\nn={sizes[part]:,}" for part in parts],
    )
    axes.tick_params(axis="y", rotation=0)
    axes.set_ylabel("")
    axes.set_xlabel(
        "Tenth of the catalogue that holds the target, by training interactions (1: most popular; n: queries)"
    )
    headline(figure, f"From the most popular items to the rarest ({frames.dataset})", basis(frames, bars=False))
    return figure


def history_length(frames: DatasetFrames, styles: Styles) -> Figure | None:
    """Quality by history length, a panel per row with the others in grey."""
    scores = _parts(frames, "history")
    if scores["part"].nunique() < 3:
        scores = _parts(frames, "history-quarter")
    parts = list(dict.fromkeys(scores["part"]))
    if len(parts) < 2:
        return None
    sizes = _sizes(scores)
    labels = scores["row"].unique().tolist()
    tops = (scores["mean"] + scores["std"].fillna(0)).where(scores["queries"] >= _FEW, scores["mean"])
    figure, panels = panel_per_row(labels)
    by_row = {label: scores[scores["row"] == label].set_index("part").reindex(parts) for label in labels}
    series = {label: values.assign(x=range(len(parts))) for label, values in by_row.items()}
    for axes, label in zip(panels, labels, strict=True):
        others = [series[other] for other in labels if other != label]
        against_others(axes, series[label], others, styles[label])
        axes.set_xticks(range(len(parts)), [f"{part}\nn={sizes[part]:,}" for part in parts], fontsize="small")
        axes.set_ylim(0, 1.08 * max(tops.max(), 1e-4))
        axes.margins(x=0.12)
    figure.supxlabel("Events in the history before the target (n: test queries)", fontsize="medium")
    figure.supylabel(f"{PRIMARY_NAME}, item level", fontsize="medium")
    headline(figure, f"Does a longer history help? ({frames.dataset})", basis(frames) + "; grey: the other models")
    return figure


def reach(frames: DatasetFrames, styles: Styles, of: Literal["item", "category"]) -> Figure | None:
    """Quality by how far back the target (or its category) last occurred: a panel a part, since their levels differ."""
    scores = _parts(frames, "reach" if of == "item" else "category-reach")
    if scores.empty:
        return None
    parts = list(dict.fromkeys(scores["part"]))
    labels = list(dict.fromkeys(scores["row"]))
    figure = figure_of(2.4 + 3.0 * len(parts), 1.0 + 0.34 * len(labels))
    panels = figure.subplots(1, len(parts), sharey=True)
    for axes, part in zip(panels, parts, strict=True):
        rows = scores[scores["part"] == part]
        for row in rows.to_dict("records"):
            dot(axes, row["mean"], labels.index(row["row"]), row["std"], styles[row["row"]], filled=True)
        model_axis(axes, labels)
        axes.set_title(f"{_REACH.get(part, part)} (n = {rows['queries'].iloc[0]:,})")
        from_zero(axes)
        axes.xaxis.set_major_locator(MaxNLocator(4))  # long numbers of small shares would touch
    figure.supxlabel(f"{PRIMARY_NAME}, item level (each panel has its own scale)", fontsize="medium")
    what = "target" if of == "item" else "target's category"
    title = f"Where the {what} last occurred in the history ({frames.dataset})"
    headline(figure, title, basis(frames, labels))
    return figure


def _measured(frames: DatasetFrames) -> pd.DataFrame:
    """The lines of the leaderboard with a mean."""
    return frames.leaderboard[frames.leaderboard[MEAN].notna()]


def _parts(frames: DatasetFrames, family: str) -> pd.DataFrame:
    """The primary metric on the parts of a family."""
    return frames.slices[frames.slices["family"] == family]


def _sizes(scores: pd.DataFrame) -> Mapping[str, int]:
    """Queries of each part."""
    return scores.groupby("part")["queries"].first().to_dict()


def _levels_legend(figure: Figure, entries: Mapping[str, bool]) -> None:
    """What filled and hollow marks are."""
    handles = [
        Line2D(
            [], [], color=GREY, marker="o", linestyle="none", markerfacecolor=GREY if filled else "white", label=text
        )
        for text, filled in entries.items()
    ]
    figure.legend(handles=handles, loc="outside lower left", frameon=False, ncols=1, handletextpad=0.3)
