"""The table of results of a data set, and the figure of it."""

from __future__ import annotations

from collections.abc import Iterable

from matplotlib.figure import Figure

from bench.conventions import PRIMARY_NAME
from bench.reporting.blocks import Block, Paragraph
from bench.reporting.figures.quality import quality
from bench.reporting.section import DatasetFrames, ReportFigure, Section
from bench.reporting.tables import results
from bench.reporting.words import strong, underlined


class Quality(ReportFigure):
    name = "quality"
    alternative = f"{PRIMARY_NAME} of every model"

    def draw(self, frames: DatasetFrames) -> Figure | None:
        return quality(frames.numbers, frames.looks)


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
        baseline, verdicts = results.against_best_baseline(frames.grid, frames.wide, frames.pairs)
        yield results.main_table(frames.wide, verdicts)
        if verdicts:
            yield Paragraph(results.flags_explained(baseline, frames.pairs))
        yield results.warnings(frames.wide)
        if missing := results.floor_missing(frames.grid):
            yield Paragraph(missing)
        yield results.best_possible_table(frames.grid)
        yield results.notes(frames.grid)
        yield Quality()
