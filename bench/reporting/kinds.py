"""Kinds of values in tables: how each is written, and by which number a reader may sort it.

`Column("Training, s", mean_std(1))` holds pairs of floats, `Column("p", P_VALUE)` floats, `Column("Row", TEXT)` text. A
value that a kind can't write, None or text where a number is not known, stands for itself and is sorted last.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np

from bench.number_text import NONE, number, p_cell, plus_minus, ratio, significant
from bench.number_text import percent as percent_text
from bench.reporting.words import Text, Words


class MeanStd(NamedTuple):
    """Mean and standard deviation over seeds; NaN where they are not known."""

    mean: float
    std: float


class Interval(NamedTuple):
    """An interval of confidence."""

    low: float
    high: float


class Runs(NamedTuple):
    """How many runs of a row have come to what end."""

    complete: int
    others: str
    """The ends of the rest in words: "1 failed, 2 pending"."""


@dataclass(frozen=True)
class Kind:
    """What the values of a column are.

    Attributes:
        name: For whoever reads the HTML: the attribute `data-kind` of the column.
        text: A value as it is shown.
        number: What a value is sorted by; None where words sort it.
        align: Of cells and heading.
        digits: Decimals in which two values that look equal are equal, where the best ones are marked.
    """

    name: str
    text: Callable[[Any], Text]
    number: Callable[[Any], float] | None = None
    align: Literal["left", "right"] = "right"
    digits: int = 4

    def shown(self, value: Any) -> Text:
        """The text of a cell."""
        if value is None:
            return NONE
        return value if isinstance(value, str | Words) else self.text(value)

    def sorted_by(self, value: Any) -> float | None:
        """The number that sorts a cell; None where it has none."""
        if self.number is None or value is None or isinstance(value, str | Words):
            return None
        number = float(self.number(value))
        return number if np.isfinite(number) else None


def _itself(value: float) -> float:
    return value


def _first(value: tuple[float, ...]) -> float:
    return value[0]


def _formatted(value: float, spec: str) -> str:
    return format(value, spec) if np.isfinite(value) else NONE


def _mean_std_text(value: MeanStd, digits: int) -> str:
    return plus_minus(*value, digits)


def _interval_text(value: Interval) -> str:
    return f"{value.low:+.4f} .. {value.high:+.4f}"


def _runs_text(value: Runs) -> str:
    """E.g. "3", "2 (1 failed)", "1 failed, 2 pending"."""
    if not value.complete:
        return value.others
    return f"{value.complete}" + (f" ({value.others})" if value.others else "")


def numbers(spec: str) -> Kind:
    """Numbers in the format that `spec` gives, as Python's `format` takes it: ",.0f", "+.1%"."""
    return Kind("number", partial(_formatted, spec=spec), _itself)


def digits_of(digits: int = 3) -> Kind:
    """Numbers of very different sizes, each with so many digits and without an exponent."""
    return Kind("number", partial(significant, digits=digits), _itself)


def decimals(digits: int = 4) -> Kind:
    """Numbers with this many decimals."""
    return Kind("number", partial(number, digits=digits), _itself, digits=digits)


def mean_std(digits: int = 4) -> Kind:
    """`MeanStd`, sorted by the mean."""
    return Kind("mean-std", partial(_mean_std_text, digits=digits), _first, digits=digits)


def percent(digits: int = 1) -> Kind:
    """Shares of 1 as percentages; 100 % only where it is exactly that."""
    return Kind("percent", partial(percent_text, digits=digits), _itself, digits=digits + 2)


TEXT = Kind("text", str, align="left")
VERDICT = Kind("text", str)
"""A short word at the end of a line of numbers."""

COUNT = numbers(",.0f")
DIFFERENCE = numbers("+.4f")
RATIO = Kind("number", ratio, _itself)
P_VALUE = Kind("p-value", p_cell, _itself)
INTERVAL = Kind("interval", _interval_text, _first)
RUNS = Kind("runs", _runs_text, _first)
