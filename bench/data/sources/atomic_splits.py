"""Atomic files that come as parts of a split: `NAME.train.inter`, `NAME.valid.inter` and `NAME.test.inter`.

RecBole knows two forms (its `benchmark_filename`). Either every row of a part is an event, or it is a sample: a target
with the items before it in `item_id_list`. Both become one row of events per user and a `ShippedSplit`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.data.dataset import Dataset, ShippedSplit
from bench.data.events import EventLog
from bench.data.fingerprint import with_hash
from bench.data.parsing.rows import RowRules, with_duplicates_judged
from bench.data.sources.atomic_events import HISTORY_SUFFIX, FieldChoice, read_atomic_log
from bench.errors import BenchError

PARTS = ("train", "valid", "test")
SYNONYMS = {
    "train": "train",
    "training": "train",
    "valid": "valid",
    "validation": "valid",
    "val": "valid",
    "dev": "valid",
}
_PART = re.compile(rf"(?:(.+)[._-])?({'|'.join([*SYNONYMS, 'test'])})\.inter", re.IGNORECASE)
_PADDING = ("0", "[PAD]")
"""What fills up the histories of samples to one length, where no item is called so."""


@dataclass(frozen=True)
class SplitFiles:
    """The parts of one data set.

    Attributes:
        stem: The data set's name among its files, "" where they are called `train.inter` and so on.
        parts: By `PARTS`.
    """

    stem: str
    parts: dict[str, Path]

    @property
    def parent(self) -> Path:
        return next(iter(self.parts.values())).parent

    @property
    def listed(self) -> str:
        return ", ".join(self.parts[part].name for part in PARTS if part in self.parts)


@dataclass(frozen=True)
class SplitLog:
    """The events of a split.

    Attributes:
        log: User after user, in the order of events.
        parts: int8 `[n_events]`, index into `PARTS`: whose target the event is; -1: it only stands in histories.
        sampled: Whether the parts hold samples, so that a query's history is all that comes before its target;
            else it is all that comes before the target's part.
    """

    log: EventLog
    parts: NDArray[np.int8]
    sampled: bool


def part_of(path: Path) -> tuple[str, str] | None:
    """Returns the data set's name and the part (one of `PARTS`) of a file that is called like one."""
    match = _PART.fullmatch(path.name)
    if match is None:
        return None
    return match[1] or "", SYNONYMS.get(match[2].lower(), "test")


def split_files(folder: Path) -> dict[str, SplitFiles]:
    """Lists the files of a folder that are parts of a split, by the name of their data set.

    Raises:
        BenchError: Two files are the same part.
    """
    splits: dict[str, SplitFiles] = {}
    for path in sorted(folder.glob("*.inter")):
        if (named := part_of(path)) is not None:
            stem, part = named
            parts = splits.setdefault(stem, SplitFiles(stem, {})).parts
            if part in parts:
                raise BenchError(f"{path} and {parts[part].name} are both the {part} part; move one away")
            parts[part] = path
    return splits


def read_split(files: SplitFiles, choice: FieldChoice, rules: RowRules) -> tuple[SplitLog, str]:
    """Reads the parts, and gives the name of the field that holds items, too.

    Raises:
        BenchError: A part is missing or malformed, an event of a part comes before one of an earlier part, or the
            history of a sample isn't what comes before it. The message names file and line.
    """
    missing = [part for part in PARTS if part not in files.parts]
    if missing:
        raise BenchError(
            f"{files.parent} holds {files.listed}, but no {missing[0]} part of this split; add it, or keep all "
            f"events in one file, {files.stem or 'NAME'}.inter, for a protocol that divides them"
        )
    train = read_atomic_log(files.parts["train"], choice, rules)
    read = [train, *(read_atomic_log(files.parts[part], train.choice, rules) for part in PARTS[1:])]
    together = joined([events.log for events in read], np.concatenate([events.lines for events in read]), files)
    item_field = train.choice.item or ""
    histories = f"{item_field}{HISTORY_SUFFIX}"
    with_lists = [histories in events.cells for events in read]
    if any(with_lists) and not all(with_lists):
        raise BenchError(
            f"{files.listed}: only some of these parts have the field {histories}; give all of them one form"
        )
    if not all(with_lists):
        return plain_rows(together, files, rules), item_field
    lists = pd.concat([events.cells[histories] for events in read]).to_numpy()
    return _samples(together, lists, files, rules), item_field


def with_shipped_split(dataset: Dataset, split: SplitLog) -> Dataset:
    """Returns the data set that was assembled from the log of a split, with that split.

    A query whose history is empty is left out and counted.
    """
    interactions = dataset.interactions
    users = np.repeat(np.arange(interactions.n_users), interactions.lengths)
    positions = interactions.positions().astype(np.int64)
    counts = [np.bincount(users[split.parts == part], minlength=interactions.n_users) for part in range(3)]
    begins = [interactions.lengths - counts[1] - counts[2], interactions.lengths - counts[2]]
    queries: list[NDArray[np.integer]] = []
    notes: list[str] = []
    for part, begin in zip((1, 2), begins, strict=True):
        events = np.flatnonzero(split.parts == part)
        ends = positions[events].astype(np.int64) if split.sampled else begin[users[events]]
        if lonely := int((ends == 0).sum()):
            notes.append(f"{lonely:,} {PARTS[part]} targets of users without any event before them are no queries")
        events, ends = events[ends > 0], ends[ends > 0]
        queries += [users[events], ends, interactions.items[events]]
    learned = np.flatnonzero((split.parts == 0) & (positions > 0))
    default = int((begins[0] - 1).clip(0).sum())
    targets = (users[learned], positions[learned]) if len(learned) != default else (None, None)
    shipped = ShippedSplit(begins[0], *queries, *targets)  # type: ignore[arg-type]  # three arrays a part
    return with_hash(replace(dataset, shipped_split=shipped, filters=(*dataset.filters, *notes)))


@dataclass(frozen=True)
class Joined:
    """The rows of all parts, part after part, sorted by user and, there, by part and time.

    Attributes:
        log: One log, with the ids of all parts.
        parts: int8 `[n]`, index into `PARTS`.
        file_rows: Of each row, its index among the rows of all files.
        lines: `[n]`, the line in its file. None: nobody knows.
    """

    log: EventLog
    parts: NDArray[np.int8]
    file_rows: NDArray[np.int64]
    lines: NDArray[np.integer] | None

    def where(self, row: int, files: SplitFiles) -> str:
        file = f"{files.parts[PARTS[self.parts[row]]]}"
        return file if self.lines is None else f"{file}, line {self.lines[row]}"


def joined(logs: Sequence[EventLog], lines: NDArray[np.integer] | None, files: SplitFiles) -> Joined:
    """Puts the events of all parts together.

    Args:
        logs: Of each of `PARTS`.
        lines: Of all events, part after part, the line in its file. None: nobody knows.
        files: Whose events they are.

    Raises:
        BenchError: The parts give times in different units.
    """
    users, user_ids = pd.factorize(np.concatenate([log.user_ids.astype(object)[log.users] for log in logs]))
    items, item_ids = pd.factorize(np.concatenate([log.item_ids.astype(object)[log.items] for log in logs]))
    ticks = {log.ticks for log in logs}
    if len(ticks) > 1:
        raise BenchError(f"{files.listed}: the parts give times in different units; write all of them in seconds")
    parts = np.repeat(np.arange(3, dtype=np.int8), [len(log) for log in logs])
    times = None
    order = np.lexsort((parts, users))
    if logs[0].times is not None:
        times = np.concatenate([log.times for log in logs if log.times is not None])
        order = np.lexsort((times, parts, users))
    notes = list(logs[0].notes)
    if any(log.notes != logs[0].notes for log in logs):
        notes = [
            f"{files.parts[part].name}: {note}" for part, log in zip(PARTS, logs, strict=True) for note in log.notes
        ]
    log = EventLog(
        users[order],
        items[order],
        None if times is None else times[order],
        np.asarray(user_ids, dtype=np.str_),
        np.asarray(item_ids, dtype=np.str_),
        logs[0].ticks,
        tuple(notes),
    )
    return Joined(log, parts[order], order, None if lines is None else lines[order])


def plain_rows(joined: Joined, files: SplitFiles, rules: RowRules) -> SplitLog:
    """Every row is an event, and the events of a user's later part may not come before those of an earlier one."""
    log = joined.log
    if log.times is not None:
        back = (np.diff(log.users) == 0) & (np.diff(log.times) < 0)
        if back.any():
            row = int(back.argmax()) + 1
            raise BenchError(
                f"{joined.where(row, files)}: user '{log.user_ids[log.users[row]]}' has a later event in an earlier "
                "part, so the split isn't one in time, and no history ends before its queries; give all in one file"
            )
    if rules.drop_duplicates:
        raise BenchError(f"{files.listed}: --duplicates drop would change a shipped split; leave it out")
    counted = with_duplicates_judged(log, files.listed, rules)
    note = (
        f"{files.listed} are one split (protocol shipped): each row of the valid and test parts is a query after all "
        "of the user's rows in the parts before it; other protocols divide anew"
    )
    return SplitLog(replace(counted, notes=(note, *counted.notes)), joined.parts, False)


def _samples(joined: Joined, lists: NDArray[np.object_], files: SplitFiles, rules: RowRules) -> SplitLog:
    """Puts the events of each user together again from samples whose histories overlap."""
    if rules.drop_duplicates:
        raise BenchError(f"{files.listed}: --duplicates drop would change a shipped split; leave it out")
    log = joined.log
    names = log.item_ids.tolist()
    code_of = {name: code for code, name in enumerate(names)}
    padding = [word for word in _PADDING if word not in code_of]
    sequences: list[list[int]] = []
    marks: list[list[int]] = []
    previous = -1
    for row, user in enumerate(log.users.tolist()):
        words = [word for word in lists[joined.file_rows[row]].split() if word not in padding]
        history = [code_of.setdefault(word, len(code_of)) for word in words]
        if user != previous:
            sequences.append(history)
            marks.append([-1] * len(history))
            previous = user
        elif not history or sequences[-1][-len(history) :] != history:
            raise BenchError(
                f"{joined.where(row, files)}: the history in its list is not what user '{log.user_ids[user]}' did in "
                "the samples before; such parts can't be put together to one history a user"
            )
        sequences[-1].append(int(log.items[row]))
        marks[-1].append(int(joined.parts[row]))
    lengths = [len(sequence) for sequence in sequences]
    fillers = [word for word in padding if any(word in line.split() for line in lists)]
    filler = f"; {' and '.join(map(repr, fillers))} in a history is padding" if fillers else ""
    note = (
        f"{files.listed} are one split of samples (protocol shipped); {len(log):,} samples were put together to "
        f"{sum(lengths):,} events in order, whose times are left out, since the events of the first histories have none"
        f"{filler}"
    )
    whole = EventLog(
        users=np.repeat(np.arange(len(lengths)), lengths),
        items=np.concatenate([np.array(sequence, dtype=np.int64) for sequence in sequences]),
        times=None,
        user_ids=log.user_ids[pd.unique(log.users)],
        item_ids=np.array(list(code_of), dtype=np.str_),
        notes=(note, *log.notes),
    )
    return SplitLog(whole, np.concatenate([np.array(mark, dtype=np.int8) for mark in marks]), True)
