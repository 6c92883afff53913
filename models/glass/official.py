"""GLASS as its authors' code has it (arXiv 2602.05663): a bidirectional T5 over code tokens, one target per example.

The official code was read for this module; what it does where the paper says otherwise is the default here, and the
paper's way is one configuration key each: `sid_tier.tiers`, `sid_tier.place`, `sid_tier.similarity`, `gate_input`,
`search.neighbours`, `trie`, `tokenizer.disambiguate`. A SID-Tier token behind the history makes sense for this encoder
only: the causal one of `models.glass.glass` would need such a token at every position.

Three particulars of the official code are not repeated. An item whose codes are all 0 is taken for padding there. Its
beam search generates one token more than a semantic ID has, of a level that was never trained, and ranks by it. And the
long-term histories of all rows of a user are poured together, the test rows into the training rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from bench.data.dataset import TrainingData
from bench.data.interactions import PAD, Histories
from bench.recommender import Explanation, FitContext, Mechanism
from bench.search_space import SearchSpace
from models.fidelity import features_line, optimiser_line, quantizer_line
from models.generation.attention_layout import ROW_MULTIPLE
from models.generation.query_batch import QueryBatch
from models.generation.retrieved_items import SearchIndexes
from models.generation.t5_network import PAD_TOKEN, T5GenerativeConfig, T5Network
from models.generation.t5_recommender import T5Recommender
from models.generation.t5_transformer import RetrievedTokens, T5Attention, T5Decoder, T5DecoderLayer
from models.glass.explanation import explained
from models.glass.gated_fusion import AdaptiveGatedFusion
from models.glass.glass import (
    OFFICIAL_RQ_VAE,
    OFFICIAL_TRAINING,
    SEARCHED,
    SHIPPED_VECTORS,
    SearchConfig,
    SIDTierConfig,
    neighbours_of,
    prototypes_of,
)
from models.glass.sid_tier import CHUNK_ITEMS, SIDTier, similarity_tiers, tier_counts
from models.history.long_term import LongTerm, look_up
from models.semantic_ids.item_features import item_features
from models.semantic_ids.trie import PrefixTrie


class OfficialSIDTierConfig(SIDTierConfig):
    """Says how the official code cuts the tiers of SID-Tier, and where it puts the token.

    Attributes:
        place: Where the token joins the history: in front ("first", official code) or behind ("last", paper).
        similarity: Of items and prototypes: their inner product ("dot", official code), of which values outside [-1, 1]
            count nowhere, or "cosine" (paper).
    """

    place: Literal["first", "last"] = "first"
    similarity: Literal["dot", "cosine"] = "dot"


class GlassOfficialConfig(T5GenerativeConfig):
    """Configures GLASS as its official code has it: a T5, a search of 30 events, four tiers.

    Attributes:
        sid_tier: Before generation: the long-term history as one encoder token.
        search: During generation: long-term items of the first code.
        gate_input: What the gate sees beside Z_ret: "hidden" (official code) or "short" (paper).
        fixed_gate: A constant gate in place of the learned one (ablation).
    """

    sid_tier: OfficialSIDTierConfig = OfficialSIDTierConfig(tiers=(-0.1, 0.0, 0.1))
    search: SearchConfig = SearchConfig(limit=30, stop_gradient=True)
    gate_input: Literal["hidden", "short"] = "hidden"
    fixed_gate: float | None = Field(default=None, ge=0, le=1)


def dot_tiers(
    features: NDArray[np.float32], prototypes: NDArray[np.float32], edges: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """Cuts the inner products of all items and prototypes into tiers, as the official code does.

    Args:
        features: float32 `[n_items, dims]`.
        prototypes: float32 `[codebook_size, dims]`.
        edges: Inner edges of the tiers of [-1, 1], ascending, float64 `[tiers - 1]`; a value on an edge belongs to the
            tier above.

    Returns:
        uint8 `[n_items, codebook_size]`, `0 .. tiers - 1`, and `tiers` for what lies outside [-1, 1].
    """
    tiers = np.empty((len(features), len(prototypes)), dtype=np.uint8)
    for start in range(0, len(features), CHUNK_ITEMS):
        similarity = features[start : start + CHUNK_ITEMS] @ prototypes.T
        tier = np.searchsorted(edges, similarity, side="right")
        tiers[start : start + CHUNK_ITEMS] = np.where(np.abs(similarity) > 1, len(edges) + 1, tier)
    return tiers


class OfficialSIDTier(SIDTier):
    """Counts tiers as `SIDTier` does, but leaves out a last one, `n_tiers`, in which no similarity counts."""

    def shares(self, long_term: LongTerm) -> Tensor:
        return tier_counts(self.tiers, self.n_tiers + 1, long_term)[..., : self.n_tiers]


class GlassOfficialDecoderLayer(T5DecoderLayer):
    """Reads retrieved tokens through a second cross-attention, and fuses them with the recent history by a gate.

    Unlike in `models.glass.glass` the gate stays open where nothing was retrieved: Z_ret is then what padding gives,
    and training teaches the gate what to make of it (official code).
    """

    def __init__(self, config: GlassOfficialConfig) -> None:
        super().__init__(config.network)
        self.retrieved_attention = T5Attention(config.network)
        self.fusion = AdaptiveGatedFusion(config.network.dim, config.gate_input, config.fixed_gate)

    def read_history(
        self, normed: Tensor, memory: tuple[Tensor, Tensor], memory_bias: Tensor, retrieved: RetrievedTokens | None
    ) -> Tensor:
        """Fuses the tokens after the first code; the begin token knows no code yet and reads the short term only."""
        short = super().read_history(normed, memory, memory_bias, None)
        if retrieved is None:
            return short
        first = retrieved.first_token
        later = normed[:, :, first:]
        bias = retrieved.bias.unsqueeze(2).expand(-1, -1, later.shape[2], -1).flatten(0, 2)
        read = self.retrieved_attention(later.flatten(0, 2), retrieved.key_value, bias).view_as(later)
        always = torch.ones((), dtype=torch.bool, device=later.device)
        fused = self.fusion(later, short[:, :, first:], read, always)
        return torch.cat([short[:, :, :first], fused], dim=2)


class SIDTierT5Network(T5Network):
    """Lets the T5 read the long-term history as one token: the official GLASS without its search, for the ablation.

    Args:
        trie: The catalogue's semantic IDs, on the device where the network will run.
        features: Item features float32 `[n_items, dims]` for prototypes and tiers.
        config: Configuration.
        decoder_layer: See `T5Network`.
    """

    def __init__(
        self,
        trie: PrefixTrie,
        features: NDArray[np.float32],
        config: GlassOfficialConfig,
        decoder_layer: Callable[[], T5DecoderLayer] | None = None,
    ) -> None:
        super().__init__(trie, config, decoder_layer, int(config.sid_tier.enabled))
        self.token_place = config.sid_tier.place
        self.sid_tier = None
        if config.sid_tier.enabled:
            edges = config.sid_tier.edges
            tiers_of = dot_tiers if config.sid_tier.similarity == "dot" else similarity_tiers
            tiers = tiers_of(features, prototypes_of(trie.ids, features), edges)
            self.sid_tier = OfficialSIDTier(tiers, len(edges) + 1, config.network.dim, config.network.dropout)

    def summarise(self, long_term: LongTerm) -> Tensor | None:
        return None if self.sid_tier is None else self.sid_tier.shares(long_term)

    def join(self, events: Tensor, visible: Tensor, long_term: LongTerm) -> tuple[Tensor, Tensor]:
        if self.sid_tier is None:
            return events, visible
        token, always = self.sid_tier(long_term), torch.ones_like(visible[:, :1])
        if self.token_place == "first":
            return torch.cat([token, events], dim=1), torch.cat([always, visible], dim=1)
        return torch.cat([events, token], dim=1), torch.cat([visible, always], dim=1)


class GlassOfficialNetwork(SIDTierT5Network):
    """Lets the T5 read the long-term history twice, as one token before it generates and by searching it.

    Args:
        trie: The catalogue's semantic IDs, on the device where the network will run.
        features: Item features float32 `[n_items, dims]` for prototypes and tiers.
        config: Configuration, with the search enabled.
    """

    decoder: T5Decoder[GlassOfficialDecoderLayer]
    neighbours: Tensor | None
    observe_search: Callable[[Tensor], None] | None = None
    """See `models.glass.explanation.SearchingNetwork`."""

    def __init__(self, trie: PrefixTrie, features: NDArray[np.float32], config: GlassOfficialConfig) -> None:
        super().__init__(trie, features, config, partial(GlassOfficialDecoderLayer, config))
        self.search = config.search
        self.project = nn.Linear(config.network.dim, config.network.dim)
        self.register_buffer("neighbours", neighbours_of(trie.ids, features, config.search), persistent=False)
        self._indexes = SearchIndexes()

    def retrieve(self, long_term: LongTerm, first_codes: Tensor, first_token: int) -> list[RetrievedTokens]:
        events, index = long_term.events, self._find(long_term, first_codes)
        if self.observe_search is not None:
            self.observe_search(index)
        items = look_up(events.items, index).masked_fill(index == PAD, PAD)
        tokens = self.tokens[items].flatten(2)
        # A row of scores is filled up with tokens that nothing was retrieved of, to a length that a GPU likes.
        used = self.vocabulary.used
        filled = -used % ROW_MULTIPLE
        counts = torch.zeros((*first_codes.shape, used + filled), device=tokens.device)
        counts.scatter_add_(2, tokens, torch.ones_like(tokens, dtype=counts.dtype))
        present = (tokens != PAD_TOKEN).any(-1)
        counts[..., PAD_TOKEN] *= ~present  # padding is read where there is nothing else
        table = F.pad(self.embedding.weight[:used], (0, 0, 0, filled))
        table = self.project(table.detach() if self.search.stop_gradient else table)
        bias = counts.log()
        attentions = [layer.retrieved_attention for layer in self.decoder.layers]
        return [RetrievedTokens(attention.prepare(table), bias, first_token) for attention in attentions]

    def events_read(self, queries: QueryBatch, first_codes: Tensor) -> Tensor | None:
        return (self._find(queries.long_term, first_codes.unsqueeze(1)) != PAD).sum((1, 2))

    def gates(self) -> Sequence[AdaptiveGatedFusion]:
        return [layer.fusion for layer in self.decoder.layers]

    def _find(self, long_term: LongTerm, first_codes: Tensor) -> Tensor:
        """Searches for each beam's first code: indices of events int64 `[batch, beams, limit]`, padded with `PAD`."""
        index = self._indexes.of(long_term.events, self.codes[:, 0], self.codebook_sizes[0])
        search = self.search
        return index.search(
            long_term.rows, long_term.ends, first_codes, search.limit, self.neighbours, search.threshold
        )


def official_network(trie: PrefixTrie, features: NDArray[np.float32], config: GlassOfficialConfig) -> SIDTierT5Network:
    """Builds the network of a configuration: with the search, or the ablation without it."""
    return (GlassOfficialNetwork if config.search.enabled else SIDTierT5Network)(trie, features, config)


class GlassOfficial(T5Recommender):
    """Recommends by GLASS with the network, the retrieval and the training examples of the official code."""

    Config = GlassOfficialConfig
    config: GlassOfficialConfig
    search_space: ClassVar[SearchSpace] = {**T5Recommender.search_space, **SEARCHED}
    summary = "GLASS as in its official code: bidirectional T5 over code tokens, no trie, one target per example"
    group = "GLASS family"
    paper = "GLASS, arXiv 2602.05663"
    year = 2026
    fidelity = (
        Mechanism(
            "network: T5 encoder-decoder, SID-Tier token, retrieved attention, gate",
            "faithful",
            "official code",
            "with its weights the same logits, up to rounding (`load_official` says how far); the begin token is not "
            "tied to the code whose token it shares there",
            test="tests/models/glass/test_official_weights.py::"
            "test_with_official_weights_logits_are_those_of_the_official_function",
        ),
        Mechanism(
            "SID-Tier: tier shares of the long-term history as one token",
            "faithful",
            "official code",
            "inner products with the prototypes, four tiers, the token in front; paper: `sid_tier.similarity: "
            "cosine`, `sid_tier.tiers: 20`, `sid_tier.place: last`. Features of several parts have inner products "
            "beyond 1, which count nowhere; vectors that ship count at unit length here, as they come there",
            test="tests/models/glass/test_glass_official.py::test_tier_shares_are_those_of_a_histogram_per_code",
        ),
        Mechanism(
            "semantic hard search by the first code, per beam: the 30 most recent items, a key per code",
            "faithful",
            "official code",
            "also where it stops the gradient into the code embeddings; attention dropout hits all occurrences of a "
            "token together",
            test="tests/models/glass/test_glass_official.py::test_every_step_of_generation_equals_the_naive_forward",
        ),
        Mechanism(
            "adaptive gated fusion",
            "faithful",
            "official code",
            "on [hidden ; Z_ret], shut at the begin token only; paper: `gate_input: short`",
            test="tests/models/glass/test_glass_official.py::test_the_gate_is_shut_at_the_begin_token_only",
        ),
        Mechanism(
            "semantic neighbour augmentation, codebook resizing",
            "faithful",
            "section 3.5",
            "off by default, as in the official preparation",
            test="tests/models/history/test_semantic_search.py::"
            "test_own_events_come_first_and_neighbours_join_only_below_the_threshold",
        ),
        Mechanism(
            "beam search without a trie",
            "approximated",
            "official code",
            "only codes of the level compete and invalid IDs are dropped; the official search lets all tokens compete, "
            "adds 1e-9 to the first one's probability, "
            "ranks by a further token that was never trained, and leaves invalid IDs in their places. `trie: true` "
            "generates valid IDs only",
            test="tests/models/glass/test_glass_official.py::test_without_a_trie_invalid_ids_are_counted_and_dropped",
        ),
        Mechanism(
            "one target per example, everything before its 50 events as long-term history",
            "approximated",
            "official code",
            "the official data pour the long-term histories of all rows of a user together, test rows included",
            test="tests/models/training/test_sampled_targets.py::test_a_batch_holds_what_lies_before_each_target",
        ),
        Mechanism(
            "initial weights, and the loss of a target",
            "approximated",
            "official code, glass/main_glass.py",
            "token embeddings of deviation 0.1, where the official code's have 1 (`initial_std`); all else as PyTorch "
            "draws it, as there. The sum over a target's codes, where the official code takes the mean",
            test="tests/models/generation/test_t5.py::test_initial_weights_are_those_that_the_cards_name",
        ),
        features_line("official code, data/prepare_rqvae.py", SHIPPED_VECTORS, GlassOfficialConfig().tokenizer),
        quantizer_line("official code, rqvae/main.py", OFFICIAL_RQ_VAE, GlassOfficialConfig().tokenizer),
        optimiser_line(
            "official code, glass/main_glass.py", OFFICIAL_TRAINING, GlassOfficialConfig().training, "512 targets"
        ),
    )

    def build(self, train: TrainingData, trie: PrefixTrie, context: FitContext) -> T5Network:
        features = item_features(train, self.config.tokenizer.features, context.cache)
        return official_network(trie, features, self.config)

    def explain(self, history: Histories, k: int) -> Explanation:
        network, config = self.network, self.config
        assert network is not None, "explain before fit"
        query = QueryBatch.of(history, config.short_term, self._device)
        return explained(network, query, max(k, config.beam), config.short_term, config.sid_tier.edges)
