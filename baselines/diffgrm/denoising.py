"""Confidence-guided parallel denoising: digits become known in the order in which the network is sure of them.

Source: liuzhao09/DiffGRM at commit ad7b971, `genrec/models/DIFF_GRM/beam.py`, mode "confidence".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from baselines.diffgrm.partial_ids import PartialIds


@dataclass(frozen=True)
class Denoised:
    """What a search has reached.

    Attributes:
        ids: int64 `[n, width]`, rows of `PartialIds.codes`, distinct, best first.
        scores: float32 `[n, width]`, log-probability of the way that led there; -inf where fewer were reached.
        first: float32 `[n, codes of all digits]`, log-probabilities of all codes while nothing was known.
    """

    ids: Tensor
    scores: Tensor
    first: Tensor


def denoise(
    step: Callable[[Tensor], Tensor],
    partial: PartialIds,
    n_queries: int,
    width: int,
    open_ids: Tensor | None = None,
) -> Denoised:
    """The semantic IDs that a beam of `width` finds from nothing known to all known, one digit at a time.

    At each step every unknown digit of every beam competes with all of its codes by the log-probability of the whole
    way; only what leads on to a semantic ID of the catalogue is entered. Where several ways lead to the same partial
    ID, the best one counts.

    Args:
        step: Given codes int64 `[n, beams, digits]` with `MASK` where unknown, the log-probabilities float32
            `[n, beams, codes of all digits]`, each digit's summing to 1.
        partial: Of the catalogue.
        n_queries: Queries in the batch.
        width: Beams of a query.
        open_ids: bool `[n_queries, n_ids]`; others are not reached. None: all are open.
    """
    device = partial.codes.device
    nodes = torch.zeros((n_queries, 1), dtype=torch.long, device=device)
    scores = torch.zeros((n_queries, 1), device=device)
    first = None
    for level in range(partial.digits):
        log_probs = step(partial.known[level][nodes])
        first = log_probs[:, 0] if first is None else first
        children = partial.children(level, nodes)
        total = scores.unsqueeze(-1) + log_probs.gather(-1, children.codes)
        total = total.masked_fill(~children.valid, -torch.inf)
        best = total.new_full((n_queries, partial.n_nodes(level + 1)), -torch.inf)
        best.scatter_reduce_(1, children.nodes.flatten(1), total.flatten(1), "amax")
        if open_ids is not None:
            best.masked_fill_(~partial.open_nodes(level + 1, open_ids), -torch.inf)
        scores, nodes = best.topk(min(width, best.shape[1]), dim=1)
    assert first is not None
    return Denoised(nodes, scores, first)


def scores_of_all(denoised: Denoised, partial: PartialIds, offsets: Tensor) -> Tensor:
    """Scores of every semantic ID, so that lists can go on behind the last one that a beam has reached.

    What was reached has its score. The others follow a nat below all of it, by the sum of what each of their codes had
    while nothing was known.

    Args:
        denoised: From `denoise`.
        partial: Of the catalogue.
        offsets: int64 `[digits]`, where each digit's codes begin among those of all digits.

    Returns:
        float32 `[n, n_ids]`.
    """
    rest = denoised.first[:, partial.codes + offsets].sum(-1)
    reached = denoised.scores > -torch.inf
    lowest = denoised.scores.masked_fill(~reached, torch.inf).amin(1, keepdim=True)
    lowest = lowest.masked_fill(lowest == torch.inf, 0)
    rest = rest - rest.amax(1, keepdim=True) + lowest - 1
    own = torch.where(reached, denoised.scores, rest.gather(1, denoised.ids))
    return rest.scatter(1, denoised.ids, own)
