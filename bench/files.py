"""Files that a reader never finds half written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.errors import BenchError


def expanded(path: str) -> Path:
    """Reads a path as a user writes it, with `~` for a home folder.

    Raises:
        BenchError: There is no such user.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise BenchError(f"'{path}': {error}: give the whole path") from None


def exists(path: Path) -> bool:
    """Tells whether there is something at a path; not where the path is one that nothing can have."""
    return os.path.exists(path)  # noqa: PTH110  # pathlib's raises an error at a name that is too long


def is_folder(path: Path) -> bool:
    """Tells whether there is a folder at a path, as `exists` does."""
    return os.path.isdir(path)  # noqa: PTH112


def is_file(path: Path) -> bool:
    """Tells whether there is a file at a path, as `exists` does."""
    return os.path.isfile(path)  # noqa: PTH113


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path`, with its suffix; it replaces that when the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)  # noqa: PTH105  # says what matters: atomic, and over an existing file
    finally:
        temporary.unlink(missing_ok=True)
