"""HSTU (Zhai et al., ICML 2024, arXiv 2402.17152): pointwise SiLU attention with relative position and time bias.

Constants are those of the official code, github.com/meta-recsys/generative-recommenders at commit db1bf8f; paths below
are relative to its `generative_recommenders/research/`.
"""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from baselines.next_item import NextItemConfig, NextItemModel, NextItemNetwork
from bench.data.dataset import TrainingData
from bench.data.interactions import PAD
from bench.recommender import Mechanism
from models.fidelity import optimiser_line
from models.training.loop import TrainingConfig

TIME_BUCKETS = 128
"""Logarithmic buckets of time gaps (`num_buckets` of `HSTU` in modeling/sequential/hstu.py)."""

LAYER_NORM_EPS = 1e-6
"""`epsilon` of `SequentialTransductionUnitJagged` in modeling/sequential/hstu.py.

It matters: at the start the variance of AV is about 1e-8, far below PyTorch's default of 1e-5, which would hold the
normalised attention, and with it all that a layer adds, near zero.
"""

INITIAL_STD = 0.02
"""Of biases, projections (modeling/sequential/hstu.py) and items (modeling/sequential/embedding_modules.py)."""

COSINE_EPS = 1e-6
"""Least norm by which a vector is divided (`l2_norm_eps` in trainer/train.py)."""


class HSTUConfig(NextItemConfig):
    """Configures HSTU; `HSTULargeConfig` has the size of the official code.

    Attributes:
        dim: Width of the item embeddings.
        blocks: HSTU layers.
        heads: Attention heads.
        head_dim: Width of queries, keys and values of one head.
        dropout: Of embeddings and layer outputs.
        bias: Which relative attention bias is added: of position, of time, of both, or none.
        temperature: Of the softmax over cosine similarities.
    """

    dim: int = Field(default=64, ge=1)
    blocks: int = Field(default=2, ge=1)
    heads: int = Field(default=2, ge=1)
    head_dim: int = Field(default=32, ge=1)
    dropout: float = Field(default=0.3, ge=0, lt=1)
    bias: Literal["none", "position", "time", "both"] = "both"
    temperature: float = Field(default=0.05, gt=0)
    training: TrainingConfig = TrainingConfig(epochs=30, batch_events=2048, average=0.999, beta2=0.98)


class HSTULargeConfig(HSTUConfig):
    """Configures the official code's HSTU-large on MovieLens 1M, its loss, batches and epochs included."""

    length: int = Field(default=200, ge=1)
    loss: Literal["ce", "bce", "sampled"] = "sampled"
    dim: int = Field(default=50, ge=1)
    blocks: int = Field(default=8, ge=1)
    heads: int = Field(default=2, ge=1)
    head_dim: int = Field(default=25, ge=1)
    dropout: float = Field(default=0.2, ge=0, lt=1)
    training: TrainingConfig = TrainingConfig(
        epochs=101, batch_events=128 * 200, weight_decay=0.0, warmup_steps=0, beta2=0.98
    )


class RelativeBias(nn.Module):
    """Relative attention bias rab^{p,t} (eq. 3): one learned scalar per position gap plus one per bucket of time gap.

    Time gaps in seconds fall into buckets floor(ln(max(1, gap)) / 0.301), as in the official code.
    """

    def __init__(self, length: int, kind: Literal["none", "position", "time", "both"]) -> None:
        super().__init__()
        self.position_gap: Tensor
        gap = torch.arange(length)
        self.register_buffer("position_gap", (gap[:, None] - gap[None, :]).clamp(min=0), persistent=False)
        self.by_position = _scalars(length) if kind in ("position", "both") else None
        self.by_time = _scalars(TIME_BUCKETS + 1) if kind in ("time", "both") else None

    def forward(self, length: int, gaps: Tensor | None) -> Tensor:
        """Bias float32 `[batch or 1, length, length]`.

        Args:
            length: Of the sequences.
            gaps: Buckets of time gaps int64 `[batch, length, length]`; None where the bias is none of time.
        """
        bias = self.position_gap.new_zeros((1, length, length), dtype=torch.float32)
        if self.by_position is not None:
            bias = bias + look_up(self.by_position, self.position_gap[:length, :length])
        if self.by_time is not None:
            assert gaps is not None
            bias = bias + look_up(self.by_time, gaps)
        return bias


def _scalars(number: int) -> nn.Parameter:
    """Makes learned biases, drawn from N(0, 0.02^2)."""
    return nn.Parameter(torch.empty(number).normal_(std=INITIAL_STD))


def look_up(scalars: Tensor, index: Tensor) -> Tensor:
    """`scalars[index]` of scalars `[n]`, whose gradient adds up fast and in one order on either device.

    Millions of gaps fall into some hundred buckets. The gradient of plain indexing walks each bucket's gaps one by one
    on a GPU, and that of an embedding is slow for single numbers on a CPU.
    """
    return (_look_up_on_gpu if scalars.is_cuda else _look_up_on_cpu)(scalars, index)


def _look_up_on_gpu(scalars: Tensor, index: Tensor) -> Tensor:
    return F.embedding(index, scalars.unsqueeze(1)).squeeze(-1)


def _look_up_on_cpu(scalars: Tensor, index: Tensor) -> Tensor:
    return scalars.index_select(0, index.flatten()).view_as(index)


def pairwise_gaps(timestamps: Tensor) -> Tensor:
    """Sorts into buckets, int64 `[batch, length, length]`, the gaps between all timestamps int64 `[batch, length]`."""
    times = timestamps.double()  # exact for whole seconds, and faster than 64-bit integers on a processor
    return time_bucket(times[:, :, None] - times[:, None, :])


def time_bucket(gap: Tensor) -> Tensor:
    """Sorts time gaps in seconds, sign ignored, into logarithmic buckets, int64."""
    return (gap.abs().clamp_(min=1).float().log_() / 0.301).clamp_(max=TIME_BUCKETS).long()


class HSTULayer(nn.Module):
    """One layer: pointwise projection, spatial aggregation, pointwise transformation (eqs. 1 to 3)."""

    def __init__(self, config: HSTUConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.length = config.length
        inner = config.heads * config.head_dim
        self.input_norm = nn.LayerNorm(config.dim, eps=LAYER_NORM_EPS, elementwise_affine=False)
        self.uvqk = nn.Linear(config.dim, 4 * inner, bias=False)
        self.output_norm = nn.LayerNorm(inner, eps=LAYER_NORM_EPS, elementwise_affine=False)
        self.out = nn.Linear(inner, config.dim)
        self.dropout = nn.Dropout(config.dropout)
        self.bias = RelativeBias(config.length, config.bias)
        nn.init.normal_(self.uvqk.weight, std=INITIAL_STD)
        nn.init.xavier_uniform_(self.out.weight)

    def forward(self, hidden: Tensor, gaps: Tensor | None, mask: Tensor) -> Tensor:
        """Mixes each position with the earlier ones and returns its next hidden state.

        Args:
            hidden: float32 `[batch, length, d]`.
            gaps: See `RelativeBias`.
            mask: float32 `[batch, length, length]`, 1 where position i may look at position j.

        Returns:
            float32 `[batch, length, d]`.
        """
        gate, value, query, key = F.silu(self.uvqk(self.input_norm(hidden))).chunk(4, -1)
        query, key, value = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (query, key, value))
        # No softmax: the weights keep the intensity of a preference. The fixed divisor is the longest length.
        weights = F.silu(query @ key.transpose(-1, -2) + self.bias(hidden.shape[1], gaps).unsqueeze(1)) / self.length
        attended = ((weights * mask.unsqueeze(1)) @ value).transpose(1, 2).flatten(-2)
        return hidden + self.out(self.dropout(gate * self.output_norm(attended)))


class HSTUNetwork(NextItemNetwork):
    """HSTU layers over item and position embeddings; output and items compared by cosine over temperature."""

    layer: ClassVar[type[nn.Module]] = HSTULayer
    """Made from the configuration; called like `HSTULayer`."""

    def __init__(self, n_items: int, config: HSTUConfig) -> None:
        super().__init__()
        self.temperature = config.temperature
        self.items = nn.Embedding(n_items, config.dim)
        self.positions = nn.Embedding(config.length, config.dim)
        _truncated_normal(self.items.weight, INITIAL_STD)
        _truncated_normal(self.positions.weight, math.sqrt(1 / config.dim))
        self.scale = math.sqrt(config.dim)
        self.reads_time = config.bias in ("time", "both")
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList(self.layer(config) for _ in range(config.blocks))

    def forward(self, items: Tensor, timestamps: Tensor) -> Tensor:
        return self.encode(self.items(items.clamp(min=0)), items != PAD, timestamps)

    def encode(self, tokens: Tensor, present: Tensor, timestamps: Tensor) -> Tensor:
        """Hidden states of tokens float32 `[batch, length, d]` with a time each, where `present` (bool) says so."""
        length = tokens.shape[1]
        hidden = self.dropout(tokens * self.scale + self.positions.weight[:length]) * present.unsqueeze(-1)
        mask = torch.tril(present.new_ones(length, length)) & present[:, None, :]
        gaps, looks = pairwise_gaps(timestamps) if self.reads_time else None, mask.float()
        for layer in self.layers:
            hidden = layer(hidden, gaps, looks)
        return hidden

    def compared(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        states, catalogue = (F.normalize(side, dim=-1, eps=COSINE_EPS) for side in (hidden, self.items.weight))
        return states / self.temperature, catalogue


def _truncated_normal(table: Tensor, std: float) -> None:
    """Draws from a normal distribution cut at two standard deviations (modeling/initialization.py)."""
    nn.init.trunc_normal_(table, std=std, a=-2 * std, b=2 * std)


LOSS_OVER_THE_CATALOGUE = Mechanism(
    "sampled softmax over L2-normalised items",
    "approximated",
    "section 4.1",
    "softmax over the whole catalogue, which the catalogues here allow; normalisation and temperature kept. "
    "`loss: sampled` draws negatives as the official code does",
    test="tests/baselines/test_hstu.py::test_scores_are_cosines_over_the_temperature",
)
LOSS_OF_THE_PAPER = Mechanism(
    "sampled softmax over L2-normalised items",
    "faithful",
    "section 4.1; official code",
    test="tests/baselines/test_next_item.py::test_sampled_softmax_has_negatives_of_its_own_for_every_target",
)


OPTIMISER = optimiser_line(
    "official code, trainer/train.py",
    "AdamW with betas 0.9 and 0.98 at a constant rate, no clipping, 128 users a step",
    HSTUConfig().training,
)


class HSTU(NextItemModel):
    """HSTU trained with full-catalogue cross-entropy at all positions: the registered name `hstu`."""

    Config = HSTUConfig
    config: HSTUConfig
    recordable = True
    revision = 3
    summary = "pointwise SiLU attention, gated output, relative position and time bias"
    group = "long sequence"
    paper = "Zhai et al., ICML"
    year = 2024
    fidelity: ClassVar[tuple[Mechanism, ...]] = (
        Mechanism(
            "pointwise aggregated attention: SiLU instead of softmax, divided by length",
            "approximated",
            "eq. 2; official code",
            "divided by `length`, the number of events that the network reads; the official code divides by 11 more, "
            "the positions that it keeps for outputs",
            test="tests/baselines/test_hstu.py::test_a_layer_computes_the_papers_equations",
        ),
        Mechanism(
            "gated output U * norm(AV)",
            "faithful",
            "eq. 3; official code, epsilon of the normalisation 1e-6",
            test="tests/baselines/test_hstu.py::test_a_fresh_layer_equals_the_official_formulas",
        ),
        Mechanism(
            "initialisation: N(0, 0.02) of projections and biases, truncated normal of items and positions",
            "faithful",
            "official code",
            test="tests/baselines/test_hstu.py::test_parameters_begin_as_in_the_official_code",
        ),
        Mechanism(
            "relative attention bias of position and time",
            "approximated",
            "eq. 2; official code",
            "the official code lets a position see the time of the request that it answers; here the newest time "
            "is that of the last event, as for every other model",
            test="tests/baselines/test_hstu.py::test_the_bias_is_a_scalar_per_gap_in_position_and_bucket_of_time",
        ),
        LOSS_OVER_THE_CATALOGUE,
        OPTIMISER,
        Mechanism("stochastic length, ragged fused kernels", "omitted", "section 3.2, 3.3", "speed only at this scale"),
    )

    def build(self, train: TrainingData) -> NextItemNetwork:
        return HSTUNetwork(train.n_items, self.config)


LARGE_OPTIMISER = optimiser_line(
    "official code, configs/ml-1m/hstu-sampled-softmax-n128-large-final.gin and trainer/train.py",
    "AdamW with betas 0.9 and 0.98 at a constant 0.001, neither decay nor warm-up nor clipping, 128 users a step, 101 "
    "epochs",
    HSTULargeConfig().training,
)


class HSTULarge(HSTU):
    """HSTU in the size and with the loss of the official MovieLens configuration: the registered name `hstu-large`."""

    Config = HSTULargeConfig
    summary = "HSTU with 8 blocks and sampled softmax, as in the official MovieLens configuration"
    fidelity = tuple(
        {LOSS_OVER_THE_CATALOGUE: LOSS_OF_THE_PAPER, OPTIMISER: LARGE_OPTIMISER}.get(part, part)
        for part in HSTU.fidelity
    )
