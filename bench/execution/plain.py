"""Whatever a model leaves in its diagnostics, as values that JSON can hold."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np

MOST_VALUES = 200_000
"""Numbers and texts of one finding; a larger one belongs into a file of the model's own."""

LONGEST_TEXT = 1_000_000
"""Characters of one text."""

DEEPEST = 50
"""Lists and mappings inside one another; whatever contains itself is deeper."""

_MOST_BITS = 4096
_SEQUENCES = (list, tuple, set, frozenset, deque)


class _TooMuchError(Exception):
    """Something is too large to be kept with a result; the message says what."""


def plain(value: Any) -> Any:
    """A value as JSON has them: None, bool, int, float, str, lists, and dicts by text.

    Arrays and tensors become lists, sets sorted lists, keys texts, and what has no counterpart its own text. Nothing
    raises: of a value that is too large, contains itself or can't be read, a text says so in its place.
    """
    try:
        return _Reading().of(value, 0)
    except _TooMuchError as error:
        return f"left out: {error}"
    except Exception as error:  # a stranger's objects may raise anything, whatever they are asked
        return f"left out: {type(error).__name__}"


def plain_text(text: str) -> str:
    """A text without what UTF-8 can't write (lone surrogates)."""
    return text.encode("utf-8", "replace").decode("utf-8")


class _Reading:
    """Reads one value, and counts what it has read."""

    def __init__(self) -> None:
        self._left = MOST_VALUES

    def of(self, value: Any, depth: int) -> Any:
        self._count(1)
        if depth > DEEPEST:
            raise _TooMuchError(f"nested more than {DEEPEST} deep")
        if value is None or isinstance(value, bool | np.bool_):
            return None if value is None else bool(value)
        if isinstance(value, str):
            return _text(value)
        if isinstance(value, int | float | np.integer | np.floating):
            return _number(value)
        if isinstance(value, Mapping):
            return {_key(key): self.of(entry, depth + 1) for key, entry in value.items()}
        if isinstance(value, _SEQUENCES):
            return self._sequence(value, depth)
        if hasattr(value, "tolist"):  # arrays, tensors, series
            self._count(int(getattr(value, "size", 0)) if isinstance(value, np.ndarray) else 0)
            listed = value.tolist()
            return _text(str(value)) if type(listed) is type(value) else self.of(listed, depth)
        return _text(str(value))

    def _sequence(self, values: Any, depth: int) -> list[Any]:
        self._count(len(values) // 2)  # before millions of them are turned over one by one
        listed = [self.of(value, depth + 1) for value in values]
        return sorted(listed, key=repr) if isinstance(values, set | frozenset) else listed

    def _count(self, values: int) -> None:
        self._left -= values
        if self._left < 0:
            raise _TooMuchError(f"more than {MOST_VALUES:,} values")


def _number(value: Any) -> int | float:
    if isinstance(value, float | np.floating):
        return float(value)
    number = int(value)
    if number.bit_length() > _MOST_BITS:
        raise _TooMuchError(f"a number of {number.bit_length():,} bits")
    return number


def _text(value: str) -> str:
    if len(value) > LONGEST_TEXT:
        raise _TooMuchError(f"a text of {len(value):,} characters")
    return plain_text(str(value))


def _key(key: Any) -> str:
    return _text(key if isinstance(key, str) else str(key))
