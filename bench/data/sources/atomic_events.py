"""From RecBole's atomic files to events and items: which field means what, by its name and by its values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.data.events import EventLog, ItemFacts
from bench.data.parsing.cells import NO_TIME
from bench.data.parsing.columns import USUAL_NAMES, refuse_two_roles
from bench.data.parsing.rows import RowCheck, RowRules, coded, one_spelling
from bench.data.parsing.time_fields import ParsedTimes, parse_times
from bench.data.sources.atomic_files import AtomicCells, read_atomic_cells
from bench.data.sources.item_files import CATEGORY_NAMES
from bench.errors import BenchError

_TIME_WORDS = re.compile(r"time|date|unix|epoch|stamp|when|created|^ts$|^t$|^day$")
_OTHER_WORDS = re.compile(
    r"rating|rate|score|label|price|weight|count|num|quantity|amount|duration|length|ratio|age$|id$"
)
"""In the names of numbers that are no times."""
HISTORY_SUFFIX = "_list"
"""What RecBole puts after the name of the field of items to name that of the items before each."""
_TIME_OF_DAY = re.compile(r"\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?")
_DAY = 86_400
_SINGLE = ("token", "float")
_MOSTLY = 0.9
"""Share of a user's neighbouring rows between which a field must differ to be taken for a possible order."""


@dataclass(frozen=True)
class FieldChoice:
    """The fields that the user names; None: to be recognised. `time` may be `NO_TIME`."""

    user: str | None = None
    item: str | None = None
    time: str | None = None


@dataclass(frozen=True)
class AtomicEvents:
    """A file of events, and how it was read.

    Attributes:
        log: The events, in file order.
        lines: int `[n_events]`, the line of each event.
        choice: The fields that were read, none of them None.
        cells: Of the rows that stay, all fields as text.
    """

    log: EventLog
    lines: NDArray[np.integer]
    choice: FieldChoice
    cells: pd.DataFrame


def read_atomic_log(path: Path, choice: FieldChoice, rules: RowRules) -> AtomicEvents:
    """Reads a `.inter` file. Duplicates are left to `with_duplicates_judged`.

    Raises:
        BenchError: The file is malformed, or it isn't plain which field is the user, the item or the time. The message
            names file, line and field.
    """
    check = RowCheck(path, rules)
    table = read_atomic_cells(path, check)
    user = _id_field(path, table, "user", choice.user, "user_id")
    item = _id_field(path, table, "item", choice.item, "item_id")
    time = _time_field(path, table, (user, item), choice.time)
    refuse_two_roles(path, "field", {"user": user, "item": item, "time": time})
    parsed = None if time is None else parse_times(table.cells[time])
    if choice.time is None and time is not None and parsed is not None:
        _reject_times_of_day(path, table, time, parsed)
    good = _usable_rows(check, table, user, item, time, parsed)
    notes = [_choice_in_words(table, user, item, time, parsed), *check.notes(table.n_lines)]
    cells = table.cells[good]
    users, user_ids, user_notes = coded(cells[user], "users")
    items, item_ids, item_notes = coded(cells[item], "items")
    log = EventLog(
        users=users,
        items=items,
        times=None if parsed is None else parsed.values[good],
        user_ids=user_ids,
        item_ids=item_ids,
        ticks=1 if parsed is None else parsed.ticks,
        notes=(*notes, *user_notes, *item_notes),
    )
    return AtomicEvents(log, cells.index.to_numpy(), FieldChoice(user, item, time or NO_TIME), cells)


def read_atomic_items(path: Path, item_field: str, rules: RowRules) -> tuple[ItemFacts, tuple[str, ...]]:
    """Reads a `.item` file: fields of words are text, and the first word of a class or the like is the category.

    Args:
        path: The file.
        item_field: How the events call the items' ids; `item_id` will do as well.
        rules: What becomes of malformed lines.

    Returns:
        The facts, and what there is to say on them.

    Raises:
        BenchError: The file is malformed, or describes an item twice.
    """
    check = RowCheck(path, rules)
    table = read_atomic_cells(path, check)
    key = next((field for field in (item_field, "item_id") if field in table.types), None)
    if key is None:
        raise BenchError(
            f"{path}, line 1: there is no field '{item_field}:token', by which the events name items; rename one of "
            f"{', '.join(table.types)}"
        )
    good = _filled(check, table, (key,))
    columns, numeric = {}, set()
    for field, kind in table.types.items():
        if field != key:
            columns[field] = _cells_of(check, table, field, kind, good)
            numeric |= {field} if kind == "float" else set()
    lines = table.cells.index[good].to_numpy()
    ids, notes = one_spelling(pd.Index(table.cells[key][good]), "items of the item table")
    _reject_second_descriptions(path, ids, lines)
    frame = pd.DataFrame(columns, index=table.cells.index)[good].reset_index(drop=True)
    text = tuple(field for field in frame if field not in numeric)
    category = next((field for field in ("class", *CATEGORY_NAMES) if field in text), None)
    first = frame[category].str.split().str[0].fillna("") if category else None
    words = f"text is {', '.join(text) or 'none'}" + (
        f", category is the first word of '{category}'" if category else ""
    )
    notes_of_file = (f"{path.name}: {note}" for note in (words, *check.notes(table.n_lines)))
    return ItemFacts(ids.to_numpy(dtype=np.str_), frame, text, first), (*notes_of_file, *notes)


def _id_field(path: Path, table: AtomicCells, role: str, given: str | None, standard: str) -> str:
    """The field of a role: the one that is given, RecBole's own name, or the only one with a usual name."""
    field = given or (standard if standard in table.types else None)
    if field is None:
        usual = USUAL_NAMES[role]
        named = [name for name, kind in table.types.items() if kind in _SINGLE and _plain(name) in usual]
        if len(named) != 1:
            problem = f"several fields that may be the {role}" if named else f"no field that is plainly the {role}"
            raise BenchError(
                f"{path}, line 1: required field {standard}:token is missing, and there is {problem}; rename it, or "
                f"name it with --{role} (fields: {_listed(table.types)})"
            )
        field = named[0]
    if field not in table.types:
        raise BenchError(f"{path} has no field '{field}' (--{role}); it has {_listed(table.types)}")
    if table.types[field] != "token":
        raise BenchError(
            f"{path}, line 1: field '{field}' has type {table.types[field]}, but must be {field}:token to be the {role}"
        )
    return field


def _time_field(path: Path, table: AtomicCells, ids: tuple[str, str], given: str | None) -> str | None:
    """The field of times, None where the rows themselves are the order."""
    if given == NO_TIME:
        return None
    if given is not None:
        if given not in table.types:
            raise BenchError(f"{path} has no field '{given}' (--time); it has {_listed(table.types)}")
        return given
    if "timestamp" in table.types:
        return "timestamp"
    others = [field for field in table.types if field not in ids and table.types[field] != "float_seq"]
    usual = [field for field in others if _plain(field) in USUAL_NAMES["time"]]
    if len(usual) == 1:
        return usual[0]
    timely = {field for field in others if _could_hold_times(table, field)}
    named = [field for field in others if field in usual or _TIME_WORDS.search(_plain(field))]
    numbers = [field for field in others if table.types[field] == "float"]
    for group in (usual, named, numbers):
        fitting = [field for field in group if field in timely]
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            raise _unclear_time(path, table, fitting)
    orders = [field for field in numbers if not _OTHER_WORDS.search(_plain(field)) and _orders(table, ids[0], field)]
    possible = [field for field in others if field in timely or field in (*named, *orders)]
    if possible:
        raise _unclear_time(path, table, possible)
    return None


def _unclear_time(path: Path, table: AtomicCells, fields: Sequence[str]) -> BenchError:
    shown = " and ".join(f"'{field}'" for field in fields)
    verb = "may be" if len(fields) == 1 else "may each be"
    return BenchError(
        f"{path}, line 1: field {shown} {verb} the time of the events; name the right one with --time, or give --time "
        f"{NO_TIME} where the order of the rows is that of the events (fields: {_listed(table.types)})"
    )


def _reject_times_of_day(path: Path, table: AtomicCells, time: str, parsed: ParsedTimes) -> None:
    """Days by themselves don't order the events where another field holds the hours."""
    if not parsed.words.startswith("dates") or (parsed.values % (_DAY * parsed.ticks)).any():
        return
    for field in table.types:
        if field != time and _TIME_OF_DAY.fullmatch(table.cells[field].iloc[0].strip()):
            raise BenchError(
                f"{path}, line 1: field '{time}' holds days and '{field}' the time of day; write both into one field, "
                f"as in 2024-05-31 18:00:00, or give --time {time} to do without the other"
            )


def _could_hold_times(table: AtomicCells, field: str) -> bool:
    cells = table.cells[field]
    if table.types[field] != "float" and not cells.iloc[0].strip()[:1].isdigit():
        return False  # words; parsing millions of them as dates takes long
    return parse_times(cells).looks_like_times()


def _orders(table: AtomicCells, user: str, field: str) -> bool:
    """Tells whether a field differs between nearly all neighbouring rows of a user, as a position in an order does."""
    users = pd.factorize(table.cells[user])[0]
    rows = np.argsort(users, kind="stable")
    same_user = np.diff(users[rows]) == 0
    values = table.cells[field].to_numpy()[rows]
    differs = (values[1:] != values[:-1])[same_user]
    return len(differs) > 0 and float(differs.mean()) > _MOSTLY


def _usable_rows(
    check: RowCheck, table: AtomicCells, user: str, item: str, time: str | None, parsed: ParsedTimes | None
) -> NDArray[np.bool_]:
    """Returns bool `[n_rows]`, after `check` has learned of the others."""
    good = _filled(check, table, (user, item))
    if time is not None and parsed is not None:
        if 2 * int(parsed.usable.sum()) < int((table.cells[time].str.strip() != "").sum()):
            _refuse_first_bad(check, table, time, parsed)
        for rows, problem in parsed.bad:
            _refuse(check, table, time, rows, problem, good)
    return good


def _refuse_first_bad(check: RowCheck, table: AtomicCells, time: str, parsed: ParsedTimes) -> None:
    """A field most of whose cells are no times is another field, and no row is to blame."""
    rows, problem = next((rows, problem) for rows, problem in reversed(parsed.bad) if rows.any())
    row = int(rows.argmax())
    problem = problem.replace("{}", str(table.cells[time].iloc[row])[:60])
    raise BenchError(
        f"{check.where}, line {table.cells.index[row]}: field '{time}' {problem}, and so do most rows; name the field "
        f"of times with --time, or give --time {NO_TIME} where the order of the rows is that of the events"
    )


def _filled(check: RowCheck, table: AtomicCells, fields: Sequence[str]) -> NDArray[np.bool_]:
    good = np.ones(len(table.cells), dtype=bool)
    for field in fields:
        _refuse(check, table, field, (table.cells[field].str.strip() == "").to_numpy(), "is empty", good)
    return good


def _refuse(
    check: RowCheck, table: AtomicCells, field: str, bad: NDArray[np.bool_], problem: str, good: NDArray[np.bool_]
) -> None:
    """Refuses bad rows that weren't refused before, and takes them out of `good`."""
    check.refuse_where(bad & good, table.cells.index.to_numpy(), f"field '{field}' {problem}", table.cells[field])
    good &= ~bad


def _cells_of(check: RowCheck, table: AtomicCells, field: str, kind: str, good: NDArray[np.bool_]) -> pd.Series:
    """A field as float64, NaN where empty, or as text; rows with a wrong number are refused."""
    cells = table.cells[field]
    if kind == "float":
        numbers = pd.to_numeric(cells, errors="coerce").astype(np.float64)
        bad = (~np.isfinite(numbers) & (cells.str.strip() != "")).to_numpy()
        _refuse(check, table, field, bad, "holds '{}', not a finite number", good)
        return numbers
    if kind == "float_seq":
        entries = pd.to_numeric(cells.str.split().explode().fillna("0"), errors="coerce")
        bad = (~np.isfinite(entries)).groupby(level=0).any().reindex(cells.index).to_numpy(dtype=bool)
        _refuse(check, table, field, bad, "holds '{}', not all finite numbers", good)
    return cells


def _reject_second_descriptions(path: Path, ids: pd.Index, lines: NDArray[np.integer]) -> None:
    again = ids.duplicated()
    if again.any():
        row = int(again.argmax())
        first = int((ids == ids[row]).argmax())
        raise BenchError(
            f"{path}, line {lines[row]}: item '{ids[row]}' is already described in line {lines[first]}; remove one"
        )


def _choice_in_words(table: AtomicCells, user: str, item: str, time: str | None, parsed: ParsedTimes | None) -> str:
    clock = "no time: the order of the rows is that of the events"
    if parsed is not None:
        clock = f"time is '{time}' (read as {parsed.words})"
    unused = [field for field in table.types if field not in (user, item, time, f"{item}{HISTORY_SUFFIX}")]
    rest = f"; not used: {', '.join(repr(field) for field in unused)}" if unused else ""
    return f"fields: user is '{user}', item is '{item}', {clock}{rest}"


def _listed(types: dict[str, str]) -> str:
    return ", ".join(f"{field}:{kind}" for field, kind in types.items())


def _plain(name: str) -> str:
    return re.sub(r"[\W_]", "", name.lower())
