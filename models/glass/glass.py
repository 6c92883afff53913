"""GLASS (arXiv 2602.05663): TIGER's backbone with SID-Tier, semantic hard search and adaptive gated fusion."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import AfterValidator, Field
from torch import Tensor

from bench.config import Config, added_field
from bench.data.dataset import TrainingData
from bench.data.interactions import Histories
from bench.recommender import Explanation, FitContext, Mechanism
from bench.search_space import Choice, SearchSpace
from models.fidelity import features_line, network_line, optimiser_line, quantizer_line
from models.generation.causal_network import CausalNetwork
from models.generation.causal_recommender import CausalRecommender
from models.generation.causal_transformer import Attention, Decoder, DecoderLayer, Retrieved
from models.generation.config import GenerativeConfig
from models.generation.query_batch import QueryBatch
from models.generation.retrieved_items import Retrieval, SearchIndexes, prepare_retrieved
from models.glass.explanation import explained
from models.glass.gated_fusion import AdaptiveGatedFusion
from models.glass.sid_tier import MOST_TIERS, SIDTier, code_prototypes, similarity_tiers, tier_edges
from models.history.age_bias import AgeBias
from models.history.long_term import LongTerm, RaggedItems
from models.history.prefix_bias import PrefixBias, agreement
from models.history.semantic_search import SemanticSearchIndex, nearest_codes
from models.semantic_ids.item_features import item_features
from models.semantic_ids.semantic_ids import SemanticIds
from models.semantic_ids.trie import PrefixTrie


def _ascending(edges: tuple[float, ...]) -> tuple[float, ...]:
    if list(edges) != sorted(set(edges)) or len(edges) >= MOST_TIERS:
        raise ValueError(f"edges of tiers should ascend, and be at most {MOST_TIERS - 1}")
    return edges


class SIDTierConfig(Config):
    """Says whether the long-term history joins the encoder as one SID-Tier token, and into which tiers it is cut.

    Attributes:
        enabled: Whether the encoder gets the token.
        tiers: Number of equal tiers of [-1, 1] (the paper's way), or the inner edges themselves
            (the official code's are -0.1, 0, 0.1).
    """

    enabled: bool = True
    tiers: Annotated[int, Field(ge=1, le=MOST_TIERS)] | Annotated[tuple[float, ...], AfterValidator(_ascending)] = 20

    @property
    def edges(self) -> NDArray[np.float64]:
        """Inner edges of the tiers, ascending, float64 `[n_tiers - 1]`."""
        return tier_edges(self.tiers) if isinstance(self.tiers, int) else np.asarray(self.tiers)


class SearchConfig(Config):
    """Says what the decoder retrieves of the long-term history once the first code is known.

    Attributes:
        enabled: Whether the decoder searches.
        limit: Most recent items that a search retrieves.
        neighbours: Codes that may join a search (semantic neighbour augmentation). 0: never.
        threshold: tau, they join where fewer own items were retrieved.
        stop_gradient: Whether retrieved items leave the code embeddings untouched in training (official code).
    """

    enabled: bool = True
    limit: int = Field(default=20, ge=1)
    neighbours: int = Field(default=0, ge=0)
    threshold: int = Field(default=5, ge=0)
    stop_gradient: bool = False


class GlassSearchConfig(SearchConfig):
    """Adds to semantic hard search what goes beyond the paper and the official code.

    Attributes:
        recent: Whether a search finds the short-term events, too, instead of the long-term history alone. For histories
            in which a recent event predicts its own return: attention over events of one first code copies them more
            easily than the encoder's output does.
        age_bias: Whether attention to retrieved events learns a bias for how many events ago each lies. Without one,
            an event of yesterday and one of a year ago look alike.
        prefix_bias: Whether attention to retrieved events learns a bias for how many of the codes generated so far each
            one's item has: the search by the first code goes on, softly, with the later ones.
    """

    recent: bool = False
    age_bias: bool = False
    prefix_bias: bool = False


SEARCHED: SearchSpace = {"search.limit": Choice(10, 20, 50, 100), "search.neighbours": Choice(0, 1, 3)}
"""What `bench tune` tries of semantic hard search."""


class GlassConfig(GenerativeConfig):
    """Configures GLASS: the shared network, its two ways to the long-term history, and the gate between them.

    Attributes:
        sid_tier: Before generation: the long-term history as one encoder token.
        search: During generation: long-term items of the first code.
        gate_input: What the gate sees beside Z_ret: "hidden" (official code) or "short" (paper).
        fixed_gate: A constant gate in place of the learned one (ablation).
        horizon: SID-Tier and the search each see only so many of the last events that they would see otherwise: what is
            left is the mechanism, without the long history. With 50, and a short term of 50, nothing older than 100
            events is read; with `search.recent` the search finds the last 50 events and no others. None: all events.
    """

    sid_tier: SIDTierConfig = SIDTierConfig()
    search: GlassSearchConfig = GlassSearchConfig()
    gate_input: Literal["hidden", "short"] = "hidden"
    fixed_gate: float | None = Field(default=None, ge=0, le=1)
    horizon: int | None = added_field(None, ge=1)


SHIPPED_VECTORS = (
    "the vectors that ship with TAOBAO-MM (int8 / 127) and a text encoding of KuaiRec, for codes, prototypes and tiers"
)
"""What the official code knows of items."""

OFFICIAL_RQ_VAE = (
    "RQ-VAE with hidden layers 512-256-128-64 (Xavier) and a latent of 32, codebooks 64-128-128 learned by gradient, "
    "k-means over the first batch (100 iterations), commitment 0.25, Sinkhorn on the last level in training (0.003, 50 "
    "iterations), AdamW 1e-3, weight decay 1e-4, 5 epochs of warm-up and then linearly to 0, gradients clipped at 1, "
    "300 epochs of 20,384 items, fewest collisions kept"
)
"""How the official code quantizes (`rqvae/main.py`, `rqvae/trainer.py`, `rqvae/models/`)."""

OFFICIAL_TRAINING = (
    "AdamW at a constant 1e-4, weight decay 0.01 on all parameters, no clipping, no averaging, 2,048 targets a step, "
    "the mean over a target's codes, up to 2,000 epochs, the best by NDCG@20 with a patience of 100, histories of "
    "fewer than 40 known items left out"
)
"""How the official code trains (`glass/main_glass.py`, `data/prepare_glass.py`)."""


def prototypes_of(ids: SemanticIds, features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns the mean features of each first code's items, float32 `[codebook_size, dims]`."""
    return code_prototypes(features, ids.codes[:, 0], ids.codebook_sizes[0])


def neighbours_of(ids: SemanticIds, features: NDArray[np.float32], search: SearchConfig) -> Tensor | None:
    """Returns the codes that may join a search for each, int64 `[codebook_size, n_neighbours]`; None where none may.

    Args:
        trie: The catalogue's semantic IDs, on the device where the network will run.
        features: Item features float32 `[n_items, dims]`.
        search: How many.
    """
    if not search.neighbours:
        return None
    used = np.bincount(ids.codes[:, 0], minlength=ids.codebook_sizes[0]) > 0
    return torch.from_numpy(nearest_codes(prototypes_of(ids, features), search.neighbours, used))


class GlassDecoderLayer(DecoderLayer):
    """Reads retrieved items through a second cross-attention, and fuses them with the recent history through a gate."""

    def __init__(self, config: GlassConfig, levels: int) -> None:
        super().__init__(config.network)
        self.retrieved_attention = Attention(config.network)
        heads = config.network.heads
        self.age_bias = AgeBias(heads) if config.search.age_bias else None
        self.prefix_bias = PrefixBias(heads, levels) if config.search.prefix_bias else None
        self.fusion = AdaptiveGatedFusion(config.network.dim, config.gate_input, config.fixed_gate)

    def read_history(
        self, normed: Tensor, memory: tuple[Tensor, Tensor], memory_bias: Tensor, retrieved: Retrieved | None
    ) -> Tensor:
        """Fuses the tokens after the first code; the begin token knows no code yet and reads the short term only."""
        short = super().read_history(normed, memory, memory_bias, None)
        if retrieved is None:
            return short
        first = retrieved.first_token
        later, recent = normed[:, :, first:], short[:, :, first:]
        read = retrieved.read_by(self.retrieved_attention, retrieved.of_some(later))
        if self.fusion.observe is not None:  # the gates of all targets are asked for
            read = retrieved.put_back(read, torch.zeros_like(recent))
            fused = self.fusion(later, recent, read, retrieved.present)
        else:
            asking, known, present = map(retrieved.of_some, (later, recent, retrieved.present))
            fused = retrieved.put_back(self.fusion(asking, known, read, present), recent)
        return torch.cat([short[:, :, :first], fused], dim=2)


class SIDTierNetwork(CausalNetwork):
    """Lets the shared network read the long-term history as one token: GLASS without its search, for the ablation.

    Args:
        trie: The catalogue's semantic IDs, on the device where the network will run.
        features: Item features float32 `[n_items, dims]` for prototypes and tiers.
        config: Configuration.
        decoder_layer, searches: See `CausalNetwork`.
    """

    def __init__(
        self,
        trie: PrefixTrie,
        features: NDArray[np.float32],
        config: GlassConfig,
        decoder_layer: Callable[[], DecoderLayer] | None = None,
        searches: bool = False,
    ) -> None:
        super().__init__(trie, config, decoder_layer, int(config.sid_tier.enabled), searches)
        self.horizon = config.horizon
        self.sid_tier = None
        if config.sid_tier.enabled:
            edges = config.sid_tier.edges
            tiers = similarity_tiers(features, prototypes_of(trie.ids, features), edges)
            self.sid_tier = SIDTier(tiers, len(edges) + 1, config.network.dim, config.network.dropout)

    def summarise(self, long_term: LongTerm) -> Tensor | None:
        return None if self.sid_tier is None else self.sid_tier.shares(replace(long_term, horizon=self.horizon))

    def prefix(self, long_term: LongTerm) -> Tensor | None:
        return None if self.sid_tier is None else self.sid_tier(replace(long_term, horizon=self.horizon))


class GlassNetwork(SIDTierNetwork):
    """Lets the shared network read the long-term history twice, as one token before it generates and by searching it.

    Args:
        trie: The catalogue's semantic IDs, on the device where the network will run.
        features: Item features float32 `[n_items, dims]` for prototypes and tiers.
        config: Configuration, with the search enabled.
    """

    decoder: Decoder[GlassDecoderLayer]
    neighbours: Tensor | None
    observe_search: Callable[[Tensor], None] | None = None
    """See `models.glass.explanation.SearchingNetwork`."""

    def __init__(self, trie: PrefixTrie, features: NDArray[np.float32], config: GlassConfig) -> None:
        super().__init__(trie, features, config, partial(GlassDecoderLayer, config, trie.levels), searches=True)
        self.search = config.search
        self.unsearched = 0 if config.search.recent else config.short_term
        self.codebook_size = trie.ids.codebook_sizes[0]
        self.project = torch.nn.Linear(config.network.dim, config.network.dim)
        self.register_buffer("neighbours", neighbours_of(trie.ids, features, config.search), persistent=False)
        self._indexes = SearchIndexes()

    def find(self, long_term: LongTerm, known: Tensor) -> tuple[Tensor, Tensor | None]:
        """Searches the long-term histories by the codes that are known; arguments as for `retrieve`.

        Returns:
            int64 `[batch, positions, r]`, where the events lie in the ragged array, padded with `PAD`; and what is
            added to attention's scores of each, float32 `[batch, positions, 1, 1, r]`, None where nothing is.
        """
        begins = None if self.horizon is None else replace(long_term, horizon=self.horizon).begins
        search, index = self.search, self._index_of(long_term.events)
        found = index.search(
            long_term.rows, long_term.ends, known[..., 0], search.limit, self.neighbours, search.threshold, begins
        )
        return found, None

    def retrieve(self, long_term: LongTerm, known: Tensor, first_token: int) -> Retrieval:
        index, scores = self.find(long_term, known)
        if self.observe_search is not None:
            self.observe_search(index)
        layers = self.decoder.layers
        attentions = [layer.retrieved_attention for layer in layers]
        retrieval = prepare_retrieved(
            index, long_term.events, self._embed_retrieved, attentions, first_token, len(self.codes)
        )
        if scores is not None:
            retrieval = retrieval.with_biases([scores] * len(layers))
        if self.search.age_bias:
            age = self.ages(long_term, index)
            retrieval = retrieval.with_biases([layer.age_bias(age) for layer in layers if layer.age_bias is not None])
        if self.search.prefix_bias:
            agree = agreement(known, self.codes[retrieval.items])
            retrieval = retrieval.with_biases(
                [layer.prefix_bias(agree) for layer in layers if layer.prefix_bias is not None]
            )
        return retrieval

    def gates(self) -> Sequence[AdaptiveGatedFusion]:
        return [layer.fusion for layer in self.decoder.layers]

    def _embed_retrieved(self, items: Tensor) -> Tensor:
        """Projects items int64 `[n]` into what attention reads of them, `[n, dim]`."""
        embedded = self.embedding.item(self.codes[items])
        return self.project(embedded.detach() if self.search.stop_gradient else embedded)

    def _index_of(self, events: RaggedItems) -> SemanticSearchIndex:
        return self._indexes.of(events, self.codes[:, 0], self.codebook_size)


def glass_network(trie: PrefixTrie, features: NDArray[np.float32], config: GlassConfig) -> SIDTierNetwork:
    """Builds the network of a configuration: with the search, or the ablation without it."""
    return (GlassNetwork if config.search.enabled else SIDTierNetwork)(trie, features, config)


class Glass(CausalRecommender):
    """Recommends by GLASS, trained on every position of a window in one pass."""

    Config = GlassConfig
    config: GlassConfig
    search_space: ClassVar[SearchSpace] = {**CausalRecommender.search_space, **SEARCHED}
    revision = 2
    summary = "TIGER's backbone plus the long history: SID-Tier token, semantic hard search per beam, gated fusion"
    group = "GLASS family"
    paper = "GLASS, arXiv 2602.05663"
    year: ClassVar[int | None] = 2026
    fidelity: ClassVar[tuple[Mechanism, ...]] = (
        Mechanism(
            "SID-Tier: tier counts of the long-term history as one token",
            "faithful",
            "section 3.2",
            test="tests/models/glass/test_sid_tier.py::test_tier_counts_are_those_of_three_loops",
        ),
        Mechanism(
            "place of the SID-Tier token",
            "approximated",
            "official code",
            "in front of the history as in the official code; the paper appends it",
        ),
        Mechanism(
            "semantic hard search by the first code, per beam",
            "faithful",
            "section 3.3",
            test="tests/models/history/test_semantic_search.py::test_search_finds_what_walking_back_finds",
        ),
        Mechanism(
            "search over the long-term history alone",
            "faithful",
            "section 3.3",
            "options beyond the paper, off by default: `search.recent` finds the short-term events, too; "
            "`search.age_bias` tells attention how many events ago each lies, `search.prefix_bias` how many of the "
            "codes generated so far its item has; `horizon` leaves search and SID-Tier the last events only",
            test="tests/models/generation/test_generative.py::test_the_long_term_history_ends_where_the_window_begins",
        ),
        Mechanism(
            "retrieved items as 3 tokens each",
            "approximated",
            "official code",
            f"one key per item, the projected sum of its code embeddings; at most {SearchConfig().limit} items "
            "(official code: 30). Training changes these embeddings, too; `search.stop_gradient: true` keeps them from "
            "it as the official code does",
        ),
        Mechanism(
            "adaptive gated fusion",
            "approximated",
            "section 3.4; official code",
            "the gate sees [hidden ; Z_ret] as in the official code; `gate_input: short` is the paper's. "
            "It is shut at the begin token, as there, and where nothing was retrieved, where it stays open there",
            test="tests/models/glass/test_gated_fusion.py::test_the_gate_reads_its_input_and_what_was_retrieved",
        ),
        Mechanism(
            "semantic neighbour augmentation, codebook resizing",
            "faithful",
            "section 3.5",
            f"off by default; with it, codes join a search that found fewer than {SearchConfig().threshold} items "
            "(`search.threshold`; the paper's tau was not at hand)",
            test="tests/models/history/test_semantic_search.py::"
            "test_own_events_come_first_and_neighbours_join_only_below_the_threshold",
        ),
        Mechanism(
            "bidirectional T5 encoder over 3 tokens per item",
            "approximated",
            "official code",
            "causal encoder with one token per item; each window of up to 50 events is trained at every position "
            "with everything before the window as the long-term history of SID-Tier; as for a query, a search leaves "
            "out the last 50 events before each target",
            test="tests/models/generation/test_generative.py::test_one_pass_over_all_positions_equals_each_target_on_its_own",
        ),
        Mechanism(
            "semantic IDs shared by colliding items",
            "approximated",
            "official code",
            "a disambiguation token and a prefix trie, as for TIGER; `tokenizer.disambiguate: false` shares them, "
            "`normalise: catalogue` knows the trie in training, too, and `copying`, off by default, lets the codes of "
            "events that the model reads be copied",
            test="tests/models/generation/test_generative_recommender.py::"
            "test_items_that_share_a_sid_share_its_score_and_are_ordered_by_training_popularity",
        ),
        features_line("official code, data/prepare_rqvae.py", SHIPPED_VECTORS, GlassConfig().tokenizer),
        quantizer_line("official code, rqvae/main.py", OFFICIAL_RQ_VAE, GlassConfig().tokenizer),
        network_line("official code, glass/main_glass.py: d 96, 4 + 4 layers, 6 heads of 32", GlassConfig().network),
        optimiser_line("official code, glass/main_glass.py", OFFICIAL_TRAINING, GlassConfig().training),
    )

    def build(self, train: TrainingData, trie: PrefixTrie, context: FitContext) -> CausalNetwork:
        features = item_features(train, self.config.tokenizer.features, context.cache)
        return glass_network(trie, features, self.config)

    def explain(self, history: Histories, k: int) -> Explanation:
        network, config = self.network, self.config
        assert network is not None, "explain before fit"
        query = QueryBatch.of(history, config.short_term, self._device)
        return explained(network, query, max(k, config.beam), config.short_term, config.sid_tier.edges)
