"""Whose history is it? Histories come without a name, and some models learn a vector of each user."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from bench.data.interactions import Histories, Interactions

STRANGER = -1
"""Stands for a user without training events."""


class KnownUsers:
    """Recognises the users of training by their events.

    A query's history continues what its user did in training, so it begins with exactly those events, items and times
    alike. Where several users fit, the one with the most training events counts, among equals the lowest.
    """

    def __init__(self, interactions: Interactions) -> None:
        self._interactions = interactions
        self._by_first_event: dict[tuple[int, int], list[int]] = defaultdict(list)
        lengths = interactions.lengths
        for user in np.argsort(-lengths, kind="stable").tolist():
            if lengths[user]:
                first = interactions.offsets[user]
                self._by_first_event[_event(interactions, first)].append(user)

    def of(self, histories: Histories) -> NDArray[np.int64]:
        """Names the user of each history, int64 `[n_queries]`, or `STRANGER`."""
        return np.array([self._user(histories, query) for query in range(len(histories))], dtype=np.int64)

    def _user(self, histories: Histories, query: int) -> int:
        start, stop = histories.offsets[query : query + 2]
        if start == stop:
            return STRANGER
        train = self._interactions
        for user in self._by_first_event.get(_event(histories, start), ()):
            row = train.row(user)
            length = row.stop - row.start
            beginning = slice(start, start + length)
            if (
                length <= stop - start
                and np.array_equal(train.items[row], histories.items[beginning])
                and np.array_equal(train.timestamps[row], histories.timestamps[beginning])
            ):
                return user
        return STRANGER


def _event(events: Interactions | Histories, index: int) -> tuple[int, int]:
    return int(events.items[index]), int(events.timestamps[index])
