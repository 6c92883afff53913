"""Fast ways of the transformer's parts against plain ones in float64, gradients included."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from models.generation.attention import attend
from models.generation.residual import RMSNorm

Function = Callable[..., Tensor]


def assert_the_same(fast: Function, plain: Function, *inputs: Tensor) -> None:
    """Values, and the gradients of a weighted sum of them; the plain function gets float64."""
    ours = [tensor.detach().clone().requires_grad_(tensor.requires_grad) for tensor in inputs]
    theirs = [tensor.detach().double().requires_grad_(tensor.requires_grad) for tensor in inputs]
    found, expected = fast(*ours), plain(*theirs)
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)
    weight = torch.randn(found.shape, generator=torch.Generator().manual_seed(1))
    (found * weight).sum().backward()
    (expected * weight.double()).sum().backward()
    for one, other in zip(ours, theirs, strict=True):
        if one.requires_grad:
            torch.testing.assert_close(one.grad.double(), other.grad, rtol=1e-4, atol=1e-4)


def drawn(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape))).requires_grad_()


@pytest.mark.parametrize("epsilon", [None, 1e-3])
@pytest.mark.parametrize("shape", [(5, 8), (3, 4, 2, 8), (0, 8)])
def test_rows_are_divided_by_their_root_mean_square(shape: tuple[int, ...], epsilon: float | None) -> None:
    norm = RMSNorm(8, eps=epsilon)
    added = 2.0**-23 if epsilon is None else epsilon

    def fast(x: Tensor, weight: Tensor) -> Tensor:
        return torch.func.functional_call(norm, {"weight": weight}, (x,))

    def plain(x: Tensor, weight: Tensor) -> Tensor:
        return x / (x.square().mean(-1, keepdim=True) + added).sqrt() * weight

    assert_the_same(fast, plain, drawn(*shape), drawn(8))


BIASES = {
    "none": None,
    "causal": torch.zeros(4, 4).masked_fill(torch.ones(4, 4, dtype=torch.bool).triu(1), -torch.inf),
    "of keys": torch.tensor([0.0, -1.0, -torch.inf, 2.0]).expand(3, 5, 1, 1, 4),
    "learned": drawn(5, 2, 4, 4),
    "learned, of heads": drawn(2, 1, 4),
}


@pytest.mark.parametrize("scale", [None, 1.0])
@pytest.mark.parametrize("name", BIASES)
def test_attention_is_a_weighted_mean_of_values(name: str, scale: float | None) -> None:
    bias = BIASES[name]

    def fast(query: Tensor, key: Tensor, value: Tensor, *bias: Tensor) -> Tensor:
        return attend(query, (key, value), bias[0] if bias else None, scale=scale)

    def plain(query: Tensor, key: Tensor, value: Tensor, *bias: Tensor) -> Tensor:
        scores = query @ key.mT * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)
        return (scores + (bias[0] if bias else 0)).softmax(-1) @ value

    biases = [] if bias is None else [bias]
    assert_the_same(fast, plain, *(drawn(3, 5, 2, 4, width) for width in (6, 6, 7)), *biases)
    if bias is None or bias.ndim < 4:
        assert_the_same(fast, plain, *(drawn(5, 2, 4, width) for width in (6, 6, 7)), *biases)
        assert_the_same(fast, plain, drawn(3, 5, 2, 4, 6), drawn(2, 4, 6), drawn(2, 4, 7), *biases)


def test_attention_of_no_target_is_empty() -> None:
    query, side = torch.zeros(0, 2, 3, 4), torch.zeros(0, 2, 5, 4)
    assert attend(query, (side, side), torch.zeros(0, 1, 1, 5)).shape == query.shape
