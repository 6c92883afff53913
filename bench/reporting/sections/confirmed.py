"""The confirmatory result: what the users say who were set aside."""

from __future__ import annotations

from collections.abc import Iterable

from bench.analysis.frames import DatasetFrames
from bench.reporting.blocks import Block, paragraph
from bench.reporting.section import ReportFigure, Section
from bench.reporting.tables import confirmed


class Confirmed(Section):
    """The suite's questions on users whom no choice has ever seen, and every look at them."""

    title = "Confirmatory result"

    def content(self, frames: DatasetFrames) -> Iterable[Block | ReportFigure | None]:
        state = confirmed.state(frames)
        yield paragraph(f"{confirmed.HOW_TO_READ} {state}" if state else None)
        yield confirmed.confirmed_table(frames)
        yield confirmed.looks_table(frames)


CONFIRMED = Confirmed()
