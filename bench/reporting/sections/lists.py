"""What is recommended, whether or not it is the target."""

from __future__ import annotations

from collections.abc import Iterable

from bench.analysis.frames import DatasetFrames
from bench.reporting.blocks import Block
from bench.reporting.section import ReportFigure, Section
from bench.reporting.tables.results import beyond_accuracy_table


class Lists(Section):
    title = "what is recommended"
    introduction = (
        "Of the first ten items of every list. Coverage: share of the catalogue that anybody got. Popularity: mean "
        "share of the catalogue that is no more popular in training (1: only the most popular item). Novelty: mean "
        "of -log2 of the item's share of training interactions."
    )

    def content(self, frames: DatasetFrames) -> Iterable[Block | ReportFigure | None]:
        yield beyond_accuracy_table(frames)
