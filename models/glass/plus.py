"""glass-plus: GLASS with all that goes beyond the paper, and with a user's counts as a prior. Ours; no paper.

GLASS finds what may come next by generating its codes; a household's habits stand in its counts. The probability of an
item is a mixture of both, (1 - weight) * generated + weight * counted, over the candidates that either would name: what
the beams find, the user's own items of the largest counts, and the most popular items. Each candidate's probability of
being generated is computed in full, whether or not the beams kept its codes.
"""

from __future__ import annotations

from dataclasses import asdict
from itertools import pairwise
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from bench.data.dataset import TrainingData
from bench.data.interactions import PAD, Histories
from bench.recommender import FitContext, Mechanism, Recommendations
from models.generation.causal_network import CausalNetwork
from models.generation.query_batch import QueryBatch
from models.glass.glass import Glass, GlassConfig, GlassSearchConfig
from models.history.count_prior import Mixture, MixtureOptions, best_of, chosen_in_turn, decayed_counts, values_at

SCORED_AT_A_TIME = 1 << 13
"""Candidates, of all queries together, whose likelihoods are computed at a time: each has an attention of its own."""


class CountPriorConfig(MixtureOptions):
    """Says what a user's counts may be and weigh; weight, half-life and smoothing are chosen by validation, in the fit.

    Attributes:
        candidates: So many of a user's own items, those of the largest counts, are scored besides what the beams find.
    """

    weights: tuple[float, ...] = Field(default=(0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9), min_length=1)
    candidates: int = Field(default=100, ge=0)


class GlassPlusConfig(GlassConfig):
    """Configures glass-plus: GLASS with every option beyond the paper on, and a prior of counts.

    Attributes:
        counts: The prior, over the whole history.
    """

    normalise: Literal["codebook", "catalogue"] = "catalogue"
    copying: bool = True
    beam: int = Field(default=50, ge=1)
    search: GlassSearchConfig = GlassSearchConfig(limit=50, recent=True, age_bias=True, prefix_bias=True)
    counts: CountPriorConfig = CountPriorConfig()


_OURS = "ours; no paper"
_TESTS = "tests/models/glass/test_plus.py::"


class GlassPlus(Glass):
    """Recommends by GLASS and the user's counts, mixed: the registered name `glass-plus`.

    Attributes:
        mixture: Weight, half-life and smoothing. While the network is trained, the middle one of the options of each.
    """

    Config = GlassPlusConfig
    config: GlassPlusConfig
    revision = 1
    summary = "GLASS with copying and all else beyond the paper, mixed with the user's decayed counts; ours"
    paper = ""
    year: ClassVar[int | None] = None
    mixture: Mixture
    fidelity: ClassVar[tuple[Mechanism, ...]] = (
        Mechanism(
            "mixture of the probability of generating an item and of the user's smoothed, decayed counts",
            "faithful",
            _OURS,
            test=_TESTS + "test_lists_are_those_of_the_mixture_over_the_whole_catalogue",
        ),
        Mechanism(
            "candidates: what the beams find, own items of the largest counts, the most popular items",
            "faithful",
            _OURS,
            "all others count as out of reach; each candidate is scored in full, also where no beam kept its codes",
            test=_TESTS + "test_candidates_are_distinct_and_hold_what_the_beams_find",
        ),
        Mechanism(
            "weight, half-life and smoothing by validation NDCG@10, after the training",
            "faithful",
            _OURS,
            test=_TESTS + "test_the_mixture_is_the_one_of_the_best_validation",
        ),
        *Glass.fidelity,
    )

    def fit(self, train: TrainingData, context: FitContext) -> None:
        counts = self.config.counts
        item_counts = train.interactions.item_counts()
        self._popularity = item_counts / max(1, item_counts.sum())
        self._most_popular = np.argsort(-item_counts, kind="stable").astype(np.int64)
        self._remembered: dict[bytes, tuple[NDArray[np.int64], NDArray[np.float64]]] | None = None
        options = {"half_life": counts.half_lives, "smoothing": counts.smoothings, "weight": counts.weights}
        middle = {name: values[len(values) // 2] for name, values in options.items()}
        self._usual_half_life = middle["half_life"]
        self.mixture = Mixture(**middle)
        super().fit(train, context)

        def judge(name: str, mixture: Mixture) -> float:
            self.mixture = mixture
            context.report_progress(1.0, f"choosing {name}")
            return context.validate(self)

        self._remembered = {}
        tried = chosen_in_turn(options, self.mixture, judge)
        self.mixture, self._remembered = best_of(tried), None
        context.diagnostics["mixture"] = {
            **asdict(self.mixture),
            "validation_before": context.revise(tried[self.mixture]),
            "tried": [{**asdict(mixture), "validation": value} for mixture, value in tried.items()],
        }

    def recommend(self, histories: Histories, k: int) -> Recommendations:
        items, generated = self._scored(histories, k)
        present = items != PAD
        weight, smoothing = self.mixture.weight, self.mixture.smoothing
        own = decayed_counts(histories, self.mixture.half_life)
        imagined = smoothing * self._popularity
        total = own.sum(axis=1)[:, None] + imagined.sum()
        counted = (values_at(own, items) + imagined[items]) / np.maximum(total, np.finfo(np.float64).tiny)
        mixed = (1 - weight) * generated + weight * counted
        # The popularity of those that the mixture has nothing to say about decides among them alone.
        tiny = np.finfo(np.float32).tiny
        mixed = np.where(present, mixed + tiny * (1 + self._popularity[items]), 0.0)
        order = np.argsort(-mixed, axis=1, kind="stable")[:, :k]  # candidates ascend, so ties go to the lower item
        best = np.take_along_axis(np.where(present, items, PAD), order, axis=1)
        with np.errstate(divide="ignore"):
            scores = np.log(np.take_along_axis(mixed, order, axis=1))
        missing = ((0, 0), (0, k - best.shape[1]))
        return Recommendations(
            items=np.pad(best, missing, constant_values=PAD).astype(np.int32),
            scores=np.pad(scores, missing, constant_values=-np.inf).astype(np.float32),
            sids=self._sids(np.pad(best, missing, constant_values=PAD)),
        )

    def _sids(self, items: NDArray[np.int64]) -> NDArray[np.int32]:
        """The distinct semantic IDs of ranked items, in their order: int32, as `items` `[n, k]`, padded with `PAD`."""
        assert self.sid_of_item is not None
        sids = np.where(items == PAD, PAD, self.sid_of_item[items])
        new = ~np.tril(sids[:, :, None] == sids[:, None, :], -1).any(axis=2) & (items != PAD)
        order = np.argsort(~new, axis=1, kind="stable")
        return np.take_along_axis(np.where(new, sids, PAD), order, axis=1).astype(np.int32)

    def _scored(self, histories: Histories, k: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Candidates of each query, and their probabilities of being generated.

        They do not depend on the mixture: while that is chosen, the same queries are asked again and again.
        """
        if self._remembered is None:
            return self._asked(histories, k)
        parts = (histories.offsets, histories.items, histories.timestamps)
        key = b"".join([k.to_bytes(8, "little"), *(part.tobytes() for part in parts)])
        if key not in self._remembered:
            self._remembered[key] = self._asked(histories, k)
        return self._remembered[key]

    def _asked(self, histories: Histories, k: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        items = self.candidates(histories, k)
        network = self.network
        assert isinstance(network, CausalNetwork), "recommend before fit"
        assert self.sid_of_item is not None
        generated = np.zeros(items.shape)
        step = max(1, SCORED_AT_A_TIME // items.shape[1])
        with torch.inference_mode():
            for start in range(0, len(histories), step):
                some = histories.batch(start, start + step)
                queries = QueryBatch.of(some, self.config.short_term, self._device)
                wanted = torch.from_numpy(items[start : start + step].clip(min=0)).to(self._device)
                found = network.log_likelihoods(queries, wanted).double().exp()
                generated[start : start + step] = found.cpu().numpy()
        # Items that share a semantic ID share its probability.
        generated /= np.bincount(self.sid_of_item)[self.sid_of_item[items]]
        return items, np.where(items == PAD, 0.0, generated)

    def candidates(self, histories: Histories, k: int) -> NDArray[np.int64]:
        """What may be in the lists: int64 `[n_queries, n]`, distinct items in ascending order, padded with `PAD`.

        There are as many columns whatever the queries are, so that no likelihood depends on others of its batch.
        """
        beams = super().recommend(histories, max(k, self.config.beam)).items.astype(np.int64)
        parts = [beams, self._own(histories), self._popular(histories, k)]
        items = np.concatenate(parts, axis=1)
        items = np.sort(np.where(items == PAD, histories.n_items, items), axis=1)
        repeated = np.pad(items[:, 1:] == items[:, :-1], ((0, 0), (1, 0)))
        items = np.sort(np.where(repeated, histories.n_items, items), axis=1)
        return np.where(items == histories.n_items, PAD, items)

    def _own(self, histories: Histories) -> NDArray[np.int64]:
        """The items of each history with the largest counts: int64 `[n_queries, candidates]`, padded with `PAD`."""
        own = np.full((len(histories), self.config.counts.candidates), PAD, dtype=np.int64)
        if histories.exclude_seen:
            return own
        counts = decayed_counts(histories, self._usual_half_life)
        for query, (first, last) in enumerate(pairwise(counts.indptr)):
            items = counts.indices[first:last]
            best = items[np.lexsort((items, -counts.data[first:last]))][: own.shape[1]]
            own[query, : len(best)] = best
        return own

    def _popular(self, histories: Histories, k: int) -> NDArray[np.int64]:
        """The `k` most popular items that may be recommended: int64 `[n_queries, k]`, padded with `PAD`."""
        if not histories.exclude_seen:
            best = np.broadcast_to(self._most_popular[:k], (len(histories), min(k, histories.n_items)))
        else:
            seen = histories.seen()[:, self._most_popular]
            order = np.argsort(seen, axis=1, kind="stable")[:, :k]
            best = np.where(np.take_along_axis(seen, order, axis=1), PAD, self._most_popular[order])
        return np.pad(best, ((0, 0), (0, k - best.shape[1])), constant_values=PAD)
