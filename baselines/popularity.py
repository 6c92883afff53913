"""Global popularity: the floor that every personalised model has to clear."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from baselines.full_ranking import rank_catalogue
from bench.data.dataset import TrainingData
from bench.data.interactions import Histories
from bench.recommender import FitContext, Recommendations, Recommender


class Popularity(Recommender):
    """Ranks every item by its number of training interactions; ties go to the lower item index."""

    summary = "training interactions per item, the same list for everybody"
    group = "counting"
    role = "reference"

    def fit(self, train: TrainingData, context: FitContext) -> None:
        self._counts = train.interactions.item_counts()

    def recommend(self, histories: Histories, k: int) -> Recommendations:
        scores = np.broadcast_to(self._counts.astype(np.float64), (len(histories), histories.n_items))
        return rank_catalogue(scores, histories, k)


def fill_with_popularity(
    scores: NDArray[np.floating[Any]], counts: NDArray[np.int64], items: NDArray[np.integer[Any]] | None = None
) -> NDArray[np.float64]:
    """Ranks the items that a model has nothing to say about by popularity, below all others.

    Without this, a tie at zero would rank by item index, and item indices are seldom random.

    Args:
        scores: Float `[n_queries, n_items]`, at least 0; 0 where the model has nothing to say.
        counts: int64 `[n_items]`, training interactions.
        items: Of which items the columns are, int `[n_queries, columns]`. None: of all, in order.

    Returns:
        float64, as `scores`, in [-1, 0) where the score was 0.
    """
    below = counts / (counts.max(initial=0) + 1.0) - 1.0
    return np.where(scores > 0, scores, below if items is None else below[items])
