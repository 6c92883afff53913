"""Reads the ratings of a MovieLens release of any generation, and names the line that can't be used."""

from __future__ import annotations

import codecs
import io
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pacsv
from numpy.typing import NDArray

from bench.data.parsing.rows import RowCheck, RowRules
from bench.data.parsing.time_fields import unit_of
from bench.errors import BenchError

_COLUMNS = ("user", "item", "rating", "time")
_HEADER = {"userId": "user", "movieId": "item", "rating": "rating", "timestamp": "time"}
_NUMBERS = ("user", "item", "time")


@dataclass(frozen=True)
class Ratings:
    """Ratings in file order, int64 `[n_ratings]` each, and what was left out."""

    users: NDArray[np.int64]
    items: NDArray[np.int64]
    times: NDArray[np.int64]
    notes: tuple[str, ...]


def read_ratings(content: bytes, where: str, delimiter: bytes, header: bool, rules: RowRules) -> Ratings:
    """Reads users, films and times (seconds).

    Args:
        content: Of the file.
        where: The file, for messages.
        delimiter: Between the fields of a line.
        header: Whether the first line names the columns; else they stand in the order user, film, rating, time.
        rules: What becomes of lines that can't be used.

    Raises:
        BenchError: The file is empty, a column is missing, or a line can't be used; the message names it.
    """
    content = content.removeprefix(codecs.BOM_UTF8)
    if not content[:1000].strip() and not content.strip():
        raise BenchError(f"{where} is empty; fetch the release anew")
    names = _names(content, where) if header else list(_COLUMNS)
    separator = "," if delimiter == b"," else "\t"
    fields = content.replace(delimiter, b"\t") if len(delimiter) > 1 else content
    check = RowCheck(where, rules)
    try:
        columns = _parsed_at_once(fields, names, separator, header)
        lines, total = np.arange(len(columns["time"])), len(columns["time"])
        plain = not any(rows.any() for rows, _ in _wrong_times(columns["time"], where))
    except pa.ArrowInvalid:
        plain = False
    if not plain:
        columns, lines, total = _parsed_by_line(fields, names, separator, header, check)
    times = columns["time"]
    keep = np.ones(len(times), dtype=bool)
    for bad, problem in _wrong_times(times, where):
        check.refuse_where(bad, lines, problem, pd.Series(times))
        keep &= ~bad
    users, items, times = (columns[name] if keep.all() else columns[name][keep] for name in _NUMBERS)
    return Ratings(users, items, times, check.notes(total))


def _names(content: bytes, where: str) -> list[str]:
    """Tells what each column holds, by the names in the first line; "" for a column that isn't read."""
    line = content.split(b"\n", 1)[0].decode("utf-8", "replace").strip()
    names = [_HEADER.get(name.strip().strip('"'), "") for name in line.split(",")]
    missing = [column for column, name in _HEADER.items() if name in _NUMBERS and name not in names]
    if missing:
        raise BenchError(
            f"{where}, line 1: column '{missing[0]}' is missing (it has {line[:100]}); name the columns userId, "
            "movieId, rating, timestamp, or give the path of the file itself with --user, --item and --time"
        )
    again = next((column for column, name in _HEADER.items() if names.count(name) > 1), None)
    if again is not None:
        raise BenchError(f"{where}, line 1: column '{again}' is there twice; remove one")
    return names


def _parsed_at_once(fields: bytes, names: list[str], separator: str, header: bool) -> dict[str, NDArray[np.int64]]:
    """The columns of numbers. Raises `pyarrow.ArrowInvalid` at whatever isn't plain."""
    unique = [name or f"unread {index}" for index, name in enumerate(names)]
    kinds = {name: pa.int64() if name in _NUMBERS else pa.string() for name in unique}
    table = pacsv.read_csv(
        io.BytesIO(fields),
        pacsv.ReadOptions(column_names=unique, skip_rows=int(header), use_threads=False),
        pacsv.ParseOptions(delimiter=separator, quote_char=False),
        pacsv.ConvertOptions(column_types=kinds, null_values=[], include_columns=list(_NUMBERS)),
    )
    if not table.num_rows:
        raise pa.ArrowInvalid("no rows")
    return {name: table[name].to_numpy() for name in _NUMBERS}


def _parsed_by_line(
    fields: bytes, names: list[str], separator: str, header: bool, check: RowCheck
) -> tuple[dict[str, NDArray[np.int64]], NDArray[np.int64], int]:
    """The columns of numbers, the line of each rating, and how many lines there are, however malformed some are."""
    rows: list[list[int]] = []
    lines: list[int] = []
    indices = {name: names.index(name) for name in _NUMBERS}
    total = 0
    for number, line in enumerate(fields.decode("utf-8", "replace").split("\n"), start=1):
        cells = line.rstrip("\r").split(separator)
        if (header and number == 1) or cells == [""]:
            continue
        total += 1
        problem = _problem(cells, len(names), indices)
        if problem is None:
            rows.append([int(cells[index]) for index in indices.values()])
            lines.append(number)
        else:
            check.refuse(number, f"damaged: {problem}")
    if not total:
        raise BenchError(f"{check.where} holds no ratings; fetch the release anew")
    numbers = np.array(rows, dtype=np.int64).reshape(-1, len(indices)).T
    return dict(zip(indices, numbers, strict=True)), np.array(lines, dtype=np.int64), total


def _problem(cells: list[str], width: int, indices: dict[str, int]) -> str | None:
    if len(cells) != width:
        return f"expected {width} columns, got {len(cells)}"
    for name, index in indices.items():
        cell = cells[index].strip()
        if not cell:
            return f"the {name} is empty"
        if not (cell.isascii() and cell.removeprefix("-").isdigit() and len(cell) < 19):
            return f"the {name} is '{cell[:60]}', not a whole number"
    return None


def _wrong_times(times: NDArray[np.int64], where: str) -> list[tuple[NDArray[np.bool_], str]]:
    """Returns bool `[n_ratings]` and what is wrong there, for each way in which a time can be wrong."""
    if not len(times):
        return []
    ticks, far = unit_of(times)
    if ticks > 1:
        raise BenchError(f"{where}: times are as large as {times.max()}; MovieLens has seconds since 1970")
    negative = times < 0
    return [(negative, "its time is negative ({})"), (far & ~negative, "its time, {}, is far away from all others")]
