"""The search: asks for configurations, has them tried in worker processes, and keeps what comes of each."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from bench.config import value_at, with_values
from bench.console import say
from bench.conventions import PRIMARY_NAME
from bench.errors import BenchError, SkippedRun
from bench.execution.progress import Progress
from bench.execution.scheduler import Job, Workers, run_all
from bench.plain_text import one_line
from bench.registry import model_class
from bench.search_space import SearchSpace
from bench.spec import RunResult, RunSpec
from bench.tuning.sampler import hopeless, next_values, require_optuna
from bench.tuning.spaces import space_of
from bench.tuning.study import Study, Trial
from bench.tuning.trial import TrialTask, run_trial


def tune(
    bases: Sequence[RunSpec],
    trials: int,
    results_dir: Path,
    console: Console,
    device: str = "cpu",
    jobs: int | None = None,
    seconds_per_trial: float | None = None,
) -> list[Study]:
    """Gives every row the same number of trials; those that have ended before count.

    One at a time, on a CPU and without a time limit, the same search gives the same trials. Several at a time, a trial
    knows of those only that have ended when it starts, and that depends on the machine.

    Args:
        bases: The rows' own runs with seed 0, which every fit uses.
        trials: Of each row; the first is the row as it is, so that the best is never worse on validation.
        results_dir: The studies go into `tuning/` there.
        console: For progress.
        device: "cpu" or "cuda".
        jobs: Trials at a time; None fits them to the machine.
        seconds_per_trial: Time limit of each trial, None for none.

    Returns:
        The studies, in the order of `bases`; rows that differ by their label only share the first one's.

    Raises:
        BenchError: Optuna is absent, a row has nothing to tune, or its earlier trials were made otherwise.
    """
    require_optuna()
    searches: dict[str, _Search] = {}
    for base in bases:
        if base.key not in searches:  # labels aside, rows may be equal
            searches[base.key] = _Search.of(base, results_dir, seconds_per_trial)
    # In the scheduler's eyes a trial is a run of its row, and the trial's number is the number of the replicate.
    planned = [
        (search.study.base.model_copy(update={"seed": number}), search)
        for number in range(trials)
        for search in searches.values()
        if number not in search.ended
    ]
    workers = Workers.for_machine(device, jobs, len(planned))
    say(console, f"{len(planned)} of {trials * len(searches)} trials to do, the others have ended")
    if planned:
        say(console, str(workers))
    _run_trials(planned, [*searches.values()], results_dir / "tuning", workers, console)
    return [search.study for search in searches.values()]


def _run_trials(
    planned: Sequence[tuple[RunSpec, _Search]],
    searches: Sequence[_Search],
    folder: Path,
    workers: Workers,
    console: Console,
) -> None:
    """Makes the planned trials in worker processes, and keeps what comes of each in its search.

    Args:
        planned: Trials in the order in which they start, each with the search that it belongs to.
        searches: All of them, for an estimate of the time that a trial takes.
        folder: Where the heartbeats go.
        workers: How the machine is divided.
        console: For progress.
    """
    search_of = {trial.key: search for trial, search in planned}
    todo = [trial for trial, _ in planned]
    ended = [result for search in searches for result in search.as_results()]
    limit = searches[0].study.seconds_per_trial if searches else None

    def outcome(result: RunResult) -> str:
        return f"{_name(result.spec)}: {search_of[result.spec.key].outcome(result.spec.seed)}"

    progress = Progress(console, folder, todo, workers.jobs, ended, name=_name, outcome=outcome, seconds_per_run=limit)
    with progress:

        def on_result(result: RunResult) -> None:
            search_of[result.spec.key].record(result)
            progress.finished(result)

        run_all(todo, folder, workers, on_result, progress.tick, lambda trial: search_of[trial.key].job(trial))


class _Search:
    """The search for one row's configuration.

    Attributes:
        study: What is known so far; on disk, too.
    """

    def __init__(self, study: Study, space: SearchSpace, results_dir: Path) -> None:
        self.study, self._space, self._results_dir = study, space, results_dir
        self._started: dict[int, dict[str, Any]] = {}

    @classmethod
    def of(cls, base: RunSpec, results_dir: Path, seconds_per_trial: float | None) -> _Search:
        """Returns a row's search, with the trials of earlier calls.

        Raises:
            BenchError: There is nothing to tune, or the earlier trials can't be compared with new ones.
        """
        try:
            space = space_of(model_class(base.model), base)
        except SkippedRun as skipped:
            raise BenchError(f"model '{base.model}' {skipped}") from None
        words = {key: str(dimension) for key, dimension in space.items()}
        study = Study.read(results_dir, base) or Study(base=base, space=words, seconds_per_trial=seconds_per_trial)
        where = f"delete '{Study.folder(results_dir, base)}' or choose other --results"
        if study.seconds_per_trial != seconds_per_trial:
            limit = study.seconds_per_trial
            before = "without --seconds-per-trial" if limit is None else f"with --seconds-per-trial {limit:g}"
            raise BenchError(f"the earlier trials of row '{base.label}' were made {before}: do likewise, or {where}")
        if study.space != words:
            raise BenchError(f"the earlier trials of row '{base.label}' were made in another search space: {where}")
        return cls(study.model_copy(update={"base": base}), space, results_dir)

    @property
    def ended(self) -> set[int]:
        """Numbers of the trials that have ended."""
        return {trial.number for trial in self.study.trials}

    def job(self, planned: RunSpec) -> Job:
        """Tells what a worker process is to do for a trial that starts now."""
        number, base = planned.seed, self.study.base
        if number not in self._started:  # else its process has died for another's fault, and it is made again
            under_way = [values for other, values in self._started.items() if other not in self.ended]
            self._started[number] = (
                next_values(self.study, self._space, number, under_way)
                if number
                else {key: value_at(base.config, key) for key in self._space}
            )
        task = TrialTask(
            run=base.model_copy(update={"config": with_values(base.config, self._started[number])}),
            hopeless=hopeless(self.study) if number else _never,
            seconds=self.study.seconds_per_trial,
            cache=self._results_dir / "cache",
            log=Study.folder(self._results_dir, base) / f"trial-{number}.log",
        )
        return partial(run_trial, task)

    def record(self, result: RunResult) -> None:
        """Keeps what came of a trial."""
        validations = result.diagnostics.get("validations", [])
        given_up = result.diagnostics.get("given_up", "")
        limit = self.study.seconds_per_trial
        complete = result.status == "complete" and given_up != "pruned"
        trial = Trial(
            number=result.spec.seed,
            state="complete" if complete else "pruned" if result.status == "complete" else "failed",
            values=self._started[result.spec.seed],
            validations=validations,
            validation=max(validations) if complete else None,
            seconds=result.fit_seconds,
            reason=f"ended after the limit of {limit:g} s" if given_up == "time limit" else result.reason,
        )
        self.study = self.study.with_trial(trial)
        self.study.write(self._results_dir)

    def outcome(self, number: int) -> str:
        """Tells in a few words what came of a trial that has ended."""
        trial = next(trial for trial in self.study.trials if trial.number == number)
        if trial.state == "failed":
            return f"failed: {one_line(trial.reason)}"
        best = f"best {self.study.best.validation:.4f}" if self.study.best else "none complete yet"
        reached = f"validation {PRIMARY_NAME} {max(trial.validations):.4f}"
        return f"{'pruned at' if trial.state == 'pruned' else ''} {reached} ({best}), {trial.seconds:.1f} s".strip()

    def as_results(self) -> list[RunResult]:
        """Returns the trials that have ended, for an estimate of the time that the others take."""
        return [
            RunResult(spec=self.study.base, status="complete", fit_seconds=trial.seconds)
            for trial in self.study.trials
            if trial.state != "failed"
        ]


def _name(planned: RunSpec) -> str:
    return f"{planned.label} on {planned.dataset.label}, trial {planned.seed}"


def _never(validations: Sequence[float]) -> bool:
    """Of the row as it is, which the best trial is measured by: it runs to its end."""
    return False
