"""What the command line prints, and where: text from files and models moves no cursor and changes no colour."""

from __future__ import annotations

from enum import Enum
from typing import Any

from rich import console as rich_console
from rich.text import Text

from bench.plain_text import printable, shortened

_WIDTH_OF_FILES = 140
"""Characters of a table's line where it does not go to a terminal."""

_MOST_CHARACTERS = 2000
"""Of a line of progress, which may tell of many runs."""


class Console(rich_console.Console):
    """Rich's console, for which text is only text: escape codes and marks of direction in it are spelled out."""

    def __init__(self, **options: Any) -> None:
        super().__init__(emoji=False, **options)  # a label like ":x:" is no picture

    def render_str(self, text: str, **options: Any) -> Text:
        """Text on its way to the terminal, cells of tables included."""
        return super().render_str("\n".join(map(printable, text.split("\n"))), **options)


def table_console() -> Console:
    """Makes a console as wide as the terminal, or wide enough for a table in a file or a pipe."""
    console = Console()
    return console if console.is_terminal else Console(width=_WIDTH_OF_FILES)


class Verbosity(Enum):
    """How much is said beside what a command was asked to print."""

    QUIET = "quiet"
    NORMAL = "normal"
    VERBOSE = "verbose"


_verbosity = Verbosity.NORMAL


def set_verbosity(verbosity: Verbosity) -> None:
    """Decides how much this process says from now on."""
    global _verbosity
    _verbosity = verbosity


def verbosity() -> Verbosity:
    return _verbosity


def say(console: rich_console.Console, line: str, always: bool = False) -> None:
    """Prints a line as it is: no markup, no colours, no wrapping; nor what would move the cursor, or never end.

    Args:
        console: Where to.
        line: What is said.
        always: Whether it is said even if little is to be said, as warnings are: something went wrong.
    """
    if _verbosity is Verbosity.QUIET and not always and not line.startswith("warning"):
        return
    console.print(
        shortened(printable(line), _MOST_CHARACTERS), markup=False, highlight=False, soft_wrap=True, emoji=False
    )


def literal(text: str) -> Text:
    """Makes foreign text fit for where markup counts."""
    return Text(printable(text))
