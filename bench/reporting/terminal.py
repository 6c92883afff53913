"""Tables on a terminal."""

from __future__ import annotations

from rich.table import Table as TerminalTable

from bench.console import literal
from bench.reporting.table import Table
from bench.reporting.words import words


def table(content: Table) -> TerminalTable:
    """A table for rich's console; a long cell is folded, and nothing of it is left out."""
    drawn = TerminalTable(
        title=literal(content.title) if content.title else None,
        title_justify="left",
        caption=literal(content.caption) if content.caption else None,
        caption_justify="left",
    )
    for column in content.columns:
        justify = "right" if column.side == "right" else "left"
        drawn.add_column(literal(words(column.name).plain), justify=justify, overflow="fold")  # type: ignore[arg-type]
    for row in content.cells:
        drawn.add_row(*(literal(cell.text.plain) for cell in row))
    return drawn
