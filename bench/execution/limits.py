"""What a run may use of time and memory."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

import psutil

_GIB = 2**30


@dataclass(frozen=True)
class Limits:
    """Of one run; a run that goes beyond them is ended, and becomes a failed row.

    Attributes:
        seconds: From the moment at which its process turns to it, preparation and test included. None for none.
        gib: Resident memory of its process and those that it starts, in GiB. None for none.
    """

    seconds: float | None = None
    gib: float | None = None


NO_LIMITS = Limits()


@dataclass
class Usage:
    """Follows one run in a worker process.

    Attributes:
        limits: What it may use.
        started: When its process turned to it (`time.monotonic`).
    """

    limits: Limits
    started: float = field(default_factory=time.monotonic)

    def excess(self, pid: int | None) -> str:
        """What the run in process `pid` has too much of, as a reason; "" while it keeps to its limits."""
        seconds, gib = self.limits.seconds, self.limits.gib
        if time.monotonic() - self.started > (math.inf if seconds is None else seconds):
            return f"not done after the time limit of a run, {seconds:g} s (--run-timeout)"
        if gib is not None and pid is not None and (used := _resident(pid) / _GIB) > gib:
            # Rounded up, so that the figure is above the limit as it is read, too.
            shown = math.ceil(used * 100) / 100
            return f"took {shown:.2f} GiB, more than the memory limit of a run, {gib:g} GiB (--run-memory)"
        return ""


def _resident(pid: int) -> int:
    """Bytes of memory that a process and its descendants hold; 0 where it has ended."""
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
    except psutil.Error:
        return 0
    return sum(map(_own_resident, family))


def _own_resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0
