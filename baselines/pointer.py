"""A pointer over all of a user's past events, beside a softmax over the catalogue: copying and generating share a gate.

The mixture is that of pointer-generator networks (See et al., ACL 2017, arXiv 1704.04368, equation 9):

    p(item) = gate * (attention to the events that hold the item) + (1 - gate) * softmax(scores)[item].

What attention knows of an event beside its item (how long ago it lies, the how-many-th of its item it is, whether the
item came again since) is ours. With these three it can express any count of a user's past that fades with age.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from baselines.hstu import look_up
from bench.data.interactions import Histories, Interactions
from models.history.age_bias import AgeBias

KEY_DIM = 32
"""Width of the keys by which events are told apart."""

BIAS_SCALE = 3.0
"""What a bias is multiplied with: with usual rates it would take a whole training to all but forbid an event."""

FIRST_GATE = -2.0
"""The gate's first logit: at the start 12 % of the probability is copied, so that a model learns to generate, too."""


@dataclass(frozen=True)
class PastEvents:
    """Events row after row on the model's device, int64 `[n_events]` each.

    Attributes:
        items: Their items.
        ordinals: How many events of the row have the same item up to this one: 1 is the first.
        again: Place in the row of the next event with the same item; the row's length where there is none.
        offsets: int64 `[n_rows + 1]`.
    """

    items: Tensor
    ordinals: Tensor
    again: Tensor
    offsets: Tensor

    @classmethod
    def of(cls, events: Interactions | Histories, device: str) -> PastEvents:
        """The events of all rows."""
        ordinals, again = recurrences(events)
        arrays = (events.items.astype(np.int64), ordinals, again, events.offsets)
        return cls(*(torch.from_numpy(array).to(device) for array in arrays))

    def windows(self, rows: Tensor, width: int) -> tuple[Tensor, Tensor, Tensor]:
        """Items, ordinals and next places of the first `width` events of some rows: int64 `[batch, width]` each.

        What stands behind the end of a row means nothing.
        """
        place = self.offsets[rows].unsqueeze(1) + torch.arange(width, device=rows.device)
        place = place.clamp(max=len(self.items) - 1)
        return self.items[place], self.ordinals[place], self.again[place]


def recurrences(events: Interactions | Histories) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Of each event, the how-many-th of its item it is in its row, and the place of the next: see `PastEvents`."""
    rows = np.repeat(np.arange(len(events.offsets) - 1), events.lengths)
    places = np.arange(len(rows)) - events.offsets[rows]
    order = np.lexsort((places, events.items, rows))
    row, item = rows[order], events.items[order]
    opens = np.ones(len(order), dtype=bool)
    opens[1:] = (row[1:] != row[:-1]) | (item[1:] != item[:-1])
    first = np.maximum.accumulate(np.where(opens, np.arange(len(order)), 0))
    ordinals, again = np.empty_like(order), events.lengths[rows]
    ordinals[order] = np.arange(1, len(order) + 1) - first
    again[order[:-1]] = np.where(opens[1:], again[order[:-1]], places[order[1:]])
    return ordinals, again


class Pointer(nn.Module):
    """Attention over past events, and the gate.

    Args:
        dim: Width of hidden states and item embeddings.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.state_norm = nn.LayerNorm(dim)
        self.item_norm = nn.LayerNorm(dim)
        self.query = nn.Linear(dim, KEY_DIM, bias=False)
        self.key = nn.Linear(dim, KEY_DIM, bias=False)
        self.by_age = AgeBias(heads=1)
        self.by_ordinal = AgeBias(heads=1)
        self.superseded = nn.Parameter(torch.zeros(1))
        self.gate = nn.Linear(dim + KEY_DIM, 1)
        nn.init.zeros_(self.gate.weight)
        nn.init.constant_(self.gate.bias, FIRST_GATE)

    def keys(self, items: Tensor) -> Tensor:
        """Keys float32 `[n_items, KEY_DIM]` of item embeddings `[n_items, d]`."""
        keys: Tensor = self.key(self.item_norm(items)) / KEY_DIM**0.5
        return keys

    def biases(self, age: Tensor, ordinals: Tensor, again: Tensor) -> Tensor:
        """What is added to the scores of events, float32 like `age`.

        Args:
            age: int64 `[...]`, how many events ago each lies; 1 is the last.
            ordinals: int64, broadcasts against `age`.
            again: bool `[...]`, whether a later event of the history has the same item.
        """
        by_age, by_ordinal = (
            _biases(table, values) for table, values in ((self.by_age, age), (self.by_ordinal, ordinals))
        )
        return BIAS_SCALE * (by_age + by_ordinal + self.superseded * again)

    def gate_logits(self, states: Tensor, read: Tensor) -> Tensor:
        """Logits float32 `[...]` of copying, given states `[..., d]` and the mean key of what was attended to."""
        logits: Tensor = self.gate(torch.cat([self.state_norm(states), read], -1)).squeeze(-1)
        return logits


def _biases(table: AgeBias, values: Tensor) -> Tensor:
    """The bias of each value, int64 `[...]`; made for every value once, and then looked up."""
    every = torch.arange(int(values.max()) + 1 if values.numel() else 1, device=values.device)
    return look_up(table(every[None, None]).flatten(), values)
