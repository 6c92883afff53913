"""What a result was measured on: versions, commit, processor, memory."""

from __future__ import annotations

import atexit
import gc
import os
import platform
import resource
import subprocess
import sys
from contextlib import suppress
from datetime import datetime, timezone
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import bench
from bench.data.dataset import Dataset
from bench.errors import reason_of
from bench.spec import RunSpec

COMMIT_VARIABLE = "GLASS_BENCH_COMMIT"
_PACKAGES = ("torch", "numpy", "pandas", "recbole")


def versions() -> dict[str, str]:
    """Versions of Python, this project and the packages that can change a result, as far as installed."""
    return dict(_versions())


@lru_cache(maxsize=1)
def _versions() -> dict[str, str]:
    installed = {"python": platform.python_version(), "glass-bench": bench.__version__}
    for package in _PACKAGES:
        with suppress(PackageNotFoundError):
            installed[package] = version(package)
    return installed


@lru_cache(maxsize=1)
def commit() -> str:
    """The project's git commit, with "-dirty" where its code was changed since; "" outside a clone.

    The environment variable `GLASS_BENCH_COMMIT` names it where git can't: say, in a container that got the files only.
    """
    if COMMIT_VARIABLE in os.environ:
        return os.environ[COMMIT_VARIABLE]
    root = Path(bench.__file__).parents[1]

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True, timeout=30
        ).stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")).resolve() != root.resolve():
            return ""  # installed somewhere inside another project's repository
        changed = git("status", "--porcelain", "--", "bench", "models", "baselines", "pyproject.toml")
        return git("rev-parse", "HEAD") + ("-dirty" if changed else "")
    except (OSError, subprocess.SubprocessError):
        return ""


def gpus() -> tuple[str, ...]:
    """The GPUs that this process may use, as `CUDA_VISIBLE_DEVICES` names them."""
    import torch

    named = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    count = torch.cuda.device_count()
    return tuple(named[:count]) if named else tuple(map(str, range(count)))


def device_name(device: str) -> str:
    """The model of the GPU or the processor."""
    if device == "cuda":
        import torch

        return torch.cuda.get_device_name()
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def made_on(device: str, n_devices: int, threads: int) -> dict[str, Any]:
    """What a run is measured on: code, machine and time, as a result keeps them.

    Args:
        device: Type of the device.
        n_devices: Devices that train together.
        threads: CPU threads.
    """
    return {
        **versions(),
        "commit": commit(),
        "device": device,
        "device_name": device_name(device),
        "devices": n_devices,
        "threads": threads,
        "precision": "tf32" if device == "cuda" else "float32",
        "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def reset_peak_memory(device: str) -> None:
    """Starts the measurement of peak memory anew, for a worker process that has made other runs before."""
    with suppress(OSError):  # Linux only; elsewhere the peak is that of the whole process
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    if device == "cuda":
        import torch

        torch.cuda.reset_peak_memory_stats()


def free_memory() -> list[str]:
    """Gives back what a run, or a fit that has failed, has left of a GPU's memory, which other processes share.

    A run that was given up leaves kernels behind that still read its memory: they are waited for first.

    Returns:
        In words, why no other run should use the GPU from this process: what failed may fail all that comes after it.
    """
    torch = sys.modules.get("torch")
    if torch is not None and not torch.cuda.is_initialized():
        torch = None  # it has nothing of a GPU
    try:
        if torch is not None:
            torch.cuda.synchronize()
        gc.collect()
        _pass_over_modules()
        if torch is not None:
            torch.cuda.empty_cache()
            torch.rand(1, device="cuda").item()  # fails where the recording of a step was broken off, too
    except RuntimeError as error:
        return [f"a GPU that can't be used any more: {reason_of(error)}"]
    return []


@lru_cache(maxsize=1)
def _pass_over_modules() -> None:
    """Has the collector never look again at what there is after the first run of a process.

    Nearly all of it belongs to imported modules: half a million objects, which would cost every short run a tenth of a
    second, and of which none ever becomes free.
    """
    gc.freeze()
    atexit.register(gc.unfreeze)  # else libraries that count what is left of them at the end complain


def peak_memory(device: str) -> dict[str, float]:
    """Peak resident memory of this process, and of the GPU where there is one, in MiB."""
    unit = 1 if sys.platform == "darwin" else 1024
    peak = {"peak_memory_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20, 1)}
    if device == "cuda":
        import torch

        peak["peak_gpu_memory_mib"] = round(torch.cuda.max_memory_allocated() / 2**20, 1)
    return peak


def described(dataset: Dataset, spec: RunSpec) -> dict[str, Any]:
    """What a result keeps of its data set, for the report."""
    return {
        "name": dataset.name,
        "users": dataset.interactions.n_users,
        "items": dataset.interactions.n_items,
        "events": dataset.interactions.n_events,
        "seen_items": spec.dataset.seen_items or dataset.seen_items,
        "filters": list(dataset.filters),
        "licence": dataset.licence,
        "source": dataset.source,
    }
