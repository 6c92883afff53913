"""The command line's options on how to read and judge a data set: one for each key that a suite may give it."""

from __future__ import annotations

import functools
import inspect
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from bench.config_errors import explain
from bench.data import catalog
from bench.data.data_files import DataFiles
from bench.errors import BenchError, unknown_name
from bench.files import exists, expanded
from bench.spec import DatasetSpec

DATASET_HELP = (
    "A registered data set, or the path of one of your own: a .csv, .tsv, .dat or .parquet file with one row an event, "
    "a folder of RecBole's atomic files, a MovieLens folder or zip, Amazon reviews, or a .txt file of sequences."
)
_PANEL = "Data sets"
_HELP = {
    "user": "Column of the users' ids.",
    "item": "Column of the items' ids, in the item table too.",
    "time": "Column of times; `none` where the rows are in order and have no time.",
    "order": "Instead of a time: column of numbers that orders each user's events.",
    "then": "Column that orders events of one time, or of one number in the order column.",
    "keep": "Only events of these kinds, COLUMN=VALUE or COLUMN=VALUE,VALUE; may be repeated.",
    "min_rating": "Only events with at least this rating.",
    "rating": "Column of ratings, for --min-rating.",
    "missing": "Words for an empty cell, comma-separated, such as NA. Default: none; '' where such words are users.",
    "time_format": "How times are written, as in %d.%m.%Y. Default: numbers since 1970, ISO 8601, YYYYMMDD and longer.",
    "separator": "Between two cells of text: one character, `::` or `tab`. Default: as the first rows show.",
    "no_header": "The first row is data; columns are called 1, 2, ...",
    "quotes": "auto, cells (quotes enclose cells) or plain (they are characters). Default: auto.",
    "items": "Item table (.csv, .tsv or .parquet), one row an item.",
    "text": "Columns of the item table that describe an item, comma-separated. Default: all of words.",
    "category": "Column of the item table with an item's category.",
    "embeddings": "Item embeddings: .npy with the rows of the item table, or .parquet with ids and lists.",
    "baskets": "Events of a user with one timestamp, or one number in the order column, are one basket.",
    "duplicates": "keep or drop rows that equal an earlier one in user, item and time. Default: keep.",
    "incomplete": "raise or drop at rows without user, item or time. Default: raise.",
    "bad_times": "raise or drop at rows whose time is none: negative, in another unit, after 2100. Default: raise.",
    "min_user_events": "Leave out users with fewer events.",
    "min_item_events": "Leave out items with fewer events.",
    "protocol": "leave-one-out, temporal or shipped.",
    "seen_items": "exclude or keep items of the history as candidates. Default: the data set's rule.",
    "cold_targets": "warn, ignore or raise at targets without training events.",
}
_FLAGS = ("baskets", "no_header")
_LISTS = ("keep",)


def takes_dataset_options(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command an option for each key of `_HELP`; it receives those that were used as the dict `reading`."""

    @functools.wraps(command)
    def wrapped(**given: Any) -> None:
        reading = {key: given.pop(key) for key in _HELP}
        command(**given, reading={key: value for key, value in reading.items() if value not in (None, False, [])})

    signature = inspect.signature(command, eval_str=True)
    own = [parameter for name, parameter in signature.parameters.items() if name != "reading"]
    parameters = [*own, *(_parameter(key) for key in _HELP)]
    wrapped.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    wrapped.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return wrapped


def chosen_dataset(name_or_path: str, reading: Mapping[str, Any], option: str = "--dataset") -> DatasetSpec:
    """A data set as the command line names it. A registered name goes before a file that is called the same.

    Args:
        name_or_path: What the user wrote.
        reading: The options in use, by key.
        option: For error messages.

    Raises:
        BenchError: It is neither a name nor a path, or an option doesn't fit.
    """
    registered = name_or_path in catalog.available_datasets()
    if not registered and not exists(expanded(name_or_path)):
        if Path(name_or_path).name != name_or_path or Path(name_or_path).suffix:
            raise BenchError(f"{option}: '{name_or_path}' does not exist")
        error = unknown_name("data set", name_or_path, catalog.available_datasets())
        raise BenchError(f"{error} (nor is there a file or folder of that name)")
    own_only = next((key for key in reading if key in DataFiles.model_fields), None)
    if registered and own_only is not None:
        raise BenchError(f"{_option(own_only)} is for data of your own; '{name_or_path}' is a registered data set")
    place = {"name": name_or_path} if registered else {"path": name_or_path}
    try:
        return DatasetSpec.model_validate({**place, **reading})
    except ValidationError as error:
        raise explain(error, DatasetSpec, f"{option} {name_or_path}") from None


def as_arguments(reading: Mapping[str, Any]) -> str:
    """The options as one would write them, each with a blank before it."""
    pairs = [(key, one) for key, value in reading.items() for one in (value if isinstance(value, list) else [value])]
    return "".join(
        f" {_option(key)}" + ("" if value is True else f" {shlex.quote(str(value))}") for key, value in pairs
    )


def _option(key: str) -> str:
    return f"--{key.replace('_', '-')}"


def _parameter(key: str) -> inspect.Parameter:
    kind: Any = bool if key in _FLAGS else list[str] | None if key in _LISTS else str | None
    # Plain text even for numbers and choices: `DatasetSpec` checks them, as it does in a suite.
    option = typer.Option(_option(key), help=_HELP[key], rich_help_panel=_PANEL, show_default=False)
    default = False if key in _FLAGS else None
    return inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, option])
