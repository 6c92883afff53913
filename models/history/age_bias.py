"""A bias of attention over events for how far back each lies. Ours: the papers have none."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

AGE_EDGES = tuple(sorted({math.ceil(2 ** (halves / 2)) for halves in range(1, 26)}))
"""Ages, in events, with which a bucket begins: half powers of two, up to 5,793."""


class AgeBias(nn.Module):
    """Lets attention prefer recent events: a learned scalar per head and bucket of ages, zero at first.

    Buckets are fine near the target and coarse far back, as habits fade: beyond the last edge all ages are alike.

    Args:
        heads: Of the attention.
    """

    edges: Tensor

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.register_buffer("edges", torch.tensor(AGE_EDGES), persistent=False)
        self.table = nn.Parameter(torch.zeros(len(AGE_EDGES) + 1, heads))

    def forward(self, age: Tensor) -> Tensor:
        """Bias `[batch, positions, heads, 1, r]` for ages int64 `[batch, positions, r]`; 1 is the last event's."""
        bucket = torch.bucketize(age, self.edges, right=True)
        return F.embedding(bucket, self.table).transpose(-1, -2).unsqueeze(-2)
