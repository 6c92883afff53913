"""What is declared of a frame, and the check that a frame is what was declared."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

Kind = Literal["text", "whole number", "number"]


@dataclass(frozen=True)
class Column:
    """A column of a frame.

    Attributes:
        name: As in the frame and in the header of the CSV file.
        kind: What its cells are. Text and numbers may be blank, whole numbers never are.
        meaning: For a reader of the file.
    """

    name: str
    kind: Kind
    meaning: str


@dataclass(frozen=True)
class FrameColumns:
    """The columns of one frame.

    Attributes:
        name: Of the frame.
        meaning: What its rows are.
        columns: In order.
        file: Name of the CSV file that holds it; "" where none does.
    """

    name: str
    meaning: str
    columns: tuple[Column, ...]
    file: str = ""

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]

    def frame(self, rows: Iterable[Sequence[object]]) -> pd.DataFrame:
        """A frame of these rows, each with one cell a column.

        Raises:
            ValueError: A row has another number of cells, or a column holds something of another kind.
        """
        return self.checked(pd.DataFrame(list(rows), columns=self.names))

    def checked(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The frame, with blank columns of the declared kind.

        Raises:
            ValueError: Its columns are not the declared ones, or one holds something of another kind.
        """
        if list(frame.columns) != self.names:
            odd = sorted(set(frame.columns) ^ set(self.names)) or "their order"
            raise ValueError(f"frame '{self.name}': other columns than declared: {odd}")
        for column in self.columns:
            values = frame[column.name]
            if values.dtype == object and column.kind != "text" and values.isna().all():
                frame[column.name] = values.astype(float if column.kind == "number" else int)
            elif not _is(column.kind, values):
                raise ValueError(f"frame '{self.name}': column '{column.name}' is no {column.kind}: {values.dtype}")
        return frame


def _is(kind: Kind, values: pd.Series) -> bool:
    """Whether a column is of a kind."""
    if kind == "text":
        return pd.api.types.infer_dtype(values, skipna=True) in ("string", "empty") or bool(values.isna().all())
    if kind == "whole number":
        return pd.api.types.is_integer_dtype(values)
    return pd.api.types.is_numeric_dtype(values)


def text(name: str, meaning: str) -> Column:
    """A column of text."""
    return Column(name, "text", meaning)


def whole(name: str, meaning: str) -> Column:
    """A column of whole numbers without blanks."""
    return Column(name, "whole number", meaning)


def number(name: str, meaning: str) -> Column:
    """A column of numbers, which may be blank."""
    return Column(name, "number", meaning)
