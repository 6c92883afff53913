"""Worlds of twelve items and two training windows on which DualGR is computed target by target."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from naive_network import ragged, randomise, trie_of
from torch import Tensor

from baselines.dualgr import DualGRConfig, DualGRNetwork
from bench.data.interactions import PAD
from models.history.long_term import LongTerm
from models.semantic_ids.semantic_ids import SemanticIds, with_disambiguation

N_ITEMS, SHORT_TERM, CODEBOOK = 12, 5, 4
SMALL: dict[str, Any] = {
    "short_term": SHORT_TERM,
    "network": {"dim": 8, "heads": 2, "feed_forward": 12, "encoder_layers": 2, "decoder_layers": 2, "dropout": 0.0},
}
CONFIGS: dict[str, dict[str, Any]] = {
    "hard": {"router": "hard", "bucket_limit": 20},
    "soft": {"router": "soft", "bucket_limit": 20},
    "soft, short buckets": {"router": "soft", "bucket_limit": 2},
}
WORLDS = {
    "a first code without items": lambda first: np.where(first == CODEBOOK - 1, 0, first),
    "one first code for all items": lambda first: np.zeros_like(first),
}
# Two windows of training: their items, their targets, and the long-term history before each.
RECENT = [[3, 7, 3, 1, 9], [8, 2, 11]]
TARGETS = [[7, 3, 1, 9, 4], [2, 11, 0]]
LONG_TERM = [[0, 5, 6, 10, 4, 4, 2, 1], []]
POSITIONS = [(row, column) for row in range(2) for column in range(len(RECENT[row]))]


def semantic_ids(world: str = "a first code without items") -> SemanticIds:
    codes = np.random.default_rng(3).integers(0, (CODEBOOK, 3), (N_ITEMS, 2))
    codes[:, 0] = WORLDS[world](codes[:, 0])
    return with_disambiguation(codes, (CODEBOOK, 3))


def network_of(ids: SemanticIds | None = None, **config: Any) -> DualGRNetwork:
    torch.manual_seed(0)
    network = DualGRNetwork(trie_of(ids or semantic_ids()), DualGRConfig.model_validate(SMALL | config))
    randomise(network)
    return network.eval()


def padded(rows: list[list[int]], width: int = SHORT_TERM) -> Tensor:
    return torch.tensor([row + [PAD] * (width - len(row)) for row in rows])


def training_long_term() -> LongTerm:
    """The long-term histories as training has them: the starts of rows that go on with the window itself."""
    rows = [[9, 9]] + [
        LONG_TERM[row] + RECENT[row] + TARGETS[row][-1:] + later for row, later in ((0, [5, 0]), (1, []))
    ]
    return LongTerm(ragged(rows), torch.tensor([1, 2]), torch.tensor([len(row) for row in LONG_TERM]))


def one_target(position: tuple[int, int], item: int | None = None) -> Tensor:
    """The targets with all but one left out; `item` stands in its place."""
    row, column = position
    targets = torch.full((2, SHORT_TERM), PAD)
    targets[row, column] = TARGETS[row][column] if item is None else item
    return targets
