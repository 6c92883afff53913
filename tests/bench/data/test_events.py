"""The rules by which every loader numbers, filters and sorts events."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.data.dataset import Dataset
from bench.data.events import EventLog, ItemFacts, assemble, repeats
from bench.data.filters import MinimumEvents
from bench.data.interactions import Interactions
from bench.errors import BenchError


def log(rows: list[tuple[str, str, float]], has_time: bool = True, ticks: int = 1) -> EventLog:
    users, user_ids = pd.factorize(np.array([row[0] for row in rows], dtype=object))
    items, item_ids = pd.factorize(np.array([row[1] for row in rows], dtype=object))
    times = np.array([row[2] for row in rows]) if has_time else None
    return EventLog(users, items, times, user_ids.astype(np.str_), item_ids.astype(np.str_), ticks)


def sequences(dataset: Dataset) -> dict[str, list[str]]:
    interactions = dataset.interactions
    return {
        str(user): dataset.item_ids[interactions.items[interactions.row(number)]].tolist()
        for number, user in enumerate(dataset.user_ids)
    }


rows_of_events = st.lists(
    st.tuples(st.sampled_from("uvw"), st.sampled_from("abcde"), st.integers(0, 4)), min_size=1, max_size=40
).filter(lambda rows: len({row[1] for row in rows}) > 1)


@settings(max_examples=50, deadline=None)
@given(rows_of_events)
def test_each_user_is_sorted_by_time_with_ties_in_file_order(rows: list[tuple[str, str, int]]) -> None:
    expected: dict[str, list[str]] = {}
    for user in dict.fromkeys(row[0] for row in rows):
        own = [(time, place, item) for place, (who, item, time) in enumerate(rows) if who == user]
        expected[user] = [item for _, _, item in sorted(own)]
    assert sequences(assemble("toy", log(rows), None, "", "")) == expected


@settings(max_examples=50, deadline=None)
@given(rows_of_events)
def test_without_time_the_order_of_the_file_holds(rows: list[tuple[str, str, int]]) -> None:
    dataset = assemble("toy", log(rows, has_time=False), None, "", "")
    assert not dataset.has_time
    for user, items in sequences(dataset).items():
        assert items == [item for who, item, _ in rows if who == user]


@settings(max_examples=30, deadline=None)
@given(rows_of_events, st.randoms(use_true_random=False))
def test_sorted_rows_in_any_order_give_the_same_sequences_where_no_times_tie(rows, random) -> None:
    distinct = [(user, item, place) for place, (user, item, _) in enumerate(rows)]
    shuffled = random.sample(distinct, len(distinct))
    assert sequences(assemble("toy", log(shuffled), None, "", "")) == sequences(
        assemble("toy", log(distinct), None, "", "")
    )


def test_rows_out_of_order_are_counted() -> None:
    rows = [("u", "a", 3), ("v", "a", 1), ("u", "b", 2), ("u", "c", 2), ("v", "b", 1)]
    (sentence,) = assemble("toy", log(rows), None, "", "").filters
    assert sentence.startswith("1 rows stood before their user's previous event")
    assert assemble("toy", log(rows[1:]), None, "", "").filters == ()


def test_fractions_of_a_second_and_smaller_units_decide_the_order_and_are_dropped() -> None:
    fractions = assemble("toy", log([("u", "late", 1.9), ("u", "early", 1.1)]), None, "", "")
    thousandths = assemble("toy", log([("u", "late", 1900), ("u", "early", 1100)], ticks=1000), None, "", "")
    for dataset in (fractions, thousandths):
        assert sequences(dataset) == {"u": ["early", "late"]}
        assert dataset.interactions.timestamps.tolist() == [1, 1]


@pytest.mark.parametrize(("rows", "rule"), [([("u", "a", 1), ("u", "b", 2)], "exclude"), ([("u", "a", 1)] * 2, "keep")])
def test_seen_items_stay_candidates_where_anybody_repeats(rows: list[tuple[str, str, float]], rule: str) -> None:
    dataset = assemble("toy", log([*rows, ("v", "a", 1), ("v", "b", 1)]), None, "", "")
    assert dataset.seen_items == rule


def test_repeats_are_found_in_every_block_of_users(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    lengths = np.array([0, 7, 1, 0, 12, 3, 0])
    interactions = Interactions(
        items=random.integers(0, 5, lengths.sum()).astype(np.int32),
        timestamps=np.zeros(lengths.sum(), dtype=np.int64),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        n_items=5,
    )
    expected = []
    for user in range(len(lengths)):
        own = interactions.items[interactions.row(user)].tolist()
        expected += [item in own[:place] for place, item in enumerate(own)]
    for block in (1, 4, 100):
        monkeypatch.setattr("bench.data.events._BLOCK", block)
        assert repeats(interactions).tolist() == expected


def test_items_follow_the_item_table_and_unknown_ones_come_last() -> None:
    facts = ItemFacts(
        ids=np.array(["c", "unused", "a"]),
        columns=pd.DataFrame({"title": ["Sea", "Nobody", "Ape"], "price": [1.0, 2.0, 3.0]}),
        text_columns=("title",),
        categories=pd.Series(["water", "none", ""]),
        embeddings=np.array([[1, 2], [3, 4], [5, 6]], dtype=np.int8),
    )
    dataset = assemble("toy", log([("u", "b", 1), ("u", "a", 2), ("u", "c", 3)]), facts, "", "")
    assert dataset.item_ids.tolist() == ["c", "a", "b"]
    table = dataset.item_table
    assert table.columns["title"].tolist() == ["Sea", "Ape", ""]
    assert table.columns["price"].tolist()[:2] == [1.0, 3.0]
    assert table.category is not None
    assert table.category.tolist() == [0, -1, -1]
    assert table.embeddings is not None
    assert (table.embeddings.dtype, table.embeddings.tolist()) == (np.int8, [[1, 2], [5, 6], [0, 0]])
    assert dataset.filters == ("1 of 3 items are unknown to the item table; they have no text",)


def test_minima_leave_out_users_and_items_and_renumber_the_rest() -> None:
    rows = [("x", "rare", 1), ("u", "a", 1), ("u", "b", 2), ("v", "b", 1), ("v", "a", 2), ("u", "once", 3)]
    dataset = assemble("toy", log(rows), None, "", "", filters=(MinimumEvents(per_user=2, per_item=2),))
    assert sequences(dataset) == {"u": ["a", "b"], "v": ["b", "a"]}
    assert dataset.interactions.n_items == 2
    assert "4 of 6 events, 2 of 3 users, 2 of 4 items stay" in dataset.filters[0]
    assert dataset.content_hash != assemble("toy", log(rows), None, "", "").content_hash


@pytest.mark.parametrize(
    ("rows", "ids", "message"),
    [
        ([], None, "data set 'toy' has no events"),
        ([("u", "a", 1), ("v", "b", 1)], ["1", "2"], "the item table knows none of the 2 items.*'1', the events as in"),
    ],
)
def test_data_without_a_ranking_are_an_error(rows, ids, message: str, tmp_path: Path) -> None:
    facts = None if ids is None else ItemFacts(np.array(ids), pd.DataFrame({"title": ids}), ("title",))
    with pytest.raises(BenchError, match=message):
        assemble("toy", log(rows), facts, "", "")
