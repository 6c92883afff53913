"""A user's decayed counts as a distribution over the catalogue, and its mixture with another one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import Field, model_validator

from bench.config import Config
from bench.data.interactions import Histories

ROUNDS = 2
"""How often each of half-life, smoothing and weight is chosen again, given the other two."""


@dataclass(frozen=True)
class Mixture:
    """What is chosen: the share of the counts, their half-life in events, and their smoothing in events."""

    weight: float
    half_life: float
    smoothing: float


class MixtureOptions(Config):
    """Says what a mixture is chosen among, on validation queries.

    Attributes:
        weights: Shares of the counts in the mixture.
        half_lives: Half-lives of the counts, in events.
        smoothings: Events spread over the catalogue by popularity, beside the user's own.
    """

    weights: tuple[float, ...] = Field(default=(0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0), min_length=1)
    half_lives: tuple[float, ...] = Field(default=(20.0, 50.0, 100.0, 200.0, 400.0, 1000.0), min_length=1)
    smoothings: tuple[float, ...] = Field(default=(0.0, 25.0, 50.0, 100.0, 200.0, 400.0), min_length=1)

    @model_validator(mode="after")
    def _within_range(self) -> MixtureOptions:
        if not all(0 <= weight <= 1 for weight in self.weights):
            raise ValueError("weights should lie in [0, 1]")
        if min(self.half_lives) <= 0 or min(self.smoothings) < 0:
            raise ValueError("half_lives should be above 0, and smoothings at least 0")
        return self


def decayed_counts(histories: Histories, half_life: float, window: int | None = None) -> sp.csr_array:
    """Counts how often and how lately each item occurs in each history.

    Args:
        histories: The queries.
        half_life: In events. The last event weighs 1, the event `half_life` events before it 1/2.
        window: Only so many last events of each history count. None: all.

    Returns:
        float64 `[n_queries, n_items]`, sparse: the summed weights of an item's events.
    """
    query = np.repeat(np.arange(len(histories)), histories.lengths)
    age = histories.offsets[query + 1] - 1 - np.arange(len(histories.items))
    # A very old event keeps a weight above zero, so that it still ranks before an item never used.
    weight = np.maximum(np.exp2(-age / half_life), np.finfo(np.float64).tiny)
    counted = slice(None) if window is None else age < window
    cells = (query[counted], histories.items[counted])
    shape = (len(histories), histories.n_items)
    return sp.coo_array((weight[counted], cells), shape=shape).tocsr()  # sums the events of an item


def values_at(counts: sp.csr_array, items: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    """Looks up sparse counts `[n, n_items]`: float64 `[n, c]` for items int `[n, c]`, 0 where there is none.

    >>> counts = sp.csr_array(np.array([[0.0, 2.0, 0.5], [0.0, 0.0, 0.0]]))
    >>> values_at(counts, np.array([[2, 0], [1, 1]])).tolist()
    [[0.5, 0.0], [0.0, 0.0]]
    """
    if not len(counts.data):
        return np.zeros(items.shape)
    row, n_items = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr)), counts.shape[1]
    held = row * n_items + counts.indices
    wanted = np.arange(len(items))[:, None] * n_items + items
    order = np.argsort(held, kind="stable")
    place = np.searchsorted(held, wanted, sorter=order).clip(max=len(held) - 1)
    found = order[place]
    return np.where(held[found] == wanted, counts.data[found], 0.0)


def chosen_in_turn(
    options: Mapping[str, Sequence[float]], first: Mixture, judge: Callable[[str, Mixture], float]
) -> dict[Mixture, float]:
    """Chooses half-life, smoothing and weight in turn, each given the best of the others, in `ROUNDS` rounds.

    Args:
        options: Of each of the three, by name, in the order in which they are chosen.
        first: To begin with.
        judge: The value of a mixture, asked once of each; gets the name of what is being chosen, too.

    Returns:
        The value of all that were tried; the first of the highest is the choice.
    """
    tried: dict[Mixture, float] = {}
    best = first
    for name in [*options] * ROUNDS:
        for option in options[name]:
            mixture = replace(best, **{name: option})
            if mixture not in tried:
                tried[mixture] = judge(name, mixture)
        best = best_of(tried)
    return tried


def best_of(tried: Mapping[Mixture, float]) -> Mixture:
    """The mixture of the highest value, the first of equals."""
    return max(tried, key=lambda mixture: tried[mixture])
