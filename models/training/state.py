"""Everything of a training that changes from step to step, as values that a checkpoint can hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from models.training.average import WeightAverage


@dataclass(frozen=True)
class ChangingParts:
    """What a step changes besides counters.

    Attributes:
        module: Its parameters and buffers.
        optimiser: Of the module's parameters.
        average: Of the module's parameters.
        generators: Those that the loss draws from, besides PyTorch's own.
        device: "cpu" or "cuda".
    """

    module: nn.Module
    optimiser: torch.optim.Optimizer
    average: WeightAverage
    generators: Sequence[torch.Generator]
    device: str

    def state(self) -> dict[str, Any]:
        """All of it, in tensors that still change."""
        return {
            "module": self.module.state_dict(),
            "buffers": self._passing_buffers(),
            "optimiser": self.optimiser.state_dict(),
            "average": self.average.values,
            "generators": [generator.get_state() for generator in self.generators],
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state() if self.device == "cuda" else None,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Sets all but the random numbers to a state, in place."""
        self.module.load_state_dict(state["module"])
        for name, buffer in self._passing_buffers().items():
            buffer.copy_(state["buffers"][name])
        rates = [group["lr"] for group in self.optimiser.param_groups]
        self.optimiser.load_state_dict(state["optimiser"])
        for group, rate in zip(self.optimiser.param_groups, rates, strict=True):
            group["lr"] = rate  # on a GPU the very tensor that a recorded step reads; every step sets it
        for value, kept in zip(self.average.values, state["average"], strict=True):
            value.copy_(kept)

    def restore_random(self, state: Mapping[str, Any]) -> None:
        """Sets the random numbers to a state: those of dropout, and those that the loss draws."""
        for generator, kept in zip(self.generators, state["generators"], strict=True):
            generator.set_state(kept)
        torch.set_rng_state(state["torch"])
        if self.device == "cuda":
            torch.cuda.set_rng_state(state["cuda"])

    def _passing_buffers(self) -> dict[str, Tensor]:
        """Buffers that are no part of a trained network, such as counts of the epoch."""
        kept = self.module.state_dict(keep_vars=True)
        return {name: buffer for name, buffer in self.module.named_buffers() if name not in kept}
