"""Text with one row a line as a table of texts: encoding, separator, quotes and the row of names, and no row lost."""

from __future__ import annotations

import csv
import gzip
import io
import mmap
import re
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from bench.data.data_files import QuoteRule
from bench.data.parsing.packed import refuse_packed
from bench.data.parsing.quotes import Quotes, look_at_quotes
from bench.errors import BenchError, message_of

SEPARATORS = (",", "\t", ";", "|", "::", " ")
"""Those that are recognised, the likelier ones first."""

Content = bytes | mmap.mmap

_SAMPLE_BYTES = 1 << 16
_SAMPLE_ROWS = 50
_ONE_BYTE = "\x1f"  # stands for a separator of several
_ENCODINGS = {
    b"\xff\xfe\x00\x00": "utf-32",
    b"\x00\x00\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}


@dataclass(frozen=True)
class Dialect:
    """How a text file separates rows into cells.

    Attributes:
        separator: Between two cells; "tab" stands for a tab. None: what the first rows show.
        no_header: Whether the first row is data; columns are then called "1", "2", and so on.
        quotes: "cells": quotes enclose cells, which may hold separators and ends of lines. "plain": they are characters
            like others. "auto": the former where all of them pair up around whole cells.
    """

    separator: str | None = None
    no_header: bool = False
    quotes: QuoteRule = "auto"


@dataclass(frozen=True)
class TextTable:
    """A text file as read.

    Attributes:
        cells: Every column is text; an empty cell is null.
        notes: What was decided, in words.
        lines_are_rows: Whether every row is one line, blank lines aside.
    """

    cells: pa.Table
    notes: tuple[str, ...]
    lines_are_rows: bool


def read_text_table(path: Path, dialect: Dialect) -> TextTable:
    """Reads a text file.

    Where quotes don't all pair up around whole cells, none of them encloses an end of a line: a quote at the start of
    one cell and another one some lines on are then two characters of two names. Quotes around a whole cell are taken
    off either way.

    Raises:
        BenchError: It is empty, in another encoding than UTF-8, its rows have different numbers of cells, or quotes
            leave it open what the rows are.
    """
    content = _content(path)
    separator, notes = _separator(path, content, dialect.separator)
    if len(separator.encode()) > 1:
        content = _with_one_byte(path, content, separator)
        separator = _ONE_BYTE
    reader = _Reader(path, content, separator, dialect.no_header)
    quotes = Quotes(any=False) if dialect.quotes == "plain" else look_at_quotes(content, separator)
    if dialect.quotes == "cells" or (quotes.any and quotes.pair_up and not quotes.hides_rows):
        return TextTable(reader.quoted(quotes.spans_lines), notes, not quotes.spans_lines)
    if quotes.hides_rows and not path.name.lower().endswith((".tsv", ".tsv.gz")):
        raise BenchError(
            f"{path}, line {quotes.line}: a quote opens here and closes only {quotes.lines_on} lines on, and what lies "
            "between looks like rows of the table; say --quotes plain where they are characters, or --quotes cells"
        )
    if not quotes.any:
        return TextTable(reader.plain(), notes, True)
    return _with_stray_quotes(reader, quotes, notes)


def line_of(path: Path, row: int) -> int:
    """Finds the number of the line that holds a row, both counted from 1; blank lines are no rows."""
    filled = 0
    for number, line in enumerate(re.split(rb"\r\n|\n|\r", _content(path)[:]), start=1):
        filled += bool(line)
        if filled == row:
            return number
    return row


def _with_stray_quotes(reader: _Reader, quotes: Quotes, notes: tuple[str, ...]) -> TextTable:
    """A table whose quotes don't pair up: one row a line, if need be with separators in cells that are in quotes."""
    where = f"quotes don't pair up around cells (line {quotes.line})"
    try:
        cells = _without_quotes_around(reader.plain())
        note = f"{where}: those around a whole cell are taken off, others are characters of the names"
        return TextTable(cells, (*notes, note), True)
    except BenchError:
        cells = reader.quoted(spans_lines=True)
        if cells.num_rows != reader.lines():
            raise BenchError(
                f"{reader.path}, line {quotes.line}: this quote doesn't enclose a cell, and lines would be lost; "
                "double quotes within a cell, or say --quotes plain, or --quotes cells"
            ) from None
        return TextTable(cells, (*notes, f"{where}; every line was one row all the same"), True)


@dataclass(frozen=True)
class _Reader:
    """Reads one file in different ways."""

    path: Path
    content: Content
    separator: str
    no_header: bool

    def plain(self) -> pa.Table:
        """Quotes are characters; every line is a row."""
        return self._read(pacsv.ParseOptions(delimiter=self.separator, quote_char=False))

    def quoted(self, spans_lines: bool) -> pa.Table:
        """Quotes enclose cells, in which there may be ends of lines."""
        return self._read(pacsv.ParseOptions(delimiter=self.separator, newlines_in_values=spans_lines))

    def lines(self) -> int:
        """Rows where every line that isn't blank is one."""
        filled = sum(map(bool, re.split(rb"\r\n|\n|\r", self.content[:])))
        return filled - (not self.no_header)

    def _read(self, parse: pacsv.ParseOptions) -> pa.Table:
        # With threads, messages come without row numbers.
        read = pacsv.ReadOptions(use_threads=False, autogenerate_column_names=self.no_header)
        try:
            buffer = pa.py_buffer(self.content)
            with pacsv.open_csv(pa.BufferReader(buffer), parse_options=parse, read_options=read) as reader:
                names = reader.schema.names
            convert = pacsv.ConvertOptions(
                column_types={name: pa.string() for name in names}, strings_can_be_null=True, null_values=[""]
            )
            cells = pacsv.read_csv(pa.BufferReader(buffer), read, parse, convert)
        except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
            raise _unreadable(self.path, error, self.separator) from None
        given = [str(number) for number in range(1, len(names) + 1)] if self.no_header else [n.strip() for n in names]
        return cells.rename_columns(given)


def _content(path: Path) -> Content:
    """The bytes of a file, unpacked.

    Raises:
        BenchError: It can't be read, is empty, or plainly in another encoding than UTF-8.
    """
    try:
        if path.name.lower().endswith(".gz"):
            content: Content = gzip.decompress(path.read_bytes())
        else:
            with path.open("rb") as file:
                content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if path.stat().st_size else b""
    except (OSError, EOFError) as error:
        raise BenchError(f"{path} can't be read ({message_of(error)})") from None
    head = content[:_SAMPLE_BYTES]
    refuse_packed(path, head)
    if not head.strip():
        raise BenchError(f"{path} is empty; its first row must name the columns")
    encoding = next((name for mark, name in _ENCODINGS.items() if head.startswith(mark)), None)
    if encoding is not None:
        raise BenchError(f"{path} is {encoding.upper()} text; {_conversion(path, encoding)}")
    if b"\0" in head:
        raise BenchError(f"{path} is no UTF-8 text, since it holds NUL bytes; {_conversion(path, 'ENCODING')}")
    return content


def _conversion(path: Path, encoding: str) -> str:
    which = ", ENCODING being the one it was written in" if encoding == "ENCODING" else ""
    return f"convert the file, e.g. `iconv -f {encoding} -t utf-8 {path.name} > fixed.csv`{which}"


def _separator(path: Path, content: Content, given: str | None) -> tuple[str, tuple[str, ...]]:
    """The separator, and what there is to say of it: nothing where the file's suffix lets one expect it."""
    if given is not None:
        separator = {"tab": "\t", "\\t": "\t"}.get(given, given)
        if not separator or len(separator) > 3 or set(separator) & set('"\r\n'):
            raise BenchError(f"--separator {given!r}: give one to three characters without quotes, or tab")
        return separator, ()
    expected = "\t" if ".tsv" in path.name.lower() else ","
    sample = content[:_SAMPLE_BYTES].decode("utf-8-sig", errors="replace")
    if len(content) > _SAMPLE_BYTES:
        sample = sample[: max(sample.rfind("\n"), 0)] or sample
    shapes = {separator: _Shape.of(sample, separator) for separator in (expected, *SEPARATORS)}
    fitting = {separator: shape for separator, shape in shapes.items() if shape.cells > 1 and shape.is_regular}
    if not fitting:
        return expected, ()
    # Three cells are a user, an item and a time: what gives as many and is expected needs no rival.
    best = min(
        fitting,
        key=lambda one: (fitting[one].tears_quotes, one != expected or fitting[one].cells < 3, -fitting[one].cells),
    )
    if best == expected:
        return expected, ()
    shown = {"\t": "a tab", " ": "a blank"}.get(best, f"'{best}'")
    return best, (f"cells are separated by {shown}, as the first rows show (--separator names another)",)


@dataclass(frozen=True)
class _Shape:
    """What the first rows look like with one separator.

    Attributes:
        cells: In the first row.
        is_regular: Whether nearly all rows have as many.
        tears_quotes: Whether quotes don't pair up around its cells.
    """

    cells: int
    is_regular: bool
    tears_quotes: bool

    @classmethod
    def of(cls, sample: str, separator: str) -> _Shape:
        lines = [line for line in re.split(r"\r\n|\n|\r", sample) if line][:_SAMPLE_ROWS]
        try:
            if len(separator) > 1 or separator == "\t":
                rows = [line.split(separator) for line in lines]
            else:
                rows = list(csv.reader(io.StringIO("\n".join(lines)), delimiter=separator))
        except csv.Error:
            rows = [line.split(separator) for line in lines]
        cells = len(rows[0]) if rows else 0
        regular = sum(len(row) == cells for row in rows)
        quotes = look_at_quotes(sample.replace(separator, _ONE_BYTE).encode(), _ONE_BYTE)
        return cls(cells, regular >= 0.9 * len(rows) or regular >= len(rows) - 1, not quotes.pair_up)


def _with_one_byte(path: Path, content: Content, separator: str) -> bytes:
    raw = content[:]
    if _ONE_BYTE.encode() in raw:
        raise BenchError(f"{path} holds the control character 0x1f; separate cells by one character instead")
    return raw.replace(separator.encode(), _ONE_BYTE.encode())


def _without_quotes_around(cells: pa.Table) -> pa.Table:
    """Takes off quotes around whole cells, in which others are doubled; empty cells become null."""
    columns = []
    for column in cells.columns:
        text = pc.utf8_trim_whitespace(column)
        if pc.any(pc.starts_with(text, '"'), min_count=0).as_py():
            whole = pc.fill_null(pc.match_substring_regex(text, r'(?s)^"(?:[^"]|"")*"$'), False)
            bare = pc.replace_substring(pc.utf8_slice_codeunits(text, 1, -1), '""', '"')
            column = pc.if_else(whole, pc.if_else(pc.equal(bare, ""), pa.scalar(None, pa.string()), bare), column)
        columns.append(column)
    return pa.table(columns, names=cells.column_names)


def _unreadable(path: Path, error: Exception, separator: str) -> BenchError:
    reason = message_of(error)
    row = re.search(r"Row #(\d+)", reason)
    if "Empty CSV" in reason:
        return BenchError(f"{path} holds one line and no rows below it")
    if isinstance(error, UnicodeDecodeError) or "UTF8" in reason:
        where = f", row {line_of(path, int(row[1]))}" if row else ""
        return BenchError(f"{path}{where} is not UTF-8; {_conversion(path, 'ENCODING')}")
    if row:
        reason = reason.replace(row[0], f"row {line_of(path, int(row[1]))}")
    reason = reason.removeprefix("CSV parse error: ").replace(_ONE_BYTE, "::")
    shown = {"\t": "a tab", " ": "a blank", _ONE_BYTE: "several characters"}.get(separator, f"'{separator}'")
    return BenchError(
        f"{path} is no readable table ({reason}); cells were separated by {shown} (--separator, --quotes)"
    )
