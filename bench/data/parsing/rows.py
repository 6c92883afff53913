"""What becomes of a row that can't be used, or that repeats another: one rule and the same words for every format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from bench.data.events import EventLog
from bench.data.parsing.ids import LOST_DIGITS, MISSING_WORDS, canonical, rounded
from bench.errors import BenchError

_FLAGS = 1 << 28
"""Pairs of a user and an item for each of which a flag is kept while duplicates are looked for."""
_NO_TEXT = frozenset((0, *range(0xD800, 0xE000)))
"""Characters that end a string in other programs, or stand for half a letter of UTF-16."""


@dataclass(frozen=True)
class RowRules:
    """What a user wants done with rows that are not plain events.

    Attributes:
        drop_incomplete: Leave out and count rows that lack a user, an item or a time, or that can't be read, instead of
            raising.
        drop_duplicates: Leave out rows whose user, item and time equal an earlier row's.
        count_duplicates: Say how many there are. The built-in releases are known, and spare themselves the search.
    """

    drop_incomplete: bool = False
    drop_duplicates: bool = False
    count_duplicates: bool = True


BUILT_IN = RowRules(count_duplicates=False)
"""For a registered release: strict, and its duplicates are known."""


class RowCheck:
    """Raises at the first row that can't be used, or counts such rows where they are to be left out.

    Attributes:
        where: The file.
        left_out: How many rows were refused so far.
    """

    def __init__(self, where: str | Path, rules: RowRules, unit: str = "line") -> None:
        self.where, self._drop, self._unit = where, rules.drop_incomplete, unit
        self._first: tuple[int, str] | None = None
        self.left_out = 0

    def refuse(self, number: int, problem: str, count: int = 1) -> None:
        """Refuses row `number` of the file, and `count - 1` others of the same kind after it.

        Raises:
            BenchError: Such rows aren't to be left out.
        """
        if not self._drop:
            hint = f"mend it, or leave such {self._unit}s out with --incomplete drop"
            raise BenchError(f"{self.where}, {self._unit} {number}: {problem}; {hint}")
        self.left_out += count
        if self._first is None or number < self._first[0]:
            self._first = (number, problem)

    def refuse_where(
        self, bad: NDArray[np.bool_], numbers: NDArray[np.integer], problem: str, cells: pd.Series
    ) -> None:
        """Refuses the rows that are bad; `{}` in `problem` stands for the cell of the first.

        Args:
            bad, numbers: `[n]`, which rows, and the number of each in the file.
            problem: What is wrong.
            cells: `[n]`, for the message.
        """
        if bad.any():
            row = int(bad.argmax())
            self.refuse(int(numbers[row]), problem.replace("{}", str(cells.iloc[row])[:60]), int(bad.sum()))

    def notes(self, total: int) -> tuple[str, ...]:
        """Writes a sentence on what was left out of `total` rows; none where nothing was.

        Raises:
            BenchError: Nothing is left.
        """
        if self._first is None:
            return ()
        number, problem = self._first
        if self.left_out >= total:
            raise BenchError(f"{self.where}: no {self._unit} can be used; {self._unit} {number}: {problem}")
        return (
            f"{self.left_out:,} of {total:,} {self._unit}s can't be used and are left out (--incomplete drop); the "
            f"first is {self._unit} {number}: {problem}",
        )


def with_duplicates_judged(log: EventLog, where: str | Path, rules: RowRules) -> EventLog:
    """Returns the log with a note on rows that equal an earlier one in user, item and time, or without these.

    Raises:
        BenchError: They are to be left out, and there is no time to know them by.
    """
    if log.times is None:
        if rules.drop_duplicates:
            raise BenchError(
                f"{where}: --duplicates drop needs a time: without one a duplicate looks like a repeat; leave it out"
            )
        return log
    if not (rules.count_duplicates or rules.drop_duplicates):
        return log
    again = _again(log)
    if not again.any():
        return log
    fate = "left out" if rules.drop_duplicates else "kept as events of their own (--duplicates drop leaves them out)"
    notes = (*log.notes, f"{int(again.sum()):,} rows equal an earlier one in user, item and time; {fate}")
    if not rules.drop_duplicates:
        return replace(log, notes=notes)
    return replace(log, users=log.users[~again], items=log.items[~again], times=log.times[~again], notes=notes)


def _again(log: EventLog) -> NDArray[np.bool_]:
    """Returns bool `[n_events]`, True where user, item and time are those of an earlier row."""
    again = np.zeros(len(log), dtype=bool)
    pairs = pd.Series(log.users.astype(np.int64) * len(log.item_ids) + log.items)
    if (
        n_pairs := len(log.user_ids) * len(log.item_ids)
    ) <= _FLAGS:  # often no pair is there twice, and flags are quick
        met = np.zeros(n_pairs, dtype=bool)
        met[pairs] = True
        if np.count_nonzero(met) == len(log):
            return again
    candidates = np.flatnonzero(pairs.duplicated(keep=False))
    if len(candidates) and log.times is not None:
        rows = pd.DataFrame({"pair": pairs.to_numpy()[candidates], "time": log.times[candidates]})
        again[candidates] = rows.duplicated().to_numpy()
    return again


def one_spelling(ids: pd.Index, what: str) -> tuple[pd.Index, tuple[str, ...]]:
    """Writes each id in the one form that it has in every file of a data set.

    Blanks around an id don't count, nor does the Unicode form of its letters, and a whole number that was written as a
    fraction (`7.0`) is that number. All else is text, words for a missing value included, which are suspect.

    Args:
        ids: Different ids as they stand in a file.
        what: What they name, in the plural, for the notes.

    Returns:
        The ids at the same indices, of which some may now be alike, and a note on each kind of change.

    Raises:
        BenchError: An id can't be written, or is a number that lost digits.
    """
    written = ids.to_numpy(dtype=object)
    for name in written.tolist():
        _refuse_halves(name)
    texts = pa.array(written, type=pa.string())
    lost = rounded(texts)
    if lost.any():
        raise BenchError(f"'{written[lost.argmax()]}' among the {what} is {LOST_DIGITS}; write ids as text")
    plain = canonical(texts).to_numpy(zero_copy_only=False)
    changed = np.flatnonzero(plain != written)
    notes = []
    if len(changed):
        first = changed[0]
        merged = len(plain) - len(set(plain.tolist()))
        alike = f"; {merged:,} of them are then one with another" if merged else ""
        notes.append(
            f"{len(changed):,} {what} are written as in '{written[first]}' and read as '{plain[first]}'{alike}"
        )
    suspect = [name for name in plain.tolist() if name.lower() in MISSING_WORDS]
    if suspect:
        shown = ", ".join(f"'{name}'" for name in suspect[:3])
        notes.append(f"{shown} among the {what} is taken for an id, though programs write it for a missing value")
    return pd.Index(plain, dtype=object), tuple(notes)


def _refuse_halves(name: str) -> None:
    if not name.isprintable() and any(ord(letter) in _NO_TEXT for letter in name):
        raise BenchError(f"the id {name[:60]!a} holds a NUL character or half a letter, and can't be written; mend it")


def respelled(
    codes: NDArray[np.integer], written: Sequence[str] | pd.Index, what: str
) -> tuple[NDArray[np.integer], NDArray[np.str_], tuple[str, ...]]:
    """Codes and ids by code after `one_spelling`, which may make one id of several."""
    plain, notes = one_spelling(pd.Index(written, dtype=object), what)
    if not plain.has_duplicates:
        return codes, plain.to_numpy(dtype=np.str_), notes
    merged, ids = pd.factorize(plain)
    return merged[codes], np.asarray(ids, dtype=np.str_), notes


def coded(
    cells: pd.Series | NDArray[np.object_], what: str
) -> tuple[NDArray[np.integer], NDArray[np.str_], tuple[str, ...]]:
    """Encodes a column of ids: codes `[n]`, and ids by code in the order of first appearance; see `one_spelling`."""
    codes, written = pd.factorize(cells)
    return respelled(codes, written, what)
