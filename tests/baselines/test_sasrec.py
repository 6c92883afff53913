"""SASRec against its equations, one position at a time."""

from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from baselines.gsasrec import GSASRecConfig, GSASRecNetwork
from baselines.sasrec import SASRecConfig, SASRecNetwork
from bench.data.interactions import PAD
from bench.registry import model_class

N_ITEMS, LENGTH = 10, 6
EPSILON = 1e-5
"""PyTorch's default of `LayerNorm`. The official code has 1e-8 (modules.py, `normalize`); the card says so."""
ROWS = [[3, 1, 4, 1, 5, 9], [2, 6], [7]]


def network(**options: Any) -> SASRecNetwork:
    torch.manual_seed(0)
    sizes = {"length": LENGTH, "dim": 8, "heads": 2, "blocks": 2, "dropout": 0.3}
    network = SASRecNetwork(N_ITEMS, SASRecConfig(**sizes | options)).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape))
    return network


def padded(rows: list[list[int]], width: int = LENGTH) -> Tensor:
    return torch.tensor([row + [PAD] * (width - len(row)) for row in rows])


def naive_hidden(network: SASRecNetwork, row: list[int], from_last: bool = False) -> list[np.ndarray]:
    """Every position's hidden state: attention looks over a Python list of the events so far.

    Scores are divided by the root of a head's width (eq. 2; modules.py, "Scale"); normalisation comes before every
    sub-layer (section 3.2) and, as the card says, before keys and values, too.
    """
    items, positions = _array(network.items.weight), _array(network.positions.weight)
    places = range(len(row) - 1, -1, -1) if from_last else range(len(row))
    hidden = [items[item] + positions[place] for place, item in zip(places, row, strict=True)]
    for block in network.blocks:
        normed = [_norm(block.attention_norm, state) for state in hidden]
        dim = len(hidden[0])
        qkv = [_linear(block.qkv, state) for state in normed]
        after = []
        for place, state in enumerate(hidden):
            read = []
            for head in range(block.heads):
                width = dim // block.heads
                part = slice(head * width, (head + 1) * width)
                scores = np.array([qkv[place][:dim][part] @ other[dim : 2 * dim][part] for other in qkv[: place + 1]])
                weights = np.exp(scores / np.sqrt(width))
                weights /= weights.sum()
                read.append(sum(w * other[2 * dim :][part] for w, other in zip(weights, qkv, strict=False)))
            state = state + _linear(block.out, np.concatenate(read))
            norm, inner, _, _, outer, _ = block.feed_forward
            after.append(state + _linear(outer, np.maximum(_linear(inner, _norm(norm, state)), 0)))
        hidden = after
    return [_norm(network.norm, state) for state in hidden]


@torch.no_grad()
def test_hidden_states_are_those_of_the_equations() -> None:
    ours = network()
    hidden = ours(padded(ROWS), torch.zeros(3, LENGTH, dtype=torch.long))
    for row, states in zip(ROWS, hidden, strict=True):
        np.testing.assert_allclose(states[: len(row)].numpy(), naive_hidden(ours, row), atol=1e-5)


@torch.no_grad()
def test_positions_may_be_counted_from_the_last_event() -> None:
    """RecTools, net_blocks.py, `LearnableInversePositionalEncoding`: the last event of a window has position 0."""
    ours = network(positions="last")
    hidden = ours(padded(ROWS), torch.zeros(3, LENGTH, dtype=torch.long))
    for row, states in zip(ROWS, hidden, strict=True):
        expected = naive_hidden(ours, row, from_last=True)
        np.testing.assert_allclose(states[: len(row)].numpy(), expected, atol=1e-4)


@torch.no_grad()
def test_item_vectors_and_attention_weights_are_dropped_in_training_alone() -> None:
    ours = network(dropout=0.0, item_dropout=0.5)
    states = torch.ones(1, 8)
    assert torch.equal(ours.compared(states)[1], ours.items.weight)
    rows, times = padded(ROWS[:1]), torch.zeros(1, LENGTH, dtype=torch.long)
    answered = ours(rows, times)
    ours.train()
    catalogue = ours.compared(states)[1]
    dropped = catalogue == 0
    assert 0.2 < dropped.float().mean() < 0.8
    torch.testing.assert_close(catalogue[~dropped], 2 * ours.items.weight[~dropped])
    assert not torch.allclose(ours(rows, times), answered)
    ours = network(dropout=0.0, attention_dropout=0.5)
    assert torch.equal(ours(rows, times), network(dropout=0.0)(rows, times))
    ours.train()
    first = ours(rows, times)
    assert not torch.allclose(ours(rows, times), first)
    ours = network(dropout=0.0).train()
    torch.testing.assert_close(ours(rows, times), answered)


def test_what_was_added_leaves_configurations_as_they_were() -> None:
    assert {"positions", "item_dropout", "attention_dropout"}.isdisjoint(SASRecConfig().model_dump())


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("cobra", {"item_dropout": 0.1}),
        ("cobra", {"positions": "last"}),
        ("h2rec", {"item_dropout": 0.1}),
        ("h2rec", {"positions": "last"}),
        ("esasrec", {"item_dropout": 0.1}),
        ("esasrec", {"attention_dropout": 0.1}),
        ("sasrec-ce-compressed", {"item_dropout": 0.1}),
    ],
)
def test_an_option_that_a_model_would_pass_over_is_refused(name: str, option: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(option))):
        model_class(name).Config.model_validate(option)


@torch.no_grad()
def test_a_table_of_its_own_for_the_output_is_dropped_too() -> None:
    ours = GSASRecNetwork(N_ITEMS, GSASRecConfig(dim=8, item_dropout=0.5)).train()
    assert 0.2 < (ours.compared(torch.ones(1, 8))[1] == 0).float().mean() < 0.8


@torch.no_grad()
def test_no_position_sees_a_later_event_and_each_sees_all_earlier_ones() -> None:
    ours = network()
    times = torch.zeros(1, LENGTH, dtype=torch.long)
    before = ours(padded(ROWS[:1]), times)
    for place in range(LENGTH):
        changed = padded(ROWS[:1])
        changed[0, place] = (changed[0, place] + 1) % N_ITEMS
        moved = (ours(changed, times) - before).abs().amax(-1)[0] > 1e-5
        assert moved.tolist() == [False] * place + [True] * (LENGTH - place)


@torch.no_grad()
def test_padding_does_not_matter() -> None:
    ours = network()
    together = ours(padded(ROWS), torch.zeros(3, LENGTH, dtype=torch.long))
    for row, states in zip(ROWS, together, strict=True):
        alone = ours(torch.tensor([row]), torch.zeros(1, len(row), dtype=torch.long))
        torch.testing.assert_close(alone[0], states[: len(row)], rtol=0, atol=1e-5)


@torch.no_grad()
def test_items_are_scored_by_the_table_that_reads_them() -> None:
    ours = network()
    hidden = torch.randn(2, 8)
    expected = [[float(h @ ours.items.weight[item]) for item in range(N_ITEMS)] for h in hidden]
    np.testing.assert_allclose(ours.scores(hidden).numpy(), expected, atol=1e-5)
    tables = [p for p in ours.parameters() if p.shape[0] == N_ITEMS]
    assert len(tables) == 1, "input and output share one table"


def _norm(norm: nn.LayerNorm, state: np.ndarray) -> np.ndarray:
    return (state - state.mean()) / np.sqrt(state.var() + EPSILON) * _array(norm.weight) + _array(norm.bias)


def _linear(layer: nn.Linear, state: np.ndarray) -> np.ndarray:
    return _array(layer.weight) @ state + _array(layer.bias)


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().double().numpy()


def test_initial_tables_are_those_that_the_card_names() -> None:
    """Of deviation 1/sqrt(d); the official code draws them Glorot-uniform (modules.py, `embedding`)."""
    torch.manual_seed(0)
    drawn = SASRecNetwork(500, SASRecConfig())
    for table in (drawn.items, drawn.positions):
        assert table.weight.std().item() == pytest.approx(64**-0.5, rel=0.03)
    assert drawn.norm.eps == drawn.blocks[0].attention_norm.eps == EPSILON
