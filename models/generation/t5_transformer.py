"""A T5-style encoder-decoder (Raffel et al., JMLR 2020): the backbone of TIGER and of the official GLASS code.

What sets it apart from `causal_transformer`: the encoder sees its whole input in both directions, attention scores are
not divided by the square root of the head's width, the inner width of attention is free of the model's, distances fall
into logarithmic buckets whose biases the first layer learns for its whole stack, and cross-attention knows no distance.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from models.generation.lean_attention import BiasInParts
from models.generation.residual import Residual, RMSNorm, relu_and_dropout
from models.generation.transformer import (
    DecoderCache,
    EncoderLayer,
    Layers,
    Memory,
    MultiHeadAttention,
    Seq2SeqConfig,
    continued,
)

_EPSILON = 1e-6

ALIGNMENT = 8
"""A GPU's encoder fills sequences up to a multiple of so many tokens."""


class T5Config(Seq2SeqConfig):
    """Size of a T5-style encoder-decoder; the defaults are those of the official GLASS code.

    Attributes:
        head_dim: Width of a head; the inner width of attention is `heads * head_dim`.
        buckets: Buckets of distances, half of them for each direction.
        max_distance: From here on, all distances share a bucket.
    """

    encoder_layers: int = Field(default=4, ge=1)
    decoder_layers: int = Field(default=4, ge=1)
    heads: int = Field(default=6, ge=1)
    head_dim: int = Field(default=32, ge=1)
    feed_forward: int = Field(default=1024, ge=1)
    dropout: float = Field(default=0.1, ge=0, lt=1)
    buckets: int = Field(default=32, ge=4, multiple_of=4)
    max_distance: int = Field(default=128, ge=16)


def distance_bucket(distance: Tensor, buckets: int, max_distance: int) -> Tensor:
    """The bucket of each distance, int64 of the same shape (T5, section 2.1, the two-sided scheme).

    Half of the buckets are for keys at or before the query, half for keys after it. Half of each half is exact; the
    rest widen logarithmically up to `max_distance`.

    Args:
        distance: int64, position of the key minus position of the query.
        buckets: In all.
        max_distance: Distances from here on share the last bucket of their direction.
    """
    side = buckets // 2
    exact = side // 2
    away = distance.abs()
    # In float32 and in this order of operations: where a bucket begins at a power of two, rounding decides.
    octaves = torch.log(away.clamp(min=1).float() / exact) / math.log(max_distance / exact)
    wide = (exact + (octaves * (side - exact)).long()).clamp(max=side - 1)
    return torch.where(away < exact, away, wide) + side * (distance > 0)


class T5RelativeBias(nn.Module):
    """A learned scalar per head and bucket of distances, added to the attention scores of every layer of a stack.

    Args:
        config: Size.
        length: Most tokens of a sequence.
        sharing: So many consecutive tokens share a position: 1, or the tokens of an item where these have no order.
    """

    bucket: Tensor

    def __init__(self, config: T5Config, length: int, sharing: int = 1) -> None:
        super().__init__()
        self.table = nn.Embedding(config.buckets, config.heads)
        position = torch.arange(length) // sharing
        bucket = distance_bucket(position[None, :] - position[:, None], config.buckets, config.max_distance)
        self.register_buffer("bucket", bucket, persistent=False)

    def forward(self, first: int, last: int) -> Tensor:
        """Bias `[heads, last - first, last]` of the queries `first .. last - 1` for the keys before `last`."""
        return self.table(self.bucket[first:last, :last]).movedim(-1, 0)


class T5Attention(MultiHeadAttention):
    """Attention without scaling, of an inner width of its own, with dropout of its weights."""

    scale = 1.0

    def __init__(self, config: T5Config) -> None:
        super().__init__()
        inner = config.heads * config.head_dim
        self.heads = config.heads
        self.dropout = config.dropout
        self.query = nn.Linear(config.dim, inner, bias=False)
        self.key = nn.Linear(config.dim, inner, bias=False)
        self.value = nn.Linear(config.dim, inner, bias=False)
        self.out = nn.Linear(inner, config.dim, bias=False)

    def prepare(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        return self._split(self.key(memory)), self._split(self.value(memory))


class T5FeedForward(nn.Sequential):
    """Two linear layers with a ReLU and dropout between them."""

    def __init__(self, config: T5Config) -> None:
        super().__init__(
            nn.Linear(config.dim, config.feed_forward, bias=False),
            nn.ReLU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.feed_forward, config.dim, bias=False),
        )

    def forward(self, hidden: Tensor) -> Tensor:
        inner, _, dropout, outer = self
        assert isinstance(dropout, nn.Dropout)
        return cast(Tensor, outer(relu_and_dropout(inner(hidden), dropout.p if self.training else 0.0)))


class T5Encoder(nn.Module):
    """Reads a sequence in both directions.

    Args:
        config: Size.
        length: Most tokens of a sequence.
        sharing: See `T5RelativeBias`.
    """

    def __init__(self, config: T5Config, length: int, sharing: int = 1) -> None:
        super().__init__()
        self.bias = T5RelativeBias(config, length + -length % ALIGNMENT, sharing)
        self.layers = nn.ModuleList(
            EncoderLayer(config, T5Attention(config), T5FeedForward(config), _EPSILON)
            for _ in range(config.encoder_layers)
        )
        self.norm = RMSNorm(config.dim, eps=_EPSILON)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, embedded: Tensor, hidden_keys: Tensor) -> Tensor:
        """Encodes.

        Args:
            embedded: float32 `[batch, length, dim]`.
            hidden_keys: float32 `[batch, 1, 1, length]` from `hide`.

        Returns:
            float32 `[batch, length, dim]`; what stands at padding has no meaning.
        """
        length = embedded.shape[1]
        hidden = self.dropout(embedded)
        if hidden.is_cuda:
            # One token more that nothing sees, where it takes rows of scores to a length that tensor cores like.
            missing = -length % ALIGNMENT
            hidden = F.pad(hidden, (0, 0, 0, missing))
            hidden_keys = F.pad(hidden_keys, (0, missing), value=-torch.inf)
        by_place = self.bias(0, hidden.shape[1])
        # The parts of the bias are taken one by one: their sum is as large as the scores of all sequences. A CPU that
        # learns nothing has a fused kernel for the sum.
        in_parts = self.training or hidden.is_cuda
        bias = BiasInParts(by_place, hidden_keys) if in_parts else by_place + hidden_keys
        for layer in self.layers:
            hidden = layer(hidden, bias)
        return self.norm(hidden[:, :length])


def hide(visible: Tensor) -> Tensor:
    """Bias `[batch, 1, 1, m]` that hides all keys but the `visible` ones (bool `[batch, m]`).

    Where nothing is visible nothing is hidden either: attention needs something to read, and reads the padding.
    """
    hidden = ~visible & visible.any(-1, keepdim=True)
    return torch.zeros(visible.shape, device=visible.device).masked_fill(hidden, -torch.inf)[:, None, None, :]


@dataclass
class RetrievedTokens:
    """Tokens retrieved from the long-term history, prepared for one decoder layer.

    Retrieved tokens carry no position, so that a token's key and value are the same wherever it was. Attention to
    a bag of tokens is therefore attention to the whole vocabulary with the logarithm of each token's count as its bias:
    no key is ever copied for a query.

    Attributes:
        key_value: Keys and values of the vocabulary, `[heads, vocabulary, head_dim]`.
        bias: float32 `[batch, beams, vocabulary]`, log of the count of each token; -inf where it wasn't retrieved.
        first_token: The first of the decoder's tokens that may read them: earlier ones don't know the first code yet.
    """

    key_value: tuple[Tensor, Tensor]
    bias: Tensor
    first_token: int


class T5DecoderLayer(nn.Module):
    """Self-attention over a target's codes, cross-attention to its history, feed-forward."""

    def __init__(self, config: T5Config) -> None:
        super().__init__()
        self.self_norm = RMSNorm(config.dim, eps=_EPSILON)
        self.self_attention = T5Attention(config)
        self.cross_norm = RMSNorm(config.dim, eps=_EPSILON)
        self.cross_attention = T5Attention(config)
        self.feed_forward_norm = RMSNorm(config.dim, eps=_EPSILON)
        self.feed_forward = T5FeedForward(config)
        self.dropout = Residual(config.dropout)

    def forward(
        self,
        hidden: Tensor,
        own: tuple[Tensor, Tensor] | None,
        own_bias: Tensor,
        memory: tuple[Tensor, Tensor],
        memory_bias: Tensor,
        retrieved: RetrievedTokens | None,
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """One layer for the tokens of all beams.

        Args:
            hidden: float32 `[batch, beams, tokens, dim]`; in training there is one beam, the target itself.
            own: Keys and values of earlier tokens, None at the first.
            own_bias: `[heads, tokens, tokens so far]`, relative bias and causal mask.
            memory: Prepared encoder output.
            memory_bias: `[batch, 1, 1, m]`, from `hide`.
            retrieved: Prepared retrieved tokens (GLASS).

        Returns:
            Hidden states, and the keys and values of all tokens so far.
        """
        normed = self.self_norm(hidden)
        key, value = continued(own, self.self_attention.prepare(normed))
        attended = self.self_attention(normed, (key, value), own_bias)
        hidden, normed = self.dropout.normalised_sum(hidden, attended, self.cross_norm)
        read = self.read_history(normed, memory, memory_bias, retrieved)
        hidden, normed = self.dropout.normalised_sum(hidden, read, self.feed_forward_norm)
        return self.dropout.sum(hidden, self.feed_forward(normed)), (key, value)

    def read_history(
        self, normed: Tensor, memory: tuple[Tensor, Tensor], memory_bias: Tensor, retrieved: RetrievedTokens | None
    ) -> Tensor:
        """What normalised tokens `[batch, beams, tokens, dim]` read of the history, of the same shape.

        Here that is the encoder's output alone; GLASS adds what was retrieved.
        """
        return self.cross_attention(normed.flatten(1, 2), memory, memory_bias).view_as(normed)


Layer = TypeVar("Layer", bound=T5DecoderLayer, covariant=True)


class T5Decoder(nn.Module, Generic[Layer]):
    """Generates the codes of a target level by level.

    The official GLASS code sorts distances between codes into two-sided buckets, T5 itself into one-sided ones. Up to a
    quarter of `buckets` levels (8 by default) both are exact, and so the same.

    Args:
        config: Size.
        length: Most tokens, the begin token counted.
        layers: One per decoder layer.
    """

    def __init__(self, config: T5Config, length: int, layers: Iterable[Layer]) -> None:
        super().__init__()
        self.bias = T5RelativeBias(config, length)
        self.layers: Layers[Layer] = Layers(layers)
        self.norm = RMSNorm(config.dim, eps=_EPSILON)
        self.dropout = nn.Dropout(config.dropout)

    def read(self, encoded: Tensor, hidden_keys: Tensor) -> Memory:
        """Prepares the encoder's output `[batch, m, dim]`; `hidden_keys` `[batch, 1, 1, m]` comes from `hide`."""
        return Memory([layer.cross_attention.prepare(encoded) for layer in self.layers], hidden_keys)

    def forward(
        self,
        tokens: Tensor,
        memory: Memory,
        retrieved: list[RetrievedTokens] | None,
        cache: DecoderCache | None = None,
    ) -> Tensor:
        """Hidden states for embedded tokens `[batch, beams, tokens, dim]`, continuing what `cache` holds."""
        known = cache.key_values[0][0].shape[-2] if cache and cache.key_values else 0
        total = known + tokens.shape[2]
        ahead = torch.ones(tokens.shape[2], total, dtype=torch.bool, device=tokens.device).triu(known + 1)
        own_bias = self.bias(known, total).masked_fill(ahead, -torch.inf)
        hidden = self.dropout(tokens)
        key_values: list[tuple[Tensor, Tensor]] = []
        for index, layer in enumerate(self.layers):
            own = cache.key_values[index] if cache and cache.key_values else None
            of_layer = None if retrieved is None else retrieved[index]
            hidden, key_value = layer(hidden, own, own_bias, memory.key_values[index], memory.bias, of_layer)
            key_values.append(key_value)
        if cache is not None:
            cache.key_values = key_values
        return self.norm(hidden)
