"""Reads events from files with one JSON object a line, whose keys are known by their names."""

from __future__ import annotations

import json
import re
from array import array
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.data.events import EventLog, Times
from bench.data.parsing.cells import NO_TIME
from bench.data.parsing.columns import USUAL_NAMES, refuse_two_roles
from bench.data.parsing.json_tables import JSON_SUFFIXES, flat, json_lines
from bench.data.parsing.rows import RowCheck, RowRules, respelled
from bench.data.parsing.time_fields import unit_of
from bench.data.parsing.time_units import UNIT_NAMES
from bench.errors import BenchError, reason_of

_LINES_LOOKED_AT = 100
_LATEST = 1 << 62


@dataclass(frozen=True)
class EventKeys:
    """The keys of an event; `time` None: the lines are in order and have no time. `noun` names it in messages."""

    user: str
    item: str
    time: str | None
    noun: str = "event"

    @property
    def needed(self) -> tuple[str, ...]:
        return (self.user, self.item, *([self.time] if self.time is not None else []))

    def in_words(self, objects: list[set[str]]) -> str:
        """Tells which keys are read, and which of those of the first objects are not."""
        unused = sorted(set().union(*objects) - set(self.needed))
        clock = f"time is '{self.time}'" if self.time else "no time: the order of the lines is that of the events"
        rest = f"; not used: {_listed(unused)}" if unused else ""
        return f"keys: user is '{self.user}', item is '{self.item}', {clock}{rest}"


def is_json_lines(path: Path) -> bool:
    return path.is_file() and path.name.lower().endswith(JSON_SUFFIXES)


def keys_at_the_beginning(path: Path) -> list[set[str]]:
    """Reads the keys of each object among the first lines of a file, those of objects within it as `outer.inner`.

    Lines that hold no object are passed over.
    """
    return [{key for key, _ in flat(content)} for content in objects_at_the_beginning(path)]


def needs_table(path: Path, keys: EventKeys) -> bool:
    """Whether a key lies within another, or most times in the first lines are no whole numbers: dates, or fractions."""
    objects = objects_at_the_beginning(path)
    if not set(keys.needed) <= set().union(*objects):
        return True
    times = [content[keys.time] for content in objects if keys.time in content] if keys.time else []
    return 2 * sum(_is_other_time(time) for time in times) > len(times)


def _is_other_time(value: object) -> bool:
    try:
        _whole(value, None)
    except ValueError:
        return isinstance(value, str | float)
    return False


def objects_at_the_beginning(path: Path) -> list[dict[str, Any]]:
    """Reads the objects among the first lines of a file; lines that hold none are passed over."""
    objects = []
    for _, line in islice(json_lines(path), _LINES_LOOKED_AT):
        try:
            content = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(content, dict):
            objects.append(content)
    return objects


def usual_keys(
    path: Path, objects: list[set[str]], user: str | None, item: str | None, time: str | None, known: EventKeys | None
) -> EventKeys:
    """Finds the keys that are given, then those of a known combination, then the only ones with usual names.

    Raises:
        BenchError: A key is missing or ambiguous.
    """
    present = sorted(set().union(*objects))
    if not present:
        if next(json_lines(path), None) is None:
            raise BenchError(f"{path} is empty; fetch it anew")
        raise BenchError(
            f"{path}, line 1: no JSON object with an event; every line should hold one, on that line alone"
        )
    chosen: dict[str, str] = {}
    for role, given in (("user", user), ("item", item), ("time", time)):
        if given is not None:
            if given not in present and not (role == "time" and given == NO_TIME):
                raise BenchError(
                    f"{path} has no key '{given}' (--{role}) in its first lines; it has {_listed(present)}"
                )
            chosen[role] = given
        elif known is not None:
            chosen[role] = getattr(known, role)
        else:
            chosen[role] = _usual_key(path, role, present)
    clock = None if chosen["time"] == NO_TIME else chosen["time"]
    refuse_two_roles(path, "key", {**chosen, "time": clock})
    return EventKeys(chosen["user"], chosen["item"], clock)


def read_json_log(path: Path, keys: EventKeys, rules: RowRules) -> EventLog:
    """Reads all events, in file order. Duplicates are left to `with_duplicates_judged`.

    Times are whole numbers since 1970, whose unit is that of most.

    Raises:
        BenchError: A line can't be used; the message names it.
    """
    check = RowCheck(path, rules)
    users, items, times, lines = array("i"), array("i"), array("q"), array("i")
    user_codes: dict[str, int] = {}
    item_codes: dict[str, int] = {}
    decode = _decoder(keys).raw_decode
    total = 0
    for number, line in json_lines(path):
        total += 1
        try:
            text = line.decode().strip()
            event, end = decode(text)
            if end < len(text):
                raise ValueError(f"extra data at character {end}")
            user, item, time = event[keys.user], event[keys.item], 0 if keys.time is None else event[keys.time]
            if type(user) is not str or type(item) is not str or type(time) is not int:
                user, item, time = _id_text(user, keys.user), _id_text(item, keys.item), _whole(time, keys.time)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            check.refuse(number, _problem(keys, error))
            continue
        if not 0 <= time < _LATEST or not user.strip() or not item.strip():
            check.refuse(number, _wrong_value(keys, user, item, time))
            continue
        users.append(user_codes.setdefault(user, len(user_codes)))
        items.append(item_codes.setdefault(item, len(item_codes)))
        times.append(time)
        lines.append(number)
    if not total:
        raise BenchError(f"{path} is empty; fetch it anew")
    numbers, ticks, usable = _judged_times(check, keys, times, lines)
    left_out = check.notes(total)
    user_of_event, user_ids, user_notes = respelled(np.array(users, dtype=np.int32)[usable], list(user_codes), "users")
    item_of_event, item_ids, item_notes = respelled(np.array(items, dtype=np.int32)[usable], list(item_codes), "items")
    unit: tuple[str, ...] = () if ticks == 1 else (f"times are read as {UNIT_NAMES[ticks]}",)
    return EventLog(
        users=user_of_event,
        items=item_of_event,
        times=numbers,
        user_ids=user_ids,
        item_ids=item_ids,
        ticks=ticks,
        notes=(*left_out, *user_notes, *item_notes, *unit),
    )


def _judged_times(
    check: RowCheck, keys: EventKeys, times: array[int], lines: array[int]
) -> tuple[Times | None, int, NDArray[np.bool_]]:
    """The times that stay, how many units make a second, and bool `[n_events]`, which events stay."""
    everything = np.ones(len(times), dtype=bool)
    if keys.time is None or not len(times):
        return None if keys.time is None else np.array(times, dtype=np.int64), 1, everything
    numbers = np.array(times, dtype=np.int64)
    ticks, far = unit_of(numbers)
    if far.any():
        row = int(far.argmax())
        problem = f"{keys.time} is {numbers[row]}, far away from all other times of the file"
        check.refuse(int(lines[row]), problem, int(far.sum()))
    return numbers[~far], ticks, ~far


def _problem(keys: EventKeys, error: Exception) -> str:
    needed = f"{', '.join(keys.needed[:-1])} and {keys.needed[-1]}"
    if isinstance(error, UnicodeDecodeError):
        return f"it is not UTF-8 (byte 0x{error.object[error.start]:02x})"
    return f"no {keys.noun} with {needed} ({reason_of(error)})"


def _decoder(keys: EventKeys) -> json.JSONDecoder:
    """A decoder that rejects an object with one of the keys twice, where JSON's readers take the last in silence.

    It is made once, which saves more time than the check costs.
    """

    def checked(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        content = dict(pairs)
        if len(content) < len(pairs):
            names = [name for name, _ in pairs]
            again = next((name for name in keys.needed if names.count(name) > 1), None)
            if again is not None:
                raise ValueError(f"it has the key {again} twice; which one holds?")
        return content

    return json.JSONDecoder(object_pairs_hook=checked)


def _wrong_value(keys: EventKeys, user: str, item: str, time: int) -> str:
    for name, value in ((keys.user, user), (keys.item, item)):
        if not value.strip():
            return f"{name} is empty"
    if time < 0:
        return f"{keys.time} is negative; a time since 1970 is expected"
    return f"{keys.time} is {time}, which is too large for a time"


def _id_text(value: object, key: str) -> str:
    """An id as text: whole numbers without a decimal point, so that 7, 7.0 and "7" are one id."""
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    raise ValueError(f"{key} holds {_short(value)}; ids are text or whole numbers")


def _whole(value: object, key: str | None) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and re.fullmatch(r"\s*[+-]?\d{1,18}\s*", value, re.ASCII):
        return int(value)
    raise ValueError(f"{key} holds {_short(value)}; a whole number since 1970 is expected")


def _short(value: object) -> str:
    return json.dumps(value)[:60]


def _usual_key(path: Path, role: str, present: list[str]) -> str:
    usual = USUAL_NAMES[role]
    named = [key for key in present if re.sub(r"[\W_]", "", key.lower()) in usual]
    if len(named) == 1:
        return named[0]
    problem = f"several keys that may be the {role}" if named else f"no key that is plainly the {role}"
    hint = f", or --time {NO_TIME} where the lines are in order" if role == "time" else ""
    raise BenchError(f"{path} has {problem}; name it with --{role}{hint} (keys: {_listed(present)})")


def _listed(names: list[str]) -> str:
    return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
