"""Ties, popularity, novelty and new items of lists, against hand-computed values, RecBole and a naive reference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.evaluation.lists import LIST_LENGTH, ListStatistics, tied_places

N_ITEMS = 40


def test_popularity_novelty_and_new_items_by_hand() -> None:
    counts = np.array([7, 1, 0, 4], dtype=np.int64)  # 12 interactions, 16 with one more each
    lists = np.array([[0, 3, -1], [3, 2, 0], [-1, -1, -1]], dtype=np.int32)
    popularity, novelty, new = ListStatistics(counts).add(lists)
    np.testing.assert_allclose(popularity, [(1 + 0.75) / 2, (0.75 + 0.25 + 1) / 3, np.nan])
    bits = {0: 1.0, 2: 4.0, 3: np.log2(16 / 5)}
    np.testing.assert_allclose(novelty, [(bits[0] + bits[3]) / 2, sum(bits.values()) / 3, np.nan], rtol=1e-6)
    assert new.tolist() == [2, 1, 0]


def test_only_the_first_ten_items_count() -> None:
    statistics = ListStatistics(np.ones(N_ITEMS, dtype=np.int64))
    _, _, new = statistics.add(np.arange(20, dtype=np.int32)[None, :])
    assert new.tolist() == [LIST_LENGTH] == [10]


def test_a_tie_is_between_items_and_never_with_padding() -> None:
    lists = np.array([[4, 5, -1], [4, 5, 6], [4, 5, 6]], dtype=np.int32)
    scores = np.array([[1, 0, 0], [2, 2, 1], [1, 1, 1]], dtype=np.float32)
    first, last = tied_places(lists, scores, np.array([2, 2, 0], dtype=np.int16))
    assert first.tolist() == [2, 1, 0]
    assert last.tolist() == [2, 2, 0]


@st.composite
def ranked(draw: st.DrawFn) -> np.ndarray:
    """Lists of distinct items, padded; empty ones among them."""
    rows = draw(st.lists(st.lists(st.integers(0, N_ITEMS - 1), max_size=15, unique=True), min_size=1, max_size=12))
    return np.array([row + [-1] * (15 - len(row)) for row in rows], dtype=np.int32)


@settings(deadline=None, max_examples=50)
@given(ranked(), st.integers(1, 12))
def test_new_items_are_those_of_no_earlier_list_however_lists_are_batched(lists: np.ndarray, batch: int) -> None:
    statistics = ListStatistics(np.ones(N_ITEMS, dtype=np.int64))
    found = np.concatenate([statistics.add(lists[start : start + batch])[2] for start in range(0, len(lists), batch)])
    known: set[int] = set()
    for row, count in zip(lists[:, :LIST_LENGTH].tolist(), found.tolist(), strict=True):
        fresh = set(row) - known - {-1}
        assert count == len(fresh)
        known |= fresh


def test_coverage_is_recbole_s() -> None:
    theirs = pytest.importorskip("recbole.evaluator.metrics", reason="RecBole isn't installed")
    random = np.random.default_rng(3)
    lists = np.stack([random.permutation(500)[:10] for _ in range(60)]).astype(np.int32)
    _, _, new = ListStatistics(np.ones(500, dtype=np.int64)).add(lists)
    metric = theirs.ItemCoverage({"metric_decimal_place": 15, "topk": [10]})
    assert new.sum() / 500 == pytest.approx(metric.get_coverage(lists, 500), abs=1e-12)
