"""The published tables of TAOBAO-MM, streamed: nothing here holds more of a table than what is used."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bench.errors import BenchError, message_of

UNKNOWN = np.iinfo(np.int64).min
"""Stands for a category that a table does not give."""

_BUFFER = 1 << 20
"""Bytes of a column that are read at a time: some files have row groups of several gigabytes."""


@dataclass(frozen=True)
class Table:
    """A published table.

    Attributes:
        files: Its parquet files, in the order of their rows.
    """

    files: tuple[Path, ...]

    def batches(self, *columns: str, rows: int = 1 << 16) -> Iterator[pa.RecordBatch]:
        """Reads some columns, at most `rows` rows at a time.

        Raises:
            BenchError: A file is no parquet file, or lacks a column.
        """
        for path in self.files:
            try:
                with pq.ParquetFile(path, pre_buffer=False, buffer_size=_BUFFER) as file:
                    for column in columns:
                        if column not in file.schema_arrow.names:
                            raise BenchError(f"{path}: column '{column}' is missing; download the file again")
                    yield from file.iter_batches(batch_size=rows, columns=list(columns))
            except (OSError, pa.ArrowException) as error:
                raise BenchError(f"{path} can't be read ({message_of(error)}); download the file again") from None

    def ids(self, batch: pa.RecordBatch, column: str) -> NDArray[np.int64]:
        """Reads a column of ids of one of the batches.

        Raises:
            BenchError: One is empty, or they are no integers.
        """
        if batch[column].null_count or not pa.types.is_integer(batch[column].type):
            raise BenchError(f"{self.files[0]}: column '{column}' must hold an integer in every row; download it again")
        return batch[column].cast(pa.int64()).to_numpy(zero_copy_only=False)


@dataclass(frozen=True)
class Clicks:
    """Clicked samples in file order.

    Attributes:
        users, items: int64 `[n]`, original ids.
    """

    users: NDArray[np.int64]
    items: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.users)

    def where(self, keep: NDArray[np.bool_]) -> Clicks:
        return Clicks(self.users[keep], self.items[keep])


@dataclass(frozen=True)
class Sequences:
    """Histories as shipped, one row a user, oldest first.

    Attributes:
        users: int64 `[n_rows]`, original ids, in file order.
        offsets: int64 `[n_rows + 1]`.
        items: int64 `[n_events]`, original ids, memory-mapped.
        categories: int64 `[n_events]`, original ids of categories or `UNKNOWN`, memory-mapped.
    """

    users: NDArray[np.int64]
    offsets: NDArray[np.int64]
    items: NDArray[np.int64]
    categories: NDArray[np.int64]


def read_clicks(table: Table) -> Clicks:
    """Reads samples with `label_0[0] == 0`. The label is a one-hot list, [0, 1] for a click; an empty one is none."""
    users, items = [_NO_IDS], [_NO_IDS]
    for batch in table.batches("label_0", "129_1", "205"):
        label = batch["label_0"]
        batch = batch.filter(pc.fill_null(pc.greater(pc.list_value_length(label), 0), False))
        batch = batch.filter(pc.equal(pc.list_element(batch["label_0"], 0), 0))
        users.append(table.ids(batch, "129_1"))
        items.append(table.ids(batch, "205"))
    return Clicks(np.concatenate(users), np.concatenate(items))


def read_embedded_items(table: Table) -> NDArray[np.int64]:
    """Reads the items with a vector in `205_c`, ascending ids."""
    ids = [table.ids(batch.filter(batch["205_c"].is_valid()), "205") for batch in table.batches("205", "205_c")]
    return np.unique(np.concatenate([_NO_IDS, *ids]))


def read_sequences(table: Table, users: NDArray[np.int64], spill: Path) -> Sequences:
    """Reads the histories of some users; of a user with several rows the first counts.

    Args:
        table: With `129_1`, `150_2_180` and `151_2_180`.
        users: int64, ascending; the others are passed over.
        spill: A folder for the events, which may be gigabytes; it must exist as long as these are used.
    """
    spill.mkdir()
    wanted = np.ones(len(users), dtype=bool)
    users_read, lengths = [_NO_IDS], [_NO_IDS]
    with (spill / "items").open("wb") as items, (spill / "categories").open("wb") as categories:
        for batch in table.batches("129_1", "150_2_180", "151_2_180", rows=4096):
            ids = table.ids(batch, "129_1")
            rows, index = _first_rows(ids, users, wanted)
            wanted[index] = False
            batch = batch.take(pa.array(rows))
            values, length = _lists(batch["150_2_180"])
            category, category_length = _lists(batch["151_2_180"])
            # Where the two lists of a row differ in length, nobody can say which category belongs to which item.
            same = length == category_length
            aligned = np.full(len(values), UNKNOWN)
            aligned[np.repeat(same, length)] = category[np.repeat(same, category_length)]
            present = values != UNKNOWN
            values[present].tofile(items)
            aligned[present].tofile(categories)
            row = np.repeat(np.arange(len(rows)), length)
            lengths.append(np.bincount(row[present], minlength=len(rows)))
            users_read.append(ids[rows])
    offsets = np.concatenate([[0], np.cumsum(np.concatenate(lengths))]).astype(np.int64)
    mapped = [_mapped(spill / name, int(offsets[-1])) for name in ("items", "categories")]
    return Sequences(np.concatenate(users_read), offsets, *mapped)


def read_categories(table: Table, catalogue: NDArray[np.int64]) -> NDArray[np.int64]:
    """Reads the category `206` of every item of a catalogue (int64, ascending ids), or `UNKNOWN`: int64 `[n_items]`."""
    category = np.full(len(catalogue), UNKNOWN)
    for batch in table.batches("205", "206"):
        index, known = find(catalogue, table.ids(batch, "205"))
        stated = pc.fill_null(batch["206"].cast(pa.int64()), UNKNOWN).to_numpy(zero_copy_only=False)
        category[index[known]] = stated[known]
    return category


def read_embeddings(table: Table, catalogue: NDArray[np.int64], path: Path) -> int:
    """Writes the vectors of a catalogue to an `.npy` file, int8 `[n_items, dims]`, zeros where an item has none.

    Of an item with several vectors the first counts.

    Args:
        table: With `205` and `205_c`.
        catalogue: int64, ascending ids.
        path: The file.

    Returns:
        The number of rows that repeat an item of the catalogue.

    Raises:
        BenchError: A vector is not int8, or not as wide as the others.
    """
    wanted = np.ones(len(catalogue), dtype=bool)
    target: NDArray[np.int8] | None = None
    repeats = 0
    for batch in table.batches("205", "205_c"):
        batch = batch.filter(batch["205_c"].is_valid())
        vectors = batch["205_c"]
        if vectors.type.value_type != pa.int8():
            raise BenchError(f"{table.files[0]}: column '205_c' holds {vectors.type.value_type}, not int8 vectors")
        widths = np.unique(pc.list_value_length(vectors).to_numpy())
        if target is None and len(widths):
            target = np.lib.format.open_memmap(path, "w+", np.int8, (len(catalogue), int(widths[0])))
        if target is None:
            continue
        if (widths != target.shape[1]).any():
            sizes = " and ".join(map(str, sorted({target.shape[1], *widths.tolist()})))
            raise BenchError(f"{table.files[0]}: column '205_c' holds vectors of {sizes} numbers; download it again")
        ids = table.ids(batch, "205")
        rows, index = _first_rows(ids, catalogue, wanted)
        target[index] = vectors.flatten().to_numpy().reshape(-1, target.shape[1])[rows]
        repeats += int(find(catalogue, ids)[1].sum()) - len(rows)
        wanted[index] = False
    if target is None:
        raise BenchError(f"{table.files[0]} holds no vectors; download the file again")
    return repeats


def find(ids: NDArray[np.int64], wanted_ids: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Finds the index of each wanted id in the ascending `ids`, and whether it is there at all."""
    if len(ids) == 0:
        return np.zeros(len(wanted_ids), dtype=np.int64), np.zeros(len(wanted_ids), dtype=bool)
    index = np.minimum(np.searchsorted(ids, wanted_ids), len(ids) - 1)
    return index, ids[index] == wanted_ids


_NO_IDS = np.zeros(0, dtype=np.int64)


def _first_rows(
    wanted_ids: NDArray[np.int64], ids: NDArray[np.int64], wanted: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Finds the rows that bring an id which is still wanted for the first time, in order, and its index in `ids`."""
    index, known = find(ids, wanted_ids)
    rows = np.flatnonzero(known & wanted[index]) if len(ids) else _NO_IDS
    _, first = np.unique(index[rows], return_index=True)
    rows = rows[np.sort(first)]
    return rows, index[rows]


def _lists(column: pa.Array) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The values of all lists, `UNKNOWN` where one is null, and the length of each list, 0 where the list is null."""
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False).astype(np.int64)
    values = pc.fill_null(column.flatten().cast(pa.int64()), UNKNOWN)
    return values.to_numpy(zero_copy_only=False), lengths


def _mapped(path: Path, length: int) -> NDArray[np.int64]:
    return np.memmap(path, dtype=np.int64, mode="r") if length else _NO_IDS
