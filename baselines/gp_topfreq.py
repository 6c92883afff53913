"""GP-TopFreq: a user's most frequent items, then everybody's (Li et al., TOIS 2023, arXiv 2109.14233).

The paper's code is github.com/liming-7/A-Next-Basket-Recommendation-Reality-Check.
"""

from __future__ import annotations

from baselines.baskets import Baskets
from baselines.full_ranking import rank_catalogue
from baselines.popularity import fill_with_popularity
from bench.data.dataset import TrainingData
from bench.data.interactions import Histories
from bench.recommender import FitContext, Mechanism, Recommendations, Recommender


class GPTopFreq(Recommender):
    """Ranks a user's own items by the baskets that hold them, and all others, below, by popularity.

    Items of equally many baskets are ranked by popularity, too. There is nothing to learn and nothing to choose.
    """

    summary = "the user's own items by the number of baskets that hold them, filled up by popularity"
    group = "basket"
    paper = "Li et al., TOIS"
    year = 2023
    role = "reference"
    fidelity = (
        Mechanism(
            "a user's own items by frequency, then everybody's most frequent ones",
            "approximated",
            "code of the paper, methods/g-p-gp-topfreq/gp_topfreq.py at commit 4208b5f",
            "items of equal frequency are ranked by popularity, where the code leaves them in the order of their first "
            "purchase",
            test="tests/baselines/test_basket_models.py::test_own_items_by_baskets_then_popular_ones",
        ),
    )

    def fit(self, train: TrainingData, context: FitContext) -> None:
        self._counts = train.interactions.item_counts()
        self._grouped = train.baskets

    def recommend(self, histories: Histories, k: int) -> Recommendations:
        own = Baskets.of(histories, self._grouped).frequencies().toarray()
        popularity = self._counts / (self._counts.max(initial=0) + 1.0)
        return rank_catalogue(fill_with_popularity(own + popularity * (own > 0), self._counts), histories, k)
