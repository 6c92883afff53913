"""The figure of a comparison: some rows beside the one that they vary."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.analysis.frames import DatasetFrames
from bench.analysis.leaderboard import MEAN
from bench.analysis.significance import ALPHA
from bench.conventions import PRIMARY_NAME
from bench.number_text import number, ratio
from bench.reporting.figures.differences import INTERVALS, draw_differences
from bench.reporting.figures.looks import Styles
from bench.reporting.figures.marks import basis, dot, figure_of
from bench.reporting.figures.style import headline, model_axis

_COSTS = {"fit_seconds": "Training time in seconds", "milliseconds_per_user": "Milliseconds per user"}


def comparison(frames: DatasetFrames, title: str, styles: Styles) -> Figure | None:
    """The rows of a comparison beside the row that they vary; with costs where the question is one of cost.

    Args:
        frames: Of a data set on which two rows of the comparison are complete.
        title: Of the comparison.
        styles: Of the rows.

    Returns:
        None where no row could be compared, which the findings say in words.
    """
    chosen = frames.comparisons[(frames.comparisons["title"] == title) & (frames.comparisons["complete"] > 0)]
    rows = chosen.merge(frames.leaderboard.drop(columns=["model", "role", "complete"]), on="row")
    if rows["difference"].isna().all():
        return None
    against = str(rows["against"].iloc[0])
    others = rows[rows["row"] != against]
    shown = _COSTS if rows["cost"].iloc[0] else {}
    labels = others["row"].tolist()
    figure = figure_of(8.5 + 3.0 * len(shown), 1.6 + 0.36 * len(labels))
    panels = figure.subplots(1, 1 + len(shown), sharey=True, squeeze=False, width_ratios=[2.0, *(1.0 for _ in shown)])
    differences, *costs = panels.flat
    draw_differences(differences, others.assign(filled=others["p_holm"] < ALPHA), labels, styles)
    level = number(rows.loc[rows["row"] == against, MEAN].iloc[0])
    differences.set_xlabel(f"{PRIMARY_NAME} minus that of {against}, which is {level}")
    _row_notes(differences, others)
    for axes, (column, name) in zip(costs, shown.items(), strict=True):
        _cost(axes, rows, against, column, labels, styles)
        axes.set_xlabel(f"{name}\n(beside it: over that of {against})")
    bars = INTERVALS + (", of costs ± 1 standard deviation over seeds" if shown else "")
    headline(figure, f"{title} ({frames.dataset})", f"{basis(frames, rows['row'].tolist(), bars=False)}\n{bars}")
    return figure


def _cost(axes: Axes, rows: pd.DataFrame, against: str, column: str, labels: list[str], styles: Styles) -> None:
    """One cost of each row, and the ratio to that of the row that they vary."""
    costs = rows.set_index("row")
    base = costs.loc[against, f"{column}.mean"]
    for y, row in enumerate(labels):
        mean, std = costs.loc[row, f"{column}.mean"], costs.loc[row, f"{column}.std"]
        dot(axes, mean, y, std, styles[row], filled=True)
        text = ratio(mean / base) if base > 0 else ""
        axes.annotate(text, (mean, y), (0, 6), textcoords="offset points", ha="center", fontsize="x-small")
    model_axis(axes, labels, styles)
    ends = costs[f"{column}.mean"] + costs[f"{column}.std"].fillna(0)
    axes.set_xlim(0, 1.15 * ends.max())


def _row_notes(axes: Axes, rows: pd.DataFrame) -> None:
    """Writes the mean of each row to its right, in bold with a star where its difference is significant."""
    notes = axes.secondary_yaxis("right")
    significant = rows["p_holm"].lt(ALPHA).tolist()
    untested = rows["difference"].isna().tolist()
    texts = [
        f"{number(mean)}{' *' if star else ''}{' (not paired)' if lone else ''}"
        for mean, star, lone in zip(rows[MEAN], significant, untested, strict=True)
    ]
    notes.set_yticks(range(len(rows)), texts)
    notes.tick_params(length=0)
    notes.spines["right"].set_visible(False)
    for text, star in zip(notes.get_yticklabels(), significant, strict=True):
        text.set_fontweight("bold" if star else "normal")
    notes.set_ylabel(
        f"{PRIMARY_NAME}\nfilled, *: p < {ALPHA:g} (Holm)",
        rotation=0,
        ha="left",
        va="bottom",
        fontsize="small",
        color="#444444",
    )
    notes.yaxis.set_label_coords(1.02, 1.0)
