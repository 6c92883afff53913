"""Sections of a report, and the figures in them: the two things to subclass for a new view of the results.

A new figure or section is one new file in `bench/reporting/sections/` and one line in its `registry.py`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal

from matplotlib.figure import Figure

from bench.analysis.frames import DatasetFrames
from bench.reporting.blocks import Block, Heading, Paragraph, Picture, paragraph, section
from bench.reporting.figures import style
from bench.reporting.figures.looks import Styles
from bench.reporting.figures.marks import basis
from bench.reporting.words import Text, words


class ReportFigure(ABC):
    """A figure of one data set. Subclasses say what it is called, and draw it.

    Attributes:
        name: Of its files, `figures/DATASET-NAME.png` and `.svg`.
        title: Stands above it, with the data set, the number of queries and the seeds. "": `draw` says all that.
        alternative: What it shows, for who can't see it.
    """

    name: str
    title: str = ""
    alternative: str

    @abstractmethod
    def draw(self, frames: DatasetFrames, styles: Styles) -> Figure | str | None:
        """The figure; None where the results so far leave nothing to draw, a sentence where a figure would be one mark.

        Args:
            frames: All numbers of the data set.
            styles: Colour, marker and line of each row, the same in every figure of the report.
        """

    def picture(self, frames: DatasetFrames, styles: Styles, folder: Path) -> Picture | Paragraph | None:
        """Draws the figure into the folder of figures; a sentence stands for itself."""
        figure = self.draw(frames, styles)
        if figure is None or isinstance(figure, str):
            return paragraph(figure)
        if self.title:
            style.headline(figure, f"{self.title} ({frames.dataset})", basis(frames))
        file = f"{frames.dataset}-{self.name}"
        style.save(figure, folder / file)
        return Picture(f"{folder.name}/{file}.png", words(self.alternative))


class FigureOf(ReportFigure):
    """A figure that a function draws, which writes its own title."""

    def __init__(
        self, name: str, alternative: str, draw: Callable[[DatasetFrames, Styles], Figure | str | None]
    ) -> None:
        self.name, self.alternative = name, alternative
        self._draw = draw

    def draw(self, frames: DatasetFrames, styles: Styles) -> Figure | str | None:
        return self._draw(frames, styles)


Part = ReportFigure | Callable[[DatasetFrames], Block | None]
"""What stands in a section: a figure, or a function that makes a table or words of the frames."""


class Section:
    """A part of the report on one data set. Subclasses say what it is called and what is in it.

    Attributes:
        title: Its heading, with the data set before it (level 2) or after it (level 3).
        level: 2, or 3 for a part of the section before it.
        introduction: How to read what is in it; "" where that goes without saying.
    """

    title: Text
    level: Literal[2, 3] = 2
    introduction: Text = ""

    def content(self, frames: DatasetFrames) -> Iterable[Block | ReportFigure | None]:
        """Tables, figures and words in their order; None is left out. Without any there is no section."""
        return ()

    def blocks(self, frames: DatasetFrames, styles: Styles, folder: Path) -> list[Block]:
        """The section, with its figures drawn into the folder of figures."""
        parts = [
            part.picture(frames, styles, folder) if isinstance(part, ReportFigure) else part
            for part in self.content(frames)
        ]
        before, after = (f"{frames.dataset}: ", "") if self.level == 2 else ("", f" ({frames.dataset})")
        return section(Heading(words(before, self.title, after), self.level), self.introduction, parts)


class SectionOf(Section):
    """A section whose parts are known beforehand: functions of the frames, and figures."""

    def __init__(self, title: str, *parts: Part, introduction: Text = "", level: Literal[2, 3] = 2) -> None:
        self.title, self.level, self.introduction = title, level, introduction
        self._parts = parts

    def content(self, frames: DatasetFrames) -> Iterable[Block | ReportFigure | None]:
        for part in self._parts:
            yield part if isinstance(part, ReportFigure) else part(frames)
