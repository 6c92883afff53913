"""Semantic hard search: the long-term items whose first-level code is the generated one (GLASS, arXiv 2602.05663)."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.data.interactions import PAD


class SemanticSearchIndex:
    """Events of every row, sorted by first-level code and then by time: one bucket per row and code, as in a CSR.

    One sorted array of integers `(row, code, position)` finds a bucket, and within it the events before any position,
    by binary search; memory is two integers an event, whatever the codebook size.

    Args:
        items: int64 `[n_events]`, row after row, chronological.
        offsets: int64 `[n_rows + 1]`.
        first_codes: int64 `[n_items]`, first-level code of each item.
        codebook_size: K0.
    """

    def __init__(self, items: Tensor, offsets: Tensor, first_codes: Tensor, codebook_size: int) -> None:
        lengths = offsets.diff()
        row = torch.repeat_interleave(torch.arange(len(lengths), device=items.device), lengths)
        position = torch.arange(len(items), device=items.device) - offsets[row]
        self._codebook_size = codebook_size
        self._span = len(items) + 1
        key = (row * codebook_size + first_codes[items]) * self._span + position
        self._key, self._event = key.sort()

    def search(
        self,
        rows: Tensor,
        ends: Tensor,
        codes: Tensor,
        limit: int,
        neighbours: Tensor | None = None,
        threshold: int = 0,
    ) -> Tensor:
        """The most recent long-term events of a code and, where these are few, of its neighbours.

        Args:
            rows: int64 `[batch]`.
            ends: int64 `[batch]`; only events before this position count.
            codes: int64 `[batch, positions]`.
            limit: Most events to return.
            neighbours: int64 `[codebook_size, n_neighbours]`, similar codes, nearest first. None: never augment.
            threshold: tau; with fewer own events than this, the neighbours' events are appended.

        Returns:
            int64 `[batch, positions, limit]`, places in `items`: the code's own events, most recent first, then those
            of the nearest neighbour, most recent first, and so on; padded with `PAD`.
        """
        if len(self._event) == 0:
            return torch.full((*codes.shape, limit), PAD, device=codes.device)
        asked = codes.unsqueeze(-1)
        if neighbours is not None:
            asked = torch.cat([asked, neighbours[codes]], dim=-1)
        bucket = (rows[:, None, None] * self._codebook_size + asked) * self._span
        low = torch.searchsorted(self._key, bucket)
        high = torch.searchsorted(self._key, bucket + ends[:, None, None])
        count = high - low
        count[..., 1:] *= count[..., :1] < threshold
        # Place p of the answer lies in the first bucket whose running total exceeds p.
        total = count.cumsum(-1)
        place = torch.arange(limit, device=codes.device).expand(*codes.shape, limit).contiguous()
        chosen = torch.searchsorted(total, place, right=True)
        found = chosen < total.shape[-1]
        chosen = chosen.clamp(max=total.shape[-1] - 1)
        within = place - (total - count).gather(-1, chosen)
        source = (high.gather(-1, chosen) - 1 - within).clamp(min=0, max=len(self._event) - 1)
        return torch.where(found, self._event[source], PAD)


def nearest_codes(
    prototypes: NDArray[np.float32], n_neighbours: int, used: NDArray[np.bool_] | None = None
) -> NDArray[np.int64]:
    """The codes with the most similar prototypes (cosine), nearest first, a code itself left out.

    Args:
        prototypes: float32 `[codebook_size, dims]`.
        n_neighbours: How many; capped at the number of other codes that are used.
        used: bool `[codebook_size]`, codes that have items; the others are nobody's neighbours, since a search for them
            finds nothing. None: all.

    Returns:
        int64 `[codebook_size, n_neighbours]`.
    """
    unit = prototypes / np.maximum(np.linalg.norm(prototypes, axis=1, keepdims=True), 1e-12)
    cosine = (unit @ unit.T).astype(np.float64)
    np.fill_diagonal(cosine, -np.inf)
    usable = len(prototypes)
    if used is not None:
        cosine[:, ~used] = -np.inf
        usable = int(used.sum())
    return np.argsort(-cosine, axis=1, kind="stable")[:, : min(n_neighbours, usable - 1)]
