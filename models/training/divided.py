"""One training whose batches are made in parts, by several processes at once or one after the other.

The first lets several devices train together, the second takes half of the memory. PyTorch's `DistributedDataParallel`
averages the gradients of processes while they are being made; they have joined a group (`torch.distributed`) before the
training begins.

The batches, their order and the mean over their targets are those of undivided ones. What is drawn at random while a
loss is made, dropout and negatives, differs: it is drawn for each part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from bench.data.interactions import PAD
from models.training.step import OptimiserStep

Batch = TypeVar("Batch")
Batch_co = TypeVar("Batch_co", covariant=True)


class DivisibleBatches(Protocol[Batch_co]):
    """The batches of one epoch, which can be divided by rows before they are made.

    Attributes:
        sizes: Rows of each batch.
    """

    @property
    def sizes(self) -> Sequence[int]: ...

    def part(self, number: int, of: int) -> Any:
        """As many batches, each with every `of`-th row from row `number` on; with the first row where none is left."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Batch_co]: ...


def rows_of_part(number: int, of: int, size: int) -> slice:
    """The rows of a batch of `size` rows that belong to part `number` of `of`; the first where none is left for it.

    >>> [list(range(3))[rows_of_part(number, 4, 3)] for number in range(4)]
    [[0], [1], [2], [0]]
    """
    return slice(number, None, of) if number < size else slice(1)


@dataclass(frozen=True)
class Portion(Generic[Batch]):
    """A part of a batch; `idle` where it only stands in, since there are too few rows."""

    batch: Batch
    idle: bool


class Portions(Generic[Batch]):
    """This process's parts of every batch of an epoch; as many lists as there are batches.

    Args:
        batches: Of all processes.
        pieces: How many parts of each batch this process makes, one after the other.
    """

    def __init__(self, batches: DivisibleBatches[Batch], pieces: int) -> None:
        of = processes() * pieces
        first = dist.get_rank() if processes() > 1 else 0
        self._numbers = range(first, of, processes())
        self._sizes = batches.sizes
        self._parts = [batches.part(number, of) for number in self._numbers]

    def __len__(self) -> int:
        return len(self._sizes)

    def __iter__(self) -> Iterator[list[Portion[Batch]]]:
        for size, *parts in zip(self._sizes, *self._parts, strict=True):
            yield [Portion(part, number >= size) for number, part in zip(self._numbers, parts, strict=True)]


def processes() -> int:
    """How many processes this training is divided among."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def part_ways(seed: int, generators: Sequence[torch.Generator]) -> None:
    """Has every process but the first draw other random numbers: PyTorch's own, and those of some generators."""
    if processes() > 1 and dist.get_rank() > 0:
        own = seed + 1_000_003 * dist.get_rank()
        torch.manual_seed(own)
        for place, generator in enumerate(generators, start=1):
            generator.manual_seed(own + place)


class _Loss(nn.Module):
    """A loss as a module, as `DistributedDataParallel` wants it."""

    def __init__(self, module: nn.Module, loss: Callable[[Any], Tensor]) -> None:
        super().__init__()
        self.module, self._loss = module, loss

    def forward(self, batch: Any) -> Tensor:
        return self._loss(batch)


class DividedStep(OptimiserStep[list[Portion[Batch]]]):
    """An `OptimiserStep` of all parts together: the gradients are those of the mean loss over the whole batch."""

    def __init__(
        self,
        module: nn.Module,
        loss: Callable[[Batch], Tensor],
        optimiser: torch.optim.Optimizer,
        gradient_norm: float,
    ) -> None:
        made: Callable[[Any], Tensor] = loss
        self._unsynchronised: Callable[[], AbstractContextManager[None]] = nullcontext
        if processes() > 1:
            # Which parameters a batch has a part in may depend on it, as where nothing was retrieved.
            made = DistributedDataParallel(_Loss(module, loss), broadcast_buffers=False, find_unused_parameters=True)
            self._unsynchronised = made.no_sync
        super().__init__(module, made, optimiser, gradient_norm)

    def _step(self, batch: list[Portion[Batch]]) -> Tensor:
        counts = torch.stack([_targets(portion) for portion in batch])
        total = _sum(counts.sum())
        shares = counts / total
        mean = torch.zeros_like(total)
        self._optimiser.zero_grad(set_to_none=True)
        for number, (portion, share) in enumerate(zip(batch, shares, strict=True), start=1):
            with nullcontext() if number == len(batch) else self._unsynchronised():
                value = self._loss(portion.batch)  # type: ignore[arg-type]
                (value * share * processes()).backward()  # of processes, gradients are averaged and not added up
            mean += value.detach() * share
        self._update()
        return _sum(mean)


def _targets(portion: Portion[Any]) -> Tensor:
    """How many targets count in a part, a float32 scalar."""
    targets: Tensor = portion.batch.targets
    return (targets != PAD).sum().float() * (not portion.idle)


def _sum(value: Tensor) -> Tensor:
    """The sum over all processes."""
    if processes() > 1:
        dist.all_reduce(value)
    return value
