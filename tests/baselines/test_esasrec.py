"""eSASRec against the formulas of the official layers, one position at a time."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from baselines.esasrec import ESASRec, ESASRecConfig, ESASRecNetwork
from bench.data.interactions import PAD

N_ITEMS, LENGTH, DIM = 10, 6, 8
EPSILON = 1e-5
"""PyTorch's default of `LayerNorm`, which transformer_layers/ligr.py keeps."""
ROWS = [[3, 1, 4, 1, 5, 9], [2, 6], [7]]


def network(dropout: float = 0.3) -> ESASRecNetwork:
    torch.manual_seed(0)
    config = ESASRecConfig(length=LENGTH, dim=DIM, heads=2, blocks=2, dropout=dropout, expansion=4)
    network = ESASRecNetwork(N_ITEMS, config).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape))
    return network


def padded(rows: list[list[int]]) -> Tensor:
    return torch.tensor([row + [PAD] * (LENGTH - len(row)) for row in rows])


def naive_hidden(network: ESASRecNetwork, row: list[int]) -> list[np.ndarray]:
    """transformer_layers/ligr.py, `forward`: the gates see the stream before the norm, SwiGLU is 4 d wide."""
    items, positions = _array(network.items.weight), _array(network.positions.weight)
    hidden = [items[item] + positions[place] for place, item in enumerate(row)]
    for block in network.blocks:
        assert block.feed_forward.gate.weight.shape == (4 * DIM, DIM)
        qkv = [_linear(block.qkv, _norm(block.attention_norm, state)) for state in hidden]
        after = []
        for place, state in enumerate(hidden):
            read = []
            for head in range(2):
                part = slice(head * DIM // 2, (head + 1) * DIM // 2)
                scores = np.array([qkv[place][:DIM][part] @ other[DIM : 2 * DIM][part] for other in qkv[: place + 1]])
                weights = np.exp(scores / np.sqrt(DIM // 2))
                weights /= weights.sum()
                read.append(sum(w * other[2 * DIM :][part] for w, other in zip(weights, qkv, strict=False)))
            state = state + _sigmoid(_linear(block.attention_gate, state)) * _linear(block.out, np.concatenate(read))
            normed, fed = _norm(block.feed_forward_norm, state), block.feed_forward
            gate = _linear(fed.gate, normed)
            inner = gate * _sigmoid(gate) * _linear(fed.value, normed)
            after.append(state + _sigmoid(_linear(block.feed_forward_gate, state)) * _linear(fed.out, inner))
        hidden = after
    return hidden  # there is no norm after the last block


@torch.no_grad()
def test_hidden_states_are_those_of_the_official_layer() -> None:
    ours = network()
    hidden = ours(padded(ROWS), torch.zeros(3, LENGTH, dtype=torch.long))
    for row, states in zip(ROWS, hidden, strict=True):
        np.testing.assert_allclose(states[: len(row)].numpy(), naive_hidden(ours, row), atol=1e-4)


@torch.no_grad()
def test_item_vectors_are_dropped_on_both_sides_in_training_alone() -> None:
    ours = network(dropout=0.5)
    hidden = torch.ones(1, DIM)
    assert torch.equal(ours.compared(hidden)[1], ours.items.weight)
    ours.train()
    catalogue = ours.compared(hidden)[1]
    dropped = catalogue == 0
    assert 0.2 < dropped.float().mean() < 0.8
    torch.testing.assert_close(catalogue[~dropped], 2 * ours.items.weight[~dropped])
    read: list[Tensor] = []
    ours.encode = lambda tokens, present: read.append(tokens) or tokens  # what the blocks are given
    ours(padded(ROWS[:1]), torch.zeros(1, LENGTH, dtype=torch.long))
    assert 0.2 < (read[0] == 0).float().mean() < 0.8


def test_matrices_begin_xavier_normal() -> None:
    """RecTools, lightning.py: every parameter of more than one dimension, tables included, and no other."""
    torch.manual_seed(0)
    drawn = ESASRecNetwork(500, ESASRecConfig(dim=64, length=100))
    matrices = [p for p in drawn.parameters() if p.ndim > 1]
    assert len(matrices) == 2 + 2 * 7
    for matrix in matrices:
        assert matrix.std().item() == pytest.approx((2 / sum(matrix.shape)) ** 0.5, rel=0.05)


def test_the_configuration_is_the_official_one_where_it_is_not_a_size() -> None:
    """configs/paper/loo/*.yaml: sampled softmax, 256 negatives, one head; RecTools: betas 0.9 and 0.98, rate 0.001."""
    config = ESASRec().config
    assert (config.loss, config.negatives, config.heads, config.expansion) == ("sampled", 256, 1, 4)
    assert (config.training.learning_rate, config.training.beta2) == (1e-3, 0.98)


def _sigmoid(value: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-value))


def _norm(norm: nn.LayerNorm, state: np.ndarray) -> np.ndarray:
    return (state - state.mean()) / np.sqrt(state.var() + EPSILON) * _array(norm.weight) + _array(norm.bias)


def _linear(layer: nn.Linear, state: np.ndarray) -> np.ndarray:
    product = _array(layer.weight) @ state
    return product if layer.bias is None else product + _array(layer.bias)


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().double().numpy()
