"""Item-to-item nearest neighbours over co-occurrence in training histories."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import scipy.sparse as sp
from pydantic import Field

from baselines.full_ranking import rank_catalogue, top_k
from baselines.popularity import fill_with_popularity
from bench.config import Config
from bench.data.dataset import TrainingData
from bench.data.interactions import Histories, Interactions
from bench.recommender import FitContext, Mechanism, Recommendations, Recommender
from bench.search_space import Choice, LogUniform, SearchSpace
from models.history.count_prior import decayed_counts

_BLOCK = 256
"""Rows of the similarity matrix that are dense at one time."""


class ItemKNNConfig(Config):
    """Configures `ItemKNN`; the defaults are tuned on validation NDCG@10 of ML-100K.

    Attributes:
        neighbours: Most similar items kept for each item.
        shrinkage: Added to the denominator of the cosine; pulls similarities that few users support to 0.
        half_life: Later events of the user after which an event of the history counts half.
    """

    neighbours: int = Field(default=50, ge=1)
    shrinkage: float = Field(default=5.0, ge=0)
    half_life: float = Field(default=1.0, gt=0)


class ItemKNN(Recommender):
    """Scores an item by its similarity to the user's recent items (Sarwar et al., WWW 2001; shrunk cosine).

    An item's score is the sum of its similarities to the items of the history, weighted by their decayed counts.
    Items that are near nothing in the history follow by popularity.
    """

    Config = ItemKNNConfig
    config: ItemKNNConfig
    search_space: ClassVar[SearchSpace] = {
        "neighbours": Choice(20, 50, 100, 200),
        "shrinkage": LogUniform(0.5, 50.0),
        "half_life": LogUniform(0.5, 50.0),
    }
    summary = "shrunk cosine of item co-occurrence, summed over a decayed history"
    role = "baseline"
    group = "counting"
    paper = "Sarwar et al., WWW"
    year = 2001
    fidelity = (
        Mechanism(
            "similarity of items",
            "approximated",
            "Sarwar et al., section 3.1.1",
            "cosine of the users who have them, where the paper has ratings; a constant in the denominator pulls what "
            "few users support to 0",
            test="tests/baselines/test_counting_baselines.py::test_cosine_by_hand",
        ),
        Mechanism(
            "nearest neighbours of each item",
            "faithful",
            "Sarwar et al., section 3.3",
            test="tests/baselines/test_counting_baselines.py::"
            "test_only_the_nearest_neighbours_are_kept_and_ties_go_to_the_lower_index",
        ),
        Mechanism(
            "score: similarities to the items of the history, added up",
            "approximated",
            "Sarwar et al., section 3.2.1",
            "weighted by how often and how lately an item occurs, where the paper weighs by ratings and divides by the "
            "sum of similarities; items near nothing follow by popularity",
            test="tests/baselines/test_counting_baselines.py::test_item_knn_sums_similarities_over_the_decayed_history",
        ),
    )

    def fit(self, train: TrainingData, context: FitContext) -> None:
        self._counts = train.interactions.item_counts()
        self._similarity = cosine_neighbours(train.interactions, self.config.neighbours, self.config.shrinkage)

    def recommend(self, histories: Histories, k: int) -> Recommendations:
        scores = (decayed_counts(histories, self.config.half_life) @ self._similarity).toarray()
        return rank_catalogue(fill_with_popularity(scores, self._counts), histories, k)


def cosine_neighbours(interactions: Interactions, neighbours: int, shrinkage: float) -> sp.csr_array:
    """Compares items by the users who have them (shrunk cosine), and cuts the result to the nearest neighbours.

    The similarity of items i and j is n_ij / (sqrt(n_i n_j) + shrinkage), where n counts training users with the
    item, or with both. An item is no neighbour of its own; ties for the last rank go to the lower item index.

    Args:
        interactions: Training events.
        neighbours: Entries kept in each row.
        shrinkage: See above.

    Returns:
        float64 `[n_items, n_items]`, sparse; row i holds the nearest neighbours of item i.
    """
    users = np.repeat(np.arange(interactions.n_users), interactions.lengths)
    shape = (interactions.n_users, interactions.n_items)
    has = sp.coo_array((np.ones(interactions.n_events), (users, interactions.items)), shape=shape).tocsr()
    has.data[:] = 1.0  # an item that a user has several times
    users_of = has.T.tocsr()
    n_users = np.asarray(has.sum(axis=0)).ravel()
    blocks = []
    for start in range(0, interactions.n_items, _BLOCK):
        stop = min(start + _BLOCK, interactions.n_items)
        both = (users_of[start:stop] @ has).toarray()
        both[np.arange(stop - start), np.arange(start, stop)] = 0.0
        scale = np.sqrt(np.outer(n_users[start:stop], n_users)) + shrinkage
        similarity = np.divide(both, scale, out=np.zeros_like(both), where=both > 0)
        nearest, values = top_k(similarity, neighbours)
        offsets = np.arange(stop - start + 1) * nearest.shape[1]
        block = sp.csr_array((values.ravel(), nearest.ravel(), offsets), shape=both.shape)
        block.eliminate_zeros()
        blocks.append(block)
    return sp.csr_array(sp.vstack(blocks))
