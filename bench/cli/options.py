"""Commands that take their options together: as one dataclass, whose fields are what typer makes options of."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer


def begun(kind: str) -> Callable[[str], list[str]]:
    """Completes a name, or the last of several with commas between them, for the shell.

    Args:
        kind: "models", "datasets" or "suites".
    """

    def complete(incomplete: str) -> list[str]:
        from bench.brief_index import brief_index
        from bench.registry import model_names

        names: Iterable[str] = model_names() if kind == "models" else brief_index()[kind]  # type: ignore[literal-required]
        before, comma, last = incomplete.rpartition(",")
        return [f"{before}{comma}{name}" for name in names if name.startswith(last)]

    return complete


SuiteOption = Annotated[
    str,
    typer.Option(
        help="Name of a suite (own-NAME: results on data of your own), or path to a .yaml file.",
        autocompletion=begun("suites"),
    ),
]
ResultsOption = Annotated[Path, typer.Option(help="Folder of the results.")]
ReportsOption = Annotated[Path, typer.Option(help="Folder of the reports.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Write over committed reference results.")]
FOLDER_OF_RESULTS, FOLDER_OF_REPORTS = Path("results"), Path("reports")

Command = Callable[..., None]


def takes_options(command: Command) -> Command:
    """Gives a command an option or argument for each field of the dataclasses among its parameters.

    Typer reads off a function's signature what a command takes. This one's may then have a single parameter, and the
    functions behind it, too.
    """
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, Any] = {name: hint for name, hint in hints.items() if dataclasses.is_dataclass(hint)}

    @functools.wraps(command)
    def wrapped(**given: Any) -> None:
        for name, options in groups.items():
            given[name] = options(**{field.name: given.pop(field.name) for field in dataclasses.fields(options)})
        command(**given)

    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command, eval_str=True).parameters.values():
        options = groups.get(parameter.name)
        parameters += [parameter] if options is None else _parameters_of(options)
    return with_parameters(wrapped, parameters)


def with_parameters(command: Command, parameters: Sequence[inspect.Parameter]) -> Command:
    """Returns the command, which typer then takes to have these parameters, all of them by keyword.

    Args:
        command: Takes any keywords.
        parameters: With types that are no text.
    """
    by_keyword = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in parameters]
    command.__signature__ = inspect.Signature(by_keyword)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in by_keyword}
    return command


def _parameters_of(options: Any) -> list[inspect.Parameter]:
    """The fields of a dataclass as parameters; one without a default has to be given."""
    hints = get_type_hints(options, include_extras=True)
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if field.default is dataclasses.MISSING else field.default,
            annotation=hints[field.name],
        )
        for field in dataclasses.fields(options)
    ]
