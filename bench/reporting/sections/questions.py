"""The suite's questions, each in a section of its own."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from bench.analysis.fitness import unfit_rows
from bench.analysis.frames import DatasetFrames
from bench.reporting.blocks import Block, paragraph
from bench.reporting.cautions import caution
from bench.reporting.figures.looks import Styles
from bench.reporting.section import ReportFigure, Section
from bench.reporting.tables.questions import HOW_TO_READ, question_table, questions_of


class Question(Section):
    """Is one row better than the other?"""

    level = 3

    def __init__(self, labels: tuple[str, str], introduction: str = "") -> None:
        self.title = f"{' against '.join(labels)}, part by part"
        self.introduction = introduction
        self._labels = labels

    def content(self, frames: DatasetFrames) -> Iterable[Block | ReportFigure | None]:
        yield question_table(frames, self._labels)
        yield paragraph(caution(self._labels, unfit_rows(frames.leaderboard)))


class Questions(Section):
    """All of them; the first says how to read the others."""

    def blocks(self, frames: DatasetFrames, styles: Styles, folder: Path) -> list[Block]:
        sections = [
            Question(labels, HOW_TO_READ if number == 0 else "") for number, labels in enumerate(questions_of(frames))
        ]
        return [block for section in sections for block in section.blocks(frames, styles, folder)]


QUESTIONS = Questions()
