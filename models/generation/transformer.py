"""What both encoder-decoders are made of: attention and encoder layers, and what a decoder keeps between its steps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar, cast

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from bench.config import Config
from models.generation.attention import KeyValue, attend
from models.generation.lean_attention import BiasInParts
from models.generation.residual import Residual, RMSNorm
from models.heads import heads_divide

Layer = TypeVar("Layer", bound=nn.Module, covariant=True)


class Seq2SeqConfig(Config):
    """Size of the encoder-decoder.

    Attributes:
        dim: Width.
        encoder_layers, decoder_layers: Layers.
        heads: Attention heads; must divide `dim`.
        feed_forward: Inner width of the feed-forward layers.
        dropout: Of embeddings and sub-layer outputs.
    """

    dim: int = Field(default=96, ge=1)
    encoder_layers: int = Field(default=2, ge=1)
    decoder_layers: int = Field(default=2, ge=1)
    heads: int = Field(default=4, ge=1)
    feed_forward: int = Field(default=192, ge=1)
    dropout: float = Field(default=0.2, ge=0, lt=1)

    @model_validator(mode="after")
    def _heads_divide_dim(self) -> Seq2SeqConfig:
        heads_divide(self.dim, self.heads)
        return self


class Layers(nn.ModuleList, Generic[Layer]):
    """A `ModuleList` that says of which type its modules are, so that their own attributes are known."""

    def __iter__(self) -> Iterator[Layer]:
        return cast(Iterator[Layer], super().__iter__())


class MultiHeadAttention(nn.Module, ABC):
    """Multi-head attention whose keys and values can be prepared once and used by many queries.

    Attributes:
        heads: Number of heads.
        query, out: Projections; those of keys and values belong to `prepare`.
        scale: Of the scores; None divides them by the square root of a head's width.
        dropout: Of the attention weights, in training.
    """

    heads: int
    query: nn.Linear
    out: nn.Linear
    scale: float | None = None
    dropout = 0.0

    @abstractmethod
    def prepare(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values `[..., heads, m, head_dim]` of `memory` `[..., m, dim]`."""

    def forward(self, hidden: Tensor, key_value: KeyValue, bias: Tensor | BiasInParts | None = None) -> Tensor:
        """Attends from `hidden` `[..., q, dim]` to prepared keys and values.

        Args:
            hidden: Queries.
            key_value: From `prepare`.
            bias: Added to the scores, broadcast to `[..., heads, q, m]`; -inf hides. A query must see something.

        Returns:
            `[..., q, dim]`.
        """
        query = self._split(self.query(hidden))
        attended = attend(query, key_value, bias, self.dropout if self.training else 0.0, self.scale)
        return self.out(attended.transpose(-2, -3).flatten(-2))

    def _split(self, states: Tensor) -> Tensor:
        return states.unflatten(-1, (self.heads, -1)).transpose(-2, -3)


class EncoderLayer(nn.Module):
    """Self-attention and feed-forward, RMS-normalised before, residual after.

    Args:
        config: Size.
        attention, feed_forward: The sub-layers.
        epsilon: Of the normalisation; None takes PyTorch's.
    """

    def __init__(
        self,
        config: Seq2SeqConfig,
        attention: MultiHeadAttention,
        feed_forward: nn.Module,
        epsilon: float | None = None,
    ) -> None:
        super().__init__()
        self.attention_norm = RMSNorm(config.dim, eps=epsilon)
        self.attention = attention
        self.feed_forward_norm = RMSNorm(config.dim, eps=epsilon)
        self.feed_forward = feed_forward
        self.dropout = Residual(config.dropout)

    def forward(self, hidden: Tensor, bias: Tensor | BiasInParts) -> Tensor:
        normed = self.attention_norm(hidden)
        attended = self.attention(normed, self.attention.prepare(normed), bias)
        hidden, normed = self.dropout.normalised_sum(hidden, attended, self.feed_forward_norm)
        return self.dropout.sum(hidden, self.feed_forward(normed))


@dataclass
class Memory:
    """What the decoder reads of one batch, prepared once per layer.

    Attributes:
        key_values: Keys and values of the encoder's output, one pair per decoder layer.
        bias: `[batch or 1, heads, positions, m]`, relative bias and mask of each target position's cross-attention.
    """

    key_values: list[tuple[Tensor, Tensor]]
    bias: Tensor


@dataclass
class DecoderCache:
    """Keys and values of the codes generated so far, one pair per layer: `[batch, beams, heads, level, head_dim]`."""

    key_values: list[tuple[Tensor, Tensor]] = field(default_factory=list)

    def reorder(self, parents: Tensor) -> None:
        """Lets beam `j` of every query continue beam `parents[:, j]` (int64 `[batch, beams]`)."""
        row = torch.arange(len(parents), device=parents.device)[:, None]
        self.key_values = [(key[row, parents], value[row, parents]) for key, value in self.key_values]


def continued(own: tuple[Tensor, Tensor] | None, new: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Appends the keys and values `[..., tokens, head_dim]` of new tokens to those of earlier ones, if any."""
    if own is None:
        return new
    return torch.cat([own[0], new[0]], dim=-2), torch.cat([own[1], new[1]], dim=-2)
