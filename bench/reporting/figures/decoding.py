"""Figures of how decoding goes on one data set. Each function returns None where there are no traces to draw."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from bench.analysis.decoding import Measure, decoding_of, of_trace, over_seeds, prefix_name
from bench.analysis.grid import Grid
from bench.evaluation.decoding import (
    FIRST_PLACES,
    by_first_place,
    conditional_rank,
    gate_by_retrieved,
    prefix_precision,
    rank_progression,
    retrieved_histogram,
    survival,
)
from bench.reporting.figures.quality import Styles, basis, dataset_name
from bench.reporting.figures.style import headline, model_axis

LEVEL_COLORS = ("#00204c", "#31688e", "#35b779", "#b8a800", "#777777")
LEVEL_MARKERS = ("o", "s", "^", "D", "v")
_MOST_COLUMNS = 3


def prefixes(grid: Grid) -> Figure | None:
    """Prefix precision and survival in the beam, a row per model and a mark per level."""
    panels = {
        "Share of queries whose best generated ID\nbegins with the target's first codes": of_trace(prefix_precision),
        "Share of queries whose target\nis in the beam after the level": of_trace(survival),
    }
    figure = _by_level(grid, panels, lambda level: f"P_{prefix_name(level)}: the first {_codes(level)}")
    if figure is not None:
        headline(figure, f"How far the right path is followed ({dataset_name(grid)})", basis(grid))
    return figure


def ranks(grid: Grid) -> Figure | None:
    """Conditional Rank Progression in both readings, a row per model and a mark per level."""
    panels = {
        "Mean rank of the target's path among all\ncontinuations (0: first), its prefix being in the beam": of_trace(
            conditional_rank
        ),
        "Mean number of places that a path which\nstays in the beam loses at the level": of_trace(rank_progression),
    }
    figure = _by_level(grid, panels, lambda level: f"level {level}")
    if figure is not None:
        figure.axes[1].axvline(0, color="#444444", linewidth=1, zorder=1)
        headline(figure, f"Conditional Rank Progression ({dataset_name(grid)})", basis(grid) + "; lower is better")
    return figure


def gate(grid: Grid, styles: Styles) -> Figure | None:
    """Mean gate by number of retrieved events, a panel per model with the others in grey."""
    series = {
        model: frame
        for model in grid.models
        if len(frame := _over_seeds(grid, model, gate_by_retrieved, "retrieved").drop(index="0", errors="ignore"))
    }
    if not series:
        return None
    bins = _ordered(name for frame in series.values() for name in frame.index)
    figure, panels = _panels(len(series), height=2.3, sharey=True)
    for axes, (model, own) in zip(panels, series.items(), strict=True):
        for other in series.values():
            axes.plot([bins.index(name) for name in other.index], other["gate"], color="#cccccc", linewidth=1, zorder=1)
        style = styles[model]
        axes.errorbar(
            [bins.index(name) for name in own.index],
            own["gate"],
            yerr=own["gate.std"].fillna(0),
            color=style.color,
            marker=style.marker,
            capsize=3,
            linewidth=2,
        )
        sizes = own["queries"].reindex(bins).fillna(0)
        axes.set_xticks(range(len(bins)), [f"{name}\nn={size:,.0f}" for name, size in sizes.items()], fontsize="small")
        axes.set_title(model)
        axes.margins(x=0.1)
    top = max((frame["gate"] + frame["gate.std"].fillna(0)).max() for frame in series.values())
    panels[0].set_ylim(0, 1.1 * max(top, 1e-3))
    figure.supxlabel(
        "Events retrieved for the target's first code (n: test queries)",
        fontsize="medium",
    )
    figure.supylabel("Mean gate\n(0: short term only)", fontsize="medium")
    headline(
        figure,
        f"Does the gate open wider the more is retrieved? ({dataset_name(grid)})",
        basis(grid) + ("; grey: the other models" if len(series) > 1 else ""),
    )
    return figure


def retrieved(grid: Grid) -> Figure | None:
    """Histogram of retrieved lengths; models that retrieve alike share a panel."""
    models_of: dict[tuple[float, ...], list[str]] = {}
    for model in grid.models:
        counts = [retrieved_histogram(decoding_of(result)) for result in grid.of_model(model)]
        length = max(len(count) for count in counts)
        if length:
            shares = np.mean([np.pad(count, (0, length - len(count))) / count.sum() for count in counts], axis=0)
            models_of.setdefault(tuple(shares.tolist()), []).append(model)
    if not models_of:
        return None
    figure, panels = _panels(len(models_of), height=2.2, sharey=True)
    for axes, (shares, models) in zip(panels, models_of.items(), strict=True):
        bars = axes.bar(range(len(shares)), shares, width=0.85, color="#31688e")
        bars[0].set(facecolor="white", edgecolor="#31688e", hatch="////")
        axes.set_title(" and ".join(models) if len(models) < 3 else f"{models[0]} and {len(models) - 1} like it")
        axes.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
        axes.grid(axis="x", visible=False)
    figure.supxlabel(
        "Events retrieved for the target's first code, at most the search's limit (hatched: none)",
        fontsize="medium",
    )
    figure.supylabel("Share of test queries", fontsize="medium")
    headline(figure, f"How much semantic hard search finds ({dataset_name(grid)})", basis(grid, bars=False))
    return figure


def first_code(grid: Grid) -> Figure | None:
    """Hits and later ranks by the place of the target's first code: one heat map each, models down the side."""
    frames = {model: _over_seeds(grid, model, _by_first_place_of_run, "place", of_run=True) for model in grid.models}
    if not frames:
        return None
    values = _ordered(name for frame in frames.values() for name in frame.columns if name.startswith("forced_rank_"))
    columns = [name for name in ("hit", *values) if not name.endswith(".std")]
    places = [place for place in FIRST_PLACES if any(place in frame.index for frame in frames.values())]
    lines = -(-len(columns) // 2)
    figure = Figure(figsize=(11.5, (1.1 + 0.42 * len(frames)) * lines + 0.4), layout="constrained")
    panels = figure.subplots(lines, 2, squeeze=False, sharey=True)
    for axes, column in zip(panels.flat, columns, strict=False):
        cells = pd.DataFrame({m: f.reindex(places).get(column, np.nan) for m, f in frames.items()}).T
        sizes = pd.DataFrame({m: f["queries"].reindex(places) for m, f in frames.items()}).T
        hit = column == "hit"
        texts = cells.map(lambda value, hit=hit: "" if np.isnan(value) else f"{value:.{2 if hit else 1}f}")
        if hit:
            texts += sizes.map(lambda size: "" if np.isnan(size) else f"\nn={size:,.0f}")
        sns.heatmap(
            cells,
            ax=axes,
            annot=texts,
            fmt="",
            annot_kws={"size": "small"},
            cmap="cividis" if hit else "cividis_r",
            vmin=0,
            vmax=None if hit else max(1.0, float(np.nanmax(cells.to_numpy()))),  # less than a place is no difference
            linewidths=1,
            cbar=False,
        )
        level = column.rsplit("_", 1)[-1]
        axes.set_title("Hit@10, item level" if hit else f"Mean rank of the target's code of level {level}")
        axes.set_xlabel("Place of the target's first code")
        axes.tick_params(axis="y", rotation=0)
    for axes in panels.flat[len(columns) :]:
        axes.set_visible(False)
    headline(
        figure,
        f"What a badly placed first code costs ({dataset_name(grid)})",
        basis(grid, bars=False) + ". Later ranks: 0 is first, given the target's own codes before; dark is worse",
    )
    return figure


def _by_first_place_of_run(result: Any) -> pd.DataFrame:
    return by_first_place(decoding_of(result), result.queries["item_rank"].to_numpy())


def _over_seeds(
    grid: Grid, model: str, measure: Callable[[Any], pd.DataFrame], key: str, of_run: bool = False
) -> pd.DataFrame:
    """A measure by group, with means over a row's seeds and, as `NAME.std`, their deviations.

    Args:
        grid: Runs on one data set.
        model: Label of the row.
        measure: Gives a table with a column `key`, from a decoding table or (`of_run`) from a result.
        key: Names the groups; they keep their order.
        of_run: What `measure` takes.
    """
    frames = [measure(result if of_run else decoding_of(result)) for result in grid.of_model(model)]
    groups = pd.concat(frames, ignore_index=True).groupby(key, sort=False)
    return groups.mean().join(groups.std().add_suffix(".std"))


def _by_level(grid: Grid, panels: dict[str, Measure], legend: Callable[[int], str]) -> Figure | None:
    """Dots with error bars: a panel per measure, a row per model, a mark per level."""
    models = grid.models
    if not models:
        return None
    figure = Figure(figsize=(10.5, 1.3 + 0.5 * len(models)), layout="constrained")
    most = 0
    for axes, (label, measure) in zip(figure.subplots(1, 2, sharey=True), panels.items(), strict=True):
        for row, model in enumerate(models):
            mean, std = over_seeds(grid.of_model(model), measure)
            most = max(most, len(mean))
            _levels(axes, row, mean, std)
        model_axis(axes, models)
        axes.set_xlim(left=min(axes.get_xlim()[0], -0.02 * axes.get_xlim()[1]))
        axes.set_xlabel(label)
    figure.legend(
        handles=[Line2D([], [], **_look(level), linestyle="none", label=legend(level)) for level in range(1, most + 1)],
        loc="outside lower left",
        frameon=False,
        ncols=most,
        handletextpad=0.2,
    )
    return figure


def _levels(axes: Axes, row: int, mean: NDArray[np.float64], std: NDArray[np.float64]) -> None:
    """One model's row: the levels stand a little below each other, so that no error bar hides another."""
    shift = 0.6 / max(1, len(mean) - 1)
    places = row - 0.3 + shift * np.arange(len(mean))
    axes.plot(mean, places, color="#cccccc", linewidth=1, zorder=1)
    for level, (x, place, error) in enumerate(zip(mean, places, std, strict=True), start=1):
        if np.isfinite(x):
            axes.errorbar(x, place, xerr=np.nan_to_num(error), capsize=2, zorder=3, **_look(level))


def _look(level: int) -> dict[str, Any]:
    index = min(level, len(LEVEL_COLORS)) - 1
    return {"color": LEVEL_COLORS[index], "marker": LEVEL_MARKERS[index], "markersize": 6}


def _panels(number: int, height: float, sharey: bool) -> tuple[Figure, list[Axes]]:
    """A figure with `number` panels in up to three columns."""
    columns = min(_MOST_COLUMNS, number)
    lines = -(-number // columns)
    figure = Figure(figsize=(max(3.6 * columns, 6.0) + 0.6, height * lines + 0.8), layout="constrained")
    panels = figure.subplots(lines, columns, sharey=sharey, squeeze=False).flatten().tolist()
    for axes in panels[number:]:
        axes.set_visible(False)
    return figure, panels[:number]


def _ordered(names: Iterator[str]) -> list[str]:
    """Distinct names of bins by their first number."""
    return sorted(set(names), key=lambda name: int("".join(c for c in name.split("-")[0] if c.isdigit()) or 0))


def _codes(level: int) -> str:
    return "code" if level == 1 else f"{level} codes"
