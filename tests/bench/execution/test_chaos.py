"""A grid that is killed again and again, in every way, ends with the results of one that was left in peace."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from test_interruption import LINE, ROOT, SECONDS, Bench, family_of, when

from bench.execution.store import ResultStore
from bench.plan import Plan

pytestmark = [
    pytest.mark.slow(minutes=1),
    pytest.mark.usefixtures("tiny_ml_100k", "outside_models"),
    pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc"),
]

TRAINING = ("epochs=15", "validate_every=1", "batch_events=16", "warmup_steps=2", "patience=15")
KEYS = ("dim=8", "length=8", *(f"training.{key}" for key in TRAINING))
GRID = (
    *("--models", "popularity,sasrec-ce,item-knn,outside", "--checkpoint-every", "0.2"),
    *(option for key in KEYS for option in ("--set", f"sasrec-ce.{key}")),
)
MOMENTS = int(os.environ.get("GLASS_BENCH_CHAOS", "12"))
"""How often something is ended, in all, ten seconds or more each time. `GLASS_BENCH_CHAOS=50` is the whole test."""

ON_A_CLUSTER = 2 * MOMENTS // 5


def left(results: Path) -> list[Any]:
    """What a grid leaves but times: tables as bytes, and how each training went."""
    found, store = [], ResultStore(results)
    for spec in Plan.read(results, "full").runs:
        folder, result = store.folder(spec), store.load(spec)
        assert result is not None
        assert result.status == "complete", result.reason
        curve = [(point["epoch"], point["loss"], point["validation"]) for point in result.curve]
        found.append((spec.label, curve, (folder / "queries.parquet").read_bytes()))
    return found


def hidden(results: Path) -> list[str]:
    """Temporary files, heartbeats and checkpoints that are left."""
    kept = (".locks", ".progress", ".checkpoints")
    everything = [path for path in results.rglob("*") if path.is_file() or path.name.startswith(".")]
    return [str(path) for path in everything if path.name not in kept and path.suffix != ".lock" and "/." in str(path)]


def check(results: Path, right: list[Any], again: Bench) -> None:
    assert again.end() == ""
    assert again.process.returncode == 0
    assert again.is_gone()
    assert left(results) == right
    assert hidden(results) == []


@pytest.fixture
def right(tmp_path: Path) -> list[Any]:
    peaceful = Bench(tmp_path / "peaceful", *GRID, "--jobs", "2")
    assert peaceful.end() == ""
    return left(peaceful.results)


def end(bench: Bench, way: str, rng: np.random.Generator) -> None:
    """Ends a bench, or a worker process of its own."""
    if way == "worker":
        workers = [pid for pid in bench.family() if "LokyProcess" in " ".join(psutil.Process(pid).cmdline())]
        if workers:
            os.kill(int(rng.choice(workers)), signal.SIGKILL)
        return
    os.kill(bench.process.pid, getattr(signal, way))
    assert bench.end() in ("", LINE)
    assert bench.is_gone()


def test_a_grid_may_be_ended_at_any_moment_in_any_way(tmp_path: Path, right: list[Any]) -> None:
    rng = np.random.default_rng(0)
    ways = ("SIGKILL", "SIGTERM", "SIGHUP", "SIGINT", "worker")
    bench = None
    for moment in range(MOMENTS - ON_A_CLUSTER):
        if bench is None or bench.process.poll() is not None:
            bench = Bench(tmp_path / "killed", *GRID, "--jobs", "2")
            assert when(bench.listens)
        time.sleep(rng.uniform(0, 15))
        if bench.process.poll() is None:
            end(bench, ways[moment % len(ways)], rng)
    if bench is not None and bench.process.poll() is None:
        bench.end()
    check(tmp_path / "killed" / "results", right, Bench(tmp_path / "killed", *GRID, "--jobs", "2"))


class DaskCluster:
    """A scheduler and two workers of one thread each; whatever has ended is started again."""

    def __init__(self) -> None:
        self.address, self._mark = "", f"GLASS_BENCH_TEST={uuid.uuid4()}"
        self._started: list[subprocess.Popen[bytes]] = []

    def stand(self) -> str:
        """Starts what is missing; returns the address of the scheduler."""
        if not self._started or self._started[0].poll() is not None:
            self.end()
            with socket.socket() as one:
                one.bind(("127.0.0.1", 0))
                port = str(one.getsockname()[1])
            self.address = f"tcp://127.0.0.1:{port}"
            self._started = [self._start("scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard")]
        self._started = [self._started[0], *(one for one in self._started[1:] if one.poll() is None)]
        while len(self._started) < 3:
            self._started.append(self._start("worker", self.address, "--nthreads", "1", "--no-dashboard"))
        return self.address

    def kill(self, what: str, rng: np.random.Generator) -> None:
        """Kills the scheduler, or one of the workers."""
        one = self._started[0] if what == "scheduler" else self._started[int(rng.integers(1, 3))]
        one.kill()
        one.wait()

    def end(self) -> None:
        for one in self._started:
            one.kill()
            one.wait()

    def is_gone(self) -> bool:
        return when(lambda: not family_of(self._mark), seconds=SECONDS)

    def _start(self, *words: str) -> subprocess.Popen[bytes]:
        name, _, value = self._mark.partition("=")
        return subprocess.Popen(
            [sys.executable, "-m", "dask", *words],
            env={**os.environ, name: value},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=ROOT,
        )


def test_a_grid_on_a_cluster_may_lose_anything_at_any_moment(tmp_path: Path, right: list[Any]) -> None:
    pytest.importorskip("distributed")
    rng = np.random.default_rng(1)
    ways = ("scheduler", "SIGKILL", "dask worker", "SIGTERM", "scheduler", "SIGINT", "dask worker", "SIGHUP")
    cluster, bench = DaskCluster(), None
    try:
        for moment in range(ON_A_CLUSTER):
            address = cluster.stand()
            if bench is None or bench.process.poll() is not None:
                bench = Bench(tmp_path / "killed", *GRID, "--backend", "dask", "--scheduler", address)
                assert when(bench.listens)
            time.sleep(rng.uniform(0, 15))
            way = ways[moment % len(ways)]
            if way.startswith("SIG"):
                if bench.process.poll() is None:
                    end(bench, way, rng)
                continue
            cluster.kill(way.split()[-1], rng)
            if way == "scheduler":
                said = bench.end()
                assert said == "" or (said.startswith("error: ") and said.count("\n") == 1), said
                assert bench.is_gone()
        if bench is not None and bench.process.poll() is None:
            cluster.stand()
            bench.end()
    finally:
        cluster.end()
    assert cluster.is_gone()
    check(tmp_path / "killed" / "results", right, Bench(tmp_path / "killed", *GRID, "--jobs", "2"))


def test_a_results_folder_that_is_removed_in_the_middle_costs_what_was_in_it(tmp_path: Path, right: list[Any]) -> None:
    bench = Bench(tmp_path / "removed", *GRID, "--jobs", "2")
    assert when(lambda: bench.is_at("") or bool(list(bench.results.glob("runs/*/*/*/result.json"))))
    shutil.rmtree(bench.results, ignore_errors=True)
    said = bench.end()
    assert said.count("\n") <= 1
    check(bench.results, right, Bench(tmp_path / "removed", *GRID, "--jobs", "2"))
