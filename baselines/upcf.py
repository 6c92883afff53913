"""UP-CF@r (Faggioli, Polato & Aiolli, UMAP 2020): recent popularity of items for a user and for similar users."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import scipy.sparse as sp
from pydantic import Field

from baselines.baskets import Baskets
from baselines.full_ranking import rank_catalogue
from baselines.known_users import KnownUsers
from baselines.popularity import fill_with_popularity
from baselines.similar_users import nearest, without_own
from bench.config import Config
from bench.data.dataset import TrainingData
from bench.data.interactions import Histories
from bench.recommender import FitContext, Mechanism, Recommendations, Recommender
from bench.search_space import Choice, SearchSpace, Uniform


class UPCFConfig(Config):
    """Configuration of `UPCF`.

    Attributes:
        recency: r, the last baskets of a user that count for popularity. None: all.
        asymmetry: alpha of the similarity: 1 asks how much of the user's items the other one has, 0 the reverse.
        locality: q, the power to which similarities are raised; a large one leaves few neighbours.
        neighbours: Most similar other users that count. None: all.
    """

    recency: int | None = Field(default=25, ge=1)
    asymmetry: float = Field(default=0.25, ge=0, le=1)
    locality: float = Field(default=5.0, gt=0)
    neighbours: int | None = Field(default=None, ge=1)


class UPCF(Recommender):
    """Scores an item by its share of a user's recent baskets, summed over users by a power of their similarity.

    The user is the most similar to themselves (1), with the history that is asked about; their training events are no
    neighbour. Items that nobody similar has follow by popularity.
    """

    Config = UPCFConfig
    config: UPCFConfig
    search_space: ClassVar[SearchSpace] = {
        "recency": Choice(1, 5, 25, 100, None),
        "asymmetry": Uniform(0.0, 1.0),
        "locality": Choice(1.0, 5.0, 10.0, 50.0, 100.0),
    }
    role = "baseline"
    summary = "popularity of items in the last baskets of the user and of similar users"
    group = "basket"
    paper = "Faggioli et al., UMAP"
    year = 2020
    fidelity = (
        Mechanism(
            "user-wise popularity over the last r baskets",
            "faithful",
            "paper, user-wise popularity @r: baskets with the item among the last r, over min(r, baskets)",
            test="tests/baselines/test_basket_models.py::test_up_cf_equals_the_naive_walk",
        ),
        Mechanism(
            "asymmetric cosine of users, to the power q",
            "faithful",
            "paper, and asymmetric_cosine of the package similaripy, which its code calls: common items over |u|^alpha "
            "|v|^(1 - alpha), where |u| is the number of different items of the user asked about",
            test="tests/baselines/test_basket_models.py::test_up_cf_equals_the_naive_walk",
        ),
        Mechanism(
            "score: similarities times popularity, the user's own included",
            "approximated",
            "paper; upcf() in methods/upcf/NextBasketRecFramework.py of Li et al.'s Reality Check at commit 54f60b6",
            "every other user counts, as in the paper; that code keeps the ten most similar (`neighbours`), and fixes "
            "r at 5 whatever is asked for. Defaults are its q 5 and alpha 0.25, and r 25 of the paper's 1, 5, 25, 100",
            test="tests/baselines/test_basket_models.py::test_up_cf_equals_the_naive_walk",
        ),
    )

    def fit(self, train: TrainingData, context: FitContext) -> None:
        self._counts = train.interactions.item_counts()
        self._grouped = train.baskets
        self._users = KnownUsers(train.interactions)
        self._has, self._popular = self._rows(Baskets.of(train.interactions, train.baskets))

    def recommend(self, histories: Histories, k: int) -> Recommendations:
        has, popular = self._rows(Baskets.of(histories, self._grouped))
        similarity = without_own(self._similarity(has), self._users.of(histories))
        if self.config.neighbours is not None:
            similarity = nearest(similarity, self.config.neighbours)
        scores = popular + similarity.power(self.config.locality) @ self._popular
        return rank_catalogue(fill_with_popularity(scores.toarray(), self._counts), histories, k)

    def _rows(self, baskets: Baskets) -> tuple[sp.csr_array, sp.csr_array]:
        """Of each row: the items that it has (1), and their share of its last baskets; `[n_rows, n_items]` each."""
        has = baskets.frequencies()
        has.data[:] = 1.0
        recency = baskets.sizes.max(initial=1) if self.config.recency is None else self.config.recency
        share = 1.0 / np.minimum(baskets.sizes, recency).clip(min=1)
        return has, baskets.summed(share[baskets.rows], baskets.ages() < recency)

    def _similarity(self, has: sp.csr_array) -> sp.csr_array:
        """Asymmetric cosine float64 `[n_queries, n_users]` of queries and training users."""
        common = sp.coo_array(has @ self._has.T)
        asked, other = (np.asarray(side.sum(axis=1)).ravel() for side in (has, self._has))
        query, user = common.coords
        norm = asked[query] ** self.config.asymmetry * other[user] ** (1 - self.config.asymmetry)
        return sp.coo_array((common.data / norm, (query, user)), shape=common.shape).tocsr()
