"""What SASRec, HSTU and GRU4Rec share: a causal network over item embeddings, trained at all positions at once."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from baselines.device_ranking import rank_on_device
from baselines.full_ranking import rank_catalogue
from bench.config import Config
from bench.data.dataset import TrainingData
from bench.data.interactions import PAD, Histories
from bench.recommender import FitContext, Recommendations, Recommender
from models.training.catalogue_loss import catalogue_cross_entropy
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
    """Turns a history into hidden states, and knows the item vectors that they are compared with."""

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
    """Trains a `NextItemNetwork` at all positions and ranks the catalogue by its last hidden state.

    Attributes:
        recordable: Whether a GPU may record and replay a training step: the loss, auxiliary losses included, keeps to
            `RecordedStep`'s rules, and counts nothing where a window has no event and a position no target. A subclass
            that changes the loss or what is read says so anew.
    """

    Config = NextItemConfig
    config: NextItemConfig
    network: NextItemNetwork | None = None
    role = "baseline"
    divisible = True
    recordable: ClassVar[bool] = False

    @abstractmethod
    def build(self, train: TrainingData) -> NextItemNetwork:
        """The untrained network for a catalogue."""

    def fit(self, train: TrainingData, context: FitContext) -> None:
        torch.manual_seed(context.seed)
        self._device, self._n_items = context.device, train.n_items
        network = self.network = self.build(train).to(context.device)
        negatives = torch.Generator(device=context.device).manual_seed(context.seed)
        self._recorded = context.device == "cuda" and self.recordable
        windows = TrainingWindows(
            train.interactions,
            self.config.length,
            self.config.training.batch_events,
            context.device,
            train.history_ends(),
            padded=self._recorded,
        )
        read = self.window_reader(train)

        def loss(batch: WindowBatch) -> Tensor:
            hidden = read(batch)
            total = self.window_loss(network, batch, hidden, negatives)
            for extra in network.auxiliary_losses(batch, hidden):
                total = total + extra
            return total

        generators = [negatives] if self._recorded else None
        fit_network(self, network, windows.epoch, loss, self.config.training, context, generators, [negatives])

    def window_reader(self, train: TrainingData) -> Callable[[WindowBatch], Tensor]:
        """What makes hidden states float32 `[batch, length, d]` of the training windows; here the network alone."""
        network = self.network
        assert network is not None, "read before build"
        return lambda batch: network(batch.items, batch.timestamps)

    def window_loss(
        self, network: NextItemNetwork, batch: WindowBatch, hidden: Tensor, negatives: torch.Generator
    ) -> Tensor:
        """The mean loss of a batch's targets, given the hidden states of its windows; `negatives` as below."""
        states, targets = (every_position if self._recorded else trained_positions)(hidden, batch)
        return self.target_loss(network, states, targets, negatives)

    def target_loss(
        self, network: NextItemNetwork, states: Tensor, targets: Tensor, negatives: torch.Generator
    ) -> Tensor:
        """The mean loss of targets.

        Args:
            network: Scores items.
            states: float32 `[n, d]`, the hidden state before each target.
            targets: int64 `[n]`; `PAD` where there is none, in a recorded step.
            negatives: What negatives are drawn with.
        """
        if self.config.loss == "ce":
            if type(network).scores is not NextItemNetwork.scores:
                return F.cross_entropy(network.scores(states), targets, ignore_index=PAD)
            return catalogue_cross_entropy(*network.compared(states), targets)
        n_drawn = 1 if self.config.loss == "bce" else self.config.negatives
        scores, repeated = self.with_negatives(network, states, targets, n_drawn, negatives)
        loss_of = _bce if self.config.loss == "bce" else _sampled_softmax
        if self._recorded:
            return mean_over_targets(loss_of(scores, repeated, "none"), targets)
        return loss_of(scores, repeated, "mean")

    def with_negatives(
        self, network: NextItemNetwork, states: Tensor, targets: Tensor, n_drawn: int, negatives: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Scores of targets and of `n_drawn` negatives of each, drawn uniformly from the catalogue.

        Returns:
            float32 `[n, 1 + n_drawn]`, the target's first; bool `[n, n_drawn]`, True where a negative is the target.
        """
        drawn = torch.randint(self._n_items, (len(targets), n_drawn), generator=negatives, device=targets.device)
        scores = network.scores_of(states, torch.cat([targets.clamp(min=0).unsqueeze(1), drawn], 1))
        return scores, drawn == targets.unsqueeze(1)

    def recommend(self, histories: Histories, k: int) -> Recommendations:
        plain = (NextItemModel.ranked, NextItemModel.query_scores)
        if self._device == "cuda" and len(histories) and (type(self).ranked, type(self).query_scores) == plain:
            return self._ranked_on_device(histories, k)
        return self.ranked(self._scores(histories), histories, k)

    def _ranked_on_device(self, histories: Histories, k: int) -> Recommendations:
        """What `ranked` makes of the catalogue's scores, ranked where these lie."""
        assert self.network is not None, "recommend before fit"
        with torch.inference_mode():
            lists = [
                rank_on_device(self.network.scores(hidden), some, k) for some, hidden in self._last_states(histories)
            ]
        return Recommendations(
            np.concatenate([some.items for some in lists]), np.concatenate([some.scores for some in lists])
        )

    def catalogue_scores(self, histories: Histories) -> NDArray[np.float32] | None:
        """The scores `[n_queries, n_items]` by which the catalogue is ranked, those of seen items among them.

        None of a model that ranks otherwise. A list of the whole catalogue says the same, after sorting all of it.
        """
        return self._scores(histories)

    def _scores(self, histories: Histories) -> NDArray[np.float32]:
        assert self.network is not None, "recommend before fit"
        scores = np.empty((len(histories), histories.n_items), dtype=np.float32)
        done = 0
        with torch.inference_mode():
            for some, hidden in self._last_states(histories):
                scores[done : done + len(some)] = self.query_scores(some, hidden)
                done += len(some)
        return scores

    def _last_states(self, histories: Histories) -> Iterator[tuple[Histories, Tensor]]:
        """Some queries at a time, with the hidden states float32 `[n, d]` after all their events."""
        step = max(1, ANSWERED_EVENTS // self.config.length)
        for start in range(0, len(histories), step):
            some = histories.batch(start, start + step)
            hidden, n_events = self.read_histories(some)
            yield some, hidden[torch.arange(len(n_events), device=hidden.device), (n_events - 1).clamp(min=0)]

    def ranked(self, scores: NDArray[np.float32], histories: Histories, k: int) -> Recommendations:
        """The lists that scores float32 `[n_queries, n_items]` of the catalogue make."""
        return rank_catalogue(scores, histories, k)

    def query_scores(self, histories: Histories, hidden: Tensor) -> NDArray[np.floating[Any]]:
        """Scores `[n_queries, n_items]` of the catalogue, given whole histories and their last hidden states."""
        assert self.network is not None, "recommend before fit"
        scores: NDArray[np.float32] = self.network.scores(hidden).cpu().numpy()
        return scores

    def read_histories(self, histories: Histories) -> tuple[Tensor, Tensor]:
        """Hidden states float32 `[n, length, d]` of queries, and how many of each one's events they belong to."""
        assert self.network is not None, "read before fit"
        items, timestamps, n_events = recent_window(histories, self.config.length, self._device)
        return self.network(items, timestamps), n_events

    def item_vectors(self) -> NDArray[np.float32]:
        """What hidden states are compared with, of a fitted model whose vectors depend on none: float32 `[n_items, e]`.

        For tokenizers that should know who uses what.
        """
        assert self.network is not None, "item vectors before fit"
        nothing = torch.full((1, 1), PAD, device=self._device)
        with torch.inference_mode():
            _, catalogue = self.network.compared(self.network(nothing, torch.zeros_like(nothing))[:, -1])
        vectors: NDArray[np.float32] = catalogue.detach().cpu().numpy()
        return vectors

    def parameter_count(self) -> int:
        return parameter_count(self.network)


def trained_positions(hidden: Tensor, batch: WindowBatch) -> tuple[Tensor, Tensor]:
    """The state `[n, d]` before each target of a batch, and the targets int64 `[n]`."""
    wanted = batch.targets != PAD
    row, _ = wanted.nonzero(as_tuple=True)
    return hidden[row, batch.kept[wanted] - 1], batch.targets[wanted]


def every_position(hidden: Tensor, batch: WindowBatch) -> tuple[Tensor, Tensor]:
    """As `trained_positions`, but for all positions, `PAD` where there is no target: the shape depends on no data."""
    index = (batch.kept - 1).unsqueeze(-1).expand_as(hidden)
    return hidden.gather(1, index).flatten(0, 1), batch.targets.flatten()


def mean_over_targets(losses: Tensor, targets: Tensor) -> Tensor:
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
