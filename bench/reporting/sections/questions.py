"""The suite's questions, each in a section of its own."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from bench.analysis.questions import questions
from bench.reporting.blocks import Block, Paragraph
from bench.reporting.cautions import caution
from bench.reporting.section import DatasetFrames, ReportFigure, Section
from bench.reporting.tables.questions import HOW_TO_READ, question_table


class Question(Section):
    """Is one row better than the other?"""

    level = 3

    def __init__(self, labels: tuple[str, str], introduction: str = "") -> None:
        self.title = f"{' against '.join(labels)}, part by part"
        self.introduction = introduction
        self._labels = labels

    def content(self, frames: DatasetFrames) -> Iterable[Block | ReportFigure | None]:
        yield question_table(frames.tables.tests, self._labels)
        doubt = caution(self._labels, frames.tables.unfit)
        yield Paragraph(doubt) if doubt else None


class Questions(Section):
    """All of them; the first says how to read the others."""

    def blocks(self, frames: DatasetFrames, folder: Path) -> list[Block]:
        sections = [
            Question(labels, HOW_TO_READ if number == 0 else "") for number, labels in enumerate(questions(frames.grid))
        ]
        return [block for section in sections for block in section.blocks(frames, folder)]
