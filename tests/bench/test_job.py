"""Which runs are made, re-used and shown. The scheduler is replaced by a loop in this process; it has its own tests."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bench import job, report
from bench.execution.store import ResultStore, stored_results
from bench.execution.worker_process import Job
from bench.plan import Plan, expand
from bench.spec import DatasetSpec, Entry, RunResult, RunSpec, Suite

pytestmark = pytest.mark.usefixtures("tiny_ml_100k", "outside_models")


class Bench:
    """Runs a suite of outside models and remembers what was made and reported."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.results = folder / "results"
        self.made: list[str] = []
        self.reported: list[list[str]] = []
        self.said = ""
        monkeypatch.setattr(job, "run_all", self._run_all)
        monkeypatch.setattr(report, "write_report", self._write_report)

    def run(self, *models: str, force: bool = False) -> list[str]:
        """Statuses, in the order of the plan; `made`, `reported` and `said` are those of this call."""
        self.made, self.reported = [], []
        out = io.StringIO()
        outcome = job.run_plan(
            plan(*models), self.results, self.results.parent / "reports", Console(file=out), force=force
        )
        self.said = out.getvalue()
        return [result.status for result in outcome]

    def _run_all(
        self,
        specs: Sequence[RunSpec],
        results_dir: Path,
        workers: object,
        on_result: Callable[[RunResult], None],
        on_tick: Callable[[Sequence[RunSpec]], None],
        job_of: Callable[[RunSpec], Job],
        goes_on: Callable[[], bool],
    ) -> None:
        for spec in specs:
            on_tick([spec])
            self.made.append(spec.label)
            on_result(job_of(spec)(spec, results_dir, "cpu", 1))

    def _write_report(self, suite: Suite, planned: object, results: Sequence[RunResult], *_: Any, **__: Any) -> None:
        self.reported.append([f"{result.spec.label} {result.status}" for result in results])


def plan(*models: str) -> Plan:
    entries = tuple(Entry(model=model) for model in models)
    suite = Suite(name="mine", description="", datasets=(DatasetSpec(name="ml-100k"),), models=entries, seeds=(0,))
    return Plan(suite=suite, runs=tuple(expand(suite)), command="python -m bench run")


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("GLASS_BENCH_CACHE", str(tmp_path / "measured"))  # by which runs are put into their order
    return Bench(tmp_path, monkeypatch)


def test_a_second_call_makes_only_what_is_missing(bench: Bench) -> None:
    assert bench.run("outside") == ["complete"]
    assert bench.run("popularity", "outside") == ["complete", "complete"]
    assert bench.made == ["popularity"]
    assert bench.run("popularity", "outside") == ["complete", "complete"]
    assert bench.made == []
    assert bench.reported == [["popularity complete", "outside complete"]]


def test_a_run_has_as_many_threads_when_the_grid_goes_on(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loky.cpu_count", lambda: 2)
    bench.run("outside", "popularity", "item-knn")
    assert "2 at a time on cpu, 1 threads each" in bench.said
    bench.run("outside", "popularity", "item-knn", "outside-raising")
    assert "1 run to do, 3 are complete" in bench.said
    assert "2 at a time on cpu, 1 threads each" in bench.said, "though a single run has the machine to itself"


def test_force_makes_everything_again(bench: Bench) -> None:
    bench.run("outside")
    assert bench.run("outside", force=True) == ["complete"]
    assert bench.made == ["outside"]


def test_failed_and_skipped_runs_are_shown_and_made_again(bench: Bench) -> None:
    assert bench.run("outside-raising", "outside-lacking", "outside") == ["failed", "skipped", "complete"]
    assert "outside-raising on ml-100k, seed 0: failed: RuntimeError: the loss is not a number" in bench.said
    bench.run("outside-raising", "outside-lacking", "outside")
    assert bench.made == ["outside-raising", "outside-lacking"]


def test_the_report_follows_the_runs_and_always_comes_last(bench: Bench) -> None:
    bench.run("outside", "popularity")
    assert bench.reported[0] == ["popularity complete"], "which takes less time"
    assert bench.reported[-1] == ["popularity complete", "outside complete"]


def test_a_truncated_result_costs_one_line_and_one_run(bench: Bench) -> None:
    bench.run("outside", "popularity")
    path = ResultStore(bench.results).folder(plan("outside").runs[0]) / "result.json"
    path.write_text(path.read_text()[:50])
    assert bench.run("outside", "popularity") == ["complete", "complete"]
    assert bench.made == ["outside"]
    warnings = [line for line in bench.said.splitlines() if line.startswith("warning")]
    assert len(warnings) == 1
    assert str(path) in warnings[0]


def test_stored_results_show_an_unreadable_one_as_failed(bench: Bench) -> None:
    bench.run("outside")
    spec = plan("outside").runs[0]
    (ResultStore(bench.results).folder(spec) / "queries.parquet").write_bytes(b"PAR1")
    (result,) = stored_results([spec], bench.results, Console(file=io.StringIO()))
    assert result.status == "failed"
    assert "unreadable result file" in result.reason
    assert "queries.parquet" in result.reason


def test_a_broken_report_does_not_stop_the_runs(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ValueError("no figures today")

    monkeypatch.setattr(report, "write_report", fail)
    assert bench.run("outside", "popularity") == ["complete", "complete"]
    assert "warning: the report could not be written (ValueError: no figures today)" in bench.said


def test_two_rows_of_one_configuration_are_one_run(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    (run,) = plan("outside").runs
    twice = Plan(suite=plan("outside").suite, runs=(run, run.model_copy(update={"label": "twin"})), command="")
    outcome = job.run_plan(twice, bench.results, bench.results, Console(file=io.StringIO()))
    assert len(outcome) == 2
    assert bench.made == ["outside"]


def test_a_finished_grid_is_kept_as_such_only_when_complete_and_reported(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def holds(*models: str) -> bool:
        asked = plan(*models)
        return job.finished_grid(asked, bench.results, bench.results.parent / "reports").holds(asked.runs)

    bench.run("outside", "outside-raising")
    assert not holds("outside", "outside-raising"), "a failed run is made again"
    bench.run("outside")
    assert holds("outside")
    assert not holds("outside", "popularity")
    (queries,) = bench.results.glob("runs/*/outside/*/queries.parquet")
    queries.write_bytes(queries.read_bytes()[:-1] + b"\0")
    assert not holds("outside")
    assert bench.run("outside") == ["complete"]
    assert bench.made == ["outside"], "a changed table is noticed, and its run made anew"
    monkeypatch.setattr(bench, "_write_report", lambda *_, **__: 1 / 0)
    monkeypatch.setattr(report, "write_report", lambda *_, **__: 1 / 0)
    queries.write_bytes(queries.read_bytes()[:-1] + b"\0")
    bench.run("outside")
    assert not holds("outside"), "the report could not be written"


def test_a_report_that_would_take_too_long_waits(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(job.time, "monotonic", lambda: clock[0])
    waiting = job._Report(plan("outside"), bench.results, bench.results, Console(file=io.StringIO()))

    def slowly(*_: object, **__: object) -> None:
        clock[0] += 2.0
        bench.reported.append([])

    monkeypatch.setattr(report, "write_report", slowly)
    waiting.refresh([])
    assert bench.reported == [], "no news"
    waiting.news |= {"a"}
    waiting.refresh([])
    assert len(bench.reported) == 1
    waiting.news |= {"a", "b", "c"}
    clock[0] += 53.0  # three data sets took two seconds each before: six are a tenth of the time after 54
    waiting.refresh([])
    assert len(bench.reported) == 1
    clock[0] += 1.0
    waiting.refresh([])
    assert len(bench.reported) == 2
