"""The content hash covers all that can change a result, and needs no copy of large arrays."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bench.data import cache, fingerprint
from bench.data.cache import content_key
from bench.data.dataset import Dataset, ItemTable, ShippedSplit
from bench.data.fingerprint import dataset_hash
from bench.data.interactions import Interactions, untimed

INTERACTIONS = Interactions(np.arange(4, dtype=np.int32), untimed(4), np.array([0, 1, 4]), 4)
TABLE = ItemTable(pd.DataFrame(index=range(4)), (), None)
IDS = np.array(["a", 'with "quotes"', "ümlaut", "d"])
NOBODY = np.zeros(0, dtype=np.int64)
SPLIT = ShippedSplit(np.array([1, 2]), NOBODY, NOBODY, NOBODY, np.array([1]), np.array([2]), np.array([3]))


def hash_of(table: ItemTable = TABLE, split: ShippedSplit | None = None) -> str:
    return dataset_hash(
        Dataset("toy", INTERACTIONS, table, IDS, IDS[:2], "keep", False, "", "", "", shipped_split=split)
    )


def test_embeddings_count_with_their_type() -> None:
    vectors = np.ones((4, 3), dtype=np.int8)
    other = vectors.copy()
    other[3, 2] = 2
    tables = [replace(TABLE, embeddings=e) for e in (vectors, other, vectors.astype(np.float32))]
    assert len({hash_of(), *map(hash_of, tables)}) == 4
    assert hash_of(tables[0]) == hash_of(replace(TABLE, embeddings=vectors.copy()))


@pytest.mark.parametrize("field", ["train_ends", "test_rows", "test_targets", "train_rows"])
def test_every_part_of_the_shipped_split_counts(field: str) -> None:
    changed = replace(SPLIT, **{field: np.array([0, 1])})
    assert len({hash_of(), hash_of(split=SPLIT), hash_of(split=changed)}) == 3


def test_chunks_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    table = replace(TABLE, embeddings=np.arange(12, dtype=np.int8).reshape(4, 3))
    whole = hash_of(table, SPLIT)
    monkeypatch.setattr(cache, "_CHUNK", 5)
    assert hash_of(table, SPLIT) == whole


@pytest.mark.parametrize("chunk", [1, 2, 100])
def test_ids_are_hashed_as_the_json_of_their_lists(chunk: int) -> None:
    lists = [IDS, IDS[:0], IDS[1:]]
    expected = json.dumps([ids.tolist() for ids in lists], separators=(",", ":")).encode()
    assert b"".join(fingerprint.json_of_ids(*lists, chunk=chunk)) == expected


def test_a_key_of_arrays_does_not_depend_on_their_layout() -> None:
    array = np.arange(12).reshape(3, 4)
    assert content_key(array) == content_key(np.asfortranarray(array))
    assert content_key(array) != content_key(array.T)
    assert content_key(array) != content_key(array.astype(np.int32))
    assert content_key(untimed(4)) == content_key(np.zeros(4, dtype=np.int64))
