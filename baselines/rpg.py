"""RPG (Hou et al., KDD 2025, arXiv 2506.05781): long unordered semantic IDs whose digits are all predicted at once.

Constants are those of github.com/facebookresearch/RPG_KDD2025 at commit a7463a2 (`genrec/models/RPG/`). Where the paper
walks a graph of similar items to find good ones among very many, every item is scored here: one position of the
network gives a distribution for each digit, and an item's score is the mean log-probability of its digits. So lists
hold `k` items that exist, whatever the semantic IDs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import ClassVar, cast

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import Field, model_validator
from torch import Tensor, nn

from baselines.full_ranking import rank_semantic_ids
from baselines.next_item import NextItemConfig, NextItemModel, NextItemNetwork
from bench.data.dataset import TrainingData
from bench.data.interactions import PAD, Histories
from bench.recommender import FitContext, Mechanism, Recommendations
from bench.search_space import Choice, LogUniform, SearchSpace
from models.fidelity import features_line, optimiser_line
from models.heads import heads_divide
from models.semantic_ids.semantic_ids import SemanticIds
from models.semantic_ids.tokenizer import TokenizerConfig, record_health, tokenize
from models.training.loop import TrainingConfig

NORM_EPS = 1e-12
"""`layer_norm_epsilon` in config.yaml."""

INITIAL_STD = 0.02
"""`initializer_range` in config.yaml; of maps back into the residual stream divided by sqrt(2 layers), as in GPT-2."""


class RPGConfig(NextItemConfig):
    """Configuration of RPG.

    Attributes:
        loss: "ce" alone: the mean cross-entropy of the digits.
        dim: Width.
        blocks: Transformer blocks.
        heads: Attention heads.
        feed_forward: Inner width of the feed-forward layers.
        dropout: Of embeddings and attention weights; there is none in the residual stream.
        temperature: Of the softmax over cosines between a digit's state and its codes.
        tokenizer: How items become digits.
    """

    length: int = Field(default=100, ge=1)
    dim: int = Field(default=128, ge=1)
    blocks: int = Field(default=2, ge=1)
    heads: int = Field(default=4, ge=1)
    feed_forward: int = Field(default=256, ge=1)
    dropout: float = Field(default=0.3, ge=0, lt=1)
    temperature: float = Field(default=0.07, gt=0)
    tokenizer: TokenizerConfig = TokenizerConfig(method="opq", codebooks=(64,) * 16, disambiguate=False)
    training: TrainingConfig = TrainingConfig(epochs=40, batch_events=2048, learning_rate=2e-3, average=0.99)

    @model_validator(mode="after")
    def _cross_entropy(self) -> RPGConfig:
        if self.loss != "ce":
            raise ValueError(f"loss {self.loss}: only ce, the mean cross-entropy of the digits, is there")
        return self

    @model_validator(mode="after")
    def _heads_of_one_width(self) -> RPGConfig:
        heads_divide(self.dim, self.heads)
        return self


class GPT2Block(nn.Module):
    """Pre-norm causal attention and a feed-forward layer with GPT-2's GELU."""

    def __init__(self, config: RPGConfig) -> None:
        super().__init__()
        self.heads, self.dropout = config.heads, config.dropout
        self.attention_norm = nn.LayerNorm(config.dim, eps=NORM_EPS)
        self.qkv = nn.Linear(config.dim, 3 * config.dim)
        self.attention_out = nn.Linear(config.dim, config.dim)
        self.feed_forward_norm = nn.LayerNorm(config.dim, eps=NORM_EPS)
        self.inner = nn.Linear(config.dim, config.feed_forward)
        self.feed_forward_out = nn.Linear(config.feed_forward, config.dim)
        for layer in (self.qkv, self.inner):
            nn.init.normal_(layer.weight, std=INITIAL_STD)
        for layer in (self.attention_out, self.feed_forward_out):
            nn.init.normal_(layer.weight, std=INITIAL_STD / math.sqrt(2 * config.blocks))
        for layer in (self.qkv, self.inner, self.attention_out, self.feed_forward_out):
            nn.init.zeros_(layer.bias)

    def forward(self, hidden: Tensor) -> Tensor:
        parts = self.qkv(self.attention_norm(hidden)).unflatten(-1, (3, self.heads, -1)).movedim(-3, 0)
        query, key, value = parts.transpose(-2, -3)
        dropout = self.dropout if self.training else 0.0
        attended = F.scaled_dot_product_attention(query, key, value, dropout_p=dropout, is_causal=True)
        hidden = hidden + self.attention_out(attended.transpose(1, 2).flatten(-2))
        inner = F.gelu(self.inner(self.feed_forward_norm(hidden)), approximate="tanh")
        return hidden + self.feed_forward_out(inner)


class DigitHead(nn.Module):
    """A digit's own view of the hidden state: `x + SiLU(W x + b)`, with W = 0 at first (`ResBlock`)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.linear = nn.Linear(dim, dim)
        nn.init.zeros_(self.linear.weight)


class RPGNetwork(NextItemNetwork):
    """A causal transformer with one position an item, the mean of its digits' embeddings, and a head for each digit.

    Args:
        ids: Semantic IDs; every level is a digit.
        config: Configuration.
    """

    codes: Tensor
    missing: Tensor

    def __init__(self, ids: SemanticIds, config: RPGConfig) -> None:
        super().__init__()
        self.temperature = config.temperature
        self.uneven = len(set(ids.codebook_sizes)) > 1
        sizes = torch.tensor(ids.codebook_sizes)
        self.register_buffer("codes", torch.from_numpy(ids.codes), persistent=False)
        self.register_buffer("missing", torch.arange(int(sizes.max())) >= sizes.unsqueeze(1), persistent=False)
        self.tables = nn.ParameterList(torch.randn(size, config.dim) * INITIAL_STD for size in ids.codebook_sizes)
        self.positions = nn.Embedding(config.length, config.dim)
        nn.init.normal_(self.positions.weight, std=INITIAL_STD)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(GPT2Block(config) for _ in range(config.blocks))
        self.norm = nn.LayerNorm(config.dim, eps=NORM_EPS)
        self.heads = nn.ModuleList(DigitHead(config.dim) for _ in ids.codebook_sizes)

    def digit_vectors(self, digits: slice = slice(None)) -> Tensor:
        """The embeddings `[digits, most codes, dim]` of some digits; zeros where one has fewer codes."""
        most = self.missing.shape[1]
        return torch.stack([F.pad(table, (0, 0, 0, most - len(table))) for table in self.tables[digits]])

    def together(self) -> list[slice]:
        """Which digits are computed together: on a GPU all, on a processor each alone.

        One by one they are some two thousand small products a step; together, what is made of them leaves the cache.
        """
        n_digits = len(self.missing)
        size = n_digits if self.missing.is_cuda else 1
        return [slice(first, first + size) for first in range(0, n_digits, size)]

    def numbered(self, items: Tensor) -> Tensor:
        """Items int64 `[...]` as int64 `[..., digits]`: rows of all digits' codes, one digit after the other."""
        n_digits, most = self.missing.shape
        return self.codes[items] + torch.arange(n_digits, device=items.device) * most

    def forward(self, items: Tensor, timestamps: Tensor) -> Tensor:
        digits = F.embedding(self.numbered(items.clamp(min=0)), self.digit_vectors().flatten(0, 1))
        hidden = self.dropout(digits.mean(-2) + self.positions.weight[: items.shape[1]])
        for block in self.blocks:
            hidden = block(hidden)
        return self.norm(hidden)

    def digit_logits(self, hidden: Tensor, digits: slice) -> Tensor:
        """Cosines over the temperature `[digits, n, most codes]` for hidden states `[n, d]`; -inf where no code is."""
        linears = [cast(DigitHead, head).linear for head in self.heads[digits]]
        weights, biases = (torch.stack(parts) for parts in zip(*((of.weight, of.bias) for of in linears), strict=True))
        mapped = torch.baddbmm(biases.unsqueeze(1), hidden.expand(len(linears), -1, -1), weights.transpose(1, 2))
        views = F.normalize(hidden + F.silu(mapped), dim=-1)
        logits = views @ (F.normalize(self.digit_vectors(digits), dim=-1) / self.temperature).transpose(1, 2)
        return logits.masked_fill(self.missing[digits].unsqueeze(1), -torch.inf) if self.uneven else logits

    def log_probabilities(self, hidden: Tensor) -> Iterator[Tensor]:
        """Per digit the log-probabilities `[..., most codes]` for hidden states `[..., d]`; -inf where no code is."""
        for digits in self.together():
            for logits in self.digit_logits(hidden.flatten(0, -2), digits):
                yield logits.log_softmax(-1).unflatten(0, hidden.shape[:-1])

    def compared(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities of all codes side by side, and a row of ones and zeros for each item; takes much memory."""
        states = torch.stack(list(self.log_probabilities(hidden)), -2).masked_fill(self.missing, 0).flatten(-2)
        has = states.new_zeros(len(self.codes), self.missing.numel())
        has.scatter_(1, self.numbered(torch.arange(len(self.codes), device=has.device)), 1 / len(self.missing))
        return states, has

    def scores(self, hidden: Tensor) -> Tensor:
        """The mean log-probability of the digits of every item."""
        total = hidden.new_zeros(*hidden.shape[:-1], len(self.codes))
        for digit, log_probabilities in enumerate(self.log_probabilities(hidden)):
            total = total + log_probabilities[..., self.codes[:, digit]]
        return total / len(self.missing)

    def loss(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy of the targets' digits given hidden states `[n, d]`, the mean over targets and digits.

        Args:
            hidden: float32 `[n, d]`.
            targets: int64 `[n]`; `PAD` counts for nothing.
        """
        codes = self.codes[targets.clamp(min=0)].masked_fill((targets == PAD).unsqueeze(1), PAD).T
        losses = [
            F.cross_entropy(self.digit_logits(hidden, digits).flatten(0, 1), codes[digits].flatten(), ignore_index=PAD)
            for digits in self.together()
        ]
        return torch.stack(losses).mean()


_TESTS = "tests/baselines/test_rpg.py::"


class RPG(NextItemModel):
    """RPG with exact scores over the catalogue: the registered name `rpg`."""

    Config = RPGConfig
    config: RPGConfig
    network: RPGNetwork | None = None
    recordable = True
    revision = 2  # with `disambiguate: true`, the semantic IDs of items that differ in that token alone
    search_space: ClassVar[SearchSpace] = {
        "temperature": LogUniform(0.02, 0.2),
        "tokenizer.codebooks": Choice((64,) * 8, (64,) * 16, (256,) * 16, (256,) * 32),
    }
    summary = "predicts all digits of a long semantic ID at once, and scores every item by its digits"
    group = "semantic ID"
    paper = "Hou et al., KDD"
    year = 2025
    fidelity: ClassVar[tuple[Mechanism, ...]] = (
        Mechanism(
            "an event is the mean of its item's digit embeddings: one position an item",
            "faithful",
            "section 2.2; official code, model.py, `RPG.forward`",
            test=_TESTS + "test_hidden_states_are_those_of_gpt2_over_means_of_digits",
        ),
        Mechanism(
            "a residual SiLU head for each digit, cosine logits over a temperature, tables shared with the input",
            "faithful",
            "official code, model.py, `ResBlock` and `RPG.forward`",
            test=_TESTS + "test_an_items_score_is_the_mean_log_probability_of_its_digits",
        ),
        Mechanism(
            "multi-token prediction loss: the mean cross-entropy over digits, at every position",
            "faithful",
            "section 2.2; official code, model.py",
            test=_TESTS + "test_the_loss_is_the_mean_over_targets_and_digits",
        ),
        Mechanism(
            "graph-constrained decoding",
            "approximated",
            "section 2.3; official code, `graph_propagation` and `generate`",
            "every item is scored, as `generate` does without a graph: what a walk along the graph approximates",
            test=_TESTS + "test_lists_hold_k_items_that_exist_and_the_semantic_ids_of_the_best_first",
        ),
        Mechanism(
            "GPT-2 as the backbone, weights of deviation 0.02",
            "faithful",
            "official code, config.yaml",
            test=_TESTS + "test_hidden_states_are_those_of_gpt2_over_means_of_digits",
        ),
        Mechanism(
            "sizes",
            "approximated",
            "official code, config.yaml and README",
            "d 128, feed-forward 256, dropout 0.3, length 100, 16 digits of 64, temperature 0.07 by default; there "
            "448, 1024, 0.5, 50, 16 to 64 digits of 256, and 0.03 in the commands of the README; 2 blocks and 4 heads, "
            "as there",
        ),
        features_line(
            "section 3.1; official code, config.yaml",
            "text-embedding-3-large encodes the metadata of an item in 3,072 dimensions, PCA whitens them to 512",
            RPGConfig().tokenizer,
        ),
        Mechanism(
            "quantizer behind the semantic IDs: optimised product quantisation",
            "approximated",
            "section 2.1; official code, tokenizer.py",
            "of whitened features as there; 20 turns of the rotation, in faiss 50; all items count, there those "
            "of training",
            test="tests/models/semantic_ids/test_opq.py::test_codes_are_the_nearest_centres_of_the_parts_of_whitened_and_"
            "rotated_features",
        ),
        optimiser_line(
            "official code, default.yaml and trainer.py",
            "AdamW at 0.003 to 0.01 after 10,000 steps of warm-up and then along a cosine to 0, no decay, gradients "
            "clipped at 1, 256 sequences a step, up to 150 epochs, the best by NDCG@10 with a patience of 20",
            RPGConfig().training,
        ),
    )

    def fit(self, train: TrainingData, context: FitContext) -> None:
        self._ids = tokenize(train, self.config.tokenizer, context.cache, context.shared_seed)
        record_health(self._ids, self.config.tokenizer, context)
        self.sid_of_item = self._ids.sid_of_item
        self._by_popularity = np.argsort(-train.interactions.item_counts(), kind="stable").astype(np.int32)
        super().fit(train, context)

    def build(self, train: TrainingData) -> NextItemNetwork:
        return RPGNetwork(self._ids, self.config)

    def target_loss(
        self, network: NextItemNetwork, states: Tensor, targets: Tensor, negatives: torch.Generator
    ) -> Tensor:
        assert isinstance(network, RPGNetwork)
        return network.loss(states, targets)

    def catalogue_scores(self, histories: Histories) -> None:
        """Its order is one of semantic IDs."""
        return None

    def ranked(self, scores: NDArray[np.float32], histories: Histories, k: int) -> Recommendations:
        """Items, of which those of one semantic ID tie and the more popular comes first; and semantic IDs."""
        assert self.sid_of_item is not None
        return rank_semantic_ids(scores, self.sid_of_item, self._by_popularity, histories, k)
