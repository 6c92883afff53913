"""What a search found, trial by trial."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bench.conventions import PRIMARY_METRIC, PRIMARY_NAME
from bench.reporting.figures import style
from bench.reporting.figures.looks import row_styles


def best_so_far(trials: pd.DataFrame) -> Figure | None:
    """The best validation after each trial, one line a row. None where no row has two trials to draw a line between.

    Args:
        trials: Of one data set (`bench.analysis.columns.TRIALS`).
    """
    if trials["trial"].nunique() < 2:
        return None
    looks = row_styles(dict(zip(trials["row"], trials["model"], strict=True)))
    figure = Figure(figsize=(7.5, 4.0), layout="constrained")
    axes = figure.subplots()
    for row, of_row in trials.groupby("row", sort=False):
        validations = of_row.set_index("trial")[f"validation_{PRIMARY_METRIC}"]
        best, look = validations.cummax().ffill().dropna(), looks[str(row)]
        if best.empty:
            continue
        axes.step(best.index, best, where="post", color=look.color, linestyle=look.line, label=row)
        better = best[best.diff().fillna(1) > 0]
        axes.plot(better.index, better, linestyle="", marker=look.marker, color=look.color)
    if not axes.lines:
        return None
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("trial (0 is the row as it is)")
    axes.set_ylabel(f"best validation {PRIMARY_NAME} so far")
    figure.legend(loc="outside right upper", frameon=False)
    style.headline(figure, "What the search found", f"{trials['dataset'].iloc[0]}, validation queries")
    return figure
