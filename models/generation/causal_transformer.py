"""The causal encoder-decoder that TIGER, GLASS and DualGR share here.

The encoder is causal with one token per item, so that one pass serves a training target at every position; the
decoder generates the target's codes and looks, through cross-attention, only at the events before it.
`t5_transformer` is the bidirectional one of the official code.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.generation.attention import KeyValue
from models.generation.residual import Residual, RMSNorm
from models.generation.transformer import (
    DecoderCache,
    EncoderLayer,
    Layers,
    Memory,
    MultiHeadAttention,
    Seq2SeqConfig,
    continued,
)


class CodeEmbedding(nn.Module):
    """One embedding table per level, shared by encoder input, decoder input and output (tied)."""

    def __init__(self, codebook_sizes: tuple[int, ...], dim: int) -> None:
        super().__init__()
        self.tables = nn.ParameterList(torch.randn(size, dim) / math.sqrt(dim) for size in codebook_sizes)

    def code(self, level: int, codes: Tensor) -> Tensor:
        """Embeddings `[..., dim]` of codes int64 `[...]` of one level."""
        return F.embedding(codes, self.tables[level])

    def item(self, codes: Tensor) -> Tensor:
        """Embeddings `[..., dim]` of items, the sum over their codes int64 `[..., levels]`."""
        parts = [self.code(level, codes[..., level]) for level in range(len(self.tables))]
        return torch.stack(parts).sum(0)

    def logits(self, level: int, hidden: Tensor) -> Tensor:
        """Scores float32 `[..., codebook_size]` of a level's codes for hidden states `[..., dim]`."""
        return (hidden @ self.tables[level].T).float()


class RelativeBias(nn.Module):
    """A learned scalar per head and distance, added to attention scores; distances beyond the last share it."""

    def __init__(self, heads: int, distances: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(heads, distances))

    def forward(self, distance: Tensor) -> Tensor:
        """Bias `[..., heads, q, k]` for distances int64 `[..., q, k]`; negative distances count as 0."""
        return self.table[:, distance.clamp(0, self.table.shape[1] - 1)].movedim(0, -3)


class Attention(MultiHeadAttention):
    """As wide inside as outside; keys and values in one projection."""

    def __init__(self, config: Seq2SeqConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.query = nn.Linear(config.dim, config.dim, bias=False)
        self.key_value = nn.Linear(config.dim, 2 * config.dim, bias=False)
        self.out = nn.Linear(config.dim, config.dim, bias=False)

    def prepare(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        key, value = self.key_value(memory).chunk(2, -1)
        return self._split(key), self._split(value)


class FeedForward(nn.Sequential):
    """Two linear layers with a ReLU between them."""

    def __init__(self, config: Seq2SeqConfig) -> None:
        super().__init__(
            nn.Linear(config.dim, config.feed_forward, bias=False),
            nn.ReLU(),
            nn.Linear(config.feed_forward, config.dim, bias=False),
        )


class Encoder(nn.Module):
    """A causal transformer over prefix tokens and the short-term history.

    Its input is `[start, prefix tokens ..., events ...]`: the learned start token gives an empty history something
    to be read from, prefix tokens (GLASS's SID-Tier token) are visible to all events.
    """

    def __init__(self, config: Seq2SeqConfig, length: int) -> None:
        super().__init__()
        self.start = nn.Parameter(torch.randn(config.dim) / math.sqrt(config.dim))
        self.bias = RelativeBias(config.heads, length)
        self.layers = nn.ModuleList(
            EncoderLayer(config, Attention(config), FeedForward(config)) for _ in range(config.encoder_layers)
        )
        self.norm = RMSNorm(config.dim)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, events: Tensor, prefix: Tensor | None) -> Tensor:
        """Encodes short-term histories.

        Args:
            events: float32 `[batch, length, dim]`, left-aligned; padding needs no mask, nothing before it sees it.
            prefix: float32 `[batch, n_prefix, dim]` or None.

        Returns:
            float32 `[batch, 1 + n_prefix + length, dim]`.
        """
        parts = [self.start.expand(len(events), 1, -1), *([] if prefix is None else [prefix]), events]
        hidden = self.dropout(torch.cat(parts, dim=1))
        position = torch.arange(hidden.shape[1], device=hidden.device)
        distance = position[:, None] - position[None, :]
        bias = self.bias(distance).masked_fill(distance < 0, -torch.inf)
        for layer in self.layers:
            hidden = layer(hidden, bias)
        return self.norm(hidden)


@dataclass
class Retrieved:
    """Items retrieved from the long-term history, prepared for one decoder layer.

    A search often finds nothing. A CPU does not compute what would be thrown away then, and reads for `some` targets
    only; a GPU reads for all of them, since no shape there may depend on what was found.

    Attributes:
        key_value: Keys and values `[batch, positions, heads, r, head_dim]`, or tables of them; with `some`, those of
            these targets, `[n, heads, r, head_dim]`.
        bias: `[batch, positions, 1 or heads, 1 or n_known, r]`, one row for all tokens or one for each of the last;
            -inf where nothing was retrieved, in all heads and rows alike.
        present: bool `[batch, positions, 1, 1]`, whether anything was retrieved.
        first_token: The first token that may read them: earlier ones don't know the first code yet.
        some: int64 `[n]`, the targets for which something was retrieved, counted position by position. None: all are
            read for.
    """

    key_value: KeyValue
    bias: Tensor
    present: Tensor
    first_token: int
    some: Tensor | None = None

    def of_some(self, states: Tensor) -> Tensor:
        """What belongs to the targets that are read for, `[n, ...]`, of `[batch, positions, ...]`; all of it of all."""
        return states if self.some is None else states.flatten(0, 1).index_select(0, self.some)

    def put_back(self, states: Tensor, others: Tensor) -> Tensor:
        """States of the targets that are read for, `[n, ...]`, among the `others`, `[batch, positions, ...]`."""
        if self.some is None:
            return states
        return others.flatten(0, 1).index_copy(0, self.some, states).view(others.shape)

    def read_by(self, attention: MultiHeadAttention, asking: Tensor) -> Tensor:
        """What the last tokens of the targets that are read for (`of_some`) read through an attention."""
        bias = self.of_some(self.bias[..., -asking.shape[-2] :, :])
        return attention(asking, self.key_value, bias)


class DecoderLayer(nn.Module):
    """Self-attention over a target's codes, cross-attention to its history, feed-forward."""

    def __init__(self, config: Seq2SeqConfig) -> None:
        super().__init__()
        self.self_norm = RMSNorm(config.dim)
        self.self_attention = Attention(config)
        self.cross_norm = RMSNorm(config.dim)
        self.cross_attention = Attention(config)
        self.feed_forward_norm = RMSNorm(config.dim)
        self.feed_forward = FeedForward(config)
        self.dropout = Residual(config.dropout)

    def forward(
        self,
        hidden: Tensor,
        own: tuple[Tensor, Tensor] | None,
        memory: tuple[Tensor, Tensor],
        memory_bias: Tensor,
        retrieved: Retrieved | None,
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """One layer for the tokens of all target positions (training) or beams (generation).

        Args:
            hidden: float32 `[batch, positions, tokens, dim]`.
            own: Keys and values of earlier tokens, None at the first.
            memory: Prepared encoder output.
            memory_bias: `[batch or 1, heads, positions, m]`.
            retrieved: Prepared retrieved items (GLASS).

        Returns:
            Hidden states, and the keys and values of all tokens so far.
        """
        normed = self.self_norm(hidden)
        key, value = continued(own, self.self_attention.prepare(normed))
        tokens, known = hidden.shape[-2], key.shape[-2]
        ahead = torch.ones(tokens, known, dtype=torch.bool, device=hidden.device).triu(known - tokens + 1)
        causal = torch.zeros(tokens, known, device=hidden.device).masked_fill(ahead, -torch.inf)
        attended = self.self_attention(normed, (key, value), causal)
        hidden, normed = self.dropout.normalised_sum(hidden, attended, self.cross_norm)
        read = self.read_history(normed, memory, memory_bias, retrieved)
        hidden, normed = self.dropout.normalised_sum(hidden, read, self.feed_forward_norm)
        return self.dropout.sum(hidden, self.feed_forward(normed)), (key, value)

    def read_history(
        self, normed: Tensor, memory: tuple[Tensor, Tensor], memory_bias: Tensor, retrieved: Retrieved | None
    ) -> Tensor:
        """What normalised tokens `[batch, positions, tokens, dim]` read of the history, of the same shape.

        Here that is the encoder's output alone; GLASS adds what was retrieved, and DualGR has a branch for it.
        """
        bias = memory_bias.unsqueeze(-2).expand(-1, -1, -1, normed.shape[2], -1).flatten(2, 3)
        return self.cross_attention(normed.flatten(1, 2), memory, bias).view_as(normed)


Layer = TypeVar("Layer", bound=DecoderLayer, covariant=True)


class Decoder(nn.Module, Generic[Layer]):
    """Generates the codes of a target level by level.

    Args:
        config: Size.
        length: Distances that the cross-attention tells apart.
        layers: One per decoder layer.
    """

    def __init__(self, config: Seq2SeqConfig, length: int, layers: Iterable[Layer]) -> None:
        super().__init__()
        self.begin = nn.Parameter(torch.randn(config.dim) / math.sqrt(config.dim))
        self.bias = RelativeBias(config.heads, length)
        self.layers: Layers[Layer] = Layers(layers)
        self.norm = RMSNorm(config.dim)
        self.dropout = nn.Dropout(config.dropout)

    def read(self, encoded: Tensor, positions: Tensor) -> Memory:
        """Prepares the encoder's output for the target positions that will look at it.

        Args:
            encoded: float32 `[batch, m, dim]`.
            positions: int64 `[batch or 1, positions]`, the last row of `encoded` that each target may see.
        """
        position = torch.arange(encoded.shape[1], device=encoded.device)
        distance = position[:, None] - position
        # One row for every last position, looked up for the targets: the gradient of so few rows is a fast one.
        row = self.bias(distance).masked_fill(distance < 0, -torch.inf).movedim(0, 1)
        bias = F.embedding(positions, row.flatten(1)).unflatten(-1, row.shape[1:]).transpose(1, 2)
        return Memory([layer.cross_attention.prepare(encoded) for layer in self.layers], bias)

    def forward(
        self,
        tokens: Tensor,
        memory: Memory,
        retrieved: list[Retrieved] | None,
        cache: DecoderCache | None = None,
    ) -> Tensor:
        """Hidden states for embedded tokens `[batch, positions, tokens, dim]`, continuing what `cache` holds."""
        hidden = self.dropout(tokens)
        key_values: list[tuple[Tensor, Tensor]] = []
        for index, layer in enumerate(self.layers):
            own = cache.key_values[index] if cache and cache.key_values else None
            of_layer = None if retrieved is None else retrieved[index]
            hidden, key_value = layer(hidden, own, memory.key_values[index], memory.bias, of_layer)
            key_values.append(key_value)
        if cache is not None:
            cache.key_values = key_values
        return self.norm(hidden)
