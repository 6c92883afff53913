"""Another model's probabilities mixed with a user's decayed counts: a learned model that need not learn to count."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from baselines.full_ranking import rank_catalogue
from baselines.popularity import fill_with_popularity
from bench.config import Config
from bench.data.dataset import TrainingData
from bench.data.interactions import PAD, Histories
from bench.errors import SkippedRun
from bench.recommender import CurvePoint, FitContext, Mechanism, Recommendations, Recommender
from bench.registry import model_class
from bench.search_space import USUAL, SearchSpace
from models.history.count_prior import Mixture, best_of, chosen_in_turn, decayed_counts

REMEMBERED_BYTES = 1 << 30
"""The base model's probabilities of validation queries that are kept while the mixture is chosen."""


class CountMixtureConfig(Config):
    """Configuration of `CountMixture`.

    What is chosen among `weights`, `half_lives` and `smoothings` is chosen on validation queries, in the fit.

    Attributes:
        base: Registered model that is mixed with the counts; trained first, with the same seed.
        base_config: Its configuration, where it differs from that model's defaults; completed by these, so that
            another default is another run.
        base_revision: Filled in: the base model's `revision`.
        base_scores: What the base model's scores are. "logits": probabilities are their softmax, which also suits
            logarithms of probabilities. "weights": their shares of the sum; scores below 0 count as 0.
        listed: Only so many of the base model's best items get a probability from it, which a model that generates
            its lists needs. None: the whole catalogue.
        weights: Shares of the counts in the mixture to choose from.
        half_lives: Half-lives of the counts, in events, to choose from.
        smoothings: Events spread over the catalogue by popularity, beside the user's own, to choose from.
    """

    base: str = "sasrec-ce"
    base_config: dict[str, Any] = Field(default_factory=dict)
    base_revision: int = 0
    base_scores: Literal["logits", "weights"] = "logits"
    listed: int | None = Field(default=None, ge=1)
    weights: tuple[float, ...] = Field(default=(0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0), min_length=1)
    half_lives: tuple[float, ...] = Field(default=(20.0, 50.0, 100.0, 200.0, 400.0, 1000.0), min_length=1)
    smoothings: tuple[float, ...] = Field(default=(0.0, 25.0, 50.0, 100.0, 200.0, 400.0), min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _with_all_of_the_base(cls, written: Any) -> Any:
        """Completes the base model's part, which decides the outcome as much as what the mixture says of itself."""
        if not isinstance(written, Mapping):
            return written
        name = written.get("base", cls.model_fields["base"].default)
        try:
            model = model_class(name)
        except SkippedRun:  # the run becomes a row with that reason
            return written
        config = model.Config.model_validate(written.get("base_config", {})).model_dump(mode="json")
        return {**written, "base_config": config, "base_revision": model.revision}

    @model_validator(mode="after")
    def _within_range(self) -> CountMixtureConfig:
        if not all(0 <= weight <= 1 for weight in self.weights):
            raise ValueError("weights should lie in [0, 1]")
        if min(self.half_lives) <= 0 or min(self.smoothings) < 0:
            raise ValueError("half_lives should be above 0, and smoothings at least 0")
        return self


class CountMixture(Recommender):
    """p(item) = (1 - weight) * base(item) + weight * counts(item).

    The counts are a user's own events, decayed, and some imagined ones that follow popularity, as shares of their sum.
    Weight, half-life and smoothing are those of the best validation NDCG@10: each is chosen in turn, given the others,
    beginning with counts alone. Where seen items are excluded the counts have nothing left to say.
    """

    Config = CountMixtureConfig
    config: CountMixtureConfig
    search_space: ClassVar[SearchSpace] = {f"base_config.{key}": range_ for key, range_ in USUAL.items()}
    role = "baseline"
    summary = "probabilities of another model (base: sasrec-ce) mixed with the user's decayed counts"
    group = "counting"
    base: Recommender | None = None
    mixture: Mixture
    fidelity = (
        Mechanism(
            "mixture of a sequence model's probabilities and smoothed, decayed counts",
            "faithful",
            "ours; no paper. The counts are those of `personal-popularity`",
            test="tests/baselines/test_count_mixture.py::test_the_mixture_is_the_weighted_sum_of_two_distributions",
        ),
        Mechanism(
            "weight, half-life and smoothing by validation NDCG@10",
            "faithful",
            "ours; no paper",
            test="tests/baselines/test_count_mixture.py::test_the_choice_is_the_best_validation_and_sees_no_target",
        ),
    )

    def fit(self, train: TrainingData, context: FitContext) -> None:
        started = time.perf_counter()
        self._counts = train.interactions.item_counts()
        self._popularity = self._counts / max(1, self._counts.sum())
        own = replace(context, curve=[], diagnostics={})
        self.base = model_class(self.config.base)(self.config.base_config)
        self.base.fit(train, own)
        tried = self._choose(context)
        last = max(own.curve, key=lambda point: point.validation, default=CurvePoint(0, 0, np.nan, np.nan, 0))
        seconds = time.perf_counter() - started
        context.curve.append(CurvePoint(last.epoch, last.step, last.loss, tried[self.mixture], seconds))
        context.diagnostics["base"] = {
            "model": self.config.base,
            "parameters": self.base.parameter_count(),
            "curve": [asdict(point) for point in own.curve],
            **own.diagnostics,
        }
        context.diagnostics["mixture"] = {
            **asdict(self.mixture),
            "tried": [{**asdict(mixture), "validation": value} for mixture, value in tried.items()],
        }

    def recommend(self, histories: Histories, k: int) -> Recommendations:
        weight = self.mixture.weight
        mixed = np.zeros((len(histories), histories.n_items))
        if weight > 0:
            mixed += weight * self._count_shares(histories)
        if weight < 1:
            mixed += (1 - weight) * self._base_probabilities(histories)
        return rank_catalogue(fill_with_popularity(mixed, self._counts), histories, k)

    def parameter_count(self) -> int:
        return 0 if self.base is None else self.base.parameter_count()

    def _choose(self, context: FitContext) -> dict[Mixture, float]:
        """Sets `mixture`; returns the validation of all that were tried."""
        config = self.config
        options = {"half_life": config.half_lives, "smoothing": config.smoothings, "weight": config.weights}
        middle = {name: values[len(values) // 2] for name, values in options.items()}
        self._remembered: dict[bytes, NDArray[np.float32]] | None = {}

        def judge(name: str, mixture: Mixture) -> float:
            self.mixture = mixture
            context.report_progress(1.0, f"choosing {name}")
            return context.validate(self)

        tried = chosen_in_turn(options, Mixture(**{**middle, "weight": max(config.weights)}), judge)
        self.mixture, self._remembered = best_of(tried), None
        return tried

    def _count_shares(self, histories: Histories) -> NDArray[np.float64]:
        """Of each query, the items' shares of its decayed and its imagined events: float64 `[n_queries, n_items]`."""
        counts = decayed_counts(histories, self.mixture.half_life).toarray()
        counts += self.mixture.smoothing * self._popularity
        return counts / np.maximum(counts.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)

    def _base_probabilities(self, histories: Histories) -> NDArray[np.float32]:
        """The base model's distribution over the catalogue: float32 `[n_queries, n_items]`.

        It does not depend on the mixture. While that is chosen the same queries are asked again and again.
        """
        if self._remembered is None:
            return self._asked(histories)
        key = b"".join(part.tobytes() for part in (histories.offsets, histories.items, histories.timestamps))
        if key not in self._remembered:
            found = self._asked(histories)
            if sum(kept.nbytes for kept in self._remembered.values()) + found.nbytes > REMEMBERED_BYTES:
                return found
            self._remembered[key] = found
        return self._remembered[key]

    def _asked(self, histories: Histories) -> NDArray[np.float32]:
        assert self.base is not None, "recommend before fit"
        answer = self.base.recommend(histories, min(self.config.listed or histories.n_items, histories.n_items))
        listed = answer.items != PAD
        scores = np.where(listed, answer.scores, -np.inf).astype(np.float64)
        if self.config.base_scores == "logits":
            top = scores.max(axis=1, keepdims=True, initial=np.finfo(np.float64).min)
            weights = np.exp(scores - top)
        else:
            weights = scores.clip(min=0)
        shares = weights / np.maximum(weights.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)
        probabilities = np.zeros((len(histories), histories.n_items), dtype=np.float32)
        query = np.nonzero(listed)[0]
        probabilities[query, answer.items[listed]] = shares[listed]
        return probabilities
