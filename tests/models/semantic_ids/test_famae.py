"""FAMAE: masks, scores and loss beside naive ones, and vectors that know fields and company."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from bench.data.cache import ArtifactCache
from bench.data.dataset import ItemTable, TrainingData
from bench.data.interactions import Interactions
from bench.errors import BenchError
from models.semantic_ids import famae as module
from models.semantic_ids.famae import FAMAE, FamaeConfig, drawn_masks, famae, item_fields, windows
from models.semantic_ids.item_features import FeatureConfig, item_features
from models.semantic_ids.tokenizer import TokenizerConfig, tokenize

N_ITEMS, GROUPS = 24, 4
SMALL: dict[str, Any] = {"dim": 16, "heads": 2, "layers": 1, "feed_forward": 16, "window": 6, "epochs": 2}


def training_data(seed: int = 0, baskets: bool = False) -> TrainingData:
    """Users stay in one group of items; an item's shelf is its group, its brand is not."""
    rng = np.random.default_rng(seed)
    group = rng.integers(0, GROUPS, 30)
    items = (group[:, None] + GROUPS * rng.integers(0, N_ITEMS // GROUPS, (30, 12))).astype(np.int32)
    columns = pd.DataFrame(
        {
            "title": [f"thing {item}" for item in range(N_ITEMS)],
            "shelf": [f"shelf {item % GROUPS}" for item in range(N_ITEMS)],
            "brand": [f"brand {item // 8}" for item in range(N_ITEMS)],
        }
    )
    times = np.tile(np.arange(12) // (3 if baskets else 1), 30).astype(np.int64)
    interactions = Interactions(items.ravel(), times, np.arange(31) * 12, N_ITEMS)
    return TrainingData(interactions, ItemTable(columns, ("title", "shelf", "brand"), None), False, "", baskets=baskets)


def test_fields_are_the_item_and_the_columns_whose_values_come_back() -> None:
    fields = item_fields(training_data(), None)
    assert fields.shape == (N_ITEMS, 3), "titles are all different, and say what the item says"
    assert fields[:, 0].tolist() == list(range(N_ITEMS))
    assert fields[:, 1].tolist() == [item % GROUPS for item in range(N_ITEMS)]
    assert fields[:, 2].tolist() == [item // 8 for item in range(N_ITEMS)]
    assert item_fields(training_data(), ("title",)).shape == (N_ITEMS, 2)
    with pytest.raises(BenchError, match="famae"):
        item_fields(training_data(), ("shelve",))
    with pytest.raises(BenchError, match="no category and no column whose values come back"):
        item_fields(training_data(), ())


def test_masks_hide_one_field_to_all_of_them_alike_often() -> None:
    masks = drawn_masks(6000, 3, torch.Generator().manual_seed(0))
    counts = torch.bincount(masks.sum(1), minlength=4)
    assert counts[0] == 0
    assert (counts[1:] / 6000 - 1 / 3).abs().max() < 0.03
    assert (masks.float().mean(0) - 2 / 3).abs().max() < 0.03


@pytest.mark.parametrize("baskets", [False, True])
def test_a_window_ends_before_its_target_or_its_basket(baskets: bool) -> None:
    target, begin, end = windows(training_data(baskets=baskets), 6)
    expected = []
    for event in range(360):
        first, place = event // 12 * 12, event % 12
        last = first + (place // 3 * 3 if baskets else place)
        if last > first:
            expected.append((event, max(first, last - 5), last))
    assert list(zip(target.tolist(), begin.tolist(), end.tolist(), strict=True)) == expected


def naive_loss(model: FAMAE, items: torch.Tensor, masked: torch.Tensor) -> float:
    """Section 3 of the paper, one window and field at a time: sqrt(d) * cosine, and only the last event is masked."""
    total = 0.0
    for window, hidden in zip(items.tolist(), masked.tolist(), strict=True):
        events = [item for item in window if item >= 0]
        rows = []
        for place, item in enumerate(events):
            vector = model.positions.weight[len(model.positions.weight) - len(events) + place].clone()
            for field, table in enumerate(model.tables):
                unseen = place == len(events) - 1 and hidden[field]
                vector = vector + (model.masks[field] if unseen else table.weight[model.fields[item, field]])
            rows.append(vector)
        state = model.encoder(torch.stack(rows).unsqueeze(0))[0, -1]
        for field, table in enumerate(model.tables):
            if hidden[field]:
                cosines = [float(state @ value / (state.norm() * value.norm())) for value in table.weight]
                scores = math.sqrt(len(state)) * np.array(cosines)
                total += float(np.log(np.exp(scores).sum()) - scores[model.fields[events[-1], field]])
    return total / len(items)


@torch.no_grad()
def test_the_loss_is_the_naive_one(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model = FAMAE(item_fields(training_data(), None), FamaeConfig.model_validate(SMALL)).eval()
    items = torch.tensor([[3, 7, 11, 2, 5, 9], [-1, -1, -1, 20, 21, 4], [-1, -1, -1, -1, 1, 1]])
    masked = torch.tensor([[True, False, True], [True, True, True], [False, True, False]])
    assert model.loss(items, masked).item() == pytest.approx(naive_loss(model, items, masked), abs=1e-4)
    # With all values among the sampled ones, each once, sampling makes no difference.
    monkeypatch.setattr(module, "LARGE", N_ITEMS)
    monkeypatch.setattr(torch, "randint", lambda high, shape: torch.arange(high))
    assert model.loss(items, masked).item() == pytest.approx(naive_loss(model, items, masked), abs=1e-4)


def test_vectors_know_fields_and_company_and_follow_their_seed() -> None:
    train = training_data()
    config = FamaeConfig.model_validate(SMALL | {"epochs": 30, "batch_size": 64, "learning_rate": 0.01})
    found = famae(train, config)
    assert found.shape == (N_ITEMS, 3 * 16)
    assert np.array_equal(found, famae(train, config))
    assert not np.array_equal(found, famae(train, config.model_copy(update={"seed": 1})))
    own = found[:, :16] / np.linalg.norm(found[:, :16], axis=1, keepdims=True)
    same = np.arange(N_ITEMS)[:, None] % GROUPS == np.arange(N_ITEMS) % GROUPS
    cosine = own @ own.T
    off = ~np.eye(N_ITEMS, dtype=bool)
    assert cosine[same & off].mean() > cosine[~same].mean() + 0.1, "items that are used together are near"


def test_they_are_a_source_of_features_for_every_tokenizer(tmp_path: Path) -> None:
    cache = ArtifactCache(tmp_path)
    features = {"famae": SMALL}
    found = item_features(training_data(), FeatureConfig.model_validate(features), cache)
    assert np.array_equal(found, famae(training_data(), FamaeConfig.model_validate(SMALL)))
    gaoq = {"method": "gaoq", "codebooks": (4, 3, 3), "disambiguate": False, "features": features}
    config = TokenizerConfig.model_validate(gaoq)
    assert len(np.unique(tokenize(training_data(), config, cache).codes, axis=0)) == N_ITEMS
    other = item_features(training_data(seed=1), config.features, cache)
    assert not np.array_equal(other, found), "other events are not given the vectors of these"
    assert "famae" not in FeatureConfig().model_dump()
