"""How fast this machine is, beside the one that the timings of this project were made on: measured once, and kept."""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from bench.execution.environment import device_name
from bench.files import replaced
from bench.json_text import parse_json

CACHE_VARIABLE = "GLASS_BENCH_CACHE"
"""Names the folder of what was measured on this machine, in place of the usual one."""

REFERENCE_SECONDS = 0.043
"""What `measured` gave on the machine of `reference_timings.json`."""

_SLOWEST, _FASTEST = 10.0, 0.1
"""Ratios beyond which the work below tells nothing of how long a training takes."""

_REPEATS, _ROUNDS, _WIDTH, _ROWS = 5, 30, 256, 4096


def cache_folder() -> Path:
    """The user's folder for what was measured: `$GLASS_BENCH_CACHE`, else as the XDG rules have it."""
    if chosen := os.environ.get(CACHE_VARIABLE):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "glass-bench"


def slowness() -> float:
    """How many times as long as on the reference machine work takes here; measured at the first call.

    It takes a third of a second, and counts the time of the processor, so that other work on the machine makes no
    difference.
    """
    machine = f"{device_name('cpu')}, numpy {np.__version__}, one thread"
    path = cache_folder() / "calibration.json"
    with suppress(OSError, ValueError, TypeError, KeyError):
        kept = parse_json(path.read_text(encoding="utf-8"))
        if kept["machine"] == machine:
            return _ratio(float(kept["seconds"]))
    seconds = measured()
    with suppress(OSError), replaced(path) as temporary:  # a home that can't be written to: measured again next time
        temporary.write_text(json.dumps({"machine": machine, "seconds": seconds}), encoding="utf-8")
    return _ratio(seconds)


def measured() -> float:
    """Processor seconds of work like a training's: small products of matrices, and rows gathered from a table.

    On one thread: several would wait for one another by spinning, and their time adds up, tenfold on a busy machine.
    """
    rng = np.random.default_rng(0)
    table = rng.standard_normal((_ROWS, _WIDTH), dtype=np.float32)
    rows = rng.integers(0, _ROWS, _WIDTH)
    best = np.inf
    with threadpool_limits(limits=1, user_api="blas"):
        for _ in range(_REPEATS):
            started = time.process_time()
            for _ in range(_ROUNDS):
                batch = table[rows]
                np.exp(-np.abs(batch @ table[:_WIDTH].T)).sum()
                batch @ table[:1024].T
            best = min(best, time.process_time() - started)
    return float(best)


def _ratio(seconds: float) -> float:
    return float(np.clip(seconds / REFERENCE_SECONDS, _FASTEST, _SLOWEST))
