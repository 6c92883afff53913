"""Attention of few queries to few keys of their own: tokens of one target, and what a search retrieved for it.

A training step of GLASS has some sixteen thousand targets, each with three tokens that read one another and two that
read twenty retrieved events. PyTorch's fused kernels work in tiles of 64 queries, and its products of tiny matrices
pass scores through memory several times; here one program of a few threads does all for one head of one target.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
from torch import Tensor

from models.generation.attention_layout import dense_last, heads_inside
from models.generation.small_attention_kernels import backward_kernel, forward_kernel

MOST_QUERIES = 8
"""Queries that are few: beyond, the fused kernels of PyTorch are no slower."""

MOST_KEYS = 256
"""Keys that are few: those of a head of one target stay in the registers of one program."""


class _SmallAttention(torch.autograd.Function):
    """Arguments as for `small_attention`, with a bias `[n, heads, q, m]` and tables `[1, heads, n_rows, head_dim]`."""

    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, bias: Tensor, rows: Tensor | None, scale: float
    ) -> Tensor:
        n, heads, n_queries, head_dim = query.shape
        n_keys = bias.shape[-1]
        out = heads_inside(query)
        log_total = torch.empty(n, heads, n_queries, device=query.device)
        ctx.scale, ctx.sizes = scale, _sizes(n_queries, n_keys, head_dim, rows is not None)
        if out.numel():
            forward_kernel[(n * heads,)](
                query, key, value, rows, bias, out, log_total, scale, heads,
                *_strides(query), *_strides(key), *_strides(value), *_strides(bias), *_strides(out),
                n_keys, **ctx.sizes,
            )  # fmt: skip
        ctx.save_for_backward(query, key, value, rows, bias, out, log_total)
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, rows, bias, out, log_total = ctx.saved_tensors
        grad = dense_last(gradients[0])
        grad_query = heads_inside(query)
        grad_key, grad_value = (heads_inside(key, added_up=rows is not None) for _ in range(2))
        of_bias = bool(ctx.needs_input_grad[3])
        grad_bias = torch.empty(bias.shape if of_bias else (0,), device=query.device)
        if out.numel():
            n, heads = query.shape[:2]
            backward_kernel[(n * heads,)](
                query, key, value, rows, bias, out, log_total, grad, grad_query, grad_key, grad_value, grad_bias,
                ctx.scale, heads,
                *_strides(query), *_strides(key), *_strides(value), *_strides(bias), *_strides(out), *_strides(grad),
                *_strides(grad_key), bias.shape[-1], OF_BIAS=of_bias, **ctx.sizes,
            )  # fmt: skip
        of_key, of_value = grad_key.to(key.dtype), grad_value.to(value.dtype)
        return grad_query, of_key, of_value, grad_bias.to(bias.dtype) if of_bias else None, None, None


def small_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    bias: Tensor | None = None,
    scale: float | None = None,
    rows: Tensor | None = None,
) -> Tensor:
    """Scaled dot-product attention for at most `MOST_QUERIES` queries and `MOST_KEYS` keys a sequence.

    Scores, weights and sums are float32, whatever the type of what comes in.

    Args:
        query: `[n, heads, q, head_dim]`, on a GPU.
        key, value: `[n, heads, m, head_dim]`, taken to the type of the queries; with `rows` tables
            `[heads, n_rows, head_dim]` that all sequences share.
        bias: Added to the scores, broadcast to `[n, heads, q, m]`; -inf hides. A query must see something.
        scale: Of the scores; None divides them by the square root of `head_dim`.
        rows: int64 `[n, m]`, which rows of the tables are the keys and values of each sequence.

    Returns:
        `[n, heads, q, head_dim]`, laid out in memory so that the heads of a query lie side by side.
    """
    n, heads, n_queries, head_dim = query.shape
    n_keys = key.shape[2] if rows is None else rows.shape[1]
    if n_queries > MOST_QUERIES or n_keys > MOST_KEYS:
        raise ValueError(f"{n_queries} queries and {n_keys} keys are more than small attention is made for")
    if bias is None:
        bias = torch.zeros(1, device=query.device)
    bias = dense_last(bias.expand(n, heads, n_queries, n_keys))
    if rows is not None:
        key, value, rows = key.unsqueeze(0), value.unsqueeze(0), rows.contiguous()
    query, key, value = (dense_last(states.to(query.dtype)) for states in (query, key, value))
    scale = head_dim**-0.5 if scale is None else scale
    attended: Tensor = _SmallAttention.apply(query, key, value, bias, rows, scale)
    return attended


def _strides(states: Tensor) -> tuple[int, int, int]:
    """Elements from one sequence, head and row to the next; a table is the same for all sequences."""
    sequence, head, row, _ = states.stride()
    return (0 if len(states) == 1 else sequence), head, row


def _sizes(n_queries: int, n_keys: int, head_dim: int, by_row: bool) -> dict[str, int]:
    """Compile-time sizes, rounded up to powers of two where threads share them out, and the number of warps."""
    keys, width = triton.next_power_of_2(n_keys), triton.next_power_of_2(head_dim)
    warps = min(8, max(1, keys * width // 1024))
    return {
        "N_QUERIES": n_queries, "KEYS": keys, "WIDTH": width, "HEAD": head_dim, "BY_ROW": by_row, "num_warps": warps
    }  # fmt: skip
