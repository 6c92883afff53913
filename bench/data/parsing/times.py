"""Columns of times: which unit or calendar they count in, decided by the bulk of them, and which of them are none."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bench.data.events import Times
from bench.data.parsing.ids import EXACT_BELOW, LOST_DIGITS, canonical, cut
from bench.data.parsing.time_units import (
    BULK,
    LATEST_SECOND,
    NANOSECONDS,
    UNIT_NAMES,
    YEAR_1980,
    YEAR_2100,
    calendar_dates,
    iso_dates,
    nanoseconds,
    unit_of_most,
    units_by_size,
)
from bench.errors import BenchError, message_of


@dataclass(frozen=True)
class Rows:
    """Some rows, and what there is to say of them; `{}` stands for the cell of the first.

    Attributes:
        rows: Bool `[n_rows]`.
        text: A clause.
    """

    rows: NDArray[np.bool_]
    text: str


@dataclass
class Column:
    """A column of times as read.

    Attributes:
        times: `[n_rows]`; of no account where a cell is bad.
        ticks: How many units of `times` make a second.
        bad: Cells that are no time, or not one of this column's.
        mixed: Rows of the rarer of two units where neither has the bulk; nothing can be read then.
        odd: Times that are taken for what they say, but hardly right.
        notes: What was decided, in words.
        cell: How a cell is shown in a message: a text in quotes.
    """

    times: Times
    ticks: int = 1
    bad: list[Rows] = field(default_factory=list)
    mixed: Rows | None = None
    odd: list[Rows] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    cell: str = "{}"

    def is_bad(self) -> NDArray[np.bool_]:
        """Returns bool `[n_rows]`."""
        return np.logical_or.reduce([np.zeros(len(self.times), dtype=bool), *(some.rows for some in self.bad)])

    def reject(self, rows: NDArray[np.bool_], text: str) -> None:
        """Takes cells for no times, unless they are known to be none; `text` says why."""
        new = rows & ~self.is_bad() if self.bad and rows.any() else rows
        if new.any():
            self.bad.append(Rows(new, text))


def read_order(cells: pa.ChunkedArray) -> Column:
    """Reads a column that orders events: any numbers, or dates.

    Raises:
        BenchError: Its type is neither.
    """
    column, _ = _parsed(cells, has_layout=False)
    column.reject(~np.isfinite(column.times), "holds {}, not a finite number")
    return column


def read_times(cells: pa.ChunkedArray, layout: str | None = None) -> Column:
    """Reads a column of times: numbers since 1970, calendar dates as integers, ISO 8601 text, or parquet's timestamps.

    Args:
        cells: No cell is null.
        layout: As for `datetime.strptime`, where the cells follow no rule above.

    Raises:
        BenchError: The column holds something else, or `layout` is none.
    """
    if layout is not None:
        return _checked(_by_layout(cells, layout))
    column, is_number = _parsed(cells)
    return _by_size(column) if is_number else _checked(column)


def day(seconds: float) -> str:
    """Writes the UTC date of a time since 1970, or its year where that has more than four digits."""
    if abs(seconds) < 2e11:
        return str(np.datetime64(int(seconds), "s").astype("datetime64[D]"))
    return f"the year {1970 + int(min(seconds / 31_556_952, 1e18)):,}"


def _parsed(cells: pa.ChunkedArray, has_layout: bool = True) -> tuple[Column, bool]:
    """A column in its own unit, and whether it holds bare numbers; `has_layout`: whether --time-format could help."""
    kind = cells.type
    if pa.types.is_date(kind):
        cells = cells.cast(pa.timestamp("s"))
    if pa.types.is_timestamp(cells.type):
        ticks = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": NANOSECONDS}[cells.type.unit]
        return Column(cells.cast(pa.int64()).to_numpy(), ticks), False
    if pa.types.is_uint64(kind):
        cells = cells.cast(pa.float64()) if pc.max(cells).as_py() >= 2**63 else cells
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        dtype = np.int64 if pa.types.is_integer(cells.type) else np.float64
        column = Column(cells.to_numpy().astype(dtype))
        if pa.types.is_floating(kind) and kind.bit_width < 64:
            inexact = np.abs(column.times) >= EXACT_BELOW[kind.bit_width]
            column.reject(inexact, f"holds {{}}, too large for a float of {kind.bit_width} bits to be told exactly")
        return column, True
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _from_text(cells, has_layout)
    raise BenchError(f"holds {kind}; times are numbers, text or timestamps")


def _from_text(cells: pa.ChunkedArray, has_layout: bool) -> tuple[Column, bool]:
    """Numbers, or dates where most cells aren't numbers."""
    trimmed = pc.utf8_trim_whitespace(cells)
    for kind in (pa.int64(), pa.float64()):
        try:
            column = Column(trimmed.cast(kind).to_numpy())
        except pa.ArrowInvalid:
            continue
        if pa.types.is_floating(kind):
            column.reject(cut(trimmed), f"holds {{}}, {LOST_DIGITS}")
        return column, True
    text = trimmed.to_pandas()
    numbers = pd.to_numeric(text, errors="coerce").to_numpy(dtype=np.float64)
    is_number = ~np.isnan(numbers)
    if 2 * is_number.sum() >= len(text):
        column = Column(np.where(is_number, numbers, 0))
        column.reject(~is_number, "holds '{}', not a number")
        column.reject(cut(trimmed), f"holds {{}}, {LOST_DIGITS}")
        return column, True
    return _dates(trimmed, text, has_layout), False


def _dates(cells: pa.ChunkedArray, text: pd.Series, has_layout: bool) -> Column:
    stamps, without_zone = iso_dates(cells, text)
    hint = " (--time-format names other forms)" if has_layout else ""
    column = _from_stamps(stamps, f"holds '{{}}', neither a number nor a date as in 2024-05-31 18:00:00{hint}")
    if without_zone:
        column.notes.append(f"{without_zone:,} of {len(stamps):,} times name no zone and are taken for UTC")
    return column


def _by_layout(cells: pa.ChunkedArray, layout: str) -> Column:
    if pa.types.is_timestamp(cells.type) or pa.types.is_date(cells.type):
        raise BenchError("holds timestamps already; leave out --time-format")
    text = canonical(cells.cast(pa.string()).combine_chunks()).to_pandas()
    try:
        stamps = pd.to_datetime(text, errors="coerce", utc=True, format=layout)
    except (ValueError, TypeError) as error:
        raise BenchError(f"--time-format '{layout}': {message_of(error)}") from None
    if stamps.isna().all():
        raise BenchError(f"holds no time of the form --time-format '{layout}', the first being '{text.iloc[0]}'")
    return _from_stamps(stamps, f"holds '{{}}', which doesn't fit --time-format '{layout}'")


def _from_stamps(stamps: pd.Series, problem: str) -> Column:
    times, failed = nanoseconds(stamps)
    column = Column(times, NANOSECONDS, cell="'{}'")
    column.reject(failed, problem)
    return column


def _by_size(column: Column) -> Column:
    """Bare numbers: calendar dates, or the unit in which the bulk of them lies."""
    times = column.times
    column.reject(~np.isfinite(times), "holds {}, not a finite number")
    usable = times[~column.is_bad()] if column.bad else times
    if not len(usable):
        return column
    dated = _calendar(column)
    if dated is not None:
        return _checked(dated)
    column.reject(times < 0, "holds {}, a negative time; seconds since 1970 are expected")
    low, high = usable.min(), usable.max()
    if low >= 0 and high < LATEST_SECOND:
        return _checked(column)
    _choose_unit(column)
    return column if column.mixed else _checked(column)


def _choose_unit(column: Column) -> None:
    """Sets the unit, and names the times that would have another one."""
    good = ~column.is_bad()
    unit, counts = units_by_size(column.times, good)
    most = unit_of_most(counts)
    other = good & (unit != most)
    names = [*UNIT_NAMES.values(), "nothing known"]
    if counts[most] < BULK * good.sum():
        rare = int(unit[other][0])
        text = (
            f"holds {{}}, one of {counts[rare]:,} times that look like {names[rare]}, beside {counts[most]:,} that "
            f"look like {names[most]}; a column has one unit (--order where its numbers only give an order)"
        )
        column.mixed = Rows(other, text)
        return
    column.ticks = list(UNIT_NAMES)[most]
    if most:
        column.notes.append(f"times are read as {UNIT_NAMES[column.ticks]}")
    column.reject(other, f"holds {{}}, which is absurd beside {counts[most]:,} times in {names[most]}")


def _checked(column: Column) -> Column:
    """Times before 1970 and far in the future are no times; those before 1980 are hardly right."""
    times, ticks = column.times, column.ticks
    column.reject(times < 0, f"holds {column.cell}, a time before 1970")
    good = ~column.is_bad() if column.bad else np.ones(len(times), dtype=bool)
    if not good.any():
        return column
    low, high = times[good].min(), times[good].max()
    if high >= YEAR_2100 * ticks:
        if np.median(times[good]) < YEAR_2100 * ticks:
            late = f"holds {column.cell}, which lies after the year 2100, unlike the other times"
            column.reject(times >= YEAR_2100 * ticks, late)
        elif ticks != NANOSECONDS:
            unit = f"as {UNIT_NAMES[ticks]} since 1970"
            column.mixed = Rows(
                good, f"holds {{}}, {unit} {day(high / ticks)}; say what it is with --time-format, or --order"
            )
    if low < YEAR_1980 * ticks:
        _suspect_early(column, good)
    return column


def _suspect_early(column: Column, good: NDArray[np.bool_]) -> None:
    times, limit = column.times, YEAR_1980 * column.ticks
    middle = np.median(times[good])
    if middle >= limit:
        early = good & (times < limit)
        first = f"{column.cell}, {day(times[early.argmax()] / column.ticks)}"
        column.odd.append(Rows(early, f"hold a time before 1980 (the first: {first}), unlike the others"))
        return
    is_text = column.cell != "{}"  # of dates as text nobody has to be told how they are counted
    counted = "" if is_text else f": read as {UNIT_NAMES[column.ticks]} since 1970"
    column.notes.append(
        f"most times lie before 1980 (the median on {day(middle / column.ticks)}){counted}; if they only give an "
        "order, name their column with --order"
    )


def _calendar(column: Column) -> Column | None:
    """The column as calendar dates (`20180511`, `20180511133000`), if the bulk of it are some; else None."""
    dates = calendar_dates(column.times, ~column.is_bad())
    if dates is None:
        return None
    seconds, valid, layout = dates
    column.reject(~valid, f"holds {{}}, no date of the form {layout} as the others are")
    note = f"times are read as dates of the form {layout}, UTC"
    return Column(seconds, 1, column.bad, None, column.odd, [*column.notes, note])
