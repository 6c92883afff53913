"""Training accuracy level by level, counted while a generative network trains."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from bench.data.interactions import PAD
from bench.recommender import FitContext, Recommender


class LevelAccuracy(nn.Module):
    """How often the most probable code of each level is the target's, given the target's codes before it.

    Counts stay on the device until they are read, so that counting never makes a training step wait.

    Args:
        levels: Of the generated semantic IDs.
    """

    hits: Tensor
    targets: Tensor

    def __init__(self, levels: int) -> None:
        super().__init__()
        self.register_buffer("hits", torch.zeros(levels, dtype=torch.long), persistent=False)
        self.register_buffer("targets", torch.zeros((), dtype=torch.long), persistent=False)

    @torch.no_grad()
    def count(self, level: int, logits: Tensor, codes: Tensor) -> None:
        """Adds a batch of targets in training mode; does nothing in evaluation mode.

        Args:
            level: From 0; targets are counted with the first.
            logits: float32 `[n, codebook_size]`.
            codes: int64 `[n]`, the targets' codes; `PAD` for a row that has no target.
        """
        if self.training:
            self.hits[level] += (logits.argmax(-1) == codes).sum()
            if level == 0:
                self.targets += (codes != PAD).sum()

    def read(self) -> list[float]:
        """The share of hits per level since the last reading."""
        shares: list[float] = (self.hits / self.targets.clamp(min=1)).tolist()
        self.hits.zero_()
        self.targets.zero_()
        return shares


def recording(accuracy: LevelAccuracy, context: FitContext) -> FitContext:
    """The same context, whose validations also note the training accuracy since the validation before.

    `context.diagnostics["training_accuracy"]` becomes a list with one entry per point of `context.curve`: the accuracy
    of each level, measured in training, so with dropout and over weights that changed meanwhile.
    """
    noted = context.diagnostics.setdefault("training_accuracy", [])

    def validate(recommender: Recommender) -> float:
        noted.append(accuracy.read())
        return context.validate(recommender)

    return replace(context, validate=validate)
