"""Reads events and items from CSV, TSV and parquet files of any origin, strictly."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bench.data.events import EventLog, Times
from bench.errors import BenchError

TABLE_SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet")

USUAL_NAMES: Mapping[str, tuple[str, ...]] = {
    "user": ("user", "userid", "uid", "useridx", "customer", "customerid", "visitorid", "session", "sessionid"),
    "item": ("item", "itemid", "iid", "itemidx", "product", "productid", "movieid", "videoid", "trackid", "asin"),
    "time": ("time", "timestamp", "datetime", "date", "unixtime", "ts"),
}
"""Names by which a column is found where none is given, in small letters, without blanks and punctuation."""

NO_TIME = "none"
"""Stands for the name of the time column where the order of the rows is the order of the events."""

_MISSING = ["", "nan", "NaN", "NAN"]
_UNIT_NAMES = {1: "seconds", 1_000: "milliseconds", 1_000_000: "microseconds", 1_000_000_000: "nanoseconds"}
"""Units of time by how many of them make a second."""
_LATEST = 1e11
"""In seconds, the year 5138: a number above it has a smaller unit."""


class Table:
    """A table whose cells can be named in an error message.

    Attributes:
        path: The file.
        cells: The content. Of a text file every column is a string; empty cells and NaN are null.
        first_row: The number of the first row: 2 below a header, as spreadsheets show it, 1 in a parquet file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        is_parquet = path.suffix == ".parquet"
        self.first_row = 1 if is_parquet else 2
        self.cells = _read_parquet(path) if is_parquet else _read_text(path)
        names = self.cells.column_names
        again = next((name for place, name in enumerate(names) if name in names[:place]), None)
        if again is not None:
            raise BenchError(f"{path}: column '{again}' is there twice; rename one")
        if self.cells.num_rows == 0:
            raise BenchError(f"{path} holds column names and no rows")

    @property
    def names(self) -> list[str]:
        return self.cells.column_names

    def find(self, role: str, given: str | None, option: str) -> str:
        """The column for a role: the one that is given, else the only one with a usual name.

        Raises:
            BenchError: There is no such column, or more than one has a usual name.
        """
        if given is not None:
            if given not in self.names:
                raise BenchError(f"{self.path} has no column '{given}' ({option}); it has {self._listed()}")
            return given
        usual = USUAL_NAMES[role]
        found = sorted(
            (name for name in self.names if _plain(name) in usual), key=lambda name: usual.index(_plain(name))
        )
        if len(found) == 1 or (found and _plain(found[0]) in (role, f"{role}id")):
            return found[0]
        problem = f"several columns that may be the {role}" if found else f"no column that is plainly the {role}"
        hint = f", or {option} {NO_TIME} where the order of the rows is that of the events" if role == "time" else ""
        raise BenchError(f"{self.path} has {problem}; name it with {option}{hint} (columns: {self._listed()})")

    def keep(self, rows: NDArray[np.bool_]) -> None:
        """Leaves out the other rows; row numbers of later messages count those that stay."""
        self.cells = self.cells.filter(pa.array(rows))

    def missing(self, column: str) -> NDArray[np.bool_]:
        """Bool `[n_rows]`, True for null, NaN, and text that is blank."""
        cells = self.cells[column]
        missing = cells.is_null(nan_is_null=True)
        if pa.types.is_string(cells.type) or pa.types.is_large_string(cells.type):
            missing = pc.or_(missing, pc.fill_null(pc.equal(pc.utf8_trim_whitespace(cells), ""), True))
        return missing.to_numpy()

    def fail_at(self, bad: NDArray[np.bool_], column: str, problem: str) -> None:
        """Raises BenchError for the first bad row, if there is one; `{}` in `problem` stands for its cell."""
        if bad.any():
            row = int(bad.argmax())
            cell = self.cells[column][row].as_py()
            raise BenchError(f"{self.path}, row {row + self.first_row}, column '{column}': {problem.format(cell)}")

    def ids(self, column: str) -> tuple[NDArray[np.int32], NDArray[np.str_]]:
        """A column of ids as int32 codes `[n_rows]` and the ids by code, in the order of their first appearance.

        Integers and whole floats become text without a decimal point, so that 7, 7.0 and "7" are one id in any file.

        Raises:
            BenchError: The column holds neither text nor whole numbers.
        """
        kind = self.cells[column].type
        is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
        if not (is_text or pa.types.is_integer(kind) or pa.types.is_floating(kind)):
            raise BenchError(f"{self.path}: column '{column}' holds {kind}; ids are text or whole numbers")
        encoded = self.cells[column].dictionary_encode().combine_chunks()
        if isinstance(encoded, pa.ChunkedArray):  # older versions of pyarrow
            encoded = encoded.chunk(0)
        values = encoded.dictionary
        if pa.types.is_floating(kind):
            numbers = values.to_numpy(zero_copy_only=False)
            whole = np.isfinite(numbers) & (numbers == np.floor(numbers)) & (np.abs(numbers) < 2**53)
            codes = encoded.indices.to_numpy(zero_copy_only=False)
            self.fail_at(~whole[codes], column, "holds {}, which is no id; ids are text or whole numbers")
            values = pa.array(numbers.astype(np.int64))
        names = values.cast(pa.string()).to_numpy(zero_copy_only=False).astype(np.str_)
        return encoded.indices.to_numpy(zero_copy_only=False).astype(np.int32), names

    def _listed(self) -> str:
        shown = ", ".join(f"'{name}'" for name in self.names[:12])
        return shown + (f" and {len(self.names) - 12} more" if len(self.names) > 12 else "")


def read_events(
    path: Path,
    user: str | None = None,
    item: str | None = None,
    time: str | None = None,
    order: str | None = None,
    drop_incomplete: bool = False,
    drop_duplicates: bool = False,
) -> EventLog:
    """Reads a table with one row an event.

    Times may be numbers since 1970 (seconds, milli-, micro- or nanoseconds, told apart by their size), ISO 8601
    text, or parquet's own dates and timestamps; without a zone they are UTC.

    Args:
        path: A file with one of `TABLE_SUFFIXES`.
        user, item: Columns of ids. None: the one with a usual name.
        time: The column of times; `NO_TIME`: the rows of each user are in order. None: the one with a usual name.
        order: Instead of a time, a column of numbers that orders each user's events.
        drop_incomplete: Leave out rows without a user, an item or a time, instead of raising.
        drop_duplicates: Leave out rows whose user, item and time equal an earlier row's. They are counted either way.

    Raises:
        BenchError: The file or a cell can't be used; the message names file and row or column.
    """
    if order is not None and time is not None:
        raise BenchError(f"{path}: --time and --order exclude each other; give one of them")
    table = Table(path)
    user, item = table.find("user", user, "--user"), table.find("item", item, "--item")
    if order is not None:
        clock: str | None = table.find("order", order, "--order")
    else:
        clock = None if time == NO_TIME else table.find("time", time, "--time")
    notes = [f"columns: user is '{user}', item is '{item}', " + _clock_in_words(clock, order)]
    needed = [column for column in (user, item, clock) if column is not None]
    missing = {column: table.missing(column) for column in needed}
    if drop_incomplete and (incomplete := np.logical_or.reduce(list(missing.values()))).any():
        table.keep(~incomplete)
        notes.append(f"{int(incomplete.sum()):,} of {len(incomplete):,} rows without user, item or time are left out")
        if incomplete.all():
            raise BenchError(f"{path}: every row lacks a user, an item or a time")
    elif not drop_incomplete:
        for column, rows in missing.items():
            table.fail_at(rows, column, "is empty; fill it, or leave such rows out with --incomplete drop")
    users, user_ids = table.ids(user)
    items, item_ids = table.ids(item)
    times: Times | None = None
    ticks = 1
    if clock is not None:
        times, ticks = _times(table, clock, is_order=order is not None)
        if ticks > 1:
            notes.append(f"times are read as {_UNIT_NAMES[ticks]}")
    if time != NO_TIME and order is None:
        again = pd.DataFrame({"user": users, "item": items, "time": times}).duplicated().to_numpy()
        if again.any():
            fate = "left out" if drop_duplicates else "kept as events of their own (--duplicates drop leaves them out)"
            notes.append(f"{int(again.sum()):,} rows equal an earlier one in user, item and time; {fate}")
        if drop_duplicates and times is not None:
            users, items, times = users[~again], items[~again], times[~again]
    log = EventLog(users, items, times, user_ids, item_ids, ticks, tuple(notes))
    return log if order is None else _in_order(log)


def _clock_in_words(clock: str | None, order: str | None) -> str:
    if clock is None:
        return "no time: the order of the rows is that of the events"
    return f"the order of events is '{clock}', without time" if order is not None else f"time is '{clock}'"


def _in_order(log: EventLog) -> EventLog:
    """User after user, each sorted by the order column, which then has done its work."""
    assert log.times is not None
    rows = np.lexsort((log.times, log.users))
    return replace(log, users=log.users[rows], items=log.items[rows], times=None)


def _times(table: Table, column: str, is_order: bool) -> tuple[Times, int]:
    """The times, and how many of their units make a second; any numbers for an order column."""
    cells = table.cells[column]
    if pa.types.is_date(cells.type):
        cells = cells.cast(pa.timestamp("s"))
    if pa.types.is_timestamp(cells.type):
        numbers: Times = cells.cast(pa.int64()).to_numpy()
        table.fail_at(numbers < 0, column, "holds {}, a time before 1970")
        return numbers, {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}[cells.type.unit]
    if pa.types.is_integer(cells.type) or pa.types.is_floating(cells.type):
        exact = pa.types.is_integer(cells.type)
        numbers = cells.to_numpy().astype(np.int64) if exact else cells.to_numpy().astype(np.float64)
    elif pa.types.is_string(cells.type) or pa.types.is_large_string(cells.type):
        parsed = _numbers_or_dates(table, column)
        if isinstance(parsed, pd.Series):
            numbers = parsed.to_numpy(dtype="datetime64[ns]").astype(np.int64)
            table.fail_at(numbers < 0, column, "holds '{}', a time before 1970")
            return numbers, 1_000_000_000
        numbers = parsed
    else:
        raise BenchError(f"{table.path}: column '{column}' holds {cells.type}; times are numbers, text or timestamps")
    table.fail_at(~np.isfinite(numbers), column, "holds {}, not a finite number")
    if is_order:
        return numbers, 1
    table.fail_at(numbers < 0, column, "holds {}, a negative time; seconds since 1970 are expected")
    return numbers, next((ticks for ticks in _UNIT_NAMES if numbers.max() < _LATEST * ticks), max(_UNIT_NAMES))


def _numbers_or_dates(table: Table, column: str) -> Times | pd.Series:
    """A column of text as numbers, or as UTC times where most of its cells aren't numbers."""
    cells = table.cells[column]
    for kind in (pa.int64(), pa.float64()):
        try:
            return pc.utf8_trim_whitespace(cells).cast(kind).to_numpy()
        except pa.ArrowInvalid:
            continue
    text = cells.to_pandas()
    is_number = pd.to_numeric(text, errors="coerce").notna().to_numpy()
    if 2 * is_number.sum() >= len(text):
        table.fail_at(~is_number, column, "holds '{}', not a number")
    times = pd.to_datetime(text, errors="coerce", utc=True, format="ISO8601").dt.tz_localize(None)
    table.fail_at(times.isna().to_numpy(), column, "holds '{}', neither a number nor a date as in 2024-05-31 18:00:00")
    return times


def _plain(name: str) -> str:
    return re.sub(r"[\W_]", "", name.lower())


def _read_parquet(path: Path) -> pa.Table:
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise BenchError(f"{path} is no readable parquet file ({_first_line(error)})") from None
    decoded = [
        column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
        for column in table.columns
    ]
    return pa.table(decoded, names=table.column_names)


def _read_text(path: Path) -> pa.Table:
    """Every column as text. Commas or, by the suffix, tabs separate; cells may be quoted."""
    parse = pacsv.ParseOptions(delimiter="\t" if ".tsv" in path.name else ",", newlines_in_values=True)
    serial = pacsv.ReadOptions(use_threads=False)  # else messages come without row numbers
    try:
        with pacsv.open_csv(path, parse_options=parse, read_options=serial) as reader:
            names: Sequence[str] = reader.schema.names
        convert = pacsv.ConvertOptions(
            column_types={name: pa.string() for name in names}, strings_can_be_null=True, null_values=_MISSING
        )
        return pacsv.read_csv(path, serial, parse, convert)
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> BenchError:
    reason = _first_line(error)
    if "Empty CSV" in reason:
        return BenchError(f"{path} is empty; its first row must name the columns")
    if isinstance(error, UnicodeDecodeError) or "UTF8" in reason:
        row = re.search(r"Row #(\d+)", reason)
        place = f", row {row[1]}" if row else ""
        return BenchError(
            f"{path}{place} is not UTF-8; convert the file, e.g. `iconv -f latin1 -t utf-8 {path.name} > fixed.csv`"
        )
    reason = reason.replace("Row #", "row ").removeprefix("CSV parse error: ")
    return BenchError(f"{path} is no readable table ({reason}); fields are separated by one comma, in .tsv by one tab")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
