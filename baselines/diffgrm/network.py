"""The network of DiffGRM: an encoder of the history, and a decoder that reads known digits and guesses masked ones.

Source: liuzhao09/DiffGRM at commit ad7b971, `genrec/models/DIFF_GRM/model.py`.
"""

from __future__ import annotations

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.diffgrm.partial_ids import MASK
from bench.data.interactions import PAD
from models.semantic_ids.semantic_ids import SemanticIds

INITIAL_STD = 0.02
"""`DIFF_GRM._init_weights`, of every matrix and table; biases are 0."""

NORM_EPS = 1e-5
"""`norm_eps` in config.yaml."""


class NetworkSizes(Protocol):
    """What the network is made by; see `DiffGRMConfig`."""

    short_term: int
    dim: int
    heads: int
    feed_forward: int
    encoder_layers: int
    decoder_layers: int
    dropout: float
    label_smoothing: float


class Attention(nn.Module):
    """Attention to the sequence itself or to another one, by one matrix for queries, keys and values, no bias."""

    def __init__(self, sizes: NetworkSizes) -> None:
        super().__init__()
        self.heads = sizes.heads
        self.qkv = nn.Linear(sizes.dim, 3 * sizes.dim, bias=False)
        self.out = nn.Linear(sizes.dim, sizes.dim)
        self.dropout = nn.Dropout(sizes.dropout)

    def forward(self, states: Tensor, read: Tensor, visible: Tensor | None = None) -> Tensor:
        """What states float32 `[..., n, dim]` attend to in `read` `[..., m, dim]`.

        Args:
            states: Those who read.
            read: What is read.
            visible: bool, broadcast to `[..., heads, n, m]`; None: all.
        """
        dim = states.shape[-1]
        query = F.linear(states, self.qkv.weight[:dim])
        key, value = F.linear(read, self.qkv.weight[dim:]).chunk(2, dim=-1)
        query, key, value = (part.unflatten(-1, (self.heads, -1)).transpose(-2, -3) for part in (query, key, value))
        dropout = self.dropout.p if self.training else 0.0
        attended = F.scaled_dot_product_attention(query, key, value, visible, dropout_p=dropout)
        return self.dropout(self.out(attended.transpose(-2, -3).flatten(-2)))


class FeedForward(nn.Module):
    """Two linear layers with a GELU between them."""

    def __init__(self, sizes: NetworkSizes) -> None:
        super().__init__()
        self.inner = nn.Linear(sizes.dim, sizes.feed_forward)
        self.outer = nn.Linear(sizes.feed_forward, sizes.dim)
        self.dropout = nn.Dropout(sizes.dropout)

    def forward(self, states: Tensor) -> Tensor:
        return self.dropout(self.outer(F.gelu(self.inner(states))))


class EncoderLayer(nn.Module):
    """Pre-norm self-attention and a feed-forward layer."""

    def __init__(self, sizes: NetworkSizes) -> None:
        super().__init__()
        self.attention, self.feed_forward = Attention(sizes), FeedForward(sizes)
        self.attention_norm, self.feed_forward_norm = (nn.LayerNorm(sizes.dim, eps=NORM_EPS) for _ in range(2))

    def forward(self, states: Tensor, visible: Tensor) -> Tensor:
        normed = self.attention_norm(states)
        states = states + self.attention(normed, normed, visible)
        return states + self.feed_forward(self.feed_forward_norm(states))


class DecoderLayer(nn.Module):
    """Pre-norm attention among the digits of one target, attention to the history, and a feed-forward layer."""

    def __init__(self, sizes: NetworkSizes) -> None:
        super().__init__()
        self.among_digits, self.to_history = Attention(sizes), Attention(sizes)
        self.feed_forward = FeedForward(sizes)
        self.digits_norm, self.history_norm, self.feed_forward_norm = (
            nn.LayerNorm(sizes.dim, eps=NORM_EPS) for _ in range(3)
        )

    def forward(self, states: Tensor, memory: Tensor) -> Tensor:
        """One layer for digits float32 `[batch, views, digits, dim]` that read `memory` `[batch, n, dim]`."""
        normed = self.digits_norm(states)
        states = states + self.among_digits(normed, normed)
        read = self.to_history(self.history_norm(states).flatten(1, 2), memory)
        states = states + read.view_as(states)
        return states + self.feed_forward(self.feed_forward_norm(states))


class DiffGRMNetwork(nn.Module):
    """Guesses the masked digits of the next item from the history and the digits that are known.

    Args:
        ids: Semantic IDs; every level is a digit.
        sizes: Sizes, dropout, label smoothing.
    """

    codes: Tensor
    offsets: Tensor

    def __init__(self, ids: SemanticIds, sizes: NetworkSizes) -> None:
        super().__init__()
        dim, self.sizes = sizes.dim, list(ids.codebook_sizes)
        self.label_smoothing = sizes.label_smoothing
        self.register_buffer("codes", torch.from_numpy(ids.codes), persistent=False)
        offsets = torch.tensor([0, *self.sizes[:-1]]).cumsum(0)
        self.register_buffer("offsets", offsets, persistent=False)
        self.embedding = nn.Embedding(sum(self.sizes), dim)
        self.item = nn.Sequential(nn.Linear(ids.levels * dim, dim), nn.ReLU(), nn.Linear(dim, dim))
        self.masks = nn.Embedding(ids.levels, dim)
        self.positions = nn.Embedding(sizes.short_term, dim)
        self.encoder = nn.ModuleList(EncoderLayer(sizes) for _ in range(sizes.encoder_layers))
        self.decoder = nn.ModuleList(DecoderLayer(sizes) for _ in range(sizes.decoder_layers))
        self.norm = nn.LayerNorm(dim, eps=NORM_EPS)
        self.dropout = nn.Dropout(sizes.dropout)
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Embedding)):
                nn.init.normal_(module.weight, std=INITIAL_STD)
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)

    def encode(self, items: Tensor) -> Tensor:
        """One state an event, float32 `[batch, short_term, dim]`, for the decoder to read.

        Padding is 0 there and not hidden, as in the source: the shorter a history, the more a digit reads of nothing.

        Args:
            items: int64 `[batch, short_term]`, recent events, left-aligned and padded with `PAD`.
        """
        present = items != PAD
        digits = self.embedding(self.codes[items.clamp(min=0)] + self.offsets)
        states = self.dropout(self.item(digits.flatten(-2)) + self.positions.weight[: items.shape[1]])
        # Who has no event attends to padding, whatever it holds: all of it becomes 0.
        visible = (present | ~present.any(1, keepdim=True))[:, None, None, :]
        for layer in self.encoder:
            states = layer(states, visible)
        return self.norm(states) * present.unsqueeze(-1)

    def decode(self, memory: Tensor, codes: Tensor) -> Tensor:
        """States of all digits, float32 `[batch, views, digits, dim]`.

        Args:
            memory: From `encode`; all views of a row read the same.
            codes: int64 `[batch, views, digits]`, `MASK` where a digit is to be guessed.
        """
        known = self.embedding((codes + self.offsets).clamp(min=0))
        states = self.dropout(torch.where((codes == MASK).unsqueeze(-1), self.masks.weight, known))
        for layer in self.decoder:
            states = layer(states, memory)
        return self.norm(states)

    def logits(self, states: Tensor) -> list[Tensor]:
        """Per digit float32 `[..., codes]` for states `[..., digits, dim]`: products with the digit's embeddings."""
        tables = self.embedding.weight.split(self.sizes)
        return [states[..., digit, :] @ table.T for digit, table in enumerate(tables)]

    def log_probs(self, memory: Tensor, codes: Tensor) -> Tensor:
        """Log-probabilities float32 `[batch, views, codes of all digits]`, each digit's summing to 1."""
        return torch.cat([logits.log_softmax(-1) for logits in self.logits(self.decode(memory, codes))], dim=-1)

    @torch.no_grad()
    def hardest_first(self, memory: Tensor) -> Tensor:
        """The digits int64 `[batch, digits]` from the one that the network is least sure of to the surest.

        How sure it is of a digit: the largest probability of its codes while all digits are masked, without dropout.
        """
        was_training = self.training
        self.eval()
        nothing = self.codes.new_full((len(memory), 1, len(self.sizes)), MASK)
        logits = self.logits(self.decode(memory, nothing)[:, 0])
        self.train(was_training)
        sure = torch.stack([digit.softmax(-1).amax(-1) for digit in logits], dim=1)
        return sure.argsort(1)

    def views(self, codes: Tensor, order: Tensor) -> Tensor:
        """Masks the first digit of an order, the first two, and so on to all: int64 `[batch, digits, digits]`.

        Args:
            codes: int64 `[batch, digits]`, of the targets.
            order: int64 `[batch, digits]`, from `hardest_first`.
        """
        place = order.argsort(1)
        view = torch.arange(codes.shape[1], device=codes.device)
        masked = place.unsqueeze(1) <= view.unsqueeze(1)
        return codes.unsqueeze(1).expand(-1, len(view), -1).masked_fill(masked, MASK)

    def loss(self, items: Tensor, targets: Tensor) -> Tensor:
        """Mean cross-entropy (nats, labels smoothed) of the masked digits of all views of the targets.

        Args:
            items: int64 `[batch, short_term]`, see `encode`.
            targets: int64 `[batch]`.
        """
        memory, codes = self.encode(items), self.codes[targets]
        views = self.views(codes, self.hardest_first(memory))
        masked = (views == MASK).float()
        total = memory.new_zeros(())
        for digit, logits in enumerate(self.logits(self.decode(memory, views))):
            wanted = codes[:, digit].repeat_interleave(views.shape[1])
            losses = F.cross_entropy(
                logits.flatten(0, 1), wanted, reduction="none", label_smoothing=self.label_smoothing
            )
            total = total + (losses * masked[..., digit].flatten()).sum()
        return total / masked.sum()
