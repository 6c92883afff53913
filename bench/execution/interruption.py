"""Ctrl-C, SIGTERM and SIGHUP: each ends a command in the same way, with one line, and no worker process stays behind.

Light enough to be imported before everything else: an interrupt during start-up is one line, too.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import NoReturn

EXIT_CODE = 130
"""What a shell reports of a command that Ctrl-C has ended."""

MESSAGE = "interrupted; complete results are kept, and the same command goes on from there"

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SECONDS_OF_ONE_INTERRUPT = 1.0
"""Presses of a key within this time are one interrupt."""

_SECONDS_TO_END = 10.0
"""When a command has not ended by then, the next press ends it at once; its workers end with it."""

_SECONDS_TO_WAIT = 0.05
"""After which it is looked whether an interrupt that waits can be raised."""


@dataclass
class _State:
    """What has happened so far: `first` is the time of the first interrupt (`time.monotonic`).

    `waiting` says that it has not been raised yet, or not where it could reach anybody.
    """

    starting: bool = False
    closing: bool = False
    first: float | None = None
    waiting: bool = False


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
    """From now on an interrupt raises KeyboardInterrupt in the main thread, though not within an import.

    What compiled packages do while they are imported calls Python, too, and an exception that strikes there ends the
    process with a dump of the stack ("terminate called after throwing an instance of 'pybind11::error_already_set'").
    Where it strikes in a place that nothing can be raised from, as in the destructor of an object, it is raised again.
    """
    _state.starting = False
    others = sys.unraisablehook

    def raise_again(unraisable: sys.UnraisableHookArgs) -> None:
        if isinstance(unraisable.exc_value, KeyboardInterrupt):
            _wait()
        else:
            others(unraisable)

    sys.unraisablehook = raise_again


def end() -> None:
    """Ignores what is still to come: the command has said its last line, and its exit code stays what it is."""
    _state.closing = True  # a signal that has come, and that Python has not turned to yet, changes nothing any more
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    if _state.waiting:
        _look_again(after=0)
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
    interrupted_before = _state.first is not None and not _state.waiting
    _state.closing = True
    try:
        yield
    finally:
        _state.closing = interrupted_before  # then the way out is one long cleaning
        if _state.first is not None and not interrupted_before:
            _raise()


def _on_signal(number: int, frame: FrameType | None) -> None:
    now = time.monotonic()
    if _state.first is None:
        _state.first = now
        if _state.starting:
            _leave()
        _interrupt(frame)
    elif now - _state.first > _SECONDS_TO_END:
        _leave()
    elif now - _state.first > _SECONDS_OF_ONE_INTERRUPT:
        _interrupt(frame)  # something has swallowed the first one


def _on_alarm(number: int, frame: FrameType | None) -> None:
    if _state.waiting:  # else `closing` has raised it meanwhile
        _interrupt(frame)


def _interrupt(frame: FrameType | None) -> None:
    """Raises KeyboardInterrupt, now or as soon as it is safe."""
    if _state.closing:
        return
    if _is_importing(frame):
        _wait()
    else:
        _raise()


def _wait() -> None:
    _state.waiting = True
    _look_again(after=_SECONDS_TO_WAIT)


def _raise() -> NoReturn:
    _state.waiting = False
    raise KeyboardInterrupt


def _look_again(after: float) -> None:
    """Has `_on_alarm` called after some seconds; never with 0."""
    signal.signal(signal.SIGALRM, _on_alarm if after else signal.SIG_IGN)
    signal.siginterrupt(signal.SIGALRM, False)  # what the import reads goes on
    signal.setitimer(signal.ITIMER_REAL, after)


def _is_importing(frame: FrameType | None) -> bool:
    """Whether the interrupted code imports a module for a function of the bench.

    Where the bench itself was started by a module that is being imported, this import lies further out, and lasts as
    long as the bench.
    """
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        if frame.f_globals.get("__name__", "").startswith("bench.") and frame.f_code.co_name != "<module>":
            return False
        frame = frame.f_back
    return False


def _leave() -> None:
    os.write(2, f"error: {MESSAGE}\n".encode())
    os._exit(EXIT_CODE)
