"""SASRec and HSTU that may copy: a pointer over the user's whole history beside the softmax over the catalogue."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import scipy.sparse as sp
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import AfterValidator
from torch import Tensor, nn

from baselines.hstu import HSTU, HSTUConfig, HSTUNetwork
from baselines.next_item import NextItemModel, NextItemNetwork
from baselines.pointer import BIAS_SCALE, FIRST_GATE, KEY_DIM, PastEvents, Pointer
from baselines.sasrec import SASRec, SASRecConfig, SASRecNetwork
from bench.data.dataset import TrainingData
from bench.data.interactions import PAD, Histories
from bench.recommender import Mechanism
from models.training.windows import WindowBatch

LEAST = float(np.finfo(np.float32).tiny)
"""The least probability whose logarithm is taken."""


class CopyingNetwork(NextItemNetwork):
    """A network over a window of recent events, and a pointer over all events.

    Args:
        reader: Makes hidden states of the window and scores the catalogue.
        items: The reader's item embeddings, which the pointer makes its keys of.
    """

    def __init__(self, reader: NextItemNetwork, items: nn.Embedding) -> None:
        super().__init__()
        self.reader = reader
        self.pointer = Pointer(items.embedding_dim)
        self._items = (items,)  # a tuple, so that the table is registered once, as the reader's

    def forward(self, items: Tensor, timestamps: Tensor) -> Tensor:
        hidden: Tensor = self.reader(items, timestamps)
        return hidden

    def compared(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        return self.reader.compared(hidden)

    def keys(self) -> Tensor:
        """The pointer's keys of the catalogue, float32 `[n_items, KEY_DIM]`."""
        return self.pointer.keys(self._items[0].weight)

    def attention(self, states: Tensor, ends: Tensor, past: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Attention of every state to the events before it, and the gate's logits.

        Args:
            states: float32 `[batch, positions, d]`.
            ends: int64 `[batch, positions]`, events before each state, at least 1.
            past: From `PastEvents.windows`, `[batch, r]` each.

        Returns:
            float32 `[batch, positions, r]`, which sums to 1, and `[batch, positions]`.
        """
        items, ordinals, again = past
        keys, query = F.embedding(items, self.keys()), self.pointer.query(self.pointer.state_norm(states))
        age = ends.unsqueeze(-1) - torch.arange(items.shape[1], device=items.device)
        biases = self.pointer.biases(age.clamp(min=0), ordinals.unsqueeze(1), again.unsqueeze(1) < ends.unsqueeze(-1))
        weights = (query @ keys.transpose(1, 2) + biases).masked_fill(age <= 0, -torch.inf).softmax(-1)
        return weights, self.pointer.gate_logits(states, weights @ keys)

    def loss(self, batch: WindowBatch, hidden: Tensor, past: PastEvents) -> Tensor:
        """Mean loss of the targets: of their probability in the mixture, and of that by generating alone.

        Without the second part whatever is copied well is not learned by the network, whose lists of new items suffer.
        """
        wanted = batch.targets != PAD
        ends = batch.starts.unsqueeze(1) + batch.kept
        states = hidden.take_along_dim(batch.kept.unsqueeze(-1) - 1, dim=1)
        read = ends.where(wanted, 1).amax(1)  # events that the targets of each window look at
        groups = of_like_size(read)
        parts = []
        for some in groups:
            events = past.windows(batch.users[some], int(read[some].max()))
            parts.append(self._copies(states[some], ends[some], batch.targets[some], events))
        order = torch.cat(groups).argsort()
        copied, gate = (torch.cat(part)[order] for part in zip(*parts, strict=True))
        copied = copied[wanted]
        generated = F.cross_entropy(self.scores(states[wanted]), batch.targets[wanted], reduction="none")
        # The logarithm of a share of zero has no gradient; a clamped one has none that counts.
        by_copy = F.logsigmoid(gate[wanted]) + copied.clamp(min=LEAST).log()
        mixed = torch.logaddexp(by_copy, F.logsigmoid(-gate[wanted]) - generated)
        return (generated - mixed).mean()

    def _copies(
        self, states: Tensor, ends: Tensor, targets: Tensor, events: tuple[Tensor, Tensor, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Attention to events of the target's item, and the gate's logits, `[n, positions]` each.

        States and ends are those of `attention`; targets are int64 `[n, positions]`.
        """
        weights, gate = self.attention(states, ends, events)
        return (weights * (events[0].unsqueeze(1) == targets.unsqueeze(-1))).sum(-1), gate

    def probabilities(self, histories: Histories, states: Tensor) -> NDArray[np.float64]:
        """The mixture for queries, float64 `[n_queries, n_items]`, given states `[n_queries, d]`.

        Each history's events are walked on their own, unpadded, so that no answer depends on others of a batch.
        """
        keys = self.keys()
        copied = self._copied(histories, states, keys)
        read = torch.from_numpy((copied @ keys.double().cpu().numpy()).astype(np.float32)).to(states.device)
        gate = self.pointer.gate_logits(states, read).double().sigmoid().cpu().numpy() * (histories.lengths > 0)
        generated = self.scores(states).double().softmax(-1).cpu().numpy()
        mixed: NDArray[np.float64] = (1 - gate)[:, None] * generated + copied.multiply(gate[:, None]).toarray()
        return mixed

    def _copied(self, histories: Histories, states: Tensor, keys: Tensor) -> sp.csr_array:
        """Attention of each query to its events, added up by item: float64 `[n_queries, n_items]`, sparse."""
        past = PastEvents.of(histories, str(states.device))
        row = np.repeat(np.arange(len(histories)), histories.lengths)
        query = self.pointer.query(self.pointer.state_norm(states))[torch.from_numpy(row).to(states.device)]
        ends = past.offsets[1:][torch.from_numpy(row).to(states.device)]
        lengths = past.offsets.diff()[torch.from_numpy(row).to(states.device)]
        age = ends - torch.arange(len(row), device=states.device)
        biases = self.pointer.biases(age, past.ordinals, past.again < lengths)
        scores = ((query * keys[past.items]).sum(-1) + biases).double().cpu().numpy()
        top = np.full(len(histories), -np.inf)
        np.maximum.at(top, row, scores)
        weights = np.exp(scores - top[row])
        total = np.bincount(row, weights, minlength=len(histories))
        shape = (len(histories), histories.n_items)
        return sp.coo_array((weights / total[row], (row, histories.items)), shape=shape).tocsr()


def of_like_size(sizes: Tensor) -> list[Tensor]:
    """Splits windows into groups whose sizes lie within a factor of two, so that little of a group is padding.

    Args:
        sizes: int64 `[batch]`, the events that the targets of each window look at.

    Returns:
        Places of the windows, int64 each, smallest sizes first; together every place once.
    """
    classes = torch.frexp(sizes.clamp(min=1).double() - 0.5).exponent.cpu()
    return [(classes == one).nonzero().squeeze(1).to(sizes.device) for one in classes.unique().tolist()]


class CopyingModel(NextItemModel):
    """Trains a `CopyingNetwork` on the mixture and ranks the catalogue by it."""

    recordable = False  # its loss looks at so many past events as the longest history of a batch has
    network: CopyingNetwork | None = None

    def window_reader(self, train: TrainingData) -> Callable[[WindowBatch], Tensor]:
        self._past = PastEvents.of(train.interactions, self._device)
        return super().window_reader(train)

    def window_loss(
        self, network: NextItemNetwork, batch: WindowBatch, hidden: Tensor, negatives: torch.Generator
    ) -> Tensor:
        assert isinstance(network, CopyingNetwork)
        return network.loss(batch, hidden, self._past)

    def query_scores(self, histories: Histories, hidden: Tensor) -> NDArray[np.floating[Any]]:
        assert self.network is not None, "recommend before fit"
        return np.log(self.network.probabilities(histories, hidden).clip(min=LEAST))


def _cross_entropy_alone(loss: str) -> str:
    if loss != "ce":
        raise ValueError("should be ce: the mixture has a probability of every item")
    return loss


_Loss = Annotated[Literal["ce", "bce", "sampled"], AfterValidator(_cross_entropy_alone)]


class SASRecCopyingConfig(SASRecConfig):
    """Configuration of `SASRecCopying`: that of SASRec with its one loss, "ce"."""

    loss: _Loss = "ce"


class HSTUCopyingConfig(HSTUConfig):
    """Configuration of `HSTUCopying`: that of HSTU with its one loss, "ce"."""

    loss: _Loss = "ce"


_TWIN = "tests/baselines/test_copying_models.py::"
COPYING = (
    Mechanism(
        "copying: a gate between attention to past events and the softmax over the catalogue",
        "approximated",
        "See et al., ACL 2017 (pointer-generator networks), equations 8 and 9; no paper has it on this network",
        "the attention of an own query to keys of item embeddings, where the paper's is that of the decoder; the gate "
        f"reads the state and what was attended to, {KEY_DIM} numbers, and begins at a logit of {FIRST_GATE:g}; no "
        "coverage; the loss adds that of generating alone, so that the network learns what is copied, too",
        test=_TWIN + "test_the_mixture_equals_the_naive_walk",
    ),
    Mechanism(
        "what attention knows of a past event: its age, the how-many-th of its item it is, whether the item came again",
        "faithful",
        f"ours; no paper. {BIAS_SCALE:g} times a learned scalar for each, in buckets of half powers of two, 0 at first",
        test=_TWIN + "test_the_mixture_equals_the_naive_walk",
    ),
    Mechanism(
        "copies may come from all of the history, however short the window is",
        "faithful",
        "ours; no paper",
        test=_TWIN + "test_an_event_before_the_window_can_be_copied",
    ),
)


class SASRecCopying(CopyingModel, SASRec):
    """SASRec that may copy: the registered name `sasrec-ce-copying`."""

    Config = SASRecCopyingConfig
    config: SASRecCopyingConfig
    revision: ClassVar[int] = 1
    summary = "sasrec-ce with a pointer over the user's whole history beside the catalogue"
    group = "long sequence"
    paper = "after See et al., ACL"
    year = 2017
    fidelity = (*SASRec.fidelity, *COPYING)

    def build(self, train: TrainingData) -> CopyingNetwork:
        reader = SASRecNetwork(train.n_items, self.config)
        return CopyingNetwork(reader, reader.items)


class HSTUCopying(CopyingModel, HSTU):
    """HSTU that may copy: the registered name `hstu-copying`."""

    Config = HSTUCopyingConfig
    config: HSTUCopyingConfig
    revision: ClassVar[int] = 1
    summary = "hstu with a pointer over the user's whole history beside the catalogue"
    group = "long sequence"
    paper = "after See et al., ACL"
    year = 2017
    fidelity = (*HSTU.fidelity, *COPYING)

    def build(self, train: TrainingData) -> CopyingNetwork:
        reader = HSTUNetwork(train.n_items, self.config)
        return CopyingNetwork(reader, reader.items)
