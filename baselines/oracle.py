"""The oracle: knows the process behind a generated data set, and so the best that any model can reach."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from baselines.full_ranking import rank_catalogue
from bench.data.dataset import TrainingData, World
from bench.data.interactions import Histories
from bench.data.protocols import Queries
from bench.errors import SkippedRun
from bench.recommender import FitContext, Recommendations, Recommender

CUTOFFS = (1, 5, 10, 20)


class Oracle(Recommender):
    """Ranks by the true distribution of the next item; every other ranking is worse in expectation, or as good.

    Its measured figures vary with the targets that were drawn, and a lucky model may pass them. The exact expectations
    over the answered queries are in the run's diagnostics, under `exact`.
    """

    summary = "the true distribution of the next item, on generated data only: the best that any model can reach"
    role = "oracle"

    def fit(self, train: TrainingData, context: FitContext) -> None:
        """Takes the world; there is nothing to learn.

        Raises:
            SkippedRun: Nobody knows the process behind the data.
        """
        if train.world is None:
            raise SkippedRun("knows the answers of generated data only: choose planted-long or planted-recent")
        self._world = train.world
        self._exact = context.diagnostics.setdefault("exact", {})
        self._totals: dict[str, float] = {}
        self._answered = 0

    def recommend(self, histories: Histories, k: int) -> Recommendations:
        likely = next_item_probabilities(self._world, histories)
        self._answered += len(histories)
        for name, scores in expected_scores(likely, CUTOFFS).items():
            self._totals[name] = self._totals.get(name, 0.0) + float(scores.sum())
            self._exact[name] = self._totals[name] / max(1, self._answered)
        return rank_catalogue(likely, histories, k)


def next_item_probabilities(world: World, histories: Histories) -> NDArray[np.float64]:
    """Computes the true distribution of each query's target.

    Where seen items are excluded, queries whose target was seen do not occur: the distribution is that of the unseen
    items, and all 0 where none of these is possible.

    Returns:
        float64 `[n_queries, n_items]`.
    """
    likely = world.probabilities(histories)
    if not histories.exclude_seen:
        return likely
    likely = np.where(histories.seen(), 0.0, likely)
    total = likely.sum(axis=1, keepdims=True)
    return likely / np.where(total > 0, total, 1.0)


def expected_scores(probabilities: NDArray[np.float64], ks: Sequence[int]) -> dict[str, NDArray[np.float64]]:
    """Computes the expected metrics of the best ranking, which is by probability.

    With one target a query, the expected Recall@K of a list is the sum of its first K items' probabilities, and the
    expected NDCG@K is that sum with the weights `1 / log2(rank + 1)`. Both are largest where probabilities descend.

    Args:
        probabilities: float64 `[n_queries, n_items]`, of each query's target.
        ks: Cut-offs.

    Returns:
        "recall@K" and "ndcg@K" for every cut-off, float64 `[n_queries]` each.
    """
    best = -np.sort(-probabilities, axis=1)[:, : max(ks)]
    discounted = best / np.log2(np.arange(best.shape[1]) + 2.0)
    scores: dict[str, NDArray[np.float64]] = {}
    for k in ks:
        scores[f"recall@{k}"] = best[:, :k].sum(axis=1)
        scores[f"ndcg@{k}"] = discounted[:, :k].sum(axis=1)
    return scores


def exact_scores(
    world: World, queries: Queries, ks: Sequence[int] = CUTOFFS, batch_size: int = 256
) -> dict[str, NDArray[np.float64]]:
    """Says what the oracle reaches in expectation on each query: an upper bound for every model.

    Args:
        world: The process that generated the data.
        queries: Histories; their targets are not looked at.
        ks: Cut-offs.
        batch_size: Queries at a time; bounds the memory.

    Returns:
        "recall@K" and "ndcg@K" for every cut-off, float64 `[n_queries]` each.
    """
    parts = [
        expected_scores(next_item_probabilities(world, queries.histories(start, start + batch_size)), ks)
        for start in range(0, len(queries), batch_size)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
