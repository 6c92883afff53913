"""FuXi-alpha (Ye et al., WWW 2025, arXiv 2502.03036): HSTU's frame with three channels of attention and a SwiGLU layer.

Constants are those of `fuxi_alpha.py` in github.com/USTC-StarTeam/fuxi-linear at commit a5ba5cd; paths below are
relative to its `generative_recommenders/modeling/sequential/`.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from baselines.hstu import (
    HSTU,
    INITIAL_STD,
    LOSS_OVER_THE_CATALOGUE,
    HSTUConfig,
    HSTUNetwork,
    RelativeBias,
)
from baselines.next_item import NextItemNetwork
from bench.data.dataset import TrainingData
from bench.recommender import Mechanism
from models.fidelity import optimiser_line

NORM_EPS = 1e-6
"""`epsilon` of `FuXiBlockJagged` and of its feed-forward network."""


GAPS: tuple[Literal["position"], Literal["time"]] = ("position", "time")
"""What the channels beside the one of meaning go by, in their order in `attn_output`."""


class FuXiAlphaConfig(HSTUConfig):
    """Configuration of FuXi-alpha; `bias` says which channels stand beside the one of meaning.

    Attributes:
        expansion: Inner width of the feed-forward layers as a multiple of `dim`.
    """

    expansion: int = Field(default=2, ge=1)


class MultistageFeedForward(nn.Module):
    """First the attention's output joins its input, then SwiGLU refines the sum (fuxi_alpha.py,
    `MultistageFeedforwardNeuralNetwork`).
    """

    def __init__(self, attended: int, config: FuXiAlphaConfig) -> None:
        super().__init__()
        inner = config.expansion * config.dim
        self.dropout = nn.Dropout(config.dropout)
        self.join = nn.Linear(attended, config.dim)
        self.norm = nn.RMSNorm(config.dim, eps=NORM_EPS, elementwise_affine=False)
        self.gate = nn.Linear(config.dim, inner, bias=False)
        self.value = nn.Linear(config.dim, inner, bias=False)
        self.out = nn.Linear(inner, config.dim, bias=False)
        for layer in (self.join, self.gate, self.value, self.out):
            nn.init.xavier_uniform_(layer.weight)

    def forward(self, attended: Tensor, hidden: Tensor) -> Tensor:
        joined = self.join(self.dropout(attended)) + hidden
        normed = self.dropout(self.norm(joined))
        return self.out(F.silu(self.gate(normed)) * self.value(normed)) + joined


class FuXiAlphaLayer(nn.Module):
    """Adaptive multi-channel attention and the feed-forward network.

    Each head reads its values three times: by gap in position, by gap in time and by meaning, whose weights are SiLU
    and not softmax. The channels stand side by side, are normalised together and gated (`FuXiBlockJagged`).
    """

    def __init__(self, config: FuXiAlphaConfig) -> None:
        super().__init__()
        self.heads, self.length = config.heads, config.length
        kinds = [kind for kind in GAPS if config.bias in (kind, "both")]
        self.gaps_read = nn.ModuleList(RelativeBias(config.length, kind) for kind in kinds)
        inner = config.heads * config.head_dim
        attended = inner * (1 + len(kinds))
        self.widths = [attended, inner, inner, inner]
        self.input_norm = nn.RMSNorm(config.dim, eps=NORM_EPS, elementwise_affine=False)
        self.uvqk = nn.Linear(config.dim, sum(self.widths), bias=False)
        nn.init.normal_(self.uvqk.weight, std=INITIAL_STD)
        self.output_norm = nn.RMSNorm(attended, eps=NORM_EPS, elementwise_affine=False)
        self.feed_forward = MultistageFeedForward(attended, config)

    def forward(self, hidden: Tensor, gaps: Tensor | None, mask: Tensor) -> Tensor:
        """Next hidden states; arguments as for `baselines.hstu.HSTULayer`."""
        gate, value, query, key = F.silu(self.uvqk(self.input_norm(hidden))).split(self.widths, -1)
        query, key, value = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (query, key, value))
        weights = [bias(hidden.shape[1], gaps).unsqueeze(1) for bias in self.gaps_read]
        weights.append(F.silu(query @ key.transpose(-1, -2)) / self.length)
        channels = [(weight * mask.unsqueeze(1)) @ value for weight in weights]
        attended = torch.cat(channels, -1).transpose(1, 2).flatten(-2)
        return self.feed_forward(gate * self.output_norm(attended), hidden)


class FuXiAlphaNetwork(HSTUNetwork):
    """FuXi-alpha's layers between HSTU's input and HSTU's output."""

    layer: ClassVar[type[nn.Module]] = FuXiAlphaLayer


_TESTS = "tests/baselines/test_fuxi_alpha.py::"


class FuXiAlpha(HSTU):
    """FuXi-alpha: the registered name `fuxi-alpha`."""

    Config = FuXiAlphaConfig
    config: FuXiAlphaConfig
    revision = 1
    summary = "HSTU's frame with channels for position, time and meaning, and a SwiGLU feed-forward network"
    group = "long sequence"
    paper = "Ye et al., WWW"
    year = 2025
    fidelity: ClassVar[tuple[Mechanism, ...]] = (
        Mechanism(
            "adaptive multi-channel attention: position, time and SiLU of queries and keys, each over the same values",
            "faithful",
            "official code, fuxi_alpha.py, `FuXiBlockJagged`",
            test=_TESTS + "test_a_layer_computes_the_official_formulas",
        ),
        Mechanism(
            "multi-stage feed-forward network",
            "faithful",
            "official code, `MultistageFeedforwardNeuralNetwork`",
            test=_TESTS + "test_a_layer_computes_the_official_formulas",
        ),
        Mechanism(
            "weights divided by the length",
            "approximated",
            "official code",
            "by `length`, the number of events that the network reads; there by more, which are kept for outputs",
            test=_TESTS + "test_a_layer_computes_the_official_formulas",
        ),
        Mechanism(
            "buckets of time gaps",
            "approximated",
            "official code, `SeperatedRelativeBucketedTimeAndPositionBasedBias`",
            "the official code lets a position see the time of the request that it answers; here the newest time is "
            "that of the last event, as for every other model",
            test="tests/baselines/test_hstu.py::test_the_bias_is_a_scalar_per_gap_in_position_and_bucket_of_time",
        ),
        Mechanism(
            "initial weights: N(0, 0.02) of projections and biases, Xavier-uniform of the feed-forward network",
            "faithful",
            "official code",
            test=_TESTS + "test_parameters_begin_as_in_the_official_code",
        ),
        LOSS_OVER_THE_CATALOGUE,
        Mechanism(
            "sizes",
            "approximated",
            "official code, configs/kuairec and configs/ml-20m",
            "d 64, 2 blocks, 2 heads of 32, dropout 0.3 and length 200 by default; there d 128, 4 heads of 32 and 4 "
            "blocks with dropout 0.5 and length 1,024 on KuaiRec; an inner width of 2 d as there",
        ),
        optimiser_line(
            "official code, configs/kuairec",
            "AdamW with betas 0.9 and 0.98 at a constant 0.001, neither decay nor warm-up, 101 epochs",
            FuXiAlphaConfig().training,
        ),
    )

    def build(self, train: TrainingData) -> NextItemNetwork:
        return FuXiAlphaNetwork(train.n_items, self.config)
