"""The search: asks for configurations, has them tried in worker processes, and keeps what comes of each."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from bench.console import say
from bench.conventions import PRIMARY_NAME
from bench.errors import BenchError
from bench.execution.forecast import Forecast
from bench.execution.progress import Progress
from bench.execution.scheduler import Job, Workers, run_all
from bench.plain_text import one_line
from bench.spec import RunResult, RunSpec
from bench.tuning.sampler import require_optuna
from bench.tuning.search import Search
from bench.tuning.spaces import NothingToSearchError
from bench.tuning.study import Study


@dataclass(frozen=True)
class Budget:
    """What every row gets, the same for all.

    Attributes:
        trials: Of each row, those that have ended before included; the first is the row as it is, so that the best is
            never worse on validation.
        seconds_per_trial: Time limit of each trial, None for none.
        confirm_top: So many of a row's best trials are confirmed before the choice. 0: none.
        seeds: Other seeds that each of them is fitted with.
        stop_after: Seconds of this call after which no trial is begun, less the limit of one: the same command goes on.
    """

    trials: int
    seconds_per_trial: float | None = None
    confirm_top: int = 0
    seeds: int = 2
    stop_after: float = math.inf


@dataclass(frozen=True)
class Means:
    """With what a search is made.

    Attributes:
        results_dir: The studies go into `tuning/` there.
        console: For progress.
        device: "cpu" or "cuda".
        jobs: Trials at a time; None fits them to the machine.
        started: When the call began (`time.monotonic`).
    """

    results_dir: Path
    console: Console
    device: str = "cpu"
    jobs: int | None = None
    started: float = field(default_factory=time.monotonic)

    def has_time_for(self, budget: Budget) -> bool:
        """Whether another trial may begin."""
        return time.monotonic() - self.started + (budget.seconds_per_trial or 0) <= budget.stop_after


def tune(
    bases: Sequence[RunSpec], budget: Budget, means: Means, fixed: Mapping[str, Collection[str]] | None = None
) -> list[Study]:
    """Gives every row the same number of trials; those that have ended before count.

    One at a time, on a CPU and without a time limit, the same search gives the same trials. Several at a time, a trial
    knows of those only that have ended when it starts, and that depends on the machine. The rows take turns, so that
    a search that is broken off leaves each with about as many trials as any other.

    Args:
        bases: The rows' own runs with seed 0, which every trial uses.
        budget: Of each row.
        means: With what.
        fixed: Keys that are not searched, by label of the row.

    Returns:
        The studies, in the order of `bases`; rows that differ by their label only share the first one's, and rows that
        have nothing to search have none.

    Raises:
        BenchError: Optuna is absent, no row has anything to tune, or earlier trials were made otherwise.
    """
    require_optuna()
    searches = _searches(bases, budget, means, fixed or {})
    trials = [
        _Planned.trial(search, number)
        for number in range(budget.trials)
        for search in searches
        if number not in search.ended
    ]
    total = budget.trials * len(searches)
    say(means.console, f"{len(trials)} of {total} trials to do, the others have ended")
    ended = [result for search in searches for result in search.as_results()]
    left = _run(trials, ended, budget, means)
    if not left and budget.confirm_top:
        wanted = [search.confirmations(budget.confirm_top, budget.seeds) for search in searches]
        turns = max(map(len, wanted), default=0)
        confirmations = [
            _Planned.confirmation(search, *runs[turn])
            for turn in range(turns)
            for search, runs in zip(searches, wanted, strict=True)
            if turn < len(runs)
        ]
        say(means.console, f"{len(confirmations)} confirmations to do, the others have ended")
        left = _run(confirmations, ended, budget, means)
    if left:
        say(means.console, f"{left} left for want of time: the same command goes on from here")
    return [search.study for search in searches]


def _searches(
    bases: Sequence[RunSpec], budget: Budget, means: Means, fixed: Mapping[str, Collection[str]]
) -> list[Search]:
    """One for each row that has something to search.

    Raises:
        BenchError: No row has, or earlier trials were made otherwise.
    """
    searches: dict[str, Search] = {}
    lines: list[str] = []
    for base in bases:
        if base.key in searches:  # labels aside, rows may be equal
            continue
        try:
            keys = fixed.get(base.label, ())
            searches[base.key] = Search.of(base, means.results_dir, budget.seconds_per_trial, keys)
        except NothingToSearchError as nothing:
            lines.append(str(nothing))
    if not searches:
        raise BenchError("; ".join(dict.fromkeys(lines)))
    for line in dict.fromkeys(lines):
        say(means.console, f"not searched: {line}")
    return list(searches.values())


@dataclass(frozen=True)
class _Planned:
    """A fit that is to be made.

    Attributes:
        run: What the scheduler knows it by.
        name: For people.
        job: Tells what a worker process is to do when it starts.
        record: Keeps what came of it.
        outcome: Tells it in a few words.
    """

    run: RunSpec
    name: str
    job: Callable[[], Job]
    record: Callable[[RunResult], None]
    outcome: Callable[[RunResult], str]

    @classmethod
    def trial(cls, search: Search, number: int) -> _Planned:
        # In the scheduler's eyes a trial is a run of its row, and the trial's number is the number of the replicate.
        run = search.study.base.model_copy(update={"seed": number})
        name = f"{run.label} on {run.dataset.label}, trial {number}"
        return cls(run, name, lambda: search.job(run), search.record, lambda result: search.outcome(number))

    @classmethod
    def confirmation(cls, search: Search, run: RunSpec, trial: int) -> _Planned:
        name = f"{run.label} on {run.dataset.label}, trial {trial} with seed {run.seed}"
        return cls(
            run,
            name,
            lambda: search.confirmation_job(run, trial),
            lambda result: search.record_confirmation(result, trial),
            _said_of_confirmation,
        )


def _said_of_confirmation(result: RunResult) -> str:
    if result.status != "complete":
        return f"failed: {one_line(result.reason)}"
    return f"validation {PRIMARY_NAME} {max(result.diagnostics['validations']):.4f}, {result.fit_seconds:.1f} s"


def _run(planned: Sequence[_Planned], ended: Sequence[RunResult], budget: Budget, means: Means) -> int:
    """Makes planned fits in worker processes, and keeps what comes of each.

    Args:
        planned: In the order in which they start.
        ended: Earlier ones, for an estimate of the time that one takes.
        budget: Of each row.
        means: With what.

    Returns:
        How many were not begun, for want of time.
    """
    by_key = {entry.run.key: entry for entry in planned}
    if not planned:
        return 0
    workers = Workers.for_machine(means.device, means.jobs, len(planned))
    say(means.console, str(workers))
    folder, todo = means.results_dir / "tuning", [entry.run for entry in planned]
    progress = Progress(
        means.console,
        folder,
        Forecast(todo, workers.jobs, ended, seconds_per_run=budget.seconds_per_trial),
        name=lambda run: by_key[run.key].name,
        outcome=lambda result: f"{by_key[result.spec.key].name}: {by_key[result.spec.key].outcome(result)}",
    )
    made = 0

    def on_result(result: RunResult) -> None:
        nonlocal made
        made += 1
        by_key[result.spec.key].record(result)
        progress.finished(result)

    with progress:
        run_all(
            todo,
            folder,
            workers,
            on_result,
            progress.tick,
            lambda run: by_key[run.key].job(),
            lambda: means.has_time_for(budget),
        )
    return len(planned) - made
