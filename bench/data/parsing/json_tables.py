"""JSON with one object a line as a table of texts: a key is a column, and a key within an object is `outer.inner`."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from bench.data.parsing.packed import refuse_packed
from bench.errors import BenchError, reason_of

JSON_SUFFIXES = (".json", ".jsonl", ".json.gz", ".jsonl.gz")
_BOM = b"\xef\xbb\xbf"


def json_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yields the lines that aren't blank, with their numbers, without a byte order mark.

    Raises:
        BenchError: The file can't be read to its end.
    """
    number = 0
    try:
        with gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if number == 1:
                    refuse_packed(path, line)
                    line = line.removeprefix(_BOM)
                if line.strip():
                    yield number, line
    except (OSError, EOFError, zlib.error) as error:
        raise BenchError(f"{path}: unreadable after line {number} ({error}); fetch the file anew") from None


def read_json_table(path: Path) -> pa.Table:
    """Reads all objects of a file.

    Numbers are the text that stands in the file, so that no id loses digits; `true` and `false` are these words, and
    what a list of words or numbers holds is joined by "|". A key that an object lacks, or with null, is an empty cell.

    Raises:
        BenchError: A line holds no object, or one with a key twice. The message names it.
    """
    columns: dict[str, list[str | None]] = {}
    count = 0
    for number, line in json_lines(path):
        try:
            content = json.loads(line.decode(), object_pairs_hook=_once, parse_int=str, parse_float=str)
            if not isinstance(content, dict):
                raise ValueError("it holds something else")
            if rb"\ud" in line.lower():
                _refuse_halves(content)
        except (ValueError, RecursionError) as error:
            raise BenchError(f"{path}, line {number}: no JSON object with an event ({reason_of(error)})") from None
        for key, value in flat(content):
            cells = columns.setdefault(key, [])
            cells += [None] * (count - len(cells))
            cells.append(value)
        count += 1
    if not count:
        raise BenchError(f"{path} is empty; fetch it anew")
    whole = {key: [*cells, *[None] * (count - len(cells))] for key, cells in columns.items()}
    return pa.table({key: pa.array(cells, pa.string()) for key, cells in whole.items()})


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        again = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"it has the key {again} twice; which one holds?")
    return content


def _refuse_halves(content: dict[str, Any]) -> None:
    """Raises ValueError where a key or a value holds half a letter of UTF-16, which no table can."""
    for key, value in flat(content):
        if any("\ud800" <= letter <= "\udfff" for letter in f"{key}{value or ''}"):
            raise ValueError(f"{key} holds half a letter of UTF-16")


def flat(content: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str | None]]:
    """Yields the keys of an object and what they hold as text, those of objects within it as `outer.inner`."""
    for key, value in content.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", _as_text(value)


def _as_text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list) and not any(isinstance(part, list | dict) for part in value):
        return "|".join(_as_text(part) or "" for part in value)
    return json.dumps(value)
