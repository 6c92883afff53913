"""Draws docs/figures/answer.svg from committed results: what each row gains or loses against counting, with intervals.

    python docs/figures/answer.py

Reads the leaderboards and the pairs of suite `long`; trains nothing.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from bench.reporting.figures.differences import point
from bench.reporting.figures.looks import row_style

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "results" / "long"
DATASETS = {
    "complete-journey": "Complete Journey, 2,134 households",
    "online-retail-ii+dev": "Online Retail II, 1,260 customers",
}
"""Folder of each data set -> its name for readers, with the users of its test queries."""

MARK = "counts-whole"
"""Counting a user's own purchases over the whole history, with popularity weighed in."""

READS = {
    "sasrec-ce-copying": "SASRec, copying, whole history",
    "count-mixture": "SASRec and counts, mixed",
    "glass-plus": "GLASS extended, copying, and counts",
    "glass-extended-copying": "GLASS extended, copying, whole history",
    "tiger-extended-copying": "TIGER extended, copying, last 50 events",
    "counts-last-50": "counts, last 50 events",
    "personal-popularity": "counts, last 200 events",
    "glass": "GLASS as in its paper, whole history",
    "sasrec-ce": "SASRec, last 200 events",
    "sim": "SIM, whole history",
    "tiger": "TIGER, last 50 events",
    "hstu": "HSTU, last 100 events",
    "item-knn": "item neighbours, last events",
    "popularity": "popularity, reads nothing",
}
_ALPHA = 0.05


@dataclass(frozen=True)
class Difference:
    """NDCG@10 of a row minus that of `MARK`, with its 95 % interval.

    Attributes:
        row: Its label.
        model: The registered model behind it.
        mean, low, high: The difference and its interval.
        p, p_holm: Of the test alone, and after Holm's correction over `family_size` pairs of rows.
    """

    row: str
    model: str
    mean: float
    low: float
    high: float
    p: float
    p_holm: float
    family_size: int


def differences(results: Path) -> dict[str, Difference]:
    """Of every row of a data set that is evidence, by label; the interval is that of `pairs.csv`."""
    table = pd.read_csv(results / "leaderboard.csv")
    rows = set(table["row"][table["warning"].isna()])
    found = []
    for pair in pd.read_csv(results / "pairs.csv").itertuples():
        tested = (pair.p_value, pair.p_holm, pair.family_size)
        if pair.first == MARK and pair.second in rows:
            found.append(Difference(pair.second, pair.second_model, -pair.difference, -pair.high, -pair.low, *tested))
        elif pair.second == MARK and pair.first in rows:
            found.append(Difference(pair.first, pair.first_model, pair.difference, pair.low, pair.high, *tested))
    return {one.row: one for one in found}


def draw(found: dict[str, dict[str, Difference]]) -> Figure:
    """Rows down, their difference to `MARK` to the right, as in every report; hollow where it is not settled.

    Args:
        found: Of each data set, a column: what `differences` gives. The best row by the mean over them is on top.
    """
    by_row: dict[str, list[Difference]] = {}
    for one in (one for column in found.values() for one in column.values()):
        by_row.setdefault(one.row, []).append(one)
    rows = sorted(by_row, key=lambda row: -sum(one.mean for one in by_row[row]) / len(by_row[row]))
    size = (4.2 * len(found) + 1.2, 0.36 * len(rows) + 1.3)
    figure, panels = plt.subplots(
        1, len(found), figsize=size, sharey=True, sharex=True, squeeze=False, layout="constrained"
    )
    for axes, (dataset, column) in zip(panels[0], found.items(), strict=True):
        for place, row in enumerate(rows):
            if one := column.get(row):
                look = row_style(row, one.model)
                axes.plot([one.low, one.high], [place, place], color=look.color, linewidth=2, solid_capstyle="butt")
                point(axes, one.mean, place, look, filled=one.p_holm < _ALPHA)
        axes.axvline(0, color="#222222", linewidth=1)
        axes.set_title(DATASETS.get(dataset, dataset), loc="left", fontsize="medium")
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", color="#e4e4e4")
        axes.set_axisbelow(True)
    first = panels[0, 0]
    first.set_yticks(range(len(rows)), [READS.get(row, row) for row in rows])
    first.set_ylim(len(rows) - 0.5, -0.5)
    for label, row in zip(first.get_yticklabels(), rows, strict=True):
        look = row_style(row, by_row[row][0].model)
        if look.strong:
            label.set(color=look.color, fontweight="bold")
    hollow = "hollow: p ≥ 0.05 after Holm's correction over all pairs"
    figure.supxlabel(f"difference in NDCG@10, paired, with its 95 % interval ({hollow})", fontsize="small")
    figure.suptitle("Against counting all that a user bought", x=0.01, ha="left", fontsize="medium", fontweight="bold")
    return figure


def main(output: Path = ROOT / "docs" / "figures" / "answer.svg") -> None:
    # Words stay words, so that the file is small; equal figures are equal files.
    with plt.style.context(["default", {"svg.fonttype": "none", "svg.hashsalt": "answer"}]):
        figure = draw({name: differences(RESULTS / name) for name in DATASETS})
        figure.savefig(output, format="svg", metadata={"Date": None}, facecolor="white")
        plt.close(figure)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
