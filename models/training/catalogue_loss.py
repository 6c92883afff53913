"""Cross-entropy over a whole catalogue in few passes over its scores.

The scores of some thousand targets are many times what the nearest memory of a processor holds, and plain cross-entropy
passes over them some eight times. Here the scores of a few targets are made, turned into probabilities and into both
gradients before those of the next few take their place, so that little is left but the three matrix products. A GPU
makes as many at a time as its memory may well hold, in rows whose length its matrix products like.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.data.interactions import PAD

MOST_ROWS, LEAST_ROWS, SCORES_AT_A_TIME = 256, 64, 1 << 23
"""Targets whose scores a CPU holds at a time: as many as make so many scores, within these bounds. Fewer would pass
over the gradient of the catalogue more often."""

SCORES_ON_GPU = 1 << 28
"""Scores that a GPU holds at a time: a gigabyte of float32."""

ROW_MULTIPLE = 64
"""Rows of scores on a GPU are filled up to a multiple of so many: every row then begins with a line of 128 bytes, in
float32 and in two bytes. For rows of odd length, cuBLAS has only kernels that load number by number."""


def catalogue_cross_entropy(states: Tensor, catalogue: Tensor, targets: Tensor) -> Tensor:
    """The mean of `-log softmax(states @ catalogue.T)[targets]`, as `F.cross_entropy` has it but for rounding.

    Once differentiable. In an autocast region and without targets it is made by `F.cross_entropy`.

    Args:
        states: Float `[n, d]`.
        catalogue: Float `[n_items, d]`.
        targets: int64 `[n]`, items; `PAD` where there is none, which has no part in the mean.

    Returns:
        A scalar.

    >>> states, catalogue = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0], [2.0, 0.0]])
    >>> round(catalogue_cross_entropy(states, catalogue, torch.tensor([1])).item(), 4)
    0.1269
    """
    if torch.is_autocast_enabled(states.device.type) or not len(targets):
        return _by_pytorch(states, catalogue, targets, ROW_MULTIPLE if states.is_cuda else 1)
    return (_on_gpu if states.is_cuda else _on_cpu)(states, catalogue, targets)


def _by_pytorch(states: Tensor, catalogue: Tensor, targets: Tensor, multiple: int) -> Tensor:
    """`F.cross_entropy` of rows of scores that are filled up to a multiple of a length."""
    bias, n_items = None, len(catalogue)
    if missing := -n_items % multiple:
        catalogue = F.pad(catalogue, (0, 0, 0, missing))
        bias = states.new_zeros(len(catalogue))  # which costs no pass of its own over the scores
        bias[n_items:] = -torch.inf
    return F.cross_entropy(F.linear(states, catalogue, bias), targets, ignore_index=PAD)


def _on_cpu(states: Tensor, catalogue: Tensor, targets: Tensor) -> Tensor:
    rows = min(MOST_ROWS, max(LEAST_ROWS, SCORES_AT_A_TIME // len(catalogue)))
    loss: Tensor = _CatalogueCrossEntropy.apply(states, catalogue, targets, rows, 1)
    return loss


def _on_gpu(states: Tensor, catalogue: Tensor, targets: Tensor) -> Tensor:
    rows = max(LEAST_ROWS, SCORES_ON_GPU // len(catalogue))
    loss: Tensor = _CatalogueCrossEntropy.apply(states, catalogue, targets, rows, ROW_MULTIPLE)
    return loss


class _CatalogueCrossEntropy(torch.autograd.Function):
    """Makes the gradients together with the loss, since both need the scores: of `rows` targets at a time.

    It looks at no number, so that a CUDA graph can hold it.
    """

    @staticmethod
    def forward(ctx: Any, states: Tensor, catalogue: Tensor, targets: Tensor, rows: int, multiple: int) -> Tensor:
        n, n_items = len(targets), len(catalogue)
        if missing := -n_items % multiple:
            catalogue = F.pad(catalogue, (0, 0, 0, missing))
        no_target = targets == PAD
        states, n_targets = states.masked_fill(no_target[:, None], 0), n - no_target.sum()
        rows = min(n, rows)
        held, row = states.new_empty((rows, len(catalogue))), torch.arange(rows, device=states.device)
        of_states = torch.empty_like(states) if ctx.needs_input_grad[0] else None
        of_catalogue = torch.zeros_like(catalogue) if ctx.needs_input_grad[1] else None
        total = states.new_zeros((), dtype=torch.float64)
        for start in range(0, n, rows):
            some, wanted = states[start : start + rows], targets[start : start + rows].clamp(min=0)
            scores, target = held[: len(some)], (row[: len(some)], wanted)
            torch.mm(some, catalogue.T, out=scores)
            scores[:, n_items:] = -torch.inf  # what fills up rows
            largest, own = scores.amax(1), scores[target]
            torch.softmax(scores, 1, out=scores)
            # The largest probability is one by the sum of exponentials, and never too small for its logarithm.
            losses = largest - scores.amax(1).log() - own
            total += losses.masked_fill(no_target[start : start + rows], 0).sum(dtype=torch.float64)
            scores[target] -= 1
            if of_states is not None:
                torch.mm(scores, catalogue, out=of_states[start : start + rows])
            if of_catalogue is not None:
                of_catalogue.addmm_(scores.T, some)  # to which states without a target, which are 0, add nothing
        if of_states is not None:
            of_states.masked_fill_(no_target[:, None], 0)
        if of_catalogue is not None:
            of_catalogue = of_catalogue[:n_items]
        ctx.save_for_backward(*(None if part is None else part.div_(n_targets) for part in (of_states, of_catalogue)))
        return (total / n_targets).to(states.dtype)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        of_both = (None if part is None else part * gradients[0] for part in ctx.saved_tensors)
        return (*of_both, None, None, None)
