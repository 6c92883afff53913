"""The metrics by name: which there are, which of them decides, and what each is called."""

from __future__ import annotations

import numpy as np

from bench.declarations import collected
from bench.errors import BenchError, unknown_name
from bench.evaluation.rank_metrics import Metric, PerQuery, Ranks

MODULES = [
    "rank_metrics",
]
"""Modules of `bench.evaluation` with metrics, each of which declares them as `METRICS`."""

METRICS: dict[str, Metric] = collected("bench.evaluation", MODULES, "METRICS")

REPORTED: tuple[str, ...] = tuple(f"{name}@{k}" for name, metric in METRICS.items() for k in metric.reported_at)
"""Metrics with columns of their own in the leaderboard, as "METRIC@K"."""


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

    Example:
        >>> import numpy as np
        >>> compute("ndcg@10", np.array([3, 0]), depth=20).tolist()
        [0.5, 0.0]
    """
    metric, _, cutoff = name.partition("@")
    if metric not in METRICS:
        raise unknown_name("metric", metric, METRICS)
    if not cutoff.isdecimal() or not 1 <= int(cutoff) <= depth:
        raise BenchError(f"metric '{name}': the cut-off after '@' must be a whole number from 1 to {depth}")
    return METRICS[metric](ranks, int(cutoff))


def expected(name: str, first: Ranks, last: Ranks, depth: int) -> PerQuery:
    """The metric called `name` where ties were broken at random: its mean over the positions of the tie.

    Each of the items that share a score is equally likely to stand in each of their positions, so this is the expected
    value over all orders of the tie, blind to the target. A model's own rule, such as the more popular item first, is
    blind to it as well, but it can be lucky or not.

    Args:
        name: "METRIC@K".
        first, last: int `[n]`, 1-based positions between which all items have the target's score; 0 for a miss.
        depth: Length of the lists.

    Returns:
        float64 `[n]`.

    Raises:
        BenchError: No such metric, or a K that isn't in 1 .. `depth`.

    Example:
        A target that shares its score with three others, in positions 9 to 12: in half of the orders it is among the
        first ten.

        >>> import numpy as np
        >>> expected("recall@10", np.array([9]), np.array([12]), depth=20).tolist()
        [0.5]
    """
    so_far = np.cumsum(compute(name, np.arange(depth + 1), depth))  # position 0, a miss, is worth 0
    return (so_far[last] - so_far[np.maximum(first, 1) - 1]) / (last - np.maximum(first, 1) + 1).clip(min=1)
