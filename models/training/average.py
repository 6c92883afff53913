"""A moving average of a network's weights, which is often a better network than the last weights are."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    """Exponential moving average of a module's parameters; short memory at first, so that it needs no warm-up.

    Args:
        module: Whose parameters are averaged, in place as they change.
        decay: Weight of the past in every update; 0 keeps the weights themselves.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self._module = module
        self._decay = decay
        self.values = [p.detach().clone() for p in module.parameters()] if decay else []

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Takes in the parameters after the optimiser step of this number, from 0."""
        if self.values:
            decay = min(self._decay, (1 + step) / (10 + step))
            torch._foreach_lerp_(self.values, [p.detach() for p in self._module.parameters()], 1 - decay)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Puts the averages into the module while it is judged, and its own weights back afterwards."""
        if not self.values:
            yield
            return
        own: dict[str, Tensor] = copy.deepcopy(self._module.state_dict())
        with torch.no_grad():
            for parameter, value in zip(self._module.parameters(), self.values, strict=True):
                parameter.copy_(value)
        try:
            yield
        finally:
            self._module.load_state_dict(own)
