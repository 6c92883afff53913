"""One optimiser step, and on a GPU the same step recorded as a CUDA graph and replayed without Python.

A small network's step is a thousand kernels of a few microseconds each. Launched one by one they keep a GPU waiting for
Python; recorded once per shape of batch, they follow one another as fast as the GPU can run them.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Generic, TypeVar, cast

import torch
from torch import Tensor, nn

from models.recordings import Recordings

Batch = TypeVar("Batch")


class OptimiserStep(Generic[Batch]):
    """Gradients of a batch's loss, clipped, and one update of the parameters.

    Args:
        module: Holds all trained parameters.
        loss: Mean loss of a batch.
        optimiser: Of the module's parameters.
        gradient_norm: Gradients are clipped to this norm.
    """

    def __init__(
        self,
        module: nn.Module,
        loss: Callable[[Batch], Tensor],
        optimiser: torch.optim.Optimizer,
        gradient_norm: float,
    ) -> None:
        self._parameters = list(module.parameters())
        self._loss = loss
        self._optimiser = optimiser
        self._gradient_norm = gradient_norm

    def __call__(self, batch: Batch, rate: float) -> Tensor:
        """Takes the step at a learning rate; returns the loss before it, a scalar without a gradient."""
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        return self._step(batch)

    def _step(self, batch: Batch) -> Tensor:
        value = self._loss(batch)
        self._optimiser.zero_grad(set_to_none=True)
        value.backward()
        self._update()
        return value.detach()

    def forget(self) -> None:
        """Gives back what was kept for the steps to come; called when the training ends."""

    def _update(self) -> None:
        """Moves the parameters along their gradients, which are clipped first."""
        nn.utils.clip_grad_norm_(self._parameters, self._gradient_norm)
        self._optimiser.step()


@dataclass(frozen=True)
class _Recorded:
    """A recorded step: the graph, the tensors that it reads its batch from, and where it leaves the loss."""

    graph: torch.cuda.CUDAGraph
    inputs: list[Tensor]
    loss: Tensor


class RecordedStep(OptimiserStep[Batch]):
    """An `OptimiserStep` that is replayed as a CUDA graph wherever a shape of batch comes back.

    The loss must be a function of the tensors of its batch, a flat dataclass, and of what never changes its place in
    memory: nothing in it may depend on data in Python, wait for the GPU, or count in Python. Random numbers come from
    PyTorch's own generator or from `generators`.

    Args:
        generators: Generators on the GPU that the loss draws from.
    """

    capture_errors = "global"
    """By whom a GPU may not be asked for what a recording can't hold while there is one: see `torch.cuda.graph`."""

    def __init__(
        self,
        module: nn.Module,
        loss: Callable[[Batch], Tensor],
        optimiser: torch.optim.Optimizer,
        gradient_norm: float,
        generators: Sequence[torch.Generator] = (),
    ) -> None:
        super().__init__(module, loss, optimiser, gradient_norm)
        self._generators = generators
        self._rates = [cast(Tensor, group["lr"]) for group in optimiser.param_groups]
        self._recordings: Recordings[_Recorded] = Recordings()

    def __call__(self, batch: Batch, rate: float) -> Tensor:
        for group_rate in self._rates:
            group_rate.fill_(rate)
        inputs = self._inputs_of(batch)
        shape = (*self._kind(batch), *((part.shape, part.dtype) for part in inputs))
        recorded = self._recordings.of(shape, lambda: self._record(batch))
        if recorded is None:
            return self._step(batch)
        torch._foreach_copy_(recorded.inputs, inputs)
        recorded.graph.replay()
        return recorded.loss.clone()  # the next replay writes it anew

    def _record(self, batch: Batch) -> _Recorded:
        """Records the step of a batch's shape, without taking it."""
        inputs = [part.clone() for part in self._inputs_of(batch)]
        own = self._with_inputs(batch, inputs)
        graph = torch.cuda.CUDAGraph()
        for generator in self._generators:
            graph.register_generator_state(generator)
        self._optimiser.zero_grad(set_to_none=True)
        stream, pool = torch.cuda.current_stream(), self._recordings.pool
        with torch.cuda.graph(graph, pool=pool, stream=stream, capture_error_mode=self.capture_errors):
            loss = self._step(own)
        return _Recorded(graph, inputs, loss)

    def _inputs_of(self, batch: Batch) -> list[Tensor]:
        """The tensors that a recorded step reads its batch from."""
        return tensors_of(batch)

    def _with_inputs(self, batch: Batch, inputs: list[Tensor]) -> Batch:
        """The batch with other tensors in the places of those."""
        return with_tensors(batch, inputs)

    def _kind(self, batch: Batch) -> tuple[Hashable, ...]:
        """What of a batch besides its tensors' shapes a recording holds for."""
        return ()

    def forget(self) -> None:
        self._recordings.clear()


def in_bfloat16(loss: Callable[[Batch], Tensor], device: str) -> Callable[[Batch], Tensor]:
    """The same loss, computed in bfloat16 wherever PyTorch's autocast holds that to be safe.

    Args:
        loss: Of a batch.
        device: Type of the device it is computed on.
    """

    def of(batch: Batch) -> Tensor:
        with torch.autocast(device, torch.bfloat16):
            return loss(batch).float()

    return of


def tensors_of(batch: Any) -> list[Tensor]:
    """The tensors among the fields of a batch, in their order."""
    if not is_dataclass(batch):
        raise TypeError(f"a recorded step needs batches that are dataclasses of tensors, not {type(batch).__name__}")
    values = (getattr(batch, part.name) for part in fields(batch))
    return [value for value in values if isinstance(value, Tensor)]


def with_tensors(batch: Batch, tensors: Sequence[Tensor]) -> Batch:
    """The batch with other tensors in the places of its own, in the order of `tensors_of`."""
    names = [part.name for part in fields(cast(Any, batch)) if isinstance(getattr(batch, part.name), Tensor)]
    return replace(cast(Any, batch), **dict(zip(names, tensors, strict=True)))
