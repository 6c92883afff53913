"""Runs on the workers of a dask cluster, on this machine or others (https://distributed.dask.org).

Dask does the scheduling: which worker makes which run, what becomes of the runs of a worker that is lost, resources
(`GPU=1`), a growing and shrinking cluster, the dashboard. Each thread of a worker makes one run at a time, in a process
of its own as on one machine, so that a model that dies or hangs doesn't take the worker with it. What a run leaves
behind goes into the one results folder of the bench: by itself where the worker sees that folder, too, and otherwise by
way of the bench.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from bench.errors import BenchError, reason_of
from bench.execution.limits import NO_LIMITS, Limits
from bench.execution.store import ResultStore
from bench.execution.worker_process import Job, ProcessDiedError, WorkerProcess
from bench.registry import how_to_install
from bench.spec import RunResult, RunSpec

GONE = (
    "the dask scheduler has ended, or has dropped what it was given; complete results are kept, and the same command "
    "goes on from there"
)
WORKER_DIED = "dask worker died while it made the run (out of memory?)"
_SECONDS_TO_CONNECT = 10
_SECONDS_BETWEEN_QUESTIONS = 2.0
_MOST_RUNS = 100_000
"""That the scheduler is given at a time: it divides them among the workers, and a cluster may grow with them."""

_TRIM = "MALLOC_TRIM_THRESHOLD_"
"""Variable of glibc: of how much free memory at the top of its heap a process gives all back to the system."""

_GPU = "GPU"
"""Dask's custom name of the resource: `dask worker --resources GPU=1`."""


@dataclass(frozen=True)
class SharedFolder:
    """A folder, with a mark by which a process on whichever machine knows that it sees the same one.

    The mark is a file that stays, so that a bench that is killed leaves nothing that another would have to clear up.

    Attributes:
        path: The folder.
        mark: What the file of the mark holds, a random word.
    """

    path: Path
    mark: str

    @classmethod
    def of(cls, results_dir: Path) -> SharedFolder:
        file = _mark_of(results_dir)
        file.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError), file.open("x", encoding="ascii") as new:
            new.write(uuid.uuid4().hex)
        mark = file.read_text(encoding="ascii")
        if not mark:  # whoever made it was killed before it could write
            mark = uuid.uuid4().hex
            file.write_text(mark, encoding="ascii")
        return cls(results_dir.resolve(), mark)

    def is_seen(self) -> bool:
        """Whether this process sees the folder."""
        with suppress(OSError):
            return _mark_of(self.path).read_text(encoding="ascii") == self.mark
        return False


def _mark_of(results_dir: Path) -> Path:
    return results_dir / "runs" / ".locks" / "shared.lock"


@dataclass(frozen=True)
class Cluster:
    """The workers of a dask cluster.

    Attributes:
        address: Of its scheduler.
        device: "cpu" or "cuda".
        limits: Of each run.
        client: The connection.
        devices: That train one model together: a run asks for as many of the resource `GPU`.
    """

    address: str
    device: str
    limits: Limits
    client: Any = field(repr=False)
    devices: int = 1

    @classmethod
    def at(cls, address: str, device: str | None = None, limits: Limits = NO_LIMITS, devices: int = 1) -> Cluster:
        """Connects to a scheduler.

        Args:
            address: As `dask scheduler` prints it, e.g. "tcp://10.0.0.1:8786".
            device: "cpu" or "cuda"; None is "cuda" where the workers offer a resource `GPU`.
            limits: Of each run.
            devices: That train one model together.

        Raises:
            BenchError: Dask is not installed, or no scheduler answers.
        """
        try:
            from distributed import Client
        except ModuleNotFoundError:
            raise BenchError(f"--backend dask {how_to_install('distributed')}") from None
        # What its connection goes through is told in one line here, and at length by the logs of scheduler and workers.
        for name in ("distributed", *logging.root.manager.loggerDict):
            if name.partition(".")[0] == "distributed":  # Dask gives some of these levels of their own
                logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        try:
            client = Client(address, timeout=_SECONDS_TO_CONNECT, set_as_default=False, name="glass-bench")
        except (OSError, ValueError, TypeError) as error:
            raise BenchError(
                f"--scheduler {address}: no dask scheduler answers ({reason_of(error)}): start `dask scheduler`"
            ) from None
        offers = any(_GPU in worker.get("resources", {}) for worker in client.scheduler_info()["workers"].values())
        return cls(address, device or ("cuda" if offers else "cpu"), limits, client, devices)

    @property
    def jobs(self) -> int:
        return max(1, sum(self.client.nthreads().values()))

    def __str__(self) -> str:
        threads = self.client.nthreads()
        dashboard = self.client.dashboard_link or "none"
        return f"{sum(threads.values())} at a time on {len(threads)} dask workers, {self.device}; see {dashboard}"

    def start(self) -> ClusterEngine:
        return ClusterEngine(self.client, self.device, self.limits, self.devices)


class ClusterEngine:
    """Gives runs to a dask cluster, and takes what comes of them.

    Args:
        client: The connection; closed with the engine.
        device: "cpu" or "cuda".
        limits: Of each run.
        devices: That train one model together.
    """

    most = _MOST_RUNS
    retries = True

    def __init__(self, client: Any, device: str, limits: Limits, devices: int = 1) -> None:
        self._client, self._device, self._limits = client, device, limits
        self._address = str(client.scheduler.address)
        self._resources = {_GPU: devices} if device == "cuda" else {}
        self._folder: SharedFolder | None = None
        self._remote: dict[str, Any] = {}
        self._processing: set[Any] = set()
        self._asked = 0.0
        self._submitted = 0
        self._closed = False

    def submit(self, job: Job, spec: RunSpec, results_dir: Path) -> Future[RunResult]:
        self._folder = self._folder or SharedFolder.of(results_dir)
        remote = self._client.submit(
            make_remotely,
            job,
            spec,
            self._folder,
            self._device,
            self._limits,
            key=_key_of(spec),
            pure=False,
            resources=self._resources,
            priority=-self._submitted,  # what is given within a moment would else be made in any order
        )
        self._submitted += 1
        self._remote[spec.key] = remote
        made: Future[RunResult] = Future()
        remote.add_done_callback(lambda done: self._hand_over(done, made, spec, results_dir))
        return made

    def under_way(self, submitted: Sequence[RunSpec]) -> Sequence[RunSpec]:
        if time.monotonic() - self._asked >= _SECONDS_BETWEEN_QUESTIONS:
            self._asked = time.monotonic()
            try:
                self._processing = {key for keys in self._client.processing().values() for key in keys}
            except (OSError, TypeError, AttributeError):  # the scheduler is away
                self._processing = set()
        return [spec for spec in submitted if _key_of(spec) in self._processing]

    def close(self) -> None:
        self._closed = True
        self._client.close(timeout=_SECONDS_TO_CONNECT)  # the scheduler drops what nobody waits for any more

    def _waited_for(self, done: Any) -> tuple[RunResult, str | None]:
        """What a run that has ended gives, which still has to come from its worker.

        Raises:
            CancelledError: The connection was closed meanwhile: nothing comes any more, and dask would wait for ever,
                and with it this process at its end.
            Exception: Whatever the job raised.
        """
        while True:
            try:
                given: tuple[RunResult, str | None] = done.result(timeout=_SECONDS_BETWEEN_QUESTIONS)
                return given
            except (TimeoutError, asyncio.TimeoutError):  # on Python 3.10 the two differ
                if done.status == "error":
                    raise
                if self._closed:
                    raise CancelledError from None

    def _hand_over(self, done: Any, made: Future[RunResult], spec: RunSpec, results_dir: Path) -> None:
        from distributed import KilledWorker

        try:
            result, log = self._waited_for(done)
            if log is not None:
                ResultStore(results_dir).save(result, log)
            made.set_result(result)
        except KilledWorker:
            made.set_exception(ProcessDiedError(WORKER_DIED))
        except CancelledError:
            made.set_exception(BenchError(f"{self._address}: {GONE}"))
        except Exception as error:
            made.set_exception(error)
        finally:
            self._remote.pop(spec.key, None)


def _key_of(spec: RunSpec) -> tuple[str, str]:
    """Dask's name of a run.

    What stands first is the kind of task. Of a kind dask learns how long a task takes, and takes tasks back from busy
    workers for idle ones only where it knows that; so all runs are of one kind.
    """
    return "run", f"{spec.label}-{spec.key}"


def make_remotely(
    job: Job, spec: RunSpec, shared: SharedFolder, device: str, limits: Limits
) -> tuple[RunResult, str | None]:
    """Makes a run in a process of its own beside a dask worker; the worker calls this in one of its threads.

    Returns:
        The result, and its log where the run could not be stored in the results folder, since it isn't seen from here.
    """
    from distributed import get_worker

    worker = get_worker()
    key = worker.get_current_task()
    is_wanted = partial(_is_executing, worker, key)
    if shared.is_seen():
        return _make(job, spec, shared.path, device, limits, is_wanted), None
    folder = Path(worker.local_directory) / "glass-bench"
    result = _make(job, spec, folder, device, limits, is_wanted)
    stored = ResultStore(folder).folder(spec)
    log = (stored / "log.txt").read_text(encoding="utf-8")
    shutil.rmtree(stored, ignore_errors=True)
    return result, log


def _make(
    job: Job, spec: RunSpec, folder: Path, device: str, limits: Limits, is_wanted: Callable[[], bool]
) -> RunResult:
    """Makes a run in the process that belongs to this thread."""
    process: WorkerProcess | None = getattr(_own, "process", None)
    if process is None or process.limits != limits:
        _allow_processes()
        leave_memory_to_processes()
        process = _own.process = WorkerProcess(device, 1, limits)
    return process.make(job, spec, folder, is_wanted)


_own = threading.local()
"""The worker process of each thread of a dask worker."""


def _is_executing(worker: Any, key: Any) -> bool:
    """Whether a task is still wanted: the bench may have been interrupted, or bench or scheduler may be gone."""
    task = worker.state.tasks.get(key)
    return task is not None and task.state == "executing" and worker.status.name in ("running", "paused")


def _allow_processes() -> None:
    """Dask's nanny starts its worker as a daemon, which Python lets start no process, lest it be left behind.

    Ours ends with its parent.
    """
    multiprocessing.current_process()._config["daemon"] = False  # type: ignore[attr-defined]


def leave_memory_to_processes() -> None:
    """Takes back, for the processes that this one starts, what dask's nanny tells its workers to do with free memory.

    At dask's value (64 KiB) an array that is freed goes back to the system, and the next one gets new pages, each of
    which the system first has to clear: a training on a CPU takes longer. Dask does it so that a worker, which keeps
    results, does not seem larger than they are; our processes keep none. A value that is not dask's stays.
    """
    import dask

    of_dask = dask.config.get(f"distributed.nanny.pre-spawn-environ.{_TRIM}", None)
    if of_dask is not None and os.environ.get(_TRIM) == str(of_dask):
        del os.environ[_TRIM]
