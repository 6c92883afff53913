"""A catalogue of ten items for the tests of H2Rec, and its two branches written out in loops."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from naive_network import randomise
from torch import Tensor

from baselines.h2rec.network import H2RecConfig, H2RecNetwork
from baselines.sasrec import SASRecConfig, SASRecNetwork
from bench.data.cache import ArtifactCache
from bench.data.dataset import ItemTable, TrainingData
from bench.data.interactions import PAD, Interactions
from bench.recommender import FitContext
from models.semantic_ids.semantic_ids import SemanticIds
from models.training.windows import WindowBatch

N_ITEMS, LENGTH, DIM, LEVELS = 10, 6, 8, 3
SMALL: dict[str, Any] = {"length": LENGTH, "dim": DIM, "heads": 2, "blocks": 2, "dropout": 0.0}
ROWS = [[3, 1, 4, 1, 5, 9], [2, 6], [7], [2, 8, 3]]
USERS = [0, 1, 2, 1]
BRANCHES = {"both": {}, "sid only": {"hash_branch": False}, "hash only": {"sid_branch": False}}
each_branch = pytest.mark.parametrize("config", BRANCHES.values(), ids=BRANCHES)


def semantic_ids() -> SemanticIds:
    codes = np.random.default_rng(3).integers(0, (3, 2, 2), (N_ITEMS, LEVELS))
    codes[8], codes[9] = codes[2], codes[1]
    return SemanticIds(codes, (3, 2, 2), LEVELS)


def network_of(**config: Any) -> H2RecNetwork:
    torch.manual_seed(0)
    checked = H2RecConfig.model_validate(SMALL | config)
    network = H2RecNetwork(N_ITEMS, semantic_ids() if checked.sid_branch else None, checked)
    randomise(network)
    return network.eval()


def padded(rows: list[list[int]]) -> Tensor:
    return torch.tensor([row + [PAD] * (LENGTH - len(row)) for row in rows])


def hidden_of(network: H2RecNetwork, rows: list[list[int]]) -> Tensor:
    return network(padded(rows), torch.zeros(len(rows), LENGTH, dtype=torch.long))


def batch_of(rows: list[list[int]], users: list[int]) -> WindowBatch:
    items = padded(rows)
    targets = torch.where(items == PAD, PAD, (items + 3) % N_ITEMS)
    kept = (torch.arange(LENGTH) + 1).expand_as(items)
    return WindowBatch(
        torch.tensor(users), torch.zeros(len(rows), dtype=torch.long), items, torch.zeros_like(items), targets, kept
    )


def naive_weights(network: H2RecNetwork, item: int) -> np.ndarray:
    logits = np.linspace(1.0, 0.2, LEVELS)  # `_init_cross_attention` in the official models/DualTrisRec.py
    if network.items is None:
        logits = logits + array_of(network.semantic.shared)
    else:
        inner, _, outer = network.semantic.gate
        seen = np.maximum(array_of(inner.weight) @ array_of(network.items.weight)[item] + array_of(inner.bias), 0)
        logits = logits + array_of(outer.weight) @ seen + array_of(outer.bias)
    return np.exp(logits) / np.exp(logits).sum()


def naive_fused(network: H2RecNetwork, item: int, masked: set[int] = frozenset()) -> np.ndarray:
    total, weights = np.zeros(DIM), naive_weights(network, item)
    for level, code in enumerate(semantic_ids().codes[item]):
        read = (
            array_of(network.mask)[level]
            if level in masked
            else array_of(network.semantic.embedding.tables[level])[code]
        )
        total += weights[level] * read
    return total


def backbone(network: H2RecNetwork, vectors: list[np.ndarray]) -> np.ndarray:
    """What SASRec, whose items are the events themselves, makes of `vectors`: `[length, dim]`."""
    sasrec = SASRecNetwork(len(vectors), SASRecConfig.model_validate(SMALL)).eval()
    own = {name: value for name, value in network.state_dict().items() if name in sasrec.state_dict()}
    sasrec.load_state_dict(own | {"items.weight": torch.tensor(np.array(vectors), dtype=torch.float32)})
    events = torch.arange(len(vectors)).unsqueeze(0)
    return array_of(sasrec(events, events)[0])


TOKENIZER: dict[str, Any] = {"method": "random", "codebooks": (3, 2, 2), "seed": 2025}


def cycles() -> TrainingData:
    events = np.concatenate([(start + np.arange(12)) % N_ITEMS for start in range(N_ITEMS)]).astype(np.int32)
    offsets = np.arange(N_ITEMS + 1, dtype=np.int64) * 12
    interactions = Interactions(events, np.arange(len(events), dtype=np.int64), offsets, N_ITEMS)
    return TrainingData(interactions, ItemTable(pd.DataFrame(index=range(N_ITEMS)), (), None), False, "cycles")


def context(tmp_path: Path) -> FitContext:
    rising = iter(range(1000))
    return FitContext(5, "cpu", ArtifactCache(tmp_path), validate=lambda _: float(next(rising)))


def array_of(tensor: Tensor) -> np.ndarray:
    return tensor.detach().double().numpy()
