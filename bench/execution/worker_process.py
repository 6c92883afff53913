"""One worker process, in which runs are made one after the other, and which may die without taking others along."""

from __future__ import annotations

import faulthandler
import os
import re
import signal
import sys
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from pathlib import Path

import psutil
from loky import ProcessPoolExecutor

from bench.execution import heartbeat, run_log
from bench.execution.limits import Limits, Usage
from bench.parentage import FOR_THE_PARENT, THREAD_VARIABLES, begin_as_worker
from bench.plain_text import one_line
from bench.spec import RunResult, RunSpec

Job = Callable[[RunSpec, Path, str, int], RunResult]
"""What a worker process does for a run; gets it with the results folder, the device and its number of threads."""

DIED = "worker process died (out of memory?)"
_SECONDS_BETWEEN_CHECKS = 0.25
_SECONDS_FOR_LAST_WORDS = 0.5
_SHARE_OF_MEMORY = 8
"""By one part in so many of the machine's memory a process may grow before Loky replaces it, 300 MB at least."""
_SILENCE = "ignore:resource_tracker"


class RunEndedError(Exception):
    """A run was ended from outside; the message is the reason, in one line.

    Attributes:
        log: What the run had printed.
    """

    def __init__(self, reason: str, log: str = "") -> None:
        super().__init__(reason, log)  # both, so that it can be sent from one machine to another
        self.reason, self.log = reason, log

    def __str__(self) -> str:
        return self.reason


class ProcessDiedError(RunEndedError):
    """The run's process has died: by itself, or since the system was out of memory, for whatever reason."""


def why_died(log: str) -> str:
    """The reason of a run whose process has died, from the last words in its log.

    A failed assertion of a GPU's kernel or of a library ends a process without an exception; so does a fatal signal, of
    which Python's fault handler still writes a line. Without either, the system may have ended it for want of memory.

    >>> why_died("IndexKernel.cu:111: block: [29,0,0] Assertion `index < sizes[i]` failed.")
    'worker process died: assertion `index < sizes[i]` failed (see its log)'
    """
    assertion = re.search(r"Assertion [`'](.{1,200}?)[`'] failed", log)
    if assertion:
        return f"worker process died: assertion `{one_line(assertion[1])}` failed (see its log)"
    fatal = re.search(r"^Fatal Python error: (.{1,100})", log, re.MULTILINE)
    return f"worker process died: {one_line(fatal[1])} (see its log)" if fatal else DIED


class WorkerProcess:
    """Makes one run at a time in a process of its own, which is replaced when it has died or is not fit for another.

    Args:
        device: "cpu" or "cuda".
        threads: Of the process.
        limits: Of each run.
        environment: Variables of the process, such as the GPU that it may see.
    """

    def __init__(self, device: str, threads: int, limits: Limits, environment: Mapping[str, str] | None = None) -> None:
        self._device, self._threads, self.limits = device, threads, limits
        # Loky takes a process for leaking that has grown by 300 MB since its first task, as each has that has loaded
        # torch and a data set; if it were replaced, the next run would import and load all of it again.
        growth = max(300_000_000, psutil.virtual_memory().total // _SHARE_OF_MEMORY)
        of_loky = {"LOKY_MAX_MEMORY_LEAK_SIZE": str(growth)}
        self._environment = {**of_loky, **dict.fromkeys(THREAD_VARIABLES, str(threads)), **(environment or {})}
        self._pool: ProcessPoolExecutor | None = None
        self._ready: Future[None] = Future()

    def make(self, job: Job, spec: RunSpec, results_dir: Path, wanted: Callable[[], bool]) -> RunResult:
        """Makes a run, and waits for its result.

        Args:
            job: What the process is to do.
            spec: The run.
            results_dir: Where its results, its heartbeat and its log go.
            wanted: Asked several times a second; once it says no, the run is broken off.

        Raises:
            ProcessDiedError: The process died.
            RunEndedError: The run went beyond its limits.
            CancelledError: It is not wanted any more.
            Exception: Whatever the job raised: that is not the model's fault, but say, a full disk.
        """
        try:
            result = self._watched(self._submitted(job, spec, results_dir), spec, results_dir, wanted)
        except BrokenProcessPool:
            self.close()
            log = run_log.read(heartbeat.log_path(results_dir, spec))
            raise ProcessDiedError(why_died(log), log) from None
        except BaseException:
            self.close()
            raise
        if result.left_behind:
            self.close()
        return result

    def close(self) -> None:
        """Ends the process, whatever it is doing, with all that it has started."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=True, kill_workers=True)

    def _submitted(self, job: Job, spec: RunSpec, results_dir: Path) -> Future[RunResult]:
        pool = self._pool = self._pool or self._new_pool()
        # A process inherits what is blocked: Ctrl-C and the terminal's farewell are for the parent alone, which then
        # ends its workers, also while they are starting. (Loky's own processes have unblocked them by now.)
        signal.pthread_sigmask(signal.SIG_BLOCK, FOR_THE_PARENT)
        self._ready = pool.submit(_import_what_every_run_needs)
        return pool.submit(job, spec, results_dir, self._device, self._threads)

    def _new_pool(self) -> ProcessPoolExecutor:
        # Loky replaces a worker whose memory has grown, between two runs. Nothing is lost, so nobody needs a warning.
        warnings.filterwarnings("ignore", message="A worker (stopped|was restarted) while some")
        # Where Ctrl-C strikes between the two steps of giving back a semaphore, Loky's tracker gives it back, and would
        # say so after our one line. It is a process of its own, started with these options.
        if _SILENCE not in sys.warnoptions:
            sys.warnoptions.append(_SILENCE)
        # Not joblib.Parallel, which makes a single job in this process: each run has to be in one that may die.
        return ProcessPoolExecutor(max_workers=1, env=self._environment, initializer=_begin, initargs=(os.getpid(),))

    def _watched(
        self, future: Future[RunResult], spec: RunSpec, results_dir: Path, wanted: Callable[[], bool]
    ) -> RunResult:
        usage, log = None, heartbeat.log_path(results_dir, spec)
        while not wait([future], timeout=_SECONDS_BETWEEN_CHECKS).done:
            if not wanted():
                raise CancelledError
            run_log.shorten(log)
            if self._ready.done():
                usage = usage or Usage(self.limits)
                reason = usage.excess(self._pid())
                if reason:
                    self._tell_where(future)
                    raise RunEndedError(reason, run_log.read(log))
        return future.result()

    def _pid(self) -> int | None:
        """The process of the pool, which Loky may have replaced since it was ready; None between two of them."""
        pids: list[int] = list(getattr(self._pool, "_processes", ()))
        return pids[-1] if pids else None

    def _tell_where(self, future: Future[RunResult]) -> None:
        """Has the process write to its log what its threads are doing."""
        pid = self._pid()
        with suppress(OSError):
            if pid is not None:
                os.kill(pid, signal.SIGUSR1)
            wait([future], timeout=_SECONDS_FOR_LAST_WORDS)


def _begin(parent: int) -> None:
    """What a worker process does before its first run."""
    begin_as_worker(parent)
    faulthandler.register(signal.SIGUSR1, all_threads=True)


def _import_what_every_run_needs() -> None:
    """Makes a process ready: imports are no part of a run's time.

    Not torch: what a run changes of it, and what it changes of itself while it is imported, could not be told apart.
    """
    import bench.execution.worker  # noqa: F401
