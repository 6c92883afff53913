"""Recommenders over the causal network: one pass over a window of events trains a target at every position."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from torch import Tensor

from bench.data.dataset import TrainingData
from bench.recommender import FitContext
from models.generation.causal_network import CausalNetwork
from models.generation.recommender import GenerativeRecommender
from models.history.long_term import LongTerm, RaggedItems
from models.semantic_ids.trie import PrefixTrie
from models.training.loop import Batches
from models.training.windows import TrainingWindows, WindowBatch


class CausalRecommender(GenerativeRecommender[CausalNetwork]):
    """Tokenises the catalogue, trains a `CausalNetwork` on every position of a window, answers by beam search."""

    def build(self, train: TrainingData, trie: PrefixTrie, context: FitContext) -> CausalNetwork:
        return CausalNetwork(trie, self.config)

    def training_task(
        self, network: CausalNetwork, train: TrainingData, events: RaggedItems
    ) -> tuple[Callable[[np.random.Generator], Batches[WindowBatch]], Callable[[WindowBatch], Tensor]]:
        training = self.config.training
        ends = train.history_ends()
        windows = TrainingWindows(train.interactions, self.config.short_term, training.batch_events, self._device, ends)

        def loss(batch: WindowBatch) -> Tensor:
            n_events = None if ends is None else batch.kept
            return network.loss(batch.items, batch.targets, LongTerm(events, batch.users, batch.starts), n_events)

        return windows.epoch, loss
