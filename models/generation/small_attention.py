"""Attention of few queries to few keys of their own: tokens of one target, and what they read of its history.

A training step of GLASS has some sixteen thousand targets, each with three tokens that read one another and two that
read twenty retrieved events; its official form has two thousand, with four tokens that read 151 of the history.
PyTorch's fused kernels work in tiles of 64 queries, and its products of tiny matrices pass scores through memory
several times; here one program of a few threads does all for one head of one target. For the backward pass one byte a
weight is kept, whether it was dropped.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
from torch import Tensor

from models.generation.attention_layout import dense_last, heads_inside, kept_weights
from models.generation.small_attention_kernels import backward_kernel, forward_kernel

MOST_QUERIES = 8
"""Queries that are few: beyond, the fused kernels of PyTorch are no slower."""

MOST_KEYS = 256
"""Keys that are few: those of a head of one target stay in the registers of one program."""

MOST_NUMBERS = 1 << 14
"""Of the keys of one head: more of them, and as many of the values, do not fit into registers."""

KEYS_OF_A_TILE = 64
"""Keys of a program of the backward pass, which holds their gradients beside them."""


class _SmallAttention(torch.autograd.Function):
    """Arguments as for `small_attention`, with a bias `[n, heads, q, m]` and tables `[1, heads, n_rows, head_dim]`."""

    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        bias: Tensor,
        rows: Tensor | None,
        scale: float,
        dropout: float,
    ) -> Tensor:
        n, heads, n_queries, head_dim = query.shape
        n_keys = bias.shape[-1]
        out = heads_inside(query)
        log_total = torch.empty(n, heads, n_queries, device=query.device)
        kept = kept_weights((n, heads, n_queries, n_keys), dropout, query.device) if dropout else None
        ctx.numbers = (scale, 1 / (1 - dropout), heads)
        if out.numel():
            forward_kernel[(n * heads,)](
                query, key, value, rows, bias, kept, out, log_total, *ctx.numbers,
                *_strides(query), *_strides(key), *_strides(value), *_strides(bias), *_strides(out), n_keys,
                BY_ROW=rows is not None, DROPS=kept is not None, **_sizes(n_queries, n_keys, head_dim),
            )  # fmt: skip
        ctx.save_for_backward(query, key, value, rows, bias, kept, out, log_total)
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, rows, bias, kept, out, log_total = ctx.saved_tensors
        (n, heads, n_queries, head_dim), n_keys = query.shape, bias.shape[-1]
        tiles = triton.cdiv(n_keys, KEYS_OF_A_TILE)
        grad = dense_last(gradients[0])
        # With one tile it is the gradient, otherwise the parts of it that the keys of each tile make.
        grad_query = torch.empty(
            (tiles, n, n_queries, heads, head_dim),
            dtype=query.dtype if tiles == 1 else torch.float32,
            device=query.device,
        ).transpose(2, 3)
        grad_key, grad_value = (heads_inside(key, added_up=rows is not None) for _ in range(2))
        of_bias = bool(ctx.needs_input_grad[3])
        grad_bias = torch.empty(bias.shape if of_bias else (0,), device=query.device)
        if out.numel():
            backward_kernel[(n * heads * tiles,)](
                query, key, value, rows, bias, kept, out, log_total, grad, grad_query, grad_key, grad_value, grad_bias,
                *ctx.numbers,
                *_strides(query), *_strides(key), *_strides(value), *_strides(bias), *_strides(out), *_strides(grad),
                *_strides(grad_key), grad_query.stride(0), n_keys,
                BY_ROW=rows is not None, DROPS=kept is not None, OF_BIAS=of_bias, TILES=tiles,
                **_sizes(n_queries, min(n_keys, KEYS_OF_A_TILE), head_dim),
            )  # fmt: skip
        of_query = grad_query[0] if tiles == 1 else grad_query.sum(0).to(query.dtype)
        of_key, of_value = grad_key.to(key.dtype), grad_value.to(value.dtype)
        return of_query, of_key, of_value, grad_bias.to(bias.dtype) if of_bias else None, None, None, None


def takes(n_queries: int, n_keys: int, head_dim: int) -> bool:
    """Whether `small_attention` is made for so many queries and keys, and heads so wide."""
    return n_queries <= MOST_QUERIES and n_keys <= MOST_KEYS and n_keys * head_dim <= MOST_NUMBERS


def small_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    bias: Tensor | None = None,
    scale: float | None = None,
    rows: Tensor | None = None,
    dropout: float = 0.0,
) -> Tensor:
    """Scaled dot-product attention for at most `MOST_QUERIES` queries and `MOST_KEYS` keys a sequence (see `takes`).

    Scores, products, weights and sums are float32, whatever the type of what comes in.

    Args:
        query: `[n, heads, q, head_dim]`, on a GPU.
        key, value: `[n, heads, m, head_dim]`, taken to the type of the queries; with `rows` tables
            `[heads, n_rows, head_dim]` that all sequences share.
        bias: Added to the scores, broadcast to `[n, heads, q, m]`; -inf hides. A query must see something.
        scale: Of the scores; None divides them by the square root of `head_dim`.
        rows: int64 `[n, m]`, which rows of the tables are the keys and values of each sequence.
        dropout: Of the attention weights, from 0 to below 1; drawn from the global generator of the device.

    Returns:
        `[n, heads, q, head_dim]`, laid out in memory so that the heads of a query lie side by side.
    """
    n, heads, n_queries, head_dim = query.shape
    n_keys = key.shape[2] if rows is None else rows.shape[1]
    if not takes(n_queries, n_keys, head_dim):
        raise ValueError(f"{n_queries} queries and {n_keys} keys of {head_dim} are more than small attention takes")
    if bias is None:
        bias = torch.zeros(1, device=query.device)
    bias = dense_last(bias.expand(n, heads, n_queries, n_keys))
    if rows is not None:
        key, value, rows = key.unsqueeze(0), value.unsqueeze(0), rows.contiguous()
    query, key, value = (dense_last(states.to(query.dtype)) for states in (query, key, value))
    scale = head_dim**-0.5 if scale is None else scale
    attended: Tensor = _SmallAttention.apply(query, key, value, bias, rows, scale, dropout)
    return attended


def _strides(states: Tensor) -> tuple[int, int, int]:
    """Elements from one sequence, head and row to the next; a table is the same for all sequences."""
    sequence, head, row, _ = states.stride()
    return (0 if len(states) == 1 else sequence), head, row


def _sizes(n_queries: int, n_keys: int, head_dim: int) -> dict[str, int]:
    """Compile-time sizes, rounded up to powers of two where threads share them out, and the number of warps."""
    keys, width = triton.next_power_of_2(n_keys), triton.next_power_of_2(head_dim)
    warps = min(8, max(1, keys * width // 1024))
    return {"N_QUERIES": n_queries, "KEYS": keys, "WIDTH": width, "HEAD": head_dim, "num_warps": warps}
