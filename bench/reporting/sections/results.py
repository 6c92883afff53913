"""The table of results of a data set, and the figure of it."""

from __future__ import annotations

from collections.abc import Iterable

from matplotlib.figure import Figure

from bench.analysis.frames import DatasetFrames
from bench.conventions import PRIMARY_NAME
from bench.reporting.blocks import Block, paragraph
from bench.reporting.figures.marks import Styles
from bench.reporting.figures.quality import quality
from bench.reporting.section import ReportFigure, Section
from bench.reporting.tables import results
from bench.reporting.words import strong, underlined


class Quality(ReportFigure):
    name = "quality"
    alternative = f"{PRIMARY_NAME} of every model"

    def draw(self, frames: DatasetFrames, styles: Styles) -> Figure | None:
        return quality(frames, styles)


class Results(Section):
    title = "results"
    introduction = (
        "Item level, mean ± standard deviation over seeds. Best "
        + strong("bold")
        + ", second "
        + underlined("underlined")
        + ", by means alone, which is no test. With one target a query, Hit@K equals Recall@K."
    )

    def content(self, frames: DatasetFrames) -> Iterable[Block | ReportFigure | None]:
        yield results.main_table(frames)
        yield paragraph(results.flags_explained(frames))
        yield results.warnings(frames)
        yield paragraph(results.floor_missing(frames))
        yield results.best_possible_table(frames)
        yield results.notes(frames)
        yield Quality()
