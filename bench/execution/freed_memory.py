"""Freed memory that a process keeps, so that a training on a CPU is not given the same pages at every step."""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Parameters of `mallopt` (glibc, malloc.h)."""

LARGEST_KEPT = 1 << 27
"""Bytes of a block from which on it is the system's again as soon as it is freed, as usual."""

MOST_KEPT = 1 << 30
"""Bytes of freed memory, at the end of the heap, beyond which it goes back to the system."""


def keep_freed_memory() -> bool:
    """Tells glibc to keep what is freed instead of giving it back and asking for it anew.

    By itself it maps blocks of many megabytes one by one, and the system clears each of their pages when it is touched
    for the first time. A step of training frees all that the next one asks for. No number depends on it.

    Returns:
        Whether that was done: not where the C library is another one.
    """
    if sys.platform != "linux":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(_MMAP_THRESHOLD, LARGEST_KEPT) and mallopt(_TRIM_THRESHOLD, MOST_KEPT))
