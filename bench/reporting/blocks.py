"""A page as a row of blocks, built once; `report.md` and `report.html` are both written from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bench.reporting.table import Table
from bench.reporting.words import Text


@dataclass(frozen=True)
class Heading:
    """A heading of the page (1), of a section (2) or of a part of one (3)."""

    text: Text
    level: Literal[1, 2, 3] = 2
    type = "heading"


@dataclass(frozen=True)
class Paragraph:
    """A few sentences."""

    text: Text
    type = "paragraph"


@dataclass(frozen=True)
class Notice:
    """A paragraph that a reader must not miss."""

    text: Text
    type = "notice"


@dataclass(frozen=True)
class Bullets:
    """A list."""

    items: tuple[Text, ...]
    type = "bullets"


@dataclass(frozen=True)
class Code:
    """Lines of code, as they are."""

    text: str
    type = "code"


@dataclass(frozen=True)
class Picture:
    """A figure beside the page.

    Attributes:
        file: PNG, with a drawing of the same name in SVG beside it; relative to the page's folder.
        alternative: What it shows, for who can't see it.
    """

    file: str
    alternative: Text
    type = "picture"


Block = Heading | Paragraph | Notice | Bullets | Code | Picture | Table


@dataclass(frozen=True)
class Page:
    """Blocks in the order of reading; the first is the heading of the page."""

    blocks: tuple[Block, ...]

    @property
    def title(self) -> Text:
        """The text of the first heading."""
        return next((block.text for block in self.blocks if isinstance(block, Heading)), "Report")

    @property
    def tables(self) -> list[Table]:
        return [block for block in self.blocks if isinstance(block, Table)]


def section(heading: Heading, introduction: Text, content: Sequence[Block | None]) -> list[Block]:
    """A heading, words on how to read what follows, and what follows; nothing where nothing follows."""
    present = [block for block in content if block is not None]
    if not present:
        return []
    return [heading, *([Paragraph(introduction)] if introduction else []), *present]


def paragraph(text: Text | None) -> Paragraph | None:
    """A paragraph; None where there is nothing to say."""
    return Paragraph(text) if text else None


def bullets(items: Sequence[Text | None]) -> Bullets | None:
    """A list, without items that are empty; None where none is left."""
    present = tuple(item for item in items if item)
    return Bullets(present) if present else None
