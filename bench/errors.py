"""Errors that a user can mend, in one line each."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from bench.plain_text import MOST_CHARACTERS, one_line, quoted


class BenchError(Exception):
    """Bad input. The command line prints the message as one line and exits with code 2.

    The message says what is wrong, where, and what to do about it. Whatever a file, a path or another exception puts
    into it, it is one line of bounded length without control characters.
    """

    def __init__(self, message: object = "") -> None:
        super().__init__(one_line(str(message), 2 * MOST_CHARACTERS))  # room for another line before it is printed


class SkippedRun(Exception):  # noqa: N818  # not an error: a run that this machine leaves out
    """A run that can't be made on this machine (say, an optional package is absent).

    The run becomes a row with status `skipped` and this message, one line as of a `BenchError`, as its reason.
    """

    def __init__(self, message: object = "") -> None:
        super().__init__(one_line(str(message), 2 * MOST_CHARACTERS))


def reason_of(error: BaseException) -> str:
    """Tells of an exception that nobody foresaw, as the reason of a failed run: its type and its whole message.

    >>> reason_of(KeyError("title"))
    "KeyError: 'title'"
    """
    return one_line(f"{type(error).__name__}: {_text_of(error)}", 300)


def message_of(error: BaseException) -> str:
    r"""Tells within an error message what a library complains of: the first line of its message, as it is.

    The lines after it (a traceback, a dump of a file) are of no use to somebody who can't read the code. A `BenchError`
    spells out and shortens what it is given.

    >>> message_of(ValueError("row 3 has 2 cells\n  in reader.cc:1054"))
    'row 3 has 2 cells'
    >>> message_of(EOFError())
    'EOFError'
    """
    lines = _text_of(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # a stranger's exception may fail at telling what it is
        return "its message can't be read"


class MissingDataError(BenchError, SkippedRun):
    """The files of a data set, which only the user can fetch, are not on this machine.

    A command that needs them ends as with any `BenchError`; in a suite that has other data, the runs on them are
    skipped.
    """


def unknown_name(kind: str, name: str, known: Iterable[str]) -> BenchError:
    """Makes the error for a name that nobody registered, with the nearest known ones.

    Args:
        kind: What was looked up, in the singular ("model", "data set", "suite", "key").
        name: What the user wrote.
        known: Every accepted name.
    """
    choices = sorted(known)
    near = difflib.get_close_matches(name[:200], choices, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(choices)}"
    return BenchError(f"unknown {kind} {quoted(name)}: {hint}")
