"""The first sheet of a workbook (.xlsx) as a table of texts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import pyarrow as pa

from bench.errors import BenchError, MissingDataError, message_of

SUFFIX = ".xlsx"


def read_workbook(path: Path, has_names: bool) -> tuple[pa.Table, list[int], tuple[str, ...]]:
    """Reads the first sheet that is not empty. A formula counts as the value that was saved with it.

    Args:
        path: The workbook.
        has_names: Whether the first row names the columns; else they are called "1", "2", and so on.

    Returns:
        The cells, all of them text, dates and times by ISO 8601; the index of each row among those of the sheet that
        hold data, where empty ones count; and what there is to say of it.

    Raises:
        MissingDataError: openpyxl, which reads workbooks, is not installed.
        BenchError: It is no workbook, all of it is empty, or a row has more cells than there are names.
    """
    sheets = _sheets(path)
    filled = [(title, rows) for title, rows in sheets.items() if any(any(row) for row in rows)]
    if not filled:
        raise BenchError(f"{path} is empty; its first row must name the columns")
    title, rows = filled[0]
    others = [other for other, _ in filled[1:]]
    notes = (f"sheet '{title}' is read; not read: {', '.join(map(repr, others))}",) if others else ()
    width = max(_width(row) for row in (rows[:1] if has_names else rows))
    names = [cell or "" for cell in rows[0][:width]] if has_names else [str(place + 1) for place in range(width)]
    data = rows[1:] if has_names else rows
    for index, row in enumerate(data):
        if _width(row) > width:
            number = index + (2 if has_names else 1)
            raise BenchError(f"{path}, row {number}: it has {_width(row)} cells, and only {width} columns have names")
    kept = [index for index, row in enumerate(data) if any(cell is not None for cell in row)]
    columns = [[_cell(data[index], place) for index in kept] for place in range(width)]
    return pa.table([pa.array(cells, pa.string()) for cells in columns], names=names), kept, notes


def _sheets(path: Path) -> dict[str, list[list[str | None]]]:
    try:
        from openpyxl import load_workbook  # an optional package
    except ImportError:
        raise MissingDataError(
            f"{path} is read with openpyxl, which is not installed: pip install 'glass-bench[xlsx]' (or openpyxl), or "
            "save it as .csv"
        ) from None
    try:
        book = load_workbook(path, read_only=True, data_only=True)
        sheets: dict[str, list[list[str | None]]] = {}
        for sheet in book.worksheets:
            sheet.reset_dimensions()  # what a file says of its size is wrong at times
            sheets[sheet.title] = [[_as_text(value) for value in row] for row in sheet.iter_rows(values_only=True)]
        book.close()
    except Exception as error:  # of the zip archive, of the XML in it, of openpyxl's own
        raise BenchError(f"{path}: can't be read as a workbook ({message_of(error)})") from None
    return sheets


def _as_text(value: Any) -> str | None:
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, date | time):
        return value.isoformat()
    return str(value)


def _width(row: Sequence[str | None]) -> int:
    return max((place + 1 for place, cell in enumerate(row) if cell is not None), default=0)


def _cell(row: Sequence[str | None], place: int) -> str | None:
    return row[place] if place < len(row) else None
