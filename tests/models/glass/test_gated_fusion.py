"""The gate by hand."""

import math

import pytest
import torch

from models.glass.gated_fusion import AdaptiveGatedFusion

HIDDEN, SHORT, READ = torch.tensor([[1.0, -1.0]]), torch.tensor([[2.0, 4.0]]), torch.tensor([[10.0, 20.0]])
FOUND, NOTHING = torch.tensor([[True]]), torch.tensor([[False]])


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


@pytest.mark.parametrize(("gate_input", "asked"), [("hidden", (1.0, -1.0)), ("short", (2.0, 4.0))])
def test_the_gate_reads_its_input_and_what_was_retrieved(gate_input: str, asked: tuple[float, float]) -> None:
    fusion = AdaptiveGatedFusion(2, gate_input)
    weight = [[0.5, 0.0, -0.1, 0.02], [0.3, 0.2, 0.0, 0.05]]
    with torch.no_grad():
        fusion.gate.weight.copy_(torch.tensor(weight))
        fusion.gate.bias.copy_(torch.tensor([0.25, -1.0]))
    g = [
        sigmoid(0.5 * asked[0] - 0.1 * 10 + 0.02 * 20 + 0.25),
        sigmoid(0.3 * asked[0] + 0.2 * asked[1] + 0.05 * 20 - 1.0),
    ]
    expected = [(1 - g[0]) * 2 + g[0] * 10, (1 - g[1]) * 4 + g[1] * 20]
    fused = fusion(HIDDEN, SHORT, READ, FOUND)
    assert fused[0].tolist() == pytest.approx(expected, rel=1e-5)
    assert g[0] != pytest.approx(g[1]), "a vector gate: each dimension has its own"


@pytest.mark.parametrize("fixed_gate", [None, 0.5, 1.0])
def test_the_gate_is_shut_where_nothing_was_retrieved(fixed_gate: float | None) -> None:
    fusion = AdaptiveGatedFusion(2, "hidden", fixed_gate)
    assert torch.equal(fusion(HIDDEN, SHORT, READ, NOTHING), SHORT)
    both = fusion(*(part.expand(2, 2) for part in (HIDDEN, SHORT, READ)), torch.tensor([[False], [True]]))
    assert torch.equal(both[:1], SHORT)
    assert not torch.equal(both[1:], SHORT)


@pytest.mark.parametrize(("fixed_gate", "expected"), [(0.0, [2, 4]), (0.25, [4, 8]), (1.0, [10, 20])])
def test_a_fixed_gate_is_a_constant_without_parameters(fixed_gate: float, expected: list[float]) -> None:
    fusion = AdaptiveGatedFusion(2, "hidden", fixed_gate)
    assert fusion(HIDDEN, SHORT, READ, FOUND).tolist() == [expected]
    assert list(fusion.parameters()) == []


def test_the_learned_gate_has_one_weight_per_input_and_output() -> None:
    assert sum(p.numel() for p in AdaptiveGatedFusion(6, "short").parameters()) == 12 * 6 + 6
