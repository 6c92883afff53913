"""Where the command line prints its tables."""

from __future__ import annotations

from rich.console import Console

_WIDTH_OF_FILES = 140
"""Characters of a table's line where it does not go to a terminal."""


def table_console() -> Console:
    """A console as wide as the terminal, or wide enough for a table in a file or a pipe."""
    console = Console()
    return console if console.is_terminal else Console(width=_WIDTH_OF_FILES)
