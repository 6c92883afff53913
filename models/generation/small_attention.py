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

from models.generation.small_attention_kernels import backward_kernel, forward_kernel

MOST_QUERIES = 8
"""Queries that are few: beyond, the fused kernels of PyTorch are no slower."""

MOST_KEYS = 256
"""Keys that are few: those of a head of one target stay in the registers of one program."""


class _SmallAttention(torch.autograd.Function):
    """Arguments as for `small_attention`, the bias expanded to `[n, heads, q, m]`."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, bias: Tensor, scale: float) -> Tensor:
        n, heads, n_queries, head_dim = query.shape
        out = _heads_inside(n, heads, n_queries, head_dim, query)
        log_total = torch.empty(n, heads, n_queries, device=query.device)
        ctx.sizes = _sizes(n_queries, key.shape[2], head_dim)
        if out.numel():
            forward_kernel[(n * heads,)](
                query, key, value, bias, out, log_total, scale, heads,
                *query.stride()[:3], *key.stride()[:3], *value.stride()[:3], *bias.stride()[:3], *out.stride()[:3],
                key.shape[2], **ctx.sizes,
            )  # fmt: skip
        ctx.scale = scale
        ctx.save_for_backward(query, key, value, bias, out, log_total)
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, bias, out, log_total = ctx.saved_tensors
        (grad,) = gradients
        if grad.stride(-1) != 1:
            grad = grad.contiguous()
        n, heads, n_queries, head_dim = query.shape
        n_keys = key.shape[2]
        grad_query = _heads_inside(n, heads, n_queries, head_dim, query)
        grad_key = _heads_inside(n, heads, n_keys, head_dim, key)
        grad_value = _heads_inside(n, heads, n_keys, head_dim, key)
        of_bias = bool(ctx.needs_input_grad[3])
        grad_bias = torch.empty((n, heads, n_queries, n_keys) if of_bias else (0,), device=query.device)
        if out.numel():
            backward_kernel[(n * heads,)](
                query, key, value, bias, out, log_total, grad, grad_query, grad_key, grad_value, grad_bias,
                ctx.scale, heads,
                *query.stride()[:3], *key.stride()[:3], *value.stride()[:3], *bias.stride()[:3], *out.stride()[:3],
                *grad.stride()[:3], *grad_key.stride()[:3],
                n_keys, OF_BIAS=of_bias, **ctx.sizes,
            )  # fmt: skip
        return grad_query, grad_key, grad_value, grad_bias.to(bias.dtype) if of_bias else None, None


def small_attention(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, scale: float | None) -> Tensor:
    """Scaled dot-product attention for at most `MOST_QUERIES` queries and `MOST_KEYS` keys a sequence.

    Scores, weights and sums are float32, whatever the type of what comes in.

    Args:
        query: `[n, heads, q, head_dim]`, on a GPU.
        key, value: `[n, heads, m, head_dim]`, taken to the type of the queries.
        bias: Added to the scores, broadcast to `[n, heads, q, m]`; -inf hides. A query must see something.
        scale: Of the scores; None divides them by the square root of `head_dim`.

    Returns:
        `[n, heads, q, head_dim]`, laid out in memory so that the heads of a query lie side by side.
    """
    n, heads, n_queries, head_dim = query.shape
    if n_queries > MOST_QUERIES or key.shape[2] > MOST_KEYS:
        raise ValueError(f"{n_queries} queries and {key.shape[2]} keys are more than small attention is made for")
    if bias is None:
        bias = torch.zeros(1, device=query.device)
    bias = bias.expand(n, heads, n_queries, key.shape[2])
    query, key, value = (_dense_last(states.to(query.dtype)) for states in (query, key, value))
    if bias.stride(-1) != 1:
        bias = bias.contiguous()
    attended: Tensor = _SmallAttention.apply(query, key, value, bias, head_dim**-0.5 if scale is None else scale)
    return attended


def _dense_last(states: Tensor) -> Tensor:
    return states if states.stride(-1) == 1 else states.contiguous()


def _heads_inside(n: int, heads: int, length: int, head_dim: int, like: Tensor) -> Tensor:
    """An uninitialised `[n, heads, length, head_dim]` in which the heads of a row lie side by side in memory."""
    return torch.empty(n, length, heads, head_dim, dtype=like.dtype, device=like.device).transpose(1, 2)


def _sizes(n_queries: int, n_keys: int, head_dim: int) -> dict[str, int]:
    """Compile-time sizes, rounded up to powers of two where threads share them out, and the number of warps."""
    keys, width = triton.next_power_of_2(n_keys), triton.next_power_of_2(head_dim)
    warps = min(8, max(1, keys * width // 1024))
    return {"N_QUERIES": n_queries, "KEYS": keys, "WIDTH": width, "HEAD": head_dim, "num_warps": warps}
