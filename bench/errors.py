"""Errors that a user can mend, in one line each."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from bench.plain_text import MOST_CHARACTERS, one_line, quoted

_MOST_LISTED, _MOST_SUGGESTED, _LONGEST_COMPARED = 8, 3, 200
_LIKE, _LIKE_IN_PART, _BEHIND = 0.5, 0.75, 0.25
"""How like a name a suggestion has to be, how like its last part, and how far behind the best one it may be."""

_LISTED_BY = {"model": "list models", "data set": "list datasets", "suite": "list suites"}


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
    """Makes the error for a name that nobody registered, with the nearest known ones; never with a long list.

    Args:
        kind: What was looked up, in the singular ("model", "data set", "suite", "key").
        name: What the user wrote.
        known: Every accepted name.
    """
    choices = sorted(map(str, known))
    near = nearest(name, choices)
    if near:
        hint = f"did you mean {' or '.join(near)}?"
    elif len(choices) <= _MOST_LISTED:
        hint = f"known: {', '.join(choices)}"
    else:
        hint = f"there are {len(choices)}, such as {', '.join(choices[:3])}"
        hint += f"; `python -m bench {_LISTED_BY[kind]}` shows all" if kind in _LISTED_BY else ""
    return BenchError(f"unknown {kind} {quoted(name)}: {hint}")


def nearest(name: str, choices: Iterable[str]) -> list[str]:
    """The few choices that somebody may have meant, the likeliest first; none where nothing is like it.

    Of dotted keys the last part counts by itself, too: nobody remembers where a key stands.

    >>> nearest("dimm", ["network.dim", "network.heads", "beam"]), nearest("galss", ["glass", "tiger"])
    (['network.dim'], ['glass'])
    >>> nearest("zzz", ["glass", "tiger"])
    []
    """
    wanted = name[:_LONGEST_COMPARED].lower()
    last = wanted.rpartition(".")[2]

    def likeness(choice: str) -> float:
        whole = difflib.SequenceMatcher(None, choice.lower(), wanted).ratio()
        part = choice.lower().rpartition(".")[2]
        by_last = difflib.SequenceMatcher(None, part, last).ratio() if "." in choice or "." in wanted else 0.0
        return max(whole, by_last if by_last >= _LIKE_IN_PART else 0.0)

    scored = sorted((-score, len(choice), choice) for choice in choices if (score := likeness(choice)) >= _LIKE)
    # What is much less like it than the first one was not meant.
    return [choice for score, _, choice in scored[:_MOST_SUGGESTED] if -score >= -scored[0][0] - _BEHIND]
