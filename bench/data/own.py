"""Data sets of the user's own, and well-known ones by their files: from a path to a `Dataset`."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator

from bench.data import amazon, movielens, sequences
from bench.data.atomic_files import read_atomic_dataset, read_atomic_table
from bench.data.dataset import Dataset
from bench.data.events import EventLog, ItemFacts, assemble
from bench.data.filters import Filter, MinimumEvents
from bench.data.item_files import CATEGORY_NAMES, read_item_facts
from bench.data.tables import TABLE_SUFFIXES, read_events
from bench.errors import BenchError
from bench.files import exists, expanded
from bench.names import legal_path_name

LICENCE = "Unknown to this program; whoever brings the data knows its terms."
ACCEPTED = (
    "a .csv, .tsv or .parquet file with one row an event, a folder of RecBole's atomic files, a MovieLens folder or "
    "zip, Amazon reviews, or a .txt file of sequences"
)


class DataFiles(BaseModel):
    """Where a data set lies, and how to read it. Only `path` is needed where columns have usual names.

    Attributes:
        path: A file or a folder, see `ACCEPTED`.
        user, item, time, order: Columns of a table of events, see `tables.read_events`.
        items, text, category, embeddings: Side information on items, see `item_files.read_item_facts`.
        baskets: Whether events of one user with one timestamp are one basket.
        duplicates: Whether rows that equal an earlier one in user, item and time are kept.
        incomplete: Whether a row without user, item or time is an error or is left out.
        min_user_events, min_item_events: Users and items with fewer events are left out, until none is left.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str | None = None
    user: str | None = None
    item: str | None = None
    time: str | None = None
    order: str | None = None
    items: str | None = None
    text: tuple[str, ...] | None = None
    category: str | None = None
    embeddings: str | None = None
    baskets: bool = False
    duplicates: Literal["keep", "drop"] = "keep"
    incomplete: Literal["raise", "drop"] = "raise"
    min_user_events: int = Field(default=1, ge=1)
    min_item_events: int = Field(default=1, ge=1)

    @field_validator("text", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        """`title,genres` as on the command line, besides a list."""
        return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value


TABLE_OPTIONS = ("user", "item", "time", "order", "items", "text", "category", "embeddings", "duplicates", "incomplete")
"""What only a table of events can be read with; other formats have their own columns."""


def name_of(path: str) -> str:
    """A name for the data set of a path: the stem of its file, with nothing in it that a folder couldn't be named."""
    stem = re.sub(r"\.(csv|tsv|parquet|zip|inter|txt|jsonl?)(\.gz)?$", "", _last_part(path))
    return legal_path_name(stem, "data")


def _last_part(path: str) -> str:
    try:
        return expanded(path).resolve().name
    except (OSError, ValueError, BenchError):  # whoever opens it tells what is wrong
        return Path(path).name


def load_own(name: str, files: DataFiles) -> Dataset:
    """Reads a data set by what its path looks like.

    Args:
        name: For tables and folders.
        files: Where it lies.

    Raises:
        BenchError: There is no such file, its format is unknown, an option doesn't fit the format, or the content
            can't be used.
    """
    path = expanded(files.path or "")
    if not files.path or not exists(path):
        raise BenchError(f"'{path}' does not exist; give the path of {ACCEPTED}")
    if path.is_file() and path.name.endswith(TABLE_SUFFIXES):
        return _load_table(name, path, files)
    for option in TABLE_OPTIONS:
        if getattr(files, option) != DataFiles.model_fields[option].default:
            raise BenchError(f"{path}: --{option} is for tables of events (.csv, .tsv, .parquet); leave it out")
    filters = _filters(files)
    atomic = _atomic(path)
    if atomic is not None:
        return _load_atomic(name, atomic, files)
    if files.baskets:
        raise BenchError(f"{path}: --baskets is for tables and atomic files; this format has no baskets")
    if movielens.is_movielens(path):
        return movielens.read_movielens(path, name, filters)
    if path.is_file() and amazon.is_amazon(path):
        return amazon.read_amazon(path, name, filters)
    listed = path / sequences.SEQUENCES_FILE if path.is_dir() else path
    if listed.is_file() and listed.suffix == ".txt":
        return sequences.read_sequences(listed, name, filters, LICENCE, listed.name)
    raise BenchError(f"'{path}' is in no known format; give {ACCEPTED}")


def _load_table(name: str, path: Path, files: DataFiles) -> Dataset:
    log = read_events(
        path,
        files.user,
        files.item,
        files.time,
        files.order,
        drop_incomplete=files.incomplete == "drop",
        drop_duplicates=files.duplicates == "drop",
    )
    if files.baskets and log.times is None:
        raise BenchError(f"{path}: --baskets needs a time, since a basket is what shares one; name it with --time")
    items, embeddings = (None if other is None else _existing(other) for other in (files.items, files.embeddings))
    facts = read_item_facts(items, embeddings, files.item, files.text, files.category)
    source = ", ".join(part.name for part in (path, items, embeddings) if part is not None)
    return assemble(name, log, facts, LICENCE, source, baskets=files.baskets, filters=_filters(files))


def _existing(path: str) -> Path:
    found = expanded(path)
    if not os.path.isfile(found):  # noqa: PTH113  # False, too, where no file can be named so
        raise BenchError(f"no file '{found}': give the path of an item table or of embeddings")
    return found


def _atomic(path: Path) -> Path | None:
    """The file of events among RecBole's atomic files, given it or its folder."""
    if path.suffix == ".inter":
        return path
    found = sorted(path.glob("*.inter")) if path.is_dir() else []
    if len(found) > 1:
        found = [file for file in found if file.stem == path.resolve().name] or found
    if len(found) > 1:
        raise BenchError(f"{path} holds {len(found)} data sets ({', '.join(f.name for f in found)}); give one file")
    return found[0] if found else None


def _load_atomic(name: str, events: Path, files: DataFiles) -> Dataset:
    """Atomic files by the rules of `assemble`. Fields of words are text; the first word of a class or the like is the
    item's category.
    """
    raw = read_atomic_dataset(events.parent, events.stem)
    has_time = "timestamp" in read_atomic_table(events, {}).columns
    interactions = raw.interactions
    users = np.repeat(np.arange(interactions.n_users), interactions.lengths)
    log = EventLog(
        users=users,
        items=interactions.items,
        times=interactions.timestamps if has_time else None,
        user_ids=raw.user_ids,
        item_ids=raw.item_ids,
        notes=() if has_time else ("no time: the order of the rows is that of the events",),
    )
    text = tuple(field for field in raw.items if raw.items[field].dtype != np.float64)
    category = next((field for field in ("class", *CATEGORY_NAMES) if field in text), None)
    first = raw.items[category].str.split().str[0].fillna("") if category else None
    facts = ItemFacts(raw.item_ids, raw.items, text, first) if len(raw.items.columns) else None
    source = f"{events.name}, RecBole's atomic files"
    return assemble(name, log, facts, LICENCE, source, baskets=files.baskets, filters=_filters(files))


def _filters(files: DataFiles) -> tuple[Filter, ...]:
    if files.min_user_events == files.min_item_events == 1:
        return ()
    return (MinimumEvents(per_user=files.min_user_events, per_item=files.min_item_events),)
