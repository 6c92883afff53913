"""The suite's comparisons, each in a section of its own."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from matplotlib.figure import Figure

from bench.analysis.frames import DatasetFrames
from bench.names import file_part
from bench.reporting.blocks import Block, Paragraph
from bench.reporting.cautions import flag_explained
from bench.reporting.figures.comparison import comparison
from bench.reporting.figures.marks import Styles
from bench.reporting.section import ReportFigure, Section
from bench.reporting.tables import comparisons
from bench.reporting.tables.comparisons import Compared


class ComparisonFigure(ReportFigure):
    """The rows of one comparison."""

    def __init__(self, compared: Compared) -> None:
        self.name = f"comparison-{file_part(compared.title)}"
        self.alternative = compared.title
        self._compared = compared

    def draw(self, frames: DatasetFrames, styles: Styles) -> Figure | None:
        return comparison(frames, self._compared.title, styles)


class ComparisonSection(Section):
    """One comparison."""

    def __init__(self, compared: Compared, first: bool) -> None:
        self.title = compared.title
        self.introduction = compared.question
        self._compared, self._first = compared, first

    def content(self, frames: DatasetFrames) -> Iterable[Block | ReportFigure | None]:
        yield comparisons.findings(self._compared)
        if self._first:
            yield Paragraph(comparisons.HOW_TO_READ)
        yield comparisons.comparison_table(self._compared)
        yield flag_explained(self._compared.unfit)
        yield ComparisonFigure(self._compared)


class Comparisons(Section):
    """All of them; the first says how to read the others."""

    def blocks(self, frames: DatasetFrames, styles: Styles, folder: Path) -> list[Block]:
        sections = [
            ComparisonSection(compared, number == 0)
            for number, compared in enumerate(comparisons.comparisons_of(frames))
        ]
        return [block for section in sections for block in section.blocks(frames, styles, folder)]
