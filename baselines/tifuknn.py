"""TIFU-KNN (Hu et al., SIGIR 2020, arXiv 2006.00556): a user's decayed item frequencies, mixed with their neighbours'.

Constants and formulas are those of the official code, github.com/HaojiHu/TIFUKNN at commit 9d1879b, `TIFUKNN.py`.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import Field

from baselines.baskets import Baskets
from baselines.full_ranking import rank_catalogue
from baselines.known_users import KnownUsers
from baselines.popularity import fill_with_popularity
from baselines.similar_users import mean_of_nearest
from bench.config import Config
from bench.data.dataset import TrainingData
from bench.data.interactions import Histories
from bench.recommender import FitContext, Mechanism, Recommendations, Recommender
from bench.search_space import Choice, SearchSpace, Uniform


class TIFUKNNConfig(Config):
    """Configuration of `TIFUKNN`; the defaults are the paper's for Ta-Feng.

    Attributes:
        neighbours: k, the nearest users.
        within_decay: r_b, by which a basket weighs less than the next one.
        group_decay: r_g, by which a group of baskets weighs less than the next one.
        own_weight: alpha, the weight of the user's own vector; the neighbours' mean has the rest.
        groups: m, the groups into which a history's baskets are divided.
        decay_within: "history": a basket's decay counts all later baskets of the history, as in the official code;
            "group": those of its group, as in the paper.
    """

    neighbours: int = Field(default=300, ge=1)
    within_decay: float = Field(default=0.9, gt=0, le=1)
    group_decay: float = Field(default=0.7, gt=0, le=1)
    own_weight: float = Field(default=0.7, ge=0, le=1)
    groups: int = Field(default=7, ge=1)
    decay_within: Literal["history", "group"] = "history"


class TIFUKNN(Recommender):
    """Scores items by the user's temporal-item-frequency vector and the mean vector of the nearest training users.

    Items that neither has follow by popularity.
    """

    Config = TIFUKNNConfig
    config: TIFUKNNConfig
    search_space: ClassVar[SearchSpace] = {
        "neighbours": Choice(100, 300, 500, 900, 1300),
        "within_decay": Uniform(0.1, 1.0),
        "group_decay": Uniform(0.1, 1.0),
        "own_weight": Uniform(0.0, 1.0),
        "groups": Choice(3, 7, 11, 17, 23),
        "decay_within": Choice("history", "group"),
    }
    role = "baseline"
    summary = "a user's item frequencies, decayed by basket and by group of baskets, mixed with the nearest users'"
    group = "basket"
    paper = "Hu et al., SIGIR"
    year = 2020
    fidelity = (
        Mechanism(
            "user vector: decay inside groups of baskets and between groups",
            "approximated",
            "paper; official code, temporal_decay_sum_history and group_history_list",
            "as in the code, where a basket's decay counts all later baskets of the history; `decay_within: group` is "
            "the paper's, which counts those of the group",
            test="tests/baselines/test_basket_models.py::test_tifu_knn_equals_the_naive_walk",
        ),
        Mechanism(
            "nearest users by Euclidean distance of these vectors",
            "faithful",
            "paper; official code, KNN. Users asked about are no neighbours of themselves there, as here",
            test="tests/baselines/test_basket_models.py::test_tifu_knn_equals_the_naive_walk",
        ),
        Mechanism(
            "score: alpha times the own vector, the rest the neighbours' mean",
            "faithful",
            "paper; official code, merge_history",
            test="tests/baselines/test_basket_models.py::test_tifu_knn_equals_the_naive_walk",
        ),
    )

    def fit(self, train: TrainingData, context: FitContext) -> None:
        self._counts = train.interactions.item_counts()
        self._grouped = train.baskets
        self._users = KnownUsers(train.interactions)
        self._vectors = self._user_vectors(Baskets.of(train.interactions, train.baskets))
        self._lengths = np.where(train.interactions.lengths > 0, _squares(self._vectors), np.inf)

    def recommend(self, histories: Histories, k: int) -> Recommendations:
        own = self._user_vectors(Baskets.of(histories, self._grouped))
        distances = _squares(own)[:, None] + self._lengths - 2 * (own @ self._vectors.T).toarray()
        near = mean_of_nearest(distances, self._users.of(histories), self.config.neighbours) @ self._vectors
        scores = self.config.own_weight * own + (1 - self.config.own_weight) * near
        return rank_catalogue(fill_with_popularity(scores.toarray(), self._counts), histories, k)

    def _user_vectors(self, baskets: Baskets) -> sp.csr_array:
        """float64 `[n_rows, n_items]`, sparse: the means of groups, decayed and averaged."""
        config = self.config
        groups = Groups.of(baskets, config.groups)
        later = groups.later if config.decay_within == "group" else baskets.ages()
        weights = config.within_decay**later * config.group_decay ** (config.groups - 1.0 - groups.numbers)
        return baskets.summed(weights / groups.sizes / np.minimum(baskets.sizes, config.groups)[baskets.rows])


class Groups:
    """The groups of consecutive baskets: `[n]` values of what is in `Baskets`.

    Where a row's baskets can't be shared out evenly, the last groups have one more; a row of fewer baskets than groups
    has one basket a group, and no last groups.

    Attributes:
        numbers: int64, the basket's group, 0 is the oldest.
        sizes: int64, baskets in that group.
        later: int64, later baskets in that group.
    """

    def __init__(self, numbers: NDArray[np.int64], sizes: NDArray[np.int64], later: NDArray[np.int64]) -> None:
        self.numbers, self.sizes, self.later = numbers, sizes, later

    @classmethod
    def of(cls, baskets: Baskets, most: int) -> Groups:
        """At most `most` groups of every row."""
        total = baskets.sizes[baskets.rows]
        groups = np.minimum(total, most)
        size, larger = np.divmod(total, groups)
        in_smaller = (groups - larger) * size
        past = baskets.numbers - in_smaller  # negative in the smaller groups, which come first
        number = np.where(past < 0, baskets.numbers // size, groups - larger + past // (size + 1))
        begin = np.where(past < 0, number * size, in_smaller + (number - (groups - larger)) * (size + 1))
        sizes = np.where(past < 0, size, size + 1)
        return cls(number, sizes, begin + sizes - 1 - baskets.numbers)


def _squares(vectors: sp.csr_array) -> NDArray[np.float64]:
    """Squared lengths of rows."""
    return np.asarray(vectors.power(2).sum(axis=1)).ravel()
