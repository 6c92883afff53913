"""HSTU against the equations of the paper and the official code, one pair of positions at a time.

The constants of the naive twin are written here as they stand in github.com/meta-recsys/generative-recommenders at
commit db1bf8f (below `generative_recommenders/research/`), never taken from the code under test.
"""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from baselines.hstu import (
    HSTU,
    HSTUConfig,
    HSTULarge,
    HSTULayer,
    HSTUNetwork,
    RelativeBias,
    _look_up_on_cpu,
    _look_up_on_gpu,
    pairwise_gaps,
    time_bucket,
)
from bench.data.interactions import PAD

EPSILON = 1e-6
"""modeling/sequential/hstu.py, SequentialTransductionUnitJagged.__init__: `epsilon: float = 1e-6`."""
BUCKETS = 128
"""modeling/sequential/hstu.py, HSTU.__init__: `num_buckets=128`, and one more for all that is longer."""
STD = 0.02
"""modeling/sequential/hstu.py: `_ts_w`, `_pos_w`, `_uvqk`; modeling/sequential/embedding_modules.py: `_item_emb`."""

N_ITEMS, LENGTH = 10, 6
ROWS = [[3, 1, 4, 1, 5, 9], [2, 6], [7]]
TIMES = [[100, 100, 103, 150, 9000, 900_000], [50, 5000], [8]]
KINDS = ["none", "position", "time", "both"]


def config(bias: str = "both") -> HSTUConfig:
    return HSTUConfig(length=LENGTH, dim=8, heads=2, head_dim=3, blocks=2, dropout=0.4, bias=bias)


def network(bias: str = "both") -> HSTUNetwork:
    torch.manual_seed(0)
    network = HSTUNetwork(N_ITEMS, config(bias)).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape))
    return network


def padded(rows: list[list[int]], fill: int) -> Tensor:
    return torch.tensor([row + [fill] * (LENGTH - len(row)) for row in rows])


def naive_layer(layer: HSTULayer, hidden: list[np.ndarray], times: list[int]) -> list[np.ndarray]:
    """Equations 1 to 3: U, V, Q, K = SiLU(f1(X)); A V = SiLU(Q K' + rab) V / N; Y = f2(norm(A V) * U)."""
    heads, inner = layer.heads, layer.out.in_features
    width = inner // heads
    weight = _array(layer.uvqk.weight)
    split = [np.split(_silu(weight @ _norm(state)), 4) for state in hidden]
    after = []
    for i, state in enumerate(hidden):
        gate, _, query, _ = split[i]
        read = np.zeros(inner)
        for head in range(heads):
            part = slice(head * width, (head + 1) * width)
            for j in range(i + 1):
                _, value, _, key = split[j]
                bias = 0.0
                if layer.bias.by_position is not None:
                    bias += float(layer.bias.by_position[i - j])
                if layer.bias.by_time is not None:
                    bias += float(layer.bias.by_time[_bucket(times[i] - times[j])])
                read[part] += _silu(query[part] @ key[part] + bias) / LENGTH * value[part]
        after.append(state + _array(layer.out.weight) @ (_norm(read) * gate) + _array(layer.out.bias))
    return after


@pytest.mark.parametrize("bias", KINDS)
@torch.no_grad()
def test_a_layer_computes_the_papers_equations(bias: str) -> None:
    torch.manual_seed(1)
    layer = HSTULayer(config(bias)).eval()
    for parameter in layer.parameters():
        parameter.add_(0.5 * torch.randn(parameter.shape))
    hidden = torch.randn(1, LENGTH, 8)
    mask = torch.ones(LENGTH, LENGTH).tril()
    answer = layer(hidden, pairwise_gaps(torch.tensor(TIMES[:1])), mask[None])
    expected = naive_layer(layer, list(_array(hidden[0])), TIMES[0])
    np.testing.assert_allclose(answer[0].numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("bias", KINDS)
@torch.no_grad()
def test_the_network_is_its_layers_over_scaled_items_and_positions(bias: str) -> None:
    ours = network(bias)
    answer = ours(padded(ROWS, PAD), padded(TIMES, 0))
    items, positions = _array(ours.items.weight), _array(ours.positions.weight)
    for row, times, states in zip(ROWS, TIMES, answer, strict=True):
        hidden = [math.sqrt(8) * items[item] + positions[place] for place, item in enumerate(row)]
        for layer in ours.layers:
            hidden = naive_layer(layer, hidden, times)
        np.testing.assert_allclose(states[: len(row)].numpy(), hidden, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("bias", KINDS)
@torch.no_grad()
def test_a_fresh_layer_equals_the_official_formulas(bias: str) -> None:
    """As initialised, Var(AV) is about 1e-8, so that the epsilon of the normalisation decides what a layer adds."""
    torch.manual_seed(2)
    layer = HSTULayer(config(bias)).double().eval()
    hidden = torch.randn(1, LENGTH, 8, dtype=torch.float64)
    mask = torch.ones(LENGTH, LENGTH, dtype=torch.float64).tril()
    answer = layer(hidden, pairwise_gaps(torch.tensor(TIMES[:1])), mask[None])[0].numpy()
    np.testing.assert_allclose(answer, naive_layer(layer, list(_array(hidden[0])), TIMES[0]), atol=1e-6, rtol=0)
    added = np.abs(answer - hidden[0].numpy() - _array(layer.out.bias)).max()
    assert added > 1e-4, "the test would not see the epsilon"


@torch.no_grad()
def test_parameters_begin_as_in_the_official_code() -> None:
    torch.manual_seed(0)
    large = HSTUConfig(length=3000, dim=64, heads=2, head_dim=32, blocks=1)
    network = HSTUNetwork(3000, large)
    layer = network.layers[0]
    for drawn, std in ((layer.bias.by_position, STD), (layer.uvqk.weight, STD)):
        assert drawn.std().item() == pytest.approx(std, rel=0.05)
        assert drawn.abs().max() > 2.5 * std  # not cut
    assert layer.bias.by_time.std().item() == pytest.approx(STD, rel=0.2)
    # modeling/initialization.py, truncated_normal: the first of four draws within two standard deviations.
    for drawn, std in ((network.items.weight, STD), (network.positions.weight, 1 / 8)):
        assert drawn.abs().max() <= 2 * std
        assert drawn.std().item() == pytest.approx(0.88 * std, rel=0.02)  # of a normal distribution cut at 2


@pytest.mark.parametrize("model", [HSTU, HSTULarge])
def test_beta2_is_that_of_the_official_optimiser(model: type[HSTU]) -> None:
    """trainer/train.py: `torch.optim.AdamW(..., betas=(0.9, 0.98))`."""
    assert model.Config().training.beta2 == 0.98


def test_time_buckets_by_hand() -> None:
    # ln(2) = 0.693, ln(10) = 2.303, ln(3600) = 8.189, ln(86400) = 11.367, each over 0.301.
    gaps = {0: 0, 1: 0, 2: 2, 10: 7, 3600: 27, 86400: 37, -86400: 37, 2**62: BUCKETS}
    assert time_bucket(torch.tensor(list(gaps))).tolist() == list(gaps.values())


def test_the_bias_is_a_scalar_per_gap_in_position_and_bucket_of_time() -> None:
    both = RelativeBias(3, "both")
    with torch.no_grad():
        both.by_position.copy_(torch.tensor([1.0, 2.0, 3.0]))
        both.by_time.copy_(torch.arange(BUCKETS + 1) / 10)
    gaps = pairwise_gaps(torch.tensor([[0, 10, 10]]))
    assert gaps.tolist() == [[[0, 7, 7], [7, 0, 0], [7, 0, 0]]]
    bias = both(3, gaps)[0]
    assert bias[1, 0].item() == pytest.approx(2.0 + 0.7)
    assert bias[2, 0].item() == pytest.approx(3.0 + 0.7)
    assert bias[2, 1].item() == pytest.approx(2.0 + 0.0)
    assert bias.diagonal().tolist() == pytest.approx([1.0] * 3)
    assert RelativeBias(3, "none")(3, None).tolist() == torch.zeros(1, 3, 3).tolist()
    names = {kind: [name for name, _ in RelativeBias(3, kind).named_parameters()] for kind in ("position", "time")}
    assert names == {"position": ["by_position"], "time": ["by_time"]}


def test_biases_are_looked_up_alike_on_either_device() -> None:
    index = torch.randint(7, (3, 4, 4), generator=torch.Generator().manual_seed(0))
    upstream = torch.randn(3, 4, 4, generator=torch.Generator().manual_seed(1))
    found = []
    for look_up in (_look_up_on_cpu, _look_up_on_gpu):
        scalars = torch.arange(8.0).requires_grad_()
        values = look_up(scalars, index)
        values.backward(upstream)
        found.append((values.detach(), scalars.grad))
    torch.testing.assert_close(found[0], found[1])
    assert torch.equal(found[0][0], index.float())
    assert found[0][1].count_nonzero() == 7


@torch.no_grad()
def test_no_position_sees_a_later_event_or_time_and_each_sees_all_earlier_ones() -> None:
    ours = network()
    items, times = padded(ROWS[:1], PAD), padded(TIMES[:1], 0)
    before = ours(items, times)
    for place in range(LENGTH):
        changed = items.clone()
        changed[0, place] = (changed[0, place] + 1) % N_ITEMS
        moved = (ours(changed, times) - before).abs().amax(-1)[0] > 1e-6
        assert moved.tolist() == [False] * place + [True] * (LENGTH - place)
    for place in range(1, LENGTH):
        later = times.clone()
        later[0, place:] += 10_000_000
        moved = (ours(items, later) - before).abs().amax(-1)[0] > 1e-6
        assert moved.tolist() == [False] * place + [True] * (LENGTH - place)


@torch.no_grad()
def test_only_gaps_in_time_matter() -> None:
    ours = network()
    items, times = padded(ROWS[:1], PAD), padded(TIMES[:1], 0)
    assert torch.equal(ours(items, times), ours(items, times + 1_000_000_000))


@torch.no_grad()
def test_padding_does_not_matter() -> None:
    ours = network()
    together = ours(padded(ROWS, PAD), padded(TIMES, 0))
    for row, times, states in zip(ROWS, TIMES, together, strict=True):
        alone = ours(torch.tensor([row]), torch.tensor([times]))
        torch.testing.assert_close(alone[0], states[: len(row)], rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_scores_are_cosines_over_the_temperature() -> None:
    ours = network()
    hidden = torch.randn(2, 8)
    items = _array(ours.items.weight)
    expected = [[h @ item / np.linalg.norm(h) / np.linalg.norm(item) / 0.05 for item in items] for h in _array(hidden)]
    np.testing.assert_allclose(ours.scores(hidden).numpy(), expected, rtol=1e-4, atol=1e-4)


def _bucket(gap: int) -> int:
    return min(BUCKETS, math.floor(math.log(max(1, abs(gap))) / 0.301))


def _norm(state: np.ndarray) -> np.ndarray:
    return (state - state.mean()) / np.sqrt(state.var() + EPSILON)


def _silu(x: np.ndarray) -> np.ndarray:
    return x / (1 + np.exp(-x))


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().double().numpy()


@given(st.lists(st.integers(-(2**45), 2**45), min_size=1, max_size=6))
def test_gaps_of_times_are_the_buckets_of_exact_differences(times: list[int]) -> None:
    exact = torch.tensor([[before - after for after in times] for before in times])
    assert torch.equal(pairwise_gaps(torch.tensor([times]))[0], time_bucket(exact))
