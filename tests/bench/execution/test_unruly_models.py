"""Models that hang, take too much, talk without end, or won't let their process go: one failed row each."""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.execution import limits, run_log
from bench.execution.limits import NO_LIMITS, Limits, Usage
from bench.execution.scheduler import Workers, run_all
from bench.execution.store import ResultStore
from bench.execution.worker import execute
from bench.plan import expand
from bench.spec import DatasetSpec, Entry, RunResult, RunSpec, Suite

NAMES = ("Hung", "Greedy", "Talkative", "Threaded", "Pressing", "Generating", "Leaving")


@pytest.fixture(autouse=True)
def unruly_models(outside_models: Path, tiny_ml_100k: None) -> None:
    lines = "".join(f"outside-{name.lower()} = unruly_models:{name}\n" for name in NAMES)
    outside_models.write_text(outside_models.read_text() + lines)


def specs(*models: str) -> list[RunSpec]:
    entries = tuple(Entry(model=model) for model in models)
    suite = Suite(name="s", description="", datasets=(DatasetSpec(name="ml-100k"),), models=entries, seeds=(0,))
    return expand(suite)


def made(results: Path, *models: str, jobs: int = 1, limits: Limits = NO_LIMITS) -> dict[str, RunResult]:
    """Results as they are stored, by model."""
    planned, ended = specs(*models), list[RunResult]()
    run_all(planned, results, Workers("cpu", jobs, 1, limits=limits), ended.append, lambda running: None)
    stored = [ResultStore(results).load(spec) for spec in planned]
    assert len(ended) == len(planned)
    return {result.spec.model: result for result in stored if result is not None}


def log_of(results: Path, result: RunResult) -> str:
    return (ResultStore(results).folder(result.spec) / "log.txt").read_text()


def test_a_run_keeps_to_its_limits_or_not() -> None:
    pid, long_ago = os.getpid(), time.monotonic() - 60
    assert Usage(NO_LIMITS, long_ago).excess(pid) == ""
    assert Usage(Limits(seconds=70, gib=1000.0), long_ago).excess(pid) == ""
    assert Usage(Limits(seconds=50), long_ago).excess(pid) == (
        "not done after the time limit of a run, 50 s (--run-timeout)"
    )


def test_the_memory_of_a_run_is_that_of_its_process_and_of_those_it_starts() -> None:
    held = "held = bytearray(2**28); print(1, flush=True); input()"
    starting = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {held!r}])"
    with subprocess.Popen([sys.executable, "-c", starting], stdin=-1, stdout=-1) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        assert Usage(Limits(gib=0.6)).excess(parent.pid) == ""
        reason = Usage(Limits(gib=0.25)).excess(parent.pid)
        parent.communicate(b"\n")
    assert re.fullmatch(r"took 0\.[23]\d GiB, more than the memory limit of a run, 0.25 GiB \(--run-memory\)", reason)


@pytest.mark.parametrize("limit", [0.9, 0.01, 0.905, 2.0, 1 / 3, 63.99])
def test_what_a_run_took_is_above_its_limit_as_it_is_read(limit: float, monkeypatch: pytest.MonkeyPatch) -> None:
    for above in (1, 2**10, 2**20, 2**22, 2**30):
        used = math.ceil(limit * 2**30) + above
        monkeypatch.setattr(limits, "_resident", lambda pid, used=used: used)
        reason = Usage(Limits(gib=limit)).excess(os.getpid())
        assert used / 2**30 <= float(reason.split()[1]) < used / 2**30 + 0.01
        assert float(reason.split()[1]) > limit


@pytest.mark.slow
def test_a_run_that_hangs_or_takes_too_much_is_ended_and_the_others_go_on(tmp_path: Path) -> None:
    results = made(tmp_path, "outside-hung", "outside-threaded", jobs=2, limits=Limits(seconds=30, gib=0.9))
    hung, threaded = results.values()
    assert (hung.status, hung.reason) == ("failed", "not done after the time limit of a run, 30 s (--run-timeout)")
    assert "waiting" in log_of(tmp_path, hung)
    assert "in _wait_for_ever" in log_of(tmp_path, hung), "the log says where"
    # Without a limit of time, which a machine that is busy with other things would reach first.
    (greedy,) = made(tmp_path, "outside-greedy", jobs=2, limits=Limits(gib=0.9)).values()
    assert greedy.status == "failed"
    assert greedy.reason.endswith("more than the memory limit of a run, 0.9 GiB (--run-memory)")
    assert float(greedy.reason.split()[1]) > 0.9, greedy.reason
    assert threaded.status == "complete", "and the bench does not wait for its thread"
    assert threaded.left_behind == ["threads that still run: for ever"]


@pytest.mark.parametrize("model", ["outside-pressing", "outside-generating", "outside-leaving"])
def test_whatever_a_model_raises_is_a_failed_run(model: str, tmp_path: Path) -> None:
    (spec,) = specs(model)
    result = execute(spec, tmp_path, "cpu", 1)
    assert result.status == "failed"
    assert result.reason in {f"{name}: not the user" for name in ("KeyboardInterrupt", "GeneratorExit", "SystemExit")}


def test_of_a_long_log_the_ends_are_kept(tmp_path: Path) -> None:
    (spec,) = specs("outside-talkative")
    result = execute(spec, tmp_path, "cpu", 1)
    assert result.status == "complete"
    log = log_of(tmp_path, result)
    assert len(log) <= run_log.MOST_BYTES
    assert log.startswith("printed\n")
    assert "line 000000 " in log
    assert "line 089999 " in log[-200:]
    assert log.count("the middle of this log is left out") == 1
    assert "line 045000 " not in log


def test_a_log_is_shortened_while_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "run.log"
    with path.open("ab", buffering=0) as file:
        for round_ in range(4):
            file.write(b"".join(b"%d %06d\n" % (round_, line) for line in range(150_000)))
            run_log.shorten(path)
            assert path.stat().st_size <= 2 * run_log.MOST_BYTES
        file.write(b"last words")
    kept = run_log.read(path)
    assert kept.startswith("0 000000\n0 000001\n")
    assert kept.endswith("3 149999\nlast words")
    assert kept.count("left out") == 1


@pytest.mark.slow
def test_a_full_disk_is_one_line_and_costs_nothing_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = ResultStore(tmp_path)
    kept, lost = specs("popularity", "outside-pressing")
    run_all([kept], tmp_path, Workers("cpu", 1, 1), lambda result: None, lambda running: None)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ResultStore, "save", full)
    # In its worker process the disk is as it was; here it is full, and the reason of the timeout can't be stored.
    with pytest.raises(BenchError) as caught:
        run_all(
            specs("outside-hung"), tmp_path, Workers("cpu", 1, 1, limits=Limits(0.0)), lambda _: None, lambda _: None
        )
    assert str(caught.value) == (
        f"can't write results to '{tmp_path}': No space left on device: make room, or choose --results; "
        "complete results are kept, and the same command goes on from there"
    )
    assert store.load(kept) is not None
    assert store.load(lost) is None


@pytest.mark.slow
def test_a_run_on_a_full_disk_ends_with_one_line(tmp_path: Path) -> None:
    """A file system of its own, that is full; where nobody may mount one there is nothing to test."""
    folder = tmp_path / "full"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("can't mount a file system")
    try:
        (folder / "ballast").write_bytes(b"x" * 120_000)
        with pytest.raises(BenchError, match="No space left on device: make room"):
            made(folder, *["popularity", "outside-talkative", "outside"])
    finally:
        time.sleep(0.2)
        subprocess.run(["umount", "-l", folder], check=False)
