"""Arrays with an entry for every event, of which there may be more than memory holds."""

from __future__ import annotations

import os
import tempfile
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

LARGE = 256 << 20
"""Bytes from which on an array lies in a file: those of 64 million items."""


def roomy(length: int, dtype: DTypeLike) -> NDArray[Any]:
    """Makes an array `[length]` to be filled in; a large one lies in a file without a name and not in memory.

    The system keeps in memory what is in use of such an array, and writes the rest to the disk where memory is short.
    The file, in the folder of temporary files (`TMPDIR`), has no name any more: it goes with the array, however the
    process ends. Its room is reserved beforehand; where the disk has none left, the array lies in memory after all.
    """
    entry = np.dtype(dtype)
    size = length * entry.itemsize
    if size < LARGE:
        return np.empty(length, entry)
    try:
        with tempfile.TemporaryFile(prefix="glass-bench-") as file:
            if hasattr(os, "posix_fallocate"):  # not on macOS, where a file gets its room as it is written
                os.posix_fallocate(file.fileno(), 0, size)
            else:
                os.ftruncate(file.fileno(), size)
            return np.asarray(np.memmap(file, entry, "r+", shape=(length,)))
    except OSError:
        return np.empty(length, entry)
