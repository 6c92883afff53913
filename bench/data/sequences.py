"""The format of S3-Rec and P5: lines of `user item item item ...`, in the order of events, without time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.data import amazon
from bench.data.dataset import Dataset, SeenItems
from bench.data.events import EventLog, ItemFacts, assemble
from bench.data.filters import Filter
from bench.data.recbole_wheel import DATA_FOLDER_VARIABLE, data_folder
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


def load_release(name: str) -> Dataset:
    """One of `RELEASES`, from `p5/beauty`, `p5/sports` or `p5/toys` in the user's data folder.

    Raises:
        MissingDataError: Its files are absent.
        BenchError: They are malformed.
    """
    folder = data_folder() / "p5" / name.removeprefix("amazon-").removesuffix("-p5")
    path = folder / SEQUENCES_FILE
    if not path.is_file():
        raise MissingDataError(
            f"{name} is not on this machine: fetch the data of https://github.com/jeykigung/P5 and put "
            f"{SEQUENCES_FILE} and, for text, datamaps.json and meta.json.gz into {folder} (the data folder is "
            f"${DATA_FOLDER_VARIABLE}, else ~/.cache/glass-bench)"
        )
    return read_sequences(path, name, licence=amazon.LICENCE, source=SOURCE)


def read_sequences(
    path: Path, name: str, filters: tuple[Filter, ...] = (), licence: str = "", source: str = ""
) -> Dataset:
    """Reads a file of sequences, and what lies beside it.

    `datamaps.json` (`id2item`) translates the numbers of items into ids; with it, `meta*.json.gz` (Amazon 2014) gives
    title, brand, categories and price. Without that, `*item2attributes.json` gives each item's attributes, as words.

    Args:
        path: The file.
        name: For the data set.
        filters: What to leave out.
        licence, source: For the report.

    Raises:
        BenchError: A file is malformed.
    """
    log = _read_lines(path)
    maps = _json(path.with_name("datamaps.json"))
    original = maps.get("id2item", {})
    facts = _metadata(path.parent, log, original) or _attributes(path.parent, maps.get("id2attribute", {}))
    return assemble(name, log, facts, licence, source, _SEEN_ITEMS, filters=filters)


def _read_lines(path: Path) -> EventLog:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise BenchError(f"{path} is not UTF-8 at byte {error.start}; convert it") from None
    users: dict[str, int] = {}
    lengths, items, empty = [], [], 0
    for number, line in enumerate(text.splitlines(), start=1):
        user, *sequence = line.split() or [""]
        if user in users:
            raise BenchError(f"{path}, line {number}: user '{user}' has a line already, line {users[user]}; join them")
        if sequence:
            users[user] = number
            lengths.append(len(sequence))
            items += sequence
        else:
            empty += bool(user)
    if not users:
        raise BenchError(f"{path} has no line with a user and items; each should read: user item item item ...")
    codes, ids = pd.factorize(np.array(items, dtype=object))
    notes = ("no time: items stand in the order of events", *([f"{empty:,} users without items"] if empty else []))
    return EventLog(
        users=np.repeat(np.arange(len(users)), lengths),
        items=codes,
        times=None,
        user_ids=np.array(list(users), dtype=np.str_),
        item_ids=np.asarray(ids, dtype=np.str_),
        notes=notes,
    )


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
