"""One trial, inside a worker process: a fit that is given up when it is hopeless or out of time, and never tested."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path

from bench.conventions import PRIMARY_NAME
from bench.data.cache import ArtifactCache
from bench.data.protocols import Queries
from bench.evaluation.evaluator import validation_ndcg
from bench.execution import heartbeat
from bench.execution.live_values import Listeners
from bench.execution.worker import fit, supervised
from bench.recommender import Recommender
from bench.registry import class_of
from bench.spec import RunResult, RunSpec
from bench.tuning.pruning import Pruner

LIMITS_WITHOUT_VALIDATION = 2.0
"""After so many limits of time a trial without a validation fails: nothing is known of what it would have reached."""
_DIGITS_OF_VALIDATIONS = 6
_DIGITS_OF_SHARES = 3


@dataclass(frozen=True)
class TrialTask:
    """What a worker process is to try.

    Attributes:
        run: The run whose model is fitted.
        pruner: What the trial has to reach on its way.
        seconds: Time limit. None for none.
        cache: Folder of the artifacts that all runs share.
        log: Where everything goes that the model prints.
    """

    run: RunSpec
    pruner: Pruner
    seconds: float | None
    cache: Path
    log: Path


class _GivenUpError(Exception):
    """Ends a fit from within `validate` or `report_progress`; the message says why."""


def run_trial(task: TrialTask, planned: RunSpec, folder: Path, device: str, threads: int) -> RunResult:
    """Fits and validates; the test queries are made with the others, and no model sees any.

    Args:
        task: What to try.
        planned: What the caller knows the trial by.
        folder: Where its heartbeat goes.
        device: "cpu" or "cuda".
        threads: For this process.

    Returns:
        The result of `planned`, with its time and these diagnostics: `validations`, `shares` (how much of the trial
        was over at each), and `given_up`, which is "pruned", "time limit" or "".
    """
    result = RunResult(spec=planned, status="complete")
    fitted = RunResult(spec=task.run, status="complete")
    result.diagnostics = {"validations": [], "shares": [], "given_up": ""}

    def work(pulse: heartbeat.HeartbeatWriter) -> None:
        watch = _Watch(task, pulse)
        result.diagnostics |= {"validations": watch.validations, "shares": watch.shares}
        started = time.perf_counter()
        try:
            outcome = fit(
                fitted, ArtifactCache(task.cache), device, threads, Listeners(watch.report_progress), watch.validate
            )
            if not watch.validations:  # a model without epochs, which needs no early stopping
                watch.validate(outcome.recommender, outcome.parts.validation)
        except _GivenUpError as given_up:
            result.diagnostics["given_up"] = str(given_up)
        finally:
            result.fit_seconds = time.perf_counter() - started

    log = supervised(result, folder, work)
    task.log.parent.mkdir(parents=True, exist_ok=True)
    task.log.write_text(log, encoding="utf-8")
    heartbeat.clear(folder, planned)
    return result


class _Watch:
    """Follows a fit through the two calls that every model makes, and ends it where that is due.

    The time counts from the first of these calls, so that no trial pays for semantic IDs which others then find in
    the cache. However short it is, a trial gets its first validation, unless that takes twice as long.

    Attributes:
        validations: So far.
        shares: How much of the trial was over at each of them.
    """

    def __init__(self, task: TrialTask, pulse: heartbeat.HeartbeatWriter) -> None:
        self.validations: list[float] = []
        self.shares: list[float] = []
        self._task, self._pulse = task, pulse
        self._model = class_of(task.run)
        self._started: float | None = None
        self._fraction = 0.0
        self._judged = True

    def validate(self, recommender: Recommender, queries: Queries) -> float:
        value = validation_ndcg(recommender, queries)
        if not isinstance(recommender, self._model):
            return value  # a model that trains another one first: say, the first stage of a ranking model
        if math.isnan(value):
            raise ValueError(f"validation {PRIMARY_NAME} is not a number: has the data set validation queries?")
        self._judge()
        self.validations.append(round(value, _DIGITS_OF_VALIDATIONS))
        self.shares.append(self._share())
        self._judged = False
        self._end_if_late()
        return value

    def report_progress(self, fraction: float, words: str) -> None:
        self._pulse(fraction, words)
        self._fraction = fraction
        if not self._judged:  # a model says how far it is after a validation, and for the last time some steps before
            self.shares[-1] = self._share()
            self._judge()
        self._end_if_late()

    def _judge(self) -> None:
        judged, self._judged = self._judged, True
        if not judged and self._task.pruner.gives_up(self.validations, self.shares):
            raise _GivenUpError("pruned")

    def _share(self) -> float:
        of_time = self._elapsed() / self._task.seconds if self._task.seconds else 0.0
        return round(min(1.0, max(self._fraction, of_time)), _DIGITS_OF_SHARES)

    def _elapsed(self) -> float:
        self._started = self._started or time.monotonic()
        return time.monotonic() - self._started

    def _end_if_late(self) -> None:
        limit = self._task.seconds
        if limit is None or self._elapsed() < limit:
            return
        if self.validations:
            raise _GivenUpError("time limit")
        if limit and self._elapsed() >= LIMITS_WITHOUT_VALIDATION * limit:
            raise TimeoutError(f"no validation within {LIMITS_WITHOUT_VALIDATION:g} times the limit of {limit:g} s")
