"""DiscRec's second way of token embeddings against sums written out from the source (Ten-Mao/DiscRec @7cc75ce)."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cycles_world import N_ITEMS, cycles
from torch import Tensor

from baselines.discrec import DiscRec, DiscRecConfig, DiscRecNetwork, TwoWays
from bench.data.cache import ArtifactCache
from bench.data.interactions import PAD, Histories
from bench.recommender import FitContext

SOURCE_EPSILON = 1e-8
"""`eps` of `collaborate_attn_norm` and `collaborate_ffn_norm`."""

SOURCE_HEADS = 2
"""`n_heads` of `collaborate_attention`."""

SIZE = {"dim": 16, "heads": 2, "head_dim": 8, "feed_forward": 32, "encoder_layers": 1, "decoder_layers": 1}
SMALL: dict[str, Any] = {
    "short_term": 4,
    "vocabulary": 1,
    "branch_feed_forward": 24,
    "network": SIZE | {"dropout": 0},
    "tokenizer": {"codebooks": (3, 3, 3), "disambiguate": True},
    "batch_targets": 16,
    "targets_per_epoch": 1.0,
}


def fitted(folder: Path, epochs: int) -> DiscRec:
    training = {
        "epochs": epochs,
        "warmup_steps": 0,
        "learning_rate": 0.005,
        "average": 0,
        "validate_every": epochs,
    }
    recommender = DiscRec(SMALL | {"beam": 20, "training": training})
    recommender.fit(cycles(), FitContext(0, "cpu", ArtifactCache(folder), validate=lambda _: 0.0))
    return recommender


def naive(ways: TwoWays, tokens: Tensor, first_place: int, causal: bool, padded: bool) -> Tensor:
    """`moe4co` for the tokens `[n, dim]` of one item, token by token and head by head."""

    def normalised(vector: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
        mean = vector.sum() / len(vector)
        deviation = math.sqrt(float(((vector - mean) ** 2).sum()) / len(vector))
        return gamma * (vector - mean) / (deviation + SOURCE_EPSILON) + beta

    dim = tokens.shape[1]
    width = dim // SOURCE_HEADS
    places = ways.place.weight[first_place : first_place + len(tokens)]
    norm = ways.attention_norm
    normal = [normalised(t + p, norm.gamma, norm.beta) for t, p in zip(tokens, places, strict=True)]
    queries, keys, values = (
        [layer.weight @ vector + layer.bias for vector in normal] for layer in (ways.query, ways.key, ways.value)
    )
    mixed = []
    for number, token in enumerate(tokens):
        read = torch.zeros(dim)
        for head in range(SOURCE_HEADS):
            part = slice(head * width, (head + 1) * width)
            seen = range(number + 1) if causal else range(len(tokens))
            scores = torch.stack([queries[number][part] @ keys[other][part] / width**0.5 for other in seen])
            weights = scores.exp() / scores.exp().sum()
            if not padded:
                read[part] = sum((w * values[o][part] for w, o in zip(weights, seen, strict=True)), torch.zeros(width))
        norm = ways.feed_forward_norm
        after = normalised(read + normal[number], norm.gamma, norm.beta)
        inner = (ways.inner.weight @ after + ways.inner.bias).clamp(min=0)
        second = ways.outer.weight @ inner + ways.outer.bias + after
        first_score, second_score = token @ ways.gate.weight[0], second @ ways.gate.weight[1]
        share = 1 / (1 + (second_score - first_score).exp())
        mixed.append(share * token + (1 - share) * second)
    return torch.stack(mixed)


def ways(causal: bool) -> TwoWays:
    torch.manual_seed(0)
    module = TwoWays(8, 5, DiscRecConfig.model_validate({"branch_feed_forward": 12}), causal).eval()
    for norm in (module.attention_norm, module.feed_forward_norm):
        torch.nn.init.normal_(norm.gamma)
        torch.nn.init.normal_(norm.beta)
    for layer in (module.query, module.key, module.value, module.inner, module.outer):
        torch.nn.init.normal_(layer.bias)
    return module


@pytest.mark.parametrize("causal", [False, True])
@torch.no_grad()
def test_both_ways_are_those_of_the_source(causal: bool) -> None:
    module, tokens = ways(causal), torch.randn(3, 4, 8)
    visible = torch.tensor([True, False, True])
    mixed = module(tokens, 0 if causal else 1, None if causal else visible[:, None].expand(3, 4))
    for number in range(3):
        padded = not causal and not bool(visible[number])
        expected = naive(module, tokens[number], 0 if causal else 1, causal, padded)
        torch.testing.assert_close(mixed[number], expected, rtol=1e-4, atol=1e-5)


def test_initial_weights_are_those_of_the_source() -> None:
    torch.manual_seed(0)
    module = TwoWays(256, 5, DiscRecConfig(), causal=False)
    for layer in (module.query, module.key, module.value, module.inner, module.outer):
        xavier = math.sqrt(2 / (layer.in_features + layer.out_features))
        assert layer.weight.std().item() == pytest.approx(xavier, rel=0.03)
        assert layer.weight.abs().max() > 2.5 * xavier, "normal, not uniform"
        assert not layer.bias.any()
    assert module.inner.out_features == 1024
    assert module.place.weight.std().item() == pytest.approx(1, rel=0.1)
    assert module.gate.weight.std().item() == pytest.approx(1, rel=0.1)
    assert module.attention_norm.gamma.tolist() == [1.0] * 256


def test_an_item_reads_nothing_of_another(tmp_path: Path) -> None:
    network = fitted(tmp_path, epochs=1).network.eval().requires_grad_(False)
    tokens = network.tokens[torch.tensor([[0, 1, 2, 3]])].flatten(1)
    other = network.tokens[torch.tensor([[0, 5, 2, 3]])].flatten(1)
    visible = torch.ones_like(tokens, dtype=torch.bool)
    same = (network.embedded_events(tokens, visible) == network.embedded_events(other, visible)).all(-1)[0]
    assert same.view(4, -1).all(-1).tolist() == [True, False, True, True]


def test_step_by_step_it_reads_what_training_reads(tmp_path: Path) -> None:
    network = fitted(tmp_path, epochs=1).network.eval().requires_grad_(False)
    assert isinstance(network, DiscRecNetwork)
    codes = network.codes[torch.arange(N_ITEMS)]
    whole = network.decoder_inputs(codes)
    for known in range(codes.shape[1] + 1):
        step = network.decoder_inputs(codes[:, None, :known], last=True)
        torch.testing.assert_close(step[:, 0, 0], whole[:, known])


def test_a_cycle_is_learnt(tmp_path: Path) -> None:
    recommender = fitted(tmp_path, epochs=25)
    for recent, following in (([0, 1, 2], 3), ([7, 8], 0), ([3, 4, 5, 6, 7, 8], 0)):
        items = np.array(recent, dtype=np.int32)
        histories = Histories(items, np.arange(len(recent)), np.array([0, len(recent)]), N_ITEMS, exclude_seen=False)
        assert recommender.recommend(histories, k=3).items[0, 0] == following


def test_padding_changes_nothing(tmp_path: Path) -> None:
    network = fitted(tmp_path, epochs=1).network.eval().requires_grad_(False)
    tokens = network.tokens[torch.tensor([[PAD, PAD, 4, 5]])].flatten(1)
    visible = tokens != 0
    alone = network.tokens[torch.tensor([[4, 5]])].flatten(1)
    embedded = network.embedded_events(tokens, visible)
    n = alone.shape[1]
    torch.testing.assert_close(
        embedded[:, -n:], network.embedded_events(alone, torch.ones_like(alone, dtype=torch.bool))
    )


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(ValueError, match="should be a multiple of branch_heads 5"):
        DiscRecConfig.model_validate({"branch_heads": 5})
