"""Copying the codes of events that a model reads: generating and copying share one softmax.

CopyNet's mechanism (Gu et al., ACL 2016, arXiv 1603.06393, equations 4 to 7), brought to semantic IDs by us: neither
TIGER nor GLASS has it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from models.history.age_bias import AgeBias
from models.history.prefix_bias import agreement

KEY_DIM = 32
"""Width of the keys by which events are told apart: small, as every target keeps one for each event."""


@dataclass(frozen=True)
class CopyableEvents:
    """Holds the events of a batch whose codes may be copied, and what a `CopyHead` scores them by.

    Attributes:
        key: float32 `[batch, positions or 1, r, KEY_DIM]`, from `CopyHead.key`.
        codes: int64 `[batch, positions or 1, r, levels]`.
        age: int64 `[batch or 1, positions, r]`, how many events ago each lies; 1 is the last event.
        present: bool `[batch, positions, r]`; the others are padding, or later than the target.
    """

    key: Tensor
    codes: Tensor
    age: Tensor
    present: Tensor


@dataclass(frozen=True)
class Copies:
    """Holds what copying adds to the scores of consecutive levels.

    Attributes:
        scores: float32 `[..., n_levels, r]`, of copying each event; -inf where it may not be copied.
        codes: int64 `[..., n_levels, r]`, the code that a copy of each event adds.
        first_level: The level of the first of them.
    """

    scores: Tensor
    codes: Tensor
    first_level: int

    def at(self, chosen: Callable[[Tensor], Tensor]) -> Copies:
        """Selects some targets: `chosen` makes `[n, ...]` of `[batch, positions, ...]`."""
        return replace(self, scores=chosen(self.scores), codes=chosen(self.codes))

    def added_to(self, logits: Tensor, level: int) -> Tensor:
        """Scores `[..., codebook_size]` of a level's codes, for a softmax that generating and copying share.

        A code's weight there is that of generating it plus those of all events that a copy would take it from. The
        scores of a level below `first_level` are left as they are.
        """
        if level < self.first_level:
            return logits
        scores, codes = self.scores[..., level - self.first_level, :], self.codes[..., level - self.first_level, :]
        top = scores.detach().amax(-1, keepdim=True).clamp(min=torch.finfo(scores.dtype).min)
        weight = torch.zeros_like(logits).scatter_add(-1, codes, (scores - top).exp())
        # The logarithm of a weight of zero has no gradient; a clamped one has, and is not used.
        copied = torch.where(weight > 0, weight.clamp(min=torch.finfo(weight.dtype).tiny).log() + top, -torch.inf)
        return torch.logaddexp(logits, copied)


class CopyHead(nn.Module):
    """Scores events for being copied: by what the decoder is about to say, by how long ago they lie, and by level.

    An event may be copied at a level if its item has the codes generated so far.

    Args:
        dim: Width of decoder states and of what keys are made of.
        levels: Of the semantic IDs.
    """

    def __init__(self, dim: int, levels: int) -> None:
        super().__init__()
        self.query = nn.Linear(dim, KEY_DIM, bias=False)
        self.key = nn.Linear(dim, KEY_DIM, bias=False)
        self.level_bias = nn.Parameter(torch.zeros(levels))
        self.age_bias = AgeBias(heads=1)

    def forward(self, hidden: Tensor, known: Tensor, events: CopyableEvents) -> Copies:
        """Scores events for the levels that the last decoder states are about to say.

        Args:
            hidden: float32 `[batch, positions, tokens, dim]`.
            known: int64 `[batch, positions, n_known]`, the codes that the last of these states knows.
            events: What may be copied.

        Returns:
            For the levels `n_known - tokens + 1 .. n_known`.
        """
        n_known, tokens = known.shape[-1], hidden.shape[2]
        first = n_known - tokens + 1
        scores = torch.einsum("bptd,bprd->bptr", self.query(hidden), events.key).float() / KEY_DIM**0.5
        scores = scores + self.level_bias[first : n_known + 1, None] + self.age_bias(events.age).squeeze(2)
        present = events.present.unsqueeze(2)
        may = present & agreement(known, events.codes)[:, :, -tokens:]
        if first == 0:  # all agree where nothing is known yet
            may = torch.cat([present, may], dim=2)
        scores = scores.masked_fill(~may, -torch.inf)
        codes = events.codes[..., first : n_known + 1].transpose(-1, -2)
        return Copies(scores, codes.expand(*scores.shape[:2], -1, -1), first)
