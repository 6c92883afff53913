import io
import json
import time
from pathlib import Path

import pytest
from rich.console import Console

from bench.execution.costs import Estimate
from bench.execution.forecast import Forecast
from bench.execution.heartbeat import HeartbeatWriter, heartbeat_path, read_heartbeat
from bench.execution.progress import Progress, clock
from bench.spec import DatasetSpec, RunResult, RunSpec


def spec(label: str, seed: int) -> RunSpec:
    return RunSpec(
        dataset=DatasetSpec(name="tiny"), data_hash="", model=label, revision=1, config={}, seed=seed, label=label
    )


def ended(label: str, seed: int, seconds: float) -> RunResult:
    return RunResult(spec=spec(label, seed), status="complete", fit_seconds=seconds)


def forecast(
    todo: list[RunSpec],
    jobs: int = 1,
    known: list[RunResult] | None = None,
    costs: dict[tuple[str, str], Estimate] | None = None,
) -> Forecast:
    return Forecast(todo, jobs, known or [], costs)


def remaining(folder: Path, shown: Forecast, running: list[RunSpec]) -> float | None:
    return shown.remaining([(run, read_heartbeat(folder, run)) for run in running])


def beat(folder: Path, run: RunSpec, fraction: float, elapsed: float) -> None:
    path = heartbeat_path(folder, run)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"fraction": fraction, "words": "epoch", "started": time.time() - elapsed}))


def test_nothing_is_estimated_from_nothing(tmp_path: Path) -> None:
    assert forecast([spec("a", 0)]).remaining([]) is None


def test_a_run_takes_as_long_as_the_same_model_took_before(tmp_path: Path) -> None:
    shown = forecast([spec("a", 1), spec("a", 2), spec("b", 1)], known=[ended("a", 0, 10), ended("b", 0, 40)])
    assert shown.remaining([]) == pytest.approx(60)
    shown = forecast([spec("a", 1), spec("a", 2), spec("new", 0)], 2, [ended("a", 0, 10), ended("b", 0, 40)])
    assert shown.remaining([]) == pytest.approx(25), "the new one takes longer than both others one after the other"


def test_a_running_run_is_judged_by_its_own_speed(tmp_path: Path) -> None:
    todo = [spec("a", 0), spec("a", 1)]
    beat(tmp_path, todo[0], fraction=0.25, elapsed=30)
    assert remaining(tmp_path, forecast(todo), todo[:1]) == pytest.approx(90 + 120, abs=1)


def test_ten_thousand_runs_are_followed_in_no_time(tmp_path: Path) -> None:
    """What is shown after each run takes the same time however many are still to come."""
    todo = [spec("a", seed) for seed in range(10_000)]
    left = forecast(todo, known=[ended("a", 10_000, 10)])
    shown = Progress(Console(file=io.StringIO()), tmp_path, left)
    started = time.process_time()
    for run in todo[:100]:
        shown.finished(ended("a", run.seed, 10))
    assert time.process_time() - started < 1.5, "a hundred times 10,000 runs took 50 s"
    assert left.remaining([]) == pytest.approx(9_900 * 10)


def test_no_run_is_expected_to_outlast_its_limit(tmp_path: Path) -> None:
    todo = [spec("a", 0), spec("a", 1)]
    shown = Forecast(todo, 1, seconds_per_run=50)
    assert shown.remaining([]) == 100
    beat(tmp_path, todo[0], fraction=0.25, elapsed=30)
    assert remaining(tmp_path, shown, todo[:1]) == pytest.approx(20 + 50, abs=1)


def cost(seconds: float, trains: bool) -> Estimate:
    return Estimate(seconds, 2.0, "reference", 500.0, trains)


COSTS = {
    ("tiny", "counts"): cost(1, trains=False),
    ("tiny", "small"): cost(100, trains=True),
    ("tiny", "large"): cost(400, trains=True),
}


def test_runs_that_count_tell_nothing_of_runs_that_train(tmp_path: Path) -> None:
    """The time to go was 00:00 after four rows of counts, and climbed to half an hour."""
    shown = forecast([spec("counts", 0), spec("small", 0), spec("large", 0)], costs=COSTS)
    assert shown.remaining([]) is None
    shown.finished(ended("counts", 0, 0.2))
    assert shown.remaining([]) is None
    out = io.StringIO()
    with Progress(Console(file=out), tmp_path, shown) as lines:
        lines.finished(ended("counts", 0, 0.2))
    assert "ETA" not in out.getvalue()


def test_runs_to_come_are_weighed_by_what_they_were_estimated_to_cost(tmp_path: Path) -> None:
    todo = [spec("counts", 0), spec("small", 0), spec("large", 0)]
    shown = forecast(todo, costs=COSTS)
    beat(tmp_path, todo[1], fraction=0.5, elapsed=25)  # it takes half of what was thought; half of it was seen
    assert remaining(tmp_path, shown, todo[1:2]) == pytest.approx(1 + 25 + 400 * 0.5 ** (0.5 / 1.2), rel=0.02)
    shown.finished(ended("counts", 0, 0.1))
    shown.finished(ended("small", 0, 50))
    assert shown.remaining([]) == pytest.approx(400 * 0.5 ** (1 / 1.7))


def test_a_slow_start_does_not_frighten(tmp_path: Path) -> None:
    """The first words of two runs, seconds after they had started, made an estimate of hours one of two days."""
    todo = [spec("small", 0), spec("large", 0)]
    shown = forecast(todo, costs=COSTS)
    beat(tmp_path, todo[0], fraction=0.04, elapsed=40)  # ten times what was thought, most of it to prepare
    left = remaining(tmp_path, shown, todo[:1])
    assert left is not None
    assert left - 40 * 24 < 1.2 * 400
    shown.finished(ended("small", 0, 1000))
    assert shown.remaining([]) == pytest.approx(400 * 10 ** (1 / 1.7)), "a run that has ended is believed"


def test_a_row_that_was_made_before_needs_no_other_word() -> None:
    shown = forecast([spec("large", 1)], known=[ended("large", 0, 300)], costs=COSTS)
    assert shown.remaining([]) == pytest.approx(300)


def test_a_row_whose_data_are_missing_takes_no_time() -> None:
    assert forecast([spec("skipped", 0)], costs={}).remaining([]) == 0


def test_a_clock_that_was_set_back_makes_no_time_negative(tmp_path: Path) -> None:
    todo = [spec("a", 0)]
    beat(tmp_path, todo[0], fraction=0.25, elapsed=-3600)
    assert remaining(tmp_path, forecast(todo, known=[ended("a", 1, 10)]), todo) == 0
    assert clock(remaining(tmp_path, forecast(todo), todo)) == "00:00"


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
    with Progress(Console(file=out, force_terminal=terminal, width=200), tmp_path, forecast(todo)) as shown:
        shown.tick(todo[:1])
        shown.finished(RunResult(spec=todo[0], status="failed", reason="it [broke]"))
        shown.finished(ended("a", 1, 3))
    assert "a on tiny, seed 0: failed: it [broke]  (1 of 2)" in out.getvalue()
    assert ("all runs" in out.getvalue()) == terminal


@pytest.mark.parametrize(("seconds", "text"), [(None, "--:--"), (59.6, "01:00"), (3725, "1:02:05")])
def test_durations_are_readable(seconds: float | None, text: str) -> None:
    assert clock(seconds) == text
