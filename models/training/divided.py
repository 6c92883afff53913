"""One training divided among processes: each takes its part of every batch, and all take the same optimiser steps.

PyTorch's `DistributedDataParallel` averages the gradients while they are being made. The processes have joined a group
(`torch.distributed`) before the training begins; in a process that belongs to none, nothing is divided.

The batches, their order and the mean over their targets are those of one process. What is drawn at random while a loss
is made, dropout and negatives, differs: each process draws for its own part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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


@dataclass(frozen=True)
class Portion(Generic[Batch]):
    """The part of a batch that this process takes; `idle` where it only stands in, since there are too few rows."""

    batch: Batch
    idle: bool


class Portions(Generic[Batch]):
    """This process's part of every batch of an epoch; as many as there are batches."""

    def __init__(self, batches: DivisibleBatches[Batch]) -> None:
        self._number = dist.get_rank()
        self._sizes = batches.sizes
        self._batches = batches.part(self._number, processes())

    def __len__(self) -> int:
        return len(self._sizes)

    def __iter__(self) -> Iterator[Portion[Batch]]:
        for batch, size in zip(self._batches, self._sizes, strict=True):
            yield Portion(batch, idle=self._number >= size)


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


class DividedStep(OptimiserStep[Portion[Batch]]):
    """An `OptimiserStep` of all processes together: the gradients are those of the mean loss over the whole batch."""

    def __init__(
        self,
        module: nn.Module,
        loss: Callable[[Batch], Tensor],
        optimiser: torch.optim.Optimizer,
        gradient_norm: float,
    ) -> None:
        # Which parameters a batch has a part in may depend on it, as where nothing was retrieved.
        together = DistributedDataParallel(_Loss(module, loss), broadcast_buffers=False, find_unused_parameters=True)
        super().__init__(module, together, optimiser, gradient_norm)

    def _step(self, batch: Portion[Batch]) -> Tensor:
        targets: Tensor = batch.batch.targets  # type: ignore[attr-defined]
        own = (targets != PAD).sum().float() * (not batch.idle)
        total = own.clone()
        dist.all_reduce(total)
        share = own / total
        value = self._loss(batch.batch)  # type: ignore[arg-type]
        self._optimiser.zero_grad(set_to_none=True)
        (value * share * processes()).backward()  # gradients are averaged, and not added up
        nn.utils.clip_grad_norm_(self._parameters, self._gradient_norm)
        self._optimiser.step()
        mean = value.detach() * share
        dist.all_reduce(mean)
        return mean
