"""eSASRec (Tikhonovich et al., RecSys 2025): SASRec's task, LiGR's layers, sampled softmax.

Constants are those of github.com/blondered/transformer_benchmark at commit 2b03992 (paths below are relative to its
`src/models/transformers/`) and of the library that it stands on, RecTools (`rectools/models/nn/`).
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch.nn.functional as F
from pydantic import Field, field_validator
from torch import Tensor, nn

from baselines.next_item import NextItemModel, NextItemNetwork
from baselines.sasrec import SASRecConfig, SASRecNetwork
from bench.data.dataset import TrainingData
from bench.recommender import Mechanism
from models.fidelity import optimiser_line
from models.training.loop import TrainingConfig


class ESASRecConfig(SASRecConfig):
    """Configuration of eSASRec.

    Attributes:
        dropout: Of item vectors, attention weights and what sub-layers give.
        expansion: Inner width of the feed-forward layers as a multiple of `dim`.
    """

    loss: Literal["ce", "bce", "sampled"] = "sampled"
    negatives: int = Field(default=256, ge=1)
    heads: int = Field(default=1, ge=1)
    dropout: float = Field(default=0.2, ge=0, lt=1)
    expansion: int = Field(default=4, ge=1)
    training: TrainingConfig = TrainingConfig(epochs=40, batch_events=2048, average=0.999, beta2=0.98)

    @field_validator("attention_dropout", "item_dropout")
    @classmethod
    def _drops_all_alike(cls, share: float) -> float:
        if share:
            raise ValueError("eSASRec drops item vectors and attention weights by `dropout`")
        return share


class SwiGLU(nn.Module):
    """The feed-forward layer `(SiLU(W1 x) * W3 x) W2`, without biases (transformer_layers/swiglu.py)."""

    def __init__(self, dim: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.gate = nn.Linear(dim, inner, bias=False)
        self.value = nn.Linear(dim, inner, bias=False)
        self.out = nn.Linear(inner, dim, bias=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.out(self.dropout(F.silu(self.gate(hidden)) * self.value(hidden)))


class LiGRBlock(nn.Module):
    """Pre-norm attention and SwiGLU, each multiplied by a sigmoid gate of the block's own input before it is added.

    See transformer_layers/ligr.py, `LiGRLayer.forward`; the gates come from LiGR (arXiv 2502.03417).
    """

    def __init__(self, config: ESASRecConfig) -> None:
        super().__init__()
        dim = config.dim
        self.heads, self.attention_dropout = config.heads, config.dropout
        self.attention_norm = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)
        self.attention_gate = nn.Linear(dim, dim)
        self.feed_forward_norm = nn.LayerNorm(dim)
        self.feed_forward = SwiGLU(dim, config.expansion * dim, config.dropout)
        self.feed_forward_gate = nn.Linear(dim, dim)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, hidden: Tensor) -> Tensor:
        attended = self.dropout(self._attend(self.attention_norm(hidden)))
        hidden = hidden + self.attention_gate(hidden).sigmoid() * attended
        fed = self.dropout(self.feed_forward(self.feed_forward_norm(hidden)))
        return hidden + self.feed_forward_gate(hidden).sigmoid() * fed

    def _attend(self, normed: Tensor) -> Tensor:
        parts = self.qkv(normed).unflatten(-1, (3, self.heads, -1)).movedim(-3, 0)
        query, key, value = parts.transpose(-2, -3)
        dropout = self.attention_dropout if self.training else 0.0
        attended = F.scaled_dot_product_attention(query, key, value, dropout_p=dropout, is_causal=True)
        return self.out(attended.transpose(1, 2).flatten(-2))


class ESASRecNetwork(SASRecNetwork):
    """LiGR blocks over item and position embeddings; the item table is tied to the output, and nothing is normalised
    after the last block.
    """

    def __init__(self, n_items: int, config: ESASRecConfig) -> None:
        super().__init__(n_items, config)
        self.blocks = nn.ModuleList(LiGRBlock(config) for _ in range(config.blocks))
        self.norm = nn.Identity()
        self.item_dropout = self.dropout
        for weight in self.parameters():
            if weight.ndim > 1:
                nn.init.xavier_normal_(weight)


_TESTS = "tests/baselines/test_esasrec.py::"


class ESASRec(NextItemModel):
    """eSASRec: the registered name `esasrec`."""

    Config = ESASRecConfig
    config: ESASRecConfig
    recordable = True
    summary = "SASRec with LiGR's gated blocks and SwiGLU, trained with sampled softmax"
    group = "sequence"
    paper = "Tikhonovich et al., RecSys"
    year = 2025
    fidelity: ClassVar[tuple[Mechanism, ...]] = (
        Mechanism(
            "LiGR blocks: pre-norm, each sub-layer multiplied by a sigmoid gate of the residual stream",
            "faithful",
            "official code, transformer_layers/ligr.py",
            test=_TESTS + "test_hidden_states_are_those_of_the_official_layer",
        ),
        Mechanism(
            "SwiGLU feed-forward without biases, inner width 4 d",
            "faithful",
            "official code, transformer_layers/swiglu.py",
            test=_TESTS + "test_hidden_states_are_those_of_the_official_layer",
        ),
        Mechanism(
            "sampled softmax with 256 uniform negatives of each target",
            "approximated",
            "official code, configs/paper/loo; RecTools, lightning.py",
            "a negative that is the target counts for nothing; there it stays in the sum",
            test="tests/baselines/test_next_item.py::test_sampled_softmax_has_negatives_of_its_own_for_every_target",
        ),
        Mechanism(
            "dropout of item vectors on both sides, of attention weights and of sub-layers",
            "approximated",
            "RecTools, item_net.py, `IdEmbeddingsItemNet`",
            "each side of a step, and each occurrence of an item in the input, has a mask of its own; there one mask "
            "of the whole table serves both",
            test=_TESTS + "test_item_vectors_are_dropped_on_both_sides_in_training_alone",
        ),
        Mechanism(
            "learned positions",
            "approximated",
            "RecTools, net_blocks.py, `LearnableInversePositionalEncoding`",
            "counted from the first event of the window; there from the last one of the padded sequence, as with "
            "`positions: last`",
            test=_TESTS + "test_hidden_states_are_those_of_the_official_layer",
        ),
        Mechanism(
            "initial weights: all matrices Xavier-normal",
            "faithful",
            "RecTools, lightning.py, `_xavier_normal_init`",
            test=_TESTS + "test_matrices_begin_xavier_normal",
        ),
        Mechanism(
            "sizes",
            "approximated",
            "official code, README, table of hyper-parameters; configs/paper/loo",
            "d 64, 2 blocks, 1 head, length 100, dropout 0.2 by default; there 1 block and length 50 on Amazon, d 64 "
            "by the table and 256 by the files of configurations, length 200 and dropout 0.1 on MovieLens-1M, and an "
            "inner width of 2 d on Sports and d on Toys (`expansion`)",
        ),
        optimiser_line(
            "RecTools, lightning.py; official code, trainer.py",
            "Adam with betas 0.9 and 0.98 at a constant 0.001, no decay, no clipping, 128 sequences a step, 100 or 200 "
            "epochs with a patience of 50, the best by Recall@10",
            ESASRecConfig().training,
        ),
    )

    def build(self, train: TrainingData) -> NextItemNetwork:
        return ESASRecNetwork(train.n_items, self.config)
