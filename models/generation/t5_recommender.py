"""Recommenders over the T5: one training target per example, as TIGER and the official GLASS code are trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from bench.data.dataset import TrainingData
from bench.recommender import FitContext
from bench.search_space import Choice, SearchSpace
from models.generation.recommender import GenerativeRecommender
from models.generation.t5_network import T5GenerativeConfig, T5Network
from models.history.long_term import LongTerm, RaggedItems
from models.semantic_ids.trie import PrefixTrie
from models.training.loop import Batches
from models.training.sampled_targets import SampledTargets, TargetEpoch


@dataclass(frozen=True)
class T5Batch:
    """Training targets, and what the network reads of the histories before them.

    Attributes:
        items, targets: See `TargetBatch`.
        rows: int64 `[batch]`, the user of each target.
        ends: int64 `[batch]`, how many of the user's events lie before `items`.
        summary: See `LongTerm.summary`.
    """

    items: Tensor
    targets: Tensor
    rows: Tensor
    ends: Tensor
    summary: Tensor | None


class T5Epoch:
    """The batches of one epoch, with what no parameter has a part in already made.

    Args:
        targets: The targets of the epoch.
        network: Summarises their long-term histories.
    """

    def __init__(self, targets: TargetEpoch, network: T5Network) -> None:
        self._targets = targets
        self._network = network

    @property
    def sizes(self) -> list[int]:
        return self._targets.sizes

    def part(self, number: int, of: int) -> T5Epoch:
        """See `models.training.divided.DivisibleBatches`."""
        return T5Epoch(self._targets.part(number, of), self._network)

    def __len__(self) -> int:
        return len(self._targets)

    def __iter__(self) -> Iterator[T5Batch]:
        for batch in self._targets:
            long_term = batch.long_term
            with torch.no_grad():
                summary = self._network.summarise(long_term)
            yield T5Batch(batch.items, batch.targets, long_term.rows, long_term.ends, summary)


class T5Recommender(GenerativeRecommender[T5Network]):
    """Tokenises the catalogue, trains a `T5Network` target by target, answers by beam search."""

    Config = T5GenerativeConfig
    config: T5GenerativeConfig
    divisible = True
    search_space: ClassVar[SearchSpace] = {
        "network.dim": Choice(48, 96, 192),  # multiples of its six heads
        "short_term": Choice(20, 50, 100),  # it reads three tokens an event, and all of them for each target
    }

    def build(self, train: TrainingData, trie: PrefixTrie, context: FitContext) -> T5Network:
        return T5Network(trie, self.config)

    def training_task(
        self, network: T5Network, train: TrainingData, events: RaggedItems
    ) -> tuple[Callable[[np.random.Generator], Batches[T5Batch]], Callable[[T5Batch], Tensor]]:
        samples = SampledTargets.of(train, events, self.config)

        def epoch(rng: np.random.Generator) -> T5Epoch:
            return T5Epoch(samples.epoch(rng), network)

        def loss(batch: T5Batch) -> Tensor:
            long_term = LongTerm(events, batch.rows, batch.ends, summary=batch.summary)
            return network.loss(batch.items, batch.targets, long_term)

        return epoch, loss
