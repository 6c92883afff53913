"""Attention with a learned bias and dropout, trained in little memory, a part of the batch after the other.

PyTorch's own, where it has to learn a bias, keeps scores, weights and dropped weights of every layer for the backward
pass: 12 bytes for each pair of a query and a key, and the bias of every sequence and its gradient beside them. Here one
byte is kept, whether a weight was dropped, and the weights are computed once more. What is under way lies in the
processor's cache, so that this is no slower.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

_BYTES_AT_A_TIME = 2 << 20
"""Of scores, where a sequence does not need more by itself; from 1 to 8 MiB it makes no difference."""


class BiasInParts(NamedTuple):
    """A bias `by_place + by_key` that is never added up for all sequences.

    Attributes:
        by_place: float32 `[heads, q, m]`, the same for all sequences; it may be learned.
        by_key: float32 `[batch, 1, 1, m]`, 0 or -inf: which keys of each sequence are hidden.
    """

    by_place: Tensor
    by_key: Tensor


def lean_attention(
    query: Tensor, key: Tensor, value: Tensor, bias: BiasInParts, dropout: float, scale: float
) -> Tensor:
    """Attention from `query` `[batch, heads, q, head_dim]` to keys and values `[batch, heads, m, head_dim]`.

    Args:
        query: Queries.
        key: Keys.
        value: Values.
        bias: Added to the scaled scores. A query must see something.
        dropout: Of the attention weights, 0 to 1; drawn from the global generator, as `F.dropout` does.
        scale: Of the scores.

    Returns:
        `[batch, heads, q, head_dim]`. It can be differentiated once.
    """
    attended: Tensor = _LeanAttention.apply(query, key, value, bias.by_place, bias.by_key, dropout, scale)
    return attended


class _LeanAttention(torch.autograd.Function):
    """Forward and backward of `lean_attention`; names with `of_` are gradients."""

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
        batch, heads, n_queries, _ = query.shape
        kept = None
        if dropout:
            shape = (batch, heads, n_queries, key.shape[2])
            kept = torch.empty(shape, dtype=torch.bool, device=query.device).bernoulli_(1 - dropout)
        attended = torch.empty_like(query)
        for rows in _parts(batch, heads * n_queries * key.shape[2]):
            weights = _weights(query[rows], key[rows], by_place, by_key[rows], scale)
            if kept is not None:
                weights.mul_(kept[rows])
            attended[rows] = weights @ value[rows]
        attended.div_(1 - dropout)
        ctx.save_for_backward(query, key, value, by_place, by_key, kept, attended)
        ctx.dropout, ctx.scale = dropout, scale
        return attended

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, None, None, None]:
        query, key, value, by_place, by_key, kept, attended = ctx.saved_tensors
        of_query, of_key, of_value = (torch.empty_like(side) for side in (query, key, value))
        of_place = torch.zeros_like(by_place)
        # Each row of weights sums to 1, so that its gradient is left by what the row as a whole is worth.
        of_row = (gradient * attended).sum(-1, keepdim=True)
        gradient = gradient / (1 - ctx.dropout)
        for rows in _parts(len(query), query.shape[1] * query.shape[2] * key.shape[2]):
            weights = _weights(query[rows], key[rows], by_place, by_key[rows], ctx.scale)
            of_scores = gradient[rows] @ value[rows].transpose(-1, -2)
            if kept is None:
                of_value[rows] = weights.transpose(-1, -2) @ gradient[rows]
            else:
                of_scores.mul_(kept[rows])
                of_value[rows] = (weights * kept[rows]).transpose(-1, -2) @ gradient[rows]
            of_scores.sub_(of_row[rows]).mul_(weights)
            of_place += of_scores.sum(0)
            of_query[rows] = of_scores @ key[rows]
            of_key[rows] = of_scores.transpose(-1, -2) @ query[rows]
        return of_query.mul_(ctx.scale), of_key.mul_(ctx.scale), of_value, of_place, None, None, None


def _weights(query: Tensor, key: Tensor, by_place: Tensor, by_key: Tensor, scale: float) -> Tensor:
    """Attention weights `[rows, heads, q, m]` before dropout."""
    scores = query @ key.transpose(-1, -2)
    if scale != 1:
        scores.mul_(scale)
    return scores.add_(by_place).add_(by_key).softmax(-1)


def _parts(batch: int, scores_of_a_row: int) -> Iterator[slice]:
    """Rows of the batch that are computed at a time."""
    step = max(1, _BYTES_AT_A_TIME // (4 * max(1, scores_of_a_row)))
    return (slice(start, start + step) for start in range(0, batch, step))
