"""Figures of one data set. Each function returns None where the runs so far leave nothing to draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from bench.analysis.comparisons import Answer
from bench.analysis.grid import Grid
from bench.analysis.leaderboard import by_slice
from bench.analysis.significance import ALPHA
from bench.conventions import HEAD_SHARE, PRIMARY_METRIC, PRIMARY_NAME
from bench.evaluation.slices import (
    ReachOf,
    category_reach_slices,
    history_length_bins,
    history_length_quarters,
    popularity_deciles,
    popularity_slices,
    reach_slices,
)
from bench.reporting.figures.style import GREY, ModelStyle, count_axis, headline, log_axis, model_axis

Styles = Mapping[str, ModelStyle]

METRIC_NAME = f"{PRIMARY_NAME} on test queries, item level"
_SHIFT = 0.15  # places the first of a model's two dots above the second, so that their error bars don't overlap
_MOST_IN_ONE_PANEL = 6  # of models whose learning curves can be told apart where they cross
_FEW = 30  # a part with fewer queries is too noisy to set the scale of a figure


def quality(wide: pd.DataFrame, grid: Grid, styles: Styles) -> Figure | None:
    """Every model at item level, semantic-ID models at SID level too."""
    rows = wide[wide[f"item.overall.{PRIMARY_METRIC}.mean"].notna()]
    if rows.empty:
        return None
    figure = _figure(7.5, 1.0 + 0.4 * len(rows))
    axes = figure.subplots()
    for y, row in enumerate(rows.to_dict("records")):
        style = styles[row["model"]]
        two = np.isfinite(row[f"sid.overall.{PRIMARY_METRIC}.mean"])
        for level, place in (("item", y - _SHIFT), ("sid", y + _SHIFT)) if two else (("item", y),):
            mean, std = row[f"{level}.overall.{PRIMARY_METRIC}.mean"], row[f"{level}.overall.{PRIMARY_METRIC}.std"]
            _dot(axes, mean, place, std, style, filled=level == "item")
    model_axis(axes, rows["model"].tolist())
    axes.set_xlabel(f"{PRIMARY_NAME} on test queries (higher is better)")
    _from_zero(axes)
    if rows[f"sid.overall.{PRIMARY_METRIC}.mean"].notna().any():
        _levels_legend(
            figure, {"item level: the very item": True, "SID level: an item with the same semantic ID": False}
        )
    headline(figure, f"How well each model finds the next item ({dataset_name(grid)})", basis(grid))
    return figure


def head_tail(grid: Grid, styles: Styles) -> Figure | None:
    """Popular against rare targets, best head first."""
    scores = by_slice(grid, popularity_slices, PRIMARY_METRIC)
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
    _from_zero(axes)
    sizes = scores.groupby("slice")["queries"].first()
    _levels_legend(
        figure,
        {
            f"head: target among the {HEAD_SHARE:.0%} most popular items (n = {sizes.get('head', 0):,})": True,
            f"tail: all other targets (n = {sizes.get('tail', 0):,})": False,
        },
    )
    headline(figure, f"Popular targets against rare ones ({dataset_name(grid)})", basis(grid))
    return figure


def popularity(grid: Grid) -> Figure | None:
    """Quality by tenth of the catalogue: a heat map, since ten lines would hide each other."""
    scores = by_slice(grid, popularity_deciles, PRIMARY_METRIC)
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
        cbar_kws={"label": PRIMARY_NAME},
        xticklabels=[f"{part}\nn={sizes[part]:,}" for part in parts],
    )
    axes.tick_params(axis="y", rotation=0)
    axes.set_ylabel("")
    axes.set_xlabel(
        "Tenth of the catalogue that holds the target, by training interactions (1: most popular; n: queries)"
    )
    headline(figure, f"From the most popular items to the rarest ({dataset_name(grid)})", basis(grid, bars=False))
    return figure


def history_length(grid: Grid, styles: Styles) -> Figure | None:
    """Quality by history length, a panel per model with the others in grey."""
    scores = by_slice(grid, history_length_bins, PRIMARY_METRIC)
    if scores["slice"].nunique() < 3:
        scores = by_slice(grid, history_length_quarters, PRIMARY_METRIC)
    parts = list(dict.fromkeys(scores["slice"]))
    if len(parts) < 2:
        return None
    sizes = scores.groupby("slice")["queries"].first()
    models = scores["model"].unique().tolist()
    tops = (scores["mean"] + scores["std"].fillna(0)).where(scores["queries"] >= _FEW, scores["mean"])
    figure, panels = _panel_per_model(models)
    series = {model: scores[scores["model"] == model].set_index("slice").reindex(parts) for model in models}
    places = np.arange(len(parts))
    for axes, model in zip(panels, models, strict=True):
        others = [list(zip(places, series[other]["mean"], strict=True)) for other in models if other != model]
        axes.add_collection(LineCollection(others, colors="#cccccc", linewidths=1, zorder=1))
        own, style = series[model], styles[model]
        axes.errorbar(
            places,
            own["mean"],
            yerr=own["std"].fillna(0),
            color=style.color,
            marker=style.marker,
            capsize=3,
            linewidth=2,
        )
        axes.set_xticks(range(len(parts)), [f"{part}\nn={sizes[part]:,}" for part in parts], fontsize="small")
        axes.set_ylim(0, 1.08 * max(tops.max(), 1e-4))
        axes.margins(x=0.12)
    figure.supxlabel("Events in the history before the target (n: test queries)", fontsize="medium")
    figure.supylabel(f"{PRIMARY_NAME}, item level", fontsize="medium")
    headline(figure, f"Does a longer history help? ({dataset_name(grid)})", basis(grid) + "; grey: the other models")
    return figure


def reach(grid: Grid, styles: Styles, of: ReachOf) -> Figure | None:
    """Quality by how far back the target (or its category) last occurred: a panel a part, since their levels differ."""
    scores = by_slice(grid, reach_slices if of == "item" else category_reach_slices, PRIMARY_METRIC)
    if scores.empty:
        return None
    parts = list(dict.fromkeys(scores["slice"]))
    models = list(dict.fromkeys(scores["model"]))
    figure = _figure(2.4 + 3.0 * len(parts), 1.0 + 0.34 * len(models))
    panels = figure.subplots(1, len(parts), sharey=True)
    for axes, part in zip(panels, parts, strict=True):
        rows = scores[scores["slice"] == part]
        for row in rows.to_dict("records"):
            _dot(axes, row["mean"], models.index(row["model"]), row["std"], styles[row["model"]], filled=True)
        model_axis(axes, models)
        axes.set_title(f"{part} (n = {rows['queries'].iloc[0]:,})")
        _from_zero(axes)
        axes.xaxis.set_major_locator(MaxNLocator(4))  # long numbers of small shares would touch
    figure.supxlabel(f"{PRIMARY_NAME}, item level (each panel has its own scale)", fontsize="medium")
    what = "target" if of == "item" else "target's category"
    title = f"Where the {what} last occurred in the history ({dataset_name(grid)})"
    headline(figure, title, basis(grid, labels=models))
    return figure


def comparison(answer: Answer, grid: Grid, styles: Styles) -> Figure:
    """The rows of a comparison beside the row that they vary; with costs where the question is one of cost."""
    labels = [row.label for row in answer.rows]
    reference = answer.reference
    costs = {"fit_seconds": "Training time in seconds", "milliseconds_per_user": "Milliseconds per user"}
    shown = costs if answer.comparison.cost else {}
    figure = _figure(7.5 + 3.0 * len(shown), 1.3 + 0.42 * len(labels))
    panels = figure.subplots(1, 1 + len(shown), sharey=True, squeeze=False, width_ratios=[2.0, *(1.0 for _ in shown)])
    quality_axes, *cost_axes = panels.flat
    if reference is not None:
        mean, std = (reference.scores[f"item.overall.{PRIMARY_METRIC}.{statistic}"] for statistic in ("mean", "std"))
        quality_axes.axvline(mean, color=GREY, linewidth=1.2, zorder=1)
        if np.isfinite(std):
            quality_axes.axvspan(mean - std, mean + std, color=GREY, alpha=0.18, linewidth=0, zorder=0)
    for axes, column in zip(panels.flat, (f"item.overall.{PRIMARY_METRIC}", *shown), strict=True):
        for y, row in enumerate(answer.rows):
            _dot(axes, row.scores[f"{column}.mean"], y, row.scores[f"{column}.std"], styles[row.label], filled=True)
        axes.margins(x=0.08)
        model_axis(axes, labels)
    quality_axes.set_xlabel(f"{METRIC_NAME} (the axis need not begin at 0)")
    _row_notes(quality_axes, answer)
    for axes, (column, name) in zip(cost_axes, shown.items(), strict=True):
        axes.set_xlabel(name)
        ends = [row.scores[f"{column}.mean"] + np.nan_to_num(row.scores[f"{column}.std"]) for row in answer.rows]
        axes.set_xlim(0, 1.1 * max(ends))
    line = f"; line and band: {reference.label}" if reference else ""
    headline(figure, f"{answer.comparison.title} ({dataset_name(grid)})", basis(grid, labels=labels) + line)
    return figure


def learning_curves(grid: Grid, styles: Styles) -> Figure | None:
    """Validation quality by time: one line per run, and a panel per model where these are many."""
    curves = [
        (result, [point for point in result.curve if np.isfinite(point["validation"])]) for result in grid.results
    ]
    curves = [(result, curve) for result, curve in curves if len(curve) > 1]
    if not curves:
        return None
    drawn = {result.spec.label for result, _ in curves}
    models = [model for model in grid.models if model in drawn]
    told = "one line per run (seed); its marker is the best validation, whose state is tested"
    if len(models) > _MOST_IN_ONE_PANEL:
        figure, panels = _panel_per_model(models)
        for axes, model in zip(panels, models, strict=True):
            others = [_points(curve, "seconds") for result, curve in curves if result.spec.label != model]
            axes.add_collection(LineCollection(others, colors="#cccccc", linewidths=0.8, zorder=1))
            for curve in (curve for result, curve in curves if result.spec.label == model):
                _draw_curve(axes, curve, "seconds", styles[model])
            axes.autoscale_view()
        figure.supxlabel("Seconds since the fit began (log scale)", fontsize="medium")
        figure.supylabel(f"{PRIMARY_NAME} on validation queries", fontsize="medium")
        told += "; grey: the other models"
    else:
        figure = _figure(10.5, 4.6)
        panels = list(figure.subplots(1, 2, sharey=True))
        for result, curve in curves:
            for axes, unit in zip(panels, ("epoch", "seconds"), strict=True):
                _draw_curve(axes, curve, unit, styles[result.spec.label])
        panels[0].set_xlabel("Epochs of training (log scale)")
        panels[1].set_xlabel("Seconds since the fit began (log scale)")
        panels[0].set_ylabel(f"{PRIMARY_NAME} on validation queries")
        _models_legend(figure, {model: styles[model] for model in models})
    top = max(point["validation"] for _, curve in curves for point in curve)
    for axes in panels:
        log_axis(axes)
        axes.set_ylim(0, 1.08 * max(top, 1e-4))
    headline(figure, f"How quickly each model learns ({dataset_name(grid)})", told)
    return figure


def _points(curve: list[dict[str, float]], unit: str) -> list[tuple[float, float]]:
    return [(point[unit], point["validation"]) for point in curve]


def _draw_curve(axes: Axes, curve: list[dict[str, float]], unit: str, style: ModelStyle) -> None:
    """The learning curve of one run, with a marker at its best validation."""
    points = _points(curve, unit)
    axes.plot(*zip(*points, strict=True), color=style.color, linestyle=style.line, linewidth=1.3, alpha=0.75)
    axes.plot(*max(points, key=lambda point: point[1]), **_marker(style), zorder=3)


def cost(wide: pd.DataFrame, grid: Grid, styles: Styles) -> Figure | None:
    """Quality against training time, answering time and size."""
    rows = wide[wide[f"item.overall.{PRIMARY_METRIC}.mean"].notna()]
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
                row[f"item.overall.{PRIMARY_METRIC}.mean"],
                xerr=np.nan_to_num(row[f"{name}.std"]),
                yerr=np.nan_to_num(row[f"item.overall.{PRIMARY_METRIC}.std"]),
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
    headline(figure, f"What quality costs ({dataset_name(grid)})", basis(grid) + "; upper left is best")
    return figure


def _panel_per_model(models: Sequence[str]) -> tuple[Figure, list[Axes]]:
    """A grid of panels with common axes, each titled with its model; the lowest of each column carries the ticks."""
    columns = min(3 if len(models) <= 12 else 4, len(models))
    lines = -(-len(models) // columns)
    figure = _figure(3.1 * columns + 0.6, 2.1 * lines + 0.7)
    panels = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
    for index, axes in enumerate(panels.flat):
        axes.set_visible(index < len(models))
        if index < len(models) <= index + columns:
            axes.xaxis.set_tick_params(labelbottom=True)
    shown = list(panels.flat)[: len(models)]
    for axes, model in zip(shown, models, strict=True):
        axes.set_title(model)
    return figure, shown


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


def _from_zero(axes: Axes) -> None:
    """An x axis from 0 on which no mark touches the frame."""
    largest = max(float(axes.dataLim.x1), 1e-4)
    axes.set_xlim(-0.02 * largest, 1.04 * largest)


def _row_notes(axes: Axes, answer: Answer) -> None:
    """Writes the difference of each row to its right, in bold with a star where it is significant."""
    notes = axes.secondary_yaxis("right")
    notes.set_yticks(
        range(len(answer.rows)),
        [f"{row.test.difference:+.4f}{' *' if row.significant else ''}" if row.test else "" for row in answer.rows],
    )
    notes.tick_params(length=0)
    notes.spines["right"].set_visible(False)
    for text, row in zip(notes.get_yticklabels(), answer.rows, strict=True):
        text.set_fontweight("bold" if row.significant else "normal")
    if answer.tested:
        notes.set_ylabel(
            f"difference to {answer.comparison.against}\n* p < {ALPHA:g} (Holm)",
            rotation=0,
            ha="left",
            va="bottom",
            fontsize="small",
            color="#444444",
        )
        notes.yaxis.set_label_coords(1.02, 1.0)


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


def dataset_name(grid: Grid) -> str:
    """The data set that a title names."""
    return grid.runs[0].spec.dataset.label


def basis(grid: Grid, bars: bool = True, labels: Sequence[str] | None = None) -> str:
    """What the figure is measured on: queries and seeds, and what its error bars are; `labels` None: all rows."""
    queries = max(len(result.queries) for result in grid.results if result.queries is not None)
    counts = {len(grid.of_model(model)) for model in labels or grid.complete_models}
    if counts == {1}:
        return f"n = {queries:,} test queries; one seed"
    seeds = f"{max(counts)}" if len(counts) == 1 else f"{min(counts)} to {max(counts)}"
    text = f"n = {queries:,} test queries; mean of {seeds} seeds"
    return f"{text}, bars: ± 1 standard deviation over seeds" if bars else text
