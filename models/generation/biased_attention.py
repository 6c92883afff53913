"""Attention with a bias and dropout, on a GPU without scores that pass through memory, in training and in answers.

PyTorch's efficient attention takes a bias of every sequence, query and key, and gives its gradient in that shape: for a
learned bias that all sequences share, and an encoder with heads of 32, both are several times what is multiplied. Here
a bias stays in the two parts of a `BiasInParts`, and one byte a weight is kept for the backward pass, whether it was
dropped. `lean_attention` is the same function on a CPU.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
import triton
from torch import Tensor
from torch.autograd.function import once_differentiable

from models.generation.attention_layout import ROW_MULTIPLE, dense_last, heads_inside, kept_weights
from models.generation.biased_attention_kernels import (
    forward_kernel,
    of_key_kernel,
    of_place_kernel,
    of_query_kernel,
)
from models.generation.lean_attention import BiasInParts

MOST_WIDTH = 128
"""Of a head: tiles of wider ones do not fit."""


class Tiles(NamedTuple):
    """How a kernel divides its work: queries and keys at a time, warps of a program, loads under way at a time."""

    queries: int
    keys: int
    warps: int
    stages: int


# 64 rows of scores are what four warps multiply at once on Hopper. The best of twelve divisions each, on an H200 with
# 152 tokens in heads of 32; others take up to four times as long. Of wider heads fewer queries fit at a time. `FEW` are
# the queries of a beam.
FORWARD = Tiles(64, 32, 4, 1)
FEW = Tiles(32, 32, 2, 1)
OF_QUERY = Tiles(64, 32, 4, 2)
OF_KEY = Tiles(64, 64, 4, 1)
OF_WIDE_KEY = Tiles(32, 64, 4, 2)
OF_PLACE = Tiles(64, 32, 4, 2)

_PROGRAMS_OF_PLACE = 2048
"""So many add up the gradient of what is learned, where a head has few tiles: several for each processor of a GPU."""


def biased_attention(
    query: Tensor, key: Tensor, value: Tensor, bias: BiasInParts, dropout: float, scale: float
) -> Tensor:
    """Attention from `query` `[batch, heads, q, head_dim]` to keys and values `[batch, heads, m, head_dim]`.

    Scores, weights and sums are float32; products of float32 are TF32 where `torch.set_float32_matmul_precision` allows
    it.

    Args:
        query: Queries, on a GPU, float32 or of two bytes, heads no wider than `MOST_WIDTH`.
        key, value: Taken to the type of the queries.
        bias: Added to the scaled scores: by place `[heads or 1, q or 1, m or more]`, by key `[batch or 1, 1, 1, m]`. A
            query must see something.
        dropout: Of the attention weights, from 0 to below 1; drawn from the global generator of the device.
        scale: Of the scores.

    Returns:
        `[batch, heads, q, head_dim]`, laid out in memory so that the heads of a query lie side by side. It can be
        differentiated once.
    """
    if query.shape[-1] > MOST_WIDTH:
        raise ValueError(f"heads of {query.shape[-1]} are wider than biased attention is made for")
    if not query.shape[:2] == key.shape[:2] == value.shape[:2] or len(bias.by_key) not in (1, len(query)):
        raise ValueError("queries, keys, values and hidden keys are not of the same sequences and heads")
    query, key, value = (dense_last(side.to(query.dtype)) for side in (query, key, value))
    by_key = dense_last(bias.by_key)
    attended: Tensor = _BiasedAttention.apply(query, key, value, bias.by_place, by_key, dropout, scale)
    return attended


class _BiasedAttention(torch.autograd.Function):
    """Forward and backward of `biased_attention`; names with `of_` are gradients."""

    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        by_place: Tensor,
        by_key: Tensor,
        dropout: float,
        scale: float,
    ) -> Tensor:
        batch, heads, n_queries, head_dim = query.shape
        n_keys = key.shape[2]
        row = n_keys + -n_keys % ROW_MULTIPLE
        places = by_place.float()
        if row > places.shape[-1]:
            places = F.pad(places, (0, row - n_keys))
        places = places.contiguous()
        kept = kept_weights((batch, heads, n_queries, row), dropout, query.device) if dropout else None
        out = heads_inside(query)
        log_total = torch.empty(batch, heads, n_queries, device=query.device)
        ctx.numbers, ctx.type_of_place = (scale, 1 / (1 - dropout), heads), by_place.dtype
        ctx.sizes = {
            "WIDTH": max(16, triton.next_power_of_2(head_dim)), "HEAD": head_dim, "DROPS": kept is not None,
            "PRECISION": "ieee" if torch.get_float32_matmul_precision() == "highest" else "tf32",
        }  # fmt: skip
        tiles = FEW if n_queries <= FEW.queries else FORWARD
        if out.numel():
            forward_kernel[(batch * heads * triton.cdiv(n_queries, tiles.queries),)](
                query, key, value, places, by_key, kept, out, log_total, *ctx.numbers,
                *_strides(query, key, value), *_strides_of_bias(places, by_key), *_strides(out), n_queries, n_keys, row,
                **ctx.sizes, **_launched(tiles, query),
            )  # fmt: skip
        ctx.save_for_backward(query, key, value, places, by_key, kept, out, log_total)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, places, by_key, kept, out, log_total = ctx.saved_tensors
        batch, heads, n_queries, _ = query.shape
        n_keys, row = key.shape[2], places.shape[-1]
        of_query, of_key, of_value = (heads_inside(side) for side in (query, key, value))
        tiles_of_place = heads * triton.cdiv(n_queries, OF_PLACE.queries) * triton.cdiv(n_keys, OF_PLACE.keys)
        share = triton.cdiv(batch, triton.cdiv(_PROGRAMS_OF_PLACE, max(1, tiles_of_place)))
        parts = triton.cdiv(batch, max(1, share)) if ctx.needs_input_grad[3] else 0
        of_place = torch.empty(parts, heads, n_queries, row, device=query.device)
        if out.numel():
            grad = dense_last(gradient.to(query.dtype))
            of_total = torch.empty_like(log_total)
            read, found = (query, key, value, places, by_key, kept), (grad, log_total, of_total)
            counts = (n_queries, n_keys, row)
            strides = (*_strides(query, key, value), *_strides_of_bias(places, by_key))
            of_query_kernel[(batch * heads * triton.cdiv(n_queries, OF_QUERY.queries),)](
                *read, out, *found, of_query, *ctx.numbers, *strides, *_strides(out, grad, of_query), *counts,
                **ctx.sizes, **_launched(OF_QUERY, query),
            )  # fmt: skip
            by_keys = OF_KEY if query.shape[-1] <= 32 else OF_WIDE_KEY
            of_key_kernel[(batch * heads * triton.cdiv(n_keys, by_keys.keys),)](
                *read, *found, of_key, of_value, *ctx.numbers, *strides, *_strides(grad, of_key), *counts,
                **ctx.sizes, **_launched(by_keys, query),
            )  # fmt: skip
            if parts:
                of_place_kernel[(parts * tiles_of_place,)](
                    *read, *found, of_place, *ctx.numbers, *strides, *_strides(grad), *counts, batch, share,
                    **ctx.sizes, **_launched(OF_PLACE, query),
                )  # fmt: skip
        learned = None
        if ctx.needs_input_grad[3]:
            shared = (*places.shape[:2], n_keys)
            learned = of_place.sum(0)[..., :n_keys].sum_to_size(shared).to(ctx.type_of_place)
        return of_query, of_key, of_value, learned, None, None, None


def _strides(*tensors: Tensor) -> list[int]:
    """Elements from one sequence, head and row of each to the next."""
    return [stride for states in tensors for stride in states.stride()[:3]]


def _strides_of_bias(places: Tensor, by_key: Tensor) -> tuple[int, int, int]:
    """Elements from one head and query to the next, and from one sequence: 0 where there is one for all."""
    of_head, of_query, _ = (
        stride if size > 1 else 0 for stride, size in zip(places.stride(), places.shape, strict=True)
    )
    return of_head, of_query, by_key.stride(0) if len(by_key) > 1 else 0


def _launched(tiles: Tiles, query: Tensor) -> dict[str, int]:
    """What a kernel is compiled for; loads of wide rows are not held twice, for which there is no room."""
    wide = query.shape[-1] * query.element_size() > 256
    return {
        "QUERIES": tiles.queries, "KEYS": tiles.keys, "num_warps": tiles.warps,
        "num_stages": 1 if wide else tiles.stages,
    }  # fmt: skip
