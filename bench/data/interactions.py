"""Interactions as ragged arrays: one row per user, chronological, never copied per training example."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

PAD = -1
"""Marks an empty place in a padded array of items."""


@dataclass(frozen=True)
class Interactions:
    """Every user's events in chronological order, in compressed sparse row (CSR) form.

    Ties in time keep the order of the original file (a stable sort); breaking them by item id is known to
    inflate NDCG by about 20 %.

    Attributes:
        items: int32 `[n_events]`, item of each event, `0 .. n_items - 1`.
        timestamps: int64 `[n_events]`, seconds; event indices where the data has an order but no time.
        offsets: int64 `[n_users + 1]`; user `u` owns events `offsets[u] : offsets[u + 1]`.
        n_items: Size of the catalogue.
    """

    items: NDArray[np.int32]
    timestamps: NDArray[np.int64]
    offsets: NDArray[np.int64]
    n_items: int

    def __post_init__(self) -> None:
        if self.offsets[0] != 0 or self.offsets[-1] != len(self.items) or len(self.items) != len(self.timestamps):
            raise ValueError("offsets, items and timestamps of Interactions don't fit together")

    @property
    def n_users(self) -> int:
        return len(self.offsets) - 1

    @property
    def n_events(self) -> int:
        return len(self.items)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """int64 `[n_users]`, events per user."""
        return np.diff(self.offsets)

    def row(self, user: int) -> slice:
        """Where one user's events lie in `items` and `timestamps`."""
        return slice(int(self.offsets[user]), int(self.offsets[user + 1]))

    def item_counts(self) -> NDArray[np.int64]:
        """int64 `[n_items]`, events per item."""
        return np.bincount(self.items, minlength=self.n_items)

    def truncated(self, ends: NDArray[np.int64]) -> Interactions:
        """The first `ends[u]` events of every user `u`, as new arrays that hold nothing else."""
        keep = np.arange(self.n_events) - np.repeat(self.offsets[:-1], self.lengths) < np.repeat(ends, self.lengths)
        offsets = np.concatenate([[0], np.cumsum(np.minimum(ends, self.lengths))]).astype(np.int64)
        return replace(self, items=self.items[keep], timestamps=self.timestamps[keep], offsets=offsets)


@dataclass(frozen=True)
class Histories:
    """What a recommender gets to see of a batch of queries: whole histories, and never a target.

    Attributes:
        items: int32 `[n_events]`, the batch's history events, query after query, oldest first.
        timestamps: int64 `[n_events]`.
        offsets: int64 `[n_queries + 1]`.
        n_items: Size of the catalogue.
        exclude_seen: Whether the items of a history are no candidates for its own query.
    """

    items: NDArray[np.int32]
    timestamps: NDArray[np.int64]
    offsets: NDArray[np.int64]
    n_items: int
    exclude_seen: bool

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """int64 `[n_queries]`, events per history."""
        return np.diff(self.offsets)

    def batch(self, start: int, stop: int) -> Histories:
        """Queries `start .. stop - 1`."""
        offsets = self.offsets[start : stop + 1]
        events = slice(int(offsets[0]), int(offsets[-1]))
        return replace(self, items=self.items[events], timestamps=self.timestamps[events], offsets=offsets - offsets[0])

    def last(self, length: int) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int64]]:
        """The most recent `length` events of each history.

        Returns:
            items int32 `[n_queries, length]` and timestamps int64 `[n_queries, length]`, left-aligned (oldest
            first) and padded with `PAD` and 0; lengths int64 `[n_queries]`.
        """
        kept = np.minimum(self.lengths, length)
        column = np.arange(length)
        filled = column < kept[:, None]
        source = (self.offsets[1:] - kept)[:, None] + column
        items = np.full(filled.shape, PAD, dtype=np.int32)
        timestamps = np.zeros(filled.shape, dtype=np.int64)
        items[filled] = self.items[source[filled]]
        timestamps[filled] = self.timestamps[source[filled]]
        return items, timestamps, kept

    def before_last(self, length: int) -> Histories:
        """The same queries without their most recent `length` events: the long-term part of each history."""
        kept = np.maximum(self.lengths - length, 0)
        query = np.repeat(np.arange(len(self)), self.lengths)
        keep = np.arange(len(self.items)) - self.offsets[query] < kept[query]
        offsets = np.concatenate([[0], np.cumsum(kept)]).astype(np.int64)
        return replace(self, items=self.items[keep], timestamps=self.timestamps[keep], offsets=offsets)

    def seen(self) -> NDArray[np.bool_]:
        """Bool `[n_queries, n_items]`, True where the item occurs in the history."""
        mask = np.zeros((len(self), self.n_items), dtype=bool)
        mask[np.repeat(np.arange(len(self)), self.lengths), self.items] = True
        return mask
