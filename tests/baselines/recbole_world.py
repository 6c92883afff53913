"""A small world for the tests of RecBole's models, and how one of them is fitted to it."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from baselines.recbole.base import RecBoleModel
from bench.data.cache import ArtifactCache
from bench.data.dataset import ItemTable, TrainingData
from bench.data.interactions import Histories, Interactions
from bench.recommender import FitContext, Recommender


def needs_recbole(test: Callable[..., None]) -> Callable[..., None]:
    missing = importlib.util.find_spec("recbole") is None
    return pytest.mark.recbole(pytest.mark.skipif(missing, reason="RecBole is not installed")(test))


N_USERS, N_ITEMS, LONGEST = 30, 40, 6
SETTINGS = {"epochs": 2, "train_batch_size": 16, "max_item_list_length": LONGEST, "learning_rate": 0.05}


def world() -> Interactions:
    """Histories of 3 to 12 events, so that some are longer than the models read; not every item occurs."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(3, 13, N_USERS)
    items = rng.permutation(np.arange(lengths.sum()) % (N_ITEMS - 2)).astype(np.int32)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Interactions(items, np.arange(len(items), dtype=np.int64), offsets, N_ITEMS)


def item_table() -> ItemTable:
    """Titles and genres; the first item has neither."""
    titles = ["", *(f"The {'Long ' * (item % 3)}Film, No. {item}" for item in range(1, N_ITEMS))]
    genres = ["", *(f"{('Drama', 'Sci-Fi')[item % 2]} Comedy" for item in range(1, N_ITEMS))]
    return ItemTable(pd.DataFrame({"title": titles, "genres": genres}), ("title", "genres"), None)


def training_part(interactions: Interactions) -> TrainingData:
    return TrainingData(interactions.truncated(interactions.lengths - 2), item_table(), False, "")


def histories_before_the_test_target(interactions: Interactions, exclude_seen: bool = False) -> Histories:
    before = interactions.truncated(interactions.lengths - 1)
    return Histories(before.items, before.timestamps, before.offsets, N_ITEMS, exclude_seen)


def context_for(folder: Path, validate: Callable[[Recommender], float] = lambda _: 0.0) -> FitContext:
    return FitContext(seed=3, device="cpu", cache=ArtifactCache(folder), validate=validate)


def fitted(model: type[RecBoleModel], tmp_path: Path, **settings: object) -> RecBoleModel:
    recommender = model({**SETTINGS, **settings})
    recommender.fit(training_part(world()), context_for(tmp_path))
    return recommender
