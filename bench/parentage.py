"""Worker processes, which end when the process that started them does, however that comes about."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from loky import ProcessPoolExecutor

T = TypeVar("T")

_PR_SET_PDEATHSIG = 1
"""Of `prctl` (linux/prctl.h)."""

_SECONDS_BETWEEN_CHECKS = 2.0

FOR_THE_PARENT = (signal.SIGINT, signal.SIGHUP)
"""Signals that a whole group of processes gets, and that are for the parent, which then ends its workers."""


THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
"""By which libraries are told how many threads they have; they read them when they are imported."""


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


def begin_as_worker(parent: int) -> None:
    """Has this process end with its parent, and leave Ctrl-C and the terminal's farewell to it."""
    end_with_parent(parent)
    for number in FOR_THE_PARENT:
        signal.signal(number, signal.SIG_IGN)


def in_worker_processes(work: Callable[..., T], arguments: Sequence[Sequence[Any]], processes: int) -> list[T]:
    """Calls a function of a module once for each of the arguments, several calls at a time; 1 calls it here.

    Raises:
        Exception: Whatever a call raised.
    """
    return begun_in_worker_processes(work, arguments, processes)()


def begun_in_worker_processes(
    work: Callable[..., T], arguments: Sequence[Sequence[Any]], processes: int
) -> Callable[[], list[T]]:
    """`in_worker_processes`, while the caller does something else.

    Returns:
        What waits for the calls and returns their results, or raises whatever a call raised. The calls go on meanwhile
        within `common_workers` only.
    """
    if processes <= 1:
        return lambda: [work(*given) for given in arguments]
    common = _COMMON.get()
    if common is None:
        return lambda: _called(work, arguments, processes, {})
    calls = _submitted(common, work, arguments)
    return lambda: [call.result() for call in calls]


@contextmanager
def common_workers(processes: int) -> Iterator[None]:
    """Has all calls within share so many worker processes, which start when the first call needs some.

    A process that draws figures takes seconds to start; whoever makes several calls after each other pays once.
    """
    if processes <= 1:
        yield
        return
    pool = _pool(processes, {})
    token = _COMMON.set(pool)
    try:
        yield
    finally:
        _COMMON.reset(token)
        pool.shutdown(wait=True, kill_workers=True)


_COMMON: ContextVar[ProcessPoolExecutor | None] = ContextVar("common workers", default=None)


def in_own_process(work: Callable[..., T], *arguments: object, threads: int) -> T:
    """Calls a function of a module in a process that does nothing else: its memory is that of the work.

    Args:
        work: What is called.
        arguments: Of it.
        threads: Of the libraries that the process computes with.

    Raises:
        Exception: Whatever the call raised; `BrokenProcessPool` where the process died.
    """
    return _called(work, [arguments], 1, dict.fromkeys(THREAD_VARIABLES, str(threads)))[0]


def _called(
    work: Callable[..., T], arguments: Sequence[Sequence[Any]], processes: int, environment: Mapping[str, str]
) -> list[T]:
    pool = _pool(processes, environment)
    try:
        return [call.result() for call in _submitted(pool, work, arguments)]
    finally:
        pool.shutdown(wait=True, kill_workers=True)


def _pool(processes: int, environment: Mapping[str, str]) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(
        max_workers=processes, env=dict(environment), initializer=begin_as_worker, initargs=(os.getpid(),)
    )


def _submitted(
    pool: ProcessPoolExecutor, work: Callable[..., T], arguments: Sequence[Sequence[Any]]
) -> list[Future[T]]:
    # A process inherits what is blocked, and so is left alone while it starts.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, FOR_THE_PARENT)
    try:
        return [pool.submit(work, *given) for given in arguments]
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _ask_for_a_signal() -> None:
    if sys.platform == "linux":
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_SECONDS_BETWEEN_CHECKS)
    os.kill(os.getpid(), signal.SIGKILL)


_libc = ctypes.CDLL(None, use_errno=True)
