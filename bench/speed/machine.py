"""What a machine can do at best: bytes that it copies and numbers that it multiplies in a second, measured."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from typing import Any

import numpy as np

from bench.execution import environment

_REPEATS = 7
_BYTES_OF_ADAM = 28
"""Of each parameter in a step of Adam: weight, gradient and two moments read, all but the gradient written, 4 each."""


@dataclass(frozen=True)
class Machine:
    """A device and its best rates, medians of some repeats.

    Attributes:
        device: "cpu" or "cuda".
        hardware: Its name.
        threads: Of the process.
        copy_rate: Bytes a second that a copy of a large array reads and writes.
        matrix_rate: FLOP a second of large float32 products, in the precision in which models are trained there.
        bfloat16_rate: Of bfloat16 products.
        precision: "float32", or "tf32" where float32 products use tensor cores.
        versions: Of Python and packages.
        commit: Of this project.
        measured: When, UTC.
    """

    device: str
    hardware: str
    threads: int
    copy_rate: float
    matrix_rate: float
    bfloat16_rate: float
    precision: str
    versions: dict[str, str]
    commit: str
    measured: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def floor_of_step(self, flops: float | None, parameters: int) -> Floor:
        """The least time of a training step: its products, and Adam's passes over the parameters."""
        return self._floor(flops, _BYTES_OF_ADAM * parameters)

    def floor_of_answer(self, flops: float | None, parameters: int) -> Floor:
        """The least time of an answer: its products, and reading every parameter once."""
        return self._floor(flops, 4 * parameters)

    def _floor(self, flops: float | None, n_bytes: int) -> Floor:
        arithmetic, bandwidth = (flops or 0) / self.matrix_rate, n_bytes / self.copy_rate
        return Floor(max(arithmetic, bandwidth), "arithmetic" if arithmetic >= bandwidth else "bandwidth")


@dataclass(frozen=True)
class Floor:
    """No implementation of the same computation is faster: seconds, and what bounds it."""

    seconds: float
    bound: str


def measure_machine(device: str, threads: int) -> Machine:
    """Measures the machine in this process."""
    import torch

    prepare(device, threads)
    on_gpu = device == "cuda"
    n_copied = 1 << 29 if on_gpu else 1 << 25
    source = torch.ones(n_copied, device=device)
    target = torch.empty_like(source)
    copying = median_seconds(lambda: target.copy_(source), device)
    rates = []
    for kind, width in ((torch.float32, 1536), (torch.bfloat16, 256)):  # a CPU without bfloat16 takes long
        width = 8192 if on_gpu else width
        left, right = (torch.ones(width, width, device=device, dtype=kind) for _ in range(2))
        rates.append(2 * width**3 / median_seconds(lambda left=left, right=right: left @ right, device))  # type: ignore[misc]
    return Machine(
        device=device,
        hardware=environment.device_name(device),
        threads=threads,
        copy_rate=2 * 4 * n_copied / copying,
        matrix_rate=rates[0],
        bfloat16_rate=rates[1],
        precision="tf32" if on_gpu else "float32",
        versions=environment.versions(),
        commit=environment.commit(),
        measured=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )


def prepare(device: str, threads: int) -> None:
    """Sets threads and precision as runs of a suite have them."""
    import torch

    torch.set_num_threads(threads)
    torch.set_float32_matmul_precision("high" if device == "cuda" else "highest")


def seconds_of(work: Callable[[], object], device: str, repeats: int) -> list[float]:
    """Times some calls, after one that is not counted; each ends when the device has done its work.

    On a GPU two are not counted: the second may be recorded (`models.generation.recorded_answers`).
    """
    for _ in range(2 if device == "cuda" else 1):
        work()
    settle(device)
    taken = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        settle(device)
        taken.append(time.perf_counter() - started)
    return taken


def median_seconds(work: Callable[[], object], device: str) -> float:
    """The median of a few calls."""
    return float(np.median(seconds_of(work, device, _REPEATS)))


def settle(device: str) -> None:
    """Waits until a GPU has done all that it was told to."""
    if device == "cuda":
        import torch

        torch.cuda.synchronize()
