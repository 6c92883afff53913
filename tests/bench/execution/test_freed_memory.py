"""Memory that is freed and asked for again."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

TOUCH = """
import resource
import numpy as np
from bench.execution.freed_memory import keep_freed_memory
{first}
def touch(times):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(times):
        np.empty(48 << 20, dtype=np.uint8).fill(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
touch(2)
print(touch(10))
"""


def pages_touched(first: str) -> int:
    """How many pages the system hands out for ten blocks of 48 MiB, one freed before the next is asked for."""
    done = subprocess.run([sys.executable, "-c", TOUCH.format(first=first)], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_a_block_that_was_freed_is_used_again() -> None:
    assert pages_touched("assert keep_freed_memory()") < pages_touched("") / 10


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from bench.execution.freed_memory import keep_freed_memory

    monkeypatch.setattr(sys, "platform", "darwin")
    assert not keep_freed_memory()
