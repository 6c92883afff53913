"""Training windows visit every target once, with the right context."""

from collections import Counter

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.data.interactions import PAD, Histories, Interactions
from models.training.windows import TrainingWindows, WindowBatch, recent_window


def numbered(lengths: list[int]) -> Interactions:
    """Every event is an item of its own, so that an item tells which event it is; timestamps are 1000 + event."""
    events = np.arange(sum(lengths))
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Interactions(events.astype(np.int32), 1000 + events.astype(np.int64), offsets, max(1, len(events)))


def windows_of(batch: WindowBatch) -> list[tuple[int, int, list[int], list[int], list[int]]]:
    """User, start, items, timestamps and targets of each window without padding."""
    rows = []
    for row in range(len(batch.users)):
        n = int((batch.items[row] != PAD).sum())
        assert (batch.items[row, n:] == PAD).all(), "padding stands at the end"
        assert (batch.targets[row, n:] == PAD).all()
        assert (batch.timestamps[row, n:] == 0).all()
        parts = (part[row, :n].tolist() for part in (batch.items, batch.timestamps, batch.targets))
        rows.append((int(batch.users[row]), int(batch.starts[row]), *parts))
    return rows


worlds = {
    "lengths": st.lists(st.integers(0, 25), min_size=1, max_size=12),
    "length": st.integers(1, 9),
    "batch_events": st.integers(1, 60),
    "seed": st.integers(0, 2**31),
}


@settings(deadline=None, max_examples=60)
@given(**worlds)
def test_each_event_but_a_users_first_is_the_target_exactly_once_an_epoch(
    lengths: list[int], length: int, batch_events: int, seed: int
) -> None:
    interactions = numbered(lengths)
    epoch = TrainingWindows(interactions, length, batch_events, "cpu").epoch(np.random.default_rng(seed))
    visited = Counter(target for batch in epoch for window in windows_of(batch) for target in window[4])
    firsts = {int(first) for first, n in zip(interactions.offsets, lengths, strict=False) if n}
    assert visited == Counter(set(range(sum(lengths))) - firsts)


@settings(deadline=None, max_examples=60)
@given(**worlds)
def test_windows_hold_consecutive_events_of_one_user_from_start_on(
    lengths: list[int], length: int, batch_events: int, seed: int
) -> None:
    interactions = numbered(lengths)
    for batch in TrainingWindows(interactions, length, batch_events, "cpu").epoch(np.random.default_rng(seed)):
        for user, start, items, timestamps, targets in windows_of(batch):
            first = int(interactions.offsets[user]) + start
            assert 1 <= len(items) <= length
            assert items == list(range(first, first + len(items)))
            assert targets == [item + 1 for item in items]
            assert timestamps == [1000 + item for item in items]
            assert first + len(items) < interactions.offsets[user + 1], "the last target is the user's own event"


@settings(deadline=None, max_examples=60)
@given(**worlds)
def test_a_batch_holds_at_most_batch_events_unless_one_window_is_wider(
    lengths: list[int], length: int, batch_events: int, seed: int
) -> None:
    epoch = TrainingWindows(numbered(lengths), length, batch_events, "cpu").epoch(np.random.default_rng(seed))
    batches = list(epoch)
    assert len(epoch) == len(batches)
    for batch in batches:
        assert batch.items.numel() <= batch_events or len(batch.items) == 1
        assert (batch.items[:, -1] != PAD).any(), "no column is padding only"


def test_batches_are_filled_as_far_as_batch_events_allow() -> None:
    epoch = TrainingWindows(numbered([4] * 10), 5, 9, "cpu").epoch(np.random.default_rng(0))
    assert sorted(tuple(batch.items.shape) for batch in epoch) == [(1, 3), (3, 3), (3, 3), (3, 3)]


def test_a_user_with_at_most_length_targets_is_one_window_in_every_epoch() -> None:
    windows = TrainingWindows(numbered([6, 2, 1]), 5, 100, "cpu")
    rng = np.random.default_rng(0)
    for _ in range(10):
        found = sorted(window[:3] for batch in windows.epoch(rng) for window in windows_of(batch))
        assert found == [(0, 0, [0, 1, 2, 3, 4]), (1, 0, [6])]


def test_a_long_user_is_cut_elsewhere_in_each_epoch() -> None:
    windows = TrainingWindows(numbered([30]), 5, 100, "cpu")
    rng = np.random.default_rng(0)
    cuts = Counter()
    contexts = set()
    for _ in range(100):
        found = [window for batch in windows.epoch(rng) for window in windows_of(batch)]
        cuts.update(start for _, start, *_ in found)
        contexts |= {(target, target - items[0]) for _, _, items, _, targets in found for target in targets}
    assert set(cuts) == set(range(29)), "any event but the last can begin a window"
    assert {n for target, n in contexts if target == 15} == {1, 2, 3, 4, 5}, "contexts of every length"


def test_epochs_differ_and_the_same_generator_gives_the_same_epoch() -> None:
    windows = TrainingWindows(numbered([30, 20, 4, 4, 4]), 5, 10, "cpu")

    def epoch(seed: int) -> list[list[int]]:
        return [batch.items.tolist() for batch in windows.epoch(np.random.default_rng(seed))]

    assert epoch(0) == epoch(0)
    assert epoch(0) != epoch(1)


def test_users_without_targets_make_no_batch() -> None:
    epoch = TrainingWindows(numbered([1, 0, 1]), 5, 10, "cpu").epoch(np.random.default_rng(0))
    assert len(epoch) == 0
    assert list(epoch) == []


def test_the_recent_window_is_the_end_of_each_history_whatever_the_others_are() -> None:
    items = np.array([5, 6, 7, 8, 3], dtype=np.int32)
    histories = Histories(items, 10 * items.astype(np.int64), np.array([0, 4, 4, 5]), 9, exclude_seen=False)
    found, timestamps, kept = recent_window(histories, 3, "cpu")
    assert found.tolist() == [[6, 7, 8], [PAD] * 3, [3, PAD, PAD]]
    assert timestamps.tolist() == [[60, 70, 80], [0] * 3, [30, 0, 0]]
    assert kept.tolist() == [3, 0, 1]
    assert found.dtype == timestamps.dtype == kept.dtype == torch.int64
    alone, _, _ = recent_window(histories.batch(2, 3), 3, "cpu")
    assert alone.tolist() == [[3, PAD, PAD]]


def test_the_history_of_a_target_ends_before_its_basket() -> None:
    # One user, baskets [0 1] [2] [3 4 5]; the history ends at 0, 0, 2, 3, 3, 3.
    ends = np.array([0, 0, 2, 3, 3, 3], dtype=np.int32)
    (batch,) = TrainingWindows(numbered([6]), 5, 100, "cpu", ends).epoch(np.random.default_rng(0))
    assert batch.targets.tolist() == [[PAD, 2, 3, 4, 5]]
    assert batch.kept.tolist() == [[1, 2, 3, 3, 3]]


@settings(deadline=None, max_examples=60)
@given(
    baskets=st.lists(st.lists(st.integers(1, 4), max_size=9), min_size=1, max_size=6),
    length=st.integers(1, 9),
    seed=st.integers(0, 2**31),
)
def test_targets_of_baskets_are_learnt_at_most_once_from_what_precedes_the_basket(
    baskets: list[list[int]], length: int, seed: int
) -> None:
    lengths = [sum(sizes) for sizes in baskets]
    begins = [sum(sizes[:i]) for sizes in baskets for i, size in enumerate(sizes) for _ in range(size)]
    interactions = numbered(lengths)
    epoch = TrainingWindows(interactions, length, 20, "cpu", np.array(begins, np.int32)).epoch(
        np.random.default_rng(seed)
    )
    visited = []
    for batch in epoch:
        assert (batch.targets != PAD).any(1).all(), "a window without targets would be read for nothing"
        for user, start, items, targets, kept in zip(
            *(part.tolist() for part in (batch.users, batch.starts, batch.items, batch.targets, batch.kept)),
            strict=True,
        ):
            first = int(interactions.offsets[user])
            for target, end in zip(targets, kept, strict=True):
                if target != PAD:
                    visited.append(target)
                    assert start + end == begins[target], "the history ends where the basket begins"
                    assert items[:end] == list(range(first + start, first + begins[target]))
    assert len(visited) == len(set(visited))
    if all(n <= length + 1 for n in lengths):  # nothing is cut, so every target with a history is learnt
        assert sorted(visited) == [event for event, begin in enumerate(begins) if begin > 0]


@settings(deadline=None, max_examples=60)
@given(**worlds, baskets=st.booleans())
def test_padding_adds_windows_without_events_and_no_new_target(
    lengths: list[int], length: int, batch_events: int, seed: int, baskets: bool
) -> None:
    """A batch of one of few shapes holds the same windows, then empty ones, whose positions have no target."""
    interactions = numbered(lengths)
    ends = interactions.positions().astype(np.int32) if baskets else None

    def batches(padded: bool) -> list[WindowBatch]:
        windows = TrainingWindows(interactions, length, batch_events, "cpu", ends, padded)
        return list(windows.epoch(np.random.default_rng(seed)))

    plain, wide = batches(False), batches(True)
    assert len(plain) == len(wide)
    for exact, padded in zip(plain, wide, strict=True):
        rows, width = exact.items.shape
        assert padded.items.shape[0] >= rows
        assert padded.items.shape[1] >= width
        for name in ("items", "timestamps", "targets", "kept"):
            assert torch.equal(getattr(padded, name)[:rows, :width], getattr(exact, name)), name
        outside = padded.items.clone()
        outside[:rows, :width] = PAD
        assert (outside == PAD).all()
        assert int((padded.targets != PAD).sum()) == int((exact.targets != PAD).sum())
        assert exact.n_before == padded.n_before == int(padded.starts.sum())


def test_long_histories_fill_batches_of_one_shape_without_padding() -> None:
    windows = TrainingWindows(numbered([500] * 40), 50, 1000, "cpu", padded=True)
    shapes = Counter(tuple(batch.items.shape) for batch in windows.epoch(np.random.default_rng(0)))
    assert shapes.most_common(1)[0][0] == (20, 50)
    assert len(shapes) <= 8
