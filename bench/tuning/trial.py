"""One trial, inside a worker process: a fit that is given up when it is hopeless or out of time, and never tested."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.conventions import PRIMARY_NAME
from bench.data.cache import ArtifactCache
from bench.data.protocols import Queries
from bench.evaluation.evaluator import validation_ndcg
from bench.execution import heartbeat
from bench.execution.worker import fit, supervised
from bench.recommender import Recommender
from bench.registry import model_class
from bench.spec import RunResult, RunSpec


@dataclass(frozen=True)
class TrialTask:
    """What a worker process is to try.

    Attributes:
        run: The run whose model is fitted.
        hopeless: Whether a trial with these validations so far is to be given up.
        seconds: Time limit. None for none.
        cache: Folder of the artifacts that all runs share.
        log: Where everything goes that the model prints.
    """

    run: RunSpec
    hopeless: Callable[[Sequence[float]], bool]
    seconds: float | None
    cache: Path
    log: Path


class _GivenUpError(Exception):
    """Ends a fit from within `validate` or `report_progress`; the message says why."""


def run_trial(task: TrialTask, planned: RunSpec, folder: Path, device: str, threads: int) -> RunResult:
    """Fits and validates; the test queries are made with the others, and no model sees any.

    Args:
        order: What to try.
        planned: What the caller knows the trial by.
        folder: Where its heartbeat goes.
        device: "cpu" or "cuda".
        threads: For this process.

    Returns:
        The result of `planned`, with its time and these diagnostics: `validations`, and `given_up`, which is
        "pruned", "time limit" or "".
    """
    result = RunResult(spec=planned, status="complete")
    fitted = RunResult(spec=task.run, status="complete")
    result.diagnostics = {"validations": [], "given_up": ""}

    def work(pulse: heartbeat.HeartbeatWriter) -> None:
        watch = _Watch(task, pulse, result.diagnostics["validations"])
        started = time.perf_counter()
        try:
            outcome = fit(fitted, ArtifactCache(task.cache), device, threads, watch.report_progress, watch.validate)
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
    the cache. However short it is, a trial gets its first validation.
    """

    def __init__(self, task: TrialTask, pulse: heartbeat.HeartbeatWriter, validations: list[float]) -> None:
        self._order, self._pulse, self.validations = task, pulse, validations
        self._model = model_class(task.run.model)
        self._started: float | None = None

    def validate(self, recommender: Recommender, queries: Queries) -> float:
        value = validation_ndcg(recommender, queries)
        if not isinstance(recommender, self._model):
            return value  # a model that trains another one first: say, the first stage of a ranking model
        if math.isnan(value):
            raise ValueError(f"validation {PRIMARY_NAME} is not a number: has the data set validation queries?")
        self.validations.append(value)
        if self._order.hopeless(self.validations):
            raise _GivenUpError("pruned")
        self._end_if_late()
        return value

    def report_progress(self, fraction: float, words: str) -> None:
        self._pulse(fraction, words)
        self._end_if_late()

    def _end_if_late(self) -> None:
        self._started = self._started or time.monotonic()
        late = self._order.seconds is not None and time.monotonic() - self._started >= self._order.seconds
        if late and self.validations:
            raise _GivenUpError("time limit")
