"""CSV files that a spreadsheet may open: every cell of text is text, and numbers stay numbers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd

from bench.files import replaced
from bench.plain_text import printable

_FORMULA = tuple("=+-@\uff1d\uff0b\uff0d\uff20")
"""What spreadsheets begin a formula with, and the wide forms that some of them take for it."""

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")


def write_csv(frame: pd.DataFrame, path: Path, float_format: str | None = None) -> None:
    """Writes a table without its index, in place of an earlier file.

    Args:
        frame: Its columns of text may hold anything.
        path: The file.
        float_format: As pandas takes it.
    """
    text = {name: _neutral(frame[name]) for name in frame if not pd.api.types.is_numeric_dtype(frame[name])}
    with replaced(path) as temporary:
        frame.assign(**text).to_csv(temporary, index=False, float_format=float_format)


def _neutral(column: pd.Series) -> pd.Series:
    """A column with its cells as `cell` gives them; few of them differ from each other, and hardly any changes."""
    changed = {value: cell(value) for value in column.unique() if isinstance(value, str) and cell(value) != value}
    return (
        column.map(lambda value: changed.get(value, value) if isinstance(value, str) else value) if changed else column
    )


def cell(value: Any) -> Any:
    """Text on one line without control characters, after an apostrophe where it would begin a formula.

    Text that is a number, such as "-0.5", can't do anything else than be one. What is no text stays as it is.
    """
    if not isinstance(value, str):
        return value
    line = printable(value).strip()
    return f"'{line}" if line.startswith(_FORMULA) and not _NUMBER.fullmatch(line) else line
