"""From a matrix of scores to ranked lists, the same way for every model that has one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.data.interactions import PAD, Histories
from bench.recommender import Recommendations

NOT_A_NUMBER = "a score is NaN: the model has probably diverged in training"


def rank_catalogue(scores: NDArray[np.floating[Any]], histories: Histories, k: int) -> Recommendations:
    """Ranks the `k` best items of each query, seen items left out where the histories ask for that.

    Each row is ranked on its own, so no list depends on how queries are batched.

    Args:
        scores: Float `[n_queries, n_items]`; an item at -inf is no candidate.
        histories: The queries that the scores answer.
        k: Length of the lists; padded where a query has fewer candidates.

    Raises:
        ValueError: A score is NaN.
    """
    _refuse_nan(scores)
    if histories.exclude_seen:
        scores = np.where(histories.seen(), -np.inf, scores)
    return _ranked(scores, None, k)


def rank_semantic_ids(
    scores: NDArray[np.floating[Any]],
    sid_of_item: NDArray[np.int32],
    by_popularity: NDArray[np.int32],
    histories: Histories,
    k: int,
) -> Recommendations:
    """Ranks the `k` best items of each query by scores of their semantic IDs, and the `k` best semantic IDs.

    Args:
        scores: Float `[n_queries, n_items]`. A semantic ID has the best one of its items.
        sid_of_item: int32 `[n_items]`, see `Recommender`.
        by_popularity: int32 `[n_items]`, the items in the order in which those of equal scores come.
        histories: The queries that the scores answer. Where seen items are left out, so are semantic IDs all of whose
            items were seen.
        k: Length of the lists; padded where a query has fewer candidates.

    Raises:
        ValueError: A score is NaN.
    """
    place = np.empty_like(by_popularity)
    place[by_popularity] = np.arange(len(by_popularity), dtype=by_popularity.dtype)
    best = rank_catalogue(scores[:, by_popularity], replace(histories, items=place[histories.items]), k)
    items = np.where(best.items < 0, best.items, by_popularity[best.items])
    candidates = np.where(histories.seen(), -np.inf, scores) if histories.exclude_seen else scores
    order = np.argsort(sid_of_item, kind="stable")
    starts = np.searchsorted(sid_of_item[order], np.arange(sid_of_item.max() + 1))
    of_ids = np.maximum.reduceat(candidates[:, order], starts, axis=1)
    sids = rank_catalogue(of_ids, replace(histories, exclude_seen=False), k).items
    return Recommendations(items=items, scores=best.scores, sids=sids)


def rank_candidates(scores: NDArray[np.floating[Any]], candidates: NDArray[np.integer[Any]], k: int) -> Recommendations:
    """Ranks the `k` best of each query's own candidates; ties go to the lower item, as in `rank_catalogue`.

    Args:
        scores: Float `[n_queries, n]`; what stands where a candidate is `PAD` does not matter.
        candidates: Int `[n_queries, n]`, distinct items, padded with `PAD`.
        k: Length of the lists; padded where a query has fewer candidates.

    Raises:
        ValueError: A score is NaN.
    """
    _refuse_nan(scores)
    order = candidates.argsort(axis=1)
    candidates = np.take_along_axis(candidates, order, axis=1)
    scores = np.where(candidates == PAD, -np.inf, np.take_along_axis(scores, order, axis=1))
    return _ranked(scores, candidates, k)


def _refuse_nan(scores: NDArray[np.floating[Any]]) -> None:
    if np.isnan(scores).any():
        raise ValueError(NOT_A_NUMBER)


def _ranked(scores: NDArray[np.floating[Any]], candidates: NDArray[np.integer[Any]] | None, k: int) -> Recommendations:
    """Makes lists from scores whose columns are candidates, or the items themselves; -inf is no candidate."""
    columns, best = top_k(scores, k)
    items = columns if candidates is None else np.take_along_axis(candidates, columns, axis=1)
    items = np.where(np.isneginf(best), PAD, items)
    missing = ((0, 0), (0, k - items.shape[1]))
    return Recommendations(
        items=np.pad(items, missing, constant_values=PAD).astype(np.int32),
        scores=np.pad(best, missing, constant_values=-np.inf).astype(np.float32),
    )


def top_k(scores: NDArray[np.floating[Any]], k: int) -> tuple[NDArray[np.int64], NDArray[np.floating[Any]]]:
    """Returns columns and values of the `k` largest entries of each row, largest first, ties by column.

    Args:
        scores: Float `[rows, columns]` without NaN.
        k: Entries to keep; all columns where there are fewer.

    Returns:
        int64 and float `[rows, min(k, columns)]`.

    >>> index, values = top_k(np.array([[0.5, 2.0, 1.0, 2.0]]), k=3)
    >>> index.tolist(), values.tolist()
    ([[1, 3, 2]], [[2.0, 2.0, 1.0]])
    """
    rows, columns = scores.shape
    k = min(k, columns)
    if k == 0 or rows == 0:
        return np.zeros((rows, k), dtype=np.int64), np.zeros((rows, k), dtype=scores.dtype)
    smallest = np.partition(scores, columns - k, axis=1)[:, columns - k, None]
    chosen = scores >= smallest
    # argpartition alone would keep an arbitrary choice of the entries that tie for the last ranks.
    crowded = np.flatnonzero(np.count_nonzero(chosen, axis=1) > k)
    if len(crowded):
        above, tied = scores[crowded] > smallest[crowded], scores[crowded] == smallest[crowded]
        ranks_left = k - above.sum(axis=1, keepdims=True)
        chosen[crowded] = above | (tied & (np.cumsum(tied, axis=1) <= ranks_left))
    index = np.flatnonzero(chosen).reshape(rows, k) - columns * np.arange(rows)[:, None]
    values = np.take_along_axis(scores, index, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    return np.take_along_axis(index, order, axis=1), np.take_along_axis(values, order, axis=1)
