"""Was the step from the last event to the target seen in training, composable of two seen steps, or new?

After "How Well Does Generative Recommendation Generalize?" (arXiv 2603.19809), which finds that models over item ids
win where a transition can be remembered, and generative ones where known transitions have to be composed.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from bench.data.interactions import Histories, Interactions

MOST_EVENTS = 50_000_000
"""Larger training data get no transitions: a table of all pairs would take gigabytes."""

KINDS = {"seen": 3, "composable": 2, "new": 1}
"""Numbers of the kinds in the table of queries; 0 is "unknown"."""


class Transitions:
    """The pairs (last event of a history, target) of training.

    Args:
        interactions: Training events.
        history_ends: See `TrainingData.history_ends`.
    """

    def __init__(self, interactions: Interactions, history_ends: NDArray[np.int32] | None) -> None:
        ends = interactions.positions() if history_ends is None else history_ends
        target = np.flatnonzero(ends > 0)
        begin = np.repeat(interactions.offsets[:-1], interactions.lengths)[target]
        before = interactions.items[begin + ends[target] - 1]
        pairs = np.unique(before.astype(np.int64) * interactions.n_items + interactions.items[target])
        cells = np.divmod(pairs, max(1, interactions.n_items))
        shape = (interactions.n_items, interactions.n_items)
        self._next = sp.coo_array((np.ones(len(pairs), dtype=np.float32), cells), shape=shape).tocsr()
        self._before = self._next.T.tocsr()

    def kinds(self, histories: Histories, targets: NDArray[np.int32]) -> NDArray[np.int8]:
        """The kind of each query's step, int8 `[n_queries]`: see `KINDS`; 0 where a history is empty.

        A step from i to j is composable if it was not seen, but one from i to some item was, and one from there to j.
        """
        last, _, kept = histories.last(1)
        known = np.flatnonzero(kept > 0)
        follow, precede = self._next[last[known, 0]], self._before[targets[known]]
        composable = np.asarray(follow.multiply(precede).sum(axis=1)).ravel() > 0
        seen = np.zeros(len(known), dtype=bool)
        row = np.repeat(np.arange(len(known)), np.diff(follow.indptr))
        seen[row[follow.indices == targets[known][row]]] = True
        kinds = np.zeros(len(targets), dtype=np.int8)
        kinds[known] = np.select([seen, composable], [KINDS["seen"], KINDS["composable"]], KINDS["new"])
        return kinds


def known_transitions(interactions: Interactions, history_ends: NDArray[np.int32] | None) -> Transitions | None:
    """`Transitions` of training data of at most `MOST_EVENTS`; None for larger ones."""
    return Transitions(interactions, history_ends) if interactions.n_events <= MOST_EVENTS else None
