import inspect
import os
import re
import subprocess
import sys
import time
import warnings
from pathlib import Path

import loky
import numpy as np
import pytest
import torch
from loky import process_executor

from bench.execution.limits import NO_LIMITS
from bench.execution.scheduler import DIED, Workers, run_all
from bench.execution.store import ResultStore
from bench.execution.worker_process import WorkerProcess, why_died
from bench.plan import expand
from bench.spec import DatasetSpec, Entry, RunResult, RunSpec, Suite


def test_what_an_interrupt_leaves_of_the_pool_is_given_back_without_a_word() -> None:
    left = "resource_tracker.register('/loky-given-back-already', 'semlock')"
    begun = "WorkerProcess('cpu', 1, NO_LIMITS)._new_pool()"
    imports = (
        "from bench.execution.worker_process import WorkerProcess",
        "from bench.execution.limits import NO_LIMITS",
        "from loky.backend import resource_tracker",
    )
    code = "; ".join((*imports, begun, left))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_a_worker_that_was_replaced_is_nothing_to_warn_of() -> None:
    """Loky's own words, as its source has them: they differ from version to version."""
    words = re.findall(r'warnings.warn\(\s*"(A worker [^"]*)"', inspect.getsource(process_executor))
    assert words
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        WorkerProcess("cpu", 1, NO_LIMITS)._new_pool()
        for text in words:
            warnings.warn(text, UserWarning, stacklevel=1)
    assert caught == []


def takes_memory(spec: RunSpec, results_dir: Path, device: str, threads: int) -> RunResult:
    """Grows by more than Loky lets a process grow by itself, and waits until Loky would look."""
    held = getattr(process_executor, "held_by_test", [])
    process_executor.held_by_test = [*held, np.ones(50_000_000)]  # 400 MB
    time.sleep(1.1)
    return RunResult(spec=spec, status="complete", environment={"pid": os.getpid()})


def test_a_process_that_has_loaded_much_is_kept_for_the_next_run(tmp_path: Path) -> None:
    dataset = DatasetSpec(name="ml-100k")
    spec = RunSpec(dataset=dataset, data_hash="", model="m", revision=1, config={}, seed=0, label="m")
    worker = WorkerProcess("cpu", 1, NO_LIMITS)
    try:
        made = [worker.make(takes_memory, spec, tmp_path, lambda: True) for _ in range(2)]
    finally:
        worker.close()
    assert len({result.environment["pid"] for result in made}) == 1


@pytest.mark.usefixtures("tiny_ml_100k", "outside_models")
def test_a_worker_that_dies_fails_its_own_run_and_no_other(tmp_path: Path) -> None:
    models = ("outside-dying", "outside", "popularity")
    suite = Suite(
        name="s",
        description="",
        datasets=(DatasetSpec(name="ml-100k"),),
        models=tuple(Entry(model=model) for model in models),
        seeds=(0,),
    )
    specs = expand(suite)
    results: list[RunResult] = []
    run_all(specs, tmp_path, Workers("cpu", jobs=2, threads=1), results.append, lambda running: None)
    assert {result.spec.label: result.status for result in results} == {
        "outside-dying": "failed",
        "outside": "complete",
        "popularity": "complete",
    }
    assert len(results) == 3
    dead = ResultStore(tmp_path).load(specs[0])
    assert dead is not None
    assert dead.reason == DIED
    assert "last words" in (ResultStore(tmp_path).folder(specs[0]) / "log.txt").read_text()
    assert list((tmp_path / "runs" / ".progress").iterdir()) == []


def where_it_runs(spec: RunSpec, results_dir: Path, device: str, threads: int) -> RunResult:
    """A job that takes the time for all workers to start, and tells which GPU it was given."""
    (results_dir / f"{spec.seed}").touch()
    for _ in range(600):
        if len(list(results_dir.iterdir())) >= 4:
            break
        time.sleep(0.05)
    return RunResult(spec=spec, status="skipped", reason=f"{device}:{os.environ['CUDA_VISIBLE_DEVICES']}")


def growing(spec: RunSpec, results_dir: Path, device: str, threads: int) -> RunResult:
    """A job that holds 400 MB more than before, longer than Loky waits between two looks, and tells its process."""
    if not held:
        held.append(bytearray(os.urandom(2**20) * 400))
    time.sleep(1.1)
    return RunResult(spec=spec, status="skipped", reason=str(os.getpid()))


held: list[bytearray] = []


@pytest.mark.usefixtures("tiny_ml_100k")
def test_a_process_that_has_imported_much_makes_the_next_run_too(tmp_path: Path) -> None:
    datasets, models = (DatasetSpec(name="ml-100k"),), (Entry(model="popularity"),)
    specs = expand(Suite(name="s", description="", datasets=datasets, models=models, seeds=(0, 1, 2)))
    made: list[str] = []
    run_all(
        specs,
        tmp_path,
        Workers("cpu", 1, 1),
        lambda result: made.append(result.reason),
        lambda running: None,
        lambda spec: growing,
    )
    assert len(made) == 3
    assert len(set(made)) == 1


@pytest.mark.usefixtures("tiny_ml_100k")
def test_runs_are_divided_evenly_among_gpus(tmp_path: Path) -> None:
    suite = Suite(
        name="s",
        description="",
        datasets=(DatasetSpec(name="ml-100k"),),
        models=(Entry(model="popularity"),),
        seeds=(0, 1, 2, 3),
    )
    told: list[str] = []
    workers = Workers("cuda", jobs=4, threads=1, gpus=("3", "GPU-5a"))
    run_all(
        expand(suite), tmp_path, workers, lambda made: told.append(made.reason), lambda _: None, lambda _: where_it_runs
    )
    assert sorted(told) == ["cuda:3", "cuda:3", "cuda:GPU-5a", "cuda:GPU-5a"]
    assert str(workers) == "4 at a time on 2 GPUs, 1 threads each"


def test_several_gpus_take_several_times_as_many_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loky, "cpu_count", lambda: 64)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4, 6,7")
    assert Workers.for_machine("cuda", None, 100) == Workers("cuda", jobs=16, threads=4, gpus=("4", "6"))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert Workers.for_machine("cuda", None, 3) == Workers("cuda", jobs=3, threads=21, gpus=("0", "1"))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert Workers.for_machine("cuda", None, 100) == Workers("cuda", jobs=8, threads=8), "nothing to divide"


def test_cores_are_divided_and_never_given_out_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loky, "cpu_count", lambda: 6)
    assert Workers.for_machine("cpu", None, 100) == Workers("cpu", jobs=6, threads=1)
    assert Workers.for_machine("cpu", None, 2) == Workers("cpu", jobs=2, threads=3)
    assert Workers.for_machine("cpu", 4, 100) == Workers("cpu", jobs=4, threads=1)
    assert Workers.for_machine("cuda", None, 100) == Workers("cuda", jobs=3, threads=2)
    assert Workers.for_machine("cpu", 3, 0) == Workers("cpu", jobs=1, threads=6)


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        ("epoch 1\n", DIED),
        (
            "IndexKernel.cu:111: operator(): block: [29,0,0], thread: [65,0,0] Assertion `-sizes[i] <= index` failed.\n"
            * 9,
            "worker process died: assertion `-sizes[i] <= index` failed (see its log)",
        ),
        (
            "epoch 1\nFatal Python error: Segmentation fault\n\nThread 0x7f:\n",
            "worker process died: Segmentation fault (see its log)",
        ),
    ],
)
def test_a_dead_process_is_explained_by_its_last_words(log: str, reason: str) -> None:
    assert why_died(log) == reason
