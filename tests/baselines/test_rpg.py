"""RPG against the official code's formulas, and its promise: k items that exist for every user."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import Tensor

from baselines.rpg import RPG, RPGConfig, RPGNetwork
from bench.data.cache import ArtifactCache
from bench.data.dataset import ItemTable, TrainingData
from bench.data.interactions import PAD, Histories, Interactions
from bench.recommender import FitContext
from models.semantic_ids.semantic_ids import SemanticIds

N_ITEMS, LENGTH, DIM, HEADS = 10, 6, 8, 2
EPSILON = 1e-12
"""`layer_norm_epsilon: 1e-12` in genrec/models/RPG/config.yaml."""
SIZES = (4, 3, 4)
CODES = np.random.default_rng(0).integers(0, SIZES, (N_ITEMS, 3))
CODES[7] = CODES[2]
ROWS = [[3, 1, 4, 1, 5, 9], [2, 6], [7]]


def network() -> RPGNetwork:
    torch.manual_seed(0)
    config = RPGConfig(length=LENGTH, dim=DIM, heads=HEADS, feed_forward=12, dropout=0.3, temperature=0.03)
    network = RPGNetwork(SemanticIds(CODES, SIZES, 3), config).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape))
    return network


def padded(rows: list[list[int]]) -> Tensor:
    return torch.tensor([row + [PAD] * (LENGTH - len(row)) for row in rows])


def naive_hidden(network: RPGNetwork, row: list[int]) -> np.ndarray:
    """GPT-2 (`activation_function: gelu_new`, scores over the root of a head's width, a norm at the end)."""
    tables, positions = [_array(table) for table in network.tables], _array(network.positions.weight)
    means = [np.mean([table[code] for table, code in zip(tables, CODES[item], strict=True)], axis=0) for item in row]
    hidden = np.array(means) + positions[: len(row)]
    for block in network.blocks:
        qkv = _linear(block.qkv, _norm(block.attention_norm, hidden))
        read = np.zeros_like(hidden)
        for head in range(HEADS):
            part = slice(head * DIM // HEADS, (head + 1) * DIM // HEADS)
            query, key, value = (qkv[:, start : start + DIM][:, part] for start in (0, DIM, 2 * DIM))
            for i in range(len(row)):
                weights = np.exp(query[i] @ key[: i + 1].T / math.sqrt(DIM // HEADS))
                read[i, part] = weights @ value[: i + 1] / weights.sum()
        hidden = hidden + _linear(block.attention_out, read)
        inner = _linear(block.inner, _norm(block.feed_forward_norm, hidden))
        inner = 0.5 * inner * (1 + np.tanh(math.sqrt(2 / math.pi) * (inner + 0.044715 * inner**3)))
        hidden = hidden + _linear(block.feed_forward_out, inner)
    return _norm(network.norm, hidden)


def naive_log_probabilities(network: RPGNetwork, state: np.ndarray) -> list[np.ndarray]:
    """model.py: `x + SiLU(W x + b)`, both sides normalised, over `temperature: 0.03` (README), softmax per digit."""
    found = []
    for head, table in zip(network.heads, network.tables, strict=True):
        mapped = _linear(head.linear, state)
        own = state + mapped / (1 + np.exp(-mapped))
        codes = _array(table)
        logits = codes @ own / np.linalg.norm(codes, axis=1) / np.linalg.norm(own) / 0.03
        found.append(logits - np.log(np.exp(logits - logits.max()).sum()) - logits.max())
    return found


@torch.no_grad()
def test_hidden_states_are_those_of_gpt2_over_means_of_digits() -> None:
    ours = network()
    hidden = ours(padded(ROWS), torch.zeros(3, LENGTH, dtype=torch.long))
    for row, states in zip(ROWS, hidden, strict=True):
        np.testing.assert_allclose(states[: len(row)].numpy(), naive_hidden(ours, row), atol=1e-4)


@torch.no_grad()
def test_an_items_score_is_the_mean_log_probability_of_its_digits() -> None:
    ours, states = network(), torch.randn(2, DIM)
    for state, scores in zip(states, ours.scores(states), strict=True):
        digits = naive_log_probabilities(ours, _array(state))
        expected = [np.mean([digits[d][code] for d, code in enumerate(CODES[item])]) for item in range(N_ITEMS)]
        np.testing.assert_allclose(scores.numpy(), expected, rtol=1e-4, atol=1e-4)
    left, right = ours.compared(states)
    torch.testing.assert_close(left @ right.T, ours.scores(states))


@torch.no_grad()
def test_the_loss_is_the_mean_over_targets_and_digits() -> None:
    ours, states, targets = network(), torch.randn(3, DIM), torch.tensor([4, 0, 7])
    expected = []
    for state, target in zip(states, targets.tolist(), strict=True):
        digits = naive_log_probabilities(ours, _array(state))
        expected += [-digits[d][code] for d, code in enumerate(CODES[target])]
    assert ours.loss(states, targets).item() == pytest.approx(np.mean(expected), rel=1e-4)
    with_nothing = torch.cat([states, torch.randn(2, DIM)]), F.pad(targets, (0, 2), value=PAD)
    assert ours.loss(*with_nothing).item() == pytest.approx(np.mean(expected), rel=1e-4)


ALL_TOGETHER = [slice(0, len(SIZES))]
"""As a GPU computes the digits, where a processor takes one after the other."""


@torch.no_grad()
def test_digits_are_computed_together_as_they_are_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, states, targets = network(), torch.randn(3, DIM), torch.tensor([4, PAD, 7])
    loss, scores, compared = ours.loss(states, targets), ours.scores(states), ours.compared(states)
    monkeypatch.setattr(ours, "together", lambda: ALL_TOGETHER)
    torch.testing.assert_close(ours.loss(states, targets), loss)
    torch.testing.assert_close(ours.scores(states), scores)
    torch.testing.assert_close(ours.compared(states), compared)


def test_gradients_are_those_of_one_digit_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """The digits have different numbers of codes; what fills up the smaller ones gets no gradient and gives none."""
    ours, states, targets = network().double(), torch.randn(3, DIM).double(), torch.tensor([4, 0, 7])
    monkeypatch.setattr(ours, "together", lambda: ALL_TOGETHER)
    ours.loss(states, targets).backward()
    found = {name: weight.grad for name, weight in ours.named_parameters() if weight.grad is not None}
    assert {name.partition(".")[0] for name in found} == {"tables", "heads"}
    ours.zero_grad()
    losses = []
    for digit, (head, table) in enumerate(zip(ours.heads, ours.tables, strict=True)):
        own = states + F.silu(states @ head.linear.weight.T + head.linear.bias)
        cosines = (own / own.norm(dim=1, keepdim=True)) @ (table / table.norm(dim=1, keepdim=True)).T
        logits = cosines / 0.03  # `temperature` in the README's commands
        losses.append(torch.logsumexp(logits, 1) - logits[range(3), CODES[targets, digit]])
    torch.stack(losses).mean().backward()
    for name, weight in ours.named_parameters():
        if name in found:
            torch.testing.assert_close(found[name], weight.grad)


def test_weights_begin_as_in_the_official_code() -> None:
    """`initializer_range: 0.02`, GPT-2's maps into the stream over sqrt(2 layers), heads with W = 0."""
    torch.manual_seed(0)
    drawn = RPGNetwork(SemanticIds(CODES, (4, 300, 4), 3), RPGConfig(dim=64, feed_forward=256))
    block = drawn.blocks[0]
    for weight in (drawn.tables[1], drawn.positions.weight, block.qkv.weight, block.inner.weight):
        assert weight.std().item() == pytest.approx(0.02, rel=0.05)
    for weight in (block.attention_out.weight, block.feed_forward_out.weight):
        assert weight.std().item() == pytest.approx(0.02 / 2, rel=0.05)  # two layers
    assert not any(head.linear.weight.any() for head in drawn.heads)
    assert drawn.norm.eps == block.attention_norm.eps == EPSILON


def world(n_items: int = 12) -> TrainingData:
    """Users who walk a circle of items, of which some pairs have equal texts, hence equal digits."""
    items = np.concatenate([(start + np.arange(14)) % n_items for start in range(n_items)]).astype(np.int32)
    offsets = np.arange(n_items + 1, dtype=np.int64) * 14
    titles = pd.DataFrame({"title": [f"name{max(item, 3)} kind{max(item, 3) % 3}" for item in range(n_items)]})
    interactions = Interactions(items, np.arange(len(items), dtype=np.int64), offsets, n_items)
    return TrainingData(interactions, ItemTable(titles, ("title",), None), False, "")


def fitted(folder: Path, epochs: int = 2) -> RPG:
    tokenizer = {"codebooks": (6, 6, 6), "features": {"collaborative_dims": 0}}
    training = {"epochs": epochs, "batch_events": 64, "validate_every": epochs, "learning_rate": 0.01, "average": 0}
    model = RPG({"length": 6, "dim": 16, "dropout": 0.0, "tokenizer": tokenizer, "training": training})
    model.fit(world(), FitContext(5, "cpu", ArtifactCache(folder), validate=lambda _: 0.0))
    return model


def histories_of(rows: list[list[int]], exclude_seen: bool) -> Histories:
    items = np.array([item for row in rows for item in row], dtype=np.int32)
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    return Histories(items, np.zeros(len(items), dtype=np.int64), offsets, 12, exclude_seen)


@pytest.mark.parametrize("exclude_seen", [True, False])
def test_lists_hold_k_items_that_exist_and_the_semantic_ids_of_the_best_first(
    tmp_path: Path, exclude_seen: bool
) -> None:
    model = fitted(tmp_path)
    rows = [[], [0, 1, 2, 3], [4, 5], [11] * 9]
    asked = histories_of(rows, exclude_seen)
    answer = model.recommend(asked, k=8)
    assert len(np.unique(model.sid_of_item)) == 9, "items 0 to 3 share one semantic ID"
    for items, sids, row in zip(answer.items, answer.sids, rows, strict=True):
        assert len(set(items.tolist())) == 8
        assert all(0 <= item < 12 for item in items)
        assert not exclude_seen or not set(items.tolist()) & set(row)
        met = list(dict.fromkeys(model.sid_of_item[items].tolist()))
        assert sids[: len(met)].tolist() == met
        reachable = len({int(model.sid_of_item[i]) for i in range(12) if not (exclude_seen and i in row)})
        assert (sids >= 0).sum() == min(8, reachable) == len(set(sids[sids >= 0].tolist()))
    together = answer.scores
    for query in range(len(rows)):
        alone = model.recommend(asked.batch(query, query + 1), k=8)
        assert alone.items[0].tolist() == answer.items[query].tolist()
        np.testing.assert_allclose(alone.scores[0], together[query], rtol=1e-4)


def test_it_learns_a_circle(tmp_path: Path) -> None:
    answer = fitted(tmp_path, epochs=30).recommend(histories_of([[4, 5, 6], [8, 9, 10], [6]], False), k=1)
    assert answer.items[:, 0].tolist() == [7, 11, 7]


def test_no_other_loss_is_taken_without_a_word() -> None:
    with pytest.raises(ValidationError, match="loss bce: only ce, the mean cross-entropy of the digits, is there"):
        RPG({"loss": "bce"})


def test_of_items_that_tie_the_more_popular_comes_first(tmp_path: Path) -> None:
    model = fitted(tmp_path)
    model._by_popularity = np.array([3, 1, 0, 2, *range(4, 12)], dtype=np.int32)
    items = model.recommend(histories_of([[4, 5]], False), k=12).items[0].tolist()
    assert [item for item in items if item < 4] == [3, 1, 0, 2]


def _norm(norm: torch.nn.LayerNorm, states: np.ndarray) -> np.ndarray:
    centred = states - states.mean(-1, keepdims=True)
    return centred / np.sqrt(states.var(-1, keepdims=True) + EPSILON) * _array(norm.weight) + _array(norm.bias)


def _linear(layer: torch.nn.Linear, state: np.ndarray) -> np.ndarray:
    return state @ _array(layer.weight).T + _array(layer.bias)


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().double().numpy()
