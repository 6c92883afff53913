"""Semantic hard search: the long-term items whose first-level code is the generated one (GLASS, arXiv 2602.05663)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.data.interactions import PAD, row_chunks
from bench.data.roomy import roomy

_CHUNK_EVENTS = 1 << 22
"""Events that are sorted at a time."""


class SemanticSearchIndex:
    """Finds a code's most recent events before any position: every row sorted by first-level code, then by time.

    One integer an event, `code * span + position`, sorted within its row, is all that is stored: bisecting a row finds
    a code's events before any position, and the remainder by `span` says where an event lies. 32 bits suffice where
    codes times the longest row do, so 200 million events take 0.8 GB, whatever the codebook size.

    Args:
        items: int64 `[n_events]`, row after row, chronological.
        offsets: int64 `[n_rows + 1]`.
        first_codes: int64 `[n_items]`, first-level code of each item.
        codebook_size: K0.
        longest: Events of the longest row. None: it is looked up, for which a GPU has to be waited for.

    A history of items 0, 1, 2, 1, 0, of which 0 and 2 have the first-level code 0; event 4 lies after the long-term
    history, which ends before position 4:

    >>> index = SemanticSearchIndex(
    ...     items=torch.tensor([0, 1, 2, 1, 0]),
    ...     offsets=torch.tensor([0, 5]),
    ...     first_codes=torch.tensor([0, 1, 0]),
    ...     codebook_size=2,
    ... )
    >>> index.search(rows=torch.tensor([0]), ends=torch.tensor([4]), codes=torch.tensor([[0, 1]]), limit=3).tolist()
    [[[2, 0, -1], [3, 1, -1]]]
    """

    def __init__(
        self, items: Tensor, offsets: Tensor, first_codes: Tensor, codebook_size: int, longest: int | None = None
    ) -> None:
        if longest is None:
            longest = int(offsets.diff().max()) if len(offsets) > 1 else 0
        self._offsets = offsets
        self._span = longest + 1
        self._halvings = longest.bit_length()
        keys = codebook_size * self._span
        dtype = torch.int32 if keys <= torch.iinfo(torch.int32).max else torch.int64
        bucket = (first_codes * self._span).to(dtype)
        sort = sorted_at_once if items.is_cuda else sorted_by_row
        self._key = sort(items, offsets, bucket, keys)

    @property
    def nbytes(self) -> int:
        """How many bytes of memory the index takes."""
        return self._key.nbytes

    def search(
        self,
        rows: Tensor,
        ends: Tensor,
        codes: Tensor,
        limit: int,
        neighbours: Tensor | None = None,
        threshold: int = 0,
        begins: Tensor | None = None,
    ) -> Tensor:
        """Retrieves the most recent long-term events of a code and, where these are few, of its neighbours.

        Args:
            rows: int64 `[batch]`.
            ends: int64 `[batch]` or `[batch, positions or 1]`; only events before this position of the row count.
            codes: int64 `[batch, positions]`.
            limit: Most events to return.
            neighbours: int64 `[codebook_size, n_neighbours]`, similar codes, nearest first. None: never augment.
            threshold: tau; with fewer own events than this, the neighbours' events are appended.
            begins: int64 like `ends`; only events from this position of the row on count. None: from the first.

        Returns:
            int64 `[batch, positions, limit]`, indices of `items`: the code's own events, most recent first, then those
            of the nearest neighbour, most recent first, and so on; padded with `PAD`.
        """
        if len(self._key) == 0:
            return torch.full((*codes.shape, limit), PAD, device=codes.device)
        wanted = codes.unsqueeze(-1)
        if neighbours is not None:
            wanted = torch.cat([wanted, neighbours[codes]], dim=-1)
        bucket = wanted * self._span
        before = (ends.unsqueeze(1) if ends.ndim == 1 else ends).unsqueeze(-1)
        first = bucket
        if begins is not None:
            first = bucket + (begins.unsqueeze(1) if begins.ndim == 1 else begins).unsqueeze(-1)
        low, high = self._bisect(rows, torch.stack([first, bucket + before])).unbind()
        count = high - low
        count[..., 1:] *= count[..., :1] < threshold
        # Entry number p of the answer lies in the first bucket whose running total exceeds p.
        total = count.cumsum(-1)
        number = torch.arange(limit, device=codes.device).expand(*codes.shape, limit).contiguous()
        chosen = torch.searchsorted(total, number, right=True)
        exists = chosen < total.shape[-1]
        chosen = chosen.clamp(max=total.shape[-1] - 1)
        within = number - (total - count).gather(-1, chosen)
        source = (high.gather(-1, chosen) - 1 - within).clamp(min=0, max=len(self._key) - 1)
        return torch.where(exists, self._offsets[rows][:, None, None] + self._key[source] % self._span, PAD)

    def _bisect(self, rows: Tensor, keys: Tensor) -> Tensor:
        """The first entry of each row whose key is not below a given one.

        Args:
            rows: int64 `[batch]`.
            keys: int64 `[..., batch, positions, n]`.

        Returns:
            int64 like `keys`, indices of the sorted keys; the end of the row where all its keys are below.
        """
        low = self._offsets[rows][:, None, None].expand_as(keys)
        high = self._offsets[rows + 1][:, None, None].expand_as(keys)
        for _ in range(self._halvings):
            middle = (low + high) // 2
            below = (self._key[middle.clamp(max=len(self._key) - 1)] < keys) & (middle < high)
            low = torch.where(below, middle + 1, low)
            high = torch.where(below, high, middle)
        return low


def sorted_at_once(items: Tensor, offsets: Tensor, bucket: Tensor, keys: int) -> Tensor:
    """The keys of all rows, each row sorted, in few sorts of many rows: the way of a GPU.

    Args:
        items: int64 `[n_events]`.
        offsets: int64 `[n_rows + 1]`.
        bucket: int32 or int64 `[n_items]`, `code * span` of each item.
        keys: More than the largest key.

    Returns:
        `code * span + position` of each event, `[n_events]`, of the type of `bucket`.
    """
    sorted_keys = torch.empty(len(items), dtype=bucket.dtype, device=items.device)
    lengths = offsets.diff()
    for rows, events in _chunks(offsets, len(items)):
        numbers = torch.arange(rows.stop - rows.start, device=items.device)
        row = torch.repeat_interleave(numbers, lengths[rows], output_size=events.stop - events.start)
        position = torch.arange(events.start, events.stop, device=items.device) - offsets[rows.start + row]
        key = row * keys + bucket[items[events]] + position
        sorted_keys[events] = key.sort().values % keys
    return sorted_keys


def sorted_by_row(items: Tensor, offsets: Tensor, bucket: Tensor, keys: int) -> Tensor:
    """The same, row by row: on a CPU a quarter of the work, for keys of one row have half the bytes."""
    of_item, item, begins = bucket.numpy(), items.numpy(), offsets.numpy()
    sorted_keys = roomy(len(item), of_item.dtype)
    for rows, events in _chunks(offsets, len(item)):
        key, first = sorted_keys[events], begins[rows] - events.start
        position = np.arange(len(key), dtype=key.dtype)
        position -= np.repeat(first.astype(key.dtype), np.diff(begins[rows.start : rows.stop + 1]))
        np.add(of_item[item[events]], position, out=key)
        for begin, end in pairwise([*first.tolist(), len(key)]):
            key[begin:end].sort()
    return torch.from_numpy(sorted_keys)


def _chunks(offsets: Tensor, n_events: int) -> Iterator[tuple[slice, slice]]:
    """Rows, and their events, that are sorted at a time."""
    if n_events <= _CHUNK_EVENTS:  # known without asking the device
        yield slice(0, len(offsets) - 1), slice(0, n_events)
        return
    for rows in row_chunks(offsets.cpu().numpy(), _CHUNK_EVENTS):
        yield rows, slice(int(offsets[rows.start]), int(offsets[rows.stop]))


def nearest_codes(
    prototypes: NDArray[np.float32], n_neighbours: int, used: NDArray[np.bool_] | None = None
) -> NDArray[np.int64]:
    """Returns for each code the others with the most similar prototypes (cosine), nearest first.

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
