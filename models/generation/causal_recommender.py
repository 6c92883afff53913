"""Recommenders over the causal network: one pass over a window of events trains a target at every position."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bench.data.dataset import TrainingData
from bench.data.interactions import is_untimed
from bench.errors import BenchError
from bench.recommender import FitContext
from models.generation.causal_network import CausalNetwork
from models.generation.recommender import GenerativeRecommender
from models.history.gaps import gap_classes
from models.history.long_term import LongTerm, RaggedItems
from models.semantic_ids.trie import PrefixTrie
from models.training.loop import Batches
from models.training.windows import TrainingWindows, WindowEpoch


@dataclass(frozen=True)
class CausalBatch:
    """Training windows, and what the network reads of the long-term histories before them.

    Attributes:
        items, targets: int64 `[batch, length]`, see `WindowBatch`.
        rows: int64 `[batch]`, the user of each window.
        ends: int64 `[batch]`, how many of the user's events lie before the window.
        n_events: int64 `[batch, length]`, how many of `items` each target's history holds; None: all up to its
            position.
        summary: See `LongTerm.summary`.
        gaps: int64 `[batch, length]`, see `gap_classes`; None where the network reads none.
    """

    items: Tensor
    targets: Tensor
    rows: Tensor
    ends: Tensor
    n_events: Tensor | None
    summary: Tensor | None
    gaps: Tensor | None


class CausalEpoch:
    """The batches of one epoch, with what no parameter has a part in already made.

    Args:
        windows: The windows of the epoch.
        events: What their long-term histories are rows of.
        network: Summarises these histories.
        baskets: Whether a target's history may end before its position.
    """

    def __init__(self, windows: WindowEpoch, events: RaggedItems, network: CausalNetwork, baskets: bool) -> None:
        self._windows = windows
        self._events = events
        self._network = network
        self._baskets = baskets

    @property
    def sizes(self) -> list[int]:
        return self._windows.sizes

    def part(self, number: int, of: int) -> CausalEpoch:
        """See `models.training.divided.DivisibleBatches`."""
        return CausalEpoch(self._windows.part(number, of), self._events, self._network, self._baskets)

    def __len__(self) -> int:
        return len(self._windows)

    def __iter__(self) -> Iterator[CausalBatch]:
        for batch in self._windows:
            with torch.no_grad():
                summary = self._network.summarise(LongTerm(self._events, batch.users, batch.starts, batch.n_before))
            n_events = batch.kept if self._baskets else None
            gaps = None if self._network.gap is None else gap_classes(batch.timestamps)
            yield CausalBatch(batch.items, batch.targets, batch.users, batch.starts, n_events, summary, gaps)


class CausalRecommender(GenerativeRecommender[CausalNetwork]):
    """Tokenises the catalogue, trains a `CausalNetwork` on every position of a window, answers by beam search."""

    divisible = True

    def build(self, train: TrainingData, trie: PrefixTrie, context: FitContext) -> CausalNetwork:
        return CausalNetwork(trie, self.config)

    def training_task(
        self, network: CausalNetwork, train: TrainingData, events: RaggedItems
    ) -> tuple[Callable[[np.random.Generator], Batches[CausalBatch]], Callable[[CausalBatch], Tensor]]:
        recorded = self._device == "cuda"
        if self.config.gaps and is_untimed(train.interactions.timestamps):
            raise BenchError("gaps: the events of these data have an order and no times; leave it out")
        ends = train.history_ends()
        windows = TrainingWindows(
            train.interactions,
            self.config.short_term,
            self.config.training.batch_events,
            self._device,
            ends,
            padded=recorded,
        )

        def epoch(rng: np.random.Generator) -> CausalEpoch:
            return CausalEpoch(windows.epoch(rng), events, network, baskets=ends is not None)

        def loss(batch: CausalBatch) -> Tensor:
            long_term = LongTerm(events, batch.rows, batch.ends, summary=batch.summary)
            n_events, gaps = batch.n_events, batch.gaps
            return network.loss(batch.items, batch.targets, long_term, n_events, everywhere=recorded, gaps=gaps)

        return epoch, loss
