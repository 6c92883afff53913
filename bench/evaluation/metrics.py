"""Ranking metrics, one value per query, from the place of the target in each ranked list.

Every query has exactly one target, so recall equals hit and the ideal DCG is 1. A rank is the 1-based place of the
target; 0 means that the target isn't in the list.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from bench.errors import BenchError, unknown_name

Ranks = NDArray[np.integer]
PerQuery = NDArray[np.float64]


def hit(ranks: Ranks, k: int) -> PerQuery:
    """1 where the target is among the first `k`, else 0.

    Args:
        ranks: int `[n]`, 1-based, 0 for a miss.
        k: Cut-off.

    Returns:
        float64 `[n]`.
    """
    return _found(ranks, k).astype(np.float64)


def recall(ranks: Ranks, k: int) -> PerQuery:
    """Share of a query's targets among the first `k`; with one target a query this is `hit`."""
    return hit(ranks, k)


def ndcg(ranks: Ranks, k: int) -> PerQuery:
    """Normalised discounted cumulative gain: `1 / log2(rank + 1)` where the target is among the first `k`, else 0.

    Args:
        ranks: int `[n]`, 1-based, 0 for a miss.
        k: Cut-off.

    Returns:
        float64 `[n]`.
    """
    found = _found(ranks, k)
    return np.where(found, 1.0 / np.log2(np.where(found, ranks, 1) + 1.0), 0.0)


def mrr(ranks: Ranks, k: int) -> PerQuery:
    """Reciprocal rank: `1 / rank` where the target is among the first `k`, else 0.

    Args:
        ranks: int `[n]`, 1-based, 0 for a miss.
        k: Cut-off.

    Returns:
        float64 `[n]`.
    """
    found = _found(ranks, k)
    return np.where(found, 1.0 / np.where(found, ranks, 1), 0.0)


METRICS: dict[str, Callable[[Ranks, int], PerQuery]] = {"hit": hit, "recall": recall, "ndcg": ndcg, "mrr": mrr}


def compute(name: str, ranks: Ranks, depth: int) -> PerQuery:
    """The metric called `name`, e.g. "ndcg@10", one value per query.

    Args:
        name: "METRIC@K".
        ranks: int `[n]`, 1-based, 0 for a miss.
        depth: Length of the lists that the ranks come from; a larger K can't be computed from them.

    Returns:
        float64 `[n]`.

    Raises:
        BenchError: No such metric, or a K that isn't in 1 .. `depth`.
    """
    metric, _, cutoff = name.partition("@")
    if metric not in METRICS:
        raise unknown_name("metric", metric, METRICS)
    if not cutoff.isdecimal() or not 1 <= int(cutoff) <= depth:
        raise BenchError(f"metric '{name}': the cut-off after '@' must be a whole number from 1 to {depth}")
    return METRICS[metric](ranks, int(cutoff))


def expected(name: str, first: Ranks, last: Ranks, depth: int) -> PerQuery:
    """The metric called `name` where ties were broken at random: its mean over the places of the tie.

    Each of the items that share a score is equally likely to stand in each of their places, so this is the expected
    value over all orders of the tie, blind to the target. A model's own rule, such as the more popular item first, is
    blind to it as well, but it can be lucky or not.

    Args:
        name: "METRIC@K".
        first, last: int `[n]`, 1-based places between which all items have the target's score; 0 for a miss.
        depth: Length of the lists.

    Returns:
        float64 `[n]`.

    Raises:
        BenchError: No such metric, or a K that isn't in 1 .. `depth`.
    """
    so_far = np.cumsum(compute(name, np.arange(depth + 1), depth))  # place 0, a miss, is worth 0
    return (so_far[last] - so_far[np.maximum(first, 1) - 1]) / (last - np.maximum(first, 1) + 1).clip(min=1)


def _found(ranks: Ranks, k: int) -> NDArray[np.bool_]:
    return (ranks >= 1) & (ranks <= k)
