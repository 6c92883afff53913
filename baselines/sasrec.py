"""SASRec (Kang & McAuley, ICDM 2018, arXiv 1808.09781): causal self-attention over the last events."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from baselines.next_item import NextItemConfig, NextItemModel, NextItemNetwork
from bench.config import added_field
from bench.data.dataset import TrainingData
from bench.data.interactions import PAD
from bench.recommender import Mechanism
from models.fidelity import optimiser_line
from models.heads import heads_divide
from models.training.loop import TrainingConfig


class SASRecBlocksConfig(NextItemConfig):
    """Configures SASRec's blocks, which other models read with, too, and how they are trained.

    Attributes:
        dim: Width.
        blocks: Transformer blocks.
        heads: Attention heads.
        dropout: Of embeddings, and of what attention and feed-forward layers give.
        attention_dropout: Of attention weights.
    """

    length: int = Field(default=100, ge=1)
    dim: int = Field(default=64, ge=1)
    blocks: int = Field(default=2, ge=1)
    heads: int = Field(default=2, ge=1)
    dropout: float = Field(default=0.4, ge=0, lt=1)
    attention_dropout: float = added_field(0.0, ge=0, lt=1)
    training: TrainingConfig = TrainingConfig(epochs=40, batch_events=1024, learning_rate=2e-3, average=0.999)

    @model_validator(mode="after")
    def _heads_of_one_width(self) -> SASRecBlocksConfig:
        heads_divide(self.dim, self.heads)
        return self


class SASRecConfig(SASRecBlocksConfig):
    """Configures SASRec: its blocks, and the vectors that they read.

    Attributes:
        item_dropout: Of item vectors, of those that are read and of those that states are compared with.
        positions: Whether positions are counted from the first event of a window or from its last one. Counted from the
            last one they say how long ago an event was when a query is answered, where it stands last; in training they
            tell a state how many events of its window are still to come.
    """

    item_dropout: float = added_field(0.0, ge=0, lt=1)
    positions: Literal["first", "last"] = added_field("first")


class SASRecBCEConfig(SASRecConfig):
    """Configures SASRec with the paper's loss, which learns less from an epoch and needs more of them."""

    loss: Literal["ce", "bce", "sampled"] = "bce"
    dropout: float = Field(default=0.2, ge=0, lt=1)
    training: TrainingConfig = TrainingConfig(epochs=60, batch_events=1024, learning_rate=4e-3, average=0.999)


class SASRecNetwork(NextItemNetwork):
    """Pre-norm transformer with learned positions; the item table is tied to the output."""

    def __init__(self, n_items: int, config: SASRecConfig) -> None:
        super().__init__()
        self.items = nn.Embedding(n_items, config.dim)
        self.positions = nn.Embedding(config.length, config.dim)
        for table in (self.items, self.positions):
            nn.init.normal_(table.weight, std=1 / math.sqrt(config.dim))
        self.from_last = config.positions == "last"
        self.item_dropout = nn.Dropout(config.item_dropout)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(SASRecBlock(config) for _ in range(config.blocks))
        self.norm: nn.Module = nn.LayerNorm(config.dim)

    def forward(self, items: Tensor, timestamps: Tensor) -> Tensor:
        return self.encode(self.item_dropout(self.items(items.clamp(min=0))), items != PAD)

    def encode(self, tokens: Tensor, present: Tensor) -> Tensor:
        """Hidden states of tokens float32 `[batch, length, d]` that are `present` (bool `[batch, length]`)."""
        hidden = self.dropout(tokens + self._places(present)) * present.unsqueeze(-1)
        for block in self.blocks:
            hidden = block(hidden)
        return self.norm(hidden)

    def _places(self, present: Tensor) -> Tensor:
        """Vectors of the positions of tokens, which broadcast to `[batch, length, d]`."""
        length = present.shape[1]
        if not self.from_last:
            return self.positions.weight[:length]
        place = torch.arange(length, device=present.device)
        return self.positions((present.sum(1, keepdim=True) - 1 - place).clamp(min=0))

    def compared(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        return hidden, self.item_dropout(self.items.weight)


class SASRecBlock(nn.Module):
    """Causal multi-head attention and a point-wise feed-forward layer, each with a residual connection.

    Padding needs no mask of its own: histories are left-aligned, so a causal mask hides what comes after.
    """

    def __init__(self, config: SASRecBlocksConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.dropout, self.attention_dropout = config.dropout, config.attention_dropout
        self.attention_norm = nn.LayerNorm(config.dim)
        self.qkv = nn.Linear(config.dim, 3 * config.dim)
        self.out = nn.Linear(config.dim, config.dim)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(config.dim),
            nn.Linear(config.dim, config.dim),
            nn.ReLU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.dim, config.dim),
            nn.Dropout(config.dropout),
        )

    def forward(self, hidden: Tensor) -> Tensor:
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in self.qkv(self.attention_norm(hidden)).chunk(3, -1)
        )
        dropped = self.attention_dropout if self.training else 0.0
        attended = F.scaled_dot_product_attention(query, key, value, dropout_p=dropped, is_causal=True)
        hidden = hidden + F.dropout(self.out(attended.transpose(1, 2).flatten(-2)), self.dropout, self.training)
        return hidden + self.feed_forward(hidden)


TRAINING = "Adam, rate 0.001, beta2 0.98, no decay, 128 sequences a step, 201 epochs"
"""How the official code trains."""

LOSS_OVER_THE_CATALOGUE = Mechanism(
    "loss at every position",
    "approximated",
    "eq. 7",
    "cross-entropy over the whole catalogue, since one negative per target is known to under-train; `sasrec-bce` has "
    "the paper's",
    test="tests/baselines/test_next_item.py::test_cross_entropy_is_the_mean_over_targets_without_padding",
)
LOSS_OF_THE_PAPER = Mechanism(
    "loss at every position: binary cross-entropy with one negative per target",
    "approximated",
    "eq. 7",
    "the negative is any item but the target, where the paper leaves out all items of the user's sequence; the mean "
    "over targets and negatives, half of the paper's sum over both",
    test="tests/baselines/test_next_item.py::test_binary_cross_entropy_has_one_drawn_negative_per_target",
)


class SASRec(NextItemModel):
    """Recommends by SASRec with cross-entropy over the catalogue: the registered name `sasrec-ce`."""

    Config = SASRecConfig
    config: SASRecConfig
    recordable = True
    summary = "causal self-attention over item ids, cross-entropy over the catalogue"
    group = "sequence"
    paper = "Kang & McAuley, ICDM"
    year = 2018
    fidelity: ClassVar[tuple[Mechanism, ...]] = (
        Mechanism(
            "causal self-attention blocks with learned positions",
            "approximated",
            "section 3.1 to 3.3; official code, modules.py",
            "two heads and not one, joined by a linear layer that the paper lacks; item embeddings are not multiplied "
            "by sqrt(d) before positions join them",
            test="tests/baselines/test_sasrec.py::test_hidden_states_are_those_of_the_equations",
        ),
        Mechanism(
            "item table shared with the output",
            "faithful",
            "eq. 6",
            test="tests/baselines/test_sasrec.py::test_items_are_scored_by_the_table_that_reads_them",
        ),
        LOSS_OVER_THE_CATALOGUE,
        Mechanism(
            "layer normalisation",
            "approximated",
            "section 3.2; official code, modules.py and model.py",
            "before every sub-layer and its query, key and value alike; in the official code keys and values are not "
            "normalised, and a sub-layer adds to its normalised input. Epsilon 1e-5, there 1e-8",
            test="tests/baselines/test_sasrec.py::test_hidden_states_are_those_of_the_equations",
        ),
        Mechanism(
            "attention dropout",
            "omitted",
            "section 3.2",
            "none by default (`attention_dropout`): dropout of embeddings and sub-layer outputs does its work",
        ),
        Mechanism(
            "sizes and initial weights",
            "approximated",
            "official code, main.py and modules.py",
            "d 64 and not 50, length 100 and not 50 or 200, dropout as tuned here; items and positions of deviation "
            "1/sqrt(d), other weights as PyTorch draws them, there all Glorot-uniform",
            test="tests/baselines/test_sasrec.py::test_initial_tables_are_those_that_the_card_names",
        ),
        optimiser_line("official code, main.py and model.py", TRAINING, SASRecConfig().training),
    )

    def build(self, train: TrainingData) -> NextItemNetwork:
        return SASRecNetwork(train.n_items, self.config)


class SASRecBCE(SASRec):
    """Recommends by SASRec with the paper's binary cross-entropy: the registered name `sasrec-bce`."""

    Config = SASRecBCEConfig
    summary = "causal self-attention over item ids, the paper's binary cross-entropy with one negative per target"
    fidelity = (
        *(LOSS_OF_THE_PAPER if part is LOSS_OVER_THE_CATALOGUE else part for part in SASRec.fidelity[:-1]),
        optimiser_line("official code, main.py and model.py", TRAINING, SASRecBCEConfig().training),
    )
