"""A user's own past items: the baseline that data with repeated consumption demand."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from baselines.full_ranking import rank_catalogue
from baselines.popularity import fill_with_popularity
from bench.config import Config
from bench.data.dataset import TrainingData
from bench.data.interactions import Histories
from bench.recommender import FitContext, Recommendations, Recommender
from bench.search_space import Choice, LogUniform, SearchSpace
from models.history.count_prior import decayed_counts


class PersonalPopularityConfig(Config):
    """Says how fast `PersonalPopularity` forgets, how far back it counts, and how much popularity weighs in.

    Attributes:
        half_life: Later events of the user after which an event counts half. Large values count all events
            alike, small ones rank by recency.
        window: Only so many of the user's last events count. None: all.
        smoothing: Events that everybody is taken to have beside their own, spread over the catalogue by popularity.
            0 ranks every own item before all others.
    """

    half_life: float = Field(default=100.0, gt=0)
    window: int | None = Field(default=None, ge=1)
    smoothing: float = Field(default=0.0, ge=0)


class PersonalPopularity(Recommender):
    """Ranks the items of the user's own history by exponentially decayed counts, then all others by popularity.

    With smoothing, popularity weighs in everywhere: a count is the sum of the item's own decayed events and its share
    of the imagined ones. Where seen items are excluded nothing of the history is left to recommend, and this is
    `Popularity`.
    """

    Config = PersonalPopularityConfig
    config: PersonalPopularityConfig
    search_space: ClassVar[SearchSpace] = {
        "half_life": LogUniform(1.0, 1000.0),
        "smoothing": Choice(0, 50, 100, 200, 400),
        "window": Choice(50, 200, 1000, None),
    }
    summary = "decayed counts of the user's own past items, filled up by popularity"
    group = "counting"
    role = "reference"

    def fit(self, train: TrainingData, context: FitContext) -> None:
        self._counts = train.interactions.item_counts()

    def recommend(self, histories: Histories, k: int) -> Recommendations:
        own = decayed_counts(histories, self.config.half_life, self.config.window).toarray()
        if self.config.smoothing:
            own += self.config.smoothing * self._counts / max(1, self._counts.sum())
        return rank_catalogue(fill_with_popularity(own, self._counts), histories, k)
