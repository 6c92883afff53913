"""A worker process ends when the process that started it does, however that comes about."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time

_PR_SET_PDEATHSIG = 1
"""Of `prctl` (linux/prctl.h)."""

_SECONDS_BETWEEN_CHECKS = 2.0


def end_with_parent(parent: int) -> None:
    """Has the system kill this process, and the processes that it forks, when their parents end.

    Where the system can't (it is not Linux), a thread looks now and then who the parent is. It looks on Linux, too:
    the signal follows the thread that has started the process, and the other way round costs nothing.

    Args:
        parent: The process that has started this one.
    """
    _ask_for_a_signal()
    os.register_at_fork(after_in_child=_ask_for_a_signal)
    if os.getppid() != parent:  # it has ended meanwhile
        os._exit(1)
    threading.Thread(target=_watch, args=(parent,), name="parent watch", daemon=True).start()


def _ask_for_a_signal() -> None:
    if sys.platform == "linux":
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_SECONDS_BETWEEN_CHECKS)
    os.kill(os.getpid(), signal.SIGKILL)


_libc = ctypes.CDLL(None, use_errno=True)
