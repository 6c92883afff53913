"""GEMs (arXiv 2602.13631): a recent, a middle and a lifecycle stream; a re-implementation, there is no official code.

It stands on the network of GLASS, with three switches between what GEMs does and what GLASS does: which old events the
decoder reads (a learned indexer or the bucket of the first code), how both readings are joined (their sum or a learned
gate), and what the encoder is told of the whole history (shares of clusters or SID-Tier). With all three on GLASS's
side it is GLASS.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator
from torch import Tensor, nn

from bench.data.dataset import TrainingData
from bench.data.interactions import PAD
from bench.recommender import FitContext, Mechanism
from bench.search_space import Choice, SearchSpace
from models.fidelity import features_line, network_line, optimiser_line, quantizer_line
from models.generation.causal_network import CausalNetwork
from models.generation.causal_recommender import CausalRecommender
from models.glass.gated_fusion import AdaptiveGatedFusion
from models.glass.glass import GlassConfig, GlassNetwork
from models.glass.sid_tier import SIDTier
from models.history.long_term import LongTerm, look_up
from models.semantic_ids.item_features import item_features
from models.semantic_ids.rq_kmeans import rq_kmeans
from models.semantic_ids.trie import PrefixTrie


class GemsConfig(GlassConfig):
    """Configures GEMs: what GLASS has, and three switches that are on GEMs' side by default.

    Attributes:
        reading: Which old events the decoder reads once the first code is known: the best of a "learned" indexer among
            the `middle` ones, or GLASS's "bucket", the most recent ones of that code.
        joined: How what is read of the recent and of the old events is joined: by their "sum", or by GLASS's "gate".
        lifecycle: What the encoder is told of the whole long-term history: the shares of clusters of items ("summary"),
            or "sid-tier".
        middle: Most recent events of the long-term history that the indexer scores.
        indexer_dim: Width of its queries and keys.
        clusters: Clusters of items, by k-means over their features.
    """

    reading: Literal["learned", "bucket"] = "learned"
    joined: Literal["sum", "gate"] = "sum"
    lifecycle: Literal["summary", "sid-tier"] = "summary"
    middle: int = Field(default=200, ge=1)
    indexer_dim: int = Field(default=32, ge=1)
    clusters: int = Field(default=64, ge=1)

    @model_validator(mode="after")
    def _switches_have_something_to_switch(self) -> GemsConfig:
        if not (self.search.enabled and self.sid_tier.enabled):
            raise ValueError("search and sid_tier are streams of gems: choose among their kinds with its switches")
        if self.reading == "learned" and self.search.neighbours:
            raise ValueError("search.neighbours are those of a bucket, and reading is learned")
        if self.joined == "sum" and self.fixed_gate is not None:
            raise ValueError("fixed_gate has no meaning where joined is sum")
        return self


class Indexer(nn.Module):
    """Scores events given the first code: inner products of a query made of the code and keys made of the items.

    Args:
        dim: Width of embeddings.
        width: Of queries and keys.
        middle: Most recent events that are scored.
    """

    def __init__(self, dim: int, width: int, middle: int) -> None:
        super().__init__()
        self.middle = middle
        self.query = nn.Linear(dim, width)
        self.key = nn.Linear(dim, width)

    def forward(self, codes: Tensor, items: Tensor) -> Tensor:
        """Scores `[n_codes, n_items]` of item embeddings `[n_items, dim]` for code embeddings `[n_codes, dim]`."""
        return self.query(codes) @ self.key(items).T / math.sqrt(self.query.out_features)


class StreamSum(AdaptiveGatedFusion):
    """Adds what was read of the old events to what was read of the recent ones, without a gate."""

    def __init__(self, dim: int) -> None:
        super().__init__(dim, "hidden", fixed_gate=0.0)

    def forward(self, hidden: Tensor, short: Tensor, retrieved: Tensor, present: Tensor) -> Tensor:
        return short + retrieved * present


class GemsNetwork(GlassNetwork):
    """GLASS's network with GEMs' streams in the place of its own, as the configuration says.

    Args:
        trie, features, config: As for `GlassNetwork`.
        cluster_of_item: int64 `[n_items]`, for the summary.
    """

    def __init__(
        self, trie: PrefixTrie, features: NDArray[np.float32], config: GemsConfig, cluster_of_item: NDArray[np.int64]
    ) -> None:
        super().__init__(trie, features, config)
        dim = config.network.dim
        self.summed = config.joined == "sum"
        if self.summed:
            for layer in self.decoder.layers:
                layer.fusion = StreamSum(dim)
        if config.lifecycle == "summary":
            member = np.arange(cluster_of_item.max() + 1) == cluster_of_item[:, None]
            self.sid_tier = SIDTier(member.astype(np.uint8), 2, dim, config.network.dropout)
        learned = config.reading == "learned"
        self.indexer = Indexer(dim, config.indexer_dim, config.middle) if learned else None

    def find(self, long_term: LongTerm, known: Tensor) -> tuple[Tensor, Tensor | None]:
        if self.indexer is None:
            return super().find(long_term, known)
        ends = long_term.ends.unsqueeze(1) if long_term.ends.ndim == 1 else long_term.ends
        begins = replace(long_term, ends=ends, horizon=self.horizon).begins
        first = known[..., 0].unsqueeze(-1)
        place = ends.unsqueeze(-1) - 1 - torch.arange(self.indexer.middle, device=ends.device)
        exists = place >= begins.unsqueeze(-1)
        index = (long_term.events.offsets[long_term.rows][:, None, None] + place).masked_fill(~exists, PAD)
        items = look_up(long_term.events.items, index)
        # Embeddings are what the decoder makes of them: the indexer follows, and moves none (section on the indexer).
        table = self.indexer(self.embedding.tables[0].detach(), self.embedding.item(self.codes).detach())
        scores = table[first, items]
        best = scores.detach().masked_fill(~exists, -torch.inf).sort(dim=-1, descending=True, stable=True).indices
        best = best[..., : self.search.limit]
        found = index.expand_as(scores).gather(-1, best)
        chosen = scores.gather(-1, best).masked_fill(found == PAD, 0)
        return found, chosen[:, :, None, None]

    def gates(self) -> list[AdaptiveGatedFusion]:
        return [] if self.summed else [layer.fusion for layer in self.decoder.layers]


_TESTS = "tests/baselines/test_gems.py::"
LEARNING = "not stated in what could be read"


class Gems(CausalRecommender):
    """Recommends by GEMs."""

    Config = GemsConfig
    config: GemsConfig
    search_space: ClassVar[SearchSpace] = {
        **CausalRecommender.search_space,
        "search.limit": Choice(10, 20, 50),
        "middle": Choice(100, 200, 500),
        "clusters": Choice(32, 64, 128),
    }
    summary = "recent events, a learned indexer over the middle of the history, its summary by clusters; summed"
    role = "baseline"
    group = "semantic ID"
    paper = "GEMs, arXiv 2602.13631"
    year = 2026
    fidelity = (
        Mechanism(
            "recent stream: the decoder's cross-attention to the last events",
            "approximated",
            "second-hand summary of the paper; no official code",
            f"{GemsConfig().short_term} events through TIGER's causal encoder, there 256",
            test=_TESTS + "test_scores_are_those_of_the_naive_network",
        ),
        Mechanism(
            "middle stream: a learned indexer chooses the events that a second cross-attention reads",
            "approximated",
            "second-hand summary of the paper; no official code",
            f"of the {GemsConfig().middle} events before the recent ones, there up to 5,000, the best "
            f"{GemsConfig().search.limit}; asked with the first code alone, so that it knows what GLASS's bucket "
            "knows, and from that code on. One head, whose scores are added to attention's and learn from the loss "
            "through them, on embeddings that they do not move; there two heads learn from the attention by "
            "Kullback-Leibler divergence, in stages. `reading: bucket` is GLASS's search",
            test=_TESTS + "test_the_indexer_reads_the_best_of_the_middle_events",
        ),
        Mechanism(
            "lifecycle stream: a summary of the whole history",
            "approximated",
            "second-hand summary of the paper; no official code",
            f"the shares of {GemsConfig().clusters} clusters of items as one token of the encoder, there vectors that "
            "are compressed beforehand with a loss of their own and read through a third cross-attention. `lifecycle: "
            "sid-tier` is GLASS's token",
            test=_TESTS + "test_the_summary_is_made_of_shares_of_clusters",
        ),
        Mechanism(
            "streams are summed, not gated",
            "faithful",
            "second-hand summary of the paper; no official code",
            "`joined: gate` is GLASS's gate; the paper reports that a gate collapses onto the recent stream. The "
            "streams have one feed-forward layer together, there each its own",
            test=_TESTS + "test_scores_are_those_of_the_naive_network",
        ),
        features_line("second-hand summary", LEARNING, GemsConfig().tokenizer),
        quantizer_line("second-hand summary", "RQ-k-means, 3 x 8192 codes", GemsConfig().tokenizer),
        network_line("second-hand summary: four decoder layers", GemsConfig().network),
        optimiser_line("second-hand summary", LEARNING, GemsConfig().training),
    )

    def build(self, train: TrainingData, trie: PrefixTrie, context: FitContext) -> CausalNetwork:
        features = item_features(train, self.config.tokenizer.features, context.cache)
        clusters = rq_kmeans(features, (self.config.clusters,), context.shared_seed)[:, 0]
        return GemsNetwork(trie, features, self.config, clusters)
