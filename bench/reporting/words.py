"""Words that a report shows: plain text with the few marks that it uses, the same for markdown, HTML and terminals.

One rule holds for all text, that of a suite or a file as much as our own: nothing in it means anything to a page but
`code` between backticks. What is to be bold or underlined says so by `strong` and `underlined`. So foreign text can be
put anywhere, and no renderer has to read markup.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from bench.plain_text import printable

Mark = Literal["", "strong", "underlined"]

_CODE = re.compile("(`[^`]+`)")


@dataclass(frozen=True)
class Span:
    """A piece of text that is shown in one way.

    Attributes:
        text: On one line, without control characters.
        mark: Whether it is bold or underlined.
        code: Whether it is code.
    """

    text: str
    mark: Mark = ""
    code: bool = False


@dataclass(frozen=True)
class Words:
    """Text with marks; `+` and `words` join it with more of it, and with plain text."""

    spans: tuple[Span, ...] = ()

    def __add__(self, other: Text) -> Words:
        return Words(self.spans + words(other).spans)

    def __radd__(self, other: str) -> Words:
        return Words(words(other).spans + self.spans)

    def __bool__(self) -> bool:
        return any(span.text for span in self.spans)

    @property
    def plain(self) -> str:
        """The text without its marks, as a terminal shows it."""
        return "".join(span.text for span in self.spans).strip()


Text = str | Words
"""What a reader is to read: plain text in which `code` counts, or text with marks."""


def words(*parts: Text) -> Words:
    """One text of several. Of plain text every run of white space becomes one blank, so that it is on one line."""
    return Words(tuple(span for part in parts for span in (part.spans if isinstance(part, Words) else _spans(part))))


def joined(separator: str, parts: Iterable[Text | None]) -> Words:
    """The texts in a row, without those that are empty."""
    row: list[Text] = []
    for part in parts:
        if part:
            row += [separator, part] if row else [part]
    return words(*row)


def strong(text: Text) -> Words:
    return _with_mark(text, "strong")


def underlined(text: Text) -> Words:
    return _with_mark(text, "underlined")


def code(text: object) -> Words:
    """Foreign text as code, whatever it holds; as plain text where it has backticks of its own."""
    line = " ".join(printable(str(text)).split())
    return Words((Span(line, code=True),)) if "`" not in line else words(line)


def lines(text: str) -> str:
    """Several lines of which nothing but the line breaks controls how they are shown."""
    return "\n".join(map(printable, text.split("\n")))


def _with_mark(text: Text, mark: Mark) -> Words:
    return Words(tuple(replace(span, mark=mark) for span in words(text).spans))


def _spans(text: str) -> tuple[Span, ...]:
    line = re.sub(" +", " ", printable(text))
    parts = [line] if "``" in line else _CODE.split(line)
    spans = [Span(part[1:-1], code=True) if number % 2 else Span(part) for number, part in enumerate(parts)]
    return tuple(span for span in spans if span.text)
