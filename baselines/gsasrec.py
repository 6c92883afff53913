"""gSASRec (Petrov & Macdonald, RecSys 2023, arXiv 2308.07192): SASRec with more negatives and a calibrated loss.

Constants are those of github.com/asash/gSASRec-pytorch at commit 7e35028.
"""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from baselines.next_item import NextItemNetwork, mean_over_targets
from baselines.sasrec import SASRec, SASRecConfig, SASRecNetwork
from bench.data.dataset import TrainingData
from bench.recommender import Mechanism
from bench.search_space import Choice, SearchSpace
from models.fidelity import optimiser_line
from models.training.loop import TrainingConfig


class GSASRecConfig(SASRecConfig):
    """Configuration of gSASRec, which learns slowly at first, as with any binary cross-entropy.

    Attributes:
        calibration: t of gBCE, of the loss "bce" alone: 0 is plain binary cross-entropy, 1 takes back all of the
            overconfidence that sampled negatives cause.
        shared_table: Whether items are scored by the table that reads them; the official code has two.
    """

    loss: Literal["ce", "bce", "sampled"] = "bce"
    negatives: int = Field(default=256, ge=1)
    calibration: float = Field(default=0.75, ge=0, le=1)
    shared_table: bool = False
    heads: int = Field(default=1, ge=1)
    dropout: float = Field(default=0.4, ge=0, lt=1)
    training: TrainingConfig = TrainingConfig(epochs=60, batch_events=1024, learning_rate=4e-3, average=0.999)


def positive_exponent(n_items: int, negatives: int, calibration: float) -> float:
    """beta, the power to which gBCE raises the probability of a target (official code, train_gsasrec.py).

    Args:
        n_items: Size of the catalogue.
        negatives: Of each target.
        calibration: t.
    """
    rate = min(1.0, negatives / max(1, n_items - 1))
    return rate * ((1 - 1 / rate) * calibration + 1 / rate)


def gbce(scores: Tensor, repeated: Tensor, exponent: float) -> Tensor:
    """Generalised binary cross-entropy: `-(beta log s(target) + sum log(1 - s(negative))) / (negatives + 1)`.

    Args:
        scores: float32 `[n, 1 + n_negatives]`, the target's first.
        repeated: bool `[n, n_negatives]`, True where a negative is the target; it counts for nothing.
        exponent: beta, from `positive_exponent`.

    Returns:
        float32 `[n]`, of each target.
    """
    positive = exponent * F.softplus(-scores[:, 0])
    negative = F.softplus(scores[:, 1:]).masked_fill(repeated, 0).sum(1)
    return (positive + negative) / scores.shape[1]


class GSASRecNetwork(SASRecNetwork):
    """SASRec's network, by default with an item table of its own for the output."""

    def __init__(self, n_items: int, config: GSASRecConfig) -> None:
        super().__init__(n_items, config)
        self.outputs = self.items if config.shared_table else nn.Embedding(n_items, config.dim)
        if not config.shared_table:
            nn.init.normal_(self.outputs.weight, std=1 / math.sqrt(config.dim))

    def compared(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        return hidden, self.item_dropout(self.outputs.weight)


_TESTS = "tests/baselines/test_gsasrec.py::"


class GSASRec(SASRec):
    """SASRec trained with gBCE: the registered name `gsasrec`."""

    Config = GSASRecConfig
    config: GSASRecConfig
    search_space: ClassVar[SearchSpace] = {
        **SASRec.search_space,
        "calibration": Choice(0.0, 0.5, 0.75, 1.0),
        "shared_table": Choice(False, True),
    }
    summary = "SASRec with 256 negatives of each target and gBCE, which takes back overconfidence"
    group = "sequence"
    paper = "Petrov & Macdonald, RecSys"
    year = 2023
    fidelity: ClassVar[tuple[Mechanism, ...]] = (
        Mechanism(
            "gBCE: the target's probability to the power beta, t 0.75, 256 negatives",
            "approximated",
            "official code, train_gsasrec.py and config_ml1m.py",
            "in closed form, where the official code transforms logits in float64 between bounds; a negative that is "
            "the target counts for nothing; no sampling rate above 1",
            test=_TESTS + "test_the_loss_is_that_of_the_official_code",
        ),
        Mechanism(
            "an item table of its own for the output",
            "faithful",
            "official code, gsasrec.py, `reuse_item_embeddings`",
            test=_TESTS + "test_items_are_scored_by_a_table_of_their_own_unless_it_is_shared",
        ),
        Mechanism(
            "SASRec's blocks with learned positions",
            "approximated",
            "official code, transformer_decoder.py",
            "those of `sasrec-ce`: heads are joined by a linear layer, every sub-layer's input is normalised, keys and "
            "values too, and what it adds to is not; there neither, and the other way round",
            test="tests/baselines/test_sasrec.py::test_hidden_states_are_those_of_the_equations",
        ),
        *(part for part in SASRec.fidelity if part.name == "attention dropout"),
        Mechanism(
            "sizes and initial weights",
            "approximated",
            "official code, config_ml1m.py",
            "d 64, length 100 and dropout 0.4, there 128, 200 and 0.5 on MovieLens-1M; tables of deviation 1/sqrt(d), "
            "there 1; other weights as PyTorch draws them, as there",
            test="tests/baselines/test_sasrec.py::test_initial_tables_are_those_that_the_card_names",
        ),
        optimiser_line(
            "official code, train_gsasrec.py and config.py",
            "Adam at a constant 0.001, no decay, no clipping, 128 sequences a step, the best by NDCG@10 with a "
            "patience of 200 times 100 steps",
            GSASRecConfig().training,
        ),
    )

    def build(self, train: TrainingData) -> NextItemNetwork:
        return GSASRecNetwork(train.n_items, self.config)

    def target_loss(
        self, network: NextItemNetwork, states: Tensor, targets: Tensor, negatives: torch.Generator
    ) -> Tensor:
        if self.config.loss != "bce":
            return super().target_loss(network, states, targets, negatives)
        n_drawn = self.config.negatives
        scores, repeated = self.with_negatives(network, states, targets, n_drawn, negatives)
        losses = gbce(scores, repeated, positive_exponent(self._n_items, n_drawn, self.config.calibration))
        return mean_over_targets(losses.unsqueeze(1), targets) if self._recorded else losses.mean()
