"""What sections are made of, as the text that a reader sees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.reporting import markdown
from bench.reporting.words import Words


def text_of(shown: Any) -> str:
    """Markdown of a block, of several, or of words; "" where there is nothing."""
    if shown is None:
        return ""
    if isinstance(shown, str | Words):
        return markdown.line(shown)
    return markdown.blocks(*shown) if isinstance(shown, Sequence) else markdown.blocks(shown)


def cells_of(table: Any) -> list[list[str]]:
    """The cells of a table as text without marks, row by row."""
    return [[cell.text.plain for cell in row] for row in table.cells]
