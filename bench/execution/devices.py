"""One run on several devices of this machine: a process for each, which train together.

The processes are a group of `torch.distributed`: `gloo` on CPUs, `nccl` on GPUs. The first makes the run, validations,
test and checkpoints included, while the others help it train and wait when it judges. When one of them fails, all end.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from loky import ProcessPoolExecutor

from bench.errors import BenchError
from bench.execution import environment
from bench.parentage import begin_as_worker

T = TypeVar("T")

_HOST = "127.0.0.1"
_LONGEST_WAIT = timedelta(days=7)
"""Of a process for the others; that one has failed is found otherwise, and a validation may take long."""

_TRANSPORTS = ("gloo", "nccl")
"""What an error names that comes from the connection between the processes."""

_SECONDS_FOR_THE_CAUSE = 10.0
"""A process that has lost another may say so before it is known what ended that one."""


@dataclass(frozen=True)
class Place:
    """One of the processes of a run.

    Attributes:
        number: From 0; 0 makes the run.
        of: How many there are.
        port: Of this machine, where they find one another.
    """

    number: int
    of: int
    port: int

    @contextmanager
    def joined(self, device: str) -> Iterator[None]:
        """A block in which this process belongs to the group.

        Raises:
            LostPeerError: Another process has left the group early.
        """
        import torch.distributed as dist

        store = dist.TCPStore(_HOST, self.port, self.of, is_master=False, timeout=_LONGEST_WAIT)
        dist.init_process_group(
            "nccl" if device == "cuda" else "gloo",
            store=store,
            rank=self.number,
            world_size=self.of,
            timeout=_LONGEST_WAIT,
        )
        try:
            yield
        except RuntimeError as error:
            if any(word in str(error).lower() for word in _TRANSPORTS):
                raise LostPeerError(str(error)) from error
            raise
        finally:
            dist.destroy_process_group()

    def told_by_the_first(self, score: Callable[[], float], device: str) -> float:
        """What the first process makes of a question that all of them ask."""
        import torch
        import torch.distributed as dist

        answer = torch.tensor(score() if self.number == 0 else 0.0, dtype=torch.float64, device=device)
        dist.broadcast(answer, src=0)
        return float(answer.item())


def joined() -> int:
    """How many devices train with this process, its own included."""
    import torch.distributed as dist

    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def together(member: Callable[[Place], T], devices: int, device: str) -> T:
    """Calls a function in a process for each of some devices, and returns what the first process does.

    Args:
        member: Called with the place of its process. Each sees one GPU, the first ones that this process sees.
        devices: How many.
        device: "cpu" or "cuda".

    Raises:
        BenchError: There are not so many GPUs.
        Exception: What the process raised that failed first.
    """
    import torch.distributed as dist

    store = dist.TCPStore(_HOST, 0, None, is_master=True, wait_for_workers=False)
    pools = [
        ProcessPoolExecutor(max_workers=1, env=variables, initializer=begin_as_worker, initargs=(os.getpid(),))
        for variables in _variables(devices, device)
    ]
    try:
        calls = [pool.submit(member, Place(number, devices, int(store.port))) for number, pool in enumerate(pools)]
        wait(calls, return_when=FIRST_EXCEPTION)
        _raise_the_cause(calls)
        return calls[0].result()
    finally:
        for pool in pools:
            pool.shutdown(wait=True, kill_workers=True)


def _variables(devices: int, device: str) -> list[dict[str, str]]:
    """Of the environment of each process."""
    if device != "cuda":
        return [{} for _ in range(devices)]
    gpus = environment.gpus()
    if len(gpus) < devices:
        raise BenchError(f"--devices {devices}: this process sees {len(gpus)} GPUs")
    return [{"CUDA_VISIBLE_DEVICES": gpu} for gpu in gpus[:devices]]


def _raise_the_cause(calls: Sequence[Future[T]]) -> None:
    """Raises what ended the calls, if one has failed: not that a process has lost another, but why it has."""
    deadline = time.monotonic() + _SECONDS_FOR_THE_CAUSE
    while failed := [call for call in calls if call.done() and call.exception() is not None]:
        for call in failed:
            if isinstance(call.exception(), BrokenProcessPool):
                raise DeviceLostError(
                    f"the process of device {calls.index(call) + 1} of {len(calls)} died (out of memory?)"
                )
            if not isinstance(call.exception(), LostPeerError):
                call.result()
        if time.monotonic() > deadline:
            failed[0].result()
        time.sleep(0.05)


class LostPeerError(RuntimeError):
    """Another process of the run has ended; what ended it is told by that one."""


class DeviceLostError(RuntimeError):
    """The process of one device has died, and with it the run of all."""
