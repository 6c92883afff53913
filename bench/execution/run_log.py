"""What a run prints: a file of bounded size, of which the beginning and the end are kept."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

MOST_BYTES = 1_000_000
"""Of a log that is kept."""

_LEFT_OUT = b"\n[... the middle of this log is left out: it was longer than 1 MB ...]\n"
_HEAD = MOST_BYTES // 2
_TAIL = MOST_BYTES - _HEAD - len(_LEFT_OUT)


@contextlib.contextmanager
def captured(path: Path) -> Iterator[None]:
    """Sends everything that this process prints, logs or warns to a file, also what C++ code writes."""
    root = logging.getLogger()
    level = root.level
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with (
        path.open("a", encoding="utf-8", errors="replace", buffering=1) as log,
        contextlib.redirect_stdout(log),
        contextlib.redirect_stderr(log),
        _descriptors_to(log.fileno()),
    ):
        handler = logging.StreamHandler(log)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        root.addHandler(handler)
        root.setLevel(logging.INFO)
        with warnings.catch_warnings():
            warnings.simplefilter("default")  # what an earlier run in this process warned of is news in this log
            logging.captureWarnings(True)
            try:
                yield
            finally:
                logging.captureWarnings(False)
                root.removeHandler(handler)
                root.setLevel(level)


def shorten(path: Path) -> None:
    """Drops the middle of a log that has grown to twice what is kept.

    Whoever writes to it meanwhile has to append (`O_APPEND`); what he writes at this very moment may be lost.
    """
    with suppress(OSError):
        if path.stat().st_size > 2 * MOST_BYTES:
            shortened = _ends_of(path)
            with path.open("r+b") as file:
                file.truncate(_HEAD)
            with path.open("ab") as file:
                file.write(shortened[_HEAD:])


def read(path: Path) -> str:
    """The log as it is kept; empty where there is none, or none that can be read."""
    try:
        return _ends_of(path).decode("utf-8", "replace")
    except OSError:
        return ""


def _ends_of(path: Path) -> bytes:
    """The whole file, or its first and last bytes where it is longer than `MOST_BYTES`."""
    with path.open("rb") as file:
        head = file.read(MOST_BYTES + 1)
        if len(head) <= MOST_BYTES:
            return head
        file.seek(-_TAIL, 2)
        return head[:_HEAD] + _LEFT_OUT + file.read(_TAIL)


@contextlib.contextmanager
def _descriptors_to(target: int) -> Iterator[None]:
    """Points the process's standard output and error at the descriptor `target`."""
    if sys.__stdout__:
        sys.__stdout__.flush()
    saved = [os.dup(1), os.dup(2)]
    try:
        os.dup2(target, 1)
        os.dup2(target, 2)
        yield
    finally:
        for standard, original in zip((1, 2), saved, strict=True):
            os.dup2(original, standard)
            os.close(original)
