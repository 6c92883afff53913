"""Another model's probabilities mixed with a user's decayed counts: a learned model that need not learn to count."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, ClassVar, Literal

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import Field, model_validator

from baselines.full_ranking import rank_candidates, top_k
from baselines.next_item import NextItemModel
from baselines.popularity import fill_with_popularity
from bench.data.dataset import TrainingData
from bench.data.interactions import PAD, Histories
from bench.errors import SkippedRun
from bench.recommender import CurvePoint, FitContext, Mechanism, Recommendations, Recommender
from bench.registry import model_class
from bench.search_space import USUAL, SearchSpace
from models.history.count_prior import Mixture, MixtureOptions, best_of, chosen_in_turn, decayed_counts, values_at

REMEMBERED_BYTES = 1 << 30
"""The base model's probabilities of validation queries that are kept while the mixture is chosen."""


MARGIN = 64
"""Items beside those that are wanted among which single precision may err."""

SINGLE_PRECISION = 1e-4
"""A relative difference that rounding to single precision can't make, nor a few such sums."""


class CountMixtureConfig(MixtureOptions):
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
    """

    base: str = "sasrec-ce"
    base_config: dict[str, Any] = Field(default_factory=dict)
    base_revision: int = 0
    base_scores: Literal["logits", "weights"] = "logits"
    listed: int | None = Field(default=None, ge=1)

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


class CountMixture(Recommender):
    """p(item) = (1 - weight) * base(item) + weight * counts(item).

    The counts are a user's own events, decayed, and some imagined ones that follow popularity, as shares of their sum.
    Weight, half-life and smoothing are those of the best validation NDCG@10: each is chosen in turn, given the others,
    beginning with counts alone. Where seen items are excluded the counts have nothing left to say.
    """

    Config = CountMixtureConfig
    config: CountMixtureConfig
    search_space: ClassVar[SearchSpace] = {f"base_config.{key}": range_ for key, range_ in USUAL.items()}
    revision = 2
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
        """Ranks by the mixture in double precision, of those items that single precision can't rule out.

        While the mixture is chosen, the same queries are ranked some forty times: all of the catalogue in double
        precision would take six times as long. Where the best are no clear cut, it is done all the same.
        """
        own = decayed_counts(histories, self.mixture.half_life)
        base = self._base_probabilities(histories) if self.mixture.weight < 1 else None
        near, clear = self._near(histories, own, base, k)
        items = np.full((len(histories), k), PAD, dtype=np.int32)
        scores = np.full((len(histories), k), -np.inf, dtype=np.float32)
        for chosen in (np.flatnonzero(clear), np.flatnonzero(~clear)):
            if not len(chosen):
                continue
            of_chosen = None if base is None else base[chosen]
            candidates = near[chosen] if clear[chosen[0]] else np.tile(np.arange(histories.n_items), (len(chosen), 1))
            mixed = self._mixed(own[chosen], of_chosen, candidates)
            if histories.exclude_seen and not clear[chosen[0]]:
                candidates = np.where(histories.seen()[chosen], PAD, candidates)
            ranked = rank_candidates(fill_with_popularity(mixed, self._counts, candidates), candidates, k)
            items[chosen], scores[chosen] = ranked.items, ranked.scores
        return Recommendations(items, scores)

    def _mixed(
        self, own: sp.csr_array, base: NDArray[np.float32] | None, items: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """The mixture at items int64 `[n, c]`, given counts and probabilities `[n, n_items]`."""
        weight, imagined = self.mixture.weight, self.mixture.smoothing * self._popularity
        mixed = np.zeros(items.shape)
        if weight > 0:
            total = own.sum(axis=1)[:, None] + imagined.sum()
            mixed += weight * (values_at(own, items) + imagined[items]) / np.maximum(total, np.finfo(np.float64).tiny)
        if base is not None:
            mixed += (1 - weight) * np.take_along_axis(base, items, axis=1)
        return mixed

    def _near(
        self, histories: Histories, own: sp.csr_array, base: NDArray[np.float32] | None, k: int
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """The best items of each query in single precision, more than are wanted, and whether no other can be meant.

        Returns:
            int64 `[n, k + MARGIN]` or the whole catalogue; bool `[n]`.
        """
        weight, imagined = self.mixture.weight, self.mixture.smoothing * self._popularity
        total = own.sum(axis=1) + imagined.sum()
        scale = np.divide(weight, total, out=np.zeros(len(total)), where=total > 0)
        rough = scale.astype(np.float32)[:, None] * imagined.astype(np.float32)
        if base is not None:
            rough += np.float32(1 - weight) * base
        row = np.repeat(np.arange(len(histories)), np.diff(own.indptr))
        rough[row, own.indices] += (own.data * scale[row]).astype(np.float32)
        if histories.exclude_seen:
            rough[row, own.indices] = -1.0
        near, values = top_k(rough, k + MARGIN)
        if near.shape[1] < k + MARGIN:
            return near, np.zeros(len(near), dtype=bool)
        return near, values[:, k - 1] * (1 - SINGLE_PRECISION) > values[:, -1].clip(min=0)

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
        items, scores = self._of_base(histories)
        listed = items != PAD
        if self.config.base_scores == "logits":
            top = scores.max(axis=1, keepdims=True, initial=np.finfo(np.float64).min)
            weights = np.exp(scores - top)
        else:
            weights = scores.clip(min=0)
        shares = weights / np.maximum(weights.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)
        probabilities = np.zeros((len(histories), histories.n_items), dtype=np.float32)
        query = np.nonzero(listed)[0]
        probabilities[query, items[listed]] = shares[listed]
        return probabilities

    def _of_base(self, histories: Histories) -> tuple[NDArray[np.integer[Any]], NDArray[np.float64]]:
        """The base model's items of each query and their scores `[n_queries, n]`; `PAD` and -inf where a list ends."""
        assert self.base is not None
        if self.config.listed is None and isinstance(self.base, NextItemModel):
            known = self.base.catalogue_scores(histories)
            if known is not None:
                seen = histories.seen() if histories.exclude_seen else np.zeros(known.shape, dtype=bool)
                items = np.where(seen, PAD, np.arange(histories.n_items))
                return items, np.where(seen, -np.inf, known).astype(np.float64)
        answer = self.base.recommend(histories, min(self.config.listed or histories.n_items, histories.n_items))
        return answer.items, np.where(answer.items != PAD, answer.scores, -np.inf).astype(np.float64)
