"""Every row against the best one, and every two rows against each other."""

from __future__ import annotations

from collections.abc import Iterable

from bench.analysis.families import all_pairs
from bench.analysis.fitness import unfit_rows
from bench.analysis.frames import DatasetFrames
from bench.conventions import PRIMARY_NAME
from bench.reporting.blocks import Block, Paragraph
from bench.reporting.cautions import flag_explained
from bench.reporting.figures.pairs import pairwise_figure
from bench.reporting.section import FigureOf, ReportFigure, Section
from bench.reporting.tables import pairs

_DIFFERENCES = FigureOf(
    "pairs",
    f"Differences in {PRIMARY_NAME} between every two models",
    lambda frames, styles: pairwise_figure(frames),
)


class BestOne(Section):
    """How to read it names the family of the tests, and so follows from the frames."""

    title = "Is the best one better?"
    level = 3

    def content(self, frames: DatasetFrames) -> Iterable[Block | ReportFigure | None]:
        table = pairs.against_best(frames)
        if table is None:
            return
        yield Paragraph(
            f"{PRIMARY_NAME}, each model against the best by mean, on the seeds that both have completed. p is that of "
            f"the test alone; p (Holm) has {all_pairs(len(frames.pairs)).phrase}, since the numbers themselves chose "
            "the best one. Effect size: the difference in standard deviations of the queries' differences."
        )
        yield from (table, flag_explained(unfit_rows(frames.leaderboard)))


BEST_ONE = BestOne()


class WhoBeatsWhom(Section):
    """Likewise."""

    title = "Who beats whom"
    level = 3

    def content(self, frames: DatasetFrames) -> Iterable[Block | ReportFigure | None]:
        if table := pairs.beats_table(frames):
            yield Paragraph(
                "The same test for every two models: the row is significantly better (>) or worse (<) than the "
                f"column's model, or neither is shown (=), with {all_pairs(len(frames.pairs)).phrase}. Both p-values "
                "of each pair are in `pairs.csv`."
            )
            yield from (table, _DIFFERENCES)


WHO_BEATS_WHOM = WhoBeatsWhom()
