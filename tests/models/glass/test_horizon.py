"""`horizon`: GLASS without its long history, and otherwise the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from bench.data.cache import ArtifactCache
from bench.data.dataset import ItemTable, TrainingData
from bench.data.interactions import Histories, Interactions
from bench.recommender import FitContext
from models.glass.glass import Glass, GlassConfig

N_ITEMS, SHORT_TERM, LONGEST = 15, 4, 40
SMALL: dict[str, Any] = {
    "short_term": SHORT_TERM,
    "network": {"dim": 8, "heads": 2, "feed_forward": 12, "encoder_layers": 1, "decoder_layers": 2, "dropout": 0.0},
    "tokenizer": {"method": "random", "codebooks": (3, 3)},
    "training": {"epochs": 4, "batch_events": 40, "warmup_steps": 0, "learning_rate": 0.05, "average": 0.0},
    "search": {"age_bias": True, "limit": 5},
}


def rows() -> np.ndarray:
    """Twelve histories of 40 events."""
    return np.random.default_rng(0).integers(0, N_ITEMS, (12, LONGEST)).astype(np.int32)


def histories(items: np.ndarray) -> Histories:
    offsets = np.arange(len(items) + 1) * items.shape[1]
    return Histories(items.ravel(), np.arange(items.size), offsets, N_ITEMS, exclude_seen=False)


def fitted(folder: Path, **config: Any) -> Glass:
    interactions = Interactions(rows().ravel(), np.arange(rows().size), np.arange(13) * LONGEST, N_ITEMS)
    train = TrainingData(interactions, ItemTable(pd.DataFrame(index=range(N_ITEMS)), (), None), False, "random")
    search = SMALL["search"] | config.pop("search", {})
    model = Glass(SMALL | config | {"search": search})
    model.fit(train, FitContext(3, "cpu", ArtifactCache(folder), lambda _: 0.0))
    return model


def scores(model: Glass, items: np.ndarray) -> np.ndarray:
    answer = model.recommend(histories(items), N_ITEMS)
    return np.column_stack([answer.items, answer.scores])


def weights(model: Glass) -> dict[str, torch.Tensor]:
    assert model.network is not None
    return model.network.state_dict()


@pytest.mark.parametrize("recent", [False, True])
def test_a_horizon_beyond_all_histories_is_glass_exactly(recent: bool, tmp_path: Path) -> None:
    whole = fitted(tmp_path, search={"recent": recent})
    same = fitted(tmp_path, search={"recent": recent}, horizon=LONGEST)
    near = fitted(tmp_path, search={"recent": recent}, horizon=3)
    assert all(torch.equal(value, weights(same)[name]) for name, value in weights(whole).items())
    assert np.array_equal(scores(whole, rows()), scores(same, rows()))
    assert whole.parameter_count() == near.parameter_count()
    assert not all(torch.equal(value, weights(near)[name]) for name, value in weights(whole).items())
    assert not np.array_equal(scores(whole, rows()), scores(near, rows()))


@pytest.mark.parametrize(("recent", "sid_tier"), [(False, True), (True, True), (True, False)])
def test_events_beyond_the_horizon_change_no_score(recent: bool, sid_tier: bool, tmp_path: Path) -> None:
    model = fitted(tmp_path, search={"recent": recent}, sid_tier={"enabled": sid_tier}, horizon=6)
    # What SID-Tier reads ends where the short term begins; the search does so, too, unless it finds recent events.
    reach = 6 + (SHORT_TERM if sid_tier or not recent else 0)
    older, inside = rows(), rows()
    older[:, : LONGEST - reach] = (older[:, : LONGEST - reach] + 4) % N_ITEMS
    assert np.array_equal(scores(model, rows()), scores(model, older))
    inside[:, LONGEST - reach] = (inside[:, LONGEST - reach] + 4) % N_ITEMS
    assert not np.array_equal(scores(model, rows()), scores(model, inside))
    whole = fitted(tmp_path, search={"recent": recent}, sid_tier={"enabled": sid_tier})
    assert not np.array_equal(scores(whole, rows()), scores(whole, older)), "without one they do"


def test_it_begins_from_the_same_weights_and_a_row_without_it_keeps_its_key(tmp_path: Path) -> None:
    first, second = (fitted(tmp_path, training=SMALL["training"] | {"learning_rate": 1e-30}, horizon=h) for h in (1, 9))
    assert all(torch.allclose(value, weights(second)[name], atol=1e-12) for name, value in weights(first).items())
    assert "horizon" not in GlassConfig().model_dump()
    assert GlassConfig(horizon=50).model_dump()["horizon"] == 50
