"""Files that can't grow, folders that can't be written to, a clock that goes backwards: one line, or a right result."""

from __future__ import annotations

import errno
import itertools
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from bench.errors import BenchError
from bench.execution.checkpoints import Checkpointing
from bench.execution.heartbeat import read_heartbeat
from bench.execution.store import ResultStore, stored_results
from bench.execution.worker import execute
from bench.plan import Plan, expand
from bench.spec import DatasetSpec, Entry, Suite

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.usefixtures("tiny_ml_100k", "outside_models")


def plan(*entries: Entry) -> Plan:
    suite = Suite(name="mine", description="", datasets=(DatasetSpec(name="ml-100k"),), models=entries, seeds=(0,))
    return Plan(suite=suite, runs=tuple(expand(suite)), command="")


def bench(results: Path, largest_file: int | None) -> subprocess.CompletedProcess[str]:
    """`bench run`, of which no file may become larger: what a quota does, and a disk that is full a little later."""

    def limit() -> None:
        if largest_file is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, resource.RLIM_INFINITY))

    command = [sys.executable, "-m", "bench", "run", "--datasets", "ml-100k", "--seeds", "1", "--device", "cpu"]
    return subprocess.run(
        [*command, "--models", "popularity,outside", "--results", str(results), "--reports", str(results / "reports")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        preexec_fn=limit,
    )


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the limit is a signal elsewhere")
def test_files_that_can_not_grow_are_one_line_and_cost_nothing_complete(tmp_path: Path) -> None:
    for largest in (0, 1_000, 6_000, 60_000):
        done = bench(tmp_path, largest)
        assert "Traceback" not in done.stderr + done.stdout, largest
        assert done.stderr.count("\n") == (1 if done.returncode == 2 else 0), (largest, done.stderr)
        assert done.returncode in (0, 1, 2)
        assert done.returncode, "so small are a report's files not"
    done = bench(tmp_path, None)
    assert (done.returncode, done.stderr) == (0, "")
    runs = Plan.read(tmp_path, "full").runs
    assert [result.status for result in stored_results(runs, tmp_path, Console(quiet=True))] == ["complete"] * 2


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES])
def test_a_plan_that_can_not_be_written_is_one_line(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("bench.files.os.replace", fail)
    with pytest.raises(BenchError, match=f"can't write results to .*: {os.strerror(number)}: choose --results"):
        plan(Entry(model="popularity")).write(tmp_path / "results")
    assert [path for path in (tmp_path / "results").rglob("*") if path.is_file()] == []


def test_a_clock_that_goes_backwards_changes_no_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    training = {"epochs": 2, "validate_every": 1, "batch_events": 64, "warmup_steps": 2}
    (spec,) = plan(Entry(model="sasrec-ce", config={"dim": 8, "length": 8, "training": training})).runs
    right = execute(spec, tmp_path / "right", "cpu", 1)
    backwards = itertools.count(time.time(), -3_600)
    monkeypatch.setattr(time, "time", lambda: next(backwards))
    found = execute(spec, tmp_path / "backwards", "cpu", 1, Checkpointing(seconds=0))
    assert found.reason == ""
    assert found.queries is not None
    assert found.queries.equals(right.queries)
    assert min(found.fit_seconds, found.recommend_seconds) >= 0
    assert [point["seconds"] >= 0 for point in found.curve] == [True, True]
    assert ResultStore(tmp_path / "backwards").load(spec) is not None
    assert read_heartbeat(tmp_path / "backwards", spec) is None
