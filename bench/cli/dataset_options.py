"""The command line's options on how to read and judge a data set: one for each key that a suite may give it."""

from __future__ import annotations

import functools
import inspect
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from bench.cli.options import Command, with_parameters
from bench.config_errors import explain
from bench.data.data_files import ACCEPTED, DataFiles
from bench.errors import BenchError, unknown_name
from bench.files import exists, expanded
from bench.spec import DatasetSpec, Suite

DATASET_HELP = f"A registered data set, or the path of one of your own: {ACCEPTED}."
_PANEL = "Data sets"
_FIELDS = {key: field for key, field in DatasetSpec.model_fields.items() if key not in ("name", "path")}
"""A data set's keys that are options, in order; each field's description is its option's help."""

_LISTS = ("keep",)
"""Options that may be repeated."""


def takes_dataset_options(command: Command) -> Command:
    """Gives a command an option for each key that a suite may give a data set, but for its name and path.

    The command receives those that were used as the dict `reading`.
    """

    @functools.wraps(command)
    def wrapped(**given: Any) -> None:
        reading = {key: given.pop(key) for key in _FIELDS}
        command(**given, reading={key: value for key, value in reading.items() if value not in (None, False, [])})

    signature = inspect.signature(command, eval_str=True)
    own = [parameter for name, parameter in signature.parameters.items() if name != "reading"]
    return with_parameters(wrapped, [*own, *(_parameter(key) for key in _FIELDS)])


def chosen_dataset(name_or_path: str, reading: Mapping[str, Any], option: str = "--dataset") -> DatasetSpec:
    """Reads a data set as the command line names it. A registered name goes before a file that is called the same.

    Args:
        name_or_path: What the user wrote.
        reading: The options in use, by key.
        option: For error messages.

    Raises:
        BenchError: It is neither a name nor a path, or an option doesn't fit.
    """
    from bench.data import catalog  # brings in what reads data sets

    registered = name_or_path in catalog.available_datasets()
    if not registered and not exists(expanded(name_or_path)):
        if Path(name_or_path).name != name_or_path or Path(name_or_path).suffix:
            raise BenchError(f"{option}: '{name_or_path}' does not exist")
        error = unknown_name("data set", name_or_path, catalog.available_datasets())
        raise BenchError(f"{error} (nor is there a file or folder of that name)")
    own_only = next((key for key in reading if key in DataFiles.model_fields), None)
    if registered and own_only is not None:
        raise BenchError(f"{_option(own_only)} is for data of your own; '{name_or_path}' is a registered data set")
    identity = {"name": name_or_path} if registered else {"path": name_or_path}
    try:
        return DatasetSpec.model_validate({**identity, **reading})
    except ValidationError as error:
        raise explain(error, DatasetSpec, f"{option} {name_or_path}") from None


def of_sampled_users(suite: Suite, users: str) -> Suite:
    """Takes a sample of the users of every data set of a suite.

    Raises:
        BenchError: It is no number of users.
    """
    try:
        datasets = [
            DatasetSpec.model_validate({**dataset.model_dump(), "sample_users": users}) for dataset in suite.datasets
        ]
    except ValidationError as error:
        raise explain(error, DatasetSpec, f"--sample-users {users}") from None
    return suite.model_copy(update={"datasets": tuple(datasets)})


def as_arguments(reading: Mapping[str, Any]) -> str:
    """Writes the options as one would write them, each with a blank before it."""
    pairs = [(key, one) for key, value in reading.items() for one in (value if isinstance(value, list) else [value])]
    return "".join(
        f" {_option(key)}" + ("" if value is True else f" {shlex.quote(str(value))}") for key, value in pairs
    )


def _option(key: str) -> str:
    return f"--{key.replace('_', '-')}"


def _parameter(key: str) -> inspect.Parameter:
    is_flag = _FIELDS[key].annotation is bool
    kind: Any = bool if is_flag else list[str] | None if key in _LISTS else str | None
    # Plain text even for numbers and choices: `DatasetSpec` checks them, as it does in a suite.
    option = typer.Option(_option(key), help=_FIELDS[key].description, rich_help_panel=_PANEL, show_default=False)
    default = False if is_flag else None
    return inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, option])
