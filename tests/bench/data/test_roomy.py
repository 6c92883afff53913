"""Arrays that lie in a file where they are large: what is computed with them is the same, and no file stays."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray

from bench.data import dataset as dataset_module
from bench.data import interactions as interactions_module
from bench.data import roomy as roomy_module
from bench.data.dataset import ItemTable, TrainingData
from bench.data.interactions import Interactions
from bench.data.roomy import roomy
from models.history.semantic_search import SemanticSearchIndex


@pytest.fixture
def everything_is_large(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(roomy_module, "LARGE", 1)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def lies_in_a_file(array: NDArray[np.generic]) -> bool:
    owner: object = array
    while isinstance(owner, np.ndarray):
        if isinstance(owner, np.memmap):
            return True
        owner = owner.base
    return False


def world(baskets: bool, named: bool) -> TrainingData:
    random = np.random.default_rng(0)
    lengths = random.integers(0, 9, 50)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    items = random.integers(0, 20, offsets[-1]).astype(np.int32)
    times = np.sort(random.integers(0, 5, offsets[-1]))
    log = Interactions(items, times, offsets, 20)
    users = np.flatnonzero(lengths > 2)
    targets = (users, np.full(len(users), 2)) if named else None
    table = ItemTable(pd.DataFrame({"title": ["x"] * 20}), ("title",), None)
    return TrainingData(log, table, False, "hash", targets=targets, baskets=baskets)


def test_a_large_array_lies_in_a_file_that_has_no_name(everything_is_large: Path) -> None:
    array = roomy(1000, np.int32)
    array[:] = np.arange(1000)
    assert array.shape == (1000,)
    assert array.dtype == np.int32
    assert lies_in_a_file(array)
    assert list(everything_is_large.iterdir()) == []
    assert array.sum() == 499_500


def test_a_small_array_lies_in_memory() -> None:
    assert not lies_in_a_file(roomy(1000, np.int64))
    assert roomy(0, np.int64).shape == (0,)


def test_without_room_on_the_disk_it_lies_in_memory(everything_is_large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    array = roomy(1000, np.int32)
    assert array.shape == (1000,)
    assert not lies_in_a_file(array)


@pytest.mark.parametrize("chunk", [1, 7, 1 << 24])
@pytest.mark.parametrize(("baskets", "named"), [(False, False), (True, False), (False, True), (True, True)])
def test_what_is_computed_is_the_same(
    everything_is_large: Path, baskets: bool, named: bool, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = world(baskets, named)
    log = train.interactions
    monkeypatch.setattr(dataset_module, "CHUNK_EVENTS", chunk)
    monkeypatch.setattr(interactions_module, "CHUNK_EVENTS", chunk)
    ends = train.history_ends()
    if not baskets and not named:
        assert ends is None
    else:
        assert ends is not None
        assert lies_in_a_file(ends)
        naive = []
        for user in range(log.n_users):
            times = log.timestamps[log.row(user)].tolist()
            for position, time in enumerate(times):
                begin = position
                while baskets and begin > 0 and times[begin - 1] == time:
                    begin -= 1
                naive.append(begin if not named or position == 2 else 0)
        assert ends.tolist() == naive
    cut = log.truncated(np.full(log.n_users, 3))
    assert lies_in_a_file(cut.items)
    assert lies_in_a_file(cut.timestamps)
    for user in range(log.n_users):
        assert cut.items[cut.row(user)].tolist() == log.items[log.row(user)][:3].tolist()
        assert cut.timestamps[cut.row(user)].tolist() == log.timestamps[log.row(user)][:3].tolist()


def test_a_search_index_in_a_file_finds_the_same(everything_is_large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = world(baskets=False, named=False).interactions
    items, offsets = torch.from_numpy(log.items.astype(np.int64)), torch.from_numpy(log.offsets)
    codes = torch.arange(20) % 4

    def found() -> list[object]:
        index = SemanticSearchIndex(items, offsets, codes, 4)
        rows = torch.arange(log.n_users)
        listed: list[object] = index.search(rows, offsets.diff(), torch.arange(4).expand(len(rows), 4), 5).tolist()
        return listed

    in_files = found()
    monkeypatch.setattr(roomy_module, "LARGE", 1 << 30)
    assert found() == in_files
