"""Users are recognised by what they did in training, and by nothing less."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from baselines.known_users import STRANGER, KnownUsers
from bench.data.interactions import Histories, Interactions

Row = list[tuple[int, int]]


def csr(rows: list[Row]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    events = [event for row in rows for event in row]
    items = np.array([item for item, _ in events], dtype=np.int32)
    times = np.array([time for _, time in events], dtype=np.int64)
    return items, times, np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)


def recognised(train: list[Row], asked: list[Row]) -> list[int]:
    users = KnownUsers(Interactions(*csr(train), n_items=9))
    return users.of(Histories(*csr(asked), n_items=9, exclude_seen=False)).tolist()


def test_a_user_is_recognised_by_all_training_events() -> None:
    train = [[(1, 10), (2, 11)], [(1, 10), (3, 11)], [(4, 5)]]
    asked = [[(1, 10), (3, 11), (5, 12)], [(4, 5)], [(1, 10), (2, 11), (3, 12), (4, 13)]]
    assert recognised(train, asked) == [1, 2, 0]


def test_another_time_another_item_or_too_few_events_make_a_stranger() -> None:
    train = [[(1, 10), (2, 11)], []]
    asked = [[(1, 10), (2, 12)], [(1, 10), (3, 11)], [(1, 10)], [], [(7, 1), (1, 10), (2, 11)]]
    assert recognised(train, asked) == [STRANGER] * 5


def test_of_several_users_the_longest_counts_and_then_the_first() -> None:
    train = [[(1, 0)], [(1, 0), (2, 0)], [(1, 0), (2, 0)]]
    assert recognised(train, [[(1, 0), (2, 0), (3, 0)], [(1, 0), (3, 0)]]) == [1, 0]


rows = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 1)), max_size=4)


@settings(deadline=None, max_examples=50)
@given(train=st.lists(rows, max_size=6), asked=st.lists(rows, max_size=6))
def test_it_finds_whom_comparing_with_everyone_finds(train: list[Row], asked: list[Row]) -> None:
    def compared_with_everyone(history: Row) -> int:
        fitting = [user for user, row in enumerate(train) if row and history[: len(row)] == row]
        return max(fitting, key=lambda user: (len(train[user]), -user), default=STRANGER)

    assert recognised(train, asked) == [compared_with_everyone(history) for history in asked]
