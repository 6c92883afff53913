"""What SASRec, HSTU and GRU4Rec share: a causal network over item embeddings, trained at all positions at once."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable
from typing import ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from baselines.full_ranking import rank_catalogue
from bench.config import Config
from bench.data.dataset import TrainingData
from bench.data.interactions import PAD, Histories
from bench.recommender import FitContext, Recommendations, Recommender
from models.training.loop import TrainingConfig, fit_network, parameter_count
from models.training.windows import TrainingWindows, WindowBatch, recent_window

ANSWERED_EVENTS = 1 << 14
"""Padded events that are read at a time when queries are answered: attention of long histories is large."""


class NextItemConfig(Config):
    """Configuration shared by the models that score the whole catalogue from one hidden state.

    Attributes:
        length: Most recent events that the network reads.
        loss: "ce": cross-entropy over the whole catalogue. "bce": one random negative per target (the original SASRec).
            "sampled": softmax over the target and uniform negatives of its own (HSTU's official code).
        negatives: Negatives of each target; only of the loss "sampled".
        training: Schedule and stopping.
    """

    length: int = Field(default=200, ge=1)
    loss: Literal["ce", "bce", "sampled"] = "ce"
    negatives: int = Field(default=128, ge=1)
    training: TrainingConfig = TrainingConfig()


class NextItemNetwork(nn.Module):
    """A causal sequence network and the item representations that it is scored against.

    Attributes:
        recordable: Whether the loss of a batch, auxiliary losses included, keeps to `RecordedStep`'s rules and counts
            nothing for windows without events.
    """

    recordable: ClassVar[bool] = True

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
    def compared(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Two sides whose inner products are the scores: of hidden states `[..., d]`, and of the catalogue.

        Returns:
            float32 `[..., e]` and `[n_items, e]`.
        """

    def scores(self, hidden: Tensor) -> Tensor:
        """Scores float32 `[..., n_items]` of the whole catalogue for hidden states `[..., d]`."""
        states, catalogue = self.compared(hidden)
        return states @ catalogue.T

    def scores_of(self, hidden: Tensor, items: Tensor) -> Tensor:
        """Scores float32 `[n, k]` of items int64 `[n, k]` for hidden states `[n, d]`."""
        states, catalogue = self.compared(hidden)
        if items.shape[-1] * states.shape[-1] > len(catalogue):  # scoring all of a small catalogue is less work
            return (states @ catalogue.T).gather(-1, items)
        return (F.embedding(items, catalogue) @ states.unsqueeze(-1)).squeeze(-1)

    def auxiliary_losses(self, batch: WindowBatch, hidden: Tensor) -> Iterable[Tensor]:
        """What is added to the loss of the targets, given the `hidden` states of the batch; nothing by default."""
        return ()


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
        recorded = context.device == "cuda" and network.recordable
        windows = TrainingWindows(
            train.interactions,
            self.config.length,
            self.config.training.batch_events,
            context.device,
            train.history_ends(),
            padded=recorded,
        )

        loss = training_loss(network, self.config, train.n_items, negatives, recorded)
        generators = [negatives] if recorded else None
        fit_network(self, network, windows.epoch, loss, self.config.training, context, generators, [negatives])

    def recommend(self, histories: Histories, k: int) -> Recommendations:
        assert self.network is not None, "recommend before fit"
        scores = np.empty((len(histories), histories.n_items), dtype=np.float32)
        step = max(1, ANSWERED_EVENTS // self.config.length)
        with torch.inference_mode():
            for start in range(0, len(histories), step):
                some = histories.batch(start, start + step)
                items, timestamps, n_events = recent_window(some, self.config.length, self._device)
                hidden = self.network(items, timestamps)
                last = hidden[torch.arange(len(n_events), device=hidden.device), (n_events - 1).clamp(min=0)]
                scores[start : start + step] = self.network.scores(last).cpu().numpy()
        return rank_catalogue(scores, histories, k)

    def parameter_count(self) -> int:
        return parameter_count(self.network)


def training_loss(
    network: NextItemNetwork, config: NextItemConfig, n_items: int, negatives: torch.Generator, recorded: bool
) -> Callable[[WindowBatch], Tensor]:
    """The mean loss of a batch's targets, auxiliary losses added.

    Args:
        network: What is trained.
        config: Which loss.
        n_items: Size of the catalogue that negatives are drawn from.
        negatives: Draws them.
        recorded: Whether the loss is computed at all positions, so that it keeps to `RecordedStep`'s rules, and not at
            those with a target alone.
    """

    def of_targets(states: Tensor, targets: Tensor) -> Tensor:
        if config.loss == "ce":
            return F.cross_entropy(network.scores(states), targets, ignore_index=PAD)
        n_drawn = 1 if config.loss == "bce" else config.negatives
        drawn = torch.randint(n_items, (len(targets), n_drawn), generator=negatives, device=targets.device)
        scores = network.scores_of(states, torch.cat([targets.clamp(min=0).unsqueeze(1), drawn], 1))
        loss_of = _bce if config.loss == "bce" else _sampled_softmax
        repeated = drawn == targets.unsqueeze(1)
        return _mean(loss_of(scores, repeated, "none"), targets) if recorded else loss_of(scores, repeated, "mean")

    def loss(batch: WindowBatch) -> Tensor:
        hidden = network(batch.items, batch.timestamps)
        total = of_targets(*(every_position if recorded else trained_positions)(hidden, batch))
        for extra in network.auxiliary_losses(batch, hidden):
            total = total + extra
        return total

    return loss


def trained_positions(hidden: Tensor, batch: WindowBatch) -> tuple[Tensor, Tensor]:
    """The state `[n, d]` before each target of a batch, and the targets int64 `[n]`."""
    wanted = batch.targets != PAD
    row, _ = wanted.nonzero(as_tuple=True)
    return hidden[row, batch.kept[wanted] - 1], batch.targets[wanted]


def every_position(hidden: Tensor, batch: WindowBatch) -> tuple[Tensor, Tensor]:
    """As `trained_positions`, but for all positions, `PAD` where there is no target: the shape depends on no data."""
    index = (batch.kept - 1).unsqueeze(-1).expand_as(hidden)
    return hidden.gather(1, index).flatten(0, 1), batch.targets.flatten()


def _mean(losses: Tensor, targets: Tensor) -> Tensor:
    """The mean of losses `[n, ...]` over the rows that have a target (int64 `[n]`, else `PAD`)."""
    losses = losses.flatten(1).mean(1)
    trained = targets != PAD
    return losses.masked_fill(~trained, 0).sum() / trained.sum()


def _bce(scores: Tensor, repeated: Tensor, reduction: Literal["mean", "none"]) -> Tensor:
    """Binary cross-entropy of targets and their negatives (Kang & McAuley 2018, eq. 7).

    Args:
        scores: float32 `[n, 1 + n_negatives]`, the target's first.
        repeated: bool `[n, n_negatives]`, True where a negative is the target; it counts for nothing.
        reduction: "mean", or "none" for one `[n, 1 + n_negatives]`.
    """
    labels = torch.zeros_like(scores)
    labels[:, 0] = 1
    usable = F.pad(~repeated, (1, 0), value=True)
    return F.binary_cross_entropy_with_logits(scores, labels, weight=usable.float(), reduction=reduction)


def _sampled_softmax(scores: Tensor, repeated: Tensor, reduction: Literal["mean", "none"]) -> Tensor:
    """Cross-entropy over each target and its negatives (Zhai et al. 2024, section 4.1); arguments as for `_bce`."""
    losses = -scores.masked_fill(F.pad(repeated, (1, 0)), -torch.inf).log_softmax(1)[:, 0]
    return losses.mean() if reduction == "mean" else losses.unsqueeze(1)
