"""What a hit on a semantic ID is worth where items share it: the expected credit of one of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.evaluation.metrics import PerQuery, Ranks, compute


def shared_credit(name: str, sid_ranks: Ranks, group_sizes: NDArray[np.integer], depth: int) -> PerQuery:
    """CCE: a metric at SID level, divided among the items that share the target's semantic ID.

    Whoever generates the target's ID and picks one of its items at random finds the target in 1 of `group_sizes` cases
    ("How Reliable Are Semantic-ID Tokenizer Comparisons in Generative Recommendation?", arXiv 2605.25330). Unlike the
    item level, this depends neither on the rule by which items of one ID are ordered nor on how many of them push
    others out of a list; unlike the SID level, collisions gain nothing.

    Args:
        name: "METRIC@K".
        sid_ranks: int `[n]`, 1-based places among the distinct generated IDs, 0 for a miss.
        group_sizes: int `[n]`, items that have the target's ID, at least 1.
        depth: Length of the lists.

    Returns:
        float64 `[n]`.

    Raises:
        BenchError: No such metric, or a K that isn't in 1 .. `depth`.
    """
    return compute(name, sid_ranks, depth) / group_sizes
