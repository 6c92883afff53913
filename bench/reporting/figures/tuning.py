"""What a search found, trial by trial."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bench.conventions import PRIMARY_NAME
from bench.reporting.figures import style
from bench.tuning.study import Study


def best_so_far(studies: Sequence[Study]) -> Figure | None:
    """The best validation after each trial, one line a model. None where no trial is complete."""
    looks = style.model_styles([study.base.label for study in studies])
    figure = Figure(figsize=(7.5, 4.0), layout="constrained")
    axes = figure.subplots()
    for study in studies:
        trials = pd.Series({trial.number: trial.validation for trial in study.trials}, dtype=float)
        best, look = trials.cummax().ffill().dropna(), looks[study.base.label]
        if best.empty:
            continue
        axes.step(best.index, best, where="post", color=look.color, linestyle=look.line, label=study.base.label)
        found = best[best.diff().fillna(1) > 0]
        axes.plot(found.index, found, linestyle="", marker=look.marker, color=look.color)
    if not axes.lines:
        return None
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("trial (0 is the row as it is)")
    axes.set_ylabel(f"best validation {PRIMARY_NAME} so far")
    figure.legend(loc="outside right upper", frameon=False)
    style.headline(figure, "What the search found", f"{studies[0].base.dataset.label}, validation queries")
    return figure
