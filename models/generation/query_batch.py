"""What a network reads of some queries."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bench.data.interactions import Histories
from models.history.gaps import gap_classes
from models.history.long_term import LongTerm, RaggedItems
from models.training.windows import recent_window


@dataclass(frozen=True)
class QueryBatch:
    """Histories for which a network generates semantic IDs, on its device.

    Attributes:
        items: int64 `[n, short_term]`, the most recent events of each query, oldest first, left-aligned and padded with
            `PAD`.
        n_events: int64 `[n]`, how many of `items` are events.
        long_term: Everything before `items`.
        seen: bool `[n, n_items]`, items that must not be generated; None where all may be.
        gaps: int64 `[n, short_term]`, see `gap_classes`; None where no times are known.
    """

    items: Tensor
    n_events: Tensor
    long_term: LongTerm
    seen: Tensor | None = None
    gaps: Tensor | None = None

    def __len__(self) -> int:
        return len(self.items)

    @classmethod
    def of(cls, histories: Histories, short_term: int, device: str) -> QueryBatch:
        """The queries of some histories, cut into their last `short_term` events and all before."""
        items, timestamps, n_events = recent_window(histories, short_term, device)
        events = RaggedItems.from_arrays(histories.items, histories.offsets, device)
        rows = torch.arange(len(histories), device=device)
        n_before = int((histories.lengths - short_term).clip(min=0).sum())
        long_term = LongTerm(events, rows, events.offsets.diff() - n_events, n_before)
        seen = torch.from_numpy(histories.seen()).to(device) if histories.exclude_seen else None
        return cls(items, n_events, long_term, seen, gap_classes(timestamps))
