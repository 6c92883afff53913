"""Attention that is computed again in the backward pass against PyTorch's: values, gradients and dropped weights."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from models.generation import lean_attention as lean
from models.generation.lean_attention import BiasInParts, lean_attention
from models.generation.t5_transformer import T5Config, T5Encoder, hide

BATCH, HEADS, QUERIES, KEYS, WIDTH = 5, 2, 7, 9, 4


@pytest.fixture(params=[1, 3 * HEADS * QUERIES * KEYS * 4, 1 << 30], ids=["a row", "three rows", "all"])
def at_a_time(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lean, "_BYTES_AT_A_TIME", request.param)


def _made(dtype: torch.dtype = torch.float64) -> tuple[list[Tensor], BiasInParts]:
    draw = torch.Generator().manual_seed(0)
    shapes = [(BATCH, HEADS, n, WIDTH) for n in (QUERIES, KEYS, KEYS)]
    sides = [torch.randn(shape, generator=draw, dtype=dtype).requires_grad_() for shape in shapes]
    by_place = torch.randn(HEADS, QUERIES, KEYS, generator=draw, dtype=dtype).requires_grad_()
    by_key = torch.zeros(BATCH, 1, 1, KEYS, dtype=dtype)
    by_key[1, ..., 4:] = by_key[3, ..., 1:] = -torch.inf
    return sides, BiasInParts(by_place, by_key)


def _outcome(attend: Callable[[], Tensor], learned: list[Tensor]) -> list[Tensor]:
    """What attention gives, and the gradients of what it is made of."""
    torch.manual_seed(3)
    attended = attend()
    towards = torch.randn(attended.shape, generator=torch.Generator().manual_seed(1), dtype=attended.dtype)
    return [attended, *torch.autograd.grad(attended, learned, towards)]


@pytest.mark.usefixtures("at_a_time")
@pytest.mark.parametrize("dropout", [0.0, 0.1, 0.6])
@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_it_is_pytorch_s_attention_with_the_same_weights_dropped(dropout: float, scale: float) -> None:
    sides, bias = _made(torch.float32)
    learned = [*sides, bias.by_place]

    def usual() -> Tensor:
        return F.scaled_dot_product_attention(
            *sides, attn_mask=bias.by_place + bias.by_key, dropout_p=dropout, scale=scale
        )

    pairs = zip(
        _outcome(lambda: lean_attention(*sides, bias, dropout, scale), learned), _outcome(usual, learned), strict=True
    )
    for lean_one, usual_one in pairs:
        torch.testing.assert_close(lean_one, usual_one, atol=1e-5, rtol=1e-5)


@pytest.mark.usefixtures("at_a_time")
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_its_gradients_are_its_slopes(dropout: float) -> None:
    sides, bias = _made()

    def attend(query: Tensor, key: Tensor, value: Tensor, by_place: Tensor) -> Tensor:
        torch.manual_seed(3)
        return lean_attention(query, key, value, BiasInParts(by_place, bias.by_key), dropout, 0.7)

    assert torch.autograd.gradcheck(attend, (*sides, bias.by_place))


def test_what_it_keeps_for_the_backward_pass_is_a_byte_a_weight() -> None:
    n_keys = 64
    shape = (BATCH, HEADS, n_keys, WIDTH)
    sides = [torch.randn(shape).requires_grad_() for _ in range(3)]
    bias = BiasInParts(torch.randn(HEADS, n_keys, n_keys).requires_grad_(), torch.zeros(BATCH, 1, 1, n_keys))
    kept: list[Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor) or tensor, lambda tensor: tensor):
        lean_attention(*sides, bias, 0.1, 1.0)
    of_weights = [tensor for tensor in kept if tensor.numel() >= BATCH * HEADS * n_keys**2]
    assert [tensor.element_size() for tensor in of_weights] == [1]


def test_a_t5_encoder_that_is_trained_gives_what_it_answers_with() -> None:
    """Without dropout both are one function: trained in parts, answered with PyTorch's kernels."""
    torch.manual_seed(0)
    encoder = T5Encoder(T5Config(dim=24, heads=3, encoder_layers=2, feed_forward=32, dropout=0.0), length=12)
    embedded = torch.randn(4, 12, 24)
    visible = torch.arange(12) < torch.tensor([12, 5, 1, 0])[:, None]
    trained = encoder.train()(embedded, hide(visible))
    with torch.inference_mode():
        answered = encoder.eval()(embedded, hide(visible))
    torch.testing.assert_close(trained[visible], answered[visible], atol=1e-5, rtol=1e-5)


def test_it_trains_under_bfloat16_autocast() -> None:
    torch.manual_seed(0)  # without dropout, which draws other numbers for another type
    encoder = T5Encoder(T5Config(dim=24, heads=3, encoder_layers=2, feed_forward=32, dropout=0.0), length=12).train()
    embedded, hidden_keys = torch.randn(4, 12, 24), hide(torch.arange(12) < torch.tensor([12, 5, 1, 0])[:, None])

    def gradients(in_bfloat16: bool) -> list[Tensor]:
        torch.manual_seed(1)
        with torch.autocast("cpu", torch.bfloat16, enabled=in_bfloat16):
            encoded = encoder(embedded, hidden_keys)
        loss = (encoded.float() * torch.linspace(-1, 1, 24)).square().mean()
        return list(torch.autograd.grad(loss, list(encoder.parameters())))

    for exact, rounded in zip(gradients(False), gradients(True), strict=True):
        assert (rounded - exact).norm() < 0.1 * exact.norm()
