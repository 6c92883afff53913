"""The parts into which the batches of an epoch are divided, by rows."""

from __future__ import annotations

import numpy as np
import pytest

from bench.data.interactions import Interactions
from models.history.long_term import RaggedItems
from models.training.sampled_targets import SampledTargets, TargetPool
from models.training.windows import TrainingWindows

LENGTHS = np.array([9, 2, 5, 3, 7, 2, 2])
OFFSETS = np.concatenate([[0], LENGTHS.cumsum()])


def windows() -> object:
    n = int(LENGTHS.sum())
    events = Interactions(np.arange(n, dtype=np.int32), np.zeros(n, np.int64), OFFSETS, n_items=n)
    return TrainingWindows(events, 4, 8, "cpu").epoch(np.random.default_rng(0))


def targets() -> object:
    items = np.arange(LENGTHS.sum(), dtype=np.int32)
    events = RaggedItems.from_arrays(items, OFFSETS, "cpu")
    source = SampledTargets(events, TargetPool(LENGTHS), short_term=4, share=1.0, batch_targets=5)
    return source.epoch(np.random.default_rng(0))


@pytest.mark.parametrize("make", [windows, targets])
@pytest.mark.parametrize("of", [2, 3])
def test_the_parts_of_an_epoch_are_the_rows_of_its_batches(make: object, of: int) -> None:
    whole = make()  # type: ignore[operator]
    parts = [whole.part(number, of) for number in range(of)]
    assert {len(part) for part in parts} == {len(whole)}
    assert whole.sizes == [len(batch.targets) for batch in whole]
    for batch, size, *own in zip(whole, whole.sizes, *parts, strict=True):
        rows = [row.tolist() for number, part in enumerate(own) if number < size for row in part.targets.reshape(-1, 1)]
        assert sorted(row for (row,) in rows if row >= 0) == sorted(batch.targets[batch.targets >= 0].tolist())
        for number, part in enumerate(own):
            assert len(part.targets) >= 1, "a process without rows stands in with one"
            assert len(part.targets) == max(1, len(range(number, size, of)))
