"""Stops a training whose loss is no number any more, without making a GPU wait at every step."""

from __future__ import annotations

import torch
from torch import Tensor

LOOK_EVERY = 10
"""Optimiser steps on a GPU between two looks at their losses."""


class DivergenceWatch:
    """Looks at the losses as they come and names the step whose loss is not finite.

    On a CPU every loss is looked at once it is there. On a GPU they are copied to the host in the background and looked
    at when that is done, at most `2 * LOOK_EVERY` steps late; the step that is named is the very one all the same.
    """

    def __init__(self) -> None:
        self._new: list[Tensor] = []
        self._first_step = 0
        self._copied: tuple[int, Tensor, torch.cuda.Event] | None = None

    def see(self, step: int, epoch: int, loss: Tensor) -> None:
        """Takes note of the loss of a step, both numbered from 0 and 1.

        Raises:
            FloatingPointError: This loss, or an earlier one that has only now been looked at, is not finite.
        """
        self._epoch = epoch
        if not loss.is_cuda:
            self._check(step, loss.reshape(1))
            return
        if not self._new:
            self._first_step = step
        self._new.append(loss)
        if len(self._new) >= LOOK_EVERY:
            self._look()
            host = torch.stack(self._new).to("cpu", non_blocking=True)
            event = torch.cuda.Event()
            event.record()
            self._copied, self._new = (self._first_step, host, event), []

    def finish(self) -> None:
        """Looks at all that has not been looked at; raises as `see` does."""
        self._look()
        if self._new:
            self._check(self._first_step, torch.stack(self._new).cpu())
            self._new = []

    def _look(self) -> None:
        if self._copied is not None:
            first_step, host, event = self._copied
            event.synchronize()
            self._copied = None
            self._check(first_step, host)

    def _check(self, first_step: int, losses: Tensor) -> None:
        finite = losses.isfinite()
        if not finite.all():
            index = int((~finite).nonzero()[0])
            raise FloatingPointError(
                f"training loss is {losses[index].item()} at step {first_step + index + 1} (epoch {self._epoch}); "
                "try a smaller learning_rate"
            )
