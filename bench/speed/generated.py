"""Data of any size, drawn at random: what is timed depends on sizes and not on what users like."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bench.data.dataset import ItemTable, TrainingData
from bench.data.interactions import Histories, Interactions

_HOUR = 3600
_EMBEDDED = 100_000
"""Items from which on vectors take the place of titles, as in data of that size."""

_DIMS = 32


def training_data(users: int, length: int, items: int, seed: int = 0) -> TrainingData:
    """Histories of equal length.

    Items are drawn with probabilities that fall as a power of their rank. Each has a title; in a large catalogue, where
    nobody has texts for every item, a vector.
    """
    random = np.random.default_rng(seed)
    events = _draw(random, users * length, items)
    offsets = np.arange(users + 1, dtype=np.int64) * length
    times = np.tile(np.arange(length, dtype=np.int64) * _HOUR, users)
    interactions = Interactions(events, times, offsets, items)
    if items < _EMBEDDED:
        titles = [f"product {item % 97} kind {item % 1013} brand {item % 31}" for item in range(items)]
        table = ItemTable(pd.DataFrame({"title": titles}), ("title",), None)
    else:
        vectors = random.standard_normal((items, _DIMS), dtype=np.float32)
        table = ItemTable(pd.DataFrame(index=range(items)), (), None, vectors)
    return TrainingData(interactions, table, False, f"generated-{users}-{length}-{items}-{seed}")


def queries(number: int, length: int, items: int, seed: int = 1) -> Histories:
    """Histories of equal length that somebody asks about; seen items may be recommended."""
    events = _draw(np.random.default_rng(seed), number * length, items)
    times = np.tile(np.arange(length, dtype=np.int64) * _HOUR, number)
    return Histories(events, times, np.arange(number + 1, dtype=np.int64) * length, items, exclude_seen=False)


def _draw(random: np.random.Generator, number: int, items: int) -> np.ndarray:
    weights = np.cumsum(1 / np.arange(1, items + 1) ** 0.9)
    return np.searchsorted(weights, random.random(number) * weights[-1]).clip(max=items - 1).astype(np.int32)
