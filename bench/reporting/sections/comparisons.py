"""The suite's comparisons, each in a section of its own."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from matplotlib.figure import Figure

from bench.analysis.comparisons import Answer
from bench.names import file_part
from bench.reporting.blocks import Block, Paragraph
from bench.reporting.cautions import flag_explained
from bench.reporting.figures.comparison import comparison
from bench.reporting.section import DatasetFrames, ReportFigure, Section
from bench.reporting.tables import comparisons


class ComparisonFigure(ReportFigure):
    """The rows of one comparison."""

    def __init__(self, answer: Answer) -> None:
        self.name = f"comparison-{file_part(answer.comparison.title)}"
        self.alternative = answer.comparison.title
        self._answer = answer

    def draw(self, frames: DatasetFrames) -> Figure | None:
        return comparison(frames.numbers, self._answer.comparison.title, frames.looks)


class ComparisonSection(Section):
    """One comparison."""

    def __init__(self, answer: Answer, first: bool) -> None:
        self.title = answer.comparison.title
        self.introduction = answer.comparison.question
        self._answer, self._first = answer, first

    def content(self, frames: DatasetFrames) -> Iterable[Block | ReportFigure | None]:
        yield comparisons.findings(self._answer)
        if self._first:
            yield Paragraph(comparisons.HOW_TO_READ)
        yield comparisons.comparison_table(self._answer)
        yield flag_explained(self._answer.unfit)
        yield ComparisonFigure(self._answer)


class Comparisons(Section):
    """All of them; the first says how to read the others."""

    def blocks(self, frames: DatasetFrames, folder: Path) -> list[Block]:
        sections = [ComparisonSection(answer, number == 0) for number, answer in enumerate(frames.tables.answers)]
        return [block for section in sections for block in section.blocks(frames, folder)]
