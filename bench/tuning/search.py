"""The search for one row's configuration: what is tried next, and what came of it."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from pathlib import Path
from typing import Any

from bench.config import value_at, with_values
from bench.conventions import PRIMARY_NAME
from bench.errors import BenchError, SkippedRun
from bench.execution.scheduler import Job
from bench.plain_text import one_line
from bench.registry import class_of
from bench.search_space import SearchSpace
from bench.spec import RunResult, RunSpec
from bench.tuning.pruning import NEVER, Pruner, pruner_for
from bench.tuning.sampler import next_values
from bench.tuning.spaces import NothingToSearchError, space_of, with_stopping_rule
from bench.tuning.study import Confirmation, Study, Trial
from bench.tuning.trial import TrialTask, run_trial


class Search:
    """The search for one row's configuration.

    Attributes:
        study: What is known so far; on disk, too.
    """

    def __init__(self, study: Study, space: SearchSpace, results_dir: Path) -> None:
        self.study, self._space, self._results_dir = study, space, results_dir
        self._started: dict[int, dict[str, Any]] = {}

    @classmethod
    def of(
        cls, base: RunSpec, results_dir: Path, seconds_per_trial: float | None, fixed: Collection[str] = ()
    ) -> Search:
        """Returns a row's search, with the trials of earlier calls.

        Raises:
            NothingToSearchError: There is nothing to tune, or the model can't be made here.
            BenchError: The earlier trials can't be compared with new ones.
        """
        try:
            space = space_of(class_of(base), base, fixed)
        except SkippedRun as skipped:
            raise NothingToSearchError(f"model '{base.model}' {skipped}") from None
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
            self._started[number] = self._values(number)
        config = with_values(base.config, self._started[number])
        pruner = pruner_for(self.study) if number else NEVER
        return self._job(base.model_copy(update={"config": config}), pruner, f"trial-{number}")

    def _values(self, number: int) -> dict[str, Any]:
        """What a trial tries; trial 0 is the row as it is, with its own rule for stopping."""
        config = self.study.base.config
        if number:
            under_way = [values for other, values in self._started.items() if other not in self.ended]
            return with_stopping_rule(config, next_values(self.study, self._space, number, under_way))
        values = {key: value_at(config, key) for key in self._space}
        return {key: value_at(config, key) for key in with_stopping_rule(config, values)}

    def _job(self, run: RunSpec, pruner: Pruner, name: str) -> Job:
        folder = Study.folder(self._results_dir, self.study.base)
        cache, limit = self._results_dir / "cache", self.study.seconds_per_trial
        return partial(run_trial, TrialTask(run, pruner, limit, cache, folder / f"{name}.log"))

    def record(self, result: RunResult) -> None:
        """Keeps what came of a trial."""
        validations = result.diagnostics.get("validations", [])
        given_up = result.diagnostics.get("given_up", "")
        complete = result.status == "complete" and given_up != "pruned"
        trial = Trial(
            number=result.spec.seed,
            state="complete" if complete else "pruned" if result.status == "complete" else "failed",
            values=self._started[result.spec.seed],
            validations=validations,
            shares=result.diagnostics.get("shares", []),
            validation=max(validations) if complete else None,
            seconds=round(result.fit_seconds, 2),
            reason=self._reason(result),
        )
        self._keep(self.study.with_trial(trial))

    def _reason(self, result: RunResult) -> str:
        if result.diagnostics.get("given_up") == "time limit":
            return f"ended after the limit of {self.study.seconds_per_trial:g} s"
        return result.reason

    def _keep(self, study: Study) -> None:
        self.study = study
        study.write(self._results_dir)

    def confirmations(self, most: int, seeds: int) -> list[tuple[RunSpec, int]]:
        """The runs that the best trials still need: each with the number of its trial.

        Args:
            most: So many trials.
            seeds: With so many other seeds.
        """
        made = {(known.trial, known.seed) for known in self.study.confirmations}
        wanted: dict[str, tuple[RunSpec, int]] = {}
        for seed in range(1, seeds + 1):
            for trial in self.study.leading(most):
                config = with_values(self.study.base.config, trial.values)
                run = self.study.base.model_copy(update={"config": config, "seed": seed})
                if (trial.number, seed) not in made:
                    wanted.setdefault(run.key, (run, trial.number))
        return list(wanted.values())

    def confirmation_job(self, run: RunSpec, trial: int) -> Job:
        """Tells what a worker process is to do to confirm a trial."""
        return self._job(run, NEVER, f"trial-{trial}-seed-{run.seed}")

    def record_confirmation(self, result: RunResult, trial: int) -> None:
        """Keeps what came of a confirmation."""
        validations = result.diagnostics.get("validations", [])
        made = Confirmation(
            trial=trial,
            seed=result.spec.seed,
            validation=max(validations) if result.status == "complete" else None,
            seconds=round(result.fit_seconds, 2),
            reason=self._reason(result),
        )
        self._keep(self.study.with_confirmation(made))

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
