"""Columns of times: which unit or calendar they count in, decided by the bulk of them, and which of them are none."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bench.data.events import Times
from bench.data.parsing.ids import canonical
from bench.errors import BenchError, message_of

UNIT_NAMES = {1: "seconds", 1_000: "milliseconds", 1_000_000: "microseconds", 1_000_000_000: "nanoseconds"}
"""Units of time by how many of them make a second."""

BULK = 0.9
"""Share of a column's times that must agree in their unit; the others are then outliers."""

_LATEST_SECOND = 1e11
"""The year 5138: a number above it has a smaller unit."""
_YEAR_1980, _YEAR_2100 = 315_532_800, 4_102_444_800
_SAMPLE = 100_000
_NANOSECONDS = 1_000_000_000
_LAYOUTS = {4: "YYYY", 6: "YYYYMM", 8: "YYYYMMDD", 10: "YYYYMMDDHH", 12: "YYYYMMDDHHMM", 14: "YYYYMMDDHHMMSS"}
"""Calendar dates that are written as integers, by their number of digits."""


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
        """Bool `[n_rows]`."""
        return np.logical_or.reduce([np.zeros(len(self.times), dtype=bool), *(some.rows for some in self.bad)])

    def reject(self, rows: NDArray[np.bool_], text: str) -> None:
        """Takes cells for no times, unless they are known to be none; `text` says why."""
        new = rows & ~self.is_bad() if self.bad and rows.any() else rows
        if new.any():
            self.bad.append(Rows(new, text))


def read_order(cells: pa.ChunkedArray) -> Column:
    """A column that orders events: any numbers, or dates.

    Raises:
        BenchError: Its type is neither.
    """
    column, _ = _parsed(cells)
    column.reject(~np.isfinite(column.times), "holds {}, not a finite number")
    return column


def read_times(cells: pa.ChunkedArray, layout: str | None = None) -> Column:
    """A column of times: numbers since 1970, calendar dates as integers, ISO 8601 text, or parquet's timestamps.

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
    """The UTC date of a time since 1970, or its year where that has more than four digits."""
    if abs(seconds) < 2e11:
        return str(np.datetime64(int(seconds), "s").astype("datetime64[D]"))
    return f"the year {1970 + int(min(seconds / 31_556_952, 1e18)):,}"


def _parsed(cells: pa.ChunkedArray) -> tuple[Column, bool]:
    """A column in its own unit, and whether it holds bare numbers."""
    kind = cells.type
    if pa.types.is_date(kind):
        cells = cells.cast(pa.timestamp("s"))
    if pa.types.is_timestamp(cells.type):
        ticks = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": _NANOSECONDS}[cells.type.unit]
        return Column(cells.cast(pa.int64()).to_numpy(), ticks), False
    if pa.types.is_uint64(kind):
        cells = cells.cast(pa.float64()) if pc.max(cells).as_py() >= 2**63 else cells
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        dtype = np.int64 if pa.types.is_integer(cells.type) else np.float64
        return Column(cells.to_numpy().astype(dtype)), True
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _from_text(cells)
    raise BenchError(f"holds {kind}; times are numbers, text or timestamps")


def _from_text(cells: pa.ChunkedArray) -> tuple[Column, bool]:
    """Numbers, or dates where most cells aren't numbers."""
    trimmed = pc.utf8_trim_whitespace(cells)
    for kind in (pa.int64(), pa.float64()):
        try:
            return Column(trimmed.cast(kind).to_numpy()), True
        except pa.ArrowInvalid:
            continue
    text = trimmed.to_pandas()
    numbers = pd.to_numeric(text, errors="coerce").to_numpy(dtype=np.float64)
    is_number = ~np.isnan(numbers)
    if 2 * is_number.sum() >= len(text):
        column = Column(np.where(is_number, numbers, 0))
        column.reject(~is_number, "holds '{}', not a number")
        return column, True
    return _dates(trimmed, text), False


def _dates(cells: pa.ChunkedArray, text: pd.Series) -> Column:
    """ISO dates; those that end in "UTC" are understood, too. "now" and "today" are none, though pandas has it so."""
    zoned = pc.match_substring_regex(cells, r":.*(Z|z|[+-][0-9]{2}(:?[0-9]{2})?|UTC|GMT)$").to_numpy()
    mixed = 0 < zoned.sum() < len(text)
    # Apart, since pandas gives a time without a zone that of the time before it.
    stamps = pd.concat([_iso(text[~zoned]), _iso(text[zoned])]).sort_index() if mixed else _iso(text)
    words = ~pc.match_substring_regex(cells, "^[0-9]").to_numpy()
    problem = "holds '{}', neither a number nor a date as in 2024-05-31 18:00:00 (--time-format names other forms)"
    column = _from_stamps(stamps.mask(words), problem)
    if mixed:
        column.notes.append(f"{int((~zoned).sum()):,} of {len(text):,} times name no zone and are taken for UTC")
    return column


def _iso(text: pd.Series) -> pd.Series:
    stamps = pd.to_datetime(text, errors="coerce", utc=True, format="ISO8601")
    failed = stamps.isna()
    if failed.any():
        words = text[failed].str.replace(r"\s*(UTC|GMT)$", "Z", regex=True)
        stamps[failed] = pd.to_datetime(words, errors="coerce", utc=True, format="ISO8601")
    return stamps


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
    naive = stamps.dt.tz_localize(None)
    naive = naive.mask((naive > pd.Timestamp.max) | (naive < pd.Timestamp.min))  # beyond what nanoseconds can count
    failed = naive.isna().to_numpy()
    column = Column(naive.to_numpy(dtype="datetime64[ns]").astype(np.int64), _NANOSECONDS, cell="'{}'")
    column.reject(failed, problem)
    return column


def _by_size(column: Column) -> Column:
    """Bare numbers: calendar dates, or the unit in which the bulk of them lies."""
    times = column.times
    column.reject(~np.isfinite(times), "holds {}, not a finite number")
    usable = times[~column.is_bad()] if column.bad else times
    if not len(usable):
        return column
    dated = _calendar(column, usable)
    if dated is not None:
        return _checked(dated)
    column.reject(times < 0, "holds {}, a negative time; seconds since 1970 are expected")
    low, high = usable.min(), usable.max()
    if low >= 0 and high < _LATEST_SECOND:
        return _checked(column)
    _choose_unit(column)
    return column if column.mixed else _checked(column)


def _choose_unit(column: Column) -> None:
    """Sets the unit, and names the times that would have another one."""
    limits = [_LATEST_SECOND * ticks for ticks in UNIT_NAMES]
    unit = np.searchsorted(limits, np.where(column.is_bad(), 0, column.times), side="right")
    good = ~column.is_bad()
    counts = np.bincount(unit[good], minlength=len(limits) + 1)
    most = int(counts[: len(limits)].argmax())
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
    if high >= _YEAR_2100 * ticks:
        if np.median(times[good]) < _YEAR_2100 * ticks:
            late = f"holds {column.cell}, which lies after the year 2100, unlike the other times"
            column.reject(times >= _YEAR_2100 * ticks, late)
        elif ticks != _NANOSECONDS:
            unit = f"as {UNIT_NAMES[ticks]} since 1970"
            column.mixed = Rows(
                good, f"holds {{}}, {unit} {day(high / ticks)}; say what it is with --time-format, or --order"
            )
    if low < _YEAR_1980 * ticks:
        _suspect_early(column, good)
    return column


def _suspect_early(column: Column, good: NDArray[np.bool_]) -> None:
    times, limit = column.times, _YEAR_1980 * column.ticks
    middle = np.median(times[good])
    if middle >= limit:
        early = good & (times < limit)
        first = f"{column.cell}, {day(times[early.argmax()] / column.ticks)}"
        column.odd.append(Rows(early, f"hold a time before 1980 (the first: {first}), unlike the others"))
    elif column.ticks != _NANOSECONDS:
        unit = UNIT_NAMES[column.ticks]
        column.notes.append(
            f"most times lie before 1980 (the median on {day(middle / column.ticks)}): read as {unit} since 1970; if "
            "they only give an order, name their column with --order"
        )


def _calendar(column: Column, usable: Times) -> Column | None:
    """The column as calendar dates (`20180511`, `20180511133000`), if the bulk of it are some; else None."""
    sample = usable[:: max(len(usable) // _SAMPLE, 1)]
    middle = float(np.sort(sample)[len(sample) // 2])
    digits = len(str(int(middle))) if 0 < middle < 1e15 else 0
    if digits not in _LAYOUTS or middle != np.floor(middle):
        return None
    if not _seconds(np.array([int(middle)]), digits)[1].all():
        return None
    seconds, valid = _seconds(np.where(column.is_bad(), 0, column.times), digits)
    # Small numbers may be counts of anything: only if every one of them is a date, all are.
    enough = BULK if digits > 6 else 1.0
    if valid.sum() < enough * (len(valid) if digits > 6 else len(usable)):
        return None
    column.reject(~valid, f"holds {{}}, no date of the form {_LAYOUTS[digits]} as the others are")
    said = f"times are read as dates of the form {_LAYOUTS[digits]}, UTC"
    return Column(seconds, 1, column.bad, None, column.odd, [*column.notes, said])


def _seconds(numbers: Times, digits: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Seconds since 1970 of dates that are written as integers, and which of these are dates from 1900 to 2100."""
    in_range = (numbers >= 10 ** (digits - 1)) & (numbers < 10**digits)
    whole = np.where(in_range, numbers, 0).astype(np.int64)
    valid = in_range & (whole == numbers)
    parts, rest = [], whole
    for _ in range((digits - 4) // 2):
        parts.append(rest % 100)
        rest = rest // 100
    month, date, hour, minute, second = (*parts[::-1], *([None] * 5))[:5]
    zero = np.zeros(len(whole), dtype=np.int64)
    month, date = (zero + 1 if part is None else part for part in (month, date))
    hour, minute, second = (zero if part is None else part for part in (hour, minute, second))
    valid &= (rest >= 1900) & (rest <= 2100) & (month >= 1) & (month <= 12) & (date >= 1)
    valid &= (hour < 24) & (minute < 60) & (second < 60)
    months = ((rest - 1970) * 12 + month - 1).astype("datetime64[M]")
    days = months.astype("datetime64[D]") + (date - 1)
    valid &= days.astype("datetime64[M]") == months
    return days.astype("datetime64[s]").astype(np.int64) + hour * 3600 + minute * 60 + second, valid
