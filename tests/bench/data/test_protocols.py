import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.data.dataset import Dataset, ItemTable
from bench.data.interactions import Interactions
from bench.data.protocols import split
from bench.errors import BenchError


def toy_dataset(users, baskets=False, seen_items="keep", n_items=None) -> Dataset:
    """A data set from one list of (item, timestamp) per user."""
    events = [event for user in users for event in user]
    n_items = n_items or max(item for item, _ in events) + 1
    interactions = Interactions(
        items=np.array([item for item, _ in events], dtype=np.int32),
        timestamps=np.array([time for _, time in events], dtype=np.int64),
        offsets=np.concatenate([[0], np.cumsum([len(user) for user in users])]).astype(np.int64),
        n_items=n_items,
    )
    return Dataset(
        name="toy",
        interactions=interactions,
        item_table=ItemTable(pd.DataFrame(index=range(n_items)), (), None),
        item_ids=np.arange(n_items).astype(str),
        user_ids=np.arange(len(users)).astype(str),
        seen_items=seen_items,
        baskets=baskets,
        licence="",
        source="",
        content_hash="toy",
    )


def history_of(queries, index) -> list[int]:
    return queries.histories(index, index + 1).items.tolist()


def test_the_last_event_is_the_test_target_and_the_one_before_the_validation_target():
    parts = split(toy_dataset([[(4, 1), (3, 1), (2, 2), (1, 3), (0, 3)]]), "leave-one-out")
    assert parts.train.interactions.items.tolist() == [4, 3, 2]
    assert parts.validation.targets.tolist() == [1]
    assert history_of(parts.validation, 0) == [4, 3, 2]
    assert parts.test.targets.tolist() == [0]
    assert history_of(parts.test, 0) == [4, 3, 2, 1]
    assert parts.excluded == {}


def test_histories_end_before_the_basket_of_their_target():
    user = [(0, 1), (1, 1), (2, 5), (3, 5), (4, 5), (5, 9), (6, 9)]
    parts = split(toy_dataset([user], baskets=True), "leave-one-out")
    assert parts.train.interactions.items.tolist() == [0, 1]
    assert parts.validation.targets.tolist() == [4]
    assert history_of(parts.validation, 0) == [0, 1]
    assert parts.test.targets.tolist() == [6]
    assert history_of(parts.test, 0) == [0, 1, 2, 3, 4]


def test_one_timestamp_at_two_users_is_two_baskets():
    user = [(0, 1), (1, 2), (2, 3)]
    parts = split(toy_dataset([user, [(item, 3) for item, _ in user], user], baskets=True), "leave-one-out")
    assert parts.test.users.tolist() == [0, 2]
    assert parts.test.ends.tolist() == [2, 2]
    assert parts.excluded == {"fewer than 3 baskets": 1}


def test_short_users_train_on_everything_and_have_no_queries():
    users = [[(0, 1), (1, 2)], [], [(2, 1), (3, 2), (1, 3)], [(0, 9)], []]
    parts = split(toy_dataset(users), "leave-one-out")
    assert parts.excluded == {"fewer than 3 events": 4}
    assert parts.train.interactions.lengths.tolist() == [2, 0, 1, 1, 0]
    assert parts.train.interactions.items.tolist() == [0, 1, 2, 0]
    assert parts.test.users.tolist() == [2]


def test_queries_whose_target_is_no_candidate_are_left_out_and_counted():
    users = [
        [(0, 1), (1, 2), (2, 3), (0, 4)],  # test target seen
        [(3, 1), (3, 2), (1, 3)],  # validation target seen
        [(0, 1), (1, 2), (2, 3)],
    ]
    parts = split(toy_dataset(users, seen_items="exclude"), "leave-one-out")
    assert parts.excluded == {"validation target already in the history": 1, "test target already in the history": 1}
    assert parts.validation.users.tolist() == [0, 2]
    assert parts.test.users.tolist() == [1, 2]
    assert parts.test.targets.tolist() == [1, 2]
    assert parts.test.exclude_seen
    assert parts.train.exclude_seen
    kept = split(toy_dataset(users, seen_items="exclude"), "leave-one-out", seen_items="keep")
    assert kept.excluded == {}
    assert len(kept.test) == len(kept.validation) == 3
    assert not kept.test.exclude_seen
    assert kept.train.content_hash == parts.train.content_hash


def test_popularity_of_targets_counts_training_events_only():
    users = [[(0, 1), (1, 2), (2, 3), (3, 4)], [(1, 1), (3, 2), (3, 3)], [(1, 1), (0, 2), (2, 3)]]
    parts = split(toy_dataset(users, n_items=5), "leave-one-out")
    # Training: item 0 once, item 1 three times, nothing else; so the order by popularity is 1, 0, 2, 3, 4.
    assert parts.train.interactions.item_counts().tolist() == [1, 3, 0, 0, 0]
    assert parts.test.targets.tolist() == [3, 3, 2]
    assert parts.test.target_counts.tolist() == [0, 0, 0]
    assert parts.test.target_quantiles.tolist() == [0.6, 0.6, 0.4]
    assert parts.validation.target_counts.tolist() == [0, 0, 1]
    assert parts.validation.target_quantiles.tolist() == [0.4, 0.6, 0.2]


@st.composite
def logs(draw):
    """Users with ordered times (many ties) whose events all have different items, so that an item names an event."""
    lengths = draw(st.lists(st.integers(0, 8), min_size=1, max_size=6))
    item = 0
    users = []
    for length in lengths:
        times = sorted(draw(st.lists(st.integers(0, 4), min_size=length, max_size=length)))
        users.append([(item + place, time) for place, time in enumerate(times)])
        item += length
    return users


@settings(max_examples=200, deadline=None)
@given(users=logs(), baskets=st.booleans())
def test_nothing_held_out_is_trained_on_or_shown(users, baskets):
    users.append([(1000, 1), (1001, 2), (1002, 3)])  # at least one user with queries
    parts = split(toy_dataset(users, baskets), "leave-one-out")
    time_of = {item: time for user in users for item, time in user}
    place_of = {item: place for user in users for place, (item, _) in enumerate(user)}
    trained = [set(parts.train.interactions.items[parts.train.interactions.row(user)]) for user in range(len(users))]

    def before(item: int, target: int) -> bool:
        return time_of[item] < time_of[target] if baskets else place_of[item] < place_of[target]

    for queries in (parts.validation, parts.test):
        for index, (user, target) in enumerate(zip(queries.users, queries.targets, strict=True)):
            own = [item for item, _ in users[user]]
            # All of the past and nothing else, neither for the model nor in the query.
            assert history_of(queries, index) == [item for item in own if before(item, target)]
            assert all(before(item, target) for item in trained[user])
    for user, validation, test in zip(
        parts.validation.users, parts.validation.targets, parts.test.targets, strict=True
    ):
        assert trained[user] == {item for item, _ in users[user] if before(item, validation)}
        assert trained[user]
        assert before(validation, test)
    with_queries = set(parts.test.users.tolist())
    for user, events in enumerate(users):
        moments = len({time for _, time in events}) if baskets else len(events)
        assert (user in with_queries) == (moments >= 3)
        if user not in with_queries:
            assert trained[user] == {item for item, _ in events}


def test_unknown_protocol():
    with pytest.raises(BenchError, match="unknown protocol 'leave-one-in': did you mean leave-one-out"):
        split(toy_dataset([[(0, 1), (1, 2), (2, 3)]]), "leave-one-in")


def test_a_data_set_without_any_query():
    with pytest.raises(BenchError, match=r"no validation query of data set 'toy' \(fewer than 3 events: 1 users\)"):
        split(toy_dataset([[(0, 1), (1, 2)]]), "leave-one-out")
