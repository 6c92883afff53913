"""Training windows over users' histories: pairs of integers into the interactions, never copied sequences."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.data.interactions import PAD, Histories, Interactions, is_untimed
from models.training.divided import rows_of_part


@dataclass(frozen=True)
class WindowBatch:
    """Windows of consecutive events; every position has the next event as its target.

    Attributes:
        users: int64 `[batch]`, rows of the interactions.
        starts: int64 `[batch]`, position of the first event of the window in its user's row. Everything before is the
            window's long-term history.
        items: int64 `[batch, length]`, padded with `PAD`.
        timestamps: int64 `[batch, length]`, padded with 0.
        targets: int64 `[batch, length]`, the event after each position, padded with `PAD`; also `PAD` where that event
            is no target.
        kept: int64 `[batch, length]`, how many of the window's events each target's history holds, at least 1. All up
            to the target's position, unless the target is in a basket: then those before the basket.
        n_before: Sum of `starts`, the events of all long-term histories together, known without asking the device.
    """

    users: Tensor
    starts: Tensor
    items: Tensor
    timestamps: Tensor
    targets: Tensor
    kept: Tensor
    n_before: int | None = None


@dataclass(frozen=True)
class _EventsOnDevice:
    """Training events where batches are gathered: integers `[n_events]` each, offsets int64 `[n_users + 1]`.

    On a CPU these are views of the interactions.
    """

    items: Tensor
    timestamps: Tensor
    offsets: Tensor
    history_ends: Tensor | None

    @classmethod
    def of(cls, interactions: Interactions, history_ends: NDArray[np.int32] | None, device: str) -> _EventsOnDevice:
        def moved(array: NDArray[np.integer]) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(array)).to(device)

        if is_untimed(interactions.timestamps):
            timestamps = torch.zeros(1, dtype=torch.long, device=device).expand(interactions.n_events)
        else:
            timestamps = moved(interactions.timestamps)
        ends = None if history_ends is None else moved(history_ends)
        return cls(moved(interactions.items), timestamps, moved(interactions.offsets), ends)


def padded_shape(n_windows: int, width: int, longest: int, batch_events: int) -> tuple[int, int]:
    """One of few shapes that a batch of `n_windows` windows of at most `width` events fits into.

    Widths go in eighths of the longest window, numbers of windows in sixteenths of what fits into a batch at that
    width; the largest batches of the longest windows, by far the most of long histories, are not padded at all.
    """
    width = min(longest, -(-width // max(1, longest // 8)) * max(1, longest // 8))
    most = max(1, batch_events // width)
    step = max(1, most // 16)
    return (most if n_windows <= most and n_windows > most - step else -(-n_windows // step) * step), width


class TrainingWindows:
    """Cuts every user's training events into windows anew in each epoch.

    A user with at most `length` targets is one window. A longer history is cut at a random offset, so that
    over the epochs a target is seen with contexts of every length up to `length`; each event but a user's first
    is the target exactly once an epoch. Where there are baskets, the targets whose basket began before the window are
    left out of that epoch: of their short-term history nothing is in the window.

    Args:
        interactions: Training events.
        length: Most input events of a window.
        batch_events: Padded input events of a batch; windows of similar length share a batch.
        device: Where the batches go.
        history_ends: See `TrainingData.history_ends`.
        padded: Whether batches are filled up with windows without events to one of few shapes, so that a recorded step
            can be replayed for them.
    """

    def __init__(
        self,
        interactions: Interactions,
        length: int,
        batch_events: int,
        device: str,
        history_ends: NDArray[np.int32] | None = None,
        padded: bool = False,
    ) -> None:
        self.padded = padded
        self.interactions = interactions
        self.length = length
        self.batch_events = batch_events
        self.device = device
        self.history_ends = history_ends
        self._events = _EventsOnDevice.of(interactions, history_ends, device)

    def epoch(self, rng: np.random.Generator) -> WindowEpoch:
        """One pass over all targets, in random order."""
        users, starts, lengths = self._cut(rng)
        # A little noise in the sort key varies the company of each window without adding much padding.
        order = np.argsort(lengths + rng.uniform(0, 0.1 * self.length, len(lengths)), kind="stable")
        batches: list[NDArray[np.int64]] = []
        first = widest = 0
        for index, length in enumerate(lengths[order].tolist()):
            widest = max(widest, length)
            if index > first and widest * (index + 1 - first) > self.batch_events:
                batches.append(order[first:index])
                first, widest = index, length
        if len(order):
            batches.append(order[first:])
        shuffled = (batches[index] for index in rng.permutation(len(batches)))
        plan = [(users[chosen], starts[chosen], lengths[chosen]) for chosen in shuffled]
        return WindowEpoch(self, plan)

    def _cut(self, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Users, first events and numbers of input events of all windows of an epoch that have targets."""
        targets = np.maximum(self.interactions.lengths - 1, 0)
        offset = np.where(targets > self.length, rng.integers(0, self.length, len(targets)), 0)
        n_windows = -(-(targets + offset) // self.length)
        users = np.repeat(np.arange(len(targets)), n_windows)
        number = np.arange(len(users)) - np.repeat(np.cumsum(n_windows) - n_windows, n_windows)
        begin = number * self.length - offset[users]
        starts = np.maximum(begin, 0)
        lengths = np.minimum(begin + self.length, targets[users]) - starts
        if self.history_ends is not None and len(users):
            # The windows cover all events but the users' first ones, in their order.
            firsts = self.interactions.offsets[:-1][self.interactions.lengths > 0]
            latest = np.maximum.reduceat(np.delete(self.history_ends, firsts), np.cumsum(lengths) - lengths)
            has_targets = latest > starts
            users, starts, lengths = users[has_targets], starts[has_targets], lengths[has_targets]
        return users, starts, lengths

    def gather(self, users: NDArray[np.int64], starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> WindowBatch:
        """The batch of the windows that begin at event `starts` of `users` and have `lengths` targets."""
        n_windows, width = len(users), int(lengths.max())
        if self.padded:
            n_windows, width = padded_shape(n_windows, width, self.length, self.batch_events)
        triples = np.zeros((3, n_windows), dtype=np.int64)
        triples[:, : len(users)] = users, starts, lengths
        first, begin, n_targets = self._on_device(triples)
        column = torch.arange(width, device=self.device)
        filled = column < n_targets[:, None]
        source = torch.where(filled, (self._events.offsets[first] + begin)[:, None] + column, 0)
        following = source + filled
        items = torch.where(filled, self._events.items[source].long(), PAD)
        timestamps = torch.where(filled, self._events.timestamps[source], 0)
        targets = torch.where(filled, self._events.items[following].long(), PAD)
        if self._events.history_ends is None:
            kept = (column + 1).expand_as(filled)
        else:
            kept = self._events.history_ends[following].long() - begin[:, None]
            targets = targets.masked_fill(kept <= 0, PAD)
        return WindowBatch(first, begin, items, timestamps, targets, kept.clamp(min=1), int(starts.sum()))

    def _on_device(self, array: NDArray[np.int64]) -> Tensor:
        tensor = torch.from_numpy(array)
        return tensor.pin_memory().to(self.device, non_blocking=True) if self.device == "cuda" else tensor


class WindowEpoch:
    """The batches of one epoch, gathered as they are asked for."""

    def __init__(
        self,
        windows: TrainingWindows,
        plan: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]],
    ) -> None:
        self._windows = windows
        self._plan = plan

    @property
    def sizes(self) -> list[int]:
        """Windows of each batch."""
        return [len(users) for users, _, _ in self._plan]

    def part(self, number: int, of: int) -> WindowEpoch:
        """As many batches, each with every `of`-th window of its own; see `DivisibleBatches`."""
        chosen = (rows_of_part(number, of, size) for size in self.sizes)
        return WindowEpoch(
            self._windows,
            [(users[own], starts[own], n[own]) for own, (users, starts, n) in zip(chosen, self._plan, strict=True)],
        )

    def __len__(self) -> int:
        return len(self._plan)

    def __iter__(self) -> Iterator[WindowBatch]:
        return (self._windows.gather(*batch) for batch in self._plan)


def recent_window(histories: Histories, length: int, device: str) -> tuple[Tensor, Tensor, Tensor]:
    """The inputs for answering queries: each history's last `length` events.

    Returns:
        items int64 `[n, width]` padded with `PAD`, timestamps int64 `[n, width]`, and the number of events
        int64 `[n]`, where `width` is `length`, whatever the histories: padding never depends on the batch.
    """
    items, timestamps, kept = histories.last(length)
    return (
        torch.from_numpy(items.astype(np.int64)).to(device),
        torch.from_numpy(timestamps).to(device),
        torch.from_numpy(kept).to(device),
    )
