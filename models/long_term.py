"""Long-term histories as rows of a ragged array: what a model reads beyond the short-term window, never copied."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True, eq=False)
class RaggedItems:
    """Items row after row on the model's device, chronological: int64 `[n_events]`, offsets int64 `[n_rows + 1]`."""

    items: Tensor
    offsets: Tensor

    @classmethod
    def from_arrays(cls, items: NDArray[np.int32], offsets: NDArray[np.int64], device: str) -> RaggedItems:
        return cls(torch.from_numpy(items.astype(np.int64)).to(device), torch.from_numpy(offsets).to(device))


@dataclass(frozen=True)
class LongTerm:
    """The long-term histories of a batch: rows of a ragged array, each up to a position.

    Attributes:
        events: The ragged array; equal for all batches of a training, so that an index of it may be kept.
        rows: int64 `[batch]`, the row of each sequence.
        ends: int64 `[batch]`; the long-term history is the first `ends` events of the row.
    """

    events: RaggedItems
    rows: Tensor
    ends: Tensor
