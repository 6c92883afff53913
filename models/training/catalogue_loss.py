"""Cross-entropy over a whole catalogue without a matrix of all scores: for processors, whose memory is slow.

The scores of some thousand targets are many times what the nearest memory of a processor holds, and plain cross-entropy
passes over them some eight times. Here the scores of a few targets are made, turned into probabilities and into both
gradients before those of the next few take their place, so that little is left but the three matrix products.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

MOST_ROWS, LEAST_ROWS, SCORES_AT_A_TIME = 256, 64, 1 << 23
"""Targets whose scores are held at a time: as many as make so many scores, within these bounds. Fewer would pass over
the gradient of the catalogue more often."""


def catalogue_cross_entropy(states: Tensor, catalogue: Tensor, targets: Tensor) -> Tensor:
    """The mean of `-log softmax(states @ catalogue.T)[targets]`, as `F.cross_entropy` has it but for rounding.

    Once differentiable. In an autocast region, on a GPU and without targets it is `F.cross_entropy`.

    Args:
        states: Float `[n, d]`.
        catalogue: Float `[n_items, d]`.
        targets: int64 `[n]`, items.

    Returns:
        A scalar.

    >>> states, catalogue = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0], [2.0, 0.0]])
    >>> round(catalogue_cross_entropy(states, catalogue, torch.tensor([1])).item(), 4)
    0.1269
    """
    if states.is_cuda or torch.is_autocast_enabled("cpu") or not len(targets):
        return F.cross_entropy(states @ catalogue.T, targets)
    loss: Tensor = _CatalogueCrossEntropy.apply(states, catalogue, targets)
    return loss


class _CatalogueCrossEntropy(torch.autograd.Function):
    """Makes the gradients together with the loss, since both need the scores."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, catalogue: Tensor, targets: Tensor) -> Tensor:
        n, n_items = len(targets), len(catalogue)
        rows = min(n, MOST_ROWS, max(LEAST_ROWS, SCORES_AT_A_TIME // n_items))
        held, row = states.new_empty((rows, n_items)), torch.arange(rows)
        of_states = torch.empty_like(states) if ctx.needs_input_grad[0] else None
        of_catalogue = torch.zeros_like(catalogue) if ctx.needs_input_grad[1] else None
        total = states.new_zeros((), dtype=torch.float64)
        for start in range(0, n, rows):
            some, wanted = states[start : start + rows], targets[start : start + rows]
            scores, target = held[: len(some)], (row[: len(some)], wanted)
            torch.mm(some, catalogue.T, out=scores)
            largest, own = scores.amax(1), scores[target]
            torch.softmax(scores, 1, out=scores)
            # The largest probability is one by the sum of exponentials, and never too small for its logarithm.
            total += (largest - scores.amax(1).log() - own).sum(dtype=torch.float64)
            scores[target] -= 1
            if of_states is not None:
                torch.mm(scores, catalogue, out=of_states[start : start + rows])
            if of_catalogue is not None:
                of_catalogue.addmm_(scores.T, some)
        ctx.save_for_backward(*(None if part is None else part.div_(n) for part in (of_states, of_catalogue)))
        return (total / n).to(states.dtype)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        of_states, of_catalogue = ctx.saved_tensors
        return (*tuple(None if part is None else part * gradients[0] for part in (of_states, of_catalogue)), None)
