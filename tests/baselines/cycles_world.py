"""A tiny world in which each item is followed by the next one, round and round."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bench.data.dataset import ItemTable, TrainingData
from bench.data.interactions import Interactions

N_ITEMS = 9


def cycles() -> TrainingData:
    """Nine users, each with twelve events from a start of their own."""
    events = np.concatenate([(start + np.arange(12)) % N_ITEMS for start in range(N_ITEMS)]).astype(np.int32)
    offsets = np.arange(N_ITEMS + 1, dtype=np.int64) * 12
    interactions = Interactions(events, np.arange(len(events), dtype=np.int64), offsets, N_ITEMS)
    titles = pd.DataFrame({"title": [f"part{item // 3} number{item}" for item in range(N_ITEMS)]})
    return TrainingData(interactions, ItemTable(titles, ("title",), None), False, "cycles")
