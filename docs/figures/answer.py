"""Draws docs/figures/answer.svg from committed results: what each row gains or loses against counting, with intervals.

    python docs/figures/answer.py

Reads the leaderboard and the pairs of suite `long`; trains nothing.
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
RESULTS = ROOT / "results" / "long" / "complete-journey"
MARK = "counts-whole"
"""Counting the household's own purchases over its whole history, with popularity weighed in."""

READS = {
    "counts-whole": "counts, whole history",
    "personal-popularity": "counts, whole history, no popularity",
    "counts-last-50": "counts, last 50 events",
    "sasrec-ce": "SASRec, last 200 events",
    "hstu": "HSTU, last 100 events",
    "tiger": "TIGER, last 50 events",
    "tiger-extended": "TIGER extended, last 50 events",
    "tiger-extended-copying": "TIGER extended, copying, last 50 events",
    "glass": "GLASS as in its paper, whole history",
    "glass-extended": "GLASS extended, whole history",
    "glass-extended-copying": "GLASS extended, copying, whole history",
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


def differences(results: Path = RESULTS) -> list[Difference]:
    """Of every row that is evidence, the best first; the interval is that of `pairs.csv`."""
    table = pd.read_csv(results / "leaderboard.csv")
    rows = table["row" if "row" in table else "model"][table["warning"].isna()]
    pairs = pd.read_csv(results / "pairs.csv")
    found = []
    for pair in pairs.itertuples():
        tested = (pair.p_value, pair.p_holm, pair.family_size)
        if pair.first == MARK and pair.second in set(rows):
            found.append(Difference(pair.second, pair.second_model, -pair.difference, -pair.high, -pair.low, *tested))
        elif pair.second == MARK and pair.first in set(rows):
            found.append(Difference(pair.first, pair.first_model, pair.difference, pair.low, pair.high, *tested))
    return sorted(found, key=lambda one: -one.mean)


def draw(found: list[Difference]) -> Figure:
    """Rows down, their difference to `MARK` to the right, as in every report; hollow where it is not settled."""
    figure, axes = plt.subplots(figsize=(7.6, 0.42 * len(found) + 1.1), layout="constrained")
    for place, one in enumerate(found):
        look = row_style(one.row, one.model)
        axes.plot([one.low, one.high], [place, place], color=look.color, linewidth=2, solid_capstyle="butt")
        point(axes, one.mean, place, look, filled=one.p_holm < _ALPHA)
    axes.axvline(0, color="#222222", linewidth=1)
    axes.set_yticks(range(len(found)), [READS.get(one.row, one.row) for one in found])
    for label, one in zip(axes.get_yticklabels(), found, strict=True):
        if row_style(one.row, one.model).strong:
            label.set(color=row_style(one.row, one.model).color, fontweight="bold")
    axes.set_ylim(len(found) - 0.5, -0.5)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="#e4e4e4")
    axes.set_axisbelow(True)
    hollow = "(hollow: p ≥ 0.05 after Holm's correction over all pairs)"
    axes.set_xlabel(f"difference in NDCG@10, paired, with its 95 % interval\n{hollow}")
    title = "Against counting all that a household bought (Complete Journey, 2,134 households)"
    figure.suptitle(title, x=0.01, ha="left", fontsize="medium", fontweight="bold")
    return figure


def main(output: Path = ROOT / "docs" / "figures" / "answer.svg") -> None:
    # Words stay words, so that the file is small; equal figures are equal files.
    with plt.style.context(["default", {"svg.fonttype": "none", "svg.hashsalt": "answer"}]):
        figure = draw(differences())
        figure.savefig(output, format="svg", metadata={"Date": None}, facecolor="white")
        plt.close(figure)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
