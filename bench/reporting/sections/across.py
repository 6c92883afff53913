"""What all data sets say together: who is above which reference, by how much, for whom, and who ranks where."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from bench.analysis.average_ranks import ranks_with_intervals
from bench.analysis.frames import DatasetFrames
from bench.conventions import PRIMARY_NAME
from bench.reporting.blocks import Block, Heading, Paragraph, Picture, paragraph, section
from bench.reporting.figures import style
from bench.reporting.figures.across import FAMILIES, PART_NAMES, Part, forest_figure, ranks_figure
from bench.reporting.figures.looks import row_styles
from bench.reporting.tables import pairs

_RANKED = (
    f"Rows with complete runs on every data set, ranked by {PRIMARY_NAME} on each. The interval holds 95 % of the mean "
    "ranks over resampled users and seeds; the data sets are taken as they are, so that it says nothing of others."
)
_FOREST = (
    "The rows beside the suite's references. Each interval is of one difference and corrected for nothing: the tests "
    "on each data set decide, and `effects.csv` has the numbers."
)


def across(datasets: Sequence[DatasetFrames], folder: Path) -> list[Block]:
    """The section over all data sets; nothing where there is neither a reference nor a second data set.

    Args:
        datasets: The frames, in the order of the plan.
        folder: Of the figures.
    """
    ranks = all_ranks(datasets)
    overall = ranks.get(("overall", "overall"))
    rows = _order(datasets, overall)
    style.use_style()
    styles = row_styles({row: model for frames in datasets for row, model in frames.models.items()})
    drawn: dict[str, tuple[str, Callable[[], Figure | str | None]]] = {
        f"across-{family}": (
            f"Differences to the references, {words}",
            partial(forest_figure, datasets, family, rows, styles),
        )
        for family, words in FAMILIES.items()
    }
    # A part that fewer data sets have may rank rows that are not on all of them.
    ranked = [row for row in rows if any(row in set(table["row"]) for table in ranks.values())]
    drawn["across-ranks"] = (
        "Ranks averaged over the data sets, by part of the queries",
        lambda: ranks_figure(ranks, ranked, [frames.dataset for frames in datasets], styles),
    )
    pictures = {name: _picture(folder, name, *how) for name, how in drawn.items()}
    forests = [picture for name, picture in pictures.items() if name != "across-ranks"]
    content: list[Block | None] = [
        Paragraph(_FOREST) if any(forests) else None,
        *forests,
        *((Paragraph(_RANKED), pairs.ranks_table(overall)) if overall is not None else ()),
        pictures["across-ranks"],
        Paragraph(pairs.ranks_tested(overall)) if overall is not None else None,
    ]
    return section(Heading("Over all data sets"), "", content)


def all_ranks(datasets: Sequence[DatasetFrames]) -> dict[Part, pd.DataFrame]:
    """Mean ranks on each part of the queries that two data sets have."""
    resampled = {frames.dataset: frames.resampled for frames in datasets if len(frames.resampled)}
    tables = {part: ranks_with_intervals(resampled, *part) for part in PART_NAMES}
    return {part: table for part, table in tables.items() if table is not None}


def _order(datasets: Sequence[DatasetFrames], overall: pd.DataFrame | None) -> list[str]:
    """Rows by their mean rank, then those that are not on every data set, in the order of the plan."""
    first = [] if overall is None else overall["row"].tolist()
    if not first and datasets:  # one data set: by its leaderboard
        first = datasets[0].leaderboard["row"].tolist()
    return list(dict.fromkeys([*first, *(row for frames in datasets for row in frames.rows)]))


def _picture(
    folder: Path, name: str, alternative: str, draw: Callable[[], Figure | str | None]
) -> Picture | Paragraph | None:
    figure = draw()
    if figure is None or isinstance(figure, str):
        return paragraph(figure)
    style.save(figure, folder / name)
    return Picture(f"{folder.name}/{name}.png", alternative)
