"""Tables that come as the parts of one split: a file for training, one for validation, one for the test."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from bench.data.data_files import DataFiles
from bench.data.dataset import Dataset
from bench.data.events import EventLog, ItemFacts, assemble
from bench.data.parsing.cells import TABLE_SUFFIXES
from bench.data.parsing.json_tables import JSON_SUFFIXES
from bench.data.parsing.rows import RowRules
from bench.data.sources.atomic_splits import PARTS, SYNONYMS, SplitFiles, joined, plain_rows, with_shipped_split
from bench.errors import BenchError
from bench.files import expanded, is_file, is_folder

_SUFFIXES = "|".join(re.escape(suffix) for suffix in sorted((*TABLE_SUFFIXES, *JSON_SUFFIXES), key=len, reverse=True))
_PART = re.compile(rf"(?:(.+)[._-])?({'|'.join([*SYNONYMS, 'test'])})({_SUFFIXES})", re.IGNORECASE)


def is_split_folder(path: Path) -> bool:
    """Tells by the names of its files whether a folder holds two or more parts of one split as tables."""
    return len(_parts_in(path)) > 1


def split_tables_at(path: Path, valid: str | None, test: str | None) -> SplitFiles | None:
    """Finds the parts of a split, from options or by the names of a folder's files. None: there is no split.

    Args:
        path: The training events, or a folder with files such as `train.csv`, `valid.csv` and `test.csv`.
        valid, test: The other parts, where they were given.

    Raises:
        BenchError: A part is missing.
    """
    if valid is not None or test is not None:
        if valid is None or test is None:
            option = "--valid" if valid is None else "--test"
            raise BenchError(f"{path}: {option} is missing; a split has three files: --dataset, --valid and --test")
        return SplitFiles("", {"train": path, "valid": _file(valid, "--valid"), "test": _file(test, "--test")})
    parts = _parts_in(path)
    if len(parts) < 2:
        return None
    lacking = next((part for part in PARTS if part not in parts), None)
    if lacking is not None:
        listed = ", ".join(file.name for file in parts.values())
        raise BenchError(
            f"{path} holds {listed}, but no {lacking} part of this split; add it, or give one file with all events"
        )
    return SplitFiles("", parts)


def parts_beside(path: Path) -> list[str]:
    """Lists the other parts beside a file that is called like one part of a split."""
    if _PART.fullmatch(path.name) is None:
        return []
    return [file.name for file in _parts_in(path.parent).values() if file.name != path.name]


def load_split_tables(
    name: str,
    parts: SplitFiles,
    files: DataFiles,
    read: Callable[[Path], EventLog],
    facts: ItemFacts | None,
    licence: str,
) -> Dataset:
    """Puts the parts together to one row of events a user, with the split that they are.

    Args:
        name: For the data set.
        parts: From `split_tables_at`.
        files: What the user said of reading them.
        read: Reads one file.
        facts: What is known of the items.
        licence: For the report.

    Raises:
        BenchError: A part is malformed, an option would change the split, or an event of a part comes before one of an
            earlier part.
    """
    changing = {
        "--baskets": files.baskets,
        "--duplicates drop": files.duplicates == "drop",
        "--min-user-events": files.min_user_events > 1,
        "--min-item-events": files.min_item_events > 1,
    }
    option = next((option for option, is_used in changing.items() if is_used), None)
    if option is not None:
        raise BenchError(f"{parts.listed} are a split, which {option} would change; leave it out")
    logs = [read(parts.parts[part]) for part in PARTS]
    split = plain_rows(joined(logs, None, parts), parts, RowRules(count_duplicates=False))
    return with_shipped_split(assemble(name, split.log, facts, licence, parts.listed), split)


def _parts_in(folder: Path) -> dict[str, Path]:
    """Part -> file, of the only data set of a folder that comes in parts; nothing where there are two."""
    parts: dict[str, Path] = {}
    if not is_folder(folder):
        return parts
    for file in sorted(folder.iterdir()):
        match = _PART.fullmatch(file.name)
        if match is not None and file.is_file():
            part = SYNONYMS.get(match[2].lower(), "test")
            if part in parts:
                return {}
            parts[part] = file
    return {part: parts[part] for part in PARTS if part in parts}


def _file(path: str, option: str) -> Path:
    file = expanded(path)
    if not is_file(file):
        raise BenchError(f"{option}: no file '{file}'")
    return file
