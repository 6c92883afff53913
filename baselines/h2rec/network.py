"""The network of H2Rec: codes fused by level, hash IDs that read by codes, and one SASRec backbone for both."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import Field, model_validator
from threadpoolctl import threadpool_limits
from torch import Tensor, nn

from baselines.h2rec.alignment import alignment_loss, common_prefix, lightest_half
from baselines.next_item import NextItemNetwork
from baselines.sasrec import SASRecBlock, SASRecBlocksConfig
from bench.data.interactions import PAD
from models.generation.causal_transformer import CodeEmbedding
from models.semantic_ids.semantic_ids import SemanticIds
from models.semantic_ids.tokenizer import TokenizerConfig
from models.training.windows import WindowBatch

COARSE_TO_FINE = (1.0, 0.2)
"""What the logits of the level weights begin with at the first and at the last level (official code)."""


class H2RecConfig(SASRecBlocksConfig):
    """Configures H2Rec; without the SID branch it is `sasrec-ce`.

    Attributes:
        sid_branch: Whether items are read and scored by their codes. Without it there are no alignments.
        hash_branch: Whether items are read and scored by their ids. Without it there is no item-level alignment.
        item_alignment: Weight of the code-guided item-level alignment; 0 leaves it out.
        user_alignment: Weight of the masked-sequence user-level alignment; 0 leaves it out.
        temperature: Of both alignments.
        hash_init: What the vectors of hash IDs begin as: principal components of the item features behind the semantic
            IDs ("features"; in the official code, of text embeddings), or draws ("random", as in `sasrec-ce`).
        tokenizer: How items become semantic IDs. Items may share one, since the hash ID tells them apart.
    """

    sid_branch: bool = True
    hash_branch: bool = True
    item_alignment: float = Field(default=0.1, ge=0)
    user_alignment: float = Field(default=0.1, ge=0)
    temperature: float = Field(default=0.5, gt=0)
    hash_init: Literal["features", "random"] = "features"
    tokenizer: TokenizerConfig = TokenizerConfig(disambiguate=False)

    @model_validator(mode="after")
    def _fits_together(self) -> H2RecConfig:
        if not (self.sid_branch or self.hash_branch):
            raise ValueError("sid_branch and hash_branch are both off: leave one of them on")
        return self


class GranularityFusion(nn.Module):
    """Gives each item a vector per level and the weights that fuse them into one.

    Args:
        ids: Semantic IDs.
        dim: Width.
        gated: Whether an item's hash vector decides how much each of its levels counts; else the weights are the same
            for all items.
    """

    codes: Tensor
    prior: Tensor

    def __init__(self, ids: SemanticIds, dim: int, gated: bool) -> None:
        super().__init__()
        self.register_buffer("codes", torch.from_numpy(ids.codes), persistent=False)
        self.register_buffer("prior", torch.linspace(*COARSE_TO_FINE, ids.levels), persistent=False)
        self.embedding = CodeEmbedding(ids.codebook_sizes, dim)
        self.gate = nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, ids.levels)) if gated else None
        self.shared = None if gated else nn.Parameter(torch.zeros(ids.levels))

    def levels(self, items: Tensor) -> Tensor:
        """Looks up code vectors `[..., levels, dim]` of items int64 `[...]`."""
        codes = self.codes[items]
        return torch.stack([self.embedding.code(level, codes[..., level]) for level in range(codes.shape[-1])], dim=-2)

    def weights(self, items: Tensor, hashed: nn.Embedding | None) -> Tensor:
        """Weighs the levels, `[..., levels]` with sum 1, of items int64 `[...]`.

        Args:
            items: The items.
            hashed: The table of hash vectors; looked at if the weights are gated.
        """
        if self.gate is not None and hashed is not None:
            return (self.prior + self.gate(hashed(items))).softmax(-1)
        assert self.shared is not None
        return (self.prior + self.shared).softmax(-1).expand(*items.shape, -1)


class LevelAttention(nn.Module):
    """Cross-attention by which the codes of one level read the hash vectors of the events so far."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(dim, dim, bias=False)
        self.key_value = nn.Linear(dim, 2 * dim, bias=False)
        self.out = nn.Linear(dim, dim)
        # Nothing is injected at first: the hash branch begins as SASRec.
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, level: Tensor, hashed: Tensor) -> Tensor:
        """What each event reads, `[batch, length, dim]`, of code vectors and hash vectors of that shape."""
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in (self.query(level), *self.key_value(hashed).chunk(2, -1))
        )
        read = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        return self.out(read.transpose(1, 2).flatten(-2))


class H2RecNetwork(NextItemNetwork):
    """Reads each history twice with one SASRec backbone: as hash IDs and as semantic IDs.

    Hidden states are those of the two branches side by side, and so are the item vectors that they are compared with.
    The parameters of the hash branch have SASRec's names and are drawn in its order.

    Args:
        n_items: Size of the catalogue.
        ids: Its semantic IDs; None without the SID branch.
        config: Configuration.
        features: Item features float32 `[n_items, dims]`, of which hash vectors begin as principal components; None
            where they are drawn.
    """

    def __init__(
        self,
        n_items: int,
        ids: SemanticIds | None,
        config: H2RecConfig,
        features: NDArray[np.float32] | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.items = nn.Embedding(n_items, config.dim) if config.hash_branch else None
        self.positions = nn.Embedding(config.length, config.dim)
        for table in (self.items, self.positions):
            if table is not None:
                nn.init.normal_(table.weight, std=1 / math.sqrt(config.dim))
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(SASRecBlock(config) for _ in range(config.blocks))
        self.norm = nn.LayerNorm(config.dim)
        self.semantic: GranularityFusion | None = None
        self.injection: nn.ModuleList | None = None
        self.mask: nn.Parameter | None = None
        if ids is not None:
            self.semantic = GranularityFusion(ids, config.dim, gated=config.hash_branch)
            if config.hash_branch:
                self.injection = nn.ModuleList(LevelAttention(config.dim, config.heads) for _ in range(ids.levels))
            if config.user_alignment:
                self.mask = nn.Parameter(torch.randn(ids.levels, config.dim) / math.sqrt(config.dim))
        if self.items is not None and features is not None:
            components = torch.from_numpy(principal_components(features, config.dim))
            self.items.weight.data[:, : components.shape[1]] = components

    def forward(self, items: Tensor, timestamps: Tensor) -> Tensor:
        """Hidden states `[batch, length, branches * dim]`, the hash branch first."""
        rows, filled = items.clamp(min=0), (items != PAD).unsqueeze(-1)
        branches = []
        if self.items is not None:
            hashed = self._placed(self.items(rows), filled)
            if self.semantic is not None:
                hashed = hashed + self._injected(self.semantic, rows, hashed)
            branches.append(self._encode(hashed))
        if self.semantic is not None:
            branches.append(self._encode(self._placed(self.semantic_items(rows), filled)))
        return torch.cat(branches, dim=-1)

    def compared(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        tables = [] if self.items is None else [self.items.weight]
        if self.semantic is not None:
            tables.append(self.semantic_items(torch.arange(self.semantic.codes.shape[0], device=hidden.device)))
        return hidden, torch.cat(tables, dim=-1)

    def semantic_items(self, items: Tensor) -> Tensor:
        """Fuses code vectors into one, `[..., dim]`, for items int64 `[...]`."""
        assert self.semantic is not None
        return _fused(self.semantic.levels(items), self.semantic.weights(items, self.items))

    def auxiliary_losses(self, batch: WindowBatch, hidden: Tensor) -> Iterator[Tensor]:
        """Yields the weighted alignments that the configuration leaves in."""
        config = self.config
        if config.sid_branch and config.hash_branch and config.item_alignment:
            targets = batch.targets[batch.targets != PAD].unique()
            yield config.item_alignment * self.item_alignment(targets, config.temperature)
        if config.sid_branch and config.user_alignment:
            yield config.user_alignment * self.user_alignment(batch, hidden, config.temperature)

    def item_alignment(self, items: Tensor, temperature: float) -> Tensor:
        """Draws hash vectors and fused code vectors of the same item, or of items with common codes, together.

        Args:
            items: int64 `[n]`, distinct.
            temperature: Of the similarities.
        """
        assert self.items is not None
        assert self.semantic is not None
        positives = common_prefix(self.semantic.codes[items])
        return alignment_loss(self.items(items), self.semantic_items(items), positives, temperature)

    def user_alignment(self, batch: WindowBatch, hidden: Tensor, temperature: float) -> Tensor:
        """Draws what the SID branch makes of a window and of its masked version together, against other users.

        In the masked version a learned vector stands in the place of all codes of the half of the levels that weigh
        least in the window.

        Args:
            batch: Windows.
            hidden: What `forward` made of them.
            temperature: Of the similarities.
        """
        assert self.semantic is not None
        assert self.mask is not None
        rows, filled = batch.items.clamp(min=0), (batch.items != PAD).unsqueeze(-1)
        levels, weights = self.semantic.levels(rows), self.semantic.weights(rows, self.items)
        masked = lightest_half((weights * filled).sum(1))[:, None, :, None]
        masked_view = self._encode(self._placed(_fused(torch.where(masked, self.mask, levels), weights), filled))
        window = torch.arange(len(rows), device=rows.device)
        last = filled.sum((1, 2)) - 1
        dim = masked_view.shape[-1]
        same_user = (batch.users.unsqueeze(1) == batch.users).float()
        return alignment_loss(masked_view[window, last], hidden[window, last, -dim:], same_user, temperature)

    def _injected(self, semantic: GranularityFusion, rows: Tensor, hashed: Tensor) -> Tensor:
        assert self.injection is not None
        placed = semantic.levels(rows) + self.positions.weight[: rows.shape[1], None]
        read = [attention(placed[:, :, level], hashed) for level, attention in enumerate(self.injection)]
        return _fused(torch.stack(read, dim=-2), semantic.weights(rows, self.items))

    def _placed(self, embedded: Tensor, filled: Tensor) -> Tensor:
        return self.dropout(embedded + self.positions.weight[: embedded.shape[1]]) * filled

    def _encode(self, hidden: Tensor) -> Tensor:
        for block in self.blocks:
            hidden = block(hidden)
        return self.norm(hidden)


def principal_components(features: NDArray[np.float32], dims: int) -> NDArray[np.float32]:
    """Computes the coordinates of all items on the leading principal axes, as scikit-learn's `PCA.fit_transform`.

    Neither whitened nor scaled, as in the official code (data/pca.ipynb, README step 5). The axes come from the
    covariance, so that a catalogue of millions needs no second decomposition of its size.

    Args:
        features: float32 `[n_items, n]`.
        dims: Most axes.

    Returns:
        float32 `[n_items, min(dims, n, n_items)]`; the entry of largest magnitude of each axis is positive.
    """
    # The order of sums in BLAS depends on its number of threads, and with it the last bits of the result.
    with threadpool_limits(limits=1, user_api="blas"):
        centred = features - features.mean(axis=0, dtype=np.float64)
        axes = np.linalg.eigh(centred.T @ centred)[1][:, ::-1][:, : min(dims, len(features))]
        axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
        components: NDArray[np.float64] = centred @ axes
    return components.astype(np.float32)


def _fused(levels: Tensor, weights: Tensor) -> Tensor:
    """Weighted sum `[..., dim]` of what levels say, `[..., levels, dim]`, by weights `[..., levels]`."""
    return (weights.unsqueeze(-1) * levels).sum(-2)
