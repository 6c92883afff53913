"""Recommenders over the T5: one training target per example, as TIGER and the official GLASS code are trained."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import numpy as np
from torch import Tensor

from bench.data.dataset import TrainingData
from bench.recommender import FitContext
from bench.search_space import Choice, SearchSpace
from models.generation.recommender import GenerativeRecommender
from models.generation.t5_network import T5GenerativeConfig, T5Network
from models.history.long_term import RaggedItems
from models.semantic_ids.trie import PrefixTrie
from models.training.loop import Batches
from models.training.sampled_targets import SampledTargets, TargetBatch, TargetPool


class T5Recommender(GenerativeRecommender[T5Network]):
    """Tokenises the catalogue, trains a `T5Network` target by target, answers by beam search."""

    Config = T5GenerativeConfig
    config: T5GenerativeConfig
    search_space: ClassVar[SearchSpace] = {
        "network.dim": Choice(48, 96, 192),  # multiples of its six heads
        "training.average": GenerativeRecommender.search_space["training.average"],
    }

    def build(self, train: TrainingData, trie: PrefixTrie, context: FitContext) -> T5Network:
        return T5Network(trie, self.config)

    def training_task(
        self, network: T5Network, train: TrainingData, events: RaggedItems
    ) -> tuple[Callable[[np.random.Generator], Batches[TargetBatch]], Callable[[TargetBatch], Tensor]]:
        config = self.config
        pool = TargetPool(train.interactions.lengths, train.history_ends())
        samples = SampledTargets(events, pool, config.short_term, config.targets_per_epoch, config.batch_targets)

        def loss(batch: TargetBatch) -> Tensor:
            return network.loss(batch.items, batch.targets, batch.long_term)

        return samples.epoch, loss
