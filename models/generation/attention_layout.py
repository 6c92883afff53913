"""How what goes into attention kernels, and comes out of them, lies in memory, and which weights they drop."""

from __future__ import annotations

import torch
from torch import Tensor

ROW_MULTIPLE = 16
"""Rows of biases and of dropped weights are filled up to a multiple of so many keys: a thread loads several at once."""


def dense_last(states: Tensor) -> Tensor:
    """The same numbers with the last dimension dense; copied only where it is not."""
    return states if states.stride(-1) == 1 else states.contiguous()


def heads_inside(like: Tensor, added_up: bool = False) -> Tensor:
    """A tensor of the shape `[n, heads, length, head_dim]` of another, the heads of a row side by side in memory.

    It is not initialised, or float32 zeros to which gradients are added up.
    """
    n, heads, length, head_dim = like.shape
    shape = (n, length, heads, head_dim)
    if added_up:
        return torch.zeros(shape, device=like.device).transpose(1, 2)
    return torch.empty(shape, dtype=like.dtype, device=like.device).transpose(1, 2)


def kept_weights(shape: tuple[int, ...], dropout: float, device: torch.device) -> Tensor:
    """Which weights remain, uint8, drawn by PyTorch, which knows how to draw anew when a CUDA graph is replayed."""
    return torch.empty(shape, dtype=torch.bool, device=device).bernoulli_(1 - dropout).view(torch.uint8)
