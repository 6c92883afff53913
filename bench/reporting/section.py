"""Sections of a report, and the figures in them: the two things to subclass for a new view of the results.

A new figure or section is one new file in `bench/reporting/sections/` and one line in its `registry.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import pandas as pd
from matplotlib.figure import Figure

from bench.analysis import frames
from bench.analysis.dataset_tables import DatasetTables
from bench.analysis.grid import Grid
from bench.reporting.blocks import Block, Heading, Picture, section
from bench.reporting.figures import style
from bench.reporting.figures.marks import basis
from bench.reporting.words import Text, words


@dataclass(frozen=True)
class DatasetFrames:
    """What sections and figures of one data set are made from.

    Attributes:
        grid: Its runs.
        tables: What was computed of it.
        looks: Colour, marker and line of each row, the same in every figure of the report.
    """

    grid: Grid
    tables: DatasetTables
    looks: Mapping[str, style.ModelStyle]

    @property
    def dataset(self) -> str:
        """Its label."""
        return self.grid.datasets[0]

    @property
    def numbers(self) -> frames.DatasetFrames:
        """All that was computed of it, as frames."""
        return self.tables.frames

    @property
    def wide(self) -> pd.DataFrame:
        """Its leaderboard (`bench.analysis.columns.LEADERBOARD`; `model` is the label)."""
        return self.tables.wide

    @property
    def pairs(self) -> pd.DataFrame:
        """Every two rows compared (`bench.analysis.columns.PAIRS`)."""
        return self.tables.compared


class ReportFigure:
    """A figure of one data set. Subclasses say what it is called, and draw it.

    Attributes:
        name: Of its files, `figures/DATASET-NAME.png` and `.svg`.
        title: Stands above it, with the data set, the number of queries and the seeds. "": `draw` says all that.
        alternative: What it shows, for who can't see it.
    """

    name: str
    title: str = ""
    alternative: str

    def draw(self, frames: DatasetFrames) -> Figure | None:
        """The figure; None where the results so far leave nothing to draw."""
        raise NotImplementedError

    def picture(self, frames: DatasetFrames, folder: Path) -> Picture | None:
        """Draws the figure into the folder of figures."""
        figure = self.draw(frames)
        if figure is None:
            return None
        if self.title:
            style.headline(figure, f"{self.title} ({frames.dataset})", basis(frames.numbers))
        file = f"{frames.dataset}-{self.name}"
        style.save(figure, folder / file)
        return Picture(f"{folder.name}/{file}.png", words(self.alternative))


class Section:
    """A part of the report on one data set. Subclasses say what it is called and what is in it.

    Attributes:
        title: Its heading, with the data set before it (level 2) or after it (level 3).
        level: 2, or 3 for a part of the section before it.
        introduction: How to read what is in it; "" where that goes without saying.
    """

    title: Text
    level: ClassVar[Literal[2, 3]] = 2
    introduction: Text = ""

    def content(self, frames: DatasetFrames) -> Iterable[Block | ReportFigure | None]:
        """Tables, figures and words in their order; None is left out. Without any there is no section."""
        raise NotImplementedError

    def blocks(self, frames: DatasetFrames, folder: Path) -> list[Block]:
        """The section, with its figures drawn into the folder of figures."""
        parts = [
            part.picture(frames, folder) if isinstance(part, ReportFigure) else part for part in self.content(frames)
        ]
        before, after = (f"{frames.dataset}: ", "") if self.level == 2 else ("", f" ({frames.dataset})")
        return section(Heading(words(before, self.title, after), self.level), self.introduction, parts)


class Figures(Section):
    """A section that has nothing but figures in it."""

    def __init__(self, title: str, *figures: ReportFigure) -> None:
        self.title = title
        self._figures = figures

    def content(self, frames: DatasetFrames) -> Iterable[Block | ReportFigure | None]:
        return self._figures
