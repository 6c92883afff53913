"""What others published of the rows of a suite, beside what was measured."""

from __future__ import annotations

from collections.abc import Iterable

from matplotlib.figure import Figure

from bench.analysis.frames import DatasetFrames
from bench.reporting.blocks import Block
from bench.reporting.figures.marks import Styles
from bench.reporting.figures.published import published
from bench.reporting.section import ReportFigure, Section
from bench.reporting.tables.published import order_of_trends, published_table, reasons


class PublishedFigure(ReportFigure):
    name = "published"
    alternative = "Published values and measured ones"

    def draw(self, frames: DatasetFrames, styles: Styles) -> Figure | None:
        return published(frames, styles)


class PublishedValues(Section):
    title = "published against measured"
    introduction = (
        "Reproduced: the mean over seeds is within the tolerance that the suite sets. Trend only: the figure is from "
        "other data or another system, so that its size says nothing about this one."
    )

    def content(self, frames: DatasetFrames) -> Iterable[Block | ReportFigure | None]:
        yield published_table(frames)
        yield PublishedFigure()


class Reasons(Section):
    title = "Where the set-up differs"
    level = 3
    introduction = (
        "Of every figure that was not reproduced. A difference named here may be the cause; none was tested alone."
    )

    def content(self, frames: DatasetFrames) -> Iterable[Block | ReportFigure | None]:
        yield reasons(frames)


class Trends(Section):
    title = "Are the trends the same?"
    level = 3
    introduction = (
        "The rows whose figures show a trend only, from the lowest mean to the highest; the order was not tested."
    )

    def content(self, frames: DatasetFrames) -> Iterable[Block | ReportFigure | None]:
        yield order_of_trends(frames)
