"""One run from start to end, inside a worker process."""

from __future__ import annotations

import contextlib
import math
import random
import time
import traceback
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from filelock import Timeout

from bench.data import catalog
from bench.data.cache import ArtifactCache
from bench.data.dataset import Dataset
from bench.data.protocols import Queries, Split, split
from bench.errors import BenchError, SkippedRun, reason_of
from bench.evaluation.asked_again import check_asked_again
from bench.evaluation.contract import ContractError
from bench.evaluation.decoding import trace_queries
from bench.evaluation.evaluator import Catalogue, judge, validation_ndcg
from bench.evaluation.transitions import known_transitions
from bench.execution import devices, environment, heartbeat, run_log
from bench.execution.checkpoints import (
    DEFAULT_CHECKPOINTING,
    Checkpointing,
    NoCheckpoints,
    RunCheckpoints,
    remove_checkpoints,
)
from bench.execution.content import conform, content_of
from bench.execution.freed_memory import keep_freed_memory
from bench.execution.heartbeat import HeartbeatWriter
from bench.execution.isolation import ProcessState, as_at, isolated
from bench.execution.live_values import CurveListener, Listeners, LiveWriter
from bench.execution.run_means import RunMeans
from bench.execution.saved_models import keep_model
from bench.execution.store import ResultStore, UnreadableResultError
from bench.plain_text import one_line
from bench.recommender import CurvePoint, FitContext, Recommender
from bench.registry import class_of, how_to_install, missing_package
from bench.seeds import seed_for
from bench.spec import RunResult, RunSpec, Status

_CHANGED = "the model wrote into data set '{}', which belongs to all runs"

_FIT_SHARE = 0.95
"""How much of a run's progress is the fit; the rest is the test."""


def execute(
    spec: RunSpec,
    results_dir: Path,
    device: str,
    threads: int,
    checkpointing: Checkpointing = DEFAULT_CHECKPOINTING,
    n_devices: int = 1,
    saves: bool = False,
    live: bool = False,
) -> RunResult:
    """Trains and judges one model, and stores what comes of it.

    Where another process is at the same run of the same results folder, waits for it and takes its result.

    Whatever the model prints, logs or warns goes into the run's log. On a CPU the same spec gives the same ranks,
    provided that the number of threads is the same: sums of floats depend on how they are divided.

    Args:
        spec: What to run.
        results_dir: Where results and the cache of shared artifacts live.
        device: "cpu" or "cuda".
        threads: For this process.
        checkpointing: A run that was broken off goes on from its last checkpoint.
        n_devices: How many train one model together; a model that can't be divided takes one.
        saves: Whether the fitted model is kept (`bench.execution.saved_models`).
        live: Whether to write down what is measured as the training goes (`bench.execution.live_values`).

    Returns:
        The stored result. A model that raises gives a failed one with its reason, and one that this machine
        can't run a skipped one.
    """
    with _alone(results_dir, spec) as waited:
        made = _stored(results_dir, spec) if waited else None
        if made is not None and made.status == "complete":
            return made
        result = RunResult(spec=spec, status="complete")
        how = RunMeans(results_dir, device, threads, checkpointing, saves, live=live)
        log = supervised(result, results_dir, lambda writer: _make(result, writer, how, n_devices))
        conform(result)
        ResultStore(results_dir).save(result, log)
        result.sealed = None  # of those ranks nothing goes to whoever asked for the run
        heartbeat.clear(results_dir, spec)
        if not checkpointing.keep:
            remove_checkpoints(results_dir, spec)
        return result


def _make(result: RunResult, writer: HeartbeatWriter, how: RunMeans, n_devices: int) -> None:
    """Makes a run; where a GPU's memory does not suffice for the training, once again with batches made in halves."""
    divisible = class_of(result.spec).divisible
    n_devices = n_devices if divisible else 1
    if not _runs_out_of_memory(lambda: _make_on(result, writer, how, n_devices), result, divisible):
        return
    print("out of memory: made again, each batch in two halves whose gradients are added up")
    kept = result.left_behind + environment.free_memory()
    vars(result).update(vars(RunResult(spec=result.spec, status="complete")), left_behind=kept)
    _make_on(result, writer, replace(how, pieces=2), n_devices)


def _runs_out_of_memory(make: Callable[[], None], result: RunResult, divisible: bool) -> bool:
    """Makes a run, and tells whether a training that can be divided has failed for want of memory on a GPU."""
    import torch

    try:
        make()
    except torch.OutOfMemoryError:
        if result.fit_seconds or not divisible:
            raise  # it was not the training, or there is nothing to be done
        traceback.print_exc()
        return True
    return False


def _make_on(result: RunResult, writer: HeartbeatWriter, how: RunMeans, n_devices: int) -> None:
    """Makes a run in this process, or for several devices in one process each."""
    if n_devices > 1:
        made = devices.together(partial(_as_member, spec=result.spec, how=how), n_devices, how.device)
        vars(result).update(vars(made), left_behind=result.left_behind)
        return
    _run(result, writer, how, validation_ndcg)


def _as_member(place: devices.Place, spec: RunSpec, how: RunMeans) -> RunResult:
    """What one process of several does for a run: the first makes it, the others train with it."""
    result = RunResult(spec=spec, status="complete")

    def validate(recommender: Recommender, queries: Queries) -> float:
        return place.told_by_the_first(lambda: validation_ndcg(recommender, queries), how.device)

    with place.joined(how.device):
        if place.number == 0:
            _run(result, HeartbeatWriter(how.results_dir, spec), how, validate)
        else:
            own = how.checkpoints(spec, saving=False)
            fit(result, how.cache, how.device, how.threads, Listeners(), validate, own, how.pieces)
    return result


@contextlib.contextmanager
def _alone(results_dir: Path, spec: RunSpec) -> Iterator[bool]:
    """Keeps other processes from making the same run; tells whether this one had to wait for one of them."""
    lock = heartbeat.lock(results_dir, spec)
    waited = False
    try:
        lock.acquire(timeout=0)
    except Timeout:
        lock.acquire()
        waited = True
    try:
        yield waited
    finally:
        lock.release()


def _stored(results_dir: Path, spec: RunSpec) -> RunResult | None:
    with contextlib.suppress(UnreadableResultError):
        return ResultStore(results_dir).load(spec)
    return None


def supervised(result: RunResult, results_dir: Path, work: Callable[[HeartbeatWriter], None]) -> str:
    """Does the work of a run: what it prints is kept, how it ends is noted, and no exception gets out.

    Args:
        result: Of the run; gets the status and the reason.
        results_dir: Where the heartbeat and the log are until the caller clears them.
        work: Gets the heartbeat to be kept going.

    Returns:
        The log.

    Raises:
        OSError: The log can't be written, as on a full disk.
    """
    writer = HeartbeatWriter(results_dir, result.spec)
    log = heartbeat.log_path(results_dir, result.spec)
    with run_log.captured(log), isolated(result.left_behind):
        try:
            work(writer)
        except SkippedRun as skipped:
            result.status, result.reason = "skipped", one_line(str(skipped))
        except BaseException as error:  # none of them can be meant for this process: it is the model's own
            traceback.print_exc()
            result.status, result.reason = _ending(error)
    result.left_behind += environment.free_memory()
    if result.left_behind:  # what replaced functions have left inside a table, say, is not seen from outside
        catalog.load_dataset.cache_clear()
    changed = catalog.load_dataset.changed()  # whatever ended the run: the next one gets the data as they are
    if changed and result.status != "failed":
        result.status, result.reason = "failed", f"ContractError: {_CHANGED.format(changed[0])}"
    return run_log.read(log)


def _ending(error: BaseException) -> tuple[Status, str]:
    """Status and reason of a run that has raised something."""
    package = missing_package(error) if isinstance(error, ModuleNotFoundError) else None
    return ("failed", reason_of(error)) if package is None else ("skipped", how_to_install(package))


@dataclass(frozen=True)
class Fitted:
    """What a fit leaves behind: the recommender, and the data that it is judged on, which it has not seen."""

    recommender: Recommender
    parts: Split
    catalogue: Catalogue


def fit(
    result: RunResult,
    cache: ArtifactCache,
    device: str,
    threads: int,
    listeners: Listeners,
    validate: Callable[[Recommender, Queries], float] = validation_ndcg,
    checkpoints: Callable[[dict[str, Any]], RunCheckpoints] | None = None,
    pieces: int = 1,
) -> Fitted:
    """Trains the model of a run in this process, and notes in `result` all that the training tells.

    Args:
        result: Gets environment, diagnostics, curve, time and size.
        cache: Shared by all runs.
        device: "cpu" or "cuda".
        threads: For this process.
        listeners: Who hears of it.
        validate: Scores a recommender on the validation queries.
        checkpoints: Gives a fit its checkpoints, made with so and so. None for a fit that keeps none.
        pieces: See `FitContext`.
    """
    spec = result.spec
    seed = seed_for(spec.model, spec.dataset.label, spec.seed)
    _prepare_process(seed, device, threads)
    result.environment = made_on = {**environment.made_on(device, devices.joined(), threads), "batch_pieces": pieces}
    model = class_of(spec)
    result.diagnostics["role"] = model.role
    result.diagnostics["fidelity"] = [asdict(mechanism) for mechanism in model.fidelity]
    dataset, parts = _data_of(result)
    table = dataset.item_table
    counts = parts.train.interactions.item_counts()
    catalogue = Catalogue(counts, table.category, table.columns, None, dataset.user_ids, dataset.item_ids)
    # Copies, here and of the data: what a model writes into them is its own affair.
    recommender = model(model.Config.model_validate(deepcopy(spec.config)))
    prepared = ProcessState.now()
    context = FitContext(
        seed=seed,
        device=device,
        cache=ArtifactCache(cache.folder, lambda: as_at(prepared)),
        validate=lambda candidate: validate(candidate, parts.validation),
        shared_seed=seed_for("shared", spec.dataset.label, spec.seed),
        diagnostics=result.diagnostics,
        pieces=pieces,
    )
    of_curve = CurveListener.of(context, listeners)
    made_with = {"key": spec.key, **{name: value for name, value in made_on.items() if name != "started"}}
    run_checkpoints = (checkpoints or NoCheckpoints)(made_with)
    try:
        context.new_checkpoint = run_checkpoints
        recommender.fit(parts.train.copy(), context)
        result.fit_seconds = run_checkpoints.elapsed()
        of_curve.catch_up()
    finally:  # a diverged fit is explained by its curve
        result.curve = [asdict(point) for point in context.curve if isinstance(point, CurvePoint)]
        if context.diagnostics is not result.diagnostics:
            result.diagnostics = context.diagnostics
    result.parameters = recommender.parameter_count()
    _note_best(result, context)
    return Fitted(recommender, parts, catalogue)


def _data_of(result: RunResult) -> tuple[Dataset, Split]:
    """The data set of a run and its parts, noted in the result.

    Raises:
        BenchError: It is no longer the one that the run was planned with.
    """
    spec = result.spec
    dataset = catalog.load_dataset(spec.dataset.name, spec.dataset.files, spec.dataset.sample_users)
    if dataset.content_hash != spec.data_hash:
        raise BenchError(f"the files of '{dataset.name}' have changed since this run was planned: start again")
    asked = spec.dataset
    parts = split(dataset, asked.protocol, asked.seen_items, asked.cold_targets, asked.confirm)
    result.environment["dataset"] = environment.described(dataset, spec)
    result.environment["excluded"] = parts.excluded
    result.environment["cold_targets"] = parts.cold_targets
    return dataset, parts


def _note_best(result: RunResult, context: FitContext) -> None:
    """Notes the best validation of a fit.

    Raises:
        ContractError: The curve holds something else than points.
    """
    if len(result.curve) < len(context.curve):
        raise ContractError("fit left something else than a CurvePoint in context.curve")
    judged = [point for point in context.curve if not math.isnan(point.validation)]
    if judged:
        best = max(judged, key=lambda point: point.validation)
        result.best_epoch, result.validation = best.epoch, best.validation


def _run(
    result: RunResult, writer: HeartbeatWriter, how: RunMeans, validate: Callable[[Recommender, Queries], float]
) -> None:
    def report_progress(fraction: float, words: str) -> None:
        writer(_FIT_SHARE * fraction, words)

    checkpoints = how.checkpoints(result.spec)
    listeners = Listeners(report_progress)
    if how.live:
        listeners = Listeners(report_progress, LiveWriter(how.results_dir, result.spec, time.time))
    fitted = fit(result, how.cache, how.device, how.threads, listeners, validate, checkpoints, how.pieces)
    recommender, parts = fitted.recommender, fitted.parts
    train = parts.train
    steps = known_transitions(train.interactions, train.history_ends())
    catalogue = replace(fitted.catalogue, transitions=steps)
    started = time.perf_counter()
    result.queries = judge(
        recommender,
        parts.test,
        report_progress=lambda done: writer(_FIT_SHARE + (1 - _FIT_SHARE) * done, "answering test queries"),
        catalogue=catalogue,
    )
    result.recommend_seconds = time.perf_counter() - started
    result.milliseconds_per_user = 1000 * result.recommend_seconds / len(parts.test)
    result.environment.update(environment.peak_memory(how.device))
    # A model may count in its diagnostics while it answers; of these answers nothing is to be seen there.
    told = content_of(result)["diagnostics"]
    check_asked_again(recommender, parts.test)
    if parts.confirm is not None:
        result.sealed = judge(recommender, parts.confirm, catalogue=catalogue)
    result.diagnostics = told
    # Last, so that neither a ranking nor a cost can depend on the diagnosis, which is told the targets.
    result.decoding = trace_queries(recommender, parts.test)
    if how.saves:
        keep_model(how.results_dir, result, recommender, parts.test)


def _prepare_process(seed: int, device: str, threads: int) -> None:
    """Threads, and seeds for libraries that draw from global random state although models here should not."""
    import torch

    if device == "cpu":
        keep_freed_memory()
    torch.set_num_threads(threads)
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(device == "cpu", warn_only=True)
    # On a GPU, products of float32 matrices may use tensor cores, with ten bits of mantissa (TF32).
    torch.set_float32_matmul_precision("high" if device == "cuda" else "highest")
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # a debugging aid that costs time
    environment.reset_peak_memory(device)
