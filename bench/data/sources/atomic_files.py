"""Reads RecBole's atomic files: `NAME.inter` with the events and, where it exists, `NAME.item` with side information.

An atomic file is a tab-separated table in UTF-8 whose header gives each field a type, as in `user_id:token`. The types
are `token` (a word), `token_seq` (words with blanks between them), `float` and `float_seq`. Nothing is quoted.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.data.interactions import Interactions, chronological
from bench.data.parsing.packed import refuse_packed
from bench.data.parsing.rows import RowCheck
from bench.errors import BenchError

FIELD_TYPES = ("token", "token_seq", "float", "float_seq")

_LATEST_TIMESTAMP = 2**53
"""Above it float64 no longer tells neighbouring integers apart, and ties would be made up."""


@dataclass(frozen=True)
class AtomicDataset:
    """The content of a folder of atomic files, indexed.

    Attributes:
        interactions: All events; users in the order of their first appearance, ties in time in file order.
        items: Row `i` is item `i`; the fields of `NAME.item` but `item_id`, without any column where there is no such
            file. Missing text is "", missing numbers are NaN.
        item_ids, user_ids: The original ids by index.
    """

    interactions: Interactions
    items: pd.DataFrame
    item_ids: NDArray[np.str_]
    user_ids: NDArray[np.str_]


def read_atomic_dataset(folder: Path, name: str) -> AtomicDataset:
    """Reads `folder/name.inter` and, where it exists, `folder/name.item`.

    The catalogue is the set of items that occur in events: an item nobody ever interacted with can be neither learned
    nor queried, and would only pad the ranking. Items are numbered in the order of `name.item`; those that it doesn't
    know follow in the order of their first event. Two equal rows are two events. Without a `timestamp` the
    order of the file is the order of time, and the row number stands for the timestamp.

    Raises:
        BenchError: A file is missing, empty, not UTF-8, or malformed. The message names file, line and field.
    """
    events_path = folder / f"{name}.inter"
    events = read_atomic_table(events_path, required={"user_id": "token", "item_id": "token"})
    timestamps = _timestamps(events, events_path)
    user_codes, user_ids = pd.factorize(events["user_id"])

    items_path = folder / f"{name}.item"
    known = (
        read_atomic_table(items_path, required={"item_id": "token"})
        if items_path.exists()
        else pd.DataFrame({"item_id": events["item_id"].iloc[:0]})
    )
    _reject_duplicate_items(known, items_path)
    used = pd.Index(events["item_id"].unique())
    item_ids = pd.Index(known["item_id"])
    item_ids = item_ids[item_ids.isin(used)].append(used[~used.isin(item_ids)])
    side_information = known.set_index("item_id").reindex(item_ids).reset_index(drop=True)
    text = [field for field in side_information if side_information[field].dtype != np.float64]
    side_information[text] = side_information[text].fillna("")

    items = item_ids.get_indexer(events["item_id"])
    order = chronological(user_codes, timestamps)
    return AtomicDataset(
        interactions=Interactions.from_rows(order, user_codes, items, timestamps, len(item_ids)),
        items=side_information,
        item_ids=item_ids.to_numpy(dtype=np.str_),
        user_ids=user_ids.to_numpy(dtype=np.str_),
    )


@dataclass(frozen=True)
class AtomicCells:
    """An atomic file as text.

    Attributes:
        cells: One column a field, indexed by line number; the text as it stands there.
        types: The type of each field, one of `FIELD_TYPES`.
        n_lines: How many lines below the header the file has, those that were left out included.
    """

    cells: pd.DataFrame
    types: dict[str, str]
    n_lines: int


def read_atomic_cells(path: Path, check: RowCheck) -> AtomicCells:
    """Reads one atomic file without a look at what its fields mean.

    Args:
        path: The file.
        check: Learns of lines that have another number of fields than the header.

    Raises:
        BenchError: The file is missing, empty, not UTF-8, has a malformed header or no row, or `check` raises.
    """
    content = _content(path)
    lines, wrong = content.split(b"\n")[:-1], _wrong_widths(content)
    numbers = np.arange(1, len(lines) + 1)
    if len(wrong):
        check.refuse(int(wrong[0]) + 1, _width_problem(lines, int(wrong[0])), len(wrong))
        numbers = np.delete(numbers, wrong)
        content = b"\n".join(lines[number - 1] for number in numbers) + b"\n"
    cells = _parsed(content)
    cells.index = pd.Index(numbers)
    types = _header(path, cells.iloc[0])
    table = cells.iloc[1:]
    if table.empty:
        raise BenchError(f"{path} holds a header and no rows")
    table.columns = pd.Index(types)
    return AtomicCells(table, types, len(lines) - 1)


def read_atomic_table(path: Path, required: Mapping[str, str]) -> pd.DataFrame:
    """Reads one atomic file, strictly.

    Args:
        path: The file.
        required: Fields that must be there and filled in every row, with their types.

    Returns:
        One column a field, indexed by line number. `float` is float64, NaN where empty. The other types stay text,
        "" where empty; the entries of a `float_seq` are known to be numbers.

    Raises:
        BenchError: The file is missing, empty, not UTF-8, or malformed.
    """
    cells = _read_cells(path)
    types = _header(path, cells.iloc[0])
    missing = [f"{field}:{kind}" for field, kind in required.items() if field not in types]
    if missing:
        raise BenchError(f"{path}, line 1: required field {' and '.join(missing)} is missing; rename or add the column")
    for field, kind in required.items():
        _require_type(path, types, field, kind)
    table = cells.iloc[1:]
    if table.empty:
        raise BenchError(f"{path} holds a header and no rows")
    table.columns = pd.Index(types)
    for field in required:
        _fail_at(path, table[field].str.strip() == "", field, "is empty; every row needs it")
    columns = {}
    for field, kind in types.items():
        if kind == "float":
            columns[field] = _numbers(path, table[field], field)
        else:
            columns[field] = table[field]
        if kind == "float_seq":
            _numbers(path, table[field].str.split().explode().fillna(""), field)
    return pd.DataFrame(columns, index=table.index)


def _read_cells(path: Path) -> pd.DataFrame:
    """Every field of a file as text, the header as first row, indexed by line number."""
    content = _content(path)
    wrong = _wrong_widths(content)
    if len(wrong):
        lines = content.split(b"\n")
        raise BenchError(f"{path}, line {wrong[0] + 1}: {_width_problem(lines, int(wrong[0]))}")
    cells = _parsed(content)
    cells.index = pd.RangeIndex(1, len(cells) + 1)
    return cells


def _content(path: Path) -> bytes:
    """The bytes of a file, with a line feed alone after every line, and no blank lines at the end."""
    if not path.is_file():
        raise BenchError(f"{path} does not exist; an atomic data set NAME needs at least NAME/NAME.inter")
    raw = path.read_bytes()
    refuse_packed(path, raw)
    content = raw.removeprefix(codecs.BOM_UTF8).replace(b"\r\n", b"\n")
    if not content.strip():
        raise BenchError(f"{path} is empty; its first line must be a header such as user_id:token")
    _check_encoding(path, content)
    if b"\0" in content:
        line = content.count(b"\n", 0, content.index(b"\0")) + 1
        raise BenchError(f"{path}, line {line}: a NUL character, at which the field would end unseen; take it out")
    return content.rstrip(b"\r\n") + b"\n"


def _parsed(content: bytes) -> pd.DataFrame:
    return pd.read_csv(
        io.BytesIO(content),
        sep="\t",
        header=None,
        dtype=str,
        keep_default_na=False,  # "NA" and "null" are names like any other
        quoting=csv.QUOTE_NONE,
        lineterminator="\n",
        skip_blank_lines=False,
    )


def _check_encoding(path: Path, content: bytes) -> None:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise BenchError(
            f"{path}, line {line}: byte 0x{content[error.start]:02x} is not UTF-8; convert the file, e.g. "
            f"`iconv -f latin1 -t utf-8 {path.name} > fixed`"
        ) from None


def _wrong_widths(content: bytes) -> NDArray[np.int64]:
    """The lines, counted from 0, whose number of fields isn't the header's; pandas fills up short ones silently."""
    characters = np.frombuffer(content, dtype=np.uint8)
    line_ends = np.flatnonzero(characters == ord("\n"))
    widths = np.diff(np.searchsorted(np.flatnonzero(characters == ord("\t")), line_ends), prepend=0) + 1
    return np.flatnonzero(widths != widths[0])


def _width_problem(lines: list[bytes], wrong: int) -> str:
    width, expected = (lines[number].count(b"\t") + 1 for number in (wrong, 0))
    noun = "field" if width == 1 else "fields"
    return f"{width} {noun} where the header has {expected}; fields are separated by one tab"


def _header(path: Path, cells: pd.Series) -> dict[str, str]:
    """The type of each field, in the order of the columns."""
    types: dict[str, str] = {}
    for column, cell in enumerate(cells, start=1):
        field, colon, kind = str(cell).strip().rpartition(":")
        if not colon or not field or kind not in FIELD_TYPES:
            raise BenchError(
                f"{path}, line 1, column {column}: '{cell}' is not field:type with a type of {', '.join(FIELD_TYPES)}"
            )
        if field in types:
            raise BenchError(f"{path}, line 1, column {column}: field '{field}' is there twice; remove one")
        types[field] = kind
    return types


def _require_type(path: Path, types: Mapping[str, str], field: str, kind: str) -> None:
    if types[field] != kind:
        raise BenchError(f"{path}, line 1: field '{field}' has type {types[field]}, but must be {field}:{kind}")


def _timestamps(events: pd.DataFrame, path: Path) -> NDArray[np.float64] | NDArray[np.int64]:
    """The time of each event, in file order, in seconds; row numbers where the file has no time.

    Fractions of a second still decide the order and are dropped only afterwards.
    """
    if "timestamp" not in events:
        return np.arange(len(events), dtype=np.int64)
    timestamps = events["timestamp"]
    if timestamps.dtype != np.float64:
        raise BenchError(f"{path}, line 1: field 'timestamp' must be timestamp:float")
    _fail_at(path, timestamps.isna(), "timestamp", "is empty; every row needs it")
    _fail_at(path, timestamps < 0, "timestamp", "is negative; seconds since 1970 are expected")
    _fail_at(path, timestamps >= _LATEST_TIMESTAMP, "timestamp", "is too large; seconds since 1970 are expected")
    return timestamps.to_numpy()


def _numbers(path: Path, cells: pd.Series, field: str) -> pd.Series:
    """float64, NaN where a cell is empty; anything else that is no finite number is an error."""
    numbers = pd.to_numeric(cells, errors="coerce").astype(np.float64)
    bad = ~np.isfinite(numbers) & (cells.str.strip() != "")
    if bad.any():
        _fail_at(path, bad, field, f"holds '{cells[bad].iloc[0]}', not a finite number")
    return numbers


def _reject_duplicate_items(items: pd.DataFrame, path: Path) -> None:
    again = items["item_id"].duplicated()
    if again.any():
        line = int(again.idxmax())
        item = items["item_id"][line]
        first = int((items["item_id"] == item).idxmax())
        raise BenchError(f"{path}, line {line}: item '{item}' is already described in line {first}; remove one")


def _fail_at(path: Path, bad: pd.Series, field: str, problem: str) -> None:
    """Raises for the first row that is bad; `bad` is indexed by line number."""
    if bad.any():
        raise BenchError(f"{path}, line {int(bad.idxmax())}: field '{field}' {problem}")
