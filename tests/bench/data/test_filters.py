from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.data.dataset import Dataset, ItemTable
from bench.data.filters import HistoryLength, MinimumEvents, Positives, UserSample, apply_filters
from bench.data.fingerprint import dataset_hash
from bench.data.interactions import Interactions
from bench.errors import BenchError


def log(rows, columns=("user", "item", "timestamp")) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(columns))


def left(events, *filters) -> list[tuple]:
    kept = apply_filters(events, filters).events
    return list(kept[["user", "item"]].itertuples(index=False, name=None))


def test_positives_keep_the_limit_itself():
    events = log([("a", 1, 5.0), ("a", 2, 4.0), ("b", 1, 3.5), ("b", 2, np.nan)], ("user", "item", "rating"))
    assert left(events, Positives(at_least=4)) == [("a", 1), ("a", 2)]
    assert left(events, Positives(at_least=3.5)) == [("a", 1), ("a", 2), ("b", 1)]


def test_one_minimum_is_taken_once():
    events = log([("a", 1, 0), ("b", 1, 0), ("b", 2, 1), ("c", 3, 0), ("c", 3, 1)])
    assert left(events, MinimumEvents(per_item=2)) == [("a", 1), ("b", 1), ("c", 3), ("c", 3)]
    assert left(events, MinimumEvents(per_user=2)) == [("b", 1), ("b", 2), ("c", 3), ("c", 3)]


def test_a_core_is_peeled_until_both_minima_hold():
    # Item 9 falls with user d, then user c with item 9; only the square of a, b and 1, 2 is left.
    square = [("a", 1, 0), ("a", 2, 1), ("b", 1, 0), ("b", 2, 1)]
    events = log([*square, ("c", 1, 0), ("c", 9, 1), ("d", 9, 0)])
    assert left(events, MinimumEvents(2, 2)) == [(user, item) for user, item, _ in square]


@settings(max_examples=50, deadline=None)
@given(
    pairs=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=30),
    per_user=st.integers(1, 3),
    per_item=st.integers(1, 3),
)
def test_the_core_is_the_one_that_naive_peeling_finds(pairs, per_user, per_item):
    core = list(pairs)
    while True:
        peeled = [
            (user, item)
            for user, item in core
            if sum(u == user for u, _ in core) >= per_user and sum(i == item for _, i in core) >= per_item
        ]
        if peeled == core:
            break
        core = peeled
    events = log([(user, item, 0) for user, item in pairs])
    if core:
        assert left(events, MinimumEvents(per_user, per_item)) == core
    else:
        with pytest.raises(BenchError):
            left(events, MinimumEvents(per_user, per_item))


def test_a_history_is_counted_up_to_the_last_basket():
    # a: two events before a last basket of three; b: three before one; c: everything is the last basket.
    events = log(
        [
            *[("a", 1, 5), ("a", 1, 6), ("a", 1, 9), ("a", 2, 9), ("a", 3, 9)],
            *[("b", 1, 1), ("b", 1, 1), ("b", 1, 2), ("b", 1, 3)],
            *[("c", 1, 9), ("c", 2, 9), ("c", 3, 9), ("c", 4, 9)],
        ]
    )

    def users(step) -> set[str]:
        return {user for user, _ in left(events, step)}

    assert users(HistoryLength(at_least=2)) == {"a", "b"}
    assert users(HistoryLength(at_least=3)) == {"b"}
    assert users(HistoryLength(at_least=0, at_most=2)) == {"a", "c"}


def test_a_sample_depends_on_no_other_user_and_no_order():
    everyone = [f"user {number}" for number in range(40)]
    events = log([(user, 0, 0) for user in everyone])
    sample = {user for user, _ in left(events, UserSample(10))}
    assert len(sample) == 10
    assert {user for user, _ in left(events[::-1], UserSample(10))} == sample
    others = events[~events["user"].isin(everyone[:5])]
    assert sample - set(everyone[:5]) <= {user for user, _ in left(others, UserSample(10))}
    assert len(left(events, UserSample(100))) == 40


def test_each_step_says_what_it_left_of_what_it_found():
    events = log([("a", 1, 0), ("a", 2, 1), ("b", 1, 0), ("c", 3, 0)])
    filtered = apply_filters(events, (MinimumEvents(per_item=2), UserSample(1)))
    assert filtered.sentences == (
        "items with at least 2 events: 2 of 4 events, 2 of 3 users, 1 of 3 items stay",
        "a sample of 1 users by the hash of their ids: 1 of 2 events, 1 of 2 users, 1 of 1 items stay",
    )
    assert MinimumEvents(5, 5).words == "users with at least 5 events and items with at least 5 events, until both hold"
    assert HistoryLength(3, 9).words == "users with at least 3 and at most 9 events before their last basket"
    assert Positives(4).words == "rating of at least 4"


def test_the_rows_that_stay_keep_their_order_and_their_index():
    events = log([("b", 2, 3), ("a", 1, 2), ("b", 1, 1), ("a", 1, 0)])
    assert apply_filters(events, (MinimumEvents(per_item=2),)).events.index.tolist() == [1, 2, 3]
    assert apply_filters(events, ()).events is events


def test_a_filter_that_leaves_nothing_is_an_error():
    with pytest.raises(BenchError, match=r"'items with at least 3 events' leaves none of 2 events; lower its limits"):
        apply_filters(log([("a", 1, 0), ("b", 2, 0)]), (MinimumEvents(per_item=3),))


@pytest.mark.parametrize(
    ("step", "changes"),
    [
        (Positives(4), {"at_least": 3, "column": "stars"}),
        (MinimumEvents(5, 5), {"per_user": 4, "per_item": 6}),
        (HistoryLength(60), {"at_least": 61, "at_most": 100}),
        (UserSample(300), {"users": 301}),
    ],
)
def test_every_parameter_of_a_filter_is_part_of_the_hash(step, changes):
    interactions = Interactions(
        np.zeros(2, dtype=np.int32), np.arange(2, dtype=np.int64), np.array([0, 2], dtype=np.int64), n_items=1
    )
    items = ItemTable(pd.DataFrame(index=range(1)), (), None)

    def hashed(*filters) -> str:
        ids = np.array(["x"]), np.array(["a"])
        return dataset_hash(Dataset("toy", interactions, items, *ids, "keep", False, "", "", ""), filters)

    variants = [(step,), (step, step), (), *((replace(step, **{name: value}),) for name, value in changes.items())]
    assert len({hashed(*filters) for filters in variants}) == len(variants)
