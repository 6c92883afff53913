"""LRURec against the official code's formulas, one event after the other in complex numbers."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from baselines.lrurec import LRURecConfig, LRURecNetwork, linear_recurrence
from bench.data.interactions import PAD

N_ITEMS, LENGTH, DIM = 10, 7, 8
ROWS = [[3, 1, 4, 1, 5, 9, 2], [2, 6], [7]]


def network() -> LRURecNetwork:
    torch.manual_seed(0)
    network = LRURecNetwork(N_ITEMS, LRURecConfig(length=LENGTH, dim=DIM, blocks=2, dropout=0.3)).eval()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "log_" not in name:
                parameter.add_(0.3 * torch.randn(parameter.shape))
    return network


def padded(rows: list[list[int]], width: int = LENGTH) -> Tensor:
    return torch.tensor([row + [PAD] * (width - len(row)) for row in rows])


def naive_hidden(network: LRURecNetwork, row: list[int]) -> np.ndarray:
    """model/lru.py: norm of the embeddings, then per block `LN(Re(C h) + x)` and `LN(W2 GELU(W1 x) + x)`."""
    hidden = _norm(network.norm, _array(network.items.weight)[row])
    for unit, feed_forward in zip(network.layers[::2], network.layers[1::2], strict=True):
        # Complex maps: `into` interleaves real and imaginary rows, `out` real and imaginary columns of the state.
        into, into_bias = _array(unit.into.weight), _array(unit.into.bias)
        B, B_bias = into[::2] + 1j * into[1::2], into_bias[::2] + 1j * into_bias[1::2]
        out = _array(unit.out.weight)
        C = out[:, ::2] - 1j * out[:, 1::2]
        nu, theta, gamma = (np.exp(_array(p)) for p in (unit.log_nu, unit.log_theta, unit.log_gamma))
        eigenvalues = np.exp(-nu + 1j * theta)
        assert B.shape == (2 * DIM, DIM)
        state, outputs = np.zeros(2 * DIM, dtype=complex), []
        for event in hidden:
            state = eigenvalues * state + gamma * (B @ event + B_bias)
            outputs.append((C @ state).real + _array(unit.out.bias))
        hidden = _norm(unit.norm, np.array(outputs) + hidden)
        first, second = feed_forward.layers[0], feed_forward.layers[3]
        inner = hidden @ _array(first.weight).T + _array(first.bias)
        assert inner.shape[1] == 4 * DIM
        inner = inner * 0.5 * (1 + np.vectorize(math.erf)(inner / math.sqrt(2)))
        hidden = _norm(feed_forward.norm, inner @ _array(second.weight).T + _array(second.bias) + hidden)
    return hidden


@torch.no_grad()
def test_hidden_states_are_those_of_the_recurrence_step_by_step() -> None:
    ours = network()
    hidden = ours(padded(ROWS), torch.zeros(3, LENGTH, dtype=torch.long))
    for row, states in zip(ROWS, hidden, strict=True):
        np.testing.assert_allclose(states[: len(row)].numpy(), naive_hidden(ours, row), atol=1e-4)


@pytest.mark.parametrize("length", [1, 2, 5, 8, 33])
def test_the_parallel_recurrence_is_the_recurrence(length: int) -> None:
    torch.manual_seed(0)
    inputs = torch.randn(3, length, 4, dtype=torch.complex128)
    eigenvalues = torch.polar(torch.tensor([0.8, 0.9, 0.99, 1.0]), torch.tensor([0.0, 1.0, 2.0, 6.0])).to(inputs.dtype)
    expected, state = [], torch.zeros(3, 4, dtype=inputs.dtype)
    for event in inputs.unbind(1):
        state = eigenvalues * state + event
        expected.append(state)
    torch.testing.assert_close(linear_recurrence(inputs, eigenvalues), torch.stack(expected, 1))


@torch.no_grad()
def test_no_position_sees_a_later_event_and_each_sees_all_earlier_ones() -> None:
    ours, times = network(), torch.zeros(1, LENGTH, dtype=torch.long)
    before = ours(padded(ROWS[:1]), times)
    for place in range(LENGTH):
        changed = padded(ROWS[:1])
        changed[0, place] = (changed[0, place] + 1) % N_ITEMS
        moved = (ours(changed, times) - before).abs().amax(-1)[0] > 1e-6
        assert moved.tolist() == [False] * place + [True] * (LENGTH - place)


@torch.no_grad()
def test_items_are_scored_by_the_table_that_reads_them_and_their_bias() -> None:
    ours = network()
    hidden = torch.randn(2, DIM)
    expected = [[float(h @ ours.items.weight[item] + ours.bias[item]) for item in range(N_ITEMS)] for h in hidden]
    np.testing.assert_allclose(ours.scores(hidden).numpy(), expected, atol=1e-5)


def test_weights_begin_as_in_the_official_code() -> None:
    """`LRULayer`: r_min 0.8, r_max 0.99, phases over the circle, gamma sqrt(1 - r^2); the rest within two of 0.02."""
    torch.manual_seed(0)
    drawn = LRURecNetwork(500, LRURecConfig(dim=256))
    unit = drawn.layers[0]
    radius, phase = unit.eigenvalues().abs(), unit.log_theta.exp()
    assert 0.8 <= radius.min() < 0.82
    assert 0.98 < radius.max() <= 0.99
    assert radius.square().mean().item() == pytest.approx((0.8**2 + 0.99**2) / 2, abs=0.01)
    assert 0 <= phase.min() < 0.3
    assert 6 < phase.max() <= 2 * math.pi
    torch.testing.assert_close(unit.log_gamma.exp(), (1 - radius**2).sqrt(), rtol=1e-4, atol=1e-5)
    for weight in (drawn.items.weight, unit.into.weight, unit.into.bias, drawn.layers[1].layers[0].weight):
        assert weight.abs().max() <= 0.04
        assert weight.std().item() == pytest.approx(0.0176, rel=0.1)  # of a normal of 0.02 that is cut at 0.04


def _norm(norm: nn.LayerNorm, states: np.ndarray) -> np.ndarray:
    centred = states - states.mean(-1, keepdims=True)
    return centred / np.sqrt(states.var(-1, keepdims=True) + 1e-5) * _array(norm.weight) + _array(norm.bias)


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().double().numpy()
