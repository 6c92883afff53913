"""The long-term history as one token per group of items: CAUSE (WSDM 2026, arXiv 2601.19158).

Constants are those of github.com/Genemmender/CAUSE at commit 9f167b7. A group is a category or a cluster of similar
items. Where SID-Tier counts how near the old events lie to every code, a group token is what the old events of one
group mean, and stands before the recent events like an event of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from models.history.long_term import LongTerm


@dataclass(frozen=True)
class TokenRows:
    """Group tokens and events of a batch, row by row without gaps: first the tokens, then the events, then padding.

    Attributes:
        tokens: float32 `[batch, width, d]`.
        present: bool `[batch, width]`.
        timestamps: int64 `[batch, width]`; a group's is that of its last event.
        first_event: int64 `[batch]`, where the events of each row begin: its number of group tokens.
    """

    tokens: Tensor
    present: Tensor
    timestamps: Tensor
    first_event: Tensor

    def of_events(self, hidden: Tensor, length: int) -> Tensor:
        """The states `[batch, length, d]` of the events among the states `[batch, width, d]` of the rows."""
        place = self.first_event.unsqueeze(1) + torch.arange(length, device=hidden.device)
        return hidden.gather(1, place.unsqueeze(-1).expand(-1, -1, hidden.shape[-1]))


class GroupTokens(nn.Module):
    """Makes the tokens: the mean vector of a group's last events and a vector of the group itself.

    Args:
        group_of_item: int64 `[n_items]`, -1 where an item belongs to none; its events are left out.
        dim: Width.
        most_events: Most recent events of a group that count (`max_items_per_group`, 32 unless set).
        std: Deviation of the groups' vectors at the beginning.
    """

    group_of_item: Tensor

    def __init__(self, group_of_item: NDArray[np.int64], dim: int, most_events: int, std: float) -> None:
        super().__init__()
        self.register_buffer("group_of_item", torch.from_numpy(group_of_item), persistent=False)
        self.n_groups = int(group_of_item.max(initial=0)) + 1
        self.most_events = most_events
        self.groups = nn.Embedding(self.n_groups, dim)
        nn.init.normal_(self.groups.weight, std=std)

    def forward(
        self, table: Tensor, old: LongTerm, times: LongTerm, events: Tensor, present: Tensor, timestamps: Tensor
    ) -> TokenRows:
        """Puts the tokens of old histories before events.

        Args:
            table: float32 `[n_items, d]`, the items' vectors.
            old: The old history of each row.
            times: The same events' times in the place of items.
            events: float32 `[batch, length, d]`, the recent events, left-aligned.
            present: bool `[batch, length]`.
            timestamps: int64 `[batch, length]`.
        """
        rows, slot, tokens, last = self._summaries(table, old, times)
        batch, length, dim = events.shape
        count = torch.bincount(rows, minlength=batch)
        # Training needs no more room than its longest row; queries have all of it, so no list depends on its batch.
        room = (int(count.max()) if batch else 0) if self.training else self.n_groups
        placed = events.new_zeros(batch, room, dim).index_put((rows, slot), tokens)
        dated = timestamps.new_zeros(batch, room).index_put((rows, slot), last)
        column = torch.arange(room + length, device=events.device)
        of_group = column < count.unsqueeze(1)
        event = column - count.unsqueeze(1)
        source = torch.where(of_group, column, room + event.clamp(0, length - 1))
        is_event = ~of_group & (event < length) & present.gather(1, event.clamp(0, length - 1))
        both = torch.cat([placed, events], 1).gather(1, source.unsqueeze(-1).expand(-1, -1, dim))
        return TokenRows(both, of_group | is_event, torch.cat([dated, timestamps], 1).gather(1, source), count)

    def _summaries(self, table: Tensor, old: LongTerm, times: LongTerm) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Row, place in it, vector and last time of every token; the group that was met last comes first."""
        row, item = old.flattened()
        group = self.group_of_item[item]
        known = (group >= 0).nonzero().squeeze(1)
        key, order = (row * self.n_groups + group)[known].sort(stable=True)
        event = known[order]
        segment, size = torch.unique_consecutive(key, return_counts=True)
        end = size.cumsum(0)
        from_last = end.repeat_interleave(size) - 1 - torch.arange(len(event), device=event.device)
        counted = size.clamp(max=self.most_events)
        means = F.embedding_bag(
            item[event[from_last < self.most_events]], table, counted.cumsum(0) - counted, mode="mean"
        )
        last = event[end - 1]
        tokens = means + self.groups(segment % self.n_groups)
        rows = segment // self.n_groups
        by_time = last.argsort()  # rows stay in order, since events are numbered row by row
        by_row = rows[by_time]
        after = torch.bincount(by_row, minlength=len(old.rows)).cumsum(0)[by_row]
        slot = after - 1 - torch.arange(len(by_row), device=event.device)
        return by_row, slot, tokens[by_time], times.flattened()[1][last[by_time]]
