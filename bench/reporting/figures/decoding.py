"""Figures of how decoding goes on one data set. Each function returns None where there are no traces to draw."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from bench.analysis.decoding import over_seeds, prefix_name
from bench.analysis.frames import DatasetFrames
from bench.reporting.figures.marks import Styles, against_others, basis_in_words, panel_grid
from bench.reporting.figures.style import headline, model_axis

LEVEL_COLORS = ("#00204c", "#31688e", "#35b779", "#b8a800", "#777777")
LEVEL_MARKERS = ("o", "s", "^", "D", "v")
_MOST_COLUMNS = 3


def prefixes(frames: DatasetFrames) -> Figure | None:
    """Prefix precision and survival in the beam, a line per row and a mark per level."""
    panels = {
        "prefix-precision": "Share of queries whose best generated ID\nbegins with the target's first codes",
        "survival": "Share of queries whose target\nis in the beam after the level",
    }
    figure = _by_level(frames, panels, lambda level: f"P_{prefix_name(level)}: the first {_codes(level)}")
    if figure is not None:
        headline(figure, f"How far the right path is followed ({frames.dataset})", _basis(frames))
    return figure


def ranks(frames: DatasetFrames) -> Figure | None:
    """Conditional Rank Progression in both readings, a line per row and a mark per level."""
    panels = {
        "conditional-rank": "Mean rank of the target's path among all\n"
        "continuations (0: first), its prefix being in the beam",
        "rank-progression": "Mean number of places that a path which\nstays in the beam loses at the level",
    }
    figure = _by_level(frames, panels, lambda level: f"level {level}")
    if figure is not None:
        figure.axes[1].axvline(0, color="#444444", linewidth=1, zorder=1)
        headline(figure, f"Conditional Rank Progression ({frames.dataset})", _basis(frames) + "; lower is better")
    return figure


def gate(frames: DatasetFrames, styles: Styles) -> Figure | str | None:
    """Mean gate by number of retrieved events, a panel per row with the others in grey."""
    gates = _parts(frames, "gate", "retrieved:")
    gates = gates[gates["part"] != "0"]
    series = {str(row): _groups(of_row) for row, of_row in gates.groupby("row", sort=False)}
    if not series:
        return None
    bins = _ordered(gates["part"])
    if len(bins) == 1:
        means = ", ".join(f"{row} {own['mean'].iloc[0]:.2f}" for row, own in series.items())
        return f"No figure: every search found {bins[0]} events, or none. Mean gate where it found some: {means}."
    series = {row: own.assign(x=[bins.index(name) for name in own.index]) for row, own in series.items()}
    figure, panels = _panels(len(series), line=2.3)
    for axes, (row, own) in zip(panels, series.items(), strict=True):
        against_others(axes, own, series.values(), styles[row])
        sizes = own["n"].reindex(bins).fillna(0)
        axes.set_xticks(range(len(bins)), [f"{name}\nn={size:,.0f}" for name, size in sizes.items()], fontsize="small")
        axes.set_title(row)
        axes.margins(x=0.1)
    top = max((frame["mean"] + frame["std"].fillna(0)).max() for frame in series.values())
    panels[0].set_ylim(0, 1.1 * max(top, 1e-3))
    figure.supxlabel("Events retrieved for the target's first code (n: test queries)", fontsize="medium")
    figure.supylabel("Mean gate\n(0: short term only)", fontsize="medium")
    others = "; grey: the other models" if len(series) > 1 else ""
    title = f"Does the gate open wider the more is retrieved? ({frames.dataset})"
    headline(figure, title, _basis(frames) + others)
    return figure


def retrieved(frames: DatasetFrames) -> Figure | str | None:
    """Histogram of retrieved lengths; rows that retrieve alike share a panel.

    Returns:
        A sentence where no row has two bars.
    """
    rows_of: dict[tuple[float, ...], list[str]] = {}
    counts = _parts(frames, "queries", "retrieved:")
    for row, of_row in counts.groupby("row", sort=False):
        seeds = [values.to_numpy() for _, values in of_row.groupby("seed", sort=True)["value"]]
        length = max(map(len, seeds))
        shares = np.mean([np.pad(count, (0, length - len(count))) / count.sum() for count in seeds], axis=0)
        rows_of.setdefault(tuple(shares.tolist()), []).append(str(row))
    if not rows_of:
        return None
    single = {shares: rows for shares, rows in rows_of.items() if np.count_nonzero(shares) == 1}
    in_words = "; ".join(f"{' and '.join(rows)} always finds {np.argmax(shares)}" for shares, rows in single.items())
    rows_of = {shares: rows for shares, rows in rows_of.items() if shares not in single}
    if not rows_of:
        return f"No figure of what semantic hard search finds for the target's first code: {in_words}."
    figure, panels = _panels(len(rows_of), line=2.2)
    for axes, (shares, rows) in zip(panels, rows_of.items(), strict=True):
        bars = axes.bar(range(len(shares)), shares, width=0.85, color="#31688e")
        bars[0].set(facecolor="white", edgecolor="#31688e", hatch="////")
        axes.set_title(" and ".join(rows) if len(rows) < 3 else f"{rows[0]} and {len(rows) - 1} like it")
        axes.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
        axes.grid(axis="x", visible=False)
    figure.supxlabel(
        "Events retrieved for the target's first code, at most the search's limit (hatched: none)",
        fontsize="medium",
    )
    figure.supylabel("Share of test queries", fontsize="medium")
    basis = "; ".join(filter(None, (_basis(frames, bars=False), in_words)))
    headline(figure, f"How much semantic hard search finds ({frames.dataset})", basis)
    return figure


def first_code(frames: DatasetFrames) -> Figure | None:
    """Hits and later ranks by the place of the target's first code: one heat map each, rows down the side."""
    cells = _parts(frames, None, "first-place:")
    if cells.empty:
        return None
    rows = cells["row"].unique().tolist()
    metrics = ["hit@10", *_ordered(metric for metric in cells["metric"] if metric.startswith("rank@"))]
    positions = _ordered(cells["part"])
    lines = -(-len(metrics) // 2)
    figure = Figure(figsize=(11.5, (1.1 + 0.42 * len(rows)) * lines + 0.4), layout="constrained")
    panels = figure.subplots(lines, 2, squeeze=False, sharey=True)
    for axes, metric in zip(panels.flat, metrics, strict=False):
        groups = {row: _groups(_of(cells, row, metric)).reindex(positions) for row in rows}
        values = pd.DataFrame({row: group["mean"] for row, group in groups.items()}).T
        sizes = pd.DataFrame({row: group["n"] for row, group in groups.items()}).T
        _heat_map(axes, values, sizes if metric == "hit@10" else None)
        level = metric.rpartition("@")[2]
        axes.set_title(
            "Hit@10, item level" if metric == "hit@10" else f"Mean rank of the target's code of level {level}"
        )
        axes.set_xlabel("Place of the target's first code")
        axes.tick_params(axis="y", rotation=0)
    for axes in panels.flat[len(metrics) :]:
        axes.set_visible(False)
    headline(
        figure,
        f"What a badly placed first code costs ({frames.dataset})",
        _basis(frames, bars=False) + ". Later ranks: 0 is first, given the target's own codes before; dark is worse",
    )
    return figure


def _heat_map(axes: Axes, values: pd.DataFrame, sizes: pd.DataFrame | None) -> None:
    """A number in each cell; of hits, which have `sizes`, the number of queries below it."""
    texts = values.map(lambda value: "" if np.isnan(value) else f"{value:.{1 if sizes is None else 2}f}")
    if sizes is not None:
        texts += sizes.map(lambda size: "" if np.isnan(size) else f"\nn={size:,.0f}")
    sns.heatmap(
        values,
        ax=axes,
        annot=texts,
        fmt="",
        annot_kws={"size": "small"},
        cmap="cividis_r" if sizes is None else "cividis",
        vmin=0,
        # Less than a place is no difference.
        vmax=max(1.0, float(np.nanmax(values.to_numpy()))) if sizes is None else None,
        linewidths=1,
        cbar=False,
    )


def _basis(frames: DatasetFrames, bars: bool = True) -> str:
    """Queries and seeds of the rows with traces."""
    seeds = frames.decoding.groupby("row", sort=False)["seed"].nunique()
    return basis_in_words(frames.n_queries, seeds.tolist(), bars)


def _parts(frames: DatasetFrames, metric: str | None, prefix: str) -> pd.DataFrame:
    """The values of a metric (None: of all) on parts whose name begins so, which is left out of `part`."""
    wanted = frames.decoding["part"].str.startswith(prefix)
    if metric is not None:
        wanted &= frames.decoding["metric"] == metric
    chosen = frames.decoding[wanted].sort_values("seed", kind="stable")
    return chosen.assign(part=chosen["part"].str.removeprefix(prefix))


def _of(cells: pd.DataFrame, row: str, metric: str) -> pd.DataFrame:
    return cells[(cells["row"] == row) & (cells["metric"] == metric)]


def _groups(cells: pd.DataFrame) -> pd.DataFrame:
    """Of the values of one row and metric by part: mean and std over seeds, and the mean n; parts keep their order."""
    groups = cells.groupby("part", sort=False)
    return pd.DataFrame({"mean": groups["value"].mean(), "std": groups["value"].std(), "n": groups["n"].mean()})


def _by_level(frames: DatasetFrames, panels: Mapping[str, str], legend: Callable[[int], str]) -> Figure | None:
    """Dots with error bars: a panel per metric, a line per row, a mark per level.

    Args:
        frames: Of a data set.
        panels: Metric of `decoding.csv` -> label of its axis.
        legend: What a level is called.
    """
    rows = frames.decoding["row"].unique().tolist()
    if not rows:
        return None
    figure = Figure(figsize=(10.5, 1.3 + 0.5 * len(rows)), layout="constrained")
    most = 0
    for axes, (metric, label) in zip(figure.subplots(1, 2, sharey=True), panels.items(), strict=True):
        values = _parts(frames, metric, "level:")
        for y, row in enumerate(rows):
            mean, std = over_seeds(_by_seed(values[values["row"] == row]))
            most = max(most, len(mean))
            _levels(axes, y, mean, std)
        model_axis(axes, rows)
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


def _by_seed(values: pd.DataFrame) -> Sequence[NDArray[np.float64]]:
    """The values of each seed, level by level, float64 `[levels]` each."""
    return [of_seed.to_numpy() for _, of_seed in values.groupby("seed", sort=True)["value"]]


def _levels(axes: Axes, row: int, mean: NDArray[np.float64], std: NDArray[np.float64]) -> None:
    """One model's row: the levels stand a little below each other, so that no error bar hides another."""
    shift = 0.6 / max(1, len(mean) - 1)
    positions = row - 0.3 + shift * np.arange(len(mean))
    axes.plot(mean, positions, color="#cccccc", linewidth=1, zorder=1)
    for level, (x, y, error) in enumerate(zip(mean, positions, std, strict=True), start=1):
        if np.isfinite(x):
            axes.errorbar(x, y, xerr=np.nan_to_num(error), capsize=2, zorder=3, **_look(level))


def _look(level: int) -> dict[str, Any]:
    index = min(level, len(LEVEL_COLORS)) - 1
    return {"color": LEVEL_COLORS[index], "marker": LEVEL_MARKERS[index], "markersize": 6}


def _panels(number: int, line: float) -> tuple[Figure, list[Axes]]:
    """Panels in up to three columns, each `line` inches high."""
    columns = min(_MOST_COLUMNS, number)
    return panel_grid(number, columns, width=max(3.6 * columns, 6.0) + 0.6, line=line)


def _ordered(names: Iterable[str]) -> list[str]:
    """Distinct names of bins, or of metrics by level, by their first number."""
    return sorted(set(names), key=lambda name: int("".join(c for c in name.split("-")[0] if c.isdigit()) or 0))


def _codes(level: int) -> str:
    return "code" if level == 1 else f"{level} codes"
