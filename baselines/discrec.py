"""DiscRec (Liu et al., 2025, arXiv 2506.15576): a T5 that keeps what codes mean apart from what they do in an item.

Source: Ten-Mao/DiscRec at commit 7cc75ce, `layers/DiscRec.py` and the three files of layers that it imports.
"""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from bench.data.dataset import TrainingData
from bench.recommender import FitContext, Mechanism
from bench.search_space import Choice, SearchSpace
from models.fidelity import features_line, optimiser_line, quantizer_line
from models.generation.t5_network import T5GenerativeConfig, T5Network
from models.generation.t5_recommender import T5Recommender
from models.heads import heads_divide
from models.semantic_ids.trie import PrefixTrie

EPSILON = 1e-8
"""`LayerNorm.__init__`; it is added to the standard deviation, not to the variance."""


class DiscRecConfig(T5GenerativeConfig):
    """Configures DiscRec: the T5 of `tiger-t5`, and a second way of its token embeddings.

    Attributes:
        trie: As in the source, generation is confined to the catalogue's semantic IDs.
        branch_heads: Heads of the attention among the tokens of one item; 2 in the source.
        branch_feed_forward: Width between the two layers after it; 1024 in the source.
    """

    trie: bool = True
    branch_heads: int = Field(default=2, ge=1)
    branch_feed_forward: int = Field(default=1024, ge=1)

    @model_validator(mode="after")
    def _heads_of_one_width(self) -> DiscRecConfig:
        heads_divide(self.network.dim, self.branch_heads, "network.dim", "branch_heads")
        return self


class DeviationNorm(nn.Module):
    """Layer normalisation by the standard deviation plus epsilon (`layers/LayerNorm.py`)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(dim))
        self.beta = nn.Parameter(torch.zeros(dim))

    def forward(self, vectors: Tensor) -> Tensor:
        """Normalises vectors `[..., dim]`."""
        centred = vectors - vectors.mean(-1, keepdim=True)
        return self.gamma * centred / (vectors.std(-1, keepdim=True, correction=0) + EPSILON) + self.beta


class TwoWays(nn.Module):
    """Embeds tokens two ways, as they are and by what the tokens of their item do together, and mixes both by a gate.

    The second way: embedding + place within the item, normalised, attention among the tokens of the same item, and a
    feed-forward layer, each added to its normalised input. Weights are drawn as in the source.

    Args:
        dim: Width of a token.
        places: Places within an item, the begin token's included.
        config: Heads and widths of the second way, and the dropout of its feed-forward layer.
        causal: Whether a token attends to the tokens up to itself only.
    """

    def __init__(self, dim: int, places: int, config: DiscRecConfig, causal: bool) -> None:
        super().__init__()
        self.causal = causal
        self.heads = config.branch_heads
        self.place = nn.Embedding(places, dim)
        self.attention_norm = DeviationNorm(dim)
        self.query, self.key, self.value = (nn.Linear(dim, dim) for _ in range(3))
        self.feed_forward_norm = DeviationNorm(dim)
        self.inner = nn.Linear(dim, config.branch_feed_forward)
        self.outer = nn.Linear(config.branch_feed_forward, dim)
        self.dropout = nn.Dropout(config.network.dropout)
        self.gate = nn.Embedding(2, dim)
        for layer in (self.query, self.key, self.value, self.inner, self.outer):
            nn.init.xavier_normal_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, tokens: Tensor, first_place: int, visible: Tensor | None = None) -> Tensor:
        """Mixes both ways of embedded tokens.

        Args:
            tokens: float32 `[..., n, dim]`, the tokens of one item each.
            first_place: The place of the first of them.
            visible: bool `[..., n]`. Tokens of padding attend to nothing.

        Returns:
            float32 `[..., n, dim]`.
        """
        n = tokens.shape[-2]
        places = torch.arange(first_place, first_place + n, device=tokens.device)
        together = self.attention_norm(tokens + self.place(places))
        together = self.feed_forward_norm(together + self._attended(together, visible))
        inner = self.dropout(self.inner(together).relu())
        together = together + self.dropout(self.outer(inner))
        ways = torch.stack([tokens, together], dim=-2)
        share = (ways * self.gate.weight).sum(-1).softmax(-1)
        return (ways * share.unsqueeze(-1)).sum(-2)

    def _attended(self, tokens: Tensor, visible: Tensor | None) -> Tensor:
        def split(vectors: Tensor) -> Tensor:
            return vectors.unflatten(-1, (self.heads, -1)).transpose(-2, -3)

        query, key, value = (split(layer(tokens)) for layer in (self.query, self.key, self.value))
        read = F.scaled_dot_product_attention(query, key, value, is_causal=self.causal)
        read = read.transpose(-2, -3).flatten(-2)
        return read if visible is None else read * visible.unsqueeze(-1)


class DiscRecNetwork(T5Network):
    """The T5 whose encoder and decoder read what `TwoWays` makes of their tokens.

    Args:
        trie: The catalogue's semantic IDs, on the device where the network will run.
        config: Configuration.
    """

    def __init__(self, trie: PrefixTrie, config: DiscRecConfig) -> None:
        super().__init__(trie, config)
        dim, places = config.network.dim, trie.ids.levels + 1
        self.of_events = TwoWays(dim, places, config, causal=False)
        self.of_target = TwoWays(dim, places, config, causal=True)

    def embedded_events(self, tokens: Tensor, visible: Tensor) -> Tensor:
        items = (-1, self.levels)
        by_item = self.embedding(tokens).unflatten(1, items)
        return self.of_events(by_item, 1, visible.unflatten(1, items)).flatten(1, 2)

    def decoder_inputs(self, codes: Tensor, last: bool = False) -> Tensor:
        inputs = self.of_target(super().decoder_inputs(codes), 0)
        return inputs[..., -1:, :] if last else inputs


_TESTS = "tests/baselines/test_discrec.py::"
_SOURCE = "Ten-Mao/DiscRec @7cc75ce"


class DiscRec(T5Recommender):
    """Recommends by DiscRec: `tiger-t5` whose tokens also say what they do inside their item."""

    Config = DiscRecConfig
    config: DiscRecConfig
    search_space: ClassVar[SearchSpace] = {
        **T5Recommender.search_space,
        "branch_feed_forward": Choice(128, 512, 1024),
    }
    summary = "tiger-t5 with a second way of its token embeddings: attention inside an item, mixed in by a gate"
    role = "baseline"
    group = "semantic ID"
    paper = "Liu et al., arXiv"
    year = 2025
    fidelity = (
        Mechanism(
            "embedding of a token's place within its item, attention confined to the item (causal in the decoder), "
            "feed-forward layer, normalisations and residuals",
            "faithful",
            f"{_SOURCE}, `DiscRecT5Stack.moe4co`",
            "the source masks the scores of other items; here items are rows of a batch, the same sums",
            test=f"{_TESTS}test_both_ways_are_those_of_the_source",
        ),
        Mechanism(
            "gate: softmax of each way's product with a learned vector",
            "faithful",
            f"{_SOURCE}, `DiscRecT5Stack.moe4co`",
            test=f"{_TESTS}test_both_ways_are_those_of_the_source",
        ),
        Mechanism(
            "initial weights of the second way",
            "faithful",
            f"{_SOURCE}, `MultiHeadAttention`, `FeedForward`, `LayerNorm`",
            "Xavier-normal weights, zero biases; places and gate as PyTorch draws embeddings",
            test=f"{_TESTS}test_initial_weights_are_those_of_the_source",
        ),
        Mechanism(
            "generation recomputes the second way from all codes so far",
            "faithful",
            f"{_SOURCE}, `DiscRec._inference` (no cache)",
            "the T5 below has a cache",
            test=f"{_TESTS}test_step_by_step_it_reads_what_training_reads",
        ),
        Mechanism(
            "end token of the history, which attends to the last item",
            "omitted",
            f"{_SOURCE}, `DiscRecT5Stack.moe4co`",
            "no history here has an end token: the T5 of the official GLASS code has none",
        ),
        Mechanism(
            "sizes: d 128, 4 + 4 layers, 6 heads of 64, feed-forward 1024, last 20 items, trie",
            "approximated",
            f"{_SOURCE}, `extra_config/tiger/config.json`",
            "by default those of `tiger-t5`, with which it is to be compared: d 96, heads of 32, the last 50 items. "
            "Token embeddings begin with a deviation of 0.1 (source: 1) and logits are not scaled",
        ),
        features_line(
            _SOURCE, "LLaMA vectors of texts, and nothing else is known of an item", DiscRecConfig().tokenizer
        ),
        quantizer_line(_SOURCE, "RQ-VAE with four codebooks of 256", DiscRecConfig().tokenizer),
        optimiser_line(
            f"{_SOURCE}, `run_discrec.py`",
            "AdamW at 5e-4, weight decay 0.01, cosine after 1 % of the steps; up to 200 epochs of 256 targets, stopped "
            "by the validation loss",
            DiscRecConfig().training,
            "512 targets",
        ),
    )

    def build(self, train: TrainingData, trie: PrefixTrie, context: FitContext) -> DiscRecNetwork:
        return DiscRecNetwork(trie, self.config)
