"""Figures of quality on one data set. Each returns None where there is nothing, and a sentence where there is too
little to draw.
"""

from __future__ import annotations

from typing import Literal

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bench.analysis.families import all_pairs
from bench.analysis.frames import DatasetFrames
from bench.analysis.leaderboard import HEAD_TAIL, MEAN, SID_MEAN
from bench.analysis.significance import ALPHA
from bench.conventions import HEAD_SHARE, PRIMARY_NAME, REACH_WINDOW
from bench.reporting.figures.differences import INTERVALS, draw_differences, fill_legend, part_figure, point
from bench.reporting.figures.looks import Styles
from bench.reporting.figures.marks import basis, figure_of, from_zero
from bench.reporting.figures.style import headline, model_axis

_SHIFT = 0.15  # places the first of a row's two marks above the second
_FEW = 30  # a part with fewer queries is too noisy to set the scale of a figure
_REACH = {"recent": f"last {REACH_WINDOW} events", "far": f"only before the last {REACH_WINDOW}"}


def quality(frames: DatasetFrames, styles: Styles) -> Figure | str | None:
    """Every row at item level, those with semantic IDs at SID level too, and its difference to the best baseline."""
    rows = frames.leaderboard[frames.leaderboard[MEAN].notna()]
    if rows.empty:
        return None
    if len(rows) == 1:
        return f"No figure: {rows['row'].iloc[0]} is the only row with a complete run."
    mark, labels = frames.mark, rows["row"].tolist()
    beside = _beside(frames, mark)
    figure = figure_of(8.0 if beside.empty else 10.5, 1.5 + 0.34 * len(rows))
    panels = figure.subplots(1, 1 if beside.empty else 2, sharey=True, squeeze=False)[0]
    for y, row in enumerate(rows.to_dict("records")):
        two = pd.notna(row[SID_MEAN])
        point(panels[0], row[MEAN], y - _SHIFT if two else y, styles[row["row"]], filled=True)
        if two:
            point(panels[0], row[SID_MEAN], y + _SHIFT, styles[row["row"]], filled=False)
    model_axis(panels[0], labels, styles)
    from_zero(panels[0])
    panels[0].xaxis.set_major_locator(MaxNLocator(6))
    panels[0].set_xlabel(f"{PRIMARY_NAME} on test queries (higher is better)")
    bars = ""
    if not beside.empty:
        draw_differences(panels[1], beside, labels, styles)
        settled = f"filled: p < {ALPHA:g} (Holm, {all_pairs(len(frames.pairs)).members})"
        panels[1].set_xlabel(f"{PRIMARY_NAME} minus that of {mark}\n{settled}")
        bars = f"; {INTERVALS}"
    if rows[SID_MEAN].notna().any():
        fill_legend(figure, {"item level: the very item": True, "SID level: an item with the same semantic ID": False})
    title = f"How well each model finds the next item ({frames.dataset})"
    headline(figure, title, basis(frames, bars=False) + bars)
    return figure


def head_tail(frames: DatasetFrames, styles: Styles) -> Figure | str | None:
    """Popular targets and rare ones."""
    names = {"head": f"head: the {HEAD_SHARE:.0%} most popular items", "tail": "tail: all other items"}
    return part_figure(frames, styles, HEAD_TAIL, names, "Popular targets and rare ones")


def popularity(frames: DatasetFrames) -> Figure | str | None:
    """Quality by tenth of the catalogue: a heat map, since ten lines would hide each other."""
    scores = frames.slices[frames.slices["family"] == "popularity"]
    if scores["part"].nunique() < 2:
        return None
    if scores["row"].nunique() < 2:
        return None  # the figure of head and tail has said it
    values = scores.pivot(index="row", columns="part", values="mean")
    parts = list(dict.fromkeys(scores.sort_values("part", key=lambda names: names.astype(int))["part"]))
    order = scores.assign(hits=scores["mean"] * scores["queries"]).groupby("row")["hits"].sum()
    values = values.loc[order.sort_values(ascending=False).index, parts]
    sizes = scores.groupby("part")["queries"].first().to_dict()
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


def history_length(frames: DatasetFrames, styles: Styles) -> Figure | str | None:
    """Short histories and long ones: in fixed bins, or in quarters where the data fill fewer than three of these."""
    known = set(frames.part_differences["family"])
    fixed = frames.slices.loc[frames.slices["family"] == "history", "part"].nunique() > 2
    family = "history" if "history" in known or ("history-quarter" not in known and fixed) else "history-quarter"
    parts = frames.slices.loc[frames.slices["family"] == family, "part"].unique()
    names = {str(part): f"{part} events" for part in parts}
    return part_figure(frames, styles, family, names, "Does a longer history help?")


def reach(frames: DatasetFrames, styles: Styles, of: Literal["item", "category"]) -> Figure | str | None:
    """By how far back the target (or its category) last occurred."""
    what = "target" if of == "item" else "target's category"
    title = f"Where the {what} last occurred in the history"
    return part_figure(frames, styles, "reach" if of == "item" else "category-reach", _REACH, title)


def _beside(frames: DatasetFrames, mark: str) -> pd.DataFrame:
    """The tests of every row against the mark, with the columns of `draw_differences`."""
    pairs = frames.pairs
    first, second = pairs[pairs["second"] == mark], pairs[pairs["first"] == mark]
    turned = second.assign(difference=-second["difference"], low=-second["high"], high=-second["low"])
    lines = pd.concat([first.assign(row=first["first"]), turned.assign(row=turned["second"])])
    return lines.assign(filled=lines["p_holm"] < ALPHA)
