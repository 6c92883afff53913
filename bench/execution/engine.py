"""Where runs are made: an engine takes them, and gives a future for each."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Protocol

from bench.execution.limits import Limits
from bench.execution.worker_process import Job, WorkerProcess
from bench.spec import RunResult, RunSpec


class Engine(Protocol):
    """Makes runs.

    Attributes:
        most: Runs that it is given at a time.
        retries: Whether it makes a run again by itself whose process has died.
    """

    most: int
    retries: bool

    def submit(self, job: Job, spec: RunSpec, results_dir: Path) -> Future[RunResult]:
        """Has a run made; the future raises what `WorkerProcess.make` does, or BenchError where no run can be made."""

    def under_way(self, submitted: Sequence[RunSpec]) -> Sequence[RunSpec]:
        """Those of the submitted runs that have begun."""

    def close(self) -> None:
        """Breaks off what is under way, and gives everything back."""


class LocalEngine:
    """Worker processes on this machine, as many as there are runs at a time.

    Args:
        environments: Of each worker process, the variables that are its own.
        device: "cpu" or "cuda".
        threads: Of each.
        limits: Of each run.
    """

    retries = False

    def __init__(self, environments: Sequence[dict[str, str]], device: str, threads: int, limits: Limits) -> None:
        self.most = len(environments)
        self._closed = threading.Event()
        self._workers = [WorkerProcess(device, threads, limits, environment) for environment in environments]
        self._idle: SimpleQueue[WorkerProcess] = SimpleQueue()
        for worker in self._workers:
            self._idle.put(worker)
        # A thread for each process waits for it. A process ends when the thread does that has started it.
        self._threads = ThreadPoolExecutor(self.most, thread_name_prefix="worker process")

    def submit(self, job: Job, spec: RunSpec, results_dir: Path) -> Future[RunResult]:
        return self._threads.submit(self._make, job, spec, results_dir)

    def under_way(self, submitted: Sequence[RunSpec]) -> Sequence[RunSpec]:
        return submitted

    def close(self) -> None:
        self._closed.set()
        self._threads.shutdown(wait=True, cancel_futures=True)
        for worker in self._workers:
            worker.close()

    def _make(self, job: Job, spec: RunSpec, results_dir: Path) -> RunResult:
        worker = self._idle.get()
        try:
            return worker.make(job, spec, results_dir, wanted=lambda: not self._closed.is_set())
        finally:
            self._idle.put(worker)
