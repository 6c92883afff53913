"""Answers that break the contract of `Recommendations` or `DecodingTrace`, against a checker that reads each cell."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.data.dataset import TrainingData
from bench.data.interactions import Histories, Interactions
from bench.data.protocols import Queries
from bench.evaluation.contract import ContractError, check_trace, checked
from bench.evaluation.decoding import trace_queries
from bench.evaluation.evaluator import judge
from bench.recommender import DecodingTrace, FitContext, Recommendations, Recommender

N_ITEMS = 9
K = 4
ITEMS = np.array([[5, 6, 7, -1], [3, 0, 8, 2]], dtype=np.int32)
SCORES = np.array([[3, 2, 2, -np.inf], [0.5, 0.25, -1, -2]], dtype=np.float32)
HISTORIES = Histories(
    items=np.array([1, 2, 4, 4], dtype=np.int32),
    timestamps=np.arange(4),
    offsets=np.array([0, 3, 4]),
    n_items=N_ITEMS,
    exclude_seen=True,
)
SID_OF_ITEM = (np.arange(N_ITEMS) // 2).astype(np.int32)


def queries() -> Queries:
    return Queries(
        interactions=Interactions(
            np.array([1, 2, 4, 5, 4, 0], dtype=np.int32), np.arange(6), np.array([0, 4, 6]), N_ITEMS
        ),
        users=np.arange(2),
        ends=np.array([3, 1]),
        targets=np.array([5, 0], dtype=np.int32),
        target_counts=np.ones(2, dtype=np.int64),
        target_quantiles=np.zeros(2),
        exclude_seen=True,
    )


class Answering(Recommender):
    """Gives one answer to everything."""

    def __init__(self, answer: Any, sid_of_item: Any = None) -> None:
        super().__init__()
        self.answer, self.sid_of_item = answer, sid_of_item

    def fit(self, train: TrainingData, context: FitContext) -> None:
        """There is nothing to learn."""

    def recommend(self, histories: Histories, k: int) -> Recommendations:
        answer: Recommendations = self.answer
        return answer


def put(array: np.ndarray, row: int, place: int, value: Any) -> np.ndarray:
    changed = array.copy()
    changed[row, place] = value
    return changed


def test_a_right_answer_is_judged() -> None:
    table = judge(Answering(Recommendations(ITEMS, SCORES)), queries(), k=K)
    assert table["item_rank"].tolist() == [1, 2]
    wide = Recommendations(ITEMS.astype(np.int64), SCORES.astype(np.float64))
    assert judge(Answering(wide), queries(), k=K).equals(table)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (None, "a NoneType, expected Recommendations"),
        ((ITEMS, SCORES), "a tuple, expected Recommendations"),
        (Recommendations(ITEMS.tolist(), SCORES), "item lists: a list, expected a NumPy array"),  # type: ignore[arg-type]
        (Recommendations(ITEMS.astype(np.float32), SCORES), "an array of float32, expected whole numbers"),  # type: ignore[arg-type]
        (Recommendations(ITEMS.astype(object), SCORES), "an array of object"),
        (Recommendations(np.ma.masked_less(ITEMS, 0), SCORES), "MaskedArray"),
        (Recommendations(ITEMS[:, :-1], SCORES), "shape"),
        (Recommendations(ITEMS[:-1], SCORES), "shape"),
        (Recommendations(ITEMS, SCORES[:, :-1]), "scores of shape"),
        (Recommendations(ITEMS, ITEMS), "an array of int32, expected floats"),  # type: ignore[arg-type]
        (Recommendations(put(ITEMS, 1, 0, N_ITEMS), SCORES), "item 9, expected 0 to 8 or -1"),
        (Recommendations(put(ITEMS, 0, 3, -2), SCORES), "item -2"),
        (Recommendations(put(ITEMS, 1, 1, -1), SCORES), "padding before its last item"),
        (Recommendations(put(ITEMS, 1, 1, 8), SCORES), "one item twice"),
        (Recommendations(put(ITEMS, 1, 1, 4), SCORES), "seen item"),
        (Recommendations(ITEMS, put(SCORES, 1, 2, np.nan)), "not a number"),
        (Recommendations(ITEMS, put(SCORES, 0, 0, np.inf)), "infinite"),
        (Recommendations(ITEMS, put(SCORES, 1, 3, 1)), "rise along a list"),
        (Recommendations(ITEMS, SCORES, SID_OF_ITEM[ITEMS]), "sid_of_item is None"),
    ],
)
def test_each_clause_of_the_contract_is_checked(answer: Any, words: str) -> None:
    with pytest.raises(ContractError, match=words):
        judge(Answering(answer), queries(), k=K)


@pytest.mark.parametrize(
    ("sids", "sid_of_item", "words"),
    [
        ([[2, 3, -1, -1], [1, 0, 4, 5]], SID_OF_ITEM, "semantic ID 5, expected 0 to 4"),
        ([[2, 3, -1, -1], [1, 0, 4, 1]], SID_OF_ITEM, "semantic ID twice"),
        ([[2, -1, 3, -1], [1, 0, 4, -1]], SID_OF_ITEM, "padding before"),
        ([[2, 3, -1, -1], [1, 0, 4, -1]], SID_OF_ITEM[:-1], "one semantic ID per item"),
        ([[2, 3, -1, -1], [1, 0, 4, -1]], SID_OF_ITEM - 1, "expected 0 or more"),
        ([[2, 3, -1, -1], [1, 0, 4, -1]], SID_OF_ITEM.astype(float), "expected whole numbers"),
        ([[2, 3, -1, -1], [1, 0, 4, -1]], SID_OF_ITEM, None),
    ],
)
def test_semantic_ids_have_a_contract_too(sids: Any, sid_of_item: Any, words: str | None) -> None:
    answering = Answering(Recommendations(ITEMS, SCORES, np.array(sids, dtype=np.int32)), sid_of_item)
    if words is None:
        assert judge(answering, queries(), k=K)["sid_rank"].tolist() == [1, 2]
        return
    with pytest.raises(ContractError, match=words):
        judge(answering, queries(), k=K)


def test_what_a_model_writes_into_its_histories_reaches_a_copy() -> None:
    class Writing(Answering):
        def recommend(self, histories: Histories, k: int) -> Recommendations:
            answer = super().recommend(histories, k)
            histories.items[:] = 5
            histories.offsets[:] = 0
            return answer

    right = Recommendations(ITEMS, SCORES)
    assert judge(Writing(right), queries(), k=K).equals(judge(Answering(right), queries(), k=K))


TRACE = DecodingTrace(
    path_rank=np.array([[0, -1], [3, 2]], dtype=np.int32),
    in_beam=np.array([[False, False], [True, True]]),
    best_prefix=np.zeros((2, 2), dtype=bool),
    forced_rank=np.zeros((2, 2), dtype=np.int32),
    after_wrong=np.array([[-1], [4]], dtype=np.int32),
    retrieved=np.array([0, 3], dtype=np.int32),
    gate=np.array([np.nan, 0.5], dtype=np.float32),
)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("path_rank", TRACE.path_rank[:1], "1 rows for 2 queries"),
        ("path_rank", TRACE.path_rank[:, :0], "no level"),
        ("path_rank", TRACE.path_rank - 1, "path_rank of -2 to 2, expected -1 or more"),
        ("in_beam", TRACE.in_beam.astype(int), "expected booleans"),
        ("best_prefix", TRACE.best_prefix[:, :1], "best_prefix of shape"),
        ("forced_rank", TRACE.forced_rank - 1, "expected 0 or more"),
        ("after_wrong", np.zeros((2, 2), dtype=np.int32), "after_wrong of shape"),
        ("retrieved", np.array([-1, 0]), "retrieved"),
        ("retrieved", np.array([0.5, 0]), "expected whole numbers"),
        ("gate", np.array([0.1, 1.5]), "gate of 0.1 to 1.5, expected 0 to 1"),
        ("gate", [0.1, 0.5], "expected a NumPy array"),
    ],
)
def test_a_trace_has_a_contract_too(field: str, value: Any, words: str) -> None:
    check_trace(TRACE, 2)
    with pytest.raises(ContractError, match=words):
        check_trace(replace(TRACE, **{field: value}), 2)


def test_a_trace_is_of_one_kind_for_all_queries() -> None:
    class Changing(Answering):
        def trace(self, histories: Histories, targets: np.ndarray, k: int) -> DecodingTrace | None:
            one = {name: values[:1] for name, values in vars(TRACE).items()}
            return DecodingTrace(**one) if histories.items[0] == 1 else self.answer(one)  # type: ignore[no-any-return]

    for other in (lambda one: None, lambda one: DecodingTrace(**{**one, "gate": None})):
        with pytest.raises(ContractError, match="for some queries"):
            trace_queries(Changing(other), queries(), batch_size=1)


def keeps_the_contract(items: np.ndarray, scores: np.ndarray, histories: Histories, k: int) -> bool:
    """Cell by cell, as the docstring of `Recommendations` reads."""
    if items.shape != (len(histories), k) or scores.shape != items.shape:
        return False
    if items.dtype.kind not in "iu" or scores.dtype.kind != "f":
        return False
    for query, (row, marks) in enumerate(zip(items.tolist(), scores.tolist(), strict=True)):
        seen = histories.items[histories.offsets[query] : histories.offsets[query + 1]].tolist()
        listed = [item for item in row if item != -1]
        if row[: len(listed)] != listed or len(set(listed)) < len(listed):
            return False
        if any(not 0 <= item < histories.n_items for item in listed):
            return False
        if histories.exclude_seen and set(listed) & set(seen):
            return False
        if any(math.isnan(mark) for mark in marks) or math.inf in marks[: len(listed)]:
            return False
        if any(later > earlier for earlier, later in pairwise(marks[: len(listed)])):
            return False
    return True


@st.composite
def answers(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, Histories, int]:
    """Right answers, into which up to three cells of any value are written."""
    n, k, n_items = draw(st.integers(0, 4)), draw(st.integers(1, 5)), draw(st.integers(1, 8))
    lengths = [draw(st.integers(0, 3)) for _ in range(n)]
    held = draw(st.lists(st.integers(0, n_items - 1), min_size=sum(lengths), max_size=sum(lengths)))
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    exclude = draw(st.booleans())
    histories = Histories(np.array(held, dtype=np.int32), np.zeros(len(held), np.int64), offsets, n_items, exclude)
    items = np.full((n, k), -1, dtype=draw(st.sampled_from([np.int32, np.int64, np.int16])))
    scores = np.full((n, k), -np.inf, dtype=draw(st.sampled_from([np.float32, np.float64])))
    for query in range(n):
        free = [i for i in range(n_items) if not (exclude and histories.seen()[query, i])]
        listed = draw(st.permutations(free))[: draw(st.integers(0, k))]
        marks = draw(st.lists(st.sampled_from([2.0, 1.0, 0.5, 0.0, -3.0, -np.inf]), min_size=k, max_size=k))
        items[query, : len(listed)] = listed
        scores[query, : len(listed)] = sorted(marks, reverse=True)[: len(listed)]
    for _ in range(draw(st.integers(0, 3)) if n else 0):
        cell = draw(st.integers(0, n - 1)), draw(st.integers(0, k - 1))
        if draw(st.booleans()):
            items[cell] = draw(st.integers(-3, n_items + 1))
        else:
            scores[cell] = draw(st.sampled_from([np.nan, np.inf, -np.inf, 0.25, 9.0]))
    if draw(st.integers(0, 19)) == 0:
        items = draw(st.sampled_from([items[:-1], items[:, :-1], items.astype(np.float64), items[:, ::-1]]))
    return items, scores, histories, k


def verdict_is_right(given: tuple[np.ndarray, np.ndarray, Histories, int]) -> None:
    items, scores, histories, k = given
    complaint = ""
    try:
        checked(Recommendations(items, scores), histories, k, None)
    except ContractError as error:
        complaint = str(error)
    assert (complaint == "") == keeps_the_contract(items, scores, histories, k), complaint
    assert "\n" not in complaint


@settings(deadline=None, derandomize=True, max_examples=40)
@given(answers())
def test_verdicts_are_those_of_a_checker_that_looks_at_each_cell(given: Any) -> None:
    verdict_is_right(given)


@pytest.mark.slow
@settings(deadline=None, derandomize=True, max_examples=1000)
@given(answers())
def test_verdicts_are_those_of_a_checker_that_looks_at_each_cell_on_many_answers(given: Any) -> None:
    verdict_is_right(given)
