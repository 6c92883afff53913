"""From scores to ranked lists where the scores lie, on a GPU; kept apart, for the counting rows do without PyTorch."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from baselines.full_ranking import NOT_A_NUMBER
from bench.data.interactions import PAD, Histories
from bench.recommender import Recommendations

_PLACES = 31
"""Bits for the number of a column, which a list of up to 2^31 - 1 items needs."""


def rank_on_device(scores: Tensor, histories: Histories, k: int) -> Recommendations:
    """The lists of `baselines.full_ranking.rank_catalogue`, of scores that lie on a GPU and need not leave it.

    Args:
        scores: float32 `[n_queries, n_items]`; an item at -inf is no candidate.
        histories, k: As there.

    Raises:
        ValueError: A score is NaN.
    """
    if scores.isnan().any():
        raise ValueError(NOT_A_NUMBER)
    if histories.exclude_seen:
        scores = scores.masked_fill(torch.from_numpy(histories.seen()).to(scores.device), -torch.inf)
    columns, best = top_k_on_device(scores, k)
    items = columns.masked_fill(best == -torch.inf, PAD)
    missing = (0, k - items.shape[1])
    return Recommendations(
        items=F.pad(items, missing, value=PAD).int().cpu().numpy(),
        scores=F.pad(best, missing, value=-torch.inf).cpu().numpy(),
    )


def top_k_on_device(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """As `baselines.full_ranking.top_k`, for float32 scores on a GPU, whose own `topk` takes any of those that tie.

    Floats of one sign are ordered as their bits are; with the column behind these bits no two entries tie.

    Returns:
        int64 and float32 `[rows, min(k, columns)]`.

    >>> index, values = top_k_on_device(torch.tensor([[0.5, 2.0, 1.0, 2.0]]), k=3)
    >>> index.tolist(), values.tolist()
    ([[1, 3, 2]], [[2.0, 2.0, 1.0]])
    """
    columns = scores.shape[1]
    bits = (scores.float() + 0.0).view(torch.int32).long()  # -0.0 + 0.0 is 0.0, with which it ties
    ordered = torch.where(bits < 0, bits ^ 0x7FFFFFFF, bits)
    last = (1 << _PLACES) - 1
    keys = (ordered << _PLACES) | (last - torch.arange(columns, device=scores.device))
    best = keys.topk(min(k, columns), dim=1).values
    index = last - (best & last)
    return index, scores.gather(1, index)
