"""FuXi-alpha against the official formulas, one pair of positions at a time.

Constants stand here as in fuxi_alpha.py of github.com/USTC-StarTeam/fuxi-linear at commit a5ba5cd.
"""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from baselines.fuxi_alpha import FuXiAlpha, FuXiAlphaConfig, FuXiAlphaLayer, FuXiAlphaNetwork
from baselines.hstu import pairwise_gaps
from bench.data.interactions import PAD

EPSILON = 1e-6
"""`epsilon: float = 1e-6` of `FuXiBlockJagged` and `MultistageFeedforwardNeuralNetwork`."""
BUCKETS = 128
"""`num_buckets=128` in `FuXi.__init__`, and one more for all that is longer."""
N_ITEMS, LENGTH, DIM, HEADS, WIDTH = 10, 6, 8, 2, 3
TIMES = [100, 100, 103, 150, 9000, 900_000]


def config(bias: str = "both") -> FuXiAlphaConfig:
    return FuXiAlphaConfig(length=LENGTH, dim=DIM, heads=HEADS, head_dim=WIDTH, blocks=2, dropout=0.4, bias=bias)


def naive_layer(layer: FuXiAlphaLayer, hidden: list[np.ndarray], times: list[int], bias: str) -> list[np.ndarray]:
    kinds = {"none": [], "position": ["position"], "time": ["time"], "both": ["position", "time"]}[bias]
    channels = len(kinds) + 1
    attended, inner = HEADS * WIDTH * channels, HEADS * WIDTH
    weight = _array(layer.uvqk.weight)
    cuts = [attended, attended + inner, attended + 2 * inner]
    split = [np.split(_silu(weight @ _rms(state)), cuts) for state in hidden]
    after = []
    for i, state in enumerate(hidden):
        read = np.zeros((HEADS, channels, WIDTH))  # per head: position, time, meaning
        for j in range(i + 1):
            for head in range(HEADS):
                part = slice(head * WIDTH, (head + 1) * WIDTH)
                weights = []
                for kind, table in zip(kinds, layer.gaps_read, strict=True):
                    by_gap = table.by_position if kind == "position" else table.by_time
                    weights.append(float(by_gap[i - j if kind == "position" else _bucket(times[i] - times[j])]))
                weights.append(float(_silu(split[i][2][part] @ split[j][3][part])) / LENGTH)
                for channel, value in enumerate(weights):
                    read[head, channel] += value * split[j][1][part]
        gated = split[i][0] * _rms(read.ravel())
        feed_forward = layer.feed_forward
        joined = _array(feed_forward.join.weight) @ gated + _array(feed_forward.join.bias) + state
        normed = _rms(joined)
        gate, value = _array(feed_forward.gate.weight) @ normed, _array(feed_forward.value.weight) @ normed
        assert len(gate) == 2 * DIM  # `ffn_multiply = 2` in all configurations
        after.append(_array(feed_forward.out.weight) @ (_silu(gate) * value) + joined)
    return after


@pytest.mark.parametrize("bias", ["none", "position", "time", "both"])
@torch.no_grad()
def test_a_layer_computes_the_official_formulas(bias: str) -> None:
    torch.manual_seed(1)
    layer = FuXiAlphaLayer(config(bias)).eval()
    for parameter in layer.parameters():
        parameter.add_(0.5 * torch.randn(parameter.shape))
    hidden = torch.randn(1, LENGTH, DIM)
    answer = layer(hidden, pairwise_gaps(torch.tensor([TIMES])), torch.ones(1, LENGTH, LENGTH).tril())
    np.testing.assert_allclose(answer[0].numpy(), naive_layer(layer, list(_array(hidden[0])), TIMES, bias), atol=1e-4)


@torch.no_grad()
def test_the_network_is_its_layers_over_scaled_items_and_positions() -> None:
    torch.manual_seed(0)
    ours = FuXiAlphaNetwork(N_ITEMS, config()).eval()
    rows = [[3, 1, 4, 1, 5, 9], [2, 6]]
    items = torch.tensor([row + [PAD] * (LENGTH - len(row)) for row in rows])
    answer = ours(items, torch.tensor([TIMES, TIMES]))
    for row, states in zip(rows, answer, strict=True):
        tables = _array(ours.items.weight), _array(ours.positions.weight)
        hidden = [math.sqrt(DIM) * tables[0][item] + tables[1][place] for place, item in enumerate(row)]
        for layer in ours.layers:
            hidden = naive_layer(layer, hidden, TIMES, "both")
        np.testing.assert_allclose(states[: len(row)].numpy(), hidden, atol=1e-4)


@torch.no_grad()
def test_no_position_sees_a_later_event_and_each_sees_all_earlier_ones() -> None:
    torch.manual_seed(0)
    ours = FuXiAlphaNetwork(N_ITEMS, config()).eval()
    items, times = torch.tensor([[3, 1, 4, 1, 5, 9]]), torch.tensor([TIMES])
    before = ours(items, times)
    for place in range(LENGTH):
        changed = items.clone()
        changed[0, place] = (changed[0, place] + 1) % N_ITEMS
        moved = (ours(changed, times) - before).abs().amax(-1)[0] > 1e-6
        assert moved.tolist() == [False] * place + [True] * (LENGTH - place)


def test_parameters_begin_as_in_the_official_code() -> None:
    torch.manual_seed(0)
    layer = FuXiAlphaLayer(FuXiAlphaConfig(dim=64, length=500))
    for drawn in (layer.uvqk.weight, layer.gaps_read[0].by_position, layer.gaps_read[1].by_time):
        assert drawn.std().item() == pytest.approx(0.02, rel=0.2)
    for linear in (layer.feed_forward.join, layer.feed_forward.gate, layer.feed_forward.out):
        bound = math.sqrt(6 / sum(linear.weight.shape))
        assert 0.95 * bound < linear.weight.abs().max() <= bound
    assert [linear.bias is None for linear in (layer.feed_forward.join, layer.feed_forward.gate)] == [False, True]


def test_scores_are_cosines_over_the_temperature_as_in_the_official_configurations() -> None:
    assert (FuXiAlpha().config.temperature, FuXiAlpha().config.expansion) == (0.05, 2)


def _bucket(gap: int) -> int:
    return min(int(math.log(max(1, abs(gap))) / 0.301), BUCKETS)


def _rms(state: np.ndarray) -> np.ndarray:
    return state / np.sqrt((state**2).mean() + EPSILON)


def _silu(value: np.ndarray) -> np.ndarray:
    return value / (1 + np.exp(-value))


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().double().numpy()
