"""Loads RecBole's atomic files of any origin: one file of events or the parts of a split, and the items beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bench.data.dataset import Dataset
from bench.data.events import EventLog, ItemFacts, assemble
from bench.data.filters import Filter
from bench.data.parsing.rows import RowRules, with_duplicates_judged
from bench.data.sources.atomic_events import HISTORY_SUFFIX, FieldChoice, read_atomic_items, read_atomic_log
from bench.data.sources.atomic_splits import PARTS, SplitFiles, part_of, read_split, split_files, with_shipped_split
from bench.errors import BenchError

_UNREAD = (".user", ".kg", ".link", ".net")
"""Atomic files of which nothing here has a use."""


def events_at(path: Path) -> Path | SplitFiles | None:
    """Finds the file of events, or the parts of a split, given a file or its folder. None: there are no atomic files.

    Raises:
        BenchError: There are several data sets, or the file is one part of a split.
    """
    if path.is_file():
        return _whole(path) if path.suffix.lower() == ".inter" else None
    whole = [file for file in sorted(path.glob("*.inter")) if part_of(file) is None]
    names = {file.stem for file in whole}
    splits = [split for stem, split in split_files(path).items() if stem not in names]
    lonely = [part for split in splits if len(split.parts) == 1 for part in split.parts.values()]
    candidates: list[Path | SplitFiles] = [*whole, *lonely, *(split for split in splits if len(split.parts) > 1)]
    if len(candidates) > 1:
        candidates = [events for events in candidates if events.stem == path.resolve().name] or candidates
    if len(candidates) > 1:
        shown = ", ".join(_listed(events) for events in candidates)
        raise BenchError(f"{path} holds {len(candidates)} data sets ({shown}); give one file")
    return candidates[0] if candidates else None


def load_atomic(
    name: str,
    events: Path | SplitFiles,
    licence: str,
    choice: FieldChoice,
    rules: RowRules,
    baskets: bool,
    filters: Sequence[Filter],
) -> Dataset:
    """Reads atomic files by the rules of `assemble`, with the split that their parts make.

    Args:
        name: For the data set.
        events: From `events_at`.
        licence: For the report.
        choice: The fields that the user names.
        rules: What becomes of lines that can't be used, and of duplicates.
        baskets, filters: See `assemble`.

    Raises:
        BenchError: A file is malformed, or an option doesn't fit.
    """
    if isinstance(events, SplitFiles):
        if baskets or filters:
            option = "--baskets" if baskets else "--min-user-events and --min-item-events"
            raise BenchError(f"{events.listed} are a split, which {option} would change; leave it out")
        return _load_split(name, events, licence, choice, rules)
    read = read_atomic_log(events, choice, rules)
    histories = f"{read.choice.item}{HISTORY_SUFFIX}"
    if histories in read.cells:
        raise BenchError(
            f"{events}: the field {histories} says that its rows are samples, each with a history, and not events; "
            "give the train, valid and test parts of a split, or remove the field if every event has a row of its own"
        )
    log = with_duplicates_judged(read.log, events, rules)
    if baskets and log.times is None:
        raise BenchError(f"{events}: --baskets needs a time, since a basket is what shares one; name it with --time")
    log, facts = _with_items(log, events, read.choice.item or "", rules)
    source = f"{events.name}, RecBole's atomic files"
    return assemble(name, log, facts, licence, source, baskets=baskets, filters=filters)


def _load_split(name: str, files: SplitFiles, licence: str, choice: FieldChoice, rules: RowRules) -> Dataset:
    split, item_field = read_split(files, choice, rules)
    log, facts = _with_items(split.log, files, item_field, rules)
    dataset = assemble(name, log, facts, licence, f"{files.listed}, RecBole's atomic files")
    return with_shipped_split(dataset, split)


def _with_items(
    log: EventLog, events: Path | SplitFiles, item_field: str, rules: RowRules
) -> tuple[EventLog, ItemFacts | None]:
    """The log with notes on what lies beside its file, and the item table, if it is there."""
    folder, stem, notes = events.parent, events.stem or events.parent.resolve().name, []
    named = part_of(events) if isinstance(events, Path) else None
    if named is not None:
        notes.append(f"it is called like the {named[1]} part of a split, of which no other part is here")
        if not (folder / f"{stem}.item").is_file():
            stem = named[0] or folder.resolve().name
    items = folder / f"{stem}.item"
    facts = None
    if items.is_file():
        facts, notes_on_items = read_atomic_items(items, item_field, rules)
        notes += notes_on_items
    unread = [file.name for file in sorted(folder.glob(f"{stem}.*")) if file.suffix in _UNREAD]
    if isinstance(events, Path):
        unread += [file.name for file in sorted(folder.glob(f"{stem}.*.inter")) if file != events]
    if unread:
        notes.append(f"not read: {', '.join(unread)}")
    return replace(log, notes=(*log.notes, *notes)), facts


def _whole(path: Path) -> Path:
    """A file that was given itself.

    Raises:
        BenchError: It is one part of a split whose other parts lie beside it: by itself it isn't the data set.
    """
    named = part_of(path)
    if named is None:
        return path
    files = split_files(path.parent)[named[0]]
    siblings = [files.parts[part].name for part in PARTS if part in files.parts and files.parts[part] != path]
    if siblings:
        raise BenchError(
            f"{path} is the {named[1]} part of a split, and not the whole data: {', '.join(siblings)} lie beside it; "
            f"give the folder {path.parent} to read all parts, or move the file into a folder of its own"
        )
    return path


def _listed(events: Path | SplitFiles) -> str:
    return events.name if isinstance(events, Path) else events.listed
