"""LRURec (Yue et al., WSDM 2024, arXiv 2310.02367): a linear recurrence in place of attention.

Constants are those of github.com/yueqirex/LRURec at commit e02a559 (model/lru.py, config.py).
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from baselines.next_item import NextItemConfig, NextItemModel, NextItemNetwork
from bench.data.dataset import TrainingData
from bench.recommender import Mechanism
from models.fidelity import optimiser_line
from models.training.loop import TrainingConfig

LEAST_RADIUS, GREATEST_RADIUS = 0.8, 0.99
"""Between which the eigenvalues' absolute values are drawn (`r_min` and `r_max` of `LRULayer`)."""

INITIAL_STD = 0.02
"""Of all weights but norms and eigenvalues, cut at two deviations (`truncated_normal_init`)."""


class LRURecConfig(NextItemConfig):
    """Configuration of LRURec.

    Attributes:
        dim: Width; the recurrence is twice as wide.
        blocks: Pairs of a recurrence and a feed-forward layer.
        dropout: Of embeddings, recurrences and feed-forward layers.
    """

    dim: int = Field(default=64, ge=1)
    blocks: int = Field(default=2, ge=1)
    dropout: float = Field(default=0.2, ge=0, lt=1)
    training: TrainingConfig = TrainingConfig(epochs=40, batch_events=2048, average=0.999)


def linear_recurrence(inputs: Tensor, eigenvalues: Tensor) -> Tensor:
    """`h[t] = eigenvalues * h[t - 1] + inputs[t]` for all t, in about log2(length) steps.

    After step i, `h[t]` holds the last 2^i inputs; adding what stands 2^i events earlier, 2^i times decayed, doubles
    that number.

    Args:
        inputs: Complex `[batch, length, d]`.
        eigenvalues: Complex `[d]`.

    Returns:
        Complex `[batch, length, d]`.
    """
    state, decay, reach = inputs, eigenvalues, 1
    while reach < inputs.shape[1]:
        earlier = F.pad(decay * state[:, :-reach], (0, 0, reach, 0))
        state, decay, reach = state + earlier, decay * decay, 2 * reach
    return state


class LinearRecurrentUnit(nn.Module):
    """A diagonal complex recurrence between two linear maps, with a residual connection and a norm after it.

    The complex maps are kept as real ones: of a real input, and of the real and imaginary parts of the state.
    """

    def __init__(self, config: LRURecConfig) -> None:
        super().__init__()
        width = 2 * config.dim
        radius_squared = torch.rand(width) * (GREATEST_RADIUS**2 - LEAST_RADIUS**2) + LEAST_RADIUS**2
        self.log_nu = nn.Parameter((-0.5 * radius_squared.log()).log())
        self.log_theta = nn.Parameter((2 * math.pi * torch.rand(width)).log())
        self.log_gamma = nn.Parameter((1 - radius_squared).sqrt().log())
        self.into = nn.Linear(config.dim, 2 * width)
        self.out = nn.Linear(2 * width, config.dim)
        self.dropout = nn.Dropout(config.dropout)
        self.norm = nn.LayerNorm(config.dim)

    def eigenvalues(self) -> Tensor:
        """Complex `[2 d]`: `exp(-nu + i theta)`, inside the unit circle whatever the parameters are."""
        return torch.exp(torch.complex(-self.log_nu.exp(), self.log_theta.exp()))

    def forward(self, hidden: Tensor) -> Tensor:
        driven = torch.view_as_complex(self.into(hidden).unflatten(-1, (-1, 2))) * self.log_gamma.exp()
        state = torch.view_as_real(linear_recurrence(driven, self.eigenvalues())).flatten(-2)
        return self.norm(self.dropout(self.out(state)) + hidden)


class FeedForward(nn.Module):
    """Two linear maps with GELU between them, four times as wide inside, a residual connection and a norm after it."""

    def __init__(self, config: LRURecConfig) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(config.dim, 4 * config.dim),
            nn.GELU(),
            nn.Dropout(config.dropout),
            nn.Linear(4 * config.dim, config.dim),
            nn.Dropout(config.dropout),
        )
        self.norm = nn.LayerNorm(config.dim)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.norm(self.layers(hidden) + hidden)


class LRURecNetwork(NextItemNetwork):
    """Recurrences and feed-forward layers over item embeddings without positions.

    The item table is tied to the output, where every item has a bias.
    """

    def __init__(self, n_items: int, config: LRURecConfig) -> None:
        super().__init__()
        self.items = nn.Embedding(n_items, config.dim)
        self.bias = nn.Parameter(torch.zeros(n_items))
        self.norm = nn.LayerNorm(config.dim)
        self.dropout = nn.Dropout(config.dropout)
        blocks = [(LinearRecurrentUnit(config), FeedForward(config)) for _ in range(config.blocks)]
        self.layers = nn.ModuleList(layer for block in blocks for layer in block)
        for name, weight in self.named_parameters():
            if "norm" not in name and "log_" not in name:
                nn.init.trunc_normal_(weight, std=INITIAL_STD, a=-2 * INITIAL_STD, b=2 * INITIAL_STD)

    def forward(self, items: Tensor, timestamps: Tensor) -> Tensor:
        hidden = self.norm(self.dropout(self.items(items.clamp(min=0))))
        for layer in self.layers:
            hidden = layer(hidden)
        return hidden

    def compared(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        states = torch.cat([hidden, torch.ones_like(hidden[..., :1])], -1)
        return states, torch.cat([self.items.weight, self.bias.unsqueeze(1)], 1)


_TESTS = "tests/baselines/test_lrurec.py::"


class LRURec(NextItemModel):
    """LRURec: the registered name `lrurec`."""

    Config = LRURecConfig
    config: LRURecConfig
    recordable = True
    summary = "linear recurrence with complex eigenvalues over item ids, linear in the length of the history"
    group = "long sequence"
    paper = "Yue et al., WSDM"
    year = 2024
    fidelity: ClassVar[tuple[Mechanism, ...]] = (
        Mechanism(
            "linear recurrent unit: complex diagonal recurrence twice as wide as the embeddings, input scaled by gamma",
            "faithful",
            "official code, model/lru.py, `LRULayer`",
            test=_TESTS + "test_hidden_states_are_those_of_the_recurrence_step_by_step",
        ),
        Mechanism(
            "recursive parallelisation in log2(length) steps",
            "approximated",
            "official code, `lru_parallel`",
            "each step adds to every event what stands 2^i before it, where the official code adds to the second half "
            "of every block of 2^i the end of the first: the same sums, of any length and without a mask for padding, "
            "which comes last here",
            test=_TESTS + "test_the_parallel_recurrence_is_the_recurrence",
        ),
        Mechanism(
            "feed-forward layers with GELU, norms after every residual connection",
            "faithful",
            "official code, `PositionwiseFeedForward`",
            test=_TESTS + "test_hidden_states_are_those_of_the_recurrence_step_by_step",
        ),
        Mechanism(
            "item table shared with the output, and a bias for every item",
            "faithful",
            "official code, `LRUModel.forward`",
            test=_TESTS + "test_items_are_scored_by_the_table_that_reads_them_and_their_bias",
        ),
        Mechanism(
            "initial weights: radii uniform in the ring from 0.8 to 0.99, the rest truncated normal of deviation 0.02",
            "faithful",
            "official code, `LRULayer` and `truncated_normal_init`",
            test=_TESTS + "test_weights_begin_as_in_the_official_code",
        ),
        Mechanism(
            "cross-entropy over the catalogue at every position",
            "faithful",
            "official code, trainer/lru.py",
            test="tests/baselines/test_next_item.py::test_cross_entropy_is_the_mean_over_targets_without_padding",
        ),
        optimiser_line(
            "official code, config.py and trainer/base.py",
            "AdamW at a constant 0.001, decay 0.01, gradients clipped at 5, 128 sequences a step, up to 500 epochs, "
            "the best by Recall@10 every 500 to 2,000 steps with a patience of 10",
            LRURecConfig().training,
        ),
    )

    def build(self, train: TrainingData) -> NextItemNetwork:
        return LRURecNetwork(train.n_items, self.config)
