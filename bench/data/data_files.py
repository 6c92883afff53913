"""Where a data set of the user's own lies and how to read it, as the command line and suites say it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import ConfigDict, Field, field_validator

from bench.config import NumbersAlone
from bench.errors import BenchError
from bench.files import expanded
from bench.names import legal_path_name

ACCEPTED = (
    "a .csv, .tsv, .dat, .parquet or .xlsx file with one row an event, a folder of RecBole's atomic files, a MovieLens "
    "folder or zip, Amazon reviews or other .jsonl, or a .txt file of sequences or pairs"
)
"""What a path may lead to."""

QuoteRule = Literal["auto", "cells", "plain"]


class DataFiles(NumbersAlone):
    """Where a data set lies, and how to read it. Only `path` is needed where columns have usual names.

    Each key but `path` is an option of the command line, too, and its description is that option's help. What becomes
    of a key is said where it is used: `sources.tables.read_events` and `Reading`, `parsing.event_kinds.Kinds`,
    `parsing.text_tables.Dialect`, `sources.item_files.read_item_facts`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str | None = Field(default=None, description=f"Where the data lie: {ACCEPTED}.")
    valid: str | None = Field(
        default=None, description="File of the validation events, where the data set is a split of three files."
    )
    test: str | None = Field(default=None, description="File of the test events, likewise.")
    user: str | None = Field(default=None, description="Column of the users' ids.")
    item: str | None = Field(default=None, description="Column of the items' ids, in the item table too.")
    time: str | None = Field(
        default=None, description="Column of times; `none` where the rows are in order and have no time."
    )
    order: str | None = Field(
        default=None, description="Instead of a time: column of numbers that orders each user's events."
    )
    then: str | None = Field(
        default=None, description="Column that orders events of one time, or of one number in the order column."
    )
    keep: tuple[tuple[str, tuple[str, ...]], ...] = Field(
        default=(), description="Only events of these kinds, COLUMN=VALUE or COLUMN=VALUE,VALUE; may be repeated."
    )
    min_rating: float | None = Field(
        default=None, allow_inf_nan=False, description="Only events with at least this rating."
    )
    rating: str | None = Field(default=None, description="Column of ratings, for --min-rating.")
    missing: tuple[str, ...] | None = Field(
        default=None,
        description="Words for an empty cell, comma-separated, such as NA. Default: none; '' where such words are "
        "users.",
    )
    time_format: str | None = Field(
        default=None,
        description="How times are written, as in %d.%m.%Y. Default: numbers since 1970, ISO 8601, YYYYMMDD and "
        "longer.",
    )
    separator: str | None = Field(
        default=None,
        description="Between two cells of text: one character, `::` or `tab`. Default: as the first rows show.",
    )
    no_header: bool = Field(default=False, description="The first row is data; columns are called 1, 2, ...")
    quotes: QuoteRule = Field(
        default="auto",
        description="auto, cells (quotes enclose cells) or plain (they are characters). Default: auto.",
    )
    items: str | None = Field(
        default=None, description="Item table (.csv, .tsv, .parquet, .xlsx or .jsonl), one row an item."
    )
    text: tuple[str, ...] | None = Field(
        default=None,
        description="Columns of the item table that describe an item, comma-separated. Default: all of words.",
    )
    category: str | None = Field(default=None, description="Column of the item table with an item's category.")
    embeddings: str | None = Field(
        default=None,
        description="Item embeddings: .npy with the rows of the item table, or .parquet with ids and lists.",
    )
    baskets: bool = Field(
        default=False,
        description="Events of a user with one timestamp, or one number in the order column, are one basket.",
    )
    duplicates: Literal["keep", "drop"] = Field(
        default="keep",
        description="keep or drop rows that equal an earlier one in user, item and time. Default: keep.",
    )
    incomplete: Literal["raise", "drop"] = Field(
        default="raise", description="raise or drop at rows without user, item or time. Default: raise."
    )
    bad_times: Literal["raise", "drop"] = Field(
        default="raise",
        description="raise or drop at rows whose time is none: negative, in another unit, after 2100. Default: raise.",
    )
    min_user_events: int = Field(default=1, ge=1, description="Leave out users with fewer events.")
    min_item_events: int = Field(default=1, ge=1, description="Leave out items with fewer events.")

    @field_validator("user", "item", "time", "order", "then", "rating", mode="before")
    @classmethod
    def _by_position(cls, value: object) -> object:
        """`1`, as YAML reads a column of a file without names."""
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value

    @field_validator("keep", mode="before")
    @classmethod
    def _kinds(cls, value: object) -> object:
        """`type=buy,cart`, one or several, or a mapping of columns to values, besides pairs."""
        return kinds_as_pairs(value)

    @field_validator("text", "missing", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        """`title,genres` as on the command line, besides a list."""
        return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value


def kinds_as_pairs(written: object) -> object:
    """Brings what a user may write for `keep` into one form, pairs of a column and its values.

    That is a text as in `type=buy,cart`, one or several, or a mapping of columns to values.

    A column that comes twice keeps the values of both. What is none of these is given back as it is.

    Raises:
        ValueError: A text names no column or no value.
    """
    if isinstance(written, str):
        written = [written]
    if isinstance(written, Mapping):
        pairs = [
            (str(column), values if isinstance(values, list | tuple) else [values])
            for column, values in written.items()
        ]
    elif isinstance(written, list | tuple) and all(isinstance(text, str) for text in written):
        pairs = []
        for text in written:
            column, equals, values = text.partition("=")
            if not (column.strip() and equals and values.strip()):
                raise ValueError(f"'{text}' should read COLUMN=VALUE or COLUMN=VALUE,VALUE")
            pairs.append((column.strip(), [value.strip() for value in values.split(",")]))
    else:
        return written
    kinds: dict[str, tuple[str, ...]] = {}
    for column, values in pairs:
        kinds[column] = (*kinds.get(column, ()), *map(str, values))
    return tuple((column, tuple(dict.fromkeys(values))) for column, values in kinds.items())


def name_of(path: str) -> str:
    """Names the data set of a path by the stem of its file, with nothing in it that a folder couldn't be named."""
    stem = re.sub(r"(?i)\.(csv|tsv|dat|parquet|xlsx|zip|inter|txt|jsonl?)(\.gz)?$", "", _last_part(path))
    return legal_path_name(stem, "data")


def name_of_split(path: str) -> str:
    """Names the data set of a split by its training file, or by that one's folder where it is called `train.csv`."""
    name = name_of(path)
    if name.lower() not in ("train", "training"):
        return name
    try:
        return name_of(str(expanded(path).resolve().parent))
    except (OSError, ValueError, BenchError):
        return name


def _last_part(path: str) -> str:
    try:
        return expanded(path).resolve().name
    except (OSError, ValueError, BenchError):  # whoever opens it tells what is wrong
        return Path(path).name
