"""One rule for how times are written in any format: the unit that numbers count in, dates as numbers, dates as text."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bench.data.events import Times

UNIT_NAMES = {1: "seconds", 1_000: "milliseconds", 1_000_000: "microseconds", 1_000_000_000: "nanoseconds"}
"""Units of time by how many of them make a second."""

NANOSECONDS = 1_000_000_000

BULK = 0.9
"""Share of a column's times that must agree in their unit; the others are then outliers."""

MOSTLY_DATES = 0.8
"""Share of a column's numbers that must be calendar dates; the others are then wrong ones."""

LATEST_SECOND = 1e11
"""The year 5138: a number from it on has a smaller unit."""

YEAR_1980, YEAR_2100 = 315_532_800, 4_102_444_800
"""In seconds. Times of events lie between them."""

_SAMPLE = 100_000
_LAYOUTS = {4: "YYYY", 6: "YYYYMM", 8: "YYYYMMDD", 10: "YYYYMMDDHH", 12: "YYYYMMDDHHMM", 14: "YYYYMMDDHHMMSS"}
"""Calendar dates that are written as integers, by their number of digits."""

_COUNTS_OF_ANYTHING = 6
"""Numbers with so few digits are dates only if every one of them is."""


def units_by_size(times: Times, good: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sorts times by the unit that they would have by their size alone.

    Args:
        times: `[n]`, since 1970.
        good: Bool `[n]`, which of them are numbers.

    Returns:
        int64 `[n]`, the unit of each as an index into `UNIT_NAMES`, or one more where it is too large for any; and
        int64 `[5]`, how many good times there are of each.

    >>> units_by_size(np.array([1_600_000_000, 1_600_000_000_000, -5]), np.array([True, True, False]))[1]
    array([1, 1, 0, 0, 0])
    """
    limits = [LATEST_SECOND * ticks for ticks in UNIT_NAMES]
    units = np.searchsorted(limits, np.where(good, times, 0), side="right")
    return units, np.bincount(units[good], minlength=len(limits) + 1)


def unit_of_most(counts: NDArray[np.int64]) -> int:
    """Returns the unit of most times, an index into `UNIT_NAMES`: a time out of all proportion is a mistake, no unit.

    Args:
        counts: From `units_by_size`.
    """
    return int(counts[: len(UNIT_NAMES)].argmax())


def calendar_dates(
    numbers: Times, good: NDArray[np.bool_], shortest: int = 4
) -> tuple[NDArray[np.int64], NDArray[np.bool_], str] | None:
    """Reads numbers as calendar dates, if the bulk of them are some.

    Args:
        numbers: `[n]`.
        good: Bool `[n]`, which of them count.
        shortest: Fewest digits of a date.

    Returns:
        int64 `[n]`, seconds since 1970; bool `[n]`, which numbers are dates from 1900 to 2100; and their notation. None
        where the numbers are something else.

    >>> calendar_dates(np.array([20240531, 20231231]), np.array([True, True]))
    (array([1717113600, 1703980800]), array([ True,  True]), 'YYYYMMDD')
    """
    usable = numbers[good]
    if not len(usable):
        return None
    sample = usable[:: max(len(usable) // _SAMPLE, 1)]
    middle = float(np.sort(sample)[len(sample) // 2])
    digits = len(str(int(middle))) if 0 < middle < 1e15 else 0
    if digits not in _LAYOUTS or digits < shortest or middle != np.floor(middle):
        return None
    share = MOSTLY_DATES if digits > _COUNTS_OF_ANYTHING else 1.0
    if _seconds(sample, digits)[1].mean() < share / 2:  # the rest need not be looked at
        return None
    seconds, valid = _seconds(np.where(good, numbers, 0), digits)
    return None if valid.sum() < share * len(usable) else (seconds, valid, _LAYOUTS[digits])


def iso_dates(cells: pa.ChunkedArray, text: pd.Series) -> tuple[pd.Series, int]:
    """Reads dates as in 2024-05-31 18:00:00, with or without a zone; those that end in "UTC" are understood, too.

    "now" and "today" are none, though pandas has it so.

    Args:
        cells: Text without blanks around it.
        text: The same, so that nobody has to turn millions of cells into Python's strings a second time.

    Returns:
        Timestamps in UTC, NaT where a cell is no date; and how many times name no zone where others do: they are taken
        for UTC.
    """
    zoned = pc.match_substring_regex(cells, r":.*(Z|z|[+-][0-9]{2}(:?[0-9]{2})?|UTC|GMT)$").to_numpy()
    mixed = 0 < zoned.sum() < len(text)
    # Apart, since pandas gives a time without a zone that of the time before it.
    stamps = pd.concat([_parsed(text[~zoned]), _parsed(text[zoned])]).sort_index() if mixed else _parsed(text)
    words = ~pc.match_substring_regex(cells, "^[0-9]").to_numpy()
    return stamps.mask(words), int((~zoned).sum()) if mixed else 0


def _parsed(text: pd.Series) -> pd.Series:
    stamps = pd.to_datetime(text, errors="coerce", utc=True, format="ISO8601")
    failed = stamps.isna()
    if failed.any():
        words = text[failed].str.replace(r"\s*(UTC|GMT)$", "Z", regex=True)
        stamps[failed] = pd.to_datetime(words, errors="coerce", utc=True, format="ISO8601")
    return stamps


def nanoseconds(stamps: pd.Series) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Nanoseconds since 1970 of timestamps in UTC, and which of them are none or beyond what nanoseconds can count."""
    naive = stamps.dt.tz_localize(None)
    naive = naive.mask((naive > pd.Timestamp.max) | (naive < pd.Timestamp.min))
    return naive.to_numpy(dtype="datetime64[ns]").astype(np.int64), naive.isna().to_numpy()


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
