import io
import json
import time
from pathlib import Path

import pytest
from rich.console import Console

from bench.execution.heartbeat import HeartbeatWriter, heartbeat_path, read_heartbeat
from bench.execution.progress import Progress, clock
from bench.spec import DatasetSpec, RunResult, RunSpec


def spec(label: str, seed: int) -> RunSpec:
    return RunSpec(
        dataset=DatasetSpec(name="tiny"), data_hash="", model=label, revision=1, config={}, seed=seed, label=label
    )


def ended(label: str, seed: int, seconds: float) -> RunResult:
    return RunResult(spec=spec(label, seed), status="complete", fit_seconds=seconds)


def progress(folder: Path, todo: list[RunSpec], jobs: int = 1, known: list[RunResult] | None = None) -> Progress:
    return Progress(Console(file=io.StringIO()), folder, todo, jobs, known or [])


def beat(folder: Path, run: RunSpec, fraction: float, elapsed: float) -> None:
    path = heartbeat_path(folder, run)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"fraction": fraction, "words": "epoch", "started": time.time() - elapsed}))


def test_nothing_is_estimated_from_nothing(tmp_path: Path) -> None:
    assert progress(tmp_path, [spec("a", 0)]).remaining([]) is None


def test_a_run_takes_as_long_as_the_same_model_took_before(tmp_path: Path) -> None:
    shown = progress(tmp_path, [spec("a", 1), spec("a", 2), spec("b", 1)], known=[ended("a", 0, 10), ended("b", 0, 40)])
    assert shown.remaining([]) == pytest.approx(60)
    shown = progress(tmp_path, [spec("a", 1), spec("new", 0)], jobs=2, known=[ended("a", 0, 10), ended("b", 0, 40)])
    assert shown.remaining([]) == pytest.approx((10 + 25) / 2)


def test_a_running_run_is_judged_by_its_own_speed(tmp_path: Path) -> None:
    todo = [spec("a", 0), spec("a", 1)]
    beat(tmp_path, todo[0], fraction=0.25, elapsed=30)
    assert progress(tmp_path, todo).remaining(todo[:1]) == pytest.approx(90 + 120, abs=1)


def test_ten_thousand_runs_are_followed_in_no_time(tmp_path: Path) -> None:
    """What is shown after each run takes the same time however many are still to come."""
    todo = [spec("a", seed) for seed in range(10_000)]
    shown = progress(tmp_path, todo, known=[ended("a", 10_000, 10)])
    started = time.process_time()
    for run in todo[:100]:
        shown.finished(ended("a", run.seed, 10))
    assert time.process_time() - started < 1.5, "a hundred times 10,000 runs took 50 s"
    assert shown.remaining([]) == pytest.approx(9_900 * 10)


def test_no_run_is_expected_to_outlast_its_limit(tmp_path: Path) -> None:
    todo = [spec("a", 0), spec("a", 1)]
    shown = Progress(Console(file=io.StringIO()), tmp_path, todo, 1, seconds_per_run=50)
    assert shown.remaining([]) == 100
    beat(tmp_path, todo[0], fraction=0.25, elapsed=30)
    assert shown.remaining(todo[:1]) == pytest.approx(20 + 50, abs=1)


def test_a_clock_that_was_set_back_makes_no_time_negative(tmp_path: Path) -> None:
    todo = [spec("a", 0)]
    beat(tmp_path, todo[0], fraction=0.25, elapsed=-3600)
    assert progress(tmp_path, todo, known=[ended("a", 1, 10)]).remaining(todo) == 0
    assert clock(progress(tmp_path, todo).remaining(todo)) == "00:00"


def test_a_heartbeat_is_written_now_and_then(tmp_path: Path) -> None:
    writer = HeartbeatWriter(tmp_path, spec("a", 0))
    writer(0.7, "too soon")
    first = read_heartbeat(tmp_path, spec("a", 0))
    assert first is not None
    assert (first.fraction, first.words, first.remaining) == (0.0, "starting", None)
    writer.path.write_text("{")
    assert read_heartbeat(tmp_path, spec("a", 0)) is None


@pytest.mark.parametrize("terminal", [False, True])
def test_a_finished_run_is_one_line(tmp_path: Path, terminal: bool) -> None:
    out = io.StringIO()
    todo = [spec("a", 0), spec("a", 1)]
    beat(tmp_path, todo[0], fraction=0.5, elapsed=1)
    with Progress(Console(file=out, force_terminal=terminal, width=200), tmp_path, todo, 1) as shown:
        shown.tick(todo[:1])
        shown.finished(RunResult(spec=todo[0], status="failed", reason="it [broke]"))
        shown.finished(ended("a", 1, 3))
    assert "a on tiny, seed 0: failed: it [broke]  (1 of 2, ETA --:--)" in out.getvalue()
    assert ("all runs" in out.getvalue()) == terminal


@pytest.mark.parametrize(("seconds", "text"), [(None, "--:--"), (59.6, "01:00"), (3725, "1:02:05")])
def test_durations_are_readable(seconds: float | None, text: str) -> None:
    assert clock(seconds) == text
