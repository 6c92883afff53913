"""Times as the known formats write them: numbers since 1970 of any unit, compact dates as in 20240531, ISO 8601."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from bench.data.events import Times
from bench.data.parsing.ids import EXACT_BELOW, LOST_DIGITS, cut
from bench.data.parsing.time_units import (
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

_SHORTEST_DATE = 8
"""Digits of a number that may be a date: a field with numbers of four digits is rather one of something else."""

_EXACT = EXACT_BELOW[64]
"""Above it float64 no longer tells neighbouring integers apart, and ties would be made up."""


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
        """Tells whether most values are times between 1980 and 2100, whatever the column is called."""
        seconds = self.values[self.usable] / self.ticks
        inside = (seconds >= YEAR_1980) & (seconds <= YEAR_2100)
        return 2 * int(inside.sum()) > len(self.values)


def parse_times(cells: pd.Series) -> ParsedTimes:
    """Reads a column of text as numbers where most of its filled cells are, else as dates.

    Units and dates follow `time_units`; whole numbers with fewer than 8 digits are no dates.
    """
    text = cells.astype(str).str.strip()
    empty = (text == "").to_numpy()
    numbers = pd.to_numeric(text.where(~empty, None), errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    finite = np.isfinite(numbers)
    blank = (empty, "is empty")
    if 2 * int(finite.sum()) < int((~empty).sum()):
        return _dates(text, blank)
    no_number = (~finite & ~empty, "holds '{}', not a finite number")
    few_digits = (cut(pa.array(text, pa.string())), f"holds {{}}, {LOST_DIGITS}")
    dates = calendar_dates(numbers, finite, _SHORTEST_DATE)
    if dates is not None:
        seconds, valid, layout = dates
        no_date = (finite & ~valid, f"holds {{}}, which is no date as in {layout}")
        early = (valid & (seconds < 0), "holds {}, a date before 1970")
        return ParsedTimes(seconds, 1, f"dates as in {layout}", (blank, no_number, few_digits, no_date, early))
    values = _exact(text, numbers, finite)
    ticks, far = _unit(values, finite)
    negative = (finite & (numbers < 0), "holds {}, a negative time; a time since 1970 is expected")
    inexact = np.zeros(len(values), dtype=bool)
    if values.dtype == np.float64:
        inexact = finite & (numbers >= _EXACT)
    bad = (
        blank,
        no_number,
        few_digits,
        negative,
        (inexact, "holds {}, which is too large for a time"),
        (far & ~negative[0] & ~inexact, "holds {}, far away from all other times of the file"),
    )
    return ParsedTimes(values, ticks, UNIT_NAMES[ticks], bad)


def unit_of(values: Times) -> tuple[int, NDArray[np.bool_]]:
    """Tells the unit of a file's times, and which of them are out of all proportion.

    Args:
        values: `[n]`, finite numbers.

    Returns:
        How many units make a second; and bool `[n]`.
    """
    return _unit(values, np.ones(len(values), dtype=bool))


def _unit(values: Times, known: NDArray[np.bool_]) -> tuple[int, NDArray[np.bool_]]:
    if not known.any():
        return 1, np.zeros(len(values), dtype=bool)
    ticks = list(UNIT_NAMES)[unit_of_most(units_by_size(values, known)[1])]
    low, high = YEAR_1980 * ticks, YEAR_2100 * ticks
    if not low <= float(np.median(values[known])) <= high:
        return ticks, known & (values >= LATEST_SECOND * ticks)
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


def _dates(text: pd.Series, blank: tuple[NDArray[np.bool_], str]) -> ParsedTimes:
    stamps, _ = iso_dates(pa.chunked_array([pa.array(text, pa.string())]), text)
    values, unknown = nanoseconds(stamps)
    return ParsedTimes(
        values,
        NANOSECONDS,
        "dates",
        (
            blank,
            (unknown & ~blank[0], "holds '{}', neither a number nor a date as in 2024-05-31 18:00:00"),
            (~unknown & (values < 0), "holds '{}', a time before 1970"),
        ),
    )
