"""Ragged events in chunks: whatever the size of a chunk, the result is that of plain loops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.data import interactions
from bench.data.interactions import Interactions, chronological, is_untimed, row_chunks, untimed

LENGTHS = st.lists(st.integers(0, 7), min_size=1, max_size=8)


def events_of(lengths: list[int], timed: bool) -> Interactions:
    rng = np.random.default_rng(0)
    n_events = sum(lengths)
    return Interactions(
        items=rng.integers(0, 9, n_events).astype(np.int32),
        timestamps=rng.integers(1, 100, n_events) if timed else untimed(n_events),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        n_items=9,
    )


@settings(deadline=None, max_examples=50)
@given(rows=st.lists(st.tuples(st.integers(0, 3), st.sampled_from([0.0, 0.25, 0.75, 7.5])), min_size=1, max_size=20))
def test_rows_of_a_file_become_those_of_a_stable_sort_and_fractions_of_a_second_count(
    rows: list[tuple[int, float]],
) -> None:
    users = np.unique([user for user, _ in rows], return_inverse=True)[1]
    times = np.array([time for _, time in rows])
    log = Interactions.from_rows(chronological(users, times), users, np.arange(len(rows)), times, len(rows))
    expected = sorted(range(len(rows)), key=lambda row: (users[row], times[row]))  # Python's sort is stable
    assert log.items.tolist() == expected
    assert log.timestamps.tolist() == [int(times[row]) for row in expected]
    assert log.lengths.tolist() == [int((users == user).sum()) for user in range(users.max() + 1)]
    assert (log.items.dtype, log.timestamps.dtype, log.offsets.dtype) == (np.int32, np.int64, np.int64)


@settings(deadline=None, max_examples=50)
@given(lengths=LENGTHS, timed=st.booleans(), chunk=st.integers(1, 20), seed=st.integers(0, 99))
def test_truncated_rows_are_those_of_a_loop_whatever_the_chunk(
    lengths: list[int], timed: bool, chunk: int, seed: int
) -> None:
    log = events_of(lengths, timed)
    ends = np.random.default_rng(seed).integers(0, 9, len(lengths))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(interactions, "CHUNK_EVENTS", chunk)
        short = log.truncated(ends)
        counts = log.item_counts()
    for row, end in enumerate(ends):
        assert short.items[short.row(row)].tolist() == log.items[log.row(row)][:end].tolist()
        assert short.timestamps[short.row(row)].tolist() == log.timestamps[log.row(row)][:end].tolist()
    assert short.items.dtype == np.int32
    assert short.items.size == 0 or is_untimed(short.timestamps) != timed
    assert not np.shares_memory(short.items, log.items)
    assert counts.tolist() == [int((log.items == item).sum()) for item in range(9)]


@settings(deadline=None, max_examples=50)
@given(lengths=LENGTHS, chunk=st.integers(1, 20))
def test_chunks_of_rows_cover_all_rows_once_and_are_no_larger_than_asked_or_one_row(
    lengths: list[int], chunk: int
) -> None:
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    chunks = list(row_chunks(offsets, chunk))
    assert [row for rows in chunks for row in range(rows.start, rows.stop)] == list(range(len(lengths)))
    for rows in chunks:
        assert offsets[rows.stop] - offsets[rows.start] <= chunk or rows.stop - rows.start == 1


def test_no_rows_are_no_chunks() -> None:
    assert list(row_chunks(np.zeros(1, dtype=np.int64), 5)) == []


def test_untimed_events_take_no_memory() -> None:
    timestamps = untimed(10**12)
    assert is_untimed(timestamps)
    assert len(timestamps) == 10**12
    assert timestamps[123] == 0
    assert timestamps.base is not None
    assert timestamps.base.nbytes == 8
    assert not is_untimed(np.zeros(3, dtype=np.int64))


@settings(deadline=None, max_examples=100)
@given(
    rows=st.lists(st.tuples(st.integers(0, 3), st.sampled_from([-(2**62), -1, 0, 1, 7, 2**40, 2**62])), max_size=12),
    fractions=st.booleans(),
)
def test_order_is_by_user_and_time_and_ties_keep_the_order_of_the_file(
    rows: list[tuple[int, int]], fractions: bool
) -> None:
    users = np.array([user for user, _ in rows], dtype=np.int32)
    times = np.array([time for _, time in rows], dtype=np.float64 if fractions else np.int64)
    expected = sorted(range(len(rows)), key=lambda row: rows[row])  # Python's sort is stable
    assert chronological(users, times).tolist() == expected
