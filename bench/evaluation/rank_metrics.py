"""Ranking metrics, one value per query, from the rank of the target in each list.

Every query has exactly one target, so recall equals hit and the ideal DCG is 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ranks = NDArray[np.integer]
"""int `[n_queries]`, the 1-based position of each query's target in its ranked list; 0 for a miss: it isn't there."""

PerQuery = NDArray[np.float64]
"""float64 `[n_queries]`, one value per query; means, intervals and tests are made from these."""


@dataclass(frozen=True)
class Metric:
    """A metric as `bench.evaluation.metrics.METRICS` holds it; called like its function.

    Attributes:
        of_ranks: From ranks and a cut-off `k` to one value per query: 0 for a target that is not among the first `k`,
            so that lists of any length of `k` or more give the same value.
        reported_at: Cut-offs that the leaderboard has columns for; any other can be asked for by name.
    """

    of_ranks: Callable[[Ranks, int], PerQuery]
    reported_at: tuple[int, ...] = ()

    def __call__(self, ranks: Ranks, k: int) -> PerQuery:
        return self.of_ranks(ranks, k)


def is_hit(ranks: Ranks, k: int) -> NDArray[np.bool_]:
    """Whether the target is among the first `k`: bool `[n]`, the beginning of every metric here."""
    return (ranks >= 1) & (ranks <= k)


def hit(ranks: Ranks, k: int) -> PerQuery:
    """1 where the target is among the first `k`, else 0.

    Args:
        ranks: int `[n]`, 1-based, 0 for a miss.
        k: Cut-off.

    Returns:
        float64 `[n]`.
    """
    return is_hit(ranks, k).astype(np.float64)


def recall(ranks: Ranks, k: int) -> PerQuery:
    """Share of a query's targets among the first `k`; with one target a query this is `hit`.

    Example:
        Of four targets, one stands first, one third, one eleventh, and one is not in its list.

        >>> import numpy as np
        >>> recall(np.array([1, 3, 11, 0]), k=10).tolist()
        [1.0, 1.0, 0.0, 0.0]
        >>> float(recall(np.array([1, 3, 11, 0]), k=20).mean())
        0.75
    """
    return hit(ranks, k)


def ndcg(ranks: Ranks, k: int) -> PerQuery:
    """Normalised discounted cumulative gain: `1 / log2(rank + 1)` where the target is among the first `k`, else 0.

    Args:
        ranks: int `[n]`, 1-based, 0 for a miss.
        k: Cut-off.

    Returns:
        float64 `[n]`.

    Example:
        >>> import numpy as np
        >>> ndcg(np.array([1, 3, 11, 0]), k=10).tolist()
        [1.0, 0.5, 0.0, 0.0]
    """
    found = is_hit(ranks, k)
    return np.where(found, 1.0 / np.log2(np.where(found, ranks, 1) + 1.0), 0.0)


def mrr(ranks: Ranks, k: int) -> PerQuery:
    """Reciprocal rank: `1 / rank` where the target is among the first `k`, else 0.

    Args:
        ranks: int `[n]`, 1-based, 0 for a miss.
        k: Cut-off.

    Returns:
        float64 `[n]`.

    Example:
        >>> import numpy as np
        >>> mrr(np.array([1, 4, 11, 0]), k=10).tolist()
        [1.0, 0.25, 0.0, 0.0]
    """
    found = is_hit(ranks, k)
    return np.where(found, 1.0 / np.where(found, ranks, 1), 0.0)


METRICS = {
    "hit": Metric(hit, reported_at=(1,)),
    "recall": Metric(recall, reported_at=(5, 10, 20)),
    "ndcg": Metric(ndcg, reported_at=(5, 10, 20)),
    "mrr": Metric(mrr),
}
