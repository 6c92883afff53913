"""Tables of any origin, CSV, TSV, parquet, a workbook or JSON, whose cells can be named in an error message."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bench.data.parsing import ids, workbooks
from bench.data.parsing.columns import is_plainly, is_value, likely_time, look_alikes, usual
from bench.data.parsing.json_tables import JSON_SUFFIXES, read_json_table
from bench.data.parsing.text_tables import Dialect, line_of, read_text_table
from bench.errors import BenchError, message_of

TABLE_SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".dat", ".dat.gz", ".parquet", workbooks.SUFFIX)

NO_TIME = "none"
"""Stands for the name of the time column where the order of the rows is the order of the events."""

_SHOWN = 12


@dataclass(frozen=True)
class Ids:
    """A column of ids.

    Attributes:
        codes: int32 `[n_rows]`, index into `names`.
        names: The ids, sorted, no two alike.
    """

    codes: NDArray[np.int32]
    names: pa.Array

    def texts(self) -> NDArray[np.str_]:
        return self.names.to_numpy(zero_copy_only=False).astype(np.str_)


class Table:
    """A table whose cells can be named in an error message.

    Attributes:
        path: The file.
        cells: The content. Of a text file every column is a string, and empty cells are null.
        first_row: The number of the first row: 2 below a header, as spreadsheets show it, 1 where there is none.
        notes: What was decided or reinterpreted, in words.
    """

    def __init__(self, path: Path, dialect: Dialect | None = None) -> None:
        self.path = path
        self.notes: list[str] = []
        self._rows: NDArray[np.int64] | None = None  # of the file, once some are left out
        self._takes_options = dialect is not None
        self._dialect = dialect or Dialect()
        self._lines_are_rows, has_names = False, not self._dialect.no_header
        if path.suffix.lower() == ".parquet":
            self._refuse_dialect()
            self.cells, self.first_row = _read_parquet(path), 1
        elif path.name.lower().endswith(JSON_SUFFIXES):
            self._refuse_dialect()
            self.cells, self._lines_are_rows, self.first_row = read_json_table(path), True, 1
        elif path.suffix.lower() == workbooks.SUFFIX:
            self._refuse_dialect(but_no_header=True)
            self.cells, rows, notes = workbooks.read_workbook(path, has_names)
            self._rows, self.first_row = np.array(rows, dtype=np.int64), 2 if has_names else 1
            self.notes += notes
        else:
            read = read_text_table(path, self._dialect)
            self.cells, self._lines_are_rows, self.first_row = read.cells, read.lines_are_rows, 2 if has_names else 1
            self.notes += read.notes
        names = self.cells.column_names
        again = next((name for index, name in enumerate(names) if name in names[:index]), None)
        if again is not None:
            raise self._no_header() or BenchError(f"{path}: column '{again}' is there twice; rename one")
        if self.cells.num_rows == 0:
            raise self._no_header() or BenchError(f"{path} holds column names and no rows")

    @property
    def names(self) -> list[str]:
        return self.cells.column_names

    def find(self, role: str, given: str | None, option: str) -> str:
        """Finds the column for a role: the one that is given, else the only one with a usual name.

        Raises:
            BenchError: There is no such column, more than one has a usual name, or the first row is no row of names.
        """
        if given is not None:
            if given not in self.names:
                raise self._no_header() or BenchError(
                    f"{self.path} has no column '{given}' ({option}); it has {self.listed()}"
                )
            error = self._no_header() if is_value(given) else None
            if error is not None:
                raise error
            return given
        candidates = usual(role, self.names)
        if len(candidates) == 1 or (candidates and is_plainly(role, candidates[0])):
            return candidates[0]
        error = self._no_header()
        if error is not None:
            raise error
        problem = f"several columns that may be the {role}" if candidates else f"no column that is plainly the {role}"
        hint = f", or {option} {NO_TIME} where the order of the rows is that of the events" if role == "time" else ""
        if len(self.names) == 1:
            hint += ", and what separates cells with --separator, if there are several"
        raise BenchError(f"{self.path} has {problem}; name it with {option}{hint} (columns: {self.listed()})")

    def others_like(self, role: str, taken: str) -> list[str]:
        """Columns beside the one taken that look as if they had its role."""
        return [name for name in look_alikes(role, self.names) if name != taken]

    def keep(self, rows: NDArray[np.bool_]) -> None:
        """Leaves out the other rows; messages go on to count the rows of the file."""
        self._rows = np.flatnonzero(rows) if self._rows is None else self._rows[rows]
        self.cells = self.cells.filter(pa.array(rows))

    def missing(self, column: str, words: frozenset[str] = frozenset()) -> NDArray[np.bool_]:
        """Returns bool `[n_rows]`, True for null, NaN, and text that is blank or one of some words."""
        cells = self.cells[column]
        missing = cells.is_null(nan_is_null=True)
        if is_text(cells.type):
            text = pc.utf8_trim_whitespace(cells)
            blank = pc.is_in(text, pa.array(["", *words], cells.type)) if words else pc.equal(text, "")
            missing = pc.or_(missing, pc.fill_null(blank, True))
        return missing.to_numpy()

    def numbers_if_all(self, column: str) -> None:
        """Turns a column of text whose cells are all numbers or empty into one of numbers."""
        if not is_text(self.cells[column].type):
            return
        text = pc.utf8_trim_whitespace(self.cells[column])
        for kind in (pa.int64(), pa.float64()):
            try:
                numbers = text.cast(kind)
            except pa.ArrowInvalid:
                continue
            if pa.types.is_integer(kind) or not ids.cut(text).any():  # what was cut is told as it stands in the file
                self.cells = self.cells.set_column(self.names.index(column), column, numbers)
            return

    def row_number(self, row: int) -> int:
        """Returns the number under which the file's reader finds a row: that of its line, if every row is one."""
        number = (row if self._rows is None else int(self._rows[row])) + self.first_row
        return line_of(self.path, number) if self._lines_are_rows else number

    def fail_at(self, bad: NDArray[np.bool_], column: str, problem: str) -> None:
        """Raises BenchError for the first bad row, if there is one; `{}` in `problem` stands for its cell."""
        if bad.any():
            row = int(bad.argmax())
            raise BenchError(
                f"{self.path}, row {self.row_number(row)}, column '{column}': {self.message(row, column, problem)}"
            )

    def message(self, row: int, column: str, problem: str) -> str:
        """Puts the cell of a row into a message: `problem`, in which `{}` stands for it."""
        return problem.replace("{}", str(self.cells[column][row].as_py()))

    def encode(self, column: str) -> Ids:
        """Reads a column of ids by the rule of `bench.data.parsing.ids`.

        Integers and whole floats become text without a decimal point, so that 7, 7.0 and "7" are one id in any file.

        Raises:
            BenchError: The column holds neither text nor whole numbers, or numbers that lost their last digits.
        """
        kind = self.cells[column].type
        if not (is_text(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind)):
            raise BenchError(f"{self.path}: column '{column}' holds {kind}; ids are text or whole numbers")
        encoded = self.cells[column].dictionary_encode().combine_chunks()
        if isinstance(encoded, pa.ChunkedArray):  # older versions of pyarrow
            encoded = encoded.chunk(0)
        values, codes = encoded.dictionary, encoded.indices.to_numpy(zero_copy_only=False)
        if pa.types.is_floating(kind):
            numbers = values.to_numpy(zero_copy_only=False)
            whole = np.isfinite(numbers) & (numbers == np.floor(numbers))
            self.fail_at(~whole[codes], column, "holds {}, which is no id; ids are text or whole numbers")
            inexact = np.abs(numbers) >= ids.EXACT_BELOW[kind.bit_width]
            problem = f"holds {{}}, too large for a float of {kind.bit_width} bits to tell neighbours apart"
            self.fail_at(inexact[codes], column, f"{problem}; write ids as text or integers")
            values = pa.array(numbers.astype(np.int64))
        texts = values.cast(pa.string())
        halved = pc.match_substring(texts, "\0").to_numpy(zero_copy_only=False)
        if halved.any():
            self.fail_at(halved[codes], column, "holds {}, an id with a NUL character; mend it")
        lost = ids.rounded(texts)
        if lost.any():
            self.fail_at(lost[codes], column, f"holds '{{}}', {ids.LOST_DIGITS}; write ids as text")
        names = ids.canonical(texts)
        self._tell_changes(column, texts, names, codes)
        merged_codes, names = ids.merged(names)
        for one, other in ids.alike(names):
            self.notes.append(f"column '{column}': '{one}' and '{other}' are two ids, though equal as numbers")
        return Ids(merged_codes.astype(np.int32)[codes], names)

    def ids(self, column: str) -> tuple[NDArray[np.int32], NDArray[np.str_]]:
        """As `encode`, with the ids as an array of numpy's."""
        encoded = self.encode(column)
        return encoded.codes, encoded.texts()

    def listed(self, names: list[str] | None = None) -> str:
        """Lists columns for a message, not too many."""
        names = self.names if names is None else names
        shown = ", ".join(f"'{name}'" for name in names[:_SHOWN])
        return shown + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")

    def headless(self, why: str) -> BenchError:
        """Makes the error that the first row is data, not names."""
        way = "add a row of names"
        if self._takes_options:
            count = len(self.names)
            time = f" --time {likely_time(self.names) + 1}" if count > 2 else f" --time {NO_TIME}"
            way += f", or give --no-header and columns by position, e.g. --user 1 --item 2{time}"
        return BenchError(f"{self.path}: the first row looks like data ({why}), not like names of columns; {way}")

    def _tell_changes(self, column: str, before: pa.Array, after: pa.Array, codes: NDArray[np.int32]) -> None:
        changed = pc.not_equal(before, after).to_numpy(zero_copy_only=False)
        if not changed.any():
            return
        first = int(changed.argmax())
        count = int(np.bincount(codes, minlength=len(changed))[changed].sum())
        shown = f"'{before[first].as_py()}' as '{after[first].as_py()}'"
        self.notes.append(f"column '{column}': {count:,} ids are read without blanks, '.0' and the like, e.g. {shown}")

    def _no_header(self) -> BenchError | None:
        """The error that the first row is data, if it looks like that: a number or a date over others of its kind."""
        if self.first_row != 2 or self.names[-1] == str(len(self.names) - 1):  # pandas counts nameless columns from 0
            return None
        values = [index for index, name in enumerate(self.names) if is_value(name)]
        if not any(self._values_at(index) for index in values):
            return None
        return self.headless(", ".join(self.names[:6]) + (", ..." if len(self.names) > 6 else ""))

    def _values_at(self, index: int) -> bool:
        """Tells whether the first cells of a column are numbers or dates; so it is taken where there are none."""
        head = self.cells.column(index).slice(0, 20).drop_null().to_pylist()
        return all(is_value(str(cell)) for cell in head)

    def _refuse_dialect(self, but_no_header: bool = False) -> None:
        if self._dialect != Dialect(no_header=but_no_header and self._dialect.no_header):
            raise BenchError(f"{self.path}: --separator, --quotes and --no-header are for text; leave them out")


def is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _read_parquet(path: Path) -> pa.Table:
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise BenchError(f"{path} is no readable parquet file ({message_of(error)})") from None
    return pa.table(
        [_plain(path, name, cells) for name, cells in zip(table.column_names, table.columns, strict=True)],
        names=table.column_names,
    )


def _plain(path: Path, name: str, cells: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column without the encodings that mean nothing; whoever wrote the file may have put any bytes into its texts.

    Raises:
        BenchError: A text is not UTF-8.
    """
    if pa.types.is_dictionary(cells.type):
        cells = cells.cast(cells.type.value_type)
    is_view = str(cells.type) == "string_view"  # which older versions of pyarrow don't know
    if is_text(cells.type) or is_view:
        before = 0
        for chunk in cells.chunks:
            try:
                chunk.validate(full=True)
            except pa.ArrowInvalid as error:
                index = re.search(r"index (\d+)", str(error))
                row = f", row {before + int(index[1]) + 1}" if index else ""
                raise BenchError(f"{path}{row}, column '{name}': holds text that is not UTF-8; mend it") from None
            before += len(chunk)
    return cells.cast(pa.large_string()) if is_view else cells
