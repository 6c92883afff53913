"""Data sets of the user's own, and well-known ones by their files: from a path to a `Dataset`."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from bench.data.data_files import ACCEPTED, DataFiles
from bench.data.dataset import Dataset
from bench.data.events import EventLog, ItemFacts, assemble
from bench.data.filters import Filter, MinimumEvents
from bench.data.parsing.cells import TABLE_SUFFIXES
from bench.data.parsing.event_kinds import Kinds
from bench.data.parsing.ids import MISSING_WORDS
from bench.data.parsing.json_tables import JSON_SUFFIXES
from bench.data.parsing.rows import RowRules, with_duplicates_judged
from bench.data.parsing.text_tables import Dialect
from bench.data.sources import amazon, kuairec, movielens, sequences
from bench.data.sources.atomic_dataset import events_at, load_atomic
from bench.data.sources.atomic_events import FieldChoice
from bench.data.sources.item_files import read_item_facts
from bench.data.sources.json_events import (
    EventKeys,
    is_json_lines,
    keys_at_the_beginning,
    needs_table,
    read_json_log,
    usual_keys,
)
from bench.data.sources.split_tables import load_split_tables, parts_beside, split_tables_at
from bench.data.sources.tables import Reading, read_events
from bench.errors import BenchError
from bench.files import exists, expanded

LICENCE = "Unknown to this program; whoever brings the data knows its terms."
_FOR_EVERY_FORMAT = ("path", "baskets", "min_user_events", "min_item_events")
TABLE_OPTIONS = tuple(key for key in DataFiles.model_fields if key not in _FOR_EVERY_FORMAT)
"""What a table of events can be read with; other formats have columns of their own and take a part of these."""

ROW_OPTIONS = ("duplicates", "incomplete", "bad_times")
"""What every format takes whose lines are events."""
NAMED_OPTIONS = ("user", "item", "time", *ROW_OPTIONS)
"""What a format with names for its columns takes."""


def load_own(name: str, files: DataFiles) -> Dataset:
    """Reads a data set by what its path looks like.

    Args:
        name: For tables and folders.
        files: Where it lies.

    Raises:
        BenchError: There is no such file, its format is unknown, an option doesn't fit the format, or the content
            can't be used.
    """
    path = expanded(files.path or "")
    if not files.path or not exists(path):
        raise BenchError(f"'{path}' does not exist; give the path of {ACCEPTED}")
    if movielens.is_ratings_file(path) and _other_option(files, ROW_OPTIONS) is None:
        return _load_movielens(name, path, files)
    parts = split_tables_at(path, files.valid, files.test)
    if parts is not None:
        facts, _ = _facts(files)
        split = load_split_tables(name, parts, files, lambda part: _log(part, files), facts, LICENCE)
        return _with_unused_facts(split, facts)
    if path.is_file() and path.name.lower().endswith(TABLE_SUFFIXES):
        return _load_table(name, path, files)
    filters, rules = _filters(files), _rules(files)
    atomic = events_at(path)
    if atomic is not None:
        _refuse_other_options(path, files, NAMED_OPTIONS)
        choice = FieldChoice(files.user, files.item, files.time)
        return load_atomic(name, atomic, LICENCE, choice, rules, files.baskets, filters)
    if is_json_lines(path):
        return _load_json(name, path, files)
    _refuse_baskets(path, files)
    if movielens.is_movielens(path):
        return _load_movielens(name, path, files)
    _refuse_other_options(path, files, ROW_OPTIONS)
    listed = path / sequences.SEQUENCES_FILE if path.is_dir() else path
    if listed.is_file() and listed.suffix.lower() == ".txt":
        return sequences.read_sequences(listed, name, filters, LICENCE, listed.name, rules)
    inside = [file.name for file in sorted(path.iterdir()) if _is_readable(file)] if path.is_dir() else []
    hint = f"it holds {', '.join(inside[:5])}: give one of these files" if inside else f"give {ACCEPTED}"
    raise BenchError(f"'{path}' is in no known format; {hint}")


def _is_readable(path: Path) -> bool:
    return path.is_file() and path.name.lower().endswith((*TABLE_SUFFIXES, *JSON_SUFFIXES, ".txt"))


def _refuse_other_options(path: Path, files: DataFiles, accepted: tuple[str, ...]) -> None:
    option = _other_option(files, accepted)
    if option is not None:
        shown = f"--{option.replace('_', '-')}"
        raise BenchError(
            f"{path}: {shown} is for tables of events (.csv, .tsv, .dat, .parquet, .xlsx, .jsonl); leave it out"
        )


def _other_option(files: DataFiles, accepted: tuple[str, ...]) -> str | None:
    """The first option in use of those that only a table takes, but for the accepted ones."""
    used = (option for option in TABLE_OPTIONS if getattr(files, option) != DataFiles.model_fields[option].default)
    return next((option for option in used if option not in accepted), None)


def _load_table(name: str, path: Path, files: DataFiles) -> Dataset:
    log = _log(path, files)
    others = parts_beside(path)
    if others:
        note = f"{', '.join(others)} beside {path.name}: not read (their folder would be read as one split)"
        log = replace(log, notes=(*log.notes, note))
    facts, named = _facts(files)
    source = ", ".join(part.name for part in (path, *named))
    dataset = assemble(name, log, facts, LICENCE, source, baskets=files.baskets, filters=_filters(files))
    return _with_unused_facts(dataset, facts)


def _with_unused_facts(dataset: Dataset, facts: ItemFacts | None) -> Dataset:
    """Says how many items are described in vain: the catalogue is what occurs in the events."""
    unused = 0 if facts is None else int((~np.isin(facts.ids, dataset.item_ids)).sum())
    if facts is None or not unused:
        return dataset
    note = f"{unused:,} of {len(facts.ids):,} items of the item table occur in no event; they are not in the catalogue"
    return replace(dataset, filters=(*dataset.filters, note))


def _facts(files: DataFiles) -> tuple[ItemFacts | None, list[Path]]:
    """What is known of the items, and the files that say it."""
    items, embeddings = (None if other is None else _existing(other) for other in (files.items, files.embeddings))
    facts = read_item_facts(items, embeddings, files.item, files.text, files.category)
    return facts, [part for part in (items, embeddings) if part is not None]


def _log(path: Path, files: DataFiles) -> EventLog:
    """The events of one table."""
    matrix = kuairec.is_matrix(path) and files.order is None and files.time in (None, *kuairec.CLOCKS)
    time = "timestamp" if matrix and files.time is None else files.time
    log = read_events(
        path,
        files.user,
        files.item,
        time,
        files.order,
        drop_incomplete=files.incomplete == "drop",
        drop_duplicates=files.duplicates == "drop",
        reading=_reading(files),
    )
    if matrix and time is not None:
        every = "a matrix of KuaiRec, each row of which is an event, whatever its watch_ratio"
        log = replace(log, notes=(*log.notes, every, kuairec.clock_note(path, time)))
    return log


def _reading(files: DataFiles) -> Reading:
    return Reading(
        dialect=Dialect(files.separator, files.no_header, files.quotes),
        then=files.then,
        baskets=files.baskets,
        missing=files.missing,
        kinds=Kinds(files.keep, files.min_rating, files.rating),
        time_format=files.time_format,
        drop_bad_times=files.bad_times == "drop",
    )


def _existing(path: str) -> Path:
    file = expanded(path)
    if not os.path.isfile(file):  # noqa: PTH113  # False, too, where no file can be named so
        raise BenchError(f"no file '{file}': give the path of an item table or of embeddings")
    return file


def _refuse_baskets(path: Path, files: DataFiles) -> None:
    if files.baskets:
        raise BenchError(f"{path}: --baskets is for tables and atomic files; this format has no baskets")


def _load_movielens(name: str, path: Path, files: DataFiles) -> Dataset:
    _refuse_baskets(path, files)
    _refuse_other_options(path, files, ROW_OPTIONS)
    return movielens.read_movielens(path, name, _filters(files), _rules(files))


def _load_json(name: str, path: Path, files: DataFiles) -> Dataset:
    """Amazon's reviews of any release by their keys; else events with keys that are given or have usual names.

    With options, times or keys that only tables have it is read as a table, whose columns are the keys.
    """
    given = (files.user, files.item, files.time)
    objects = keys_at_the_beginning(path)
    known = amazon.event_keys(objects)
    as_table = files.baskets or _other_option(files, NAMED_OPTIONS) is not None
    if known is not None and given == (None, None, None) and not as_table:
        return amazon.read_amazon(path, name, _filters(files), _rules(files))
    if as_table:
        return _load_table(name, path, files if known is None else _with_keys(files, known))
    keys = usual_keys(path, objects, *given, known)
    if needs_table(path, keys):
        return _load_table(name, path, _with_keys(files, keys))
    events = read_json_log(path, keys, _rules(files))
    if _most_are_of_a_missing_user(events):  # which the rules for tables refuse, with the row
        return _load_table(name, path, _with_keys(files, keys))
    log = with_duplicates_judged(events, path, _rules(files))
    return assemble(
        name,
        replace(log, notes=(keys.in_words(objects), *log.notes)),
        None,
        LICENCE,
        path.name,
        filters=_filters(files),
    )


def _most_are_of_a_missing_user(log: EventLog) -> bool:
    """Tells whether a word for a missing value would be the user with most events."""
    counts = np.bincount(log.users, minlength=len(log.user_ids))
    most = np.flatnonzero(counts == counts.max(initial=0))
    return len(most) == 1 and counts[most[0]] > 1 and str(log.user_ids[most[0]]).lower() in MISSING_WORDS


def _with_keys(files: DataFiles, keys: EventKeys) -> DataFiles:
    """The same, with keys in place of those that are not given."""
    time = files.time if files.time is not None or files.order is not None else keys.time
    return files.model_copy(update={"user": files.user or keys.user, "item": files.item or keys.item, "time": time})


def _rules(files: DataFiles) -> RowRules:
    return RowRules("drop" in (files.incomplete, files.bad_times), files.duplicates == "drop")


def _filters(files: DataFiles) -> tuple[Filter, ...]:
    if files.min_user_events == files.min_item_events == 1:
        return ()
    return (MinimumEvents(per_user=files.min_user_events, per_item=files.min_item_events),)
