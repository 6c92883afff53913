"""Who beats whom as a heat map, and mean ranks as a diagram."""

from __future__ import annotations

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from bench.analysis.families import all_pairs
from bench.analysis.frames import DatasetFrames
from bench.analysis.pairs import critical_difference, indifferent, rows_of
from bench.analysis.significance import ALPHA
from bench.conventions import PRIMARY_NAME
from bench.reporting.figures.style import GREY, headline


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


def ranks_figure(ranks: pd.DataFrame) -> Figure:
    """A critical-difference diagram: mean ranks, and a bar over models that are not significantly different."""
    n_datasets = len(ranks.columns) - 2
    means, models = ranks["rank"].tolist(), ranks["row"].tolist()
    gap = critical_difference(len(models), n_datasets)
    groups = indifferent(means, gap)
    figure = Figure(figsize=(8.5, 1.2 + 0.26 * len(models) + 0.14 * len(groups)), layout="constrained")
    axes = figure.subplots()
    for line, (first, last) in enumerate(groups, start=1):
        ends = (means[first] - 0.03, means[last] + 0.03)
        axes.plot(ends, (-0.5 * line,) * 2, color=GREY, linewidth=4, solid_capstyle="butt")
    bottom = -0.5 * (len(groups) + 1)
    for height, (mean, model) in enumerate(zip(means, models, strict=True)):
        axes.plot((mean, mean, len(models) + 0.4), (0, bottom - height, bottom - height), color="#444444", linewidth=1)
        axes.text(len(models) + 0.45, bottom - height, f"{model} ({mean:.2f})", va="center")
    axes.set_xlim(1, len(models) + 0.4)
    axes.set_ylim(bottom - len(models) + 0.3, 0)
    axes.xaxis.tick_top()
    axes.set_xticks(range(1, len(models) + 1))
    axes.set_yticks([])
    axes.grid(visible=False)
    axes.spines[["left", "right", "bottom"]].set_visible(False)
    subtitle = f"1 is best; bars join what is not significantly different (Nemenyi, critical difference {gap:.2f})"
    headline(figure, f"Mean rank by {PRIMARY_NAME} over {n_datasets} data sets", subtitle)
    return figure
