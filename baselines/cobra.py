"""COBRA (Yang et al., NeurIPS 2025, arXiv 2503.02453): codes first, then a dense vector that finds the item among them.

A re-implementation: there is no official code. Constants are those of a public one, github.com/phonism/genrec at commit
b027224 (`genrec/models/cobra.py`), and of summaries of the paper. A semantic ID names a group of similar items; the
vector generated after it tells them apart, in place of a disambiguation token. So lists hold `k` items that exist.
"""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import Field, model_validator
from torch import Tensor, nn

from baselines.next_item import ANSWERED_EVENTS, NextItemModel, NextItemNetwork
from baselines.sasrec import SASRecBlock, SASRecBlocksConfig
from bench.data.dataset import TrainingData
from bench.data.interactions import PAD, Histories
from bench.recommender import FitContext, Mechanism, Recommendations
from bench.search_space import LogUniform, SearchSpace
from models.fidelity import features_line, optimiser_line, quantizer_line
from models.generation.beam_search import Beams, beam_search
from models.semantic_ids.item_features import item_features
from models.semantic_ids.semantic_ids import SemanticIds
from models.semantic_ids.tokenizer import TokenizerConfig, record_health, tokenize
from models.semantic_ids.trie import PrefixTrie
from models.training.loop import TrainingConfig

LEAST_DEVIATION = 1e-6
"""By which features that hardly differ between items are divided."""


class CobraConfig(SASRecBlocksConfig):
    """Configuration of COBRA; width, blocks, heads, dropout and length as of SASRec, whose blocks read the history.

    Attributes:
        loss: "ce" alone: cross-entropy of the codes, and of the dense vector among those of the step's targets.
        temperature: By which cosines of dense vectors are divided, in training and in the score of an item.
        beam: Width of the beam search; at least as wide as the list that is asked for.
        tokenizer: How items become codes; without a token that tells them apart.
    """

    dropout: float = Field(default=0.2, ge=0, lt=1)
    temperature: float = Field(default=0.2, gt=0)
    beam: int = Field(default=50, ge=1)
    tokenizer: TokenizerConfig = TokenizerConfig(disambiguate=False)
    training: TrainingConfig = TrainingConfig(epochs=40, batch_events=2048, learning_rate=2e-3, average=0.99)

    @model_validator(mode="after")
    def _what_it_is(self) -> CobraConfig:
        if self.loss != "ce":
            raise ValueError(f"loss {self.loss}: only ce, of codes and dense vectors, is there")
        if self.tokenizer.disambiguate is True:
            raise ValueError("tokenizer.disambiguate: the dense vector tells items apart; false or reassign")
        return self


class Cascade(nn.Module):
    """From a hidden state to codes, one after the other, and to the dense vector once all of them are known.

    The state of a level knows the codes of the levels before it; after the last code it is the dense vector.
    """

    def __init__(self, codebook_sizes: tuple[int, ...], dim: int, dropout: float) -> None:
        super().__init__()
        self.heads = nn.ModuleList(nn.Linear(dim, size) for size in codebook_sizes)
        self.steps = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(dim), nn.Linear(dim, 4 * dim), nn.GELU(), nn.Dropout(dropout), nn.Linear(4 * dim, dim)
            )
            for _ in codebook_sizes
        )

    def logits(self, level: int, state: Tensor) -> Tensor:
        """Scores `[..., codebook_size]` of a level's codes, given its state `[..., d]`."""
        return self.heads[level](state)

    def next_state(self, level: int, state: Tensor, code: Tensor) -> Tensor:
        """The state after a level, given the state before it and the embedding of its code, `[..., d]` each."""
        return state + self.steps[level](state + code)


class CobraNetwork(NextItemNetwork):
    """SASRec's blocks over events that are sums of code embeddings and a dense vector; then the cascade.

    Args:
        ids: Semantic IDs.
        features: float32 `[n_items, dims]`, what dense vectors are made of; standardised here, since what tells items
            of one semantic ID apart is small beside what they share.
        config: Configuration.
    """

    codes: Tensor
    features: Tensor

    def __init__(self, ids: SemanticIds, features: NDArray[np.float32], config: CobraConfig) -> None:
        super().__init__()
        self.temperature = config.temperature
        self.register_buffer("codes", torch.from_numpy(ids.codes), persistent=False)
        vectors = torch.from_numpy(features)
        standard = (vectors - vectors.mean(0)) / vectors.std(0, correction=0).clamp(min=LEAST_DEVIATION)
        self.register_buffer("features", standard, persistent=False)
        std = 1 / math.sqrt(config.dim)
        self.tables = nn.ParameterList(torch.randn(size, config.dim) * std for size in ids.codebook_sizes)
        self.item_encoder = nn.Sequential(
            nn.Linear(features.shape[1], config.dim), nn.GELU(), nn.Linear(config.dim, config.dim)
        )
        self.positions = nn.Embedding(config.length, config.dim)
        nn.init.normal_(self.positions.weight, std=std)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(SASRecBlock(config) for _ in range(config.blocks))
        self.norm = nn.LayerNorm(config.dim)
        self.cascade = Cascade(ids.codebook_sizes, config.dim, config.dropout)

    def dense(self, items: Tensor) -> Tensor:
        """Dense vectors `[..., d]` of items int64 `[...]`."""
        return self.item_encoder(F.embedding(items, self.features))

    def forward(self, items: Tensor, timestamps: Tensor) -> Tensor:
        known = items.clamp(min=0)
        codes = [F.embedding(self.codes[known][..., level], table) for level, table in enumerate(self.tables)]
        events = torch.stack([*codes, self.dense(known)]).sum(0) + self.positions.weight[: items.shape[1]]
        hidden = self.dropout(events) * (items != PAD).unsqueeze(-1)
        for block in self.blocks:
            hidden = block(hidden)
        return self.norm(hidden)

    def compared(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Cosines of dense vectors over the temperature: what would rank the catalogue without any code."""
        states, catalogue = (F.normalize(side, dim=-1) for side in (hidden, self.item_encoder(self.features)))
        return states / self.temperature, catalogue

    def loss(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """Mean cross-entropy of the targets' codes plus that of their dense vectors among the targets of the step.

        Args:
            hidden: float32 `[n, d]`, before each target.
            targets: int64 `[n]`; other targets that are the same item are no negatives.
        """
        codes, state, total = self.codes[targets], hidden, hidden.new_zeros(())
        for level, table in enumerate(self.tables):
            total = total + F.cross_entropy(self.cascade.logits(level, state), codes[:, level])
            state = self.cascade.next_state(level, state, F.embedding(codes[:, level], table))
        vectors = F.normalize(self.dense(targets), dim=-1)
        logits = F.normalize(state, dim=-1) @ vectors.T / self.temperature
        own = torch.arange(len(targets), device=targets.device)
        repeated = (targets == targets.unsqueeze(1)) & (own != own.unsqueeze(1))
        return total / len(self.tables) + F.cross_entropy(logits.masked_fill(repeated, -torch.inf), own)

    def generate(
        self, hidden: Tensor, trie: PrefixTrie, width: int, seen: Tensor | None = None
    ) -> tuple[Beams, Tensor]:
        """Beam search from hidden states `[n, d]`.

        Returns:
            The generated semantic IDs, and the dense vector `[n, width, d]` after each.
        """
        states = [hidden.unsqueeze(1)]

        def after(level: int, state: Tensor, codes: Tensor) -> Tensor:
            return self.cascade.next_state(level, state, F.embedding(codes[..., level], self.tables[level]))

        def step(level: int, codes: Tensor, parents: Tensor) -> Tensor:
            if level:
                before = states[-1].gather(1, parents.unsqueeze(-1).expand(-1, -1, hidden.shape[-1]))
                states.append(after(level - 1, before, codes))
            return self.cascade.logits(level, states[-1]).log_softmax(-1)

        beams = beam_search(step, trie, len(hidden), width, None if seen is None else trie.open_nodes(seen))
        state = hidden.unsqueeze(1)  # once more for the beams that are left
        for level in range(len(self.tables)):
            state = after(level, state, beams.codes)
        return beams, state


_TESTS = "tests/baselines/test_cobra.py::"


class Cobra(NextItemModel):
    """COBRA, a re-implementation: the registered name `cobra`."""

    Config = CobraConfig
    config: CobraConfig
    divisible = False  # the negatives of a target are the other targets of its batch
    network: CobraNetwork | None = None
    search_space: ClassVar[SearchSpace] = {
        "temperature": LogUniform(0.05, 0.5),
    }
    summary = (
        "re-implementation: generates a semantic ID, then a dense vector that finds the item among those that share it"
    )
    group = "semantic ID"
    paper = "Yang et al., NeurIPS"
    year = 2025
    fidelity: ClassVar[tuple[Mechanism, ...]] = (
        Mechanism(
            "cascade of codes and, after the last one, a dense vector",
            "approximated",
            "abstract; genrec, `Cobra.forward`",
            "codes are predicted from the state of the last event by a small network a level; there every code and "
            "every vector is a position of one decoder, and looks at the history anew",
            test=_TESTS + "test_the_loss_is_that_of_codes_and_of_vectors_among_the_targets_of_the_step",
        ),
        Mechanism(
            "events of sparse codes and a dense vector",
            "approximated",
            "genrec, `CobraEmbedding`",
            "one position an item, the sum of its code embeddings and its vector; there a position for each",
            test=_TESTS + "test_an_event_is_the_sum_of_its_codes_and_its_dense_vector",
        ),
        Mechanism(
            "dense vectors from an encoder that is trained end to end",
            "approximated",
            "abstract; genrec, `LightT5Encoder`",
            "two linear maps with GELU over the standardised item features behind the codes; there a transformer over "
            "texts, and targets are cut off from gradients in genrec",
            test=_TESTS + "test_an_event_is_the_sum_of_its_codes_and_its_dense_vector",
        ),
        Mechanism(
            "InfoNCE within the batch at temperature 0.2, mean cross-entropy over levels, equal weights",
            "approximated",
            "genrec, `Cobra.forward`",
            "targets of the same item are no negatives; there those of the same sequence",
            test=_TESTS + "test_the_loss_is_that_of_codes_and_of_vectors_among_the_targets_of_the_step",
        ),
        Mechanism(
            "BeamFusion: the beam's probability and the cosine of vectors",
            "approximated",
            "summaries of the paper; genrec, `beam_fusion`",
            "all items of a generated ID compete, by the log-probability of the ID plus the cosine over the "
            "temperature, a product of softmaxes; in genrec the mean of the beam's softmax and of (cosine + 1) / 2, "
            "over all items",
            test=_TESTS + "test_items_of_a_generated_id_are_ranked_by_its_probability_and_their_cosine",
        ),
        Mechanism(
            "SASRec's blocks as the decoder, sizes",
            "approximated",
            "genrec, config and defaults",
            "d 64, 2 blocks, 2 heads, dropout 0.2, length 100; there 8 layers of d 384 or 2 of d 768, dropout 0.1, "
            "length 20",
        ),
        features_line("section 4", "an encoder of texts", CobraConfig().tokenizer),
        quantizer_line("section 4", "RQ-VAE, three codebooks of 256 in genrec", CobraConfig().tokenizer),
        optimiser_line(
            "genrec, config",
            "AdamW at a rate of 0.0001, decay 0.01, 32 sequences a step, 100 epochs",
            CobraConfig().training,
        ),
    )

    def fit(self, train: TrainingData, context: FitContext) -> None:
        tokenizer = self.config.tokenizer
        self._ids = tokenize(train, tokenizer, context.cache, context.shared_seed)
        record_health(self._ids, tokenizer, context)
        self.sid_of_item = self._ids.sid_of_item
        self._features = item_features(train, tokenizer.features, context.cache)
        self._trie = PrefixTrie(self._ids, train.interactions.item_counts(), context.device)
        super().fit(train, context)

    def build(self, train: TrainingData) -> NextItemNetwork:
        return CobraNetwork(self._ids, self._features, self.config)

    def target_loss(
        self, network: NextItemNetwork, states: Tensor, targets: Tensor, negatives: torch.Generator
    ) -> Tensor:
        assert isinstance(network, CobraNetwork)
        return network.loss(states, targets)

    def recommend(self, histories: Histories, k: int) -> Recommendations:
        assert self.network is not None, "recommend before fit"
        step = max(1, ANSWERED_EVENTS // self.config.length)
        parts: list[tuple[Tensor, Tensor, Tensor]] = []
        with torch.inference_mode():
            vectors = self.network.compared(self.network.positions.weight[:0])[1]
            for start in range(0, len(histories), step):
                parts.append(self._answer(histories.batch(start, start + step), vectors, k))
        items, scores, sids = (torch.cat(part).cpu().numpy() for part in zip(*parts, strict=True))
        return Recommendations(items=items.astype(np.int32), scores=scores, sids=sids.astype(np.int32))

    def _answer(self, histories: Histories, vectors: Tensor, k: int) -> tuple[Tensor, Tensor, Tensor]:
        """Items, scores and semantic IDs `[n, k]`, given the unit dense vectors `[n_items, d]` of the catalogue."""
        assert self.network is not None
        hidden, n_events = self.read_histories(histories)
        last = hidden[torch.arange(len(n_events), device=hidden.device), (n_events - 1).clamp(min=0)]
        seen = torch.from_numpy(histories.seen()).to(hidden.device) if histories.exclude_seen else None
        beams, dense = self.network.generate(last, self._trie, max(k, self.config.beam), seen)
        items, scores = self._candidates(beams, dense, vectors, seen)
        flat = scores.flatten(1)
        best, order = (part[:, :k] for part in flat.sort(dim=1, descending=True, stable=True))
        answered = best > -torch.inf
        of_beam, beam_order = (part[:, :k] for part in scores.amax(2).sort(dim=1, descending=True, stable=True))
        sid = torch.from_numpy(self.sid_of_item).to(hidden.device)
        sids = sid[items[:, :, 0].gather(1, beam_order)]
        return (
            _padded(items.flatten(1).gather(1, order).masked_fill(~answered, PAD), k, PAD),
            _padded(best, k, -math.inf),
            _padded(sids.masked_fill(of_beam == -torch.inf, PAD), k, PAD),
        )

    def _candidates(self, beams: Beams, dense: Tensor, vectors: Tensor, seen: Tensor | None) -> tuple[Tensor, Tensor]:
        """The items of every beam int64 `[n, width, most items of one]` and their scores, -inf where there is none."""
        trie = self._trie
        first, end = trie.first_item[beams.leaves], trie.first_item[beams.leaves + 1]
        index = first.unsqueeze(-1) + torch.arange(int((end - first).max()), device=first.device)
        items = trie.items[index.clamp(max=len(trie.items) - 1)]
        cosine = (F.embedding(items, vectors) @ F.normalize(dense, dim=-1).unsqueeze(-1)).squeeze(-1)
        scores = beams.scores.unsqueeze(-1) + cosine / self.config.temperature
        offered = index < end.unsqueeze(-1)
        if seen is not None:
            offered = offered & ~seen.gather(1, items.flatten(1)).view_as(offered)
        return items, scores.masked_fill(~offered, -torch.inf)


def _padded(values: Tensor, k: int, fill: float) -> Tensor:
    return F.pad(values, (0, k - values.shape[1]), value=fill)
