"""Ctrl-C, SIGTERM and SIGHUP: each ends a command in the same way, with one line, and no worker process stays behind.

Light enough to be imported before everything else: an interrupt during start-up is one line, too.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

EXIT_CODE = 130
"""What a shell reports of a command that Ctrl-C has ended."""

MESSAGE = "interrupted; complete results are kept, and the same command goes on from there"

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SECONDS_OF_ONE_INTERRUPT = 1.0
"""Presses of a key within this time are one interrupt."""

_SECONDS_TO_END = 10.0
"""When a command has not ended by then, the next press ends it at once; its workers end with it."""


@dataclass
class _State:
    """What has happened so far: `first` is the time of the first interrupt (`time.monotonic`)."""

    starting: bool = False
    closing: bool = False
    first: float | None = None


_state = _State()


def listen() -> None:
    """Takes the three signals over, before the heavy imports; until `begin` there is nothing to be cleaned up.

    A signal that the process was told to ignore stays ignored: `nohup` keeps its meaning.
    """
    _state.starting = True
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _on_signal)


def begin() -> None:
    """From now on an interrupt raises KeyboardInterrupt in the main thread."""
    _state.starting = False


def end() -> None:
    """Ignores what is still to come: the command has said its last line, and its exit code stays what it is."""
    _state.closing = True  # a signal that has come, and that Python has not turned to yet, changes nothing any more
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    _forget_interrupted_text()


def _forget_interrupted_text() -> None:
    """Has Python forget that KeyboardInterrupt has passed through Python code that was given as text.

    Such code is run wherever a dataclass or a named tuple is made, so during many an import. Python notes the exception
    although it was handled further up, and then ends the process by SIGINT instead of with its exit code, if it was
    started with `-m` (`_Py_UnhandledKeyboardInterrupt`, Modules/main.c). The next code given as text takes it back.
    """
    exec("")


@contextmanager
def closing() -> Iterator[None]:
    """A block that an interrupt does not break off: workers are ended in it, and files removed.

    Raises:
        KeyboardInterrupt: At its end, when the interrupt came meanwhile.
    """
    interrupted_before = _state.first is not None
    _state.closing = True
    try:
        yield
    finally:
        _state.closing = interrupted_before  # then the way out is one long cleaning
        if _state.first is not None and not interrupted_before:
            raise KeyboardInterrupt


def _on_signal(number: int, frame: FrameType | None) -> None:
    now = time.monotonic()
    if _state.first is None:
        _state.first = now
        if _state.starting:
            _leave()
        if not _state.closing:
            raise KeyboardInterrupt
    elif now - _state.first > _SECONDS_TO_END:
        _leave()
    elif not _state.closing and now - _state.first > _SECONDS_OF_ONE_INTERRUPT:
        raise KeyboardInterrupt  # something has swallowed the first one


def _leave() -> None:
    os.write(2, f"error: {MESSAGE}\n".encode())
    os._exit(EXIT_CODE)
