"""Models that this project knows nothing of: what somebody else's package would hold."""

from __future__ import annotations

import logging
import os
import time
import warnings
from typing import Literal

import numpy as np
from pydantic import Field

from bench.config import Config
from bench.data.dataset import TrainingData
from bench.data.interactions import Histories
from bench.errors import SkippedRun
from bench.recommender import CurvePoint, FitContext, Mechanism, Recommendations, Recommender


class Schedule(Config):
    """A nested configuration."""

    epochs: int = Field(default=1, ge=1)
    pace: float = 1.0


class OutsideConfig(Config):
    """The configuration of `Outside`; its schedule differs from the class's own defaults."""

    order: Literal["random", "reverse"] = "random"
    schedule: Schedule = Schedule(epochs=3, pace=0.5)


class Outside(Recommender):
    """Ranks the catalogue in an order drawn from the seed."""

    Config = OutsideConfig
    config: OutsideConfig
    summary = "a model from outside"
    fidelity = (Mechanism("drawing lots", "faithful", "folklore"),)

    def fit(self, train: TrainingData, context: FitContext) -> None:
        print("printed")
        os.write(2, b"written by C\n")
        logging.getLogger("outside").info("logged")
        warnings.warn("warned", stacklevel=1)
        self._scores = np.random.default_rng(context.seed).random(train.n_items).astype(np.float32)
        for epoch in range(self.config.schedule.epochs):
            context.curve.append(CurvePoint(epoch, epoch, 1.0, context.validate(self), 0.1))
            context.report_progress((epoch + 1) / self.config.schedule.epochs, f"epoch {epoch + 1}")
        context.diagnostics["drawn"] = self._scores[:2]
        context.diagnostics["shared_seed"] = context.shared_seed

    def recommend(self, histories: Histories, k: int) -> Recommendations:
        scores = np.tile(self._scores, (len(histories), 1))
        if histories.exclude_seen:
            scores[histories.seen()] = -np.inf
        items = np.argsort(-scores, axis=1, kind="stable")[:, :k].astype(np.int32)
        return Recommendations(items, np.take_along_axis(scores, items, axis=1))

    def parameter_count(self) -> int:
        return 7


class Raising(Outside):
    """Fails after its first validation."""

    def fit(self, train: TrainingData, context: FitContext) -> None:
        super().fit(train, context)
        raise RuntimeError("the loss is\nnot a number")


class Dying(Outside):
    """Takes its process down, as the kernel does when memory runs out."""

    def fit(self, train: TrainingData, context: FitContext) -> None:
        print("last words")
        os._exit(1)


class Slow(Outside):
    """Needs a minute."""

    def fit(self, train: TrainingData, context: FitContext) -> None:
        time.sleep(60)


class Lacking(Outside):
    """Needs a package that nobody has."""

    def fit(self, train: TrainingData, context: FitContext) -> None:
        raise SkippedRun("needs the package 'unobtainium'")
