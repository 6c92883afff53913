"""TAOBAO-MM: clicks of Taobao users with histories of up to 1,000 items and shipped embeddings, as published.

The published tables are 139 GB and are streamed once. What a run needs of them is a few gigabytes of plain arrays, kept
beside them and memory-mapped from then on.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd
from filelock import FileLock
from numpy.typing import NDArray

from bench.data.cache import content_key
from bench.data.catalog_entry import CatalogEntry
from bench.data.dataset import Dataset, ItemTable, SeenItems, ShippedSplit
from bench.data.fingerprint import dataset_hash
from bench.data.interactions import Interactions, row_chunks, untimed
from bench.data.sources.recbole_wheel import DATA_FOLDER_VARIABLE, data_folder
from bench.data.sources.taobao_mm_tables import (
    UNKNOWN,
    Clicks,
    Sequences,
    Table,
    find,
    read_categories,
    read_clicks,
    read_embedded_items,
    read_embeddings,
    read_sequences,
)
from bench.errors import BenchError, MissingDataError

SUMMARY = (
    "TAOBAO-MM: clicks on 10,000 items after histories of up to 1,000 items, 128-d int8 embeddings, no timestamps; "
    "files from huggingface.co/datasets/TaoBao-MM/Taobao-MM"
)
LICENCE = "Apache-2.0."
SOURCE = "TAOBAO-MM, https://taobao-mm.github.io, https://huggingface.co/datasets/TaoBao-MM/Taobao-MM."

_NAME = "taobao-mm"
_VERSION = 1
"""Raise it whenever a change of code changes the prepared arrays."""
_SEEN_ITEMS: SeenItems = "keep"
_BASKETS = False
_SPLIT_SEED = 2025
"""Of the halves of the test rows, as in the official code."""
_TARGET_SEED = 42
_EVENTS_AT_A_TIME = 1 << 22
_TABLES = (
    "train_samples",
    "test_samples",
    "train_user_features",
    "test_user_features",
    "item_features",
    "scl_embedding_int8_p90",
)


@dataclass(frozen=True)
class Selection:
    """Which part of the published data is loaded; the defaults are those of GLASS.

    Attributes:
        target_items: Largest number of items whose clicks are samples, drawn at random from all that qualify.
        clicks_per_item: Fewest clicks in the training samples of an item that qualifies; it must also be clicked in
            the test samples.
        embedded_only: Whether items without a shipped embedding are left out of the catalogue, hence also of the
            histories. They have no semantic ID in GLASS, and without features they would all share one.
    """

    target_items: int = 10_000
    clicks_per_item: int = 5
    embedded_only: bool = True


def load_taobao_mm(selection: Selection | None = None) -> Dataset:
    """Loads TAOBAO-MM, preparing it the first time (minutes to an hour for the published 139 GB).

    A sample is a row of `train_samples` or `test_samples` that was clicked (`label_0[0] == 0`) and whose item is one of
    the selection's target items. A row of the interactions is one user of one of the two parts: first those of the
    training samples, whose history `150_2_180` is followed by their clicked targets in file order, which are the
    training targets of the shipped split; then those of the test samples, whose history stands alone and trains
    nothing. A user of both parts has two rows, with the history that each part ships. The order of a history is its
    time; there are no timestamps. The catalogue, all of which is ranked, are the target items and the items of all
    histories.

    The shipped split asks every test sample after the history of its row, a random half of them for validation, the
    other half for the test. Under leave-one-out the two rows of a user of both parts count as two users, and one row's
    history may hold what the other row's query asks for; only the shipped split is free of that.

    An item's category is `206` of `item_features`, and for the many items that this table lacks the category that
    `151_2_180` gives them in a history.

    Args:
        selection: The part that is loaded. None: that of GLASS.

    Raises:
        MissingDataError: The files are not on this machine.
        BenchError: A file is malformed, or nothing is left of the samples.
    """
    selection, tables = selection or Selection(), _tables()
    state = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for t in tables.values() for path in t.files]
    prepared = data_folder() / _NAME / "prepared" / content_key(_VERSION, asdict(selection), state)
    prepared.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{prepared}.lock"):
        if not prepared.is_dir():
            unfinished = prepared.with_suffix(".part")
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            _prepare(tables, selection, unfinished)
            unfinished.rename(prepared)
    meta = json.loads((prepared / "meta.json").read_text(encoding="utf-8"))
    return _open(prepared, meta["content_hash"], tuple(meta["filters"]))


@dataclass(frozen=True)
class _Part:
    """The training or the test samples of the target items.

    Attributes:
        samples: In file order.
        rows: int64 `[n_samples]`, the row of each sample's user in `sequences`.
        sequences: The histories of their users.
    """

    samples: Clicks
    rows: NDArray[np.int64]
    sequences: Sequences


@dataclass(frozen=True)
class _Rows:
    """What was written of a part: events of each row int64 `[n_rows]`, and where in their rows the targets stand.

    `target_rows` and `target_positions` are int64 `[n_targets]`.
    """

    lengths: NDArray[np.int64]
    target_rows: NDArray[np.int64]
    target_positions: NDArray[np.int64]


def _prepare(tables: dict[str, Table], selection: Selection, folder: Path) -> None:
    """Writes the arrays that `_open` reads, and `meta.json`."""
    clicks = {part: read_clicks(tables[f"{part}_samples"]) for part in ("train", "test")}
    embedded = read_embedded_items(tables["scl_embedding_int8_p90"]) if selection.embedded_only else None
    targets = choose_targets(clicks["train"], clicks["test"], embedded, selection)
    notes = [
        f"{len(targets):,} target items, drawn from those with at least {selection.clicks_per_item} clicks in the "
        f"training samples and one in the test samples{' and an embedding' if selection.embedded_only else ''}"
    ]
    parts = {
        part: _part(part, all_clicks, targets, tables[f"{part}_user_features"], folder, notes)
        for part, all_clicks in clicks.items()
    }
    catalogue = _catalogue(targets, [part.sequences for part in parts.values()], embedded)
    category = read_categories(tables["item_features"], catalogue)
    with (folder / "items").open("wb") as file:
        train = _append_rows(file, parts["train"], True, catalogue, category)
        test = _append_rows(file, parts["test"], False, catalogue, category)
    shipped = sum(len(part.sequences.items) for part in parts.values())
    n_events = int(train.lengths.sum() + test.lengths.sum()) - len(train.target_rows)
    if n_events < shipped:
        notes.append(
            f"{shipped - n_events:,} of {shipped:,} history events are left out, of items without an embedding"
        )

    np.save(folder / "offsets", np.concatenate([[0], np.cumsum(np.concatenate([train.lengths, test.lengths]))]))
    for name, array in vars(_split(train, test, parts["test"], catalogue, notes)).items():
        np.save(folder / f"split_{name}", array)
    np.save(folder / "item_ids", catalogue.astype(np.str_))
    users = [np.char.add(f"{name}/", part.sequences.users.astype(np.str_)) for name, part in parts.items()]
    np.save(folder / "user_ids", np.concatenate(users))
    codes = np.unique(category, return_inverse=True)[1].reshape(-1)  # UNKNOWN is the smallest and comes first
    np.save(folder / "category", (codes - (category == UNKNOWN).any()).astype(np.int32))
    repeats = read_embeddings(tables["scl_embedding_int8_p90"], catalogue, folder / "embeddings.npy")
    if repeats:
        notes.append(f"{repeats:,} embeddings of an item that has one already are left out")

    for name in parts:
        shutil.rmtree(folder / f"{name}_sequences")
    content_hash = dataset_hash(_open(folder, "", tuple(notes)))
    (folder / "meta.json").write_text(json.dumps({"content_hash": content_hash, "filters": notes}), encoding="utf-8")


def _open(folder: Path, content_hash: str, notes: tuple[str, ...]) -> Dataset:
    """The data set whose arrays lie in `folder`; events and embeddings stay on disk until they are read."""
    offsets = np.load(folder / "offsets.npy")
    embeddings = np.load(folder / "embeddings.npy", mmap_mode="r")
    items = np.memmap(folder / "items", dtype=np.int32, mode="r")
    return Dataset(
        name=_NAME,
        interactions=Interactions(items, untimed(len(items)), offsets, n_items=len(embeddings)),
        item_table=ItemTable(
            columns=pd.DataFrame(index=pd.RangeIndex(len(embeddings))),
            text_columns=(),
            category=np.load(folder / "category.npy"),
            embeddings=embeddings,
        ),
        item_ids=np.load(folder / "item_ids.npy", mmap_mode="r"),
        user_ids=np.load(folder / "user_ids.npy", mmap_mode="r"),
        seen_items=_SEEN_ITEMS,
        baskets=_BASKETS,
        licence=LICENCE,
        source=SOURCE,
        content_hash=content_hash,
        has_time=False,
        filters=notes,
        shipped_split=ShippedSplit(
            **{field.name: np.load(folder / f"split_{field.name}.npy") for field in fields(ShippedSplit)}
        ),
    )


def choose_targets(
    train: Clicks, test: Clicks, embedded: NDArray[np.int64] | None, selection: Selection
) -> NDArray[np.int64]:
    """Returns the target items, ascending ids."""
    items, counts = np.unique(train.items, return_counts=True)
    eligible = np.intersect1d(items[counts >= selection.clicks_per_item], test.items)
    if embedded is not None:
        eligible = np.intersect1d(eligible, embedded, assume_unique=True)
    if len(eligible) == 0:
        raise BenchError(
            f"TAOBAO-MM: no item has {selection.clicks_per_item} clicks in train_samples, one in test_samples"
            f"{'' if embedded is None else ', and an embedding'}; are all tables complete?"
        )
    if len(eligible) > selection.target_items:
        rng = np.random.default_rng(_TARGET_SEED)
        eligible = np.sort(rng.choice(eligible, selection.target_items, replace=False))
    return eligible


def _part(
    name: str, clicks: Clicks, targets: NDArray[np.int64], features: Table, folder: Path, notes: list[str]
) -> _Part:
    """The clicks on target items with the histories of their users; adds to `notes` what is left out."""
    samples = clicks.where(find(targets, clicks.items)[1])
    notes.append(f"{len(samples):,} of {len(clicks):,} clicked {name} samples are of target items")
    sequences = read_sequences(features, np.unique(samples.users), folder / f"{name}_sequences")
    order = np.argsort(sequences.users)
    index, known = find(sequences.users[order], samples.users)
    if not known.all():
        notes.append(f"{(~known).sum():,} {name} samples of users without features are left out")
    return _Part(samples.where(known), order[index[known]] if len(order) else index[known], sequences)


def _catalogue(
    targets: NDArray[np.int64], sequences: list[Sequences], embedded: NDArray[np.int64] | None
) -> NDArray[np.int64]:
    """Target items and items of histories, ascending ids."""
    pool = targets
    for part in sequences:
        for start in range(0, len(part.items), _EVENTS_AT_A_TIME):
            pool = np.union1d(pool, part.items[start : start + _EVENTS_AT_A_TIME])
    return pool if embedded is None else np.intersect1d(pool, embedded, assume_unique=True)


def _append_rows(
    file: BinaryIO, part: _Part, with_targets: bool, catalogue: NDArray[np.int64], category: NDArray[np.int64]
) -> _Rows:
    """Writes the rows of a part as int32 items, each history followed by its targets in file order if `with_targets`.

    Events whose items are not in the catalogue are left out. The unknown entries of `category`, int64 `[n_items]`, are
    filled with what the histories say.
    """
    sequences = part.sequences
    by_row = np.argsort(part.rows, kind="stable")[: len(part.rows) if with_targets else 0]
    sample_rows, sample_items = part.rows[by_row], part.samples.items[by_row]
    lengths, rows_of_targets, positions = [_NOTHING], [_NOTHING], [_NOTHING]
    for rows in row_chunks(sequences.offsets, _EVENTS_AT_A_TIME):
        events = slice(int(sequences.offsets[rows.start]), int(sequences.offsets[rows.stop]))
        samples = slice(*np.searchsorted(sample_rows, (rows.start, rows.stop)).tolist())
        n_events = events.stop - events.start
        in_chunk = np.arange(rows.start, rows.stop)
        row = np.concatenate([np.repeat(in_chunk, np.diff(sequences.offsets)[rows]), sample_rows[samples]])
        index, known = find(catalogue, np.concatenate([sequences.items[events], sample_items[samples]]))

        of_event = sequences.categories[events]
        news = known[:n_events] & (of_event != UNKNOWN) & (category[index[:n_events]] == UNKNOWN)
        category[index[:n_events][news]] = of_event[news]

        order = np.argsort(row, kind="stable")  # targets stand behind all events, hence behind those of their row
        order = order[known[order]]
        index[order].astype(np.int32).tofile(file)
        row = row[order] - rows.start
        length = np.bincount(row, minlength=len(in_chunk))
        is_target = order >= n_events
        lengths.append(length)
        rows_of_targets.append(row[is_target] + rows.start)
        positions.append((np.arange(len(row)) - (np.cumsum(length) - length)[row])[is_target])
    return _Rows(np.concatenate(lengths), np.concatenate(rows_of_targets), np.concatenate(positions))


def _split(train: _Rows, test: _Rows, part: _Part, catalogue: NDArray[np.int64], notes: list[str]) -> ShippedSplit:
    """Random halves of the test samples as validation and test queries; the rows of the test part come last."""
    answerable = np.flatnonzero(test.lengths[part.rows] > 0)
    if len(answerable) < len(part.rows):
        notes.append(f"{len(part.rows) - len(answerable):,} test samples with an empty history are left out")
    if len(answerable) < 2:
        raise BenchError("TAOBAO-MM: fewer than two test samples are left; are test_samples and its users complete?")
    shuffled = np.random.default_rng(_SPLIT_SEED).permutation(answerable)
    validation, held_out = np.sort(shuffled[: len(shuffled) // 2]), np.sort(shuffled[len(shuffled) // 2 :])
    targets = find(catalogue, part.samples.items)[0].astype(np.int32)
    return ShippedSplit(
        train_ends=np.concatenate([train.lengths, np.zeros_like(test.lengths)]),
        validation_rows=part.rows[validation] + len(train.lengths),
        validation_ends=test.lengths[part.rows[validation]],
        validation_targets=targets[validation],
        test_rows=part.rows[held_out] + len(train.lengths),
        test_ends=test.lengths[part.rows[held_out]],
        test_targets=targets[held_out],
        train_rows=train.target_rows,
        train_positions=train.target_positions,
    )


def _tables() -> dict[str, Table]:
    """The published tables, each a parquet file or a folder of them, in the user's folder or its subfolder `raw`.

    Raises:
        MissingDataError: One is missing.
    """
    top = data_folder() / _NAME
    tables = {name: files for name in _TABLES if (files := _files(top, name) or _files(top / "raw", name))}
    missing = [f"{name}.parquet" for name in _TABLES if name not in tables]
    if missing:
        which = f" ({', '.join(missing)} not found)" if tables else ""
        raise MissingDataError(
            f"TAOBAO-MM is not on this machine{which}: download the folder raw of "
            f"https://huggingface.co/datasets/TaoBao-MM/Taobao-MM into {top}, or set {DATA_FOLDER_VARIABLE} to a "
            f"folder with {_NAME}/"
        )
    return {name: Table(files) for name, files in tables.items()}


def _files(folder: Path, name: str) -> tuple[Path, ...]:
    for path in (folder / f"{name}.parquet", folder / name):
        if path.is_file():
            return (path,)
        if path.is_dir():
            return tuple(sorted(path.glob("*.parquet")))
    return ()


_NOTHING = np.zeros(0, dtype=np.int64)

DATASETS = {_NAME: CatalogEntry(SUMMARY, LICENCE, SOURCE, load_taobao_mm, _tables)}
