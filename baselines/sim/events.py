"""What SIM reads: histories up to a moment in time, and what the general search unit retrieves of them, as indices."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bench.data.interactions import PAD
from models.history.long_term import look_up
from models.history.semantic_search import SemanticSearchIndex

GAP_BUCKETS = 32
"""Buckets of time gaps in seconds, floor(log2(1 + gap)): the last one begins after 68 years."""

ORDER_BUCKETS = 64
"""Buckets of gaps in events, floor(4 log2(1 + gap)), all distinct for the last few events: the last one begins after
55,000 events."""


@dataclass(frozen=True)
class Events:
    """Holds all histories as ragged rows, indexed by category.

    Attributes:
        items, timestamps: int64 `[n_events]`.
        offsets: int64 `[n_rows + 1]`.
        index: Finds events by category.
    """

    items: Tensor
    timestamps: Tensor
    offsets: Tensor
    index: SemanticSearchIndex


@dataclass(frozen=True)
class RetrievedEvents:
    """Holds the events to attend to: those that exist, once each, and the padded slots that they fill.

    Attributes:
        items: Their items, int64 `[n_retrieved]`.
        time_gaps, order_gaps: Buckets of their gaps to now in seconds and in events, int64 `[n_retrieved]`.
        slots: int64 `[batch, ..., n]`, 1 + the number of the event that fills a slot; 0 where the slot is empty.
    """

    items: Tensor
    time_gaps: Tensor
    order_gaps: Tensor
    slots: Tensor


@dataclass(frozen=True)
class Moments:
    """Names users at moments in time: what SIM sees of a batch.

    Attributes:
        events: Where the histories lie.
        rows: int64 `[batch]`.
        ends: int64 `[batch]`; the history is the first `ends` events of the row.
    """

    events: Events
    rows: Tensor
    ends: Tensor

    def recent(self, length: int, skipped: int = 0) -> Tensor:
        """Returns the indices int64 `[batch, length]` of recent events, most recent first, padded with `PAD`.

        The `skipped` most recent ones are left out.
        """
        back = skipped + torch.arange(length, device=self.ends.device)
        index = (self.events.offsets[self.rows] + self.ends)[:, None] - 1 - back
        return torch.where(back < self.ends[:, None], index, PAD)

    def of_categories(self, categories: Tensor, limit: int, skipped: int) -> Tensor:
        """Searches hard: indices of the most recent events of a category that precede the last `skipped` events.

        Args:
            categories: int64 `[batch or 1, n]`.
            limit: Most events a category.
            skipped: Events of the short term.

        Returns:
            int64 `[batch, n, limit]`, most recent first, padded with `PAD`.
        """
        ends = (self.ends - skipped).clamp(min=0)
        return self.events.index.search(self.rows, ends, categories.expand(len(ends), -1), limit)

    def now(self) -> Tensor:
        """Returns the time of the last event, int64 `[batch]`; 0 where there is none."""
        last = self.recent(1)[:, 0]
        return torch.where(last != PAD, look_up(self.events.timestamps, last), 0)

    def retrieved(self, index: Tensor) -> RetrievedEvents:
        """Gathers the events at indices int64 `[batch, ..., n]`, padded with `PAD`."""
        filled = index != PAD
        user, at = filled.nonzero()[:, 0], index[filled]
        newest = self.events.offsets[self.rows] + self.ends - 1
        slots = torch.zeros_like(index)
        slots[filled] = torch.arange(1, len(at) + 1, device=at.device)
        return RetrievedEvents(
            items=self.events.items[at],
            time_gaps=_log_bucket(self.now()[user] - self.events.timestamps[at], 1, GAP_BUCKETS),
            order_gaps=_log_bucket(newest[user] - at, 4, ORDER_BUCKETS),
            slots=slots,
        )


def _log_bucket(gap: Tensor, per_octave: int, buckets: int) -> Tensor:
    """floor(per_octave * log2(1 + gap)), int64, capped at the last bucket; negative gaps count as 0."""
    return ((gap.clamp(min=0) + 1).double().log2() * per_octave).long().clamp(max=buckets - 1)
