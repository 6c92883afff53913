"""How quickly each model learns, and what it costs."""

from __future__ import annotations

from collections.abc import Iterable

from matplotlib.figure import Figure

from bench.analysis.frames import DatasetFrames
from bench.conventions import PRIMARY_NAME
from bench.reporting.blocks import Block
from bench.reporting.figures import training
from bench.reporting.figures.marks import Styles
from bench.reporting.section import Figures, ReportFigure, Section
from bench.reporting.tables.cost import cost_table


class LearningCurvesFigure(ReportFigure):
    name = "learning-curves"
    alternative = f"Validation {PRIMARY_NAME} during training"

    def draw(self, frames: DatasetFrames, styles: Styles) -> Figure | None:
        return training.learning_curves(frames, styles)


class LearningCurves(Figures):
    def __init__(self) -> None:
        super().__init__("learning curves", LearningCurvesFigure())


class CostFigure(ReportFigure):
    name = "cost"
    alternative = f"{PRIMARY_NAME} against training time, answering time and size"

    def draw(self, frames: DatasetFrames, styles: Styles) -> Figure | None:
        return training.cost(frames, styles)


class Cost(Section):
    title = "cost"
    introduction = "Wall-clock times of runs that may have shared the machine with others."

    def content(self, frames: DatasetFrames) -> Iterable[Block | ReportFigure | None]:
        yield cost_table(frames)
        yield CostFigure()
