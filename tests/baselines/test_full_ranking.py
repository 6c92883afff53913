"""The step from scores to lists, against a plain sort."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from baselines.device_ranking import rank_on_device, top_k_on_device
from baselines.full_ranking import rank_candidates, rank_catalogue, rank_semantic_ids, top_k
from bench.data.interactions import PAD, Histories


def histories_of(rows: list[list[int]], n_items: int, exclude_seen: bool) -> Histories:
    items = np.array([item for row in rows for item in row], dtype=np.int32)
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    return Histories(items, np.arange(len(items), dtype=np.int64), offsets, n_items, exclude_seen)


@given(
    rows=st.integers(1, 6),
    columns=st.integers(1, 12),
    k=st.integers(1, 15),
    levels=st.integers(1, 5),
    seed=st.integers(0, 2**31),
)
def test_top_k_is_the_head_of_a_stable_sort(rows: int, columns: int, k: int, levels: int, seed: int) -> None:
    scores = np.random.default_rng(seed).integers(0, levels, (rows, columns)).astype(np.float32)
    index, values = top_k(scores, k)
    expected = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    np.testing.assert_array_equal(index, expected)
    np.testing.assert_array_equal(values, np.take_along_axis(scores, expected, axis=1))


NUMBERS = st.sampled_from([-np.inf, -3e38, -2.5, -1.0, -1e-40, -0.0, 0.0, 1e-40, 1.0, 2.5, 3e38, np.inf])


@given(st.lists(st.lists(NUMBERS, min_size=7, max_size=7), min_size=1, max_size=4), st.integers(1, 9))
def test_a_gpu_takes_the_same_of_equal_scores(rows: list[list[float]], k: int) -> None:
    scores = np.array(rows, dtype=np.float32)
    index, values = top_k_on_device(torch.from_numpy(scores), k)
    expected, best = top_k(scores, k)
    np.testing.assert_array_equal(index.numpy(), expected)
    np.testing.assert_array_equal(values.numpy(), best)


@given(st.integers(1, 6), st.integers(1, 15), st.integers(1, 4), st.booleans(), st.integers(0, 2**31))
def test_a_gpu_makes_the_same_lists(rows: int, k: int, levels: int, exclude_seen: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, levels, (rows, 12)).astype(np.float32)
    scores[rng.random(scores.shape) < 0.2] = -np.inf
    seen = [rng.integers(0, 12, rng.integers(0, 20)).tolist() for _ in range(rows)]
    histories = histories_of(seen, 12, exclude_seen)
    answer, expected = rank_on_device(torch.from_numpy(scores), histories, k), rank_catalogue(scores, histories, k)
    for part in ("items", "scores"):
        np.testing.assert_array_equal(getattr(answer, part), getattr(expected, part))
        assert getattr(answer, part).dtype == getattr(expected, part).dtype


def test_a_gpu_tells_of_a_diverged_model() -> None:
    with pytest.raises(ValueError, match="NaN"):
        rank_on_device(torch.tensor([[torch.nan, 1.0]]), histories_of([[]], 2, False), k=1)


def test_ties_go_to_the_lower_item_index_at_the_cut_too() -> None:
    answer = rank_catalogue(np.array([[1.0, 2.0, 1.0, 1.0]]), histories_of([[]], 4, False), k=3)
    assert answer.items.tolist() == [[1, 0, 2]]
    assert answer.scores.tolist() == [[2.0, 1.0, 1.0]]


def test_seen_items_are_left_out_only_where_asked() -> None:
    scores = np.array([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0]])
    kept = rank_catalogue(scores, histories_of([[0], [1, 1]], 3, False), k=2)
    excluded = rank_catalogue(scores, histories_of([[0], [1, 1]], 3, True), k=2)
    assert kept.items.tolist() == [[0, 1], [0, 1]]
    assert excluded.items.tolist() == [[1, 2], [0, 2]]


def test_lists_are_padded_where_candidates_run_out() -> None:
    scores = np.array([[3.0, -np.inf, 1.0]])
    answer = rank_catalogue(scores, histories_of([[2]], 3, True), k=5)
    assert answer.items.tolist() == [[0, -1, -1, -1, -1]]
    assert answer.scores.tolist() == [[3.0] + [-np.inf] * 4]
    assert answer.items.dtype == np.int32
    assert answer.scores.dtype == np.float32


def test_scores_of_the_caller_stay_as_they_are() -> None:
    scores = np.array([[3.0, 2.0]])
    rank_catalogue(scores, histories_of([[0]], 2, True), k=1)
    assert scores.tolist() == [[3.0, 2.0]]


def test_a_diverged_model_is_told() -> None:
    with pytest.raises(ValueError, match="NaN"):
        rank_catalogue(np.array([[np.nan, 1.0]]), histories_of([[]], 2, False), k=1)


@given(
    rows=st.integers(1, 4),
    n=st.integers(1, 8),
    k=st.integers(1, 10),
    levels=st.integers(1, 4),
    seed=st.integers(0, 2**31),
)
def test_own_candidates_are_ranked_as_they_are_among_all(rows: int, n: int, k: int, levels: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    n_items = 9
    catalogue = rng.integers(0, levels, (rows, n_items)).astype(np.float32)
    candidates = np.stack([rng.permutation(n_items)[:n] for _ in range(rows)])
    candidates[:, rng.permutation(n)[: n // 3]] = PAD
    scores = np.take_along_axis(catalogue, candidates.clip(min=0), axis=1)
    masked = np.full_like(catalogue, -np.inf)
    for row, own in enumerate(candidates):
        masked[row, own[own != PAD]] = catalogue[row, own[own != PAD]]
    answer = rank_candidates(scores, candidates, k)
    expected = rank_catalogue(masked, histories_of([[]] * rows, n_items, False), k)
    np.testing.assert_array_equal(answer.items, expected.items)
    np.testing.assert_array_equal(answer.scores, expected.scores)


def test_a_candidate_without_a_number_is_an_error() -> None:
    with pytest.raises(ValueError, match="NaN"):
        rank_candidates(np.array([[1.0, np.nan]]), np.array([[3, 1]]), k=1)


@pytest.mark.parametrize("exclude_seen", [True, False])
def test_a_semantic_id_has_the_best_score_of_its_items_that_may_be_listed(exclude_seen: bool) -> None:
    scores = np.array([[0.1, 0.9, 0.5, 0.5, 0.2]], dtype=np.float32)
    sid_of_item = np.array([0, 0, 1, 1, 2], dtype=np.int32)
    histories = histories_of([[1, 4]], 5, exclude_seen)
    answer = rank_semantic_ids(scores, sid_of_item, np.array([3, 1, 0, 2, 4], dtype=np.int32), histories, k=5)
    if exclude_seen:
        assert answer.items.tolist() == [[3, 2, 0, -1, -1]]
        assert answer.sids is not None
        assert answer.sids.tolist() == [[1, 0, -1, -1, -1]]
    else:
        assert answer.items.tolist() == [[1, 3, 2, 4, 0]]
        assert answer.sids is not None
        assert answer.sids.tolist() == [[0, 1, 2, -1, -1]]
