"""What runs are expected to cost: from what they took before, scaled, and as ranges that say how sure they are."""

from __future__ import annotations

import io
import json
import math
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from threadpoolctl import threadpool_info, threadpool_limits

from bench import job
from bench.cli import main as cli
from bench.execution import calibration, costs, timings
from bench.execution.costs import Costs, Estimate, Means
from bench.execution.outlook import Outlook, early_first
from bench.execution.scheduler import Backend, Workers
from bench.execution.timings import Timing, Work, kept, record, reference
from bench.job import run_plan
from bench.plan import Plan, expand
from bench.registry import BUILT_IN
from bench.spec import DatasetSpec, Entry, RunSpec, Suite

REFERENCE = reference()
ONE_THREAD = Means("cpu", 1, 1)
WORK = Work("net", "c", "d", users=100, items=1000, events=10_000, epochs=10, size=64)
DONE = Timing(WORK, "cpu", 1, None, fit_seconds=50, recommend_seconds=2, memory_mib=600)


@pytest.fixture(autouse=True)
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of its own, and a machine as fast as the reference machine of one record."""
    monkeypatch.setenv(calibration.CACHE_VARIABLE, str(tmp_path / "measured"))
    monkeypatch.setattr(costs, "slowness", lambda: 1.0)
    monkeypatch.setattr(timings, "reference", lambda: [])
    return tmp_path / "measured"


def test_a_row_takes_as_long_as_it_took(measured: Path) -> None:
    record(DONE)
    estimate = Costs(ONE_THREAD).of_work(WORK)
    assert (estimate.seconds, estimate.basis, estimate.memory_mib) == (52, "same", 600)


def test_work_is_scaled_from_the_nearest_of_its_model() -> None:
    record(DONE)
    record(replace(DONE, work=replace(WORK, events=10**7, config="other"), fit_seconds=1))
    twice = Costs(ONE_THREAD).of_work(replace(WORK, epochs=20, data="other"))
    assert (twice.seconds, twice.basis) == (pytest.approx(102), "model")
    same = Costs(ONE_THREAD).of_work(WORK)
    assert twice.factor > same.factor


@given(st.floats(1, 50), st.floats(1, 50))
def test_more_work_is_never_expected_to_take_less(first: float, second: float) -> None:
    estimates = [
        Costs(ONE_THREAD)._scaled(DONE, replace(WORK, events=int(1000 * more), data="other")).seconds
        for more in sorted((first, second))
    ]
    assert estimates[0] <= estimates[1]


def test_the_reference_machine_speaks_where_nothing_was_measured_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timings, "reference", lambda: [replace(DONE, here=False)])
    monkeypatch.setattr(costs, "slowness", lambda: 3.0)
    estimate = Costs(ONE_THREAD).of_work(WORK)
    assert (estimate.seconds, estimate.basis) == (pytest.approx(3 * 52), "reference")
    record(DONE)
    assert Costs(ONE_THREAD).of_work(WORK).basis == "same"


def test_the_reference_s_gpu_is_not_scaled_by_the_speed_of_a_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a better guess than a processor's, and less sure than one of a GPU that is here."""
    on_gpu = replace(DONE, device="cuda", fit_seconds=3, here=False)
    monkeypatch.setattr(timings, "reference", lambda: [replace(DONE, here=False), on_gpu])
    monkeypatch.setattr(costs, "slowness", lambda: 3.0)
    of_reference = Costs(Means("cuda", 1, 1)).of_work(WORK)
    assert (of_reference.seconds, of_reference.basis) == (5, "reference")
    record(replace(on_gpu, here=True))
    assert Costs(Means("cuda", 1, 1)).of_work(replace(WORK, data="other")).factor < of_reference.factor


def test_of_an_unknown_model_little_is_said() -> None:
    trained = Costs(ONE_THREAD).of_work(replace(WORK, model="new"))
    counted = Costs(ONE_THREAD).of_work(replace(WORK, model="new", epochs=None))
    assert trained.basis == counted.basis == "nothing"
    assert trained.factor >= 4
    assert trained.seconds > 10 * counted.seconds


def test_a_gpu_is_guessed_from_a_cpu_until_a_run_was_made_on_it() -> None:
    record(DONE)
    on_gpu = Means("cuda", 1, 1)
    assert Costs(on_gpu).of_work(WORK).basis == "nothing"
    record(replace(DONE, device="cuda", fit_seconds=3))
    assert Costs(on_gpu).of_work(WORK).seconds == 5


def test_early_stopping_is_counted_by_what_was_run() -> None:
    """It stopped after 5 of 10 epochs; of 20 it is expected to take 10."""
    record(replace(DONE, epochs=5))
    estimate = Costs(ONE_THREAD).of_work(replace(WORK, epochs=20, config="other"))
    assert estimate.seconds == pytest.approx(102)


def test_records_are_kept_without_end_and_garbage_is_passed_over(measured: Path) -> None:
    for _ in range(3):
        record(DONE)
    path = measured / "timings.jsonl"
    old = {**asdict(DONE), "work": {"model": "net"}}
    path.write_text(f"{path.read_text()}{{broken\n[]\n{json.dumps(old)}\n")
    assert kept() == [DONE] * 3
    path.write_text(f"{json.dumps(asdict(DONE))}\n" * 2001)
    record(DONE)
    assert len(kept()) == 1000


def test_a_home_that_can_t_be_written_to_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(calibration.CACHE_VARIABLE, "/proc/no-such-folder")
    record(DONE)
    assert kept() == []
    assert calibration.slowness() > 0


def test_the_calibration_uses_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that wait for one another by spinning made a busy machine ten times as slow as it is."""
    used: list[int] = []

    def time_and_threads() -> float:
        used.extend(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")
        return 0.0

    monkeypatch.setattr(time, "process_time", time_and_threads)
    with threadpool_limits(limits=2, user_api="blas"):
        calibration.measured()
    assert set(used) == {1}


def test_the_calibration_is_measured_once(measured: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = calibration.slowness()
    monkeypatch.setattr(calibration, "measured", lambda: 1e9)
    assert calibration.slowness() == first
    (measured / "calibration.json").write_text('{"machine": "another", "seconds": 1}')
    assert calibration.slowness() == 10.0, "measured anew, and no more than ten times as slow"


def test_the_records_that_come_along_are_of_models_that_there_are() -> None:
    """All but those that need what not every machine has."""
    timed_on_cpu = [timing.work.model for timing in REFERENCE if timing.device == "cpu"]
    assert {timing.work.model for timing in REFERENCE} <= set(BUILT_IN)
    assert len(timed_on_cpu) == len(set(timed_on_cpu)) > 25
    assert {timing.device for timing in REFERENCE} == {"cpu", "cuda"}
    assert all(timing.fit_seconds >= 0 and timing.memory_mib > 100 and not timing.here for timing in REFERENCE)


def spec(label: str, seed: int, dataset: str = "ml-100k") -> RunSpec:
    return RunSpec(
        dataset=DatasetSpec(name=dataset), data_hash="x", model="net", revision=1, config={}, seed=seed, label=label
    )


def estimate(seconds: float) -> Estimate:
    return Estimate(seconds, 2.0, "model", 1000.0, trains=seconds > 5)


def test_cheap_rows_come_first_in_the_first_seed_and_last_in_later_ones() -> None:
    todo = [spec(label, seed, data) for seed in (0, 1) for data in ("a", "b") for label in ("large", "counts", "small")]
    seconds = {"large": 100.0, "counts": 1.0, "small": 10.0}
    order = early_first(todo, {(d, label): estimate(seconds[label]) for d in "ab" for label in seconds})
    assert [(one.dataset.name, one.label) for one in order[:6]] == [
        *(("a", "counts"), ("b", "counts"), ("a", "small"), ("b", "small"), ("a", "large"), ("b", "large"))
    ]
    assert [one.seed for one in order] == 6 * [0] + 6 * [1]
    assert [(one.dataset.name, one.label) for one in order[6:]] == [
        *(("a", "large"), ("b", "large"), ("a", "small"), ("b", "small"), ("a", "counts"), ("b", "counts"))
    ]


def test_the_dearest_run_of_a_single_seed_is_not_begun_last() -> None:
    seconds = {"counts": 0.0, "a": 40.0, "b": 60.0, "c": 150.0, "d": 250.0, "e": 300.0}
    todo = [spec(label, 0) for label in seconds]
    order = early_first(todo, {("ml-100k", label): estimate(cost) for label, cost in seconds.items()})
    assert [one.label for one in order] == ["counts", "a", "b", "e", "d", "c"]
    assert early_first([], {}) == []


def test_other_machines_are_given_runs_in_the_same_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """The dearest run of a grid was made last and alone: a cluster was given rows in the order of the suite."""

    class Elsewhere:
        jobs, workers_own_threads = 2, True

        def __str__(self) -> str:
            return "2 at a time, elsewhere"

    seconds = {"large": 100.0, "small": 10.0, "counts": 1.0}
    monkeypatch.setattr(Costs, "of", lambda self, one: estimate(seconds[one.label]))
    todo = [spec(label, seed) for seed in (0, 1) for label in ("large", "counts", "small")]
    order, left = job._prospects(cast(Backend, Elsewhere()), todo, [], Console(file=io.StringIO()))
    assert [one.label for one in order] == ["counts", "small", "large", "large", "small", "counts"]
    assert left.remaining([]) is None, "how fast those machines are is not known"


def test_an_outlook_is_a_range_with_memory_for_as_many_as_run_at_a_time() -> None:
    todo = [spec(label, seed) for seed in (0, 1) for label in ("a", "b")]
    rows = {("ml-100k", "a"): estimate(600), ("ml-100k", "b"): estimate(1200)}
    outlook = Outlook(todo, rows, jobs=2)
    low, high = outlook.seconds
    # By hand: errors of ln 2, in common 0.537; each row's own 0.438, of which 0.327 is left; 0.629 together.
    assert low == pytest.approx(1800 / math.exp(0.629), rel=0.02)
    assert high == pytest.approx(1800 * math.exp(0.629), rel=0.02)
    assert outlook.gib == pytest.approx(2000 / 1024)
    line, memory = outlook.lines()
    assert line == "estimate for this machine: 16 to 56 minutes, scaled from other runs of the same models here"
    assert memory.startswith("memory: up to about 2 GiB of ")
    mixed = Outlook(todo, {**rows, ("ml-100k", "b"): replace(estimate(9), basis="nothing")}, 2)
    assert mixed.sureness.startswith("1 row scaled from other runs of the same models here; 1 row guessed, since")


def width(rows: dict[tuple[str, str], Estimate], seeds: int = 1) -> float:
    """How many times as long as in the best case it takes in the worst, all runs one after the other."""
    todo = [spec(label, seed, dataset) for seed in range(seeds) for dataset, label in rows]
    low, high = Outlook(todo, rows, jobs=1).seconds
    return high / low


def test_errors_of_many_rows_average_out_and_what_they_have_in_common_does_not() -> None:
    one = replace(estimate(10_000), factor=3.0)
    alone = width({("ml-100k", "a"): one})
    assert alone == pytest.approx(9, rel=0.01), "the range of a single run is its own"
    assert width({("ml-100k", "a"): one}, seeds=20) == pytest.approx(alone, rel=0.01), "seeds of a row err together"
    rows = [str(number) for number in range(20)]
    many = width({("ml-100k", row): one for row in rows})
    both = width({(data, row): one for data in ("a", "b") for row in rows})
    assert 9**0.77 < many < 9**0.83, "what is shared, the square root of 0.6, is left, and little else"
    assert both < 0.8 * many, "another data set errs in another way"
    elsewhere = replace(one, basis="reference")
    scaled = width({(data, row): elsewhere for data in ("a", "b") for row in rows})
    assert scaled == pytest.approx(many, rel=0.05), "of whatever data, it is one machine"


@given(st.lists(st.tuples(st.floats(1, 1e5), st.floats(1.1, 5)), min_size=1, max_size=8), st.integers(1, 4))
def test_a_range_is_never_wider_than_all_at_their_best_to_all_at_their_worst(
    rows: list[tuple[float, float]], jobs: int
) -> None:
    costs = {("d", str(n)): Estimate(seconds, f, "model", 1.0, True) for n, (seconds, f) in enumerate(rows)}
    low, high = Outlook([spec(label, 0, "d") for _, label in costs], costs, jobs).seconds
    at_a_time = min(jobs, len(rows))
    best = max(sum(seconds / f for seconds, f in rows) / at_a_time, max(seconds / f for seconds, f in rows))
    worst = max(sum(seconds * f for seconds, f in rows) / at_a_time, max(seconds * f for seconds, f in rows))
    middle = max(sum(seconds for seconds, _ in rows) / at_a_time, max(seconds for seconds, _ in rows))
    assert 0.999 * best < low < high < 1.001 * worst + 30
    assert low < middle + 30
    assert high > middle


@pytest.fixture
def plan(tiny_ml_100k: None) -> Plan:
    datasets = (DatasetSpec(name="ml-100k"), DatasetSpec(name="ml-20m"))
    suite = Suite(name="mine", description="", datasets=datasets, models=(Entry(model="popularity"),), seeds=(0,))
    return Plan(suite=suite, runs=tuple(expand(suite)), command="python -m bench run")


def test_runs_say_what_they_will_take_and_are_kept(plan: Plan, tmp_path: Path) -> None:
    """Those whose data are not here count for nothing."""
    out = io.StringIO()
    folders = tmp_path / "results", tmp_path / "reports"
    run_plan(plan, *folders, Console(file=out), lambda runs: Workers.for_machine("cpu", 1, runs))
    said = out.getvalue()
    assert "2 runs to do\n" in said
    assert "estimate for this machine: less than a minute, guessed" in said
    assert [timing.work.events for timing in kept()] == [360]
    assert Costs(ONE_THREAD).of(plan.runs[0]).basis == "same"


def test_a_dry_run_tells_and_writes_nothing(
    tiny_ml_100k: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    before = set(tmp_path.rglob("*"))
    command = ["run", "--suite", "full", "--datasets", "ml-100k", "--models", "popularity,tiger", "--seeds", "2"]
    assert cli.main([*command, "--dry-run", "--device", "cpu"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("4 runs to do\n")
    assert said.index("popularity") < said.index("tiger")
    assert "0, 1" in said
    assert "estimate for this machine: " in said
    assert "memory: up to about " in said
    assert {path for path in set(tmp_path.rglob("*")) - before if "measured" not in path.parts} == set()
