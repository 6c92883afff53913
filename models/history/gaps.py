"""Time between one event and the next, in a few classes (ChronoSID, arXiv 2607.03918)."""

from __future__ import annotations

import torch
from torch import Tensor

HOUR = 3600
BOUNDS = (HOUR, 24 * HOUR, 7 * 24 * HOUR, 30 * 24 * HOUR)
"""Seconds: under an hour, a day, a week, a month, and a month or longer."""

FIRST = len(BOUNDS) + 1
"""The class of an event before which nothing is known."""

N_CLASSES = FIRST + 1


def gap_classes(timestamps: Tensor) -> Tensor:
    """The class of the time between each event and the one before it in its row.

    Args:
        timestamps: int64 `[batch, length]`, seconds in ascending order. What stands at padding means nothing.

    Returns:
        int64 `[batch, length]`, how many of `BOUNDS` the time reaches; `FIRST` at the first position.

    >>> gap_classes(torch.tensor([[0, 0, 3599, 7199, 7199 + 86400]])).tolist()
    [[5, 0, 0, 1, 2]]
    """
    gaps = timestamps.diff(dim=1)
    reached = torch.stack([gaps >= bound for bound in BOUNDS]).sum(0)
    return torch.cat([torch.full_like(timestamps[:, :1], FIRST), reached], dim=1)
