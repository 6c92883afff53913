"""Training targets one by one, against slices of Python lists."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.data.interactions import PAD
from models.history.long_term import RaggedItems
from models.training.sampled_targets import SampledTargets, TargetBatch, TargetPool, Targets

ROWS = st.lists(st.lists(st.integers(0, 99), max_size=12), min_size=1, max_size=6)


def samples_of(
    rows: list[list[int]],
    short_term: int = 3,
    share: float = 1.0,
    batch: int = 4,
    history_ends: list[int] | None = None,
) -> SampledTargets:
    lengths = np.array([len(row) for row in rows], dtype=np.int64)
    items = np.array([item for row in rows for item in row], dtype=np.int32)
    events = RaggedItems.from_arrays(items, np.concatenate([[0], np.cumsum(lengths)]), "cpu")
    pool = TargetPool(lengths, None if history_ends is None else np.array(history_ends, dtype=np.int32))
    return SampledTargets(events, pool, short_term, share, batch)


def visited(samples: SampledTargets, seed: int = 0) -> list[tuple[int, int]]:
    """(user, position) of every target of an epoch; a window and what lies before it end where the target stands."""
    found = []
    for batch in samples.epoch(np.random.default_rng(seed)):
        kept = (batch.items != PAD).sum(1)
        found += zip(batch.long_term.rows.tolist(), (batch.long_term.ends + kept).tolist(), strict=True)
    return found


@settings(deadline=None, max_examples=50)
@given(rows=ROWS, short_term=st.integers(1, 5), seed=st.integers(0, 2**31))
def test_a_batch_holds_what_lies_before_each_target(rows: list[list[int]], short_term: int, seed: int) -> None:
    samples = samples_of(rows, short_term)
    for batch in samples.epoch(np.random.default_rng(seed)):
        assert batch.long_term.events is samples.events, "indices, never copies"
        for i in range(len(batch.targets)):
            row, end = rows[int(batch.long_term.rows[i])], int(batch.long_term.ends[i])
            window = [item for item in batch.items[i].tolist() if item != PAD]
            position = end + len(window)
            assert window == row[max(0, position - short_term) : position]
            assert end == max(0, position - short_term)
            assert batch.items[i].tolist() == window + [PAD] * (short_term - len(window)), "left-aligned"
            assert int(batch.targets[i]) == row[position]


@settings(deadline=None, max_examples=50)
@given(rows=ROWS, seed=st.integers(0, 2**31))
def test_a_whole_epoch_visits_every_event_but_a_users_first_once(rows: list[list[int]], seed: int) -> None:
    expected = [(user, position) for user, row in enumerate(rows) for position in range(1, len(row))]
    assert sorted(visited(samples_of(rows), seed)) == expected


@pytest.mark.parametrize(("share", "drawn"), [(0.01, 1), (0.25, 5), (0.3, 6), (1.0, 20)])
def test_a_share_of_the_targets_is_drawn_without_replacement(share: float, drawn: int) -> None:
    rows = [list(range(11)), [1], [], list(range(11))]
    samples = samples_of(rows, share=share)
    targets = visited(samples)
    assert len(targets) == len(set(targets)) == drawn
    assert len(samples.epoch(np.random.default_rng(0))) == -(-drawn // 4)


def test_epochs_follow_their_generator() -> None:
    samples = samples_of([list(range(30))], share=0.5)
    assert visited(samples, 1) == visited(samples, 1)
    assert visited(samples, 1) != visited(samples, 2)
    assert set(visited(samples, 1)) != set(visited(samples, 2)), "each epoch draws anew"


@pytest.mark.parametrize("rows", [[[]], [[4], [7]], []])
def test_without_targets_an_epoch_is_empty(rows: list[list[int]]) -> None:
    epoch = samples_of(rows).epoch(np.random.default_rng(0))
    assert len(epoch) == 0
    assert list(epoch) == []


def test_the_first_target_has_one_event_and_no_long_term_history() -> None:
    first = Targets(users=torch.tensor([0]), positions=torch.tensor([1]), ends=torch.tensor([1]))
    batch: TargetBatch = samples_of([[5, 6, 7]]).gather(first)
    assert batch.items.tolist() == [[5, PAD, PAD]]
    assert batch.targets.tolist() == [6]
    assert batch.long_term.ends.tolist() == [0]


def test_a_target_in_a_basket_sees_nothing_of_the_basket() -> None:
    # Two users; baskets in brackets: [3] [4 5] [6] and [7 8] [9].
    samples = samples_of([[3, 4, 5, 6], [7, 8, 9]], short_term=2, batch=9, history_ends=[0, 1, 1, 3, 0, 0, 2])
    (batch,) = samples.epoch(np.random.default_rng(0))
    seen = {
        target: (window, end)
        for target, window, end in zip(
            batch.targets.tolist(), batch.items.tolist(), batch.long_term.ends.tolist(), strict=True
        )
    }
    assert seen == {4: ([3, PAD], 0), 5: ([3, PAD], 0), 6: ([4, 5], 1), 9: ([7, 8], 0)}
