"""A table of a report: named columns of a kind, and rows of values.

Markdown, HTML and the terminal are written from the same object, see `bench.reporting.markdown`, `html` and `terminal`.
What sorts a column in HTML are the values, not their text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np

from bench.reporting.kinds import TEXT, Kind
from bench.reporting.words import Text, Words, strong, underlined, words

Rank = Literal["best", "second", ""]


class Flagged(NamedTuple):
    """A value with a sign behind it, such as "▲"; the sign is shown, and sorts nothing."""

    value: Any
    flag: str


@dataclass(frozen=True)
class Column:
    """A column.

    Attributes:
        name: Its heading; "" in a list of facts.
        kind: What its values are.
        best: Which values are good; the best one is bold then, and the second best underlined. "" marks none.
        align: Where it is not that of the kind.
    """

    name: Text
    kind: Kind = TEXT
    best: Literal["high", "low", ""] = ""
    align: Literal["left", "right", ""] = ""

    @property
    def side(self) -> str:
        """Where its cells stand: "left" or "right"."""
        return self.align or self.kind.align

    @property
    def numeric(self) -> bool:
        """Whether numbers sort it."""
        return self.kind.number is not None


@dataclass(frozen=True)
class Cell:
    """A value as it is shown, and the number that sorts it."""

    text: Words
    number: float | None


@dataclass(frozen=True)
class Table:
    """Columns, and rows of values.

    Attributes:
        name: What it is called in HTML (`data-name`), by programs that read it; a few words with hyphens.
        columns: At least one.
        rows: As many values as columns, each. None is "no value". `Flagged` puts a sign behind a value.
        facts: Whether it lists names and values side by side, so that there is nothing to sort.
        title: Where the table stands by itself, as in a terminal.
        caption: Below the table.
        sorted_by: Place of the column by whose numbers the rows are sorted, the largest first; None where by none.
    """

    name: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Any, ...], ...]
    facts: bool = False
    title: str = ""
    caption: str = ""
    sorted_by: int | None = None
    type = "table"

    def __post_init__(self) -> None:
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError(f"table '{self.name}': every row needs {len(self.columns)} values")

    @classmethod
    def of(cls, name: str, columns: Sequence[Column | str], rows: Iterable[Sequence[Any]], **options: Any) -> Table:
        """A table of any rows; a column that is named only holds text."""
        named = tuple(column if isinstance(column, Column) else Column(column) for column in columns)
        return cls(name, named, tuple(map(tuple, rows)), **options)

    @classmethod
    def of_facts(cls, name: str, rows: Iterable[tuple[Text, Text]], heading: str = "") -> Table:
        """Names and values side by side."""
        return cls.of(name, (heading, ""), rows, facts=True)

    @cached_property
    def cells(self) -> tuple[tuple[Cell, ...], ...]:
        """Row by row, what is shown."""
        columns = [_cells(column, values) for column, values in zip(self.columns, self.by_column, strict=True)]
        return tuple(zip(*columns, strict=True))

    @property
    def by_column(self) -> list[list[Any]]:
        """The values of each column."""
        return [[row[index] for row in self.rows] for index in range(len(self.columns))]


def ranked(values: Sequence[float | None], digits: int = 4, highest: bool = True) -> list[Rank]:
    """Which of the values are the best and the second best.

    Values are compared as printed, so that equal numbers are marked equally. Nothing is marked unless two differ.

    Args:
        values: Of one column; None and NaN are never marked.
        digits: Decimals in print.
        highest: Whether high values are good.
    """
    printed = [np.nan if value is None else round(float(value), digits) for value in values]
    order = sorted({value for value in printed if np.isfinite(value)}, reverse=highest)
    if len(order) < 2:
        return [""] * len(printed)
    names: dict[float, Rank] = {order[0]: "best", order[1]: "second"}
    return [names.get(value, "") for value in printed]


_SHOWN: dict[Rank, Callable[[Text], Words]] = {"best": strong, "second": underlined, "": words}


def _cells(column: Column, values: Sequence[Any]) -> list[Cell]:
    """The cells of one column, with their marks and signs."""
    bare = [value.value if isinstance(value, Flagged) else value for value in values]
    flags = [value.flag if isinstance(value, Flagged) else "" for value in values]
    order = [column.kind.sorted_by(value) for value in bare]
    unmarked: list[Rank] = [""] * len(order)
    ranks = ranked(order, column.kind.digits, column.best == "high") if column.best else unmarked
    texts = [_SHOWN[rank](column.kind.shown(value)) for rank, value in zip(ranks, bare, strict=True)]
    return [Cell(text + flag, value) for text, flag, value in zip(texts, flags, order, strict=True)]
