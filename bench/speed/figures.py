"""Figures of `speed.csv`: cost against a size, and quality against latency."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

from bench.conventions import PRIMARY_NAME
from bench.reporting.figures.marks import Styles, figure_of, marker, models_legend
from bench.reporting.figures.style import headline
from bench.speed.columns import ANSWER

SIZES = {
    "length": "Events of history",
    "items": "Items of the catalogue",
    "events": "Events of a step",
    "queries": "Queries at a time",
    "beam": "Width of the beam",
    "devices": "Devices that train together",
}


def growth(frame: pd.DataFrame, measure: str, size: str) -> pd.DataFrame:
    """What is measured by one size, all others being equal: those others under which it takes the most values.

    Args:
        frame: Complete lines of one machine, with the columns `bench.speed.columns.SPEED`.
        measure: As the column `measure` calls it.
        size: One of `SIZES`.

    Returns:
        Its lines, of rows with at least two sizes; it may be empty.
    """
    lines = frame[(frame["measure"] == measure) & frame[size].notna()]
    others = [name for name in SIZES if name != size]
    groups = [group for _, group in lines.groupby(others, dropna=False, sort=False)]
    if not groups:
        return lines
    widest = max(groups, key=lambda group: (group[size].nunique(), len(group)))
    counts = widest.groupby("row")[size].transform("nunique")
    return widest[counts >= 2].sort_values(size, kind="stable")


def others_in_words(lines: pd.DataFrame, size: str) -> str:
    """What is the same in all lines, e.g. "items of the catalogue: 10,000; queries at a time: 128"."""
    same = {name: lines[name].iloc[0] for name in SIZES if name != size and lines[name].notna().all()}
    if same.get("devices") == 1:  # goes without saying
        del same["devices"]
    return "; ".join(f"{SIZES[name].lower()}: {value:,.0f}" for name, value in same.items())


def growth_figure(lines: pd.DataFrame, measure: str, size: str, styles: Styles) -> Figure | None:
    """Medians with quartiles against a size, a line for each row; None without any."""
    if lines.empty:
        return None
    figure = figure_of(8.5, 4.6)
    axes = figure.subplots()
    shown = dict.fromkeys(lines["row"])
    for row in shown:
        own = lines[lines["row"] == row]
        around = [own["median_ms"] - own["low_ms"], own["high_ms"] - own["median_ms"]]
        look = styles[row]
        axes.errorbar(own[size], own["median_ms"], yerr=around, capsize=3, linestyle=look.line, **marker(look))
    _logarithmic(axes.xaxis, sorted(set(lines[size])))
    _logarithmic(axes.yaxis)
    axes.set_xlabel(f"{SIZES[size]} (log scale)")
    axes.set_ylabel("Milliseconds (log scale)")
    models_legend(figure, {row: styles[row] for row in shown})
    basis = f"medians, bars: quartiles; {others_in_words(lines, size)}"
    headline(figure, f"{measure.capitalize()} by {SIZES[size].lower()}", basis)
    return figure


def scaling_figure(lines: pd.DataFrame, styles: Styles) -> Figure | None:
    """How many times as fast each row trains on several devices as on the fewest; None without any lines.

    Args:
        lines: From `growth` by devices.
        styles: Of the rows.
    """
    if lines.empty:
        return None
    figure = figure_of(8.5, 4.6)
    axes = figure.subplots()
    ticks = sorted(set(lines["devices"]))
    axes.plot(ticks, [tick / ticks[0] for tick in ticks], color="0.6", linestyle=":", label="as many times as devices")
    shown = dict.fromkeys(lines["row"])
    for row in shown:
        own, look = lines[lines["row"] == row], styles[row]
        alone = own["median_ms"].iloc[0] * own["devices"].iloc[0] / ticks[0]
        rates = [alone / own[column] for column in ("median_ms", "high_ms", "low_ms")]
        around = [rates[0] - rates[1], rates[2] - rates[0]]
        axes.errorbar(own["devices"], rates[0], yerr=around, capsize=3, linestyle=look.line, **marker(look))
    axes.set(xlabel=SIZES["devices"], ylabel="Times as fast", ylim=(0, None))
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.legend(loc="upper left", frameon=False)
    models_legend(figure, {row: styles[row] for row in shown})
    basis = f"bars: quartiles; dotted: as many times as devices; {others_in_words(lines, 'devices')}"
    headline(figure, "Training on several devices", basis)
    return figure


def quality_figure(lines: pd.DataFrame, dataset: str, styles: Styles) -> Figure | str | None:
    """Quality against the time of an answer, a point for each row; a sentence where there would be one point.

    Args:
        lines: With the columns `row`, `median_ms`, `mean` and `std`.
        dataset: Where quality was measured.
        styles: Of the rows.
    """
    if lines.empty:
        return None
    if len(lines) == 1:
        (only,) = lines.to_dict("records")
        return (
            f"{only['row']} answers in {only['median_ms']:,.3g} ms with {PRIMARY_NAME} {only['mean']:.4f} ({dataset})."
        )
    figure = figure_of(8.5, 4.6)
    axes = figure.subplots()
    for line in lines.to_dict("records"):
        deviation = 0.0 if pd.isna(line["std"]) else line["std"]
        look = styles[line["row"]]
        axes.errorbar(line["median_ms"], line["mean"], yerr=deviation, capsize=3, linestyle="", **marker(look))
    _logarithmic(axes.xaxis)
    axes.set_xlabel("Milliseconds of an answer (log scale)")
    axes.set_ylabel(f"{PRIMARY_NAME} on test queries")
    models_legend(figure, {row: styles[row] for row in dict.fromkeys(lines["row"])})
    headline(figure, f"Quality against latency ({dataset})", "bars: ± 1 standard deviation over seeds")
    return figure


def _logarithmic(axis: Axis, ticks: Sequence[float] | None = None) -> None:
    """Plain numbers on a logarithmic axis, at these values or at 1, 2 and 5 times powers of ten."""
    axis.axes.set(**{f"{axis.axis_name}scale": "log"})  # type: ignore[attr-defined]  # of XAxis and YAxis
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)) if ticks is None else FixedLocator(list(ticks)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))


def one_answer(frame: pd.DataFrame) -> pd.DataFrame:
    """One time of each row: that of the answer to the fewest queries at the setting that most rows share."""
    answers = frame[frame["measure"] == ANSWER]
    if answers.empty:
        return answers
    groups = [group for _, group in answers.groupby(list(SIZES), dropna=False, sort=False)]
    return max(groups, key=lambda group: (group["row"].nunique(), -group["queries"].iloc[0]))
