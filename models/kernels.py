"""Whether kernels of our own can run here."""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec


@lru_cache(maxsize=1)
def has_triton() -> bool:
    """Whether Triton is installed: PyTorch for GPUs brings it along on Linux, and not on Windows."""
    return find_spec("triton") is not None
