"""How interactions become training data, validation queries and test queries."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.data.dataset import Dataset, SeenItems, TrainingData
from bench.data.interactions import Histories, Interactions


@dataclass(frozen=True)
class Queries:
    """Pairs of (history, target) as index pairs into the interactions.

    Attributes:
        interactions: All events of the data set.
        users: int64 `[n]`, whose history.
        ends: int64 `[n]`, the history is the user's first `ends` events.
        targets: int32 `[n]`, the item to be found.
        target_counts: int64 `[n]`, training interactions of the target.
        target_quantiles: float64 `[n]`, place of the target among all items ordered by training interactions
            (most first, ties by item index), as a fraction of the catalogue in [0, 1).
        exclude_seen: Whether items of the history are no candidates.
    """

    interactions: Interactions
    users: NDArray[np.int64]
    ends: NDArray[np.int64]
    targets: NDArray[np.int32]
    target_counts: NDArray[np.int64]
    target_quantiles: NDArray[np.float64]
    exclude_seen: bool

    def __len__(self) -> int:
        return len(self.users)

    def histories(self, start: int, stop: int) -> Histories:
        """The histories of queries `start .. stop - 1`, as copies that hold nothing of the target or later."""
        ends = self.ends[start:stop]
        first = self.interactions.offsets[self.users[start:stop]]
        offsets = np.concatenate([[0], np.cumsum(ends)]).astype(np.int64)
        source = np.arange(offsets[-1]) + np.repeat(first - offsets[:-1], ends)
        return Histories(
            items=self.interactions.items[source],
            timestamps=self.interactions.timestamps[source],
            offsets=offsets,
            n_items=self.interactions.n_items,
            exclude_seen=self.exclude_seen,
        )
