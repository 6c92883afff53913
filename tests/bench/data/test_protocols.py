from collections import Counter
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.data.dataset import Dataset, ItemTable, ShippedSplit
from bench.data.interactions import Interactions
from bench.data.protocols import PROTOCOLS, split
from bench.errors import BenchError
from bench.seeds import seed_for
from bench.spec import DatasetSpec


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
    assert parts.validation.targets[0] in (2, 3, 4)
    assert history_of(parts.validation, 0) == [0, 1]
    assert parts.test.targets[0] in (5, 6)
    assert history_of(parts.test, 0) == [0, 1, 2, 3, 4]


def test_the_target_of_a_basket_is_drawn_by_the_users_id():
    user = [(0, 1), (1, 2), (2, 2), (3, 2), (4, 3), (5, 3)]
    dataset = toy_dataset([user] * 3, baskets=True)
    parts = split(dataset, "leave-one-out")
    expected = [[1, 2, 3][seed_for("target", "validation", name) % 3] for name in ("0", "1", "2")]
    assert parts.validation.targets.tolist() == expected
    assert parts.test.targets.tolist() == [[4, 5][seed_for("target", "test", name) % 2] for name in ("0", "1", "2")]
    # Other users and another order of users change nobody's target.
    alone = replace(toy_dataset([user], baskets=True), user_ids=np.array(["2"]))
    assert split(alone, "leave-one-out").test.targets[0] == parts.test.targets[2]


def test_every_place_of_a_basket_is_drawn_equally_often():
    user = [(0, 1), (1, 2), *((2 + place, 3) for place in range(4))]
    drawn = Counter(split(toy_dataset([user] * 2000, baskets=True), "leave-one-out").test.targets.tolist())
    assert sorted(drawn) == [2, 3, 4, 5]
    assert all(abs(count - 500) < 5 * np.sqrt(2000 * 0.25 * 0.75) for count in drawn.values())


def test_ties_in_time_keep_the_order_of_the_file_where_there_are_no_baskets():
    parts = split(toy_dataset([[(0, 1), (3, 2), (1, 2), (2, 2)]]), "leave-one-out")
    assert history_of(parts.test, 0) == [0, 3, 1]
    assert parts.test.targets.tolist() == [2]


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


def periods(users, validation_from=8, test_from=9):
    """The users after fifty that did something at each time from 0 to 9, whose number sets the cut-offs."""
    copies = [[(100 + time, time) for time in range(10)]] * 50
    dataset = toy_dataset([*copies, *users])
    times = np.sort(dataset.interactions.timestamps)
    assert times[int(0.8 * len(times))] == validation_from
    assert times[int(0.9 * len(times))] == test_from
    return dataset, range(len(copies), len(copies) + len(users))


def test_temporal_asks_for_the_first_event_of_each_period():
    dataset, (user,) = periods([[(0, 3), (1, 8), (2, 8), (3, 9), (4, 12)]])
    parts = split(dataset, "temporal")
    (number,) = np.flatnonzero(parts.validation.users == user)
    assert parts.validation.targets[number] == 1
    assert history_of(parts.validation, number) == [0]
    (number,) = np.flatnonzero(parts.test.users == user)
    assert parts.test.targets[number] == 3
    assert history_of(parts.test, number) == [0, 1, 2]
    assert parts.train.interactions.items[parts.train.interactions.row(user)].tolist() == [0]
    assert parts.train.interactions.timestamps.max() == 7


def test_temporal_counts_who_was_not_there_and_who_was_new():
    users = [[(0, 1), (1, 2)], [(0, 8), (1, 9)], [(0, 9)], [(0, 1), (1, 9)]]
    dataset, (gone, from_validation, from_test, skipped) = periods(users)
    parts = split(dataset, "temporal")
    assert parts.excluded == {
        "no event in the validation period": 3,
        "no event before the validation period": 1,
        "no event in the test period": 1,
        "no event before the test period": 1,
    }
    assert not {gone, from_validation, from_test, skipped} & set(parts.validation.users.tolist())
    assert {from_validation, skipped} <= set(parts.test.users.tolist())
    assert not {gone, from_test} & set(parts.test.users.tolist())
    assert parts.train.interactions.lengths[[gone, from_validation, from_test, skipped]].tolist() == [2, 0, 0, 1]


def test_temporal_draws_from_the_first_basket_of_a_period():
    dataset, (user,) = periods([[(0, 3), (1, 9), (2, 9), (3, 9), (4, 12)]])
    parts = split(replace(dataset, baskets=True), "temporal")
    (number,) = np.flatnonzero(parts.test.users == user)
    assert parts.test.targets[number] == [1, 2, 3][seed_for("target", "test", str(user)) % 3]
    assert history_of(parts.test, number) == [0]


def test_temporal_refuses_data_that_have_an_order_only():
    dataset = replace(toy_dataset([[(0, 0), (1, 1), (2, 2)]]), has_time=False)
    with pytest.raises(BenchError, match="'toy' has only their order; use leave-one-out"):
        split(dataset, "temporal")


@settings(max_examples=50, deadline=None)
@given(users=logs(), baskets=st.booleans())
def test_temporal_trains_on_nothing_later_than_any_validation_target(users, baskets):
    # The first user is there throughout, so that each period has a query.
    users = [[(1000 + time, time) for time in range(10)], *users]
    dataset = toy_dataset(users, baskets)
    times = np.sort(dataset.interactions.timestamps)
    validation_from, test_from = times[int(0.8 * len(times))], times[int(0.9 * len(times))]
    try:
        parts = split(dataset, "temporal")
    except BenchError:
        assert validation_from == test_from or validation_from == times[0]  # all events at one time
        return
    time_of = {item: time for user in users for item, time in user}
    trained = parts.train.interactions
    assert sorted(trained.items) == sorted(item for item, time in time_of.items() if time < validation_from)
    for queries, begin, end in (
        (parts.validation, validation_from, test_from),
        (parts.test, test_from, np.inf),
    ):
        assert len(set(queries.users.tolist())) == len(queries)
        for number, (user, target) in enumerate(zip(queries.users, queries.targets, strict=True)):
            in_period = [item for item, time in users[user] if begin <= time < end]
            first = [item for item in in_period if time_of[item] == time_of[in_period[0]]] if baskets else in_period[:1]
            assert target in first
            assert history_of(queries, number) == [item for item, time in users[user] if time < begin] != []
        asked = set(queries.users.tolist())
        for user, events in enumerate(users):
            before, during = (
                any(time < begin for _, time in events),
                any(begin <= time < end for _, time in events),
            )
            assert (user in asked) == (before and during)


def shipped_dataset(**changes) -> Dataset:
    """Two rows that train, one that only carries queries."""
    dataset = toy_dataset([[(0, 1), (1, 2), (2, 3)], [(3, 1), (0, 2)], [(1, 1), (3, 2), (2, 3)]])
    arrays = {
        "train_ends": np.array([3, 1, 0]),
        "validation_rows": np.array([2, 2]),
        "validation_ends": np.array([1, 2]),
        "validation_targets": np.array([2, 0], dtype=np.int32),
        "test_rows": np.array([1, 2]),
        "test_ends": np.array([1, 3]),
        "test_targets": np.array([0, 1], dtype=np.int32),
    }
    return replace(dataset, shipped_split=ShippedSplit(**{**arrays, **changes}))


def test_a_shipped_split_is_taken_as_it_is():
    parts = split(shipped_dataset(), "shipped")
    assert parts.train.interactions.items.tolist() == [0, 1, 2, 3]
    assert parts.train.interactions.lengths.tolist() == [3, 1, 0]
    assert parts.train.targets is None
    assert [history_of(parts.validation, number) for number in (0, 1)] == [[1], [1, 3]]
    assert parts.validation.targets.tolist() == [2, 0]
    assert [history_of(parts.test, number) for number in (0, 1)] == [[3], [1, 3, 2]]
    assert parts.test.targets.tolist() == [0, 1]
    assert parts.excluded == {}


def test_a_shipped_split_may_name_its_training_targets():
    rows, positions = np.array([0, 0]), np.array([1, 2])
    parts = split(shipped_dataset(train_rows=rows, train_positions=positions), "shipped")
    assert [array.tolist() for array in parts.train.targets] == [[0, 0], [1, 2]]


def test_a_shipped_split_that_leaks_is_refused():
    with pytest.raises(BenchError, match=r"of data set 'toy' trains on what follows the history of 1 test queries"):
        split(shipped_dataset(train_ends=np.array([3, 2, 0])), "shipped")


def test_data_without_a_split_of_their_own():
    with pytest.raises(BenchError, match="data set 'toy' ships no split of its own; use leave-one-out or temporal"):
        split(toy_dataset([[(0, 1), (1, 2), (2, 3)]]), "shipped")


def test_cold_targets_are_asked_left_out_or_refused():
    # Training: items 0 and 1. Cold are both targets of the first user, and the test target of the second.
    dataset = toy_dataset([[(0, 1), (2, 2), (3, 3)], [(1, 1), (0, 2), (2, 3)], [(0, 1), (1, 2), (1, 3)]])
    asked = split(dataset, "leave-one-out")
    assert asked.cold_targets == {"validation": 1, "test": 2}
    assert asked.excluded == {}
    assert len(asked.validation) == len(asked.test) == 3
    warm = split(dataset, "leave-one-out", cold_targets="ignore")
    assert warm.cold_targets == {}
    assert warm.excluded == {
        "validation target without training events": 1,
        "test target without training events": 2,
    }
    assert warm.validation.users.tolist() == [1, 2]
    assert warm.test.users.tolist() == [2]
    assert warm.test.target_counts.tolist() == [1]
    assert warm.train.content_hash == asked.train.content_hash
    with pytest.raises(BenchError, match=r"1 of 3 validation targets of data set 'toy' .* have no training event"):
        split(dataset, "leave-one-out", cold_targets="raise")


def test_a_cold_target_is_mentioned_in_the_log_only_where_it_is_asked(caplog):
    dataset = toy_dataset([[(0, 1), (1, 2), (2, 3)], [(1, 1), (0, 2), (1, 3)]])
    split(dataset, "leave-one-out", cold_targets="ignore")
    assert caplog.text == ""
    split(dataset, "leave-one-out")
    assert "1 of 2 test targets of data set 'toy' (leave-one-out) have no training event" in caplog.text


def test_labels_tell_apart_what_is_asked_differently():
    specs = [
        DatasetSpec(name="toy"),
        *(DatasetSpec(name="toy", protocol=protocol) for protocol in PROTOCOLS if protocol != "leave-one-out"),
        DatasetSpec(name="toy", seen_items="keep"),
        DatasetSpec(name="toy", cold_targets="ignore"),
        DatasetSpec(name="toy", protocol="temporal", seen_items="keep", cold_targets="ignore"),
    ]
    assert [spec.label for spec in specs] == [
        "toy",
        "toy@temporal",
        "toy@shipped",
        "toy+keep",
        "toy+warm",
        "toy@temporal+keep+warm",
    ]


def test_unknown_protocol():
    with pytest.raises(BenchError, match="unknown protocol 'leave-one-in': did you mean leave-one-out"):
        split(toy_dataset([[(0, 1), (1, 2), (2, 3)]]), "leave-one-in")


def test_a_data_set_without_any_query():
    with pytest.raises(BenchError, match=r"no validation query of data set 'toy' \(fewer than 3 events: 1 users\)"):
        split(toy_dataset([[(0, 1), (1, 2)]]), "leave-one-out")
