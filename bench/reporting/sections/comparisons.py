"""The suite's comparisons, each in a section of its own."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from bench.analysis.frames import DatasetFrames
from bench.names import file_part
from bench.reporting.blocks import Block, Paragraph
from bench.reporting.cautions import flag_explained
from bench.reporting.figures.comparison import comparison
from bench.reporting.figures.looks import Styles
from bench.reporting.section import FigureOf, ReportFigure, Section
from bench.reporting.tables import comparisons
from bench.reporting.tables.comparisons import Compared


class ComparisonSection(Section):
    """One comparison."""

    def __init__(self, compared: Compared, first: bool) -> None:
        self.title = compared.title
        self.introduction = compared.question
        self._compared, self._first = compared, first
        self._figure = FigureOf(
            f"comparison-{file_part(compared.title)}",
            compared.title,
            lambda frames, styles: comparison(frames, compared.title, styles),
        )

    def content(self, frames: DatasetFrames) -> Iterable[Block | ReportFigure | None]:
        yield comparisons.findings(self._compared)
        if self._first:
            yield Paragraph(comparisons.HOW_TO_READ)
        yield comparisons.comparison_table(self._compared)
        yield flag_explained(self._compared.unfit)
        yield self._figure


class Comparisons(Section):
    """All of them; the first says how to read the others."""

    def blocks(self, frames: DatasetFrames, styles: Styles, folder: Path) -> list[Block]:
        sections = [
            ComparisonSection(compared, number == 0)
            for number, compared in enumerate(comparisons.comparisons_of(frames))
        ]
        return [block for section in sections for block in section.blocks(frames, styles, folder)]


COMPARISONS = Comparisons()
