"""Long-term histories as rows of a ragged array: what a model reads beyond the short-term window, never copied."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True, eq=False)
class RaggedItems:
    """Holds all histories on the model's device, so that none is ever copied for a batch.

    Attributes:
        items: int32 or int64 `[n_events]`, row after row, chronological. On a CPU it is the very array that it was made
            from, which may be mapped from a file: nothing but what is asked for (`at`) is read.
        offsets: int64 `[n_rows + 1]`, where each row begins; the last is `n_events`.
        longest: Events of the longest row, known without asking the device.
    """

    items: Tensor
    offsets: Tensor
    longest: int

    @classmethod
    def from_arrays(cls, items: NDArray[np.int32], offsets: NDArray[np.int64], device: str) -> RaggedItems:
        longest = int(np.diff(offsets).max(initial=0))
        return cls(_shared(items).to(device), torch.from_numpy(offsets).to(device), longest)

    def at(self, index: Tensor) -> Tensor:
        """The items int64 `[...]` at indices int64 `[...]`."""
        return self.items[index].long()


def _shared(array: NDArray[np.int32]) -> Tensor:
    """A tensor over an array's own memory, for reading alone."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(np.ascontiguousarray(array))


@dataclass(frozen=True)
class LongTerm:
    """Names the long-term histories of a batch by rows of a ragged array, each up to a position.

    Attributes:
        events: The ragged array; equal for all batches of a training, so that an index of it can be made once.
        rows: int64 `[batch]`, the row of each sequence.
        ends: int64 `[batch]`; the long-term history is the first `ends` events of the row, or the last `horizon` of
            these. For a search, it may end elsewhere for every position, `[batch, positions]`.
        n_events: Sum of `ends`, for a caller who knows it without asking the device; else None.
        horizon: Only so many events before each of `ends` count. None: all of them.
        summary: What a network makes of these histories before it is trained or asked, if that was done beforehand
            (`SIDGenerator.summarise`).
    """

    events: RaggedItems
    rows: Tensor
    ends: Tensor
    n_events: int | None = None
    summary: Tensor | None = None
    horizon: int | None = None

    @property
    def begins(self) -> Tensor:
        """Where the long-term history of each of `ends` begins in its row, int64 of the same shape."""
        return torch.zeros_like(self.ends) if self.horizon is None else (self.ends - self.horizon).clamp(min=0)

    @property
    def lengths(self) -> Tensor:
        """Events of the long-term history of each of `ends`, int64 of the same shape."""
        return self.ends if self.horizon is None else self.ends.clamp(max=self.horizon)

    def flattened(self) -> tuple[Tensor, Tensor]:
        """Lists all events of the batch's histories, one history after the other: of which sequence, of which item.

        Returns:
            Two int64 `[sum(lengths)]`, the number of the sequence in the batch and the item.
        """
        lengths, known = self.lengths, self.n_events if self.horizon is None else None
        sequence = torch.repeat_interleave(
            torch.arange(len(self.rows), device=self.ends.device), lengths, output_size=known
        )
        skipped = self.events.offsets[self.rows] + self.begins - (lengths.cumsum(0) - lengths)
        index = torch.arange(len(sequence), device=self.ends.device) + skipped[sequence]
        return sequence, self.events.at(index)

    def each(self) -> Iterator[NDArray[np.int32]]:
        """Yields the items of each history of the batch, views of the ragged array, on a CPU."""
        items, begins = self.events.items.numpy(), self.events.offsets[self.rows] + self.begins
        for begin, length in zip(begins.tolist(), self.lengths.tolist(), strict=True):
            yield items[begin : begin + length]


def count_cells(cells: Tensor, n_cells: int) -> Tensor:
    """How often each of the numbers `0 .. n_cells - 1` occurs among `cells` (int64 `[n]`): int64 `[n_cells]`."""
    if not cells.is_cuda:
        return torch.bincount(cells, minlength=n_cells)
    # `bincount` asks a GPU for the largest number, and waits for the answer.
    one = torch.ones((), dtype=torch.long, device=cells.device)
    return torch.zeros(n_cells, dtype=torch.long, device=cells.device).scatter_add_(0, cells, one.expand_as(cells))


def look_up(values: Tensor, index: Tensor) -> Tensor:
    """Returns `values` (integers `[n]`) at indices int64 `[...]`, as int64; anything where the index is `PAD`."""
    return values[index.clamp(min=0)].long() if len(values) else torch.zeros_like(index)
