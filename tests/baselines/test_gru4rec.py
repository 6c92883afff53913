"""GRU4Rec trained at all positions is RecBole's network and learns what can be learnt."""

import importlib.util
import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from baselines.gru4rec import GRU4Rec, GRU4RecConfig, GRU4RecNetwork
from bench.data.cache import ArtifactCache
from bench.data.dataset import ItemTable, TrainingData
from bench.data.interactions import PAD, Histories, Interactions
from bench.recommender import FitContext

pytestmark = [
    pytest.mark.recbole,
    pytest.mark.skipif(importlib.util.find_spec("recbole") is None, reason="RecBole is not installed"),
]

N_ITEMS, LENGTH = 9, 7


def network() -> GRU4RecNetwork:
    torch.manual_seed(0)
    return GRU4RecNetwork(N_ITEMS, GRU4RecConfig(embedding_size=8, hidden_size=16)).eval()


def padded_histories() -> tuple[torch.Tensor, torch.Tensor]:
    lengths = torch.tensor([1, 3, LENGTH])
    items = torch.randint(0, N_ITEMS, (3, LENGTH), generator=torch.Generator().manual_seed(1))
    return items.masked_fill(torch.arange(LENGTH) >= lengths[:, None], PAD), lengths


@torch.no_grad()
def test_the_network_is_recboles() -> None:
    ours = network()
    items, lengths = padded_histories()
    hidden = ours(items, torch.zeros_like(items))
    scores = ours.scores(hidden[torch.arange(3), lengths - 1])
    expected = ours.recbole.full_sort_predict({"item_id_list": items + 1, "item_length": lengths})[:, 1:]
    torch.testing.assert_close(scores, expected, rtol=0, atol=1e-6)


def test_the_size_is_the_documented_one() -> None:
    network = GRU4RecNetwork(1682, GRU4RecConfig())
    assert sum(p.numel() for p in network.parameters()) == 189_696, "RecBole's documentation prints this for ML-100K"


@torch.no_grad()
def test_no_position_sees_a_later_event() -> None:
    ours = network()
    items, _ = padded_histories()
    changed = items.clone()
    changed[:, 4:] = (changed[:, 4:] + 1) % N_ITEMS
    before, after = (ours(x, torch.zeros_like(x)) for x in (items, changed))
    assert torch.equal(before[:, :4], after[:, :4])
    assert not torch.equal(before[:, 4:], after[:, 4:])


def test_it_learns_a_cycle(tmp_path: Path) -> None:
    events = np.concatenate([(start + np.arange(12)) % N_ITEMS for start in range(N_ITEMS)]).astype(np.int32)
    offsets = np.arange(N_ITEMS + 1, dtype=np.int64) * 12
    interactions = Interactions(events, np.arange(len(events), dtype=np.int64), offsets, N_ITEMS)
    train = TrainingData(interactions, ItemTable(pd.DataFrame(index=range(N_ITEMS)), (), None), False, "")
    training = {"epochs": 30, "learning_rate": 0.02, "batch_events": 64, "warmup_steps": 0, "validate_every": 10}
    model = GRU4Rec({"embedding_size": 8, "hidden_size": 16, "dropout_prob": 0.0, "length": 10, "training": training})
    rising = itertools.count()
    context = FitContext(0, "cpu", ArtifactCache(tmp_path), validate=lambda _: float(next(rising)))
    model.fit(train, context)
    items = np.array([0, 1, 2, 7, 8], dtype=np.int32)
    histories = Histories(items, np.arange(5, dtype=np.int64), np.array([0, 3, 5, 5]), N_ITEMS, exclude_seen=False)
    answer = model.recommend(histories, k=3)
    assert answer.items[:2, 0].tolist() == [3, 0]
    assert (answer.items[2] >= 0).all(), "an empty history gets a list too"
    assert model.parameter_count() == sum(p.numel() for p in model.network.parameters())
