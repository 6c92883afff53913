"""How much the command line says, and what it says of a word that it doesn't know."""

from __future__ import annotations

import functools
import inspect
import re
from typing import Annotated, Any

import typer

from bench.cli.options import Command, with_parameters
from bench.console import Verbosity, set_verbosity
from bench.errors import BenchError, nearest

_HELP = {
    Verbosity.QUIET: "Say nothing but warnings, errors and what has failed.",
    Verbosity.VERBOSE: "Say more: how far runs are every few seconds, and the end of a failed run's log.",
}


def with_verbosity(command: Command) -> Command:
    """Gives a command that tells what it does the options --quiet and --verbose."""

    @functools.wraps(command)
    def wrapped(**given: Any) -> None:
        chosen = [verbosity for verbosity in _HELP if given.pop(verbosity.value)]
        if len(chosen) > 1:
            raise BenchError("--quiet and --verbose are opposites: give one of them")
        set_verbosity(chosen[0] if chosen else Verbosity.NORMAL)
        try:
            command(**given)
        finally:
            set_verbosity(Verbosity.NORMAL)

    signature = inspect.signature(command, eval_str=True)
    return with_parameters(wrapped, [*signature.parameters.values(), *map(_parameter, _HELP)])


def _parameter(verbosity: Verbosity) -> inspect.Parameter:
    name = verbosity.value
    option = typer.Option(f"--{name}", f"-{name[0]}", help=_HELP[verbosity])
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Annotated[bool, option])


def with_suggestion(message: str) -> str:
    """A usage error of the parser, with the choice that was meant where a choice was misspelt.

    >>> with_suggestion("Invalid value for '--device': 'cpuu' is not one of 'auto', 'cpu', 'cuda'.")
    "Invalid value for '--device': 'cpuu' is not one of 'auto', 'cpu', 'cuda': did you mean cpu?"
    """
    message = message.replace(": Value error, ", ": ")
    found = re.search(r"'([^']*)' is not one of (.*)\.$", message)
    near = nearest(found[1], re.findall(r"'([^']*)'", found[2])) if found else []
    return f"{message.removesuffix('.')}: did you mean {near[0]}?" if near else message
