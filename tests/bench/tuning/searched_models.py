"""A model whose validation is a known function of its configuration, to search."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from bench.config import Config
from bench.data.dataset import TrainingData
from bench.data.interactions import Histories
from bench.recommender import FitContext, Recommendations, Recommender
from bench.search_space import Choice, SearchSpace, Uniform


class SearchedConfig(Config):
    """Of `Searched`."""

    quality: float = 0.5
    shape: tuple[int, ...] = (1, 2)
    mood: str = "calm"
    epochs: int = 4


class Searched(Recommender):
    """Validates `epochs` times; whoever judges it by `quality` knows what to expect."""

    Config = SearchedConfig
    config: SearchedConfig
    search_space: ClassVar[SearchSpace] = {"quality": Uniform(0.0, 1.0), "shape": Choice((1, 2), (4,), (8, 8, 8))}

    def fit(self, train: TrainingData, context: FitContext) -> None:
        self._scores = np.random.default_rng(context.seed).random(train.n_items).astype(np.float32)
        print("fitting with", self.config.quality)
        if self.config.mood == "angry":
            raise RuntimeError("not\nnow")
        for epoch in range(1, self.config.epochs + 1):
            self.epoch = epoch
            context.validate(self)
            context.report_progress(epoch / self.config.epochs, "going on")

    def recommend(self, histories: Histories, k: int) -> Recommendations:
        scores = np.tile(self._scores, (len(histories), 1))
        if histories.exclude_seen:
            scores[histories.seen()] = -np.inf
        items = np.argsort(-scores, axis=1, kind="stable")[:, :k].astype(np.int32)
        return Recommendations(items, np.take_along_axis(scores, items, axis=1))


class Moody(Searched):
    """Fails for one of the values that are tried."""

    search_space: ClassVar[SearchSpace] = {"quality": Uniform(0.0, 1.0), "mood": Choice("calm", "angry")}


class Misspelt(Searched):
    """Declares a key that it hasn't."""

    search_space: ClassVar[SearchSpace] = {"qualty": Uniform(0.0, 1.0)}


class WithoutEpochs(Searched):
    """Has nothing to stop early, and leaves validation to others."""

    def fit(self, train: TrainingData, context: FitContext) -> None:
        self.epoch = 3
