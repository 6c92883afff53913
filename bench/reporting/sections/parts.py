"""The primary metric on parts of the test queries: by popularity, kind, history length and reach of the target."""

from __future__ import annotations

from collections.abc import Iterable

from bench.analysis.frames import DatasetFrames
from bench.conventions import HEAD_SHARE, PRIMARY_NAME, REACH_WINDOW
from bench.reporting.blocks import Block
from bench.reporting.figures import quality
from bench.reporting.section import FigureOf, ReportFigure, Section, SectionOf
from bench.reporting.tables import parts
from bench.reporting.tables.results import head_tail_table

HEAD_TAIL = SectionOf(
    "head and tail",
    head_tail_table,
    parts.cold_table,
    FigureOf("head-tail", f"Differences in {PRIMARY_NAME} on head and tail targets", quality.head_tail),
    FigureOf(
        "popularity",
        f"{PRIMARY_NAME} by popularity of the target",
        lambda frames, styles: quality.popularity(frames),
    ),
    introduction=(
        f"Head: targets among the {100 * HEAD_SHARE:g} % of items with the most training interactions. Tail: all "
        "others."
    ),
)


class TargetKind(Section):
    """A table for each column of the item table that the suite asks for."""

    title = "the target's kind"
    introduction = f"By columns of the item table: {PRIMARY_NAME}."

    def content(self, frames: DatasetFrames) -> Iterable[Block | ReportFigure | None]:
        return parts.column_tables(frames)


TARGET_KIND = TargetKind()
HISTORY_LENGTH = SectionOf(
    "history length",
    parts.history_table,
    parts.history_quarters_table,
    FigureOf("history-length", f"Differences in {PRIMARY_NAME} by length of the history", quality.history_length),
    introduction=f"{PRIMARY_NAME}.",
)
REACH = SectionOf(
    "reach",
    lambda frames: parts.reach_table(frames, "item"),
    FigureOf(
        "reach-item",
        f"Differences in {PRIMARY_NAME} by reach of the target",
        lambda frames, styles: quality.reach(frames, styles, "item"),
    ),
    lambda frames: parts.reach_table(frames, "category"),
    FigureOf(
        "reach-category",
        f"Differences in {PRIMARY_NAME} by reach of its category",
        lambda frames, styles: quality.reach(frames, styles, "category"),
    ),
    introduction=(
        f"{PRIMARY_NAME} by how far back the target, or any item of its category, last occurred in the user's history. "
        f"What occurred only before the last {REACH_WINDOW} events is out of sight of every model that reads no "
        "further."
    ),
)
