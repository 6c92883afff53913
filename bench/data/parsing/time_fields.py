"""Times as the known formats write them: numbers since 1970 of any unit, compact dates as in 20240531, ISO 8601."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.data.events import Times

UNITS = {1: "seconds", 1_000: "milliseconds", 1_000_000: "microseconds", 1_000_000_000: "nanoseconds"}
"""By how many of them make a second."""
_LATEST = 1e11
"""In seconds, the year 5138: a number above it has a smaller unit."""
_PLAUSIBLE = (315_532_800, 4_102_444_800)
"""Seconds of 1980 and 2100: where the times of a file lie between them, one outside is no time."""
_BULK = 0.8
"""Share of a column that must be compact dates for the others to be wrong ones."""
_EXACT = 2**53
"""Above it float64 no longer tells neighbouring integers apart, and ties would be made up."""
_COMPACT = {8: "%Y%m%d", 10: "%Y%m%d%H", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
_NOTATION = {8: "YYYYMMDD", 10: "YYYYMMDDHH", 12: "YYYYMMDDHHMM", 14: "YYYYMMDDHHMMSS"}


@dataclass(frozen=True)
class ParsedTimes:
    """A column of times.

    Attributes:
        values: `[n]`; what is bad holds anything.
        ticks: How many units of `values` make a second.
        words: How the column was read.
        bad: Pairs of bool `[n]` and what is wrong there; `{}` stands for the cell.
    """

    values: Times
    ticks: int
    words: str
    bad: tuple[tuple[NDArray[np.bool_], str], ...]

    @property
    def usable(self) -> NDArray[np.bool_]:
        """Bool `[n]`."""
        return ~np.logical_or.reduce([np.zeros(len(self.values), dtype=bool), *(rows for rows, _ in self.bad)])

    def looks_like_times(self) -> bool:
        """Whether most values are times between 1980 and 2100, whatever the column is called."""
        seconds = self.values[self.usable] / self.ticks
        inside = (seconds >= _PLAUSIBLE[0]) & (seconds <= _PLAUSIBLE[1])
        return 2 * int(inside.sum()) > len(self.values)


def parse_times(cells: pd.Series) -> ParsedTimes:
    """Reads a column of text as numbers where most of its filled cells are, else as dates.

    The unit of numbers is that of their median: one cell out of all proportion is a mistake, not a unit. Whole numbers
    of 8, 10, 12 or 14 digits that nearly all are calendar dates are these dates. Dates without a zone are UTC.
    """
    text = cells.astype(str).str.strip()
    empty = (text == "").to_numpy()
    numbers = pd.to_numeric(text.where(~empty, None), errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    finite = np.isfinite(numbers)
    blank = (empty, "is empty")
    if 2 * int(finite.sum()) < int((~empty).sum()):
        return _dates(text, blank)
    no_number = (~finite & ~empty, "holds '{}', not a finite number")
    compact = _compact(numbers, finite)
    if compact is not None:
        seconds, wrong, notation = compact
        no_date = (wrong, f"holds {{}}, which is no date as in {notation}")
        return ParsedTimes(seconds, 1, f"dates as in {notation}", (blank, no_number, no_date))
    values = _exact(text, numbers, finite)
    ticks, far = _unit(values, finite)
    negative = (finite & (numbers < 0), "holds {}, a negative time; a time since 1970 is expected")
    inexact = np.zeros(len(values), dtype=bool)
    if values.dtype == np.float64:
        inexact = finite & (numbers >= _EXACT)
    bad = (
        blank,
        no_number,
        negative,
        (inexact, "holds {}, which is too large for a time"),
        (far & ~negative[0] & ~inexact, "holds {}, far away from all other times of the file"),
    )
    return ParsedTimes(values, ticks, UNITS[ticks], bad)


def unit_of(values: Times) -> tuple[int, NDArray[np.bool_]]:
    """How many units of finite numbers make a second, and bool `[n]`, which of them are out of all proportion."""
    return _unit(values, np.ones(len(values), dtype=bool))


def _unit(values: Times, known: NDArray[np.bool_]) -> tuple[int, NDArray[np.bool_]]:
    none = np.zeros(len(values), dtype=bool)
    if not known.any():
        return 1, none
    median = float(np.median(values[known]))
    ticks = next((ticks for ticks in UNITS if median < _LATEST * ticks), max(UNITS))
    low, high = (bound * ticks for bound in _PLAUSIBLE)
    if not low <= median <= high:
        return ticks, none | (known & (values >= _LATEST * ticks))
    return ticks, known & ((values < low) | (values > high))


def _exact(text: pd.Series, numbers: NDArray[np.float64], finite: NDArray[np.bool_]) -> Times:
    """int64 where all numbers are whole, so that nanoseconds, which float64 can't tell apart, stay apart."""
    known = numbers[finite]
    values = np.zeros(len(text), dtype=np.int64)
    if (known == np.floor(known)).all() and (np.abs(known) < _EXACT).all():
        values[finite] = known.astype(np.int64)
        return values
    if not text[finite].str.fullmatch(r"[+-]?\d{1,18}|[1-8]\d{18}").all():
        return numbers
    values[finite] = text[finite].astype(np.int64)
    return values


def _compact(
    numbers: NDArray[np.float64], finite: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.bool_], str] | None:
    """Seconds, bool `[n]` where a number is no date, and the notation; None where not nearly all numbers are dates."""
    known = numbers[finite]
    if not len(known):
        return None
    digits = len(f"{abs(float(np.median(known))):.0f}")
    if digits not in _COMPACT:
        return None
    low, high = (century * 10 ** (digits - 2) for century in (19, 21))
    possible = finite & (numbers == np.floor(numbers)) & (numbers >= low) & (numbers < high)
    if possible.sum() < _BULK * len(known):
        return None
    text = pd.Series(numbers[possible].astype(np.int64)).astype(str)
    dates = pd.to_datetime(text, format=_COMPACT[digits], errors="coerce")
    dates = dates.mask(dates < pd.Timestamp(1970, 1, 1))
    if dates.notna().sum() < _BULK * len(known):
        return None
    seconds = np.zeros(len(numbers), dtype=np.int64)
    seconds[possible] = dates.fillna(pd.Timestamp(0)).to_numpy(dtype="datetime64[s]").astype(np.int64)
    no_date = finite.copy()
    no_date[possible] = dates.isna().to_numpy()
    return seconds, no_date, _NOTATION[digits]


def _dates(text: pd.Series, blank: tuple[NDArray[np.bool_], str]) -> ParsedTimes:
    times = pd.to_datetime(text, errors="coerce", utc=True, format="ISO8601").dt.tz_localize(None)
    unknown = times.isna().to_numpy()
    values = times.fillna(pd.Timestamp(0)).to_numpy(dtype="datetime64[ns]").astype(np.int64)
    return ParsedTimes(
        values,
        1_000_000_000,
        "dates",
        (
            blank,
            (unknown & ~blank[0], "holds '{}', neither a number nor a date as in 2024-05-31 18:00:00"),
            (~unknown & (values < 0), "holds '{}', a time before 1970"),
        ),
    )
