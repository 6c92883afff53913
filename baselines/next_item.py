"""What SASRec, HSTU and GRU4Rec share: a causal network over item embeddings, trained at all positions at once."""

from __future__ import annotations

from abc import abstractmethod
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from baselines.full_ranking import rank_catalogue
from bench.data.dataset import TrainingData
from bench.data.interactions import PAD, Histories
from bench.recommender import Config, FitContext, Recommendations, Recommender
from models.training import TrainingConfig, fit_network, parameter_count
from models.windows import TrainingWindows, WindowBatch, recent_window


class NextItemConfig(Config):
    """Configuration shared by the models that score the whole catalogue from one hidden state.

    Attributes:
        length: Most recent events that the network reads.
        loss: "ce": cross-entropy over the whole catalogue. "bce": one random negative per target (the original SASRec).
        training: Schedule and stopping.
    """

    length: int = Field(default=200, ge=1)
    loss: Literal["ce", "bce"] = "ce"
    training: TrainingConfig = TrainingConfig()


class NextItemNetwork(nn.Module):
    """A causal sequence network and the item representations that it is scored against."""

    @abstractmethod
    def forward(self, items: Tensor, timestamps: Tensor) -> Tensor:
        """Hidden states of every position.

        Args:
            items: int64 `[batch, length]`, left-aligned, padded with `PAD`.
            timestamps: int64 `[batch, length]`.

        Returns:
            float32 `[batch, length, d]`; position `t` depends on events `<= t` only.
        """

    @abstractmethod
    def scores(self, hidden: Tensor) -> Tensor:
        """Scores float32 `[..., n_items]` of the whole catalogue for hidden states `[..., d]`."""


class NextItemModel(Recommender):
    """Trains a `NextItemNetwork` at all positions and ranks the catalogue by its last hidden state."""

    Config = NextItemConfig
    config: NextItemConfig
    network: NextItemNetwork | None = None

    @abstractmethod
    def build(self, train: TrainingData) -> NextItemNetwork:
        """The untrained network for a catalogue."""

    def fit(self, train: TrainingData, context: FitContext) -> None:
        torch.manual_seed(context.seed)
        self._device = context.device
        network = self.network = self.build(train).to(context.device)
        negatives = torch.Generator(device=context.device).manual_seed(context.seed)
        windows = TrainingWindows(
            train.interactions,
            self.config.length,
            self.config.training.batch_events,
            context.device,
            train.history_ends(),
        )

        def loss(batch: WindowBatch) -> Tensor:
            wanted = batch.targets != PAD
            hidden = network(batch.items, batch.timestamps)
            row, _ = wanted.nonzero(as_tuple=True)
            scores = network.scores(hidden[row, batch.kept[wanted] - 1])
            targets = batch.targets[wanted]
            if self.config.loss == "ce":
                return F.cross_entropy(scores, targets)
            return _bce(scores, targets, negatives)

        fit_network(self, network, windows.epoch, loss, self.config.training, context)

    def recommend(self, histories: Histories, k: int) -> Recommendations:
        assert self.network is not None, "recommend before fit"
        items, timestamps, kept = recent_window(histories, self.config.length, self._device)
        with torch.inference_mode():
            hidden = self.network(items, timestamps)
            last = hidden[torch.arange(len(kept), device=hidden.device), (kept - 1).clamp(min=0)]
            scores = self.network.scores(last).float().cpu().numpy()
        return rank_catalogue(scores.astype(np.float32), histories, k)

    def parameter_count(self) -> int:
        return parameter_count(self.network)


def _bce(scores: Tensor, targets: Tensor, generator: torch.Generator) -> Tensor:
    """Binary cross-entropy with one uniform negative per target (Kang & McAuley 2018, eq. 7)."""
    negatives = torch.randint(scores.shape[1], targets.shape, generator=generator, device=targets.device)
    chosen = scores.gather(1, torch.stack([targets, negatives], 1))
    labels = torch.zeros_like(chosen)
    labels[:, 0] = 1
    usable = torch.stack([torch.ones_like(targets, dtype=torch.bool), negatives != targets], 1)
    return F.binary_cross_entropy_with_logits(chosen, labels, weight=usable.float())
