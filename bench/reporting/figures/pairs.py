"""Who beats whom as a heat map, and mean ranks as a diagram."""

from __future__ import annotations

import numpy as np
import seaborn as sns
from matplotlib.figure import Figure

from bench.analysis.families import all_pairs
from bench.analysis.frames import DatasetFrames
from bench.analysis.pairs import rows_of
from bench.analysis.significance import ALPHA
from bench.conventions import PRIMARY_NAME
from bench.reporting.figures.style import headline


def pairwise_figure(frames: DatasetFrames) -> Figure | None:
    """The differences of all pairs as a heat map, with a star where significant. None with fewer than three rows."""
    compared = frames.pairs
    models = rows_of(compared)
    if len(models) < 3:
        return None
    position = {model: index for index, model in enumerate(models)}
    values = np.full((len(models), len(models)), np.nan)
    texts = np.full(values.shape, "", dtype=object)
    for row in compared.to_dict("records"):
        a, b = position[row["first"]], position[row["second"]]
        for one, other, difference in ((a, b, row["difference"]), (b, a, -row["difference"])):
            values[one, other] = difference
            texts[one, other] = f"{difference:+.3f}{'*' if row['p_holm'] < ALPHA else ''}"
    limit = max(float(np.nanmax(np.abs(values))), 1e-4)
    figure = Figure(figsize=(2.6 + 0.66 * len(models), 1.5 + 0.4 * len(models)), layout="constrained")
    axes = figure.subplots()
    sns.heatmap(
        values,
        ax=axes,
        annot=texts,
        fmt="",
        annot_kws={"size": "x-small"},
        cmap="PuOr",
        vmin=-limit,
        vmax=limit,
        linewidths=1,
        cbar_kws={"label": f"row - column, {PRIMARY_NAME}"},
        xticklabels=[str(number) for number in range(1, len(models) + 1)],
        yticklabels=[f"{number}. {model}" for number, model in enumerate(models, start=1)],
    )
    axes.tick_params(axis="y", rotation=0)
    axes.grid(visible=False)
    axes.set_xlabel("compared with the model of this number")
    subtitle = (
        f"n = {compared['n_queries'].max():,} test queries; * p < {ALPHA:g} (Holm, {all_pairs(len(compared)).members})"
    )
    headline(figure, f"Who beats whom ({frames.dataset})", subtitle)
    return figure
