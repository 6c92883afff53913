"""SETRec against sums written out from its source (Linxyhaha/SETRec @50109bd) and its paper."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cycles_world import N_ITEMS, cycles
from torch import Tensor

from baselines.setrec import SETRec, SETRecConfig, SETRecNetwork
from bench.data.cache import ArtifactCache
from bench.data.interactions import PAD, Histories
from bench.recommender import FitContext, Recommender

SOURCE_QUERY_STD = 0.02
"""`T54Rec.__init__`."""

SOURCE_LAYERS = [512, 256, 128]
"""`AE_layers` in `scripts/train_t5.sh`."""

SMALL: dict[str, Any] = {
    "short_term": 4,
    "semantic_tokens": 2,
    "hidden": [12, 8],
    "network": {
        "dim": 16,
        "heads": 2,
        "head_dim": 8,
        "feed_forward": 32,
        "encoder_layers": 1,
        "decoder_layers": 1,
        "dropout": 0,
    },
    "vectors": {"config": {"dim": 8, "length": 8, "training": {"epochs": 2}}},
    "features": {"text_dims": 4, "collaborative_dims": 4},
    "batch_targets": 16,
    "targets_per_epoch": 1.0,
}


def network() -> SETRecNetwork:
    torch.manual_seed(0)
    config = SETRecConfig.model_validate(SMALL)
    made = SETRecNetwork(torch.randn(N_ITEMS, 8), torch.randn(N_ITEMS, 6), config).eval()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return made


def walked(layers: torch.nn.Sequential, vector: Tensor) -> Tensor:
    """`MLPLayers.forward`: a ReLU after every linear layer but the last."""
    linear = [layer for layer in layers if isinstance(layer, torch.nn.Linear)]
    for number, layer in enumerate(linear):
        vector = layer.weight @ vector + layer.bias
        vector = vector.clamp(min=0) if number < len(linear) - 1 else vector
    return vector


@torch.no_grad()
def test_tokens_scores_and_loss_are_those_of_the_source() -> None:
    made = network()
    items, targets = torch.tensor([[0, 1, 2, 3], [4, 5, PAD, PAD]]), torch.tensor([4, 6])
    tokens, restored = made.item_tokens()
    for item in range(N_ITEMS):
        semantic = walked(made.to_tokens, made.features[item])
        own = made.project.weight @ made.vectors[item] + made.project.bias
        torch.testing.assert_close(tokens[item], torch.stack([own, semantic[:16], semantic[16:]]))
        torch.testing.assert_close(restored[item], walked(made.to_features, semantic))
    wanted = made.wanted(items, tokens)
    losses = []
    for query in range(3):
        for row, target in enumerate(targets.tolist()):
            scores = torch.stack([wanted[row, query] @ tokens[item, query] for item in range(N_ITEMS)])
            torch.testing.assert_close(made.scores(items, tokens)[query, row], scores)
            losses.append(scores.exp().sum().log() - scores[target])
    errors = [(restored[item] - made.features[item]) ** 2 for item in (0, 1, 2, 3, 4, 5)]
    expected = torch.stack(losses).mean() + 0.7 * torch.cat(errors).mean()
    torch.testing.assert_close(made.loss(items, targets), expected)


@torch.no_grad()
def test_the_order_of_the_vectors_of_an_item_does_not_matter() -> None:
    made = network()
    tokens, _ = made.item_tokens()
    items = torch.tensor([[0, 1, 2, 3]])
    swapped = tokens[:, [2, 0, 1]]
    torch.testing.assert_close(made.wanted(items, swapped), made.wanted(items, tokens))
    later = made.wanted(torch.tensor([[1, 0, 2, 3]]), tokens)
    assert not torch.allclose(later, made.wanted(items, tokens)), "that of the items does"


@torch.no_grad()
def test_queries_do_not_see_one_another() -> None:
    made = network()
    tokens, _ = made.item_tokens()
    items = torch.tensor([[0, 1, 2, PAD]])
    before = made.wanted(items, tokens)
    made.queries[1] += 1
    after = made.wanted(items, tokens)
    torch.testing.assert_close(after[:, [0, 2]], before[:, [0, 2]])
    assert not torch.allclose(after[:, 1], before[:, 1])


@torch.no_grad()
def test_padding_changes_nothing() -> None:
    made = network()
    tokens, _ = made.item_tokens()
    padded = made.wanted(torch.tensor([[3, 4, PAD, PAD]]), tokens)
    torch.testing.assert_close(padded, made.wanted(torch.tensor([[3, 4]]), tokens))


def test_initial_weights_are_those_of_the_source() -> None:
    torch.manual_seed(0)
    made = SETRecNetwork(torch.randn(5, 64), torch.randn(5, 300), SETRecConfig())
    linear = [layer for layer in made.to_tokens if isinstance(layer, torch.nn.Linear)]
    assert [layer.in_features for layer in linear] == [300, *SOURCE_LAYERS]
    for layer in linear:
        xavier = math.sqrt(2 / (layer.in_features + layer.out_features))
        assert layer.weight.std().item() == pytest.approx(xavier, rel=0.05)
        assert not layer.bias.any()
    assert made.queries.shape == (5, 96)
    assert made.queries.std().item() == pytest.approx(SOURCE_QUERY_STD, rel=0.15)


def fitted(folder: Path, epochs: int, context: FitContext | None = None, **config: Any) -> SETRec:
    training = {"epochs": epochs, "warmup_steps": 0, "learning_rate": 0.01, "average": 0, "validate_every": epochs}
    recommender = SETRec(SMALL | {"training": training} | config)
    recommender.fit(cycles(), context or FitContext(0, "cpu", ArtifactCache(folder), validate=lambda _: 0.0))
    return recommender


def test_a_cycle_is_learnt(tmp_path: Path) -> None:
    recommender = fitted(tmp_path, epochs=40)
    for recent, following in (([0, 1, 2], 3), ([7, 8], 0), ([3, 4, 5, 6, 7, 8], 0)):
        items = np.array(recent, dtype=np.int32)
        histories = Histories(items, np.arange(len(recent)), np.array([0, len(recent)]), N_ITEMS, exclude_seen=False)
        lists = recommender.recommend(histories, k=N_ITEMS)
        assert lists.items[0, 0] == following
        assert sorted(lists.items[0].tolist()) == list(range(N_ITEMS)), "every item of the catalogue, once"


def test_the_weight_is_the_one_of_the_best_validation(tmp_path: Path) -> None:
    def judge(recommender: Recommender) -> float:
        assert isinstance(recommender, SETRec)
        return 1 - abs(recommender.semantic_weight - 0.7)

    context = FitContext(0, "cpu", ArtifactCache(tmp_path), validate=judge)
    recommender = fitted(tmp_path, 1, context, semantic_weights=[0.2, 0.6, 0.9])
    assert recommender.semantic_weight == 0.6
    assert context.diagnostics["semantic_weight"]["chosen"] == 0.6
    assert max(point.validation for point in context.curve) == 0.9  # with the chosen weight, not the first one's 0.8
    assert context.diagnostics["semantic_weight"]["validation_before"] == 0.8
    assert [tried["weight"] for tried in context.diagnostics["semantic_weight"]["tried"]] == [0.2, 0.6, 0.9]
    made = recommender.network
    assert made is not None
    with torch.no_grad():
        tokens, _ = made.item_tokens()
        scores = made.scores(torch.tensor([[3, 4, PAD, PAD]]), tokens)
    expected = 0.4 * scores[0] + 0.6 * scores[1] + 0.6 * scores[2]
    histories = Histories(np.array([3, 4], dtype=np.int32), np.arange(2), np.array([0, 2]), N_ITEMS, exclude_seen=False)
    np.testing.assert_allclose(recommender.catalogue_scores(histories), expected, rtol=1e-5, atol=1e-6)
