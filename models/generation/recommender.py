"""Recommenders that generate semantic IDs: what all have in common, from tokenising the catalogue to ranked items."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from bench.config import Config
from bench.data.dataset import TrainingData
from bench.data.interactions import PAD, Histories
from bench.recommender import DecodingTrace, FitContext, Recommendations, Recommender
from bench.search_space import Choice, SearchSpace
from models.generation.beam_search import Beams
from models.generation.config import GenerativeConfig
from models.generation.decoding_trace import TargetTracker, code_ranks, mean_gate, watched
from models.generation.level_accuracy import recording
from models.generation.query_batch import QueryBatch
from models.generation.recorded_answers import Answer, RecordedAnswers
from models.generation.sid_generator import SIDGenerator
from models.history.long_term import RaggedItems
from models.semantic_ids.tokenizer import record_health, tokenize
from models.semantic_ids.trie import PrefixTrie
from models.training.loop import Batches, fit_network, parameter_count

Network = TypeVar("Network", bound=SIDGenerator)

FIRST_CODES = Choice((16, 256, 256), (64, 256, 256), (256, 256, 256))
"""What `bench tune` tries for the codebooks: how many first codes, which decide how full a search for one is."""


class GenerativeRecommender(Recommender, Generic[Network]):
    """Tokenises the catalogue, trains a network over semantic IDs, and answers by beam search.

    Subclasses say which network (`build`) and what it learns from (`training_task`).
    """

    Config: ClassVar[type[Config]] = GenerativeConfig
    config: GenerativeConfig
    search_space: ClassVar[SearchSpace] = {
        "network.feed_forward": Choice(128, 256, 512),
        "tokenizer.codebooks": FIRST_CODES,
    }
    network: Network | None = None
    _recorded: RecordedAnswers | None = None

    @abstractmethod
    def build(self, train: TrainingData, trie: PrefixTrie, context: FitContext) -> Network:
        """The untrained network over the semantic IDs of `trie`, which lies on the device of `context`."""

    @abstractmethod
    def training_task(
        self, network: Network, train: TrainingData, events: RaggedItems
    ) -> tuple[Callable[[np.random.Generator], Batches[Any]], Callable[[Any], Tensor]]:
        """What `fit_network` trains on: the batches of an epoch, and the loss of a batch.

        Args:
            network: From `build`, on its device.
            train: Training data.
            events: The items of its events on the device.
        """

    def fit(self, train: TrainingData, context: FitContext) -> None:
        config = self.config
        self._device = context.device
        ids = tokenize(train, config.tokenizer, context.cache, context.shared_seed)
        record_health(ids, config.tokenizer, context)
        self._decoding = context.diagnostics.setdefault("decoding", {"generated": 0, "valid": 0, "valid_share": 1.0})
        self.sid_of_item = ids.sid_of_item
        trie = PrefixTrie(ids, train.interactions.item_counts(), context.device)
        self._sid = torch.from_numpy(self.sid_of_item.astype(np.int64)).to(context.device)
        torch.manual_seed(context.seed)
        network = self.network = self.build(train, trie, context).to(context.device)
        events = RaggedItems.from_arrays(train.interactions.items, train.interactions.offsets, context.device)
        epoch, loss = self.training_task(network, train, events)
        fit_network(self, network, epoch, loss, config.training, recording(network.accuracy, context), generators=())

    def recommend(self, histories: Histories, k: int) -> Recommendations:
        network = self.network
        assert network is not None, "recommend before fit"
        queries = QueryBatch.of(histories, self.config.short_term, self._device)
        with torch.inference_mode():
            if queries.items.is_cuda:
                # Made beforehand, for what histories of all lengths are summarised from has no shape to be recorded.
                summary = network.summarise(queries.long_term)
                queries = replace(queries, long_term=replace(queries.long_term, summary=summary))
                self._recorded = self._recorded or RecordedAnswers()
                answer = self._recorded.of(self._answer, queries, k)
            else:
                answer = self._answer(queries, k)
        self._decoding["generated"] += int(answer.generated)
        self._decoding["valid"] += int(answer.valid)
        self._decoding["valid_share"] = self._decoding["valid"] / max(1, self._decoding["generated"])
        return Recommendations(
            items=answer.items.int().numpy(), scores=answer.scores.float().numpy(), sids=answer.sids.int().numpy()
        )

    def trace(self, histories: Histories, targets: NDArray[np.int32], k: int) -> DecodingTrace:
        network = self.network
        assert network is not None, "trace before fit"
        queries = QueryBatch.of(histories, self.config.short_term, self._device)
        items = torch.from_numpy(targets.astype(np.int64)).to(self._device)
        codes = network.codes[items]
        tracker = TargetTracker(codes)
        with torch.inference_mode():
            beams = network.generate(queries, max(k, self.config.beam), tracker)
            with watched(network.gates()) as gates:
                logits = network.sharing(network.forced_logits(queries, codes), items)
            after_wrong = network.ranks_after_wrong(queries, codes, logits[0])
            read = network.events_read(queries, codes[:, 0])
            gate = mean_gate(gates)
        reached = beams.scores[:, :1] > -torch.inf
        agrees = (beams.codes[:, 0] == codes) & reached
        return DecodingTrace(
            path_rank=tracker.path_rank.int().cpu().numpy(),
            in_beam=tracker.in_beam.cpu().numpy(),
            best_prefix=agrees.cumprod(1).bool().cpu().numpy(),
            forced_rank=code_ranks(logits, codes).int().cpu().numpy(),
            after_wrong=after_wrong.int().cpu().numpy(),
            retrieved=None if read is None else read.int().cpu().numpy(),
            gate=None if gate is None else gate.float().cpu().numpy(),
        )

    def parameter_count(self) -> int:
        return parameter_count(self.network)

    def _answer(self, queries: QueryBatch, k: int) -> Answer:
        """Generates semantic IDs for queries, and ranks the items that have them.

        Items of one leaf share its score. Semantic IDs that no item has are left out (TIGER, section 4.5).
        """
        assert self.network is not None
        beams = self.network.generate(queries, max(k, self.config.beam))
        trie = self.network.trie
        leaves, answered = beams.leaves.clamp(min=0), (beams.scores > -torch.inf) & (beams.leaves >= 0)
        first, last = trie.first_item[leaves], trie.first_item[leaves + 1]
        index = first.unsqueeze(-1) + torch.arange(trie.largest_leaf, device=first.device)
        offered = (index < last.unsqueeze(-1)) & answered.unsqueeze(-1)
        items = trie.items[index.clamp(max=len(trie.items) - 1)]
        if queries.seen is not None:
            offered = offered & ~queries.seen.gather(1, items.flatten(1)).view_as(offered)
        scores = beams.scores.unsqueeze(-1).expand_as(items)
        offered, items, scores = offered.flatten(1), items.flatten(1), scores.flatten(1)
        items, scores = _first(items.masked_fill(~offered, PAD), offered, k), _first(scores, offered, k)
        sids = self._sid[trie.items[first]].masked_fill(~answered, PAD)
        repeated = (sids.unsqueeze(2) == sids.unsqueeze(1)).tril(-1).any(2)
        new = ~repeated & answered
        generated, valid = self._generated(beams)
        return Answer(
            items=items,
            scores=scores.masked_fill(items == PAD, -torch.inf),
            sids=_first(sids.masked_fill(~new, PAD), new, k),
            generated=generated,
            valid=valid,
        )

    def _generated(self, beams: Beams) -> tuple[Tensor, Tensor]:
        """How many semantic IDs were generated, and how many the catalogue has, by its codes and not by the trie."""
        assert self.network is not None
        reached = beams.scores > -torch.inf
        trie = self.network.trie
        item = trie.items[trie.first_item[beams.leaves.clamp(min=0)]]
        valid = (beams.codes == self.network.codes[item]).all(-1) & reached
        return reached.sum(), valid.sum()


def _first(values: Tensor, chosen: Tensor, k: int) -> Tensor:
    """The chosen values of each row in order, `[n, k]`, then the others; padded with `PAD` where a row is short."""
    order = chosen.int().sort(dim=1, descending=True, stable=True).indices
    values = values.gather(1, order)[:, :k]
    return F.pad(values, (0, k - values.shape[1]), value=PAD)
