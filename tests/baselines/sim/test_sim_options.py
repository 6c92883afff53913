"""Options of SIM: embeddings of their own for the attention (DARE), and search by the first codes (R2LED)."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from naive_sim import CATEGORY, LIMIT, N_ITEMS, SHORT_TERM, SMALL, network

from baselines.sim.events import Moments
from baselines.sim.model import SIM, SIMSoft
from bench.data.cache import ArtifactCache
from bench.data.dataset import ItemTable, TrainingData
from bench.data.interactions import PAD, Histories, Interactions
from bench.recommender import FitContext


@torch.no_grad()
def test_decoupled_embeddings_decide_what_is_attended_to_and_not_what_is_read() -> None:
    ours, plain = network("soft", decoupled=True), network("soft")
    extra = sum(p.numel() for p in ours.parameters()) - sum(p.numel() for p in plain.parameters())
    assert extra == 8 * (N_ITEMS + max(CATEGORY) + 1), "one more table of items and one of categories"
    before = ours.tables()
    ours.compared[0].weight.add_(1)  # type: ignore[index]
    assert torch.equal(ours.tables().read, before.read)
    assert not torch.equal(ours.tables().compared, before.compared)


def prefixed(tmp_path: Path, levels: int, method: str = "random", **config: Any) -> SIM:
    rng = np.random.default_rng(1)
    items = rng.integers(0, N_ITEMS, 240).astype(np.int32)
    interactions = Interactions(items, np.arange(240), np.arange(0, 241, 20), N_ITEMS)
    table = ItemTable(pd.DataFrame(index=range(N_ITEMS)), (), np.array(CATEGORY, dtype=np.int32))
    prefix = {"levels": levels, "tokenizer": {"method": method, "codebooks": (3, 2), "seed": 5}}
    model = SIM(SMALL | {"prefix": prefix, "negatives": 4, "training": {"epochs": 1, "warmup_steps": 0}} | config)
    context = FitContext(0, "cpu", ArtifactCache(tmp_path), lambda _: 0.0)
    model.fit(TrainingData(interactions, table, False, ""), context)
    assert context.diagnostics["sid"]["tokenizer"] == method
    return model


@pytest.mark.parametrize("levels", [1, 2])
def test_the_hard_search_may_go_by_the_first_codes(levels: int, tmp_path: Path) -> None:
    model = prefixed(tmp_path, levels)
    codes = np.random.default_rng(5).integers(0, (3, 2), (N_ITEMS, 2))[:, :levels]
    network = model.network
    assert network is not None
    equal = (codes[:, None] == codes).all(-1)
    assert np.array_equal(network.searched.numpy()[:, None] == network.searched.numpy(), equal)
    assert network.category.tolist() == [category + 1 for category in CATEGORY], "what an item is told by stays"
    items = np.array([2, 7, 1, 5, 7, 0, 9, 3, 3, 3], dtype=np.int32)
    events = model._events(Histories(items, np.arange(10), np.array([0, 10]), N_ITEMS, exclude_seen=False))
    moments = Moments(events, torch.tensor([0]), torch.tensor([10]))
    for candidate in range(N_ITEMS):
        own = network.searched[torch.tensor([[candidate]])]
        found = moments.of_categories(own, LIMIT, SHORT_TERM)[0, 0].tolist()
        expected = [place for place in range(6, -1, -1) if equal[items[place], candidate]][:LIMIT]
        assert [place for place in found if place != PAD] == expected


def test_prefixes_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="3 levels are more than"):
        SIM({"prefix": {"levels": 3, "tokenizer": {"codebooks": (3, 2)}}})
    with pytest.raises(ValueError, match="prefix says what the hard search goes by, and search is soft"):
        SIMSoft({"prefix": {}})
    assert {"decoupled", "prefix"}.isdisjoint(SIM().config.model_dump())
