"""How much of a user's history each training target may read."""

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.data.dataset import ItemTable, TrainingData
from bench.data.interactions import Interactions


def training_data(
    timestamps: list[list[int]], baskets: bool, targets: tuple[list[int], list[int]] | None = None
) -> TrainingData:
    lengths = [len(row) for row in timestamps]
    interactions = Interactions(
        items=np.zeros(sum(lengths), dtype=np.int32),
        timestamps=np.array([t for row in timestamps for t in row], dtype=np.int64),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        n_items=1,
    )
    table = ItemTable(pd.DataFrame({"title": ["a"]}), ("title",), None)
    named = None if targets is None else (np.array(targets[0]), np.array(targets[1]))
    return TrainingData(interactions, table, False, "hash", targets=named, baskets=baskets)


def test_without_baskets_a_history_is_what_comes_before() -> None:
    assert training_data([[1, 1, 2], [5]], baskets=False).history_ends() is None


def test_with_baskets_a_history_ends_before_the_targets_basket_by_hand() -> None:
    train = training_data([[1, 1, 2, 3, 3], [3, 4], []], baskets=True)
    assert train.history_ends().tolist() == [0, 0, 2, 3, 3, 0, 1]


def test_only_the_named_events_are_targets() -> None:
    train = training_data([[1, 2, 3], [1, 2]], baskets=False, targets=([0, 1], [2, 1]))
    assert train.history_ends().tolist() == [0, 0, 2, 0, 1]


@settings(deadline=None, max_examples=50)
@given(rows=st.lists(st.lists(st.integers(0, 4), max_size=8), min_size=1, max_size=5))
def test_a_history_holds_exactly_the_users_events_of_earlier_times(rows: list[list[int]]) -> None:
    rows = [sorted(row) for row in rows]
    ends = training_data(rows, baskets=True).history_ends()
    expected = [sum(earlier < time for earlier in row) for row in rows for time in row]
    assert ends.tolist() == expected
