"""Text files of ids without time: lines of `user item item ...` (S3-Rec, P5, LightGCN) or of `user item` (SASRec)."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.data.catalog_entry import CatalogEntry
from bench.data.dataset import Dataset, SeenItems
from bench.data.events import EventLog, ItemFacts, assemble
from bench.data.filters import Filter
from bench.data.parsing.packed import refuse_packed
from bench.data.parsing.rows import BUILT_IN, RowCheck, RowRules, coded, with_duplicates_judged
from bench.data.sources import amazon
from bench.data.sources.recbole_wheel import DATA_FOLDER_VARIABLE, data_folder
from bench.errors import BenchError, MissingDataError

SEQUENCES_FILE = "sequential_data.txt"
SOURCE = (
    "Sequences as prepared by S. Geng et al.: Recommendation as Language Processing (P5). RecSys 2022, and by K. Zhou "
    "et al.: S3-Rec. CIKM 2020; " + amazon.RELEASES["amazon-beauty"].source
)
RELEASES = {
    f"{name}-p5": f"{release.summary.split(',')[0]}, 5-core, as order-only sequences of P5"
    for name, release in amazon.RELEASES.items()
    if release.year == 2014
}
_SEEN_ITEMS: SeenItems = "exclude"
_AS_SEQUENCES = "read as sequences, one user a line: user, item, item, ...; no time: items stand in the order of events"
_AS_PAIRS = "read as pairs, one event a line: user, item; no time: the lines of a user stand in the order of events"
_PARTS = ("train.txt", "valid.txt", "val.txt", "test.txt")
_FIRST_EVENTS = 1000
"""They nearly always show that items don't ascend."""
_PAIRS_FOR_A_WARNING = 8
"""Neighbouring items of one user that must ascend; by chance so many do so in less than 1 of 200 files."""


def load_release(name: str) -> Dataset:
    """Reads one of `RELEASES`, from `p5/beauty`, `p5/sports` or `p5/toys` in the user's data folder.

    Raises:
        MissingDataError: Its files are absent.
        BenchError: They are malformed.
    """
    return read_sequences(_file_of(name), name, licence=amazon.LICENCE, source=SOURCE, rules=BUILT_IN)


def _file_of(name: str) -> Path:
    """The sequences of one of `RELEASES`.

    Raises:
        MissingDataError: They are absent.
    """
    folder = data_folder() / "p5" / name.removeprefix("amazon-").removesuffix("-p5")
    path = folder / SEQUENCES_FILE
    if not path.is_file():
        raise MissingDataError(
            f"{name} is not on this machine: fetch the data of https://github.com/jeykigung/P5 and put "
            f"{SEQUENCES_FILE} and, for text, datamaps.json and meta.json.gz into {folder} (the data folder is "
            f"${DATA_FOLDER_VARIABLE}, else ~/.cache/glass-bench)"
        )
    return path


def read_sequences(
    path: Path,
    name: str,
    filters: tuple[Filter, ...] = (),
    licence: str = "",
    source: str = "",
    rules: RowRules | None = None,
) -> Dataset:
    """Reads a file of sequences or of pairs, and what lies beside it.

    Where no line has more than two words and the first of them repeat, a line is one event, `user item`, and the events
    of a user stand in order, wherever between those of other users. Else a line is one user.

    `datamaps.json` (`id2item`) translates the numbers of items into ids; with it, `meta*.json.gz` (Amazon 2014) gives
    title, brand, categories and price. Without that, `*item2attributes.json` gives each item's attributes, as words.

    Args:
        path: The file.
        name: For the data set.
        filters: What to leave out.
        licence, source: For the report.
        rules: What becomes of lines that can't be used. None: `RowRules()`.

    Raises:
        BenchError: A file is malformed, or duplicates are to be left out, which need a time to be known by.
    """
    rules = rules or RowRules()
    log = with_duplicates_judged(_read_lines(path, rules), path, rules)
    maps = _json(path.with_name("datamaps.json"))
    original = maps.get("id2item", {})
    facts = _metadata(path.parent, log, original) or _attributes(path.parent, maps.get("id2attribute", {}))
    return assemble(name, log, facts, licence, source, _SEEN_ITEMS, filters=filters)


_Coded = tuple[NDArray[np.integer], NDArray[np.str_], tuple[str, ...]]
"""What `coded` gives."""


@dataclass(frozen=True)
class _Words:
    """The words of a file that stand between blanks or tabs.

    Attributes:
        words: `[n_words]`, line after line.
        starts: int64 `[n_lines]`, where in `words` each line that isn't blank begins.
        widths: int64 `[n_lines]`, how many words it has.
        numbers: int64 `[n_lines]`, its number in the file.
    """

    words: NDArray[np.object_]
    starts: NDArray[np.int64]
    widths: NDArray[np.int64]
    numbers: NDArray[np.int64]

    @classmethod
    def of(cls, text: str) -> _Words:
        words: list[str] = []
        widths, numbers = [], []
        for number, line in enumerate(text.split("\n"), start=1):
            cells = line.split()
            if cells:
                words += cells
                widths.append(len(cells))
                numbers.append(number)
        lengths = np.array(widths, dtype=np.int64)
        starts = np.cumsum(lengths) - lengths
        return cls(np.array(words, dtype=object), starts, lengths, np.array(numbers, dtype=np.int64))


def _read_lines(path: Path, rules: RowRules) -> EventLog:
    with path.open("rb") as file:
        refuse_packed(path, file.read(1 << 10))
    try:
        lines = _Words.of(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        raise BenchError(f"{path} is not UTF-8 at byte {error.start}; convert it") from None
    if not len(lines.numbers) or lines.widths.max() == 1:
        raise BenchError(
            f"{path} has no line with a user and items; each should read: user item item item ..., with blanks between"
        )
    _reject_header(path, lines)
    users = coded(lines.words[lines.starts], "users")
    again = pd.Series(users[0]).duplicated().to_numpy()
    if again.any() and lines.widths.max() == 2:
        log = _pairs(path, lines, users, rules)
    elif again.any() and len(again) > 2 and (lines.widths == lines.widths[0]).all():
        raise BenchError(
            f"{path}: all lines have {lines.widths[0]} fields and users repeat, so a line is one event, with more than "
            "its user and item; put a line with the names of the columns above them and save it as .tsv or .csv"
        )
    else:
        log = _sequences(path, lines, users, again)
    beside = [name for name in _PARTS if name != path.name and path.with_name(name).is_file()]
    notes = (f"{', '.join(beside)} beside {path.name}: not read",) if path.name in _PARTS and beside else ()
    return replace(log, notes=(*log.notes, *_without_order(log), *notes))


def _reject_header(path: Path, lines: _Words) -> None:
    """Names of columns above numbers would be taken for one more user."""
    first, others = lines.words[: lines.widths[0]], lines.words[lines.widths[0] :]
    if not len(others) or any(word[:1].isdigit() for word in first) or not all(map(str.isdigit, others)):
        return
    raise BenchError(
        f"{path}, line {lines.numbers[0]}: '{' '.join(first)[:60]}' looks like names of columns, above numbers; "
        "remove the line, or save the file as .tsv or .csv to read its columns by their names"
    )


def _pairs(path: Path, lines: _Words, users: _Coded, rules: RowRules) -> EventLog:
    check = RowCheck(path, rules)
    alone = lines.widths == 1
    problem = "'{}' stands alone, where each line should hold a user and an item"
    check.refuse_where(alone, lines.numbers, problem, pd.Series(lines.words[lines.starts]))
    codes, user_ids, user_notes = users
    items, item_ids, item_notes = coded(lines.words[lines.starts[~alone] + 1], "items")
    return EventLog(
        users=codes[~alone],
        items=items,
        times=None,
        user_ids=user_ids,
        item_ids=item_ids,
        notes=(_AS_PAIRS, *check.notes(len(lines.numbers)), *user_notes, *item_notes),
    )


def _sequences(path: Path, lines: _Words, users: _Coded, again: NDArray[np.bool_]) -> EventLog:
    codes, user_ids, user_notes = users
    if again.any():
        line = int(again.argmax())
        first = lines.numbers[int((codes == codes[line]).argmax())]
        raise BenchError(
            f"{path}, line {lines.numbers[line]}: user '{user_ids[codes[line]]}' has a line already, line {first}; "
            "join them"
        )
    is_item = np.ones(len(lines.words), dtype=bool)
    is_item[lines.starts] = False
    items, item_ids, item_notes = coded(lines.words[is_item], "items")
    filled = lines.widths > 1
    empty = int((~filled).sum())
    return EventLog(
        users=np.repeat(np.arange(int(filled.sum())), lines.widths[filled] - 1),
        items=items,
        times=None,
        user_ids=user_ids[codes[filled]],
        item_ids=item_ids,
        notes=(_AS_SEQUENCES, *([f"{empty:,} users without items"] if empty else []), *user_notes, *item_notes),
    )


def _without_order(log: EventLog) -> tuple[str, ...]:
    """A warning where every user's items ascend, which an order of events hardly does by chance."""
    if not len(log) or not all(item.isdecimal() and len(item) < 19 for item in log.item_ids.tolist()):
        return ()
    numbers = np.array([int(item) for item in log.item_ids.tolist()], dtype=np.int64)
    if _ascending(numbers, log.users[:_FIRST_EVENTS], log.items[:_FIRST_EVENTS]) is None:
        return ()
    neighbours = _ascending(numbers, log.users, log.items)
    if neighbours is None or neighbours < _PAIRS_FOR_A_WARNING:
        return ()
    return (
        "the items of every user ascend, as in LightGCN's files, which list sets: the order is probably none, and then "
        "the last item is not the next one",
    )


def _ascending(numbers: NDArray[np.int64], users: NDArray[np.integer], items: NDArray[np.integer]) -> int | None:
    """How many neighbouring items of one user there are; None where one of them is smaller than the one before."""
    rows = np.argsort(users, kind="stable")
    values = numbers[items[rows]]
    same_user = np.diff(users[rows]) == 0
    return int(same_user.sum()) if (values[1:] >= values[:-1])[same_user].all() else None


def _metadata(folder: Path, log: EventLog, original: dict[str, str]) -> ItemFacts | None:
    path = next(iter(sorted(folder.glob("meta*.json.gz"))), None)
    if path is None or not original:
        return None
    number_of = {original[number]: number for number in log.item_ids.tolist() if number in original}
    facts = amazon.read_metadata(path, 2014, set(number_of))
    numbers = np.array([number_of[item] for item in facts.ids.tolist()], dtype=np.str_)
    return ItemFacts(numbers, facts.columns, facts.text_columns, facts.categories)


def _attributes(folder: Path, names: dict[str, str]) -> ItemFacts | None:
    path = next(iter(sorted(folder.glob("*item2attributes.json"))), None)
    if path is None:
        return None
    attributes = _json(path)
    if not all(isinstance(numbers, list) for numbers in attributes.values()):
        raise BenchError(f"{path} should map each item to a list of attributes")
    words = [[str(names.get(str(n), f"attribute-{n}")) for n in numbers] for numbers in attributes.values()]
    columns = pd.DataFrame({"attributes": [" ".join(row) for row in words]})
    first = pd.Series([row[0] if row else "" for row in words])
    return ItemFacts(np.array(list(attributes), dtype=np.str_), columns, ("attributes",), first)


def _json(path: Path) -> dict[str, Any]:
    """The object in a file, empty where there is no such file."""
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BenchError(f"{path} is no JSON ({error}); fetch it anew, or move it away to do without") from None
    if not isinstance(content, dict):
        raise BenchError(f"{path} should hold a JSON object; fetch it anew, or move it away to do without")
    return content


DATASETS = {
    name: CatalogEntry(summary, amazon.LICENCE, SOURCE, partial(load_release, name), partial(_file_of, name))
    for name, summary in RELEASES.items()
}
