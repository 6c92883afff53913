"""Runs in worker processes: a fixed number at a time, in order, and none of them can take the others down."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import loky
from filelock import FileLock, Timeout
from loky import ProcessPoolExecutor

from bench.errors import reason_of
from bench.execution import environment, heartbeat
from bench.execution.store import ResultStore
from bench.execution.worker import execute
from bench.spec import RunResult, RunSpec

DIED = "worker process died (out of memory?)"
_SECONDS_BETWEEN_TICKS = 0.5
_MOST_RUNS_PER_GPU = 8
_NO_LEAKS_TOLD = "ignore:resource_tracker"
Job = Callable[[RunSpec, Path, str, int], RunResult]
"""What a worker process does for a run; gets it with the results folder, the device and its number of threads."""

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


@dataclass(frozen=True)
class Workers:
    """How the machine is divided among runs.

    Attributes:
        device: "cpu" or "cuda".
        jobs: Runs at a time.
        threads: Of each run; together no more than there are cores, so that runs don't fight for them.
        gpus: As `environment.gpus` names them, where there are several to divide the runs among.
    """

    device: str
    jobs: int
    threads: int
    gpus: tuple[str, ...] = ()

    @classmethod
    def for_machine(cls, device: str, jobs: int | None, runs: int) -> Workers:
        """The division for `runs` runs; `jobs` None chooses: every core on a CPU, a few runs on each GPU."""
        cores = loky.cpu_count()
        gpus = environment.gpus() if device == "cuda" else ()
        if jobs is None:
            jobs = min(_MOST_RUNS_PER_GPU * max(1, len(gpus)), cores // 2) if device == "cuda" else cores
        jobs = max(1, min(jobs, runs))
        return cls(device, jobs, max(1, cores // jobs), gpus if len(gpus) > 1 else ())

    def __str__(self) -> str:
        where = f"{len(self.gpus)} GPUs" if self.gpus else self.device
        return f"{self.jobs} at a time on {where}, {self.threads} threads each"


def run_all(
    specs: Sequence[RunSpec],
    results_dir: Path,
    workers: Workers,
    on_result: Callable[[RunResult], None],
    on_tick: Callable[[Sequence[RunSpec]], None],
    job_of: Callable[[RunSpec], Job] = lambda spec: execute,
) -> None:
    """Makes all runs, starting them in the given order.

    Where a run leaves something behind in its process that can't be undone, the runs after it are made in new ones.

    When a worker process dies, the runs that were under way are made again one by one in new processes, since any of
    them may be the culprit; the one that dies alone becomes a failed result, and the rest goes on.

    Args:
        specs: What to run, no two with the same key.
        results_dir: Where the results go.
        workers: How many at a time, with how many threads.
        on_result: Called in this process after each run, when its result is stored.
        on_tick: Called about twice a second with the runs under way.
        job_of: Called in this process when a run starts, for what its worker process is to do: a job may depend on
            the results of runs that have ended by then.
    """
    waiting, suspects = deque(specs), deque[RunSpec]()
    running: dict[Future[RunResult], RunSpec] = {}
    pool: ProcessPoolExecutor | None = None
    spent = False  # whether a run has left its process in a state that no other run should find
    places = TemporaryDirectory(prefix="glass-bench-", ignore_cleanup_errors=True)
    try:
        while waiting or suspects or running:
            if pool is not None and spent and not running:
                pool.shutdown(wait=True, kill_workers=True)
                pool, spent = None, False
            pool = pool or _new_pool(workers, Path(places.name))
            while not spent and not _full(running, suspects, workers) and (suspects or waiting):
                spec = (suspects or waiting).popleft()
                running[pool.submit(job_of(spec), spec, results_dir, workers.device, workers.threads)] = spec
            on_tick(list(running.values()))
            done, _ = wait(running, timeout=_SECONDS_BETWEEN_TICKS, return_when=FIRST_COMPLETED)
            died = []
            for future in done:
                spec = running.pop(future)
                result = _outcome(future, spec, results_dir)
                if result is None:
                    died.append(spec)
                    continue
                spent = spent or bool(result.left_behind)
                on_result(result)
            if died:
                died += running.values()
                running.clear()
                pool.shutdown(wait=True, kill_workers=True)
                pool, spent = None, False
                if len(died) == 1:
                    on_result(_failed(died[0], DIED, results_dir))
                else:
                    suspects.extend(spec for spec in specs if spec in died)
    finally:
        if pool is not None:
            pool.shutdown(wait=True, kill_workers=bool(running))
        for spec in running.values():
            heartbeat.clear_unless_running(results_dir, spec)
        places.cleanup()


def _outcome(future: Future[RunResult], spec: RunSpec, results_dir: Path) -> RunResult | None:
    """The result of a run that has ended, None where its process has died."""
    try:
        return future.result()
    except BrokenProcessPool:
        return None
    except Exception as error:  # not the model's fault: say, a full disk
        result = _failed(spec, reason_of(error), results_dir)
        result.left_behind = ["nobody knows what"]
        return result


def _full(running: dict[Future[RunResult], RunSpec], suspects: deque[RunSpec], workers: Workers) -> bool:
    return len(running) >= (1 if suspects else workers.jobs)


def _new_pool(workers: Workers, places: Path) -> ProcessPoolExecutor:
    # Loky replaces a worker whose memory has grown, between two runs. Nothing is lost, so nobody needs to be warned.
    warnings.filterwarnings("ignore", message="A worker stopped while some jobs were given to the executor")
    # Where Ctrl-C strikes between the two steps of giving back a semaphore, Loky's tracker gives it back, and would say
    # so after our one line. It is a process of its own, started with these options.
    if _NO_LEAKS_TOLD not in sys.warnoptions:
        sys.warnoptions.append(_NO_LEAKS_TOLD)
    # Not joblib.Parallel, which with one job makes its runs in this process: each run has to be in one that may die.
    return ProcessPoolExecutor(
        max_workers=workers.jobs,
        env={name: str(workers.threads) for name in _THREAD_VARIABLES},
        initializer=_begin,
        initargs=(workers, places),
    )


_held: list[FileLock] = []
"""The place of this worker process on its GPU, until it ends."""


def _begin(workers: Workers, places: Path) -> None:
    """What a worker process does before its first run."""
    # Ctrl-C is for the parent, which then ends its workers without their tracebacks.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if not workers.gpus:
        return
    # Places are taken round by round, so that the GPUs fill evenly. A place falls free when its process ends, however
    # that comes, and the process that replaces it gets the same GPU. CUDA has not been asked for anything yet.
    chosen = os.getpid()  # where all places are taken: the process that is replaced has not quite ended
    for place in range(workers.jobs):
        lock = FileLock(places / f"{place}.lock")
        with suppress(Timeout):
            lock.acquire(timeout=0)
            _held.append(lock)
            chosen = place
            break
    os.environ["CUDA_VISIBLE_DEVICES"] = workers.gpus[chosen % len(workers.gpus)]


def _failed(spec: RunSpec, reason: str, results_dir: Path) -> RunResult:
    """Stores and returns the result of a run whose process could not do so itself."""
    log = heartbeat.log_path(results_dir, spec)
    said = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    result = RunResult(spec=spec, status="failed", reason=reason)
    ResultStore(results_dir).save(result, f"{said}\n{reason}\n")
    heartbeat.clear_unless_running(results_dir, spec)
    return result
