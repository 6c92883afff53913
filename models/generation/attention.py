"""Scaled dot-product attention for all networks here, by whichever of its ways suits device, shapes and bias.

Of our own are `lean_attention` on a CPU, and `small_attention` and `biased_attention` on a GPU; all ways are the same
function.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from models.generation.attention_layout import ROW_MULTIPLE
from models.generation.lean_attention import BiasInParts, lean_attention
from models.kernels import has_triton


@dataclass(frozen=True)
class SharedKeyValue:
    """Keys and values of many targets, looked up in tables by the attention itself instead of being copied for each.

    Attributes:
        key, value: `[heads, n_rows, head_dim]`.
        rows: int64 `[..., m]`, which rows are the keys and values of each target.
    """

    key: Tensor
    value: Tensor
    rows: Tensor

    def gathered(self) -> tuple[Tensor, Tensor]:
        """Keys and values `[..., heads, m, head_dim]`, copied."""
        rows = (F.embedding(self.rows, side.transpose(0, 1).flatten(1)) for side in (self.key, self.value))
        heads, _, head_dim = self.key.shape
        key, value = (side.unflatten(-1, (heads, head_dim)).transpose(-2, -3) for side in rows)
        return key, value


KeyValue: TypeAlias = tuple[Tensor, Tensor] | SharedKeyValue
"""Keys and values `[..., heads, m, head_dim]`, or tables of them."""


def attend(
    query: Tensor,
    key_value: KeyValue,
    bias: Tensor | BiasInParts | None,
    dropout: float = 0.0,
    scale: float | None = None,
) -> Tensor:
    """Scaled dot-product attention with as many leading dimensions as one likes.

    Targets with few tokens each read few keys by `small_attention` on a GPU, where Triton is installed (PyTorch brings
    it along on Linux, and not on Windows). PyTorch has fused kernels for one leading dimension alone: on a CPU more of
    them are made one, and a bias is learned through plain matrix products (`_attend_by_products`). These serve any
    device where queries share keys, for which there is no fused kernel.

    Args:
        query: `[..., heads, q, head_dim]`.
        key_value: Keys and values.
        bias: Added to the scores, broadcast to `[..., heads, q, m]`; -inf hides. A query must see something. In two
            parts (`BiasInParts`) it is learned in little memory, by one leading dimension of queries: on a CPU with
            `lean_attention`, on a GPU with `biased_attention`, where Triton is installed, which also serves biases that
            are not learned.
        dropout: Of the attention weights.
        scale: Of the scores; None divides them by the square root of `head_dim`.
    """
    if isinstance(bias, BiasInParts):
        assert not isinstance(key_value, SharedKeyValue), "tables of keys and values have no places"
        return _attend_in_parts(query, *key_value, bias, dropout, scale)
    if query.is_cuda and _are_few(query, key_value):
        return _attend_to_few(query, key_value, bias, scale, dropout)
    key, value = key_value.gathered() if isinstance(key_value, SharedKeyValue) else key_value
    if (parts := _in_parts(query, key, bias)) is not None:
        asked, keys, values = (side.unsqueeze(0) if side.ndim == 3 else side for side in (query, key, value))
        return _attend_in_parts(asked, keys, values, parts, dropout, scale).view_as(query)
    if not dropout and not _may_be_fused(query, key):
        return _attend_by_products(query, key, value, bias, scale)
    if not dropout and not query.is_cuda:
        return _attend_on_cpu(query, key, value, bias, scale)
    return F.scaled_dot_product_attention(query, key, value, attn_mask=bias, dropout_p=dropout, scale=scale)


def _attend_in_parts(
    query: Tensor, key: Tensor, value: Tensor, bias: BiasInParts, dropout: float, scale: float | None
) -> Tensor:
    """`attend` with a bias in two parts: a CPU goes by parts of the batch, a GPU by tiles, where Triton is installed.

    Where it is not, PyTorch's fused kernels learn the sum of both.
    """
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    if _has_tiles(query):
        from models.generation.biased_attention import biased_attention

        return biased_attention(query, key, value, bias, dropout, scale)
    if not query.is_cuda:
        return lean_attention(query, key, value, bias, dropout, scale)
    both = bias.by_place + bias.by_key
    return F.scaled_dot_product_attention(query, key, value, attn_mask=both, dropout_p=dropout, scale=scale)


def _has_tiles(query: Tensor) -> bool:
    """Whether `biased_attention` takes such queries here."""
    if not query.is_cuda or query.dtype == torch.float64 or not has_triton():
        return False
    from models.generation.biased_attention import MOST_WIDTH

    return query.shape[-1] <= MOST_WIDTH


def _in_parts(query: Tensor, key: Tensor, bias: Tensor | None) -> BiasInParts | None:
    """A bias in parts, where `biased_attention` is made for queries, keys and bias; else None.

    Queries and keys without a leading dimension are those of one sequence.

    That is where a bias hides keys of each sequence, as in a beam search that reads a history, and where queries with
    biases of their own share all keys, as in one that reads retrieved tokens.
    """
    if bias is None or bias.requires_grad or not _has_tiles(query):
        return None
    length = key.shape[-2]
    if query.shape[:-2] != key.shape[:-2]:
        return None
    if query.ndim == 4 and bias.shape == (len(query), 1, 1, length):
        return BiasInParts(bias.new_zeros(1, 1, length + -length % ROW_MULTIPLE), bias)
    if query.ndim == 3 and bias.shape == (query.shape[1], length):
        return BiasInParts(bias.unsqueeze(0), bias.new_zeros(1, 1, 1, length))
    return None


def _are_few(query: Tensor, key_value: KeyValue) -> bool:
    """Whether `small_attention` takes what every target asks, and what keys it has of its own."""
    if query.ndim < 4 or query.dtype == torch.float64 or not has_triton():
        return False
    from models.generation.small_attention import takes

    if isinstance(key_value, SharedKeyValue):
        return takes(query.shape[-2], key_value.rows.shape[-1], query.shape[-1])
    key, _ = key_value
    return key.shape[:-3] == query.shape[:-3] and takes(query.shape[-2], key.shape[-2], query.shape[-1])


def _attend_to_few(
    query: Tensor, key_value: KeyValue, bias: Tensor | None, scale: float | None, dropout: float = 0.0
) -> Tensor:
    """`attend` with `small_attention`, where leading dimensions are one."""
    from models.generation.small_attention import small_attention

    leading = query.shape[:-3]
    last = len(leading) - 1
    if bias is not None and bias.ndim > 3:
        bias = bias.expand(*leading, *bias.shape[-3:]).flatten(0, last)
    if isinstance(key_value, SharedKeyValue):
        key, value, rows = key_value.key, key_value.value, key_value.rows.flatten(0, last)
    else:
        key, value = (side.flatten(0, last) for side in key_value)
        rows = None
    return small_attention(query.flatten(0, last), key, value, bias, scale, rows, dropout).unflatten(0, leading)


def _may_be_fused(query: Tensor, key: Tensor) -> bool:
    """Whether queries and keys lie as PyTorch's fused kernels want them, every query with keys of its own."""
    return query.ndim > 3 and key.shape[:-3] == query.shape[:-3]


def _attend_on_cpu(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, scale: float | None) -> Tensor:
    """`attend` by PyTorch's fused kernel, which takes one leading dimension and learns no bias."""
    if bias is not None and bias.requires_grad and torch.is_grad_enabled():
        return _attend_by_products(query, key, value, bias, scale)
    leading = query.shape[:-3]
    last = len(leading) - 1
    if bias is not None and bias.ndim > 2:
        bias = bias.expand(*leading, *bias.shape[-3:]).flatten(0, last)
    query, key, value = (side.flatten(0, last) for side in (query, key, value))
    return F.scaled_dot_product_attention(query, key, value, attn_mask=bias, scale=scale).unflatten(0, leading)


def _attend_by_products(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, scale: float | None) -> Tensor:
    """`attend` in three steps.

    So does PyTorch wherever no fused kernel fits, but it scales queries and keys one by one, makes a copy of the
    scores to add the bias to, and looks through the weights for rows that see nothing.
    """
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    if bias is None:
        scores = (query * scale) @ key.transpose(-1, -2)
    else:
        leading = torch.broadcast_shapes(query.shape[:-2], key.shape[:-2])
        flat = [side.expand(*leading, *side.shape[-2:]).flatten(0, -3) for side in (query, key)]
        bias = bias.expand(*leading, *bias.shape[-2:]).flatten(0, -3)
        scores = torch.baddbmm(bias, flat[0], flat[1].transpose(1, 2), alpha=scale).unflatten(0, leading)
    return scores.softmax(-1) @ value
