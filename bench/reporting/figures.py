"""Figures of one data set. Each function returns None where the runs so far leave nothing to draw."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.evaluation.slices import (
    HEAD_SHARE,
    history_length_bins,
    history_length_quarters,
    popularity_deciles,
    popularity_slices,
)
from bench.reporting.grid import Grid
from bench.reporting.leaderboard import by_slice
from bench.reporting.style import GREY, ModelStyle, count_axis, headline, log_axis, model_axis

Styles = Mapping[str, ModelStyle]

METRIC = "ndcg@10"
METRIC_NAME = "NDCG@10 on test queries, item level"
_SHIFT = 0.15  # places the first of a model's two dots above the second, so that their error bars don't overlap
_FEW = 30  # a part with fewer queries is too noisy to set the scale of a figure


def quality(wide: pd.DataFrame, grid: Grid, styles: Styles) -> Figure | None:
    """Every model at item level, semantic-ID models at SID level too."""
    rows = wide[wide[f"item.overall.{METRIC}.mean"].notna()]
    if rows.empty:
        return None
    figure = _figure(7.5, 1.0 + 0.4 * len(rows))
    axes = figure.subplots()
    for y, row in enumerate(rows.to_dict("records")):
        style = styles[row["model"]]
        two = np.isfinite(row[f"sid.overall.{METRIC}.mean"])
        for level, place in (("item", y - _SHIFT), ("sid", y + _SHIFT)) if two else (("item", y),):
            mean, std = row[f"{level}.overall.{METRIC}.mean"], row[f"{level}.overall.{METRIC}.std"]
            _dot(axes, mean, place, std, style, filled=level == "item")
    model_axis(axes, rows["model"].tolist())
    axes.set_xlabel("NDCG@10 on test queries (higher is better)")
    axes.set_xlim(left=-0.02 * rows[f"item.overall.{METRIC}.mean"].max())
    if rows[f"sid.overall.{METRIC}.mean"].notna().any():
        _levels_legend(
            figure, {"item level: the very item": True, "SID level: an item with the same semantic ID": False}
        )
    headline(figure, f"How well each model finds the next item ({_name(grid)})", _basis(grid))
    return figure


def head_tail(grid: Grid, styles: Styles) -> Figure | None:
    """Popular against rare targets, best head first."""
    scores = by_slice(grid, popularity_slices, METRIC)
    scores = scores[scores["slice"] != "overall"]
    if scores.empty:
        return None
    best_first = scores.groupby("model")["mean"].max().sort_values(ascending=False).index.tolist()
    figure = _figure(7.5, 1.0 + 0.4 * len(best_first))
    axes = figure.subplots()
    for y, model in enumerate(best_first):
        for row in scores[scores["model"] == model].to_dict("records"):
            head = row["slice"] == "head"
            _dot(axes, row["mean"], y - _SHIFT if head else y + _SHIFT, row["std"], styles[model], filled=head)
    model_axis(axes, best_first)
    axes.set_xlabel(METRIC_NAME)
    axes.set_xlim(left=-0.02 * scores["mean"].max())
    sizes = scores.groupby("slice")["queries"].first()
    _levels_legend(
        figure,
        {
            f"head: target among the {HEAD_SHARE:.0%} most popular items (n = {sizes.get('head', 0):,})": True,
            f"tail: all other targets (n = {sizes.get('tail', 0):,})": False,
        },
    )
    headline(figure, f"Popular targets against rare ones ({_name(grid)})", _basis(grid))
    return figure


def popularity(grid: Grid) -> Figure | None:
    """Quality by tenth of the catalogue: a heat map, since ten lines would hide each other."""
    scores = by_slice(grid, popularity_deciles, "recall@10")
    if scores["slice"].nunique() < 2:
        return None
    values = scores.pivot(index="model", columns="slice", values="mean")
    parts = list(dict.fromkeys(scores.sort_values("slice", key=lambda names: names.astype(int))["slice"]))
    order = scores.assign(hits=scores["mean"] * scores["queries"]).groupby("model")["hits"].sum()
    values = values.loc[order.sort_values(ascending=False).index, parts]
    sizes = scores.groupby("slice")["queries"].first()
    figure = _figure(2.0 + 0.75 * len(parts), 1.2 + 0.34 * len(values))
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
        cbar_kws={"label": "Recall@10"},
        xticklabels=[f"{part}\nn={sizes[part]:,}" for part in parts],
    )
    axes.tick_params(axis="y", rotation=0)
    axes.set_ylabel("")
    axes.set_xlabel(
        "Tenth of the catalogue that holds the target, by training interactions (1: most popular; n: queries)"
    )
    headline(figure, f"From the most popular items to the rarest ({_name(grid)})", _basis(grid, bars=False))
    return figure


def history_length(grid: Grid, styles: Styles) -> Figure | None:
    """Quality by history length, a panel per model with the others in grey."""
    scores = by_slice(grid, history_length_bins, METRIC)
    if scores["slice"].nunique() < 3:
        scores = by_slice(grid, history_length_quarters, METRIC)
    parts = list(dict.fromkeys(scores["slice"]))
    if len(parts) < 2:
        return None
    sizes = scores.groupby("slice")["queries"].first()
    models = scores["model"].unique().tolist()
    tops = (scores["mean"] + scores["std"].fillna(0)).where(scores["queries"] >= _FEW, scores["mean"])
    columns = min(3, len(models))
    lines = -(-len(models) // columns)
    figure = _figure(3.1 * columns + 0.6, 2.1 * lines + 0.7)
    panels = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
    series = {model: scores[scores["model"] == model].set_index("slice").reindex(parts) for model in models}
    for axes, model in zip(panels.flat, models, strict=False):
        for other in models:
            if other != model:
                axes.plot(parts, series[other]["mean"], color="#cccccc", linewidth=1, zorder=1)
        own, style = series[model], styles[model]
        axes.errorbar(
            parts,
            own["mean"],
            yerr=own["std"].fillna(0),
            color=style.color,
            marker=style.marker,
            capsize=3,
            linewidth=2,
        )
        axes.set_title(model)
        axes.set_xticks(range(len(parts)), [f"{part}\nn={sizes[part]:,}" for part in parts], fontsize="small")
        axes.set_ylim(0, 1.08 * max(tops.max(), 1e-4))
        axes.margins(x=0.12)
    for axes in panels.flat[len(models) :]:
        axes.set_visible(False)
    for index, axes in enumerate(panels.flat):  # the lowest visible panel of each column carries the ticks
        if index < len(models) <= index + columns:
            axes.xaxis.set_tick_params(labelbottom=True)
    figure.supxlabel("Events in the history before the target (n: test queries)", fontsize="medium")
    figure.supylabel("NDCG@10, item level", fontsize="medium")
    headline(figure, f"Does a longer history help? ({_name(grid)})", _basis(grid) + "; grey: the other models")
    return figure


def learning_curves(grid: Grid, styles: Styles) -> Figure | None:
    """Validation quality against epochs and against seconds, one line per run."""
    curves = [
        (result, [point for point in result.curve if np.isfinite(point["validation"])]) for result in grid.results
    ]
    curves = [(result, curve) for result, curve in curves if len(curve) > 1]
    if not curves:
        return None
    figure = _figure(10.5, 4.6)
    panels = figure.subplots(1, 2, sharey=True)
    for result, curve in curves:
        style = styles[result.spec.label]
        heights = [point["validation"] for point in curve]
        best = int(np.argmax(heights))
        for axes, unit in zip(panels, ("epoch", "seconds"), strict=True):
            places = [point[unit] for point in curve]
            axes.plot(places, heights, color=style.color, linestyle=style.line, linewidth=1.3, alpha=0.75)
            axes.plot(places[best], heights[best], **_marker(style), zorder=3)
    panels[0].set_xlabel("Epochs of training (log scale)")
    panels[1].set_xlabel("Seconds since the fit began (log scale)")
    panels[0].set_ylabel("NDCG@10 on validation queries")
    for axes in panels:
        log_axis(axes)
        axes.set_ylim(bottom=0)
    drawn = {result.spec.label for result, _ in curves}
    _models_legend(figure, {model: styles[model] for model in grid.models if model in drawn})
    headline(
        figure,
        f"How quickly each model learns ({_name(grid)})",
        "one line per run (seed); its marker is the best validation, whose state is tested",
    )
    return figure


def cost(wide: pd.DataFrame, grid: Grid, styles: Styles) -> Figure | None:
    """Quality against training time, answering time and size."""
    rows = wide[wide[f"item.overall.{METRIC}.mean"].notna()]
    if rows.empty:
        return None
    figure = _figure(11.0, 4.2)
    panels = figure.subplots(1, 3, sharey=True)
    axis_names = {
        "fit_seconds": "Training time in seconds (log scale)",
        "milliseconds_per_user": "Milliseconds per user (log scale)",
        "parameters": "Learned parameters (log scale)",
    }
    for axes, (name, label) in zip(panels, axis_names.items(), strict=True):
        for row in rows.to_dict("records"):
            style = styles[row["model"]]
            axes.errorbar(
                row[f"{name}.mean"],
                row[f"item.overall.{METRIC}.mean"],
                xerr=np.nan_to_num(row[f"{name}.std"]),
                yerr=np.nan_to_num(row[f"item.overall.{METRIC}.std"]),
                **_marker(style),
                markersize=9,
                alpha=0.8,
                elinewidth=1.2,
                linestyle="none",
            )
        axes.set_xlabel(label)
        axes.margins(x=0.12, y=0.1)
        (count_axis if name == "parameters" else log_axis)(axes)
    panels[0].set_ylim(bottom=0)
    panels[0].set_ylabel(METRIC_NAME)
    _models_legend(figure, {model: styles[model] for model in grid.models if model in set(rows["model"])})
    headline(figure, f"What quality costs ({_name(grid)})", _basis(grid) + "; upper left is best")
    return figure


def _figure(width: float, height: float) -> Figure:
    return Figure(figsize=(width, height), layout="constrained")


def _marker(style: ModelStyle) -> dict[str, Any]:
    return {"color": style.color, "marker": style.marker, "markeredgecolor": "white", "markeredgewidth": 0.6}


def _dot(axes: Axes, x: float, y: float, std: float, style: ModelStyle, filled: bool) -> None:
    axes.errorbar(
        x,
        y,
        xerr=np.nan_to_num(std),
        color=style.color,
        marker=style.marker,
        markerfacecolor=style.color if filled else "white",
        markeredgewidth=1.5,
        capsize=3,
        zorder=3 if filled else 2,
    )


def _levels_legend(figure: Figure, entries: dict[str, bool]) -> None:
    handles = [
        Line2D(
            [], [], color=GREY, marker="o", linestyle="none", markerfacecolor=GREY if filled else "white", label=text
        )
        for text, filled in entries.items()
    ]
    figure.legend(handles=handles, loc="outside lower left", frameon=False, ncols=1, handletextpad=0.3)


def _models_legend(figure: Figure, styles: Styles) -> None:
    handles = [Line2D([], [], **_marker(style), linestyle=style.line, label=model) for model, style in styles.items()]
    figure.legend(handles=handles, loc="outside right center", frameon=False, handlelength=3.5)


def _name(grid: Grid) -> str:
    return grid.runs[0].spec.dataset.label


def _basis(grid: Grid, bars: bool = True) -> str:
    """What the figure is measured on: queries and seeds, and what its error bars are."""
    queries = max(len(result.queries) for result in grid.results if result.queries is not None)
    counts = {len(grid.of_model(model)) for model in grid.complete_models}
    if counts == {1}:
        return f"n = {queries:,} test queries; one seed"
    seeds = f"{max(counts)}" if len(counts) == 1 else f"{min(counts)} to {max(counts)}"
    text = f"n = {queries:,} test queries; mean of {seeds} seeds"
    return f"{text}, bars: ± 1 standard deviation over seeds" if bars else text
