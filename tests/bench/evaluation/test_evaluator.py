"""From recommendations to ranks: independent of batches, and strict about malformed lists."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.data.dataset import TrainingData
from bench.data.interactions import Histories, Interactions
from bench.data.protocols import Queries
from bench.evaluation.evaluator import QUERY_COLUMNS, Catalogue, events_back, judge, target_ranks, validation_ndcg
from bench.evaluation.transitions import Transitions
from bench.recommender import FitContext, Recommendations, Recommender

N_ITEMS = 30
K = 5


CATALOGUE = Catalogue(
    train_counts=np.arange(N_ITEMS, dtype=np.int64) ** 2,
    category=(np.arange(N_ITEMS) % 3).astype(np.int32),
    columns=pd.DataFrame(
        {
            "title": [f"title {item}" for item in range(N_ITEMS)],
            "brand": [["", "Acme", None][item % 3] for item in range(N_ITEMS)],
            "year": 1990 + np.arange(N_ITEMS) // 2,
        }
    ),
)


def make_queries(n: int = 23, exclude_seen: bool = True) -> Queries:
    """Users with 3 to 9 distinct items each; the last one is the target."""
    random = np.random.default_rng(3)
    rows = [random.permutation(N_ITEMS)[: random.integers(3, 10)].astype(np.int32) for _ in range(n)]
    lengths = np.array([len(row) for row in rows])
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    items = np.concatenate(rows)
    interactions = Interactions(items, np.arange(len(items), dtype=np.int64), offsets, N_ITEMS)
    return Queries(
        interactions=interactions,
        users=np.arange(n, dtype=np.int64),
        ends=lengths - 1,
        targets=items[offsets[1:] - 1],
        target_counts=np.ones(n, dtype=np.int64),
        target_quantiles=np.linspace(0, 0.99, n),
        exclude_seen=exclude_seen,
    )


class Scripted(Recommender):
    """Ranks items by a fixed pseudo-random score of (last item, item); items `i` and `i + 15` share a semantic ID."""

    def __init__(self, with_sids: bool = False) -> None:
        super().__init__()
        self.with_sids = with_sids
        if with_sids:
            self.sid_of_item = (np.arange(N_ITEMS) % 15).astype(np.int32)
        self.spoil: Callable[[np.ndarray, Histories], np.ndarray] = lambda items, histories: items

    def fit(self, train: TrainingData, context: FitContext) -> None:
        """There is nothing to learn."""

    def recommend(self, histories: Histories, k: int) -> Recommendations:
        table = np.random.default_rng(11).random((N_ITEMS, N_ITEMS)).astype(np.float32)
        last = histories.items[histories.offsets[1:] - 1]
        scores = table[last]
        if histories.exclude_seen:
            scores = np.where(histories.seen(), -np.inf, scores)
        order = np.argsort(-scores, axis=1)
        sids = None
        if self.sid_of_item is not None:
            every = self.sid_of_item[order]
            distinct = [list(dict.fromkeys(row))[:k] for row in every.tolist()]
            sids = np.array([row + [-1] * (k - len(row)) for row in distinct], dtype=np.int32)
        items = self.spoil(order[:, :k].astype(np.int32), histories)
        return Recommendations(items, np.take_along_axis(scores, order[:, :k], axis=1), sids)


def test_rank_is_one_based_and_zero_for_a_miss() -> None:
    lists = np.array([[4, 2, 9], [4, 2, -1], [7, 8, 9]], dtype=np.int32)
    assert target_ranks(lists, np.array([4, 2, 1], dtype=np.int32)).tolist() == [1, 2, 0]


def test_a_candidate_listed_twice_counts_where_it_stands_first() -> None:
    """`judge` refuses such a list; were it asked all the same, repeating the target would gain nothing."""
    lists = np.array([[9, 4, 4, 2], [4, 9, 4, 4]], dtype=np.int32)
    assert target_ranks(lists, np.array([4, 4], dtype=np.int32)).tolist() == [2, 1]


def test_table_has_the_documented_columns_and_types() -> None:
    table = judge(Scripted(), make_queries(), k=K)
    assert list(table.columns) == list(QUERY_COLUMNS)
    for column, meaning in QUERY_COLUMNS.items():
        assert str(table[column].dtype) == meaning.split(",")[0]


@pytest.mark.parametrize("with_sids", [False, True])
@pytest.mark.parametrize("batch_size", [1, 2, 7, 23, 1000])
def test_no_result_depends_on_the_batch_size(batch_size: int, with_sids: bool) -> None:
    queries = make_queries()
    whole = judge(Scripted(with_sids), queries, batch_size=len(queries), k=K, catalogue=CATALOGUE)
    assert whole["item_rank"].gt(0).any()
    assert whole["new_items"].sum() == whole["new_items"].cumsum().max() > K
    parts = judge(Scripted(with_sids), queries, batch_size=batch_size, k=K, catalogue=CATALOGUE)
    pd.testing.assert_frame_equal(parts, whole)
    assert validation_ndcg(Scripted(with_sids), queries, batch_size) == validation_ndcg(Scripted(with_sids), queries)


def test_item_hit_implies_sid_hit_at_least_as_early() -> None:
    table = judge(Scripted(with_sids=True), make_queries(200), k=K)
    hits = table[table["item_rank"] > 0]
    assert len(hits) > 10
    assert (hits["sid_rank"] > 0).all()
    assert (hits["sid_rank"] <= hits["item_rank"]).all()
    assert table["sid_rank"].gt(0).sum() > len(hits)  # sharing a semantic ID makes SID level easier


def test_the_last_occurrence_counts_and_the_last_event_is_one_back() -> None:
    values = np.array([7, 5, 7, 5, 6, 6], dtype=np.int32)
    offsets = np.array([0, 3, 3, 6], dtype=np.int64)
    for wanted, gaps in (([7, 7, 6], [1, 0, 1]), ([5, 5, 5], [2, 0, 3]), ([6, 6, 7], [0, 0, 0])):
        assert events_back(values, offsets, np.array(wanted, dtype=np.int32)).tolist() == gaps


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.lists(st.integers(0, 4), max_size=12), st.integers(0, 5)), max_size=8))
def test_events_back_equals_walking_back(asked: list[tuple[list[int], int]]) -> None:
    values = np.array([value for history, _ in asked for value in history], dtype=np.int32)
    offsets = np.cumsum([0, *(len(history) for history, _ in asked)]).astype(np.int64)
    walked = [
        next((gap for gap, value in enumerate(reversed(history), start=1) if value == wanted), 0)
        for history, wanted in asked
    ]
    found = events_back(values, offsets, np.array([wanted for _, wanted in asked], dtype=np.int32))
    assert found.dtype == np.int32
    assert found.tolist() == walked


@pytest.mark.parametrize("batch_size", [2, 1000])
def test_gaps_of_item_and_category_are_those_of_the_query_s_own_history(batch_size: int) -> None:
    """Item `i` has category `i % 4`, but nobody knows that of items 3, 7, 11, ..."""
    category = np.where(np.arange(N_ITEMS) % 4 < 3, np.arange(N_ITEMS) % 4, -1).astype(np.int32)
    queries = make_queries()
    table = judge(Scripted(), queries, batch_size=batch_size, k=K, catalogue=Catalogue(category=category))
    assert table["item_gap"].eq(0).all()  # its users have distinct items
    for place, (gap, target) in enumerate(zip(table["category_gap"], queries.targets, strict=True)):
        own = category[queries.histories(place, place + 1).items][::-1]
        same = np.flatnonzero(own == category[target])
        assert gap == (same[0] + 1 if category[target] >= 0 and len(same) else 0)
    assert table["category_gap"].nunique() > 2
    assert judge(Scripted(), queries, k=K)["category_gap"].eq(0).all()


def test_a_repeated_target_has_its_distance() -> None:
    items = np.array([4, 9, 2, 4, 8, 4], dtype=np.int32)
    interactions = Interactions(items, np.arange(6, dtype=np.int64), np.array([0, 6], dtype=np.int64), N_ITEMS)
    one = replace(
        make_queries(1, exclude_seen=False),
        interactions=interactions,
        ends=np.array([5], dtype=np.int64),
        targets=np.array([4], dtype=np.int32),
    )
    assert judge(Scripted(), one, k=K)["item_gap"].tolist() == [2]  # not the target itself, which is out of the history


def test_a_group_holds_all_items_of_the_targets_semantic_id_and_one_where_there_are_none() -> None:
    queries = make_queries()
    scripted = Scripted(with_sids=True)
    assert scripted.sid_of_item is not None
    scripted.sid_of_item = np.minimum(scripted.sid_of_item, 12)  # six items share 12, two every other one
    sizes = judge(scripted, queries)["sid_group"].tolist()
    assert sizes == [6 if target % 15 >= 12 else 2 for target in queries.targets.tolist()]
    assert set(judge(Scripted(), queries)["sid_group"]) == {1}


@pytest.mark.parametrize("batch_size", [1, 4, 100])
def test_steps_are_those_of_training_whatever_the_batch(batch_size: int) -> None:
    queries = make_queries()
    steps = Transitions(queries.interactions.truncated(queries.ends), None)
    table = judge(Scripted(), queries, batch_size, K, catalogue=Catalogue(transitions=steps))
    assert table["transition"].tolist() == steps.kinds(queries.histories(0, len(queries)), queries.targets).tolist()
    assert set(table["transition"]) >= {1, 2}
    assert set(judge(Scripted(), queries)["transition"]) == {0}


def test_without_semantic_ids_both_levels_are_one() -> None:
    table = judge(Scripted(), make_queries(), k=K)
    assert table["sid_rank"].tolist() == table["item_rank"].tolist()


def test_progress_ends_at_one() -> None:
    fractions: list[float] = []
    judge(Scripted(), make_queries(), batch_size=10, k=K, report_progress=fractions.append)
    assert fractions == [10 / 23, 20 / 23, 1.0]


def test_no_queries_give_an_empty_table() -> None:
    none = np.zeros(0, dtype=np.int64)
    queries = replace(
        make_queries(),
        users=none,
        ends=none,
        targets=none.astype(np.int32),
        target_counts=none,
        target_quantiles=none.astype(np.float64),
    )
    table = judge(Scripted(), queries, k=K)
    pd.testing.assert_frame_equal(table, judge(Scripted(), make_queries(), k=K).iloc[:0])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda items, histories: items[:, :-1], "shape"),
        (lambda items, histories: items[:-1], "shape"),
        (lambda items, histories: np.repeat(items[:, :1], K, axis=1), "twice"),
        (lambda items, histories: _with_seen(items, histories), "seen item"),
    ],
    ids=["too short", "too few", "an item twice", "a seen item"],
)
def test_malformed_lists_are_errors(spoil: Callable[[np.ndarray, Histories], np.ndarray], message: str) -> None:
    recommender = Scripted()
    recommender.spoil = spoil
    with pytest.raises(ValueError, match=message):
        judge(recommender, make_queries(), k=K)


def test_columns_of_the_item_table_tell_of_the_target_unless_every_item_has_its_own_value() -> None:
    queries = make_queries()
    table = judge(Scripted(), queries, k=K, catalogue=CATALOGUE)
    assert [column for column in table if column.startswith("item:")] == ["item:brand", "item:year"]
    assert table["item:year"].tolist() == [1990 + target // 2 for target in queries.targets]
    assert table["item:brand"].tolist() == ["Acme" if target % 3 == 1 else "" for target in queries.targets]


def test_a_tie_has_the_places_of_all_items_with_the_target_s_score() -> None:
    class Even(Scripted):
        def recommend(self, histories: Histories, k: int) -> Recommendations:
            answer = super().recommend(histories, k)
            return replace(answer, scores=np.tile(np.array([3, 2, 2, 2, 1], dtype=np.float32), (len(histories), 1)))

    table = judge(Even(), make_queries(200), k=K)
    for rank, first, last in ((0, 0, 0), (1, 1, 1), (2, 2, 4), (3, 2, 4), (4, 2, 4), (5, 5, 5)):
        rows = table[table["item_rank"] == rank]
        assert len(rows) > 0
        assert rows["tie_first"].eq(first).all()
        assert rows["tie_last"].eq(last).all()


def test_padding_and_seen_items_are_fine_where_allowed() -> None:
    recommender = Scripted()
    recommender.spoil = lambda items, histories: np.where(np.arange(K) < 2, items, -1)
    assert len(judge(recommender, make_queries(), k=K)) == 23
    recommender.spoil = _with_seen
    assert len(judge(recommender, make_queries(exclude_seen=False), k=K)) == 23


def _with_seen(items: np.ndarray, histories: Histories) -> np.ndarray:
    spoilt = np.full_like(items, -1)
    spoilt[:, 0] = histories.items[histories.offsets[:-1]]
    return spoilt
