"""Reads events from CSV, TSV and parquet files of any origin, strictly: what is read is what stands in the file."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.compute as pc
from numpy.typing import NDArray

from bench.data.events import EventLog
from bench.data.parsing import ids
from bench.data.parsing.cells import NO_TIME, Ids, Table, is_text
from bench.data.parsing.columns import refuse_two_roles
from bench.data.parsing.event_kinds import Kinds, keep_kinds, tell_kinds
from bench.data.parsing.text_tables import Dialect
from bench.data.parsing.times import Column, Rows, read_order, read_times
from bench.errors import BenchError


@dataclass(frozen=True)
class Reading:
    """How a table of events is read, beside which column is what.

    Attributes:
        dialect: Of a text file.
        then: A column of numbers or dates that orders events of equal time, or of equal number in the order column.
        baskets: Whether events of a user with one number in the order column are one basket.
        missing: Words that stand for an empty cell. None: none does, and a user of such a name with more events than
            any other is an error.
        kinds: Which kinds of events count.
        time_format: How times are written, as for `datetime.strptime`. None: by the rules of
            `bench.data.parsing.times`.
        drop_bad_times: Leave out rows whose time is none, instead of raising.
    """

    dialect: Dialect = field(default_factory=Dialect)
    then: str | None = None
    baskets: bool = False
    missing: tuple[str, ...] | None = None
    kinds: Kinds = field(default_factory=Kinds)
    time_format: str | None = None
    drop_bad_times: bool = False


@dataclass(frozen=True)
class _Roles:
    """Which column is what; `clock` holds times or an order."""

    user: str
    item: str
    clock: str | None
    then: str | None
    is_order: bool

    @property
    def needed(self) -> list[str]:
        return [column for column in (self.user, self.item, self.clock, self.then) if column is not None]


def read_events(
    path: Path,
    user: str | None = None,
    item: str | None = None,
    time: str | None = None,
    order: str | None = None,
    drop_incomplete: bool = False,
    drop_duplicates: bool = False,
    reading: Reading | None = None,
) -> EventLog:
    """Reads a table with one row an event.

    Users and items are numbered by their sorted ids, so that nothing depends on how the rows of users are mixed. Ids
    follow `bench.data.parsing.ids`, times `bench.data.parsing.times`; times without a zone are UTC.

    Args:
        path: A file with one of `TABLE_SUFFIXES`.
        user, item: Columns of ids. None: the one with a usual name.
        time: The column of times; `NO_TIME`: the rows of each user are in order. None: the one with a usual name.
        order: Instead of a time, a column of numbers that orders each user's events.
        drop_incomplete: Leave out rows without a user, an item or a time, instead of raising.
        drop_duplicates: Leave out rows whose user, item and time equal an earlier row's. They are counted either way.
        reading: The rest. None: as usual.

    Raises:
        BenchError: The file or a cell can't be used; the message names file and row or column.
    """
    how = reading or Reading()
    _check_options(path, time, order, drop_duplicates, how)
    table = Table(path, how.dialect)
    roles = _roles(table, user, item, (time, order), how)
    notes = [_roles_in_words(table, roles, how.kinds), *table.notes]
    table.notes.clear()
    notes += keep_kinds(table, how.kinds)
    notes += tell_kinds(table, how.kinds, roles.needed)
    notes += _complete(table, roles, how, drop_incomplete)
    clock, then, notes_of_clock = _clock(table, roles, how)
    users, items = table.encode(roles.user), table.encode(roles.item)
    notes += [*_suspects(table, roles, users, items, how), *table.notes, *notes_of_clock]
    log = EventLog(
        users=users.codes,
        items=items.codes,
        times=None if clock is None else clock.times,
        user_ids=users.texts(),
        item_ids=items.texts(),
        ticks=1 if clock is None else clock.ticks,
    )
    if clock is not None and not roles.is_order:
        log, duplicates = _duplicates(log, drop_duplicates, then)
        notes += duplicates
    elif clock is not None:
        log, ties = _in_order(log, then, how.baskets, str(roles.clock))
        notes += ties
    return replace(log, notes=tuple(notes))


def _check_options(path: Path, time: str | None, order: str | None, drop_duplicates: bool, how: Reading) -> None:
    if order is not None and time is not None:
        raise BenchError(f"{path}: --time and --order exclude each other; give one of them")
    without = "--order" if order is not None else "--time none"
    if time == NO_TIME and how.then is not None:
        raise BenchError(f"{path}: --then orders what shares a time or an order; with --time none there is neither")
    if time == NO_TIME or order is not None:
        used = {
            "--duplicates drop": drop_duplicates,
            "--time-format": how.time_format is not None,
            "--bad-times drop": time == NO_TIME and how.drop_bad_times,
        }
        option = next((name for name, is_used in used.items() if is_used), None)
        if option is not None:
            raise BenchError(f"{path}: {option} is about times, and with {without} there are none; leave it out")
    if time == NO_TIME and how.baskets:
        raise BenchError(f"{path}: --baskets needs a time or an order, since a basket is what shares one")


def _roles(
    table: Table, user: str | None, item: str | None, clock: tuple[str | None, str | None], how: Reading
) -> _Roles:
    time, order = clock
    roles = _Roles(
        user=table.find("user", user, "--user"),
        item=table.find("item", item, "--item"),
        clock=(
            table.find("time", order, "--order")
            if order is not None
            else None
            if time == NO_TIME
            else table.find("time", time, "--time")
        ),
        then=None if how.then is None else table.find("time", how.then, "--then"),
        is_order=order is not None,
    )
    ordering = "order" if roles.is_order else "time"
    refuse_two_roles(
        table.path,
        "column",
        {"user": roles.user, "item": roles.item, ordering: roles.clock, "then": roles.then},
    )
    return roles


def _roles_in_words(table: Table, roles: _Roles, kinds: Kinds) -> str:
    """Tells which column was taken for what, which others look like it, and which are left."""
    taken = [f"user is '{roles.user}'{_or_else(table, 'user', roles.user)}"]
    taken.append(f"item is '{roles.item}'{_or_else(table, 'item', roles.item)}")
    if roles.clock is None:
        taken.append("no time: the order of the rows is that of the events")
    elif roles.is_order:
        taken.append(f"the order of events is '{roles.clock}', without time")
    else:
        taken.append(f"time is '{roles.clock}'{_or_else(table, 'time', roles.clock)}")
    if roles.then is not None:
        taken.append(f"ties are ordered by '{roles.then}'")
    used = {*roles.needed, *(column for column, _ in kinds.keep), kinds.rating}
    ignored = [name for name in table.names if name not in used]
    if ignored:
        taken.append(f"not read: {table.listed(ignored)}")
    return "columns: " + ", ".join(taken)


def _or_else(table: Table, role: str, column: str) -> str:
    others = table.others_like(role, column)
    return f" (--{role} might as well name {table.listed(others)})" if others else ""


def _complete(table: Table, roles: _Roles, how: Reading, drop: bool) -> list[str]:
    """Leaves out rows without user, item or time, or raises at the first."""
    words = frozenset(how.missing or ())
    notes = [
        f"--missing {word}: no cell of '{roles.user}' or '{roles.item}' reads so"
        for word in sorted(words - {""})
        if not any(_occurs(table, column, word) for column in (roles.user, roles.item))
    ]
    missing = {}
    for column in roles.needed:
        is_id = column in (roles.user, roles.item)
        if not is_id and not (how.time_format and column == roles.clock):
            table.numbers_if_all(column)
        missing[column] = table.missing(column, words if is_id else words | ids.NO_NUMBER)
    if not drop:
        for column, rows in missing.items():
            table.fail_at(rows, column, "is empty; fill it, or leave such rows out with --incomplete drop")
        return notes
    incomplete = np.logical_or.reduce(list(missing.values()))
    if incomplete.all():
        raise BenchError(f"{table.path}: every row lacks a user, an item or a time")
    if not incomplete.any():
        return notes
    table.keep(~incomplete)
    return [*notes, f"{int(incomplete.sum()):,} of {len(incomplete):,} rows without user, item or time are left out"]


def _occurs(table: Table, column: str, word: str) -> bool:
    cells = table.cells[column]
    return is_text(cells.type) and bool(pc.any(pc.equal(pc.utf8_trim_whitespace(cells), word)).as_py())


def _clock(table: Table, roles: _Roles, how: Reading) -> tuple[Column | None, Column | None, list[str]]:
    """Times or order, the second key, and what there is to say; rows whose time is none are left out or an error."""
    columns: list[Column | None] = []
    notes: list[str] = []
    for name, is_order in ((roles.clock, roles.is_order), (roles.then, True)):
        if name is None:
            columns.append(None)
            continue
        column = _column(table, name, is_order, how)
        bad = column.is_bad()
        if bad.all():
            first = table.message(0, name, "the first holds '{}'")
            raise BenchError(f"{table.path}: no row has a time in column '{name}'; {first}")
        if bad.any():
            notes.append(_left_out(table, name, column, bad))
            table.keep(~bad)
            column = _column(table, name, is_order, how)
            columns = [None if other is None else replace(other, times=other.times[~bad]) for other in columns]
        columns.append(column)
        notes += column.notes
        notes += [
            f"{int(odd.rows.sum()):,} rows {table.message(int(odd.rows.argmax()), name, odd.text)} "
            f"(row {table.row_number(int(odd.rows.argmax()))})"
            for odd in column.odd
        ]
    return columns[0], columns[1], notes


def _column(table: Table, name: str, is_order: bool, how: Reading) -> Column:
    """A column of times or of an order; raises at the first bad cell, unless such rows are to be left out."""
    try:
        cells = table.cells[name]
        column = read_order(cells) if is_order else read_times(cells, how.time_format)
    except BenchError as error:
        raise BenchError(f"{table.path}: column '{name}' {error}") from None
    if column.mixed is not None:
        table.fail_at(column.mixed.rows, name, column.mixed.text)
    if not how.drop_bad_times and column.bad:
        first: Rows = min(column.bad, key=lambda some: int(some.rows.argmax()))
        table.fail_at(first.rows, name, f"{first.text}; mend it, or leave such rows out with --bad-times drop")
    return column


def _left_out(table: Table, name: str, column: Column, bad: NDArray[np.bool_]) -> str:
    row = int(bad.argmax())
    first = next(some for some in column.bad if some.rows[row])
    return (
        f"{int(bad.sum()):,} of {len(bad):,} rows whose '{name}' is none are left out; the first, row "
        f"{table.row_number(row)}, {table.message(row, name, first.text)}"
    )


def _suspects(table: Table, roles: _Roles, users: Ids, items: Ids, how: Reading) -> list[str]:
    """Tells what there is to say of ids that are names of columns, or words for a missing value.

    Raises:
        BenchError: The first row is data, or a word for a missing value has more events than any other user.
    """
    notes = []
    if table.first_row == 2:
        again = users.codes == pc.index(users.names, roles.user).as_py()
        if again.any():
            both = again & (items.codes == pc.index(items.names, roles.item).as_py())
            table.fail_at(both, roles.user, "repeats the names of the columns; remove the row")
            raise table.headless(f"column '{roles.user}' holds '{roles.user}' again")
    for role, column, encoded in (("user", roles.user, users), ("item", roles.item, items)):
        words = ids.missing_words(encoded.names) if "" not in (how.missing or ()) else []
        if not words:
            continue
        counts = np.bincount(encoded.codes, minlength=len(encoded.names))
        word = encoded.names[max(words, key=lambda code: int(counts[code]))].as_py()
        if role == "user" and counts[words].max() > np.delete(counts, words).max(initial=0) and counts[words].max() > 1:
            raise _giant(table, column, encoded, word)
        shown = ", ".join(f"'{encoded.names[code].as_py()}' {counts[code]:,}" for code in words[:6])
        notes.append(
            f"column '{column}': words for a missing value are {role}s like others (events: {shown}); --missing {word} "
            "takes them for empty cells"
        )
    return notes


def _giant(table: Table, column: str, users: Ids, word: str) -> BenchError:
    code = pc.index(users.names, word).as_py()
    row, count = int((users.codes == code).argmax()), int((users.codes == code).sum())
    others = table.others_like("user", column)
    instead = f", or take {table.listed(others)} with --user" if others else ""
    return BenchError(
        f"{table.path}, row {table.row_number(row)}, column '{column}': '{word}' usually means a missing value, and "
        f"would be the user with most events ({count:,}); say --missing {word} if such cells are empty, --missing '' "
        f"if that is a user{instead}"
    )


def _duplicates(log: EventLog, drop: bool, then: Column | None) -> tuple[EventLog, list[str]]:
    """Counts rows that equal an earlier one, leaves them out on request, and orders ties by the second key."""
    again = _equal_an_earlier_one(log)
    notes: list[str] = []
    if again.any():
        fate = "left out" if drop else "kept as events of their own (--duplicates drop leaves them out)"
        notes.append(f"{int(again.sum()):,} rows equal an earlier one in user, item and time; {fate}")
    rows: NDArray[np.integer] | None = np.flatnonzero(~again) if drop and again.any() else None
    if then is not None:
        assert log.times is not None
        keys = [key if rows is None else key[rows] for key in (then.times, log.times, log.users)]
        order = np.lexsort(keys)
        rows = order if rows is None else rows[order]
    return (log if rows is None else _taken(log, rows)), notes


def _equal_an_earlier_one(log: EventLog) -> NDArray[np.bool_]:
    """Returns bool `[n_events]`, True where user, item and time are those of an earlier row."""
    assert log.times is not None
    first, span = log.times.min(), int(log.times.max()) - int(log.times.min()) + 1
    if log.times.dtype == np.int64 and len(log.user_ids) * len(log.item_ids) * span < 2**63:
        key = (log.users.astype(np.int64) * len(log.item_ids) + log.items) * span + (log.times - first)
        return pd.Series(key).duplicated().to_numpy()
    return pd.DataFrame({"user": log.users, "item": log.items, "time": log.times}).duplicated().to_numpy()


def _taken(log: EventLog, rows: NDArray[np.integer]) -> EventLog:
    times = None if log.times is None else log.times[rows]
    return replace(log, users=log.users[rows], items=log.items[rows], times=times)


def _in_order(log: EventLog, then: Column | None, baskets: bool, column: str) -> tuple[EventLog, list[str]]:
    """User after user, each sorted by the order column, which then has done its work but for baskets."""
    assert log.times is not None
    keys = [log.times, log.users] if then is None else [then.times, log.times, log.users]
    log = _taken(log, np.lexsort(keys))
    assert log.times is not None
    opens = np.ones(len(log), dtype=bool)
    opens[1:] = (np.diff(log.users) != 0) | (log.times[1:] != log.times[:-1])
    ties = int((~opens).sum())
    if baskets:
        # Not the numbers themselves: how far apart they are means nothing.
        first = np.cumsum(opens) - 1
        begins = np.flatnonzero(np.append(True, np.diff(log.users) != 0))
        number = first - np.repeat(first[begins], np.diff(np.append(begins, len(log))))
        return replace(log, times=None, baskets=number), [f"events of a user with one '{column}' are one basket"]
    notes = []
    if ties:
        remedy = (
            ""
            if then is not None
            else "; they keep the order of the file (--then COLUMN orders them, --baskets makes one)"
        )
        notes.append(f"{ties:,} events share their '{column}' with the user's event before{remedy}")
    return replace(log, times=None), notes
