"""Training targets one by one: each is a triple of integers, and what it may read is gathered per batch.

This is how the official GLASS code and TIGER are trained: a bidirectional encoder can't serve the targets of several
positions in one pass, as `models.training.windows` does for a causal one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.data.dataset import TrainingData
from bench.data.interactions import PAD
from models.history.long_term import LongTerm, RaggedItems
from models.training.divided import rows_of_part


@dataclass(frozen=True)
class TargetBatch:
    """Targets, and the events before them.

    Attributes:
        items: int64 `[batch, short_term]`, the most recent events of each target's history, oldest first, left-aligned
            and padded with `PAD`.
        targets: int64 `[batch]`.
        long_term: Everything before `items`.
    """

    items: Tensor
    targets: Tensor
    long_term: LongTerm


@dataclass(frozen=True)
class Targets:
    """Training targets as index triples, int64 `[n]` each.

    Attributes:
        users: Their rows.
        positions: Their places in the rows.
        ends: The history of each is the first `ends` events of its row, at least 1.
    """

    users: Tensor
    positions: Tensor
    ends: Tensor

    def split(self, size: int) -> Iterator[Targets]:
        """Batches of at most `size`, in order; none where there are no targets."""
        if not len(self.users):
            return iter(())
        parts = (part.split(size) for part in (self.users, self.positions, self.ends))
        return (Targets(*batch) for batch in zip(*parts, strict=True))

    def part(self, number: int, of: int) -> Targets:
        """Every `of`-th target from target `number` on; the first where there are fewer."""
        own = rows_of_part(number, of, len(self.users))
        return Targets(self.users[own], self.positions[own], self.ends[own])


class TargetPool:
    """All training targets, from which an epoch draws some. Holds one integer a target, or none.

    Args:
        lengths: int64 `[n_users]`, training events of each user.
        history_ends: See `TrainingData.history_ends`. None: every event but a user's first is a target, and its history
            is what comes before it.
    """

    def __init__(self, lengths: NDArray[np.int64], history_ends: NDArray[np.int32] | None = None) -> None:
        self._last = np.cumsum(lengths)
        self._begin = self._last - lengths
        self._ends = history_ends
        if history_ends is None:  # the numbers of all events but each user's first, without listing them
            self._targets_before = np.cumsum(np.maximum(lengths - 1, 0))
            self.size = int(self._targets_before[-1]) if len(lengths) else 0
        else:
            self._events = np.flatnonzero(history_ends > 0)
            self.size = len(self._events)

    @classmethod
    def of(cls, train: TrainingData) -> TargetPool:
        """The targets of training data."""
        return cls(train.interactions.lengths, train.history_ends())

    def draw(self, share: float, rng: np.random.Generator, device: str) -> Targets:
        """A share of all targets, rounded up, each at most once, in random order."""
        number = rng.choice(self.size, math.ceil(share * self.size), replace=False) if self.size else np.zeros(0, int)
        if self._ends is None:
            users = np.searchsorted(self._targets_before, number, side="right")
            first = self._targets_before[users] - (self._last - self._begin - 1)[users] if self.size else number
            positions = number - first + 1
            ends = positions
        else:
            events = self._events[number]
            users = np.searchsorted(self._last, events, side="right")
            positions, ends = events - self._begin[users], self._ends[events].astype(np.int64)
        return Targets(*(torch.from_numpy(part).to(device) for part in (users, positions, ends)))


class Sampling(Protocol):
    """What the configuration of a model says of its training targets; see the arguments of `SampledTargets`."""

    @property
    def short_term(self) -> int: ...

    @property
    def targets_per_epoch(self) -> float: ...

    @property
    def batch_targets(self) -> int: ...


class SampledTargets:
    """Draws targets anew in each epoch and gathers what they may read.

    Args:
        events: Training events on the device of the model.
        pool: All targets.
        short_term: Most events of `TargetBatch.items`.
        share: Share of all targets that an epoch draws.
        batch_targets: Targets of a batch.
    """

    def __init__(
        self, events: RaggedItems, pool: TargetPool, short_term: int, share: float, batch_targets: int
    ) -> None:
        self.events = events
        self.pool = pool
        self.short_term = short_term
        self.share = share
        self.batch_targets = batch_targets

    @classmethod
    def of(cls, train: TrainingData, events: RaggedItems, config: Sampling) -> SampledTargets:
        """Those of training data, as a model's configuration asks for them.

        Args:
            train: Training data.
            events: Its events on the device of the model.
            config: Of the model.
        """
        pool = TargetPool.of(train)
        return cls(events, pool, config.short_term, config.targets_per_epoch, config.batch_targets)

    def epoch(self, rng: np.random.Generator) -> TargetEpoch:
        """Some of the targets, in random order."""
        targets = self.pool.draw(self.share, rng, str(self.events.items.device))
        return TargetEpoch(self, list(targets.split(self.batch_targets)))

    def gather(self, chosen: Targets, n_before: int | None = None) -> TargetBatch:
        """The batch of some targets; `n_before` is how many events lie before its items, if that is known."""
        offsets, items = self.events.offsets, self.events.items
        row = offsets[chosen.users]
        starts = (chosen.ends - self.short_term).clamp(min=0)
        place = starts.unsqueeze(1) + torch.arange(self.short_term, device=items.device)
        source = (row.unsqueeze(1) + place).clamp(max=len(items) - 1)
        window = torch.where(place < chosen.ends.unsqueeze(1), self.events.at(source), PAD)
        targets = self.events.at(row + chosen.positions)
        return TargetBatch(window, targets, LongTerm(self.events, chosen.users, starts, n_before))


class TargetEpoch:
    """The batches of one epoch, gathered as they are asked for.

    Args:
        source: Gathers.
        batches: The targets of each.
    """

    def __init__(self, source: SampledTargets, batches: Sequence[Targets]) -> None:
        self._source = source
        self._batches = batches

    @property
    def sizes(self) -> list[int]:
        """Targets of each batch."""
        return [len(batch.users) for batch in self._batches]

    def part(self, number: int, of: int) -> TargetEpoch:
        """As many batches, each with every `of`-th target of its own; see `DivisibleBatches`."""
        return TargetEpoch(self._source, [batch.part(number, of) for batch in self._batches])

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[TargetBatch]:
        starts = ((batch.ends - self._source.short_term).clamp(min=0).sum() for batch in self._batches)
        # Asked for once an epoch, so that no batch has to wait for the answer.
        n_before = torch.stack(list(starts)).tolist() if self._batches else []
        return map(self._source.gather, self._batches, n_before)
