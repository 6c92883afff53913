"""The contrastive losses of H2Rec: what counts as a positive, what is masked, and one loss for both levels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

LEAST_ONE_SCALE = 0.025
"""Temperature from which on exponentials of cosines, divided by the largest of all, are normal numbers of float32."""


def common_prefix(codes: Tensor) -> Tensor:
    """Measures how much of their codes, from the first on, every two items have in common.

    Args:
        codes: int64 `[n, levels]`.

    Returns:
        float32 `[n, n]` within 0 .. 1, in steps of a level; 1 on the diagonal.

    >>> common_prefix(torch.tensor([[4, 1], [4, 2], [3, 1]])).tolist()
    [[1.0, 0.5, 0.0], [0.5, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    same = torch.ones((len(codes), len(codes)), dtype=torch.bool, device=codes.device)
    common = torch.zeros(same.shape, device=codes.device)
    for code in codes.T:
        same = same & (code.unsqueeze(1) == code)
        common += same
    return common / codes.shape[1]


def lightest_half(weights: Tensor) -> Tensor:
    """Marks the half of the levels (rounded down) that weigh least: bool `[n, levels]` for weights `[n, levels]`."""
    rank = weights.argsort(dim=-1, stable=True).argsort(dim=-1)
    return rank < weights.shape[-1] // 2


def alignment_loss(first: Tensor, second: Tensor, positives: Tensor, temperature: float) -> Tensor:
    """Pulls two views of a thing together and apart from others: contrastive, with several weighted positives.

    Of a row, the weighted positives' share of the exponentiated cosine similarities is to be 1. With the identity as
    weights this is InfoNCE.

    Args:
        first: `[n, dim]`.
        second: `[n, dim]`.
        positives: `[n, n]`, symmetric, weights >= 0 with 1 on the diagonal; 0 for negatives.
        temperature: Of the similarities.

    Returns:
        The mean over rows and directions, a scalar.
    """
    similarity = F.normalize(first, dim=-1) @ F.normalize(second, dim=-1).T / temperature
    if temperature >= LEAST_ONE_SCALE:
        # One exponential serves numerators and denominators of both directions.
        exponentials = (similarity - similarity.detach().amax()).exp()
        weighted = exponentials * positives
        return torch.stack([exponentials.sum(axis).log() - weighted.sum(axis).log() for axis in (0, 1)]).mean()
    log_weight = positives.log()

    def one_way(logits: Tensor) -> Tensor:
        return (logits.logsumexp(1) - (logits + log_weight).logsumexp(1)).mean()

    return (one_way(similarity) + one_way(similarity.T)) / 2
