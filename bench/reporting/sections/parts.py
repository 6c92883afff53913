"""The primary metric on parts of the test queries: by popularity, kind, history length and reach of the target."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from matplotlib.figure import Figure

from bench.analysis.frames import DatasetFrames
from bench.conventions import HEAD_SHARE, PRIMARY_NAME, REACH_WINDOW
from bench.reporting.blocks import Block
from bench.reporting.figures import quality
from bench.reporting.figures.marks import Styles
from bench.reporting.section import ReportFigure, Section
from bench.reporting.tables import parts
from bench.reporting.tables.results import head_tail_table

Of = Literal["item", "category"]
"""Of what the reach is: of the very target, or of its category."""


class HeadTailFigure(ReportFigure):
    name = "head-tail"
    alternative = f"{PRIMARY_NAME} on head and tail targets"

    def draw(self, frames: DatasetFrames, styles: Styles) -> Figure | None:
        return quality.head_tail(frames, styles)


class PopularityFigure(ReportFigure):
    name = "popularity"
    alternative = f"{PRIMARY_NAME} by popularity of the target"

    def draw(self, frames: DatasetFrames, styles: Styles) -> Figure | None:
        return quality.popularity(frames)


class HeadTail(Section):
    title = "head and tail"
    introduction = (
        f"Head: targets among the {100 * HEAD_SHARE:g} % of items with the most training interactions. Tail: all "
        "others."
    )

    def content(self, frames: DatasetFrames) -> Iterable[Block | ReportFigure | None]:
        yield head_tail_table(frames)
        yield parts.cold_table(frames)
        yield HeadTailFigure()
        yield PopularityFigure()


class TargetKind(Section):
    title = "the target's kind"
    introduction = f"By columns of the item table: {PRIMARY_NAME}."

    def content(self, frames: DatasetFrames) -> Iterable[Block | ReportFigure | None]:
        return parts.column_tables(frames)


class HistoryLengthFigure(ReportFigure):
    name = "history-length"
    alternative = f"{PRIMARY_NAME} by length of the history"

    def draw(self, frames: DatasetFrames, styles: Styles) -> Figure | None:
        return quality.history_length(frames, styles)


class HistoryLength(Section):
    title = "history length"
    introduction = f"{PRIMARY_NAME}."

    def content(self, frames: DatasetFrames) -> Iterable[Block | ReportFigure | None]:
        yield parts.history_table(frames)
        yield parts.history_quarters_table(frames)
        yield HistoryLengthFigure()


class ReachFigure(ReportFigure):
    """By how far back the target, or any item of its category, last occurred."""

    def __init__(self, of: Of) -> None:
        self.name = f"reach-{of}"
        self.alternative = f"{PRIMARY_NAME} by reach of {'the target' if of == 'item' else 'its category'}"
        self._of: Of = of

    def draw(self, frames: DatasetFrames, styles: Styles) -> Figure | None:
        return quality.reach(frames, styles, self._of)


class Reach(Section):
    title = "reach"
    introduction = (
        f"{PRIMARY_NAME} by how far back the target, or any item of its category, last occurred in the user's history. "
        f"What occurred only before the last {REACH_WINDOW} events is out of sight of every model that reads no "
        "further."
    )

    def content(self, frames: DatasetFrames) -> Iterable[Block | ReportFigure | None]:
        kinds: tuple[Of, ...] = ("item", "category")
        for of in kinds:
            yield parts.reach_table(frames, of)
            yield ReachFigure(of)
