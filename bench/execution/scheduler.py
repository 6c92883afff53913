"""A grid of runs: a fixed number at a time, in order, and none of them can take the others down."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Protocol

import loky
from filelock import Timeout

from bench.errors import BenchError, reason_of
from bench.execution import environment, heartbeat, interruption, run_log
from bench.execution.engine import Engine, LocalEngine
from bench.execution.limits import NO_LIMITS, Limits
from bench.execution.store import ResultStore
from bench.execution.worker import execute
from bench.execution.worker_process import DIED, Job, ProcessDiedError, RunEndedError
from bench.spec import RunResult, RunSpec

__all__ = ["DIED", "Backend", "Job", "Workers", "run_all"]

_SECONDS_BETWEEN_TICKS = 0.5
_SECONDS_FOR_A_LOCK = 2.0
"""Until the system has taken it back from a process that was killed."""

_MOST_RUNS_PER_GPU = 8


class Backend(Protocol):
    """Where a grid is run: says so in a few words, and starts the engine that does it.

    Attributes:
        jobs: Runs at a time.
    """

    @property
    def jobs(self) -> int: ...

    def __str__(self) -> str: ...

    def start(self) -> Engine: ...


@dataclass(frozen=True)
class Workers:
    """How this machine is divided among runs.

    Attributes:
        device: "cpu" or "cuda".
        jobs: Runs at a time.
        threads: Of each run; together no more than there are cores, so that runs don't fight for them.
        gpus: As `environment.gpus` names them, where there are several to divide the runs among.
        limits: Of each run.
        devices: That train one model together.
    """

    device: str
    jobs: int
    threads: int
    gpus: tuple[str, ...] = ()
    limits: Limits = NO_LIMITS
    devices: int = 1

    @classmethod
    def for_machine(
        cls, device: str, jobs: int | None, runs: int, limits: Limits = NO_LIMITS, devices: int = 1
    ) -> Workers:
        """The division for `runs` runs; `jobs` None chooses: every core on a CPU, a few runs on each GPU.

        Where several devices train one model, a run has them to itself.

        Raises:
            BenchError: There are not so many devices.
        """
        cores = loky.cpu_count()
        gpus = environment.gpus() if device == "cuda" else ()
        there = len(gpus) if device == "cuda" else cores
        if devices > max(1, there):
            raise BenchError(f"--devices {devices}: this machine has {there} {'GPUs' if gpus else 'cores'}")
        if jobs is None:
            jobs = min(_MOST_RUNS_PER_GPU * max(1, len(gpus)), cores // 2) if device == "cuda" else cores
        if devices > 1:
            jobs = min(jobs, there // devices)
        jobs = max(1, min(jobs, runs))
        return cls(device, jobs, max(1, cores // (jobs * devices)), gpus if len(gpus) > 1 else (), limits, devices)

    def __str__(self) -> str:
        where = f"{len(self.gpus)} GPUs" if self.gpus else self.device
        together = f"{self.devices} devices a run, " if self.devices > 1 else ""
        return f"{self.jobs} at a time on {where}, {together}{self.threads} threads each"

    def start(self) -> LocalEngine:
        """The worker processes; GPUs are given to them in turn, so that they fill evenly."""
        environments: list[dict[str, str]] = [{} for _ in range(self.jobs)]
        turn = cycle(self.gpus)
        for variables in environments if self.gpus else ():
            variables["CUDA_VISIBLE_DEVICES"] = ",".join(islice(turn, self.devices))
        return LocalEngine(environments, self.device, self.threads, self.limits)


def run_all(
    specs: Sequence[RunSpec],
    results_dir: Path,
    workers: Backend,
    on_result: Callable[[RunResult], None],
    on_tick: Callable[[Sequence[RunSpec]], None],
    job_of: Callable[[RunSpec], Job] = lambda spec: execute,
    goes_on: Callable[[], bool] = lambda: True,
) -> None:
    """Makes all runs, starting them in the given order.

    Where a run leaves something behind in its process that can't be undone, the runs after it are made in a new one.

    A run whose worker process has died while others were under way is made once more by itself: it need not have been
    its fault that the machine was out of memory. When it dies alone, it becomes a failed result, and the rest goes on.

    Args:
        specs: What to run, no two with the same key.
        results_dir: Where the results go.
        workers: How many at a time, with how many threads.
        on_result: Called in this process after each run, when its result is stored.
        on_tick: Called about twice a second with the runs under way.
        job_of: Called in this process when a run starts, for what its worker process is to do: a job may depend on
            the results of runs that have ended by then.
        goes_on: Asked before runs start. Once it says no, no other run is started, and those under way are made.

    Raises:
        BenchError: Results can't be written any more, as on a full disk.
    """
    schedule = _Schedule(specs, results_dir, workers.start(), on_result, job_of)
    try:
        while schedule.is_open:
            if not goes_on():
                schedule.drop_waiting()
            schedule.fill()
            on_tick(schedule.under_way())
            schedule.settle(_SECONDS_BETWEEN_TICKS)
    finally:
        with interruption.closing():
            schedule.close()


class _Schedule:
    """The runs that wait, those that an engine has, and what comes of them; see `run_all`."""

    def __init__(
        self,
        specs: Sequence[RunSpec],
        results_dir: Path,
        engine: Engine,
        on_result: Callable[[RunResult], None],
        job_of: Callable[[RunSpec], Job],
    ) -> None:
        self._results_dir, self._engine, self._on_result, self._job_of = results_dir, engine, on_result, job_of
        self._waiting, self._suspects = deque(specs), deque[RunSpec]()
        self._submitted: dict[Future[RunResult], RunSpec] = {}
        self._alone: Future[RunResult] | None = None
        self._accompanied: set[Future[RunResult]] = set()
        self._ended: SimpleQueue[Future[RunResult]] = SimpleQueue()

    @property
    def is_open(self) -> bool:
        """Whether any run has not ended yet."""
        return bool(self._waiting or self._suspects or self._submitted)

    def drop_waiting(self) -> None:
        """Starts nothing else."""
        self._waiting.clear()
        self._suspects.clear()

    def under_way(self) -> Sequence[RunSpec]:
        return self._engine.under_way(list(self._submitted.values()))

    def fill(self) -> None:
        """Starts as many runs as there may be at a time; a suspect only when no other is under way."""
        if self._suspects:
            if not self._submitted:
                self._alone = self._start(self._suspects.popleft())
            return
        while self._waiting and len(self._submitted) < self._engine.most and self._alone is None:
            self._start(self._waiting.popleft())

    def settle(self, seconds: float) -> None:
        """Waits until a run ends, for some seconds at most, and sees to all that have ended."""
        ended = []
        with suppress(Empty):
            ended.append(self._ended.get(timeout=seconds))
            while True:
                ended.append(self._ended.get_nowait())
        for future in ended:
            self._see_to(future)

    def close(self) -> None:
        """Breaks off what is under way."""
        self._engine.close()
        for spec in self._submitted.values():
            with suppress(OSError):  # say, a full disk: the next bench clears it away
                heartbeat.clear_unless_running(self._results_dir, spec)

    def _start(self, spec: RunSpec) -> Future[RunResult]:
        future = self._engine.submit(self._job_of(spec), spec, self._results_dir)
        if self._submitted and not self._engine.retries:
            self._accompanied |= {future, *self._submitted}
        self._submitted[future] = spec
        future.add_done_callback(self._ended.put)
        return future

    def _see_to(self, future: Future[RunResult]) -> None:
        spec = self._submitted.pop(future)
        accompanied = future in self._accompanied
        self._accompanied.discard(future)
        self._alone = None if future is self._alone else self._alone
        try:
            result = future.result()
        except ProcessDiedError as died:
            if accompanied:
                self._suspects.append(spec)
                return
            result = _failed(spec, died.reason, died.log, self._results_dir)
        except RunEndedError as ended:
            result = _failed(spec, ended.reason, ended.log, self._results_dir)
        except BenchError:  # the engine's own
            raise
        except Exception as error:  # not the model's fault: say, a full disk
            log = run_log.read(heartbeat.log_path(self._results_dir, spec))
            result = _failed(spec, reason_of(error), log, self._results_dir)
        self._on_result(result)


def _failed(spec: RunSpec, reason: str, log: str, results_dir: Path) -> RunResult:
    """Stores and returns the result of a run whose process could not do so itself.

    Raises:
        BenchError: Nothing can be written.
    """
    result = RunResult(spec=spec, status="failed", reason=reason)
    try:
        with heartbeat.lock(results_dir, spec).acquire(timeout=_SECONDS_FOR_A_LOCK):
            ResultStore(results_dir).save(result, f"{log}\n{reason}\n")
            heartbeat.clear(results_dir, spec)
    except Timeout:
        pass  # another bench is making the same run, and its result is the one to keep
    except OSError as error:
        raise BenchError(
            f"can't write results to '{results_dir}': {error.strerror or error}: make room, or choose --results; "
            "complete results are kept, and the same command goes on from there"
        ) from None
    return result
