"""What lies in a results folder beside the results, how large it is, and how it is cleared away."""

from __future__ import annotations

import re
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from bench.errors import BenchError

_TEMPORARY = re.compile(r"\.[^/]+\.\d+\.(new|old|json|npz|safetensors|csv|md|html)")
"""Names of files and folders that are written beside their place, with the number of the process that writes."""


@dataclass(frozen=True)
class DiskUse:
    """Files of one kind.

    Attributes:
        kind: What they are.
        path: The folder.
        files: How many.
        size: Of all of them, in bytes.
    """

    kind: str
    path: Path
    files: int
    size: int


def caches(results_dir: Path) -> list[DiskUse]:
    """What `clean` removes, of each kind that there is."""
    cache = results_dir / "cache"
    folders = [(f"cache of {folder.name}", folder) for folder in sorted(cache.glob("*")) if folder.is_dir()]
    folders.append(("checkpoints of runs that were broken off", results_dir / "runs" / ".checkpoints"))
    return [use for kind, folder in folders if (use := _disk_use(kind, folder)).files]


def abandoned(results_dir: Path) -> list[Path]:
    """Temporary files and folders of processes that were killed; meaningful while no run is under way."""
    hidden = results_dir.rglob(".*") if results_dir.is_dir() else ()
    return sorted(path for path in hidden if _TEMPORARY.fullmatch(path.name))


def clean(results_dir: Path) -> int:
    """Removes caches, checkpoints and what killed processes have left; results stay.

    Returns:
        How many bytes there are fewer.

    Raises:
        BenchError: Runs are under way.
    """
    running = under_way(results_dir)
    if running:
        raise BenchError(f"{running} runs are under way in '{results_dir}': clean it when they have ended")
    left = abandoned(results_dir)
    runs = results_dir / "runs"
    folders = [results_dir / "cache", *(runs / name for name in (".checkpoints", ".progress", ".locks")), *left]
    freed = sum(_disk_use("", path).size for path in folders)
    for path in folders:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return freed


def under_way(results_dir: Path) -> int:
    """Runs that some bench is making in a results folder just now."""
    return sum(map(_is_taken, (results_dir / "runs" / ".locks").glob("*.lock")))


def _is_taken(path: Path) -> bool:
    try:
        with FileLock(path).acquire(timeout=0):
            return False
    except Timeout:
        return True
    except OSError:  # a folder that nobody can write to has no runs under way
        return False


def _disk_use(kind: str, path: Path) -> DiskUse:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if not file.name.endswith(".lock")]
    sizes = []
    for file in files:
        with suppress(OSError):
            if file.is_file():
                sizes.append(file.stat().st_size)
    return DiskUse(kind, path, len(sizes), sum(sizes))
