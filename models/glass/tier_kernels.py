"""The counts of SID-Tier on a GPU, without a cell for every event and code: one program for some codes of a history.

Cells of 1,024 histories of 700 events and 128 codes are 92 million numbers of eight bytes, which are written, read and
scattered; here a byte of each is read, and what is counted stays in registers.
"""

# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from models.history.long_term import LongTerm

_EVENTS, _MOST_CODES, _MOST_TIERS = 16, 64, 8
"""Events that a program looks at at a time, and the most codes and tiers that it counts."""


@triton.jit
def _count_kernel(
    tiers, items, begins, lengths, counts, n_codes, n_tiers,
    EVENTS: tl.constexpr, CODES: tl.constexpr, TIERS: tl.constexpr,
):  # fmt: skip
    """Into `counts` int32 `[n, n_codes, n_tiers]`, of `tiers` uint8 `[n_items, n_codes]`.

    The events of history n are `items[begins[n] : begins[n] + lengths[n]]`.
    """
    n = tl.program_id(0).to(tl.int64)
    code = tl.program_id(1) * CODES + tl.arange(0, CODES)
    tier = tl.program_id(2) * TIERS + tl.arange(0, TIERS)
    begin, length = tl.load(begins + n), tl.load(lengths + n)
    found = tl.zeros([TIERS, CODES], tl.int32)
    for start in range(0, length, EVENTS):
        event = start + tl.arange(0, EVENTS)
        there = event < length
        item = tl.load(items + begin + event, there, 0).to(tl.int64)
        rows = tiers + item[:, None] * n_codes + code[None, :]
        seen = tl.load(rows, there[:, None] & (code < n_codes)[None, :], 0).to(tl.int32)
        hits = (seen[:, None, :] == tier[None, :, None]) & there[:, None, None]
        found += tl.sum(hits.to(tl.int32), 0)
    cell = counts + (n * n_codes + code[None, :]) * n_tiers + tier[:, None]
    tl.store(cell, found, (code < n_codes)[None, :] & (tier < n_tiers)[:, None])


def counted_in_registers(tiers: Tensor, n_tiers: int, long_term: LongTerm) -> Tensor:
    """The counts int32 `[batch, codebook_size, n_tiers]` of `tier_counts`, without waiting for the device."""
    batch, n_codes = len(long_term.rows), tiers.shape[1]
    begins = long_term.events.offsets[long_term.rows] + long_term.begins
    counts = torch.empty(batch, n_codes, n_tiers, dtype=torch.int32, device=tiers.device)
    codes, at_a_time = (
        min(most, triton.next_power_of_2(size)) for most, size in ((_MOST_CODES, n_codes), (_MOST_TIERS, n_tiers))
    )
    if batch:
        _count_kernel[(batch, triton.cdiv(n_codes, codes), triton.cdiv(n_tiers, at_a_time))](
            tiers, long_term.events.items, begins, long_term.lengths.contiguous(), counts, n_codes, n_tiers,
            EVENTS=_EVENTS, CODES=codes, TIERS=at_a_time,
        )  # fmt: skip
    return counts
