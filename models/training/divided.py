"""One training whose batches are made in parts, by several processes at once or one after the other.

The first lets several devices train together, the second takes half of the memory. Processes add up their gradients in
one exchange a step; they have joined a group (`torch.distributed`) before the training begins. PyTorch's
`DistributedDataParallel` would exchange gradients while others are being made, but makes its steps in Python, launch by
launch; an exchange of its own can be recorded as a part of the step (`RecordedDividedStep`), which saves more.

The batches, their order and the mean over their targets are those of undivided ones. What is drawn at random while a
loss is made, dropout and negatives, differs: it is drawn for each part.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from bench.data.interactions import PAD
from models.training.step import OptimiserStep, RecordedStep, tensors_of, with_tensors

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


def alike_everywhere(module: nn.Module) -> None:
    """Gives every process the parameters and buffers of the first one."""
    if processes() > 1:
        for values in itertools.chain(module.parameters(), module.buffers()):
            dist.broadcast(values.detach(), src=0)


class DividedStep(OptimiserStep[list[Portion[Batch]]]):
    """An `OptimiserStep` of all parts together: the gradients are those of the mean loss over the whole batch.

    A parameter that no part of the batch depends on has a gradient of zero where several processes train, since each of
    them has to bring along the same numbers; elsewhere it has none.
    """

    def _step(self, batch: list[Portion[Batch]]) -> Tensor:
        self._optimiser.zero_grad(set_to_none=True)
        sums = []
        for portion in batch:
            count = _targets(portion)
            value = self._loss(portion.batch) * count  # type: ignore[arg-type]
            value.backward()
            sums.append(torch.stack([value.detach(), count]))
        loss, total = self._exchanged(torch.stack(sums).sum(0))
        gradients = [one.grad for one in self._parameters if one.grad is not None]
        torch._foreach_div_(gradients, total)
        self._update()
        return loss / total

    def _exchanged(self, sums: Tensor) -> Tensor:
        """Adds up gradients and some sums over all processes; returns the latter."""
        if processes() == 1:
            return sums
        trained = [one for one in self._parameters if one.requires_grad]
        gradients = [torch.zeros_like(one) if one.grad is None else one.grad for one in trained]
        flat = torch.cat([*(one.reshape(-1) for one in gradients), sums])
        dist.all_reduce(flat)
        *parts, sums = flat.split([*(one.numel() for one in trained), len(sums)])
        for parameter, part in zip(trained, parts, strict=True):
            parameter.grad = part.view_as(parameter)
        return sums


class RecordedDividedStep(DividedStep[Batch], RecordedStep[list[Portion[Batch]]]):
    """A `DividedStep` of several GPUs that each of them replays as a CUDA graph, its exchange included.

    A process may replay its part of a step while another makes it in Python: both exchange the same numbers in the same
    order. Each process makes one part of every batch.
    """

    # What PyTorch's thread asks of exchanges under way must not end a recording.
    capture_errors = "thread_local"

    def _inputs_of(self, batch: list[Portion[Batch]]) -> list[Tensor]:
        (portion,) = batch
        return tensors_of(portion.batch)

    def _with_inputs(self, batch: list[Portion[Batch]], inputs: list[Tensor]) -> list[Portion[Batch]]:
        (portion,) = batch
        return [Portion(with_tensors(portion.batch, inputs), portion.idle)]

    def _kind(self, batch: list[Portion[Batch]]) -> tuple[Hashable, ...]:
        (portion,) = batch
        return (portion.idle,)


def _targets(portion: Portion[Any]) -> Tensor:
    """How many targets count in a part, a float32 scalar."""
    targets: Tensor = portion.batch.targets
    return (targets != PAD).sum().float() * (not portion.idle)
