"""Tiers counted by a kernel against three loops, by Triton's interpreter where there is no GPU."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import NamedTuple

import numpy as np
import pytest
import torch

from models.history.long_term import LongTerm, RaggedItems

pytest.importorskip("triton", reason="Triton comes with PyTorch for GPUs, and with the extra [dev] on Linux")

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


class Case(NamedTuple):
    lengths: tuple[int, ...]  # events of each history, of which every second is looked at up to two before its end
    codes: int
    tiers: int
    horizon: int | None = None
    tiers_left_out: int = 0  # of the last, which items may lie in and nobody asks for
    dtype: torch.dtype = torch.int32


CASES = {
    "tiles-that-fit": Case((16, 32), 64, 8),
    "tiles-that-do-not": Case((5, 17, 40, 1), 70, 20),
    "one-of-each": Case((1, 3), 1, 1),
    "empty-histories": Case((0, 4, 0), 3, 4),
    "only-empty-histories": Case((0, 0), 3, 4),
    "no-histories": Case((), 3, 4),
    "horizon": Case((30, 2, 19), 5, 3, horizon=7),
    "tier-that-does-not-count": Case((20, 9), 6, 4, tiers_left_out=1),
    "most-tiers": Case((9, 20), 2, 255, tiers_left_out=1),
    "eight-bytes": Case((12, 21), 4, 5, dtype=torch.int64),
}


def test_counts_are_those_of_three_loops() -> None:
    """In a process of its own: Triton decides when it is imported whether it interprets."""
    environment = {**os.environ, "TRITON_INTERPRET": "0" if DEVICE == "cuda" else "1"}
    done = subprocess.run([sys.executable, __file__], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [*CASES]


def _compare(case: Case) -> None:
    from models.glass.tier_kernels import counted_in_registers

    rng = np.random.default_rng(0)
    tiers = rng.integers(0, case.tiers + case.tiers_left_out, (11, case.codes)).astype(np.uint8)
    histories = [rng.integers(0, 11, length) for length in case.lengths]
    rows = [*range(len(histories))][::-1]  # they come in any order, as windows do
    ends = [max(0, len(histories[row]) - 2 * (row % 2)) for row in rows]
    expected = np.zeros((len(rows), case.codes, case.tiers), dtype=np.int32)
    for number, (row, end) in enumerate(zip(rows, ends, strict=True)):
        for item in histories[row][0 if case.horizon is None else max(0, end - case.horizon) : end]:
            for code in range(case.codes):
                if tiers[item, code] < case.tiers:
                    expected[number, code, tiers[item, code]] += 1
    items = torch.tensor([item for history in histories for item in history], dtype=case.dtype)
    events = RaggedItems(
        items.to(DEVICE), torch.tensor([0, *np.cumsum(case.lengths)]).long().to(DEVICE), max(case.lengths, default=0)
    )
    at = [torch.tensor(numbers, dtype=torch.long, device=DEVICE) for numbers in (rows, ends)]
    long_term = LongTerm(events, *at, horizon=case.horizon)
    counts = counted_in_registers(torch.from_numpy(tiers).to(DEVICE), case.tiers, long_term)
    np.testing.assert_array_equal(counts.cpu().numpy(), expected)


if __name__ == "__main__":
    for name, made in CASES.items():
        _compare(made)
        print(name)
