"""A dask cluster of two worker processes gives what this machine gives, and may lose a worker on the way."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from filelock import FileLock

from bench.errors import BenchError
from bench.execution.cluster import Cluster, ClusterEngine, SharedFolder, leave_memory_to_processes
from bench.execution.limits import NO_LIMITS
from bench.execution.scheduler import Workers, run_all
from bench.execution.store import ResultStore
from bench.execution.worker import execute
from bench.plan import expand
from bench.spec import DatasetSpec, Entry, RunResult, RunSpec, Suite

distributed = pytest.importorskip("distributed")

MODELS = ("outside", "item-knn", "outside-raising", "popularity")


@pytest.fixture
def address(tiny_ml_100k: None, outside_models: Path) -> Iterator[str]:
    """The scheduler of two workers of one thread each; they find data and models as this process does."""
    outside_models.write_text(
        outside_models.read_text()
        + "outside-pausing = unruly_models:Pausing\noutside-patient = unruly_models:Patient\n"
    )
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        yield cluster.scheduler_address


def specs(*models: str, seeds: Sequence[int] = (0,)) -> list[RunSpec]:
    entries = tuple(Entry(model=model) for model in models)
    suite = Suite(name="s", description="", datasets=(DatasetSpec(name="ml-100k"),), models=entries, seeds=tuple(seeds))
    return expand(suite)


def files(results: Path, planned: Sequence[RunSpec]) -> list[tuple[str, bytes]]:
    """Status and table of each run, as they are on disk."""
    store, found = ResultStore(results), []
    for spec in planned:
        result, table = store.load(spec), store.folder(spec) / "queries.parquet"
        assert result is not None
        assert (store.folder(spec) / "log.txt").exists()
        found.append((f"{result.status} {result.reason}", table.read_bytes() if table.exists() else b""))
    return found


def run(planned: Sequence[RunSpec], results: Path, address: str) -> list[RunResult]:
    ended: list[RunResult] = []
    run_all(planned, results, Cluster.at(address, "cpu"), ended.append, lambda running: None)
    return ended


@pytest.mark.slow
def test_a_cluster_gives_what_this_machine_gives(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planned = specs(*MODELS)
    run_all(planned, tmp_path / "here", Workers("cpu", 2, 1), lambda result: None, lambda running: None)
    assert len(run(planned, tmp_path / "there", address)) == len(planned)
    right = files(tmp_path / "here", planned)
    assert [status.split()[0] for status, _ in right] == ["complete", "complete", "failed", "complete"]
    assert files(tmp_path / "there", planned) == right
    # Workers that don't see the results folder send the results back.
    monkeypatch.setattr(SharedFolder, "of", lambda results_dir: SharedFolder(results_dir, "nowhere"))
    assert len(run(planned, tmp_path / "elsewhere", address)) == len(planned)
    assert files(tmp_path / "elsewhere", planned) == right
    left = [path.name for path in (tmp_path / "there" / "runs" / ".locks").iterdir()]
    assert all(name.endswith(".lock") for name in left)


def test_the_mark_of_a_folder_stays_the_same_and_is_known_from_others(tmp_path: Path) -> None:
    folder = SharedFolder.of(tmp_path / "one")
    assert SharedFolder.of(tmp_path / "one") == folder
    assert folder.is_seen()
    assert not SharedFolder(tmp_path / "elsewhere", folder.mark).is_seen()
    assert not SharedFolder((tmp_path / "one").resolve(), SharedFolder.of(tmp_path / "two").mark).is_seen()
    (tmp_path / "one" / "runs" / ".locks" / "shared.lock").write_text("")  # killed before it could write
    assert SharedFolder.of(tmp_path / "one").is_seen()


@pytest.mark.slow
def test_a_worker_that_is_killed_loses_nothing(address: str, tmp_path: Path) -> None:
    planned = specs("outside-pausing", seeds=range(4))
    cluster, ended, killed = Cluster.at(address), list[RunResult](), list[int]()

    def kill_one(running: Sequence[RunSpec]) -> None:
        if not killed and list((tmp_path / "runs" / ".progress").glob("*.log")):
            killed.append(next(iter(cluster.client.run(os.getpid).values())))
            os.kill(killed[0], signal.SIGKILL)

    run_all(planned, tmp_path, cluster, ended.append, kill_one)
    assert killed
    assert [result.status for result in ended] == ["complete"] * 4
    run_all(planned, tmp_path / "here", Workers("cpu", 2, 1), lambda result: None, lambda running: None)
    assert files(tmp_path, planned) == files(tmp_path / "here", planned)


@pytest.mark.slow
def test_no_run_waits_for_a_busy_worker_while_another_is_idle(address: str, tmp_path: Path) -> None:
    """One worker makes a long run while the other makes short ones, and then one that waits for all that are left."""
    marks = tmp_path / "marks"
    marks.mkdir()

    def patient(label: str, place: int, waits_for: int = 0) -> Entry:
        config = {"marks": str(marks), "waits_for": waits_for, "schedule": {"epochs": place}}
        return Entry(model="outside-patient", label=label, config=config)

    before, after = ("ash", "beech"), ("cedar", "elm", "fir", "larch", "oak")
    models = (
        Entry(model="outside-pausing"),
        *(patient(label, place) for place, label in enumerate(before, start=1)),
        patient("waits", 3, waits_for=len(before) + len(after)),
        *(patient(label, place) for place, label in enumerate(after, start=4)),
    )
    suite = Suite(name="s", description="", datasets=(DatasetSpec(name="ml-100k"),), models=models, seeds=(0,))
    ended = run(expand(suite), tmp_path / "results", address)
    assert [result.reason for result in ended] == [""] * len(models)
    assert ended[-1].spec.label == "waits"


@pytest.mark.slow
def test_a_run_that_kills_its_process_is_a_failed_row(address: str, tmp_path: Path) -> None:
    ended = run(specs("outside-dying", "popularity"), tmp_path, address)
    assert {result.spec.label: (result.status, result.reason) for result in ended} == {
        "outside-dying": ("failed", "worker process died (out of memory?)"),
        "popularity": ("complete", ""),
    }


@pytest.mark.slow
def test_an_interrupted_bench_leaves_no_run_on_the_cluster(address: str, tmp_path: Path) -> None:
    def press(running: Sequence[RunSpec]) -> None:
        if list((tmp_path / "runs" / ".progress").glob("*.log")):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_all(specs("outside-slow"), tmp_path, Cluster.at(address), lambda result: None, press)
    lock = next((tmp_path / "runs" / ".locks").glob("*.lock"))
    started = time.monotonic()
    with FileLock(lock).acquire(timeout=10):  # else the worker's process still makes the run
        assert time.monotonic() - started < 10


@pytest.mark.slow
def test_a_scheduler_that_is_killed_is_one_line_and_nothing_goes_on(
    tiny_ml_100k: None, outside_models: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    address = f"tcp://127.0.0.1:{_free_port()}"
    dask = [sys.executable, "-m", "dask"]
    scheduler = subprocess.Popen(
        [*dask, "scheduler", "--host", "127.0.0.1", "--port", address.rpartition(":")[2], "--no-dashboard"],
        stderr=subprocess.DEVNULL,
    )
    worker = subprocess.Popen(
        [*dask, "worker", address, "--nthreads", "1", "--no-dashboard"], stderr=subprocess.DEVNULL
    )
    family = psutil.Process(worker.pid)
    try:
        cluster = _connected(address)
        processes: list[psutil.Process] = []

        def kill(running: Sequence[RunSpec]) -> None:
            if not processes and list((tmp_path / "runs" / ".progress").glob("*.log")):
                processes.extend(family.children(recursive=True))
                scheduler.kill()

        gone = f"{address}: the dask scheduler has ended, or has dropped what it was given; complete results are kept"
        with pytest.raises(BenchError, match=re.escape(gone)):
            run_all(specs("outside-slow"), tmp_path, cluster, lambda result: None, kill)
        assert len(processes) >= 2
        psutil.wait_procs(processes, timeout=30)
        assert [one for one in processes if one.is_running() and one.status() != psutil.STATUS_ZOMBIE] == []
        assert "Traceback" not in capfd.readouterr().err
    finally:
        for process in (scheduler, worker):
            process.kill()


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _connected(address: str) -> Cluster:
    """A connection to a cluster that is just starting."""
    deadline = time.monotonic() + 120
    while True:
        try:
            cluster = Cluster.at(address)
        except BenchError:
            assert time.monotonic() < deadline
        else:
            cluster.client.wait_for_workers(1, timeout=120)
            return cluster


@pytest.mark.parametrize(("value", "stays"), [("of dask", False), ("123456", True)])
def test_runs_do_not_inherit_what_dask_does_with_freed_memory(
    value: str, stays: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    import dask

    name = "MALLOC_TRIM_THRESHOLD_"
    of_dask = str(dask.config.get(f"distributed.nanny.pre-spawn-environ.{name}"))  # dask still sets it
    monkeypatch.setenv(name, of_dask if value == "of dask" else value)
    leave_memory_to_processes()
    assert (name in os.environ) == stays
    leave_memory_to_processes()


def test_runs_are_made_in_the_given_order(tiny_ml_100k: None) -> None:
    given: list[dict[str, Any]] = []

    def submit(*arguments: object, **options: object) -> SimpleNamespace:
        given.append(options)
        return SimpleNamespace(add_done_callback=lambda callback: None)

    client = SimpleNamespace(scheduler=SimpleNamespace(address="tcp://somewhere"), submit=submit)
    engine = ClusterEngine(client, "cpu", NO_LIMITS)
    engine._folder = SharedFolder(Path("nowhere"), "mark")
    for spec in specs("popularity", "item-knn", "tifuknn"):
        engine.submit(execute, spec, Path("nowhere"))
    priorities = [options["priority"] for options in given]
    assert len(set(priorities)) == 3
    assert priorities == sorted(priorities, reverse=True)  # dask begins with the highest


def test_a_scheduler_that_does_not_answer_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.execution.cluster._SECONDS_TO_CONNECT", 0.2)
    with pytest.raises(
        BenchError, match=r"--scheduler tcp://127.0.0.1:9: no dask scheduler answers \(\w+: .*\): start"
    ):
        Cluster.at("tcp://127.0.0.1:9")


class NeverComing:
    """A future of dask whose connection was closed before its result came."""

    def __init__(self, fails: bool) -> None:
        self.status = "error" if fails else "finished"

    def result(self, timeout: float | None = None) -> None:
        assert timeout is not None, "dask would wait for ever"
        raise TimeoutError


@pytest.mark.parametrize(("fails", "expected"), [(False, CancelledError), (True, TimeoutError)])
def test_a_result_that_can_not_come_any_more_is_not_waited_for(fails: bool, expected: type[Exception]) -> None:
    class Client:
        scheduler = SimpleNamespace(address="tcp://127.0.0.1:1")

        def close(self, timeout: float) -> None: ...

    engine = ClusterEngine(Client(), "cpu", NO_LIMITS)
    engine.close()
    with pytest.raises(expected):
        engine._waited_for(NeverComing(fails))
