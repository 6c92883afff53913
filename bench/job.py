"""The main job: makes the runs of a plan that are missing, and keeps the report up to date."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from loky import cpu_count
from rich.console import Console

from bench.console import say
from bench.errors import reason_of
from bench.execution.checkpoints import remove_checkpoints
from bench.execution.costs import Costs, Means
from bench.execution.finished import FinishedGrid
from bench.execution.forecast import Forecast
from bench.execution.outlook import Outlook, early_first
from bench.execution.progress import Progress
from bench.execution.scheduler import Backend, Workers, run_all
from bench.execution.store import stored_results
from bench.execution.timings import keep
from bench.execution.worker import execute
from bench.execution.worker_process import Job
from bench.plan import Plan
from bench.spec import RunResult, RunSpec

if TYPE_CHECKING:
    from bench.reporting.figure_cache import FigureCache

_REST = 9
"""How many times as long as the report will take it is left alone before: the processors are there for the runs."""


class Watcher:
    """Hears of what happens while a plan is run, in the process that was started; override what you want to know.

    Args:
        on_broken_report: Called where the final report could not be written, with the reason.
    """

    def __init__(self, on_broken_report: Callable[[str], None] = lambda flaw: None) -> None:
        self.broken_report = on_broken_report

    def tick(self, running: Sequence[RunSpec]) -> None:
        """About twice a second, with the runs under way."""

    def finished(self, result: RunResult) -> None:
        """After each run, when its result is stored."""

    def concluded(self) -> None:
        """Once nothing is left to do."""


NOBODY = Watcher()
"""Hears of nothing."""


def run_plan(
    plan: Plan,
    results_dir: Path,
    reports_dir: Path,
    console: Console,
    backend_for: Callable[[int], Backend] = lambda runs: Workers.for_machine("cpu", None, runs),
    again: Callable[[RunSpec], bool] = lambda spec: False,
    watcher: Watcher = NOBODY,
    job: Job = execute,
) -> list[RunResult]:
    """Makes every planned run that has no complete result yet, refreshing the report as results come in.

    Args:
        plan: What to run; stored beside the results.
        results_dir: Where results go.
        reports_dir: Where the report goes.
        console: For progress and warnings.
        backend_for: Where so many runs are made, those that are complete already included.
        again: Whether a run is to be made from its beginning although it is complete.
        watcher: Hears of it.
        job: What a worker process does for a run.

    Returns:
        One result per planned run, in order, but for those that `begin_within` has kept from being made.

    Raises:
        BenchError: The results folder can't be written to.
    """
    finished = finished_grid(plan, results_dir, reports_dir)
    plan.write(results_dir)
    finished.note(*plan.runs)  # before they are read: what changes afterwards looks otherwise
    results, todo = _begun(plan, results_dir, console, again)
    # By all planned runs, so that a run has as many threads when the grid goes on as it would have had: on a CPU, sums
    # of floats depend on them, and so do checkpoints.
    backend = backend_for(len({spec.key for spec in plan.runs}))
    say(console, runs_to_do(len(todo), len(plan.runs)))
    todo, forecast = _prospects(backend, todo, list(results.values()), console)
    report = _Report(plan, results_dir, reports_dir, console)
    with Progress(console, results_dir, forecast) as progress:

        def on_result(result: RunResult) -> None:
            results[result.spec.key] = result
            finished.note(result.spec)
            keep(result)
            progress.finished(result)
            watcher.finished(result)
            report.news.add(result.spec.dataset.label)

        def on_tick(running: Sequence[RunSpec]) -> None:
            progress.tick(running)
            watcher.tick(running)
            report.refresh(list(results.values()))

        run_all(todo, results_dir, backend, on_result, on_tick, lambda spec: job, goes_on(plan))
    report.write(list(results.values()), processes=cpu_count())  # by now nobody else needs them
    made = [results[spec.key] for spec in plan.runs if spec.key in results]
    _conclude(report.flaw, watcher.broken_report, finished if _is_whole(plan, made, console) else None, made)
    return made


def _begun(
    plan: Plan, results_dir: Path, console: Console, again: Callable[[RunSpec], bool]
) -> tuple[dict[str, RunResult], list[RunSpec]]:
    """The results that are there, by key, and the runs to be made, of which `again` ones forget how far they came."""
    results = {result.spec.key: result for result in stored_results(plan.runs, results_dir, console, True)}
    todo = missing_runs(plan, results, again)
    for spec in filter(again, todo):
        remove_checkpoints(results_dir, spec)
    return results, todo


def _is_whole(plan: Plan, made: Sequence[RunResult], console: Console) -> bool:
    """Whether no run is left to do; says so where some are."""
    left = len(plan.runs) - len(made)
    if left:
        say(console, f"{left} {'run was' if left == 1 else 'runs were'} not begun in time: the same command goes on")
    return not left


def goes_on(plan: Plan) -> Callable[[], bool]:
    """Tells, from now on, whether other runs of a plan are to be begun."""
    ends = math.inf if plan.begin_within is None else time.monotonic() + plan.begin_within
    return lambda: time.monotonic() < ends


def _prospects(
    backend: Backend, todo: list[RunSpec], known: Sequence[RunResult], console: Console
) -> tuple[list[RunSpec], Forecast]:
    """Says what is to come, where anything is: the runs in the order in which they are made, and how long they take."""
    jobs = min(backend.jobs, max(1, len(todo)))
    if not todo:
        return todo, Forecast(todo, jobs, known)
    say(console, str(backend))
    outlook = Outlook.on(backend, todo, known)
    if outlook is None:
        # How fast those machines are is not known, but a dear row is a dear one there, too.
        here = Costs(Means("cpu", backend.jobs, 1), known)
        return early_first(todo, Outlook.by(here, todo, jobs).costs), Forecast(todo, jobs, known)
    for line in outlook.lines():
        say(console, line)
    return early_first(todo, outlook.costs), Forecast(todo, jobs, known, outlook.costs)


def runs_to_do(todo: int, planned: int) -> str:
    """Says how much there is to do.

    >>> runs_to_do(66, 66), runs_to_do(1, 3), runs_to_do(0, 3)
    ('66 runs to do', '1 run to do, 2 are complete', 'nothing to do, all 3 runs are complete')
    """
    if not todo:
        return f"nothing to do, {'the run is' if planned == 1 else f'all {planned} runs are'} complete"
    there = planned - todo
    rest = f", {there} {'is' if there == 1 else 'are'} complete" if there else ""
    return f"{todo} {'run' if todo == 1 else 'runs'} to do{rest}"


def _conclude(
    flaw: str, on_broken_report: Callable[[str], None], finished: FinishedGrid | None, results: Collection[RunResult]
) -> None:
    """Says what is wrong with the last report, or writes down that nothing is left to do."""
    if flaw:
        on_broken_report(flaw)
    elif finished is not None and all(result.status == "complete" for result in results):
        finished.write()


def finished_grid(plan: Plan, results_dir: Path, reports_dir: Path) -> FinishedGrid:
    """What tells, without reading any result, that a plan is finished and its report is made of these very results."""
    return FinishedGrid(results_dir, plan.suite.name, plan.model_dump_json(), reports_dir / plan.suite.name)


def missing_runs(
    plan: Plan, results: Mapping[str, RunResult], again: Callable[[RunSpec], bool] = lambda spec: False
) -> list[RunSpec]:
    """The runs that are to be made, in order; rows that differ by their label only are one run."""
    complete = {key for key, result in results.items() if result.status == "complete"}
    missing: dict[str, RunSpec] = {}
    for spec in plan.runs:
        if (key := spec.key) not in complete or again(spec):
            missing.setdefault(key, spec)
    return list(missing.values())


class _Report:
    """Rewrites the report while runs go on, without letting it hold them up or take them down."""

    def __init__(self, plan: Plan, results_dir: Path, reports_dir: Path, console: Console) -> None:
        self._plan, self._results_dir, self._reports_dir, self._console = plan, results_dir, reports_dir, console
        self._ended, self._seconds_per_dataset = -math.inf, 0.0
        self._cache: FigureCache | None = None
        self.news, self.flaw = set[str](), ""

    def refresh(self, results: Sequence[RunResult]) -> None:
        """Writes the report if there is news, unless that would take more than a tenth of the time.

        No run is begun meanwhile, so that what it will take is estimated: so many seconds for each data set with news.
        """
        expected = self._seconds_per_dataset * len(self.news)
        if self.news and time.monotonic() - self._ended >= _REST * expected:
            self.write(results)

    def write(self, results: Sequence[RunResult], processes: int = 1) -> None:
        """Writes the report, with the figures of so many data sets drawn at a time."""
        plan, started = self._plan, time.monotonic()
        try:
            self.flaw = ""
            from bench.report import write_report  # brings in the plotting libraries
            from bench.reporting.figure_cache import FigureCache

            started = time.monotonic()
            self._cache = self._cache or FigureCache()
            folders = self._results_dir, self._reports_dir
            write_report(plan.suite, plan.runs, results, *folders, plan.command, processes, cache=self._cache)
        except Exception as error:  # a flaw of the report must not cost the runs that are still to come
            self.flaw = reason_of(error)
            say(self._console, f"warning: the report could not be written ({self.flaw})")
        self._ended = time.monotonic()
        self._seconds_per_dataset = (self._ended - started) / max(1, len(self.news))
        self.news.clear()
