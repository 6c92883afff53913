"""Dropout on a GPU, fused with what stands beside it: the residual sum and its normalisation, or a ReLU.

PyTorch makes each of them in a pass of its own over memory, and keeps a byte a number to know what it dropped, and
under autocast a copy of what was normalised for each layer that reads it. Between two sub-layers of a transformer there
are six such passes; here there is one each way, and coins are tossed again in the backward pass instead of being kept.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
from torch import Tensor
from torch.autograd.function import once_differentiable

from models.generation.dropout_kernels import of_relu_kernel, of_summed_kernel, relu_kernel, summed_kernel

MOST_WIDTH = 2048
"""Of rows: a program holds a whole one."""

_SIDES = 1 << 16
"""Of a coin: probabilities are rounded to a multiple of its inverse."""

_NUMBERS_OF_A_PART = 512
"""Of a program with four warps: four for each thread."""

_PROGRAMS_BACK = 1056
"""Of the backward pass: eight for each processor of an H200, each with a part of the weight's gradient."""

_BLOCK = 1024


def summed(
    hidden: Tensor, update: Tensor | None, weight: Tensor | None, dropout: float, epsilon: float
) -> tuple[Tensor, Tensor]:
    """Returns `hidden` + dropped `update`, and the same normalised by the root mean square of its rows.

    Args:
        hidden: `[..., dim]` on a GPU, `dim` at most `MOST_WIDTH`.
        update: Of the same shape; None for nothing to add.
        weight: `[dim]`, what normalised rows are multiplied by; None if none are asked for.
        dropout: Share of the update that is dropped, from 0 to below 1.
        epsilon: Added to the mean square.

    Returns:
        The sum, in the wider type of both, which is `hidden` itself without an update; and normalised rows, in the type
        that autocast gives to what a linear layer reads, or empty without a weight. Both can be differentiated once.
    """
    total, normed = _Summed.apply(hidden, update, weight, dropout, epsilon)
    return (hidden if update is None else total), normed


def dropped_relu(states: Tensor, probability: float) -> Tensor:
    """Dropout of a ReLU of `states`, on a GPU; nothing is kept for the backward pass but the output itself.

    Args:
        states: Of any shape.
        probability: Of a zero, from 0 to below 1.
    """
    dropped: Tensor = _DroppedReLU.apply(states, probability)
    return dropped


class _Summed(torch.autograd.Function):
    """Forward and backward of `summed`; names with `of_` are gradients."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, update: Tensor | None, weight: Tensor | None, dropout: float, epsilon: float
    ) -> tuple[Tensor, Tensor]:
        ctx.set_materialize_grads(False)
        hidden = hidden.contiguous()
        dim, n_rows = hidden.shape[-1], hidden.numel() // hidden.shape[-1]
        total, seed, ctx.type_of_update = hidden.new_empty(0), None, None
        if update is not None:
            update, ctx.type_of_update = update.contiguous(), update.dtype
            total = torch.empty_like(hidden, dtype=torch.result_type(hidden, update))
            seed = _seed(hidden.device) if dropout else None
        normed = torch.empty_like(hidden, dtype=_read_type(hidden) if weight is not None else hidden.dtype)
        if weight is None:
            normed = hidden.new_empty(0)
        inverse = torch.empty(n_rows if weight is not None else 0, device=hidden.device)
        ctx.numbers = (dim, *_chances(dropout))
        ctx.sizes = _sizes(dim, seed is not None, update is not None, weight is not None)
        if hidden.numel():
            programs = triton.cdiv(n_rows, ctx.sizes["PARTS"] * ctx.sizes["ROWS"])
            summed_kernel[(programs,)](
                hidden, update, weight, seed, total, normed, inverse, n_rows, *ctx.numbers, epsilon, **ctx.sizes
            )
        ctx.type_of_hidden, ctx.shape = hidden.dtype, hidden.shape
        read = (hidden if update is None else total) if weight is not None else None
        ctx.save_for_backward(read, weight, seed, inverse)
        return total, normed

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_total: Tensor | None, of_normed: Tensor | None) -> tuple[Tensor | None, ...]:
        total, weight, seed, inverse = ctx.saved_tensors
        normalises = weight is not None and of_normed is not None
        adds = ctx.type_of_update is not None
        summed_up = of_total if adds else None
        if summed_up is None and not normalises:
            return None, None, None, None, None
        device = (of_normed if normalises else summed_up).device  # type: ignore[union-attr]
        of_hidden = torch.empty(ctx.shape, dtype=ctx.type_of_hidden, device=device)
        of_update = torch.empty(ctx.shape, dtype=ctx.type_of_update, device=device) if adds else None
        dim = ctx.shape[-1]
        n_rows = of_hidden.numel() // dim
        pieces = triton.cdiv(n_rows, ctx.sizes["PARTS"] * ctx.sizes["ROWS"])
        programs = min(pieces, _PROGRAMS_BACK)
        of_weight = torch.empty(programs, dim, device=device) if normalises else None
        if programs:
            of_summed_kernel[(programs,)](
                total, weight, seed, inverse,
                None if summed_up is None else summed_up.contiguous(),
                of_normed.contiguous() if normalises else None,  # type: ignore[union-attr]
                of_hidden, of_update, of_weight, n_rows, *ctx.numbers,
                **{**ctx.sizes, "NORMALISES": normalises}, OF_TOTAL=summed_up is not None,
            )  # fmt: skip
        learned = of_weight.sum(0).to(weight.dtype) if of_weight is not None else None
        return of_hidden, of_update, learned, None, None


class _DroppedReLU(torch.autograd.Function):
    """Forward and backward of `dropped_relu`."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, probability: float) -> Tensor:
        states = states.contiguous()
        out = torch.empty_like(states)
        threshold, ctx.grown = _chances(probability)
        if states.numel():
            programs = triton.cdiv(states.numel(), 8 * _BLOCK)
            relu_kernel[(programs,)](
                states, _seed(states.device), out, states.numel(), threshold, ctx.grown, BLOCK=_BLOCK
            )
        ctx.save_for_backward(out)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (out,) = ctx.saved_tensors
        of_states = torch.empty_like(out)
        if out.numel():
            of_relu_kernel[(triton.cdiv(out.numel(), _BLOCK),)](
                out, gradient.contiguous(), of_states, out.numel(), ctx.grown, BLOCK=_BLOCK
            )
        return of_states, None


def _seed(device: torch.device) -> Tensor:
    """Drawn by PyTorch, which knows how to draw anew when a CUDA graph is replayed."""
    return torch.randint(1 << 62, (1,), device=device)


def _chances(dropout: float) -> tuple[int, float]:
    """Of 2^16 coins, how many drop a number; and what the others are multiplied by."""
    return round(dropout * _SIDES), 1 / (1 - dropout)


def _read_type(hidden: Tensor) -> torch.dtype:
    """The type in which a linear layer reads what was normalised."""
    of_device = hidden.device.type
    return torch.get_autocast_dtype(of_device) if torch.is_autocast_enabled(of_device) else hidden.dtype


def _sizes(dim: int, drops: bool, adds: bool, normalises: bool) -> dict[str, Any]:
    width = max(16, triton.next_power_of_2(dim))
    return {
        "WIDTH": width, "ROWS": max(1, _NUMBERS_OF_A_PART // width), "PARTS": 8 if drops else 1,
        "ADDS": adds, "NORMALISES": normalises, "DROPS": drops,
    }  # fmt: skip
