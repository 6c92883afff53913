"""Where a data set of the user's own lies and how to read it, as the command line and suites say it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from bench.data.parsing.event_kinds import kinds_as_pairs
from bench.data.parsing.text_tables import QuoteRule
from bench.errors import BenchError
from bench.files import expanded
from bench.names import legal_path_name


class DataFiles(BaseModel):
    """Where a data set lies, and how to read it. Only `path` is needed where columns have usual names.

    Attributes:
        path: A file or a folder, see `sources.own.ACCEPTED`.
        user, item, time, order: Columns of a table of events, see `sources.tables.read_events`; the first three also
            fields of atomic files and keys of JSON.
        then, missing, time_format: See `sources.tables.Reading`.
        keep, min_rating, rating: See `parsing.event_kinds.Kinds`; `keep` as "column=value,value", or a mapping.
        separator, no_header, quotes: See `parsing.text_tables.Dialect`.
        items, text, category, embeddings: Side information on items, see `sources.item_files.read_item_facts`.
        baskets: Whether events of one user with one timestamp are one basket.
        duplicates: Whether rows that equal an earlier one in user, item and time are kept.
        incomplete: Whether a row without user, item or time, or one that can't be read, is an error or is left out.
        bad_times: Whether a row whose time is none is an error or is left out.
        min_user_events, min_item_events: Users and items with fewer events are left out, until none is left.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str | None = None
    user: str | None = None
    item: str | None = None
    time: str | None = None
    order: str | None = None
    then: str | None = None
    keep: tuple[tuple[str, tuple[str, ...]], ...] = ()
    min_rating: float | None = Field(default=None, allow_inf_nan=False)
    rating: str | None = None
    missing: tuple[str, ...] | None = None
    time_format: str | None = None
    separator: str | None = None
    no_header: bool = False
    quotes: QuoteRule = "auto"
    items: str | None = None
    text: tuple[str, ...] | None = None
    category: str | None = None
    embeddings: str | None = None
    baskets: bool = False
    duplicates: Literal["keep", "drop"] = "keep"
    incomplete: Literal["raise", "drop"] = "raise"
    bad_times: Literal["raise", "drop"] = "raise"
    min_user_events: int = Field(default=1, ge=1)
    min_item_events: int = Field(default=1, ge=1)

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


def name_of(path: str) -> str:
    """A name for the data set of a path: the stem of its file, with nothing in it that a folder couldn't be named."""
    stem = re.sub(r"(?i)\.(csv|tsv|dat|parquet|zip|inter|txt|jsonl?)(\.gz)?$", "", _last_part(path))
    return legal_path_name(stem, "data")


def _last_part(path: str) -> str:
    try:
        return expanded(path).resolve().name
    except (OSError, ValueError, BenchError):  # whoever opens it tells what is wrong
        return Path(path).name
