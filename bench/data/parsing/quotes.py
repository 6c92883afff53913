"""Whether the quotes of a text table pair up around cells, as RFC 4180 has it, or are characters of names."""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bench.data.parsing.columns import is_value

_QUOTE = ord('"')
_CHUNK = 1 << 24
_END_OF_LINE = re.compile(rb"\r\n|\n|\r")
_LONGEST_LINE = 1 << 16


@dataclass(frozen=True)
class Quotes:
    """What the quotes of a file do.

    Attributes:
        any: Whether there are some.
        pair_up: Whether all of them enclose whole cells.
        spans_lines: Whether a cell in quotes holds an end of a line.
        hides_rows: Whether one does whose every line looks like a row of the table.
        line: Where the first quote is that doesn't pair up or that hides rows, counted from 1.
        lines_on: How many lines below that the quote closes that hides rows.
    """

    any: bool
    pair_up: bool = True
    spans_lines: bool = False
    hides_rows: bool = False
    line: int = 0
    lines_on: int = 0


def look_at_quotes(content: bytes | mmap.mmap, separator: str) -> Quotes:
    """Looks at every quote of a file, in time that hardly counts where there are none."""
    if content.find(b'"') < 0:
        return Quotes(any=False)
    outcome = Quotes(any=True)
    rows: _Rows | None = None
    for opens, closes in _pairs(content):
        stray = _stray(content, opens, closes, separator)
        if stray is not None:
            return Quotes(any=True, pair_up=False, spans_lines=outcome.spans_lines, line=_line(content, stray))
        for begin, end in [] if outcome.hides_rows else _over_lines(content, *_whole_cells(opens, closes)):
            rows = rows or _Rows.of(content, separator)
            outcome = replace(outcome, spans_lines=True)
            if rows.lie_in(content, begin, end):
                on = len(_END_OF_LINE.findall(content[begin:end]))
                outcome = Quotes(True, True, True, True, _line(content, begin), on)
                break
    return outcome


def _pairs(content: bytes | mmap.mmap) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yields where quotes open and close, piece by piece; a quote that nothing closes ends with the file."""
    start, size = 0, _CHUNK
    while start < len(content):
        end = start + size
        quotes = np.flatnonzero(np.frombuffer(content[start:end], dtype=np.uint8) == _QUOTE) + start
        if end >= len(content):
            if len(quotes) % 2:
                quotes = np.append(quotes, len(content))
            yield quotes[::2], quotes[1::2]
            return
        whole = len(quotes) // 2 * 2
        opens, closes = quotes[:whole:2], quotes[1:whole:2]
        ahead = int(quotes[-1]) if len(quotes) % 2 else end
        if whole and closes[-1] + 1 == ahead:  # the last cell may go on with a quote that is written twice
            ahead = int(_whole_cells(opens, closes)[0][-1])
        if ahead == start:  # a cell longer than the piece
            size *= 2
            continue
        yield opens[opens < ahead], closes[opens < ahead]
        start, size = ahead, _CHUNK


def _stray(
    content: bytes | mmap.mmap, opens: NDArray[np.int64], closes: NDArray[np.int64], separator: str
) -> int | None:
    """Tells where the first quote is that opens or closes within a cell, or is never closed."""
    if not len(opens):
        return None
    begin, end = max(int(opens[0]) - 1, 0), min(int(closes[-1]) + 2, len(content))
    piece = np.frombuffer(content[begin:end], dtype=np.uint8)
    border = np.zeros(256, dtype=bool)
    border[[ord(separator), ord("\n"), ord("\r"), _QUOTE]] = True
    at_start = (opens == 0) | ((opens == 3) & (content[:3] == b"\xef\xbb\xbf"))
    before = at_start | border[piece[np.maximum(opens - 1, begin) - begin]]
    after = (closes + 1 == len(content)) | border[piece[np.minimum(closes + 1, end - 1) - begin]]
    wrong = ~before | ~after | (closes == len(content))
    return int(opens[wrong.argmax()]) if wrong.any() else None


def _whole_cells(opens: NDArray[np.int64], closes: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Beginnings and ends of cells: a quote that is written twice within a cell closes and opens none."""
    if not len(opens):
        return opens, closes
    apart = opens[1:] != closes[:-1] + 1
    return opens[np.append(True, apart)], closes[np.append(apart, True)]


def _over_lines(
    content: bytes | mmap.mmap, begins: NDArray[np.int64], ends: NDArray[np.int64]
) -> Iterator[tuple[int, int]]:
    """The cells that hold an end of a line."""
    if not len(begins):
        return
    first = int(begins[0])
    piece = np.frombuffer(content[first : int(ends[-1])], dtype=np.uint8)
    lines = np.flatnonzero((piece == 10) | (piece == 13)) + first
    over = np.searchsorted(lines, begins) != np.searchsorted(lines, ends)
    yield from zip(begins[over].tolist(), ends[over].tolist(), strict=True)


@dataclass(frozen=True)
class _Rows:
    """What a row of the table looks like without quotes: how many cells it has, and which of them hold values."""

    separator: bytes
    cells: int
    values: tuple[int, ...]

    @classmethod
    def of(cls, content: bytes | mmap.mmap, separator: str) -> _Rows:
        lines = [line for line in _END_OF_LINE.split(content[: 4 * _LONGEST_LINE]) if line]
        rows = [line.split(separator.encode()) for line in lines]
        usual = [row for row in rows[1:] if len(row) == len(rows[0])][:50]
        values = [
            column
            for column in range(len(rows[0]))
            if usual and sum(_is_value(r[column]) for r in usual) > 0.9 * len(usual)
        ]
        return cls(separator.encode(), len(rows[0]), tuple(values))

    def lie_in(self, content: bytes | mmap.mmap, begin: int, end: int) -> bool:
        """Tells whether every line that a cell touches is a row by itself."""
        breaks = len(_END_OF_LINE.findall(content[begin:end]))
        if self.cells < 2 or content[begin:end].count(self.separator) != breaks * (self.cells - 1):
            return False
        first = max(content.rfind(b"\n", 0, begin), content.rfind(b"\r", 0, begin)) + 1
        tail = _END_OF_LINE.search(content[end : end + _LONGEST_LINE])
        last = end + (tail.start() if tail else _LONGEST_LINE)
        rows = [line.split(self.separator) for line in _END_OF_LINE.split(content[first:last]) if line]
        return all(len(row) == self.cells and all(_is_value(row[column]) for column in self.values) for row in rows)


def _is_value(cell: bytes) -> bool:
    return is_value(cell.decode("utf-8", errors="replace").strip('"'))


def _line(content: bytes | mmap.mmap, offset: int) -> int:
    return len(_END_OF_LINE.findall(content[:offset])) + 1
