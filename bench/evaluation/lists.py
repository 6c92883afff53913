"""What ranked lists show beyond the place of the target: ties, popularity, novelty, and items that are new."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LIST_LENGTH = 10
"""The first items of a list that popularity, novelty and coverage look at."""


def tied_places(
    lists: NDArray[np.int32], scores: NDArray[np.float32], ranks: NDArray[np.int16]
) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Where the items that share the target's score begin and end in each list.

    Items that share a semantic ID share its score, so whichever stands first among them does by a rule, not by merit.
    A tie that the end of a list cuts is known only up to there.

    Args:
        lists: int32 `[n, k]`, padded with -1.
        scores: float32 `[n, k]`, non-increasing along a row.
        ranks: int16 `[n]`, 1-based place of the target, 0 for a miss.

    Returns:
        int16 `[n]` each: 1-based first and last place of the tie, both 0 for a miss; equal to the rank without a tie.
    """
    if not len(ranks):
        return ranks, ranks
    wanted = np.take_along_axis(scores, np.maximum(ranks.astype(np.int64) - 1, 0)[:, None], axis=1)
    tied = (scores == wanted) & (lists >= 0) & (ranks > 0)[:, None]
    size = tied.sum(axis=1)
    first = np.where(size > 0, tied.argmax(axis=1) + 1, 0)
    return first.astype(np.int16), np.where(size > 0, first + size - 1, 0).astype(np.int16)


class ListStatistics:
    """Popularity and novelty of lists, and which of their items are new, batch after batch.

    Args:
        train_counts: int64 `[n_items]`, training interactions of each item.
    """

    def __init__(self, train_counts: NDArray[np.int64]) -> None:
        n_items = len(train_counts)
        order = np.argsort(-train_counts, kind="stable")
        self._popularity = np.empty(n_items)
        self._popularity[order] = 1 - np.arange(n_items) / n_items
        # One imaginary interaction per item: an item that training never met is very, not infinitely, novel.
        self._novelty = -np.log2((train_counts + 1) / (train_counts.sum() + n_items))
        self._given = np.zeros(n_items, dtype=bool)

    def add(self, lists: NDArray[np.int32]) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int8]]:
        """Describes the first `LIST_LENGTH` items of each list of the next batch.

        Args:
            lists: int32 `[n, k]`, distinct items, padded with -1.

        Returns:
            Mean popularity float32 `[n]` and mean novelty float32 `[n]` (both NaN for an empty list), and int8 `[n]`,
            the items that no list before had among its first. See `QUERY_COLUMNS` for their meaning.
        """
        top = lists[:, :LIST_LENGTH]
        listed = top >= 0
        items = np.where(listed, top, 0)
        sizes = listed.sum(axis=1)
        means = [
            np.where(sizes > 0, np.where(listed, values[items], 0.0).sum(axis=1) / np.maximum(sizes, 1), np.nan)
            for values in (self._popularity, self._novelty)
        ]
        query, place = np.nonzero(listed)
        found, first = np.unique(top[query, place], return_index=True)
        new = ~self._given[found]
        self._given[found] = True
        return (
            means[0].astype(np.float32),
            means[1].astype(np.float32),
            np.bincount(query[first[new]], minlength=len(lists)).astype(np.int8),
        )
