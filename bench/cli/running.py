"""What `bench run` and `bench report` do: from what the user wrote to a plan, its runs and its report."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from loky import cpu_count

from bench.cli.dataset_options import as_arguments, chosen_dataset
from bench.cli.run_options import BackendName, Device, RunOptions, listed, usable
from bench.cli.stored import name_of
from bench.console import Console, say
from bench.errors import BenchError, SkippedRun, reason_of
from bench.execution.checkpoints import Checkpointing
from bench.execution.limits import Limits
from bench.execution.scheduler import Backend, Workers
from bench.execution.store import stored_results
from bench.execution.worker import execute
from bench.job import Watcher, run_plan, seal_of
from bench.plain_text import one_line
from bench.plan import Plan, expand, select
from bench.registry import model_class
from bench.spec import RunResult, Suite
from bench.suite_files import load_suite, seeds_from, suite_path
from bench.tuning.study import tuned_runs

_MOST_DIGITS = 20
"""Of a seed on the command line; `seeds_from` then says which are too large."""


def run_suite(options: RunOptions, reading: Mapping[str, Any]) -> int:
    """Makes the runs of a suite that are missing, and its report.

    Args:
        options: What is run, and where.
        reading: How data sets of the user's own are read and judged, by key of `DatasetSpec`.

    Returns:
        1 where a run has failed, else 0.

    Raises:
        BenchError: Something that the user wrote doesn't fit, or the report could not be written.
    """
    suite = _chosen(options, reading)
    runs = expand(suite, options.settings or (), where=str(suite_path(options.suite)))
    console = Console()
    if options.tuned:
        runs, lines = tuned_runs(runs, options.results)
        for line in lines:
            say(console, line)
    plan = Plan(suite=suite, runs=tuple(runs), command=_command(options, reading))

    for line in _not_divided(plan, options.devices):
        say(console, line)
    flaws: list[str] = []
    checkpointing = Checkpointing(options.checkpoint_every, options.keep_checkpoints)
    folders = options.results, options.reports
    backend = _backend_for(options)
    if not options.force and seal_of(plan, *folders).holds(plan.runs):
        say(console, f"0 of {len(runs)} runs to do, the others are complete, and the report is made of them")
        _summarise([RunResult(spec=spec, status="complete") for spec in runs], _report_of(options, suite), console)
        return 0
    watcher = _watcher(options, plan, console, flaws.append)
    live = options.track is not None
    job = partial(execute, checkpointing=checkpointing, n_devices=options.devices, live=live)
    outcome = run_plan(plan, *folders, console, backend, options.force, watcher, job)
    watcher.concluded()
    _summarise(outcome, None if flaws else _report_of(options, suite), console)
    if flaws:
        where = f"--suite {shlex.quote(options.suite)} --results {shlex.quote(str(options.results))}"
        again = f"all results are kept, and python -m bench report {where} tries again"
        raise BenchError(f"the report could not be written ({flaws[0]}): {again}")
    return _exit_code(outcome)


def _watcher(options: RunOptions, plan: Plan, console: Console, on_broken_report: Callable[[str], None]) -> Watcher:
    """Who hears of the runs: a tool for tracking experiments where one was asked for.

    Raises:
        BenchError: Its package is missing, or the folder that it writes to can't be written to.
    """
    if options.track is None:
        return Watcher(on_broken_report)
    from bench.export.live import LiveTracking  # brings in what reads results
    from bench.export.live_tools import tool_for

    open_tool = tool_for(options.track.value, plan.suite.name, Path("exports"))
    return LiveTracking(open_tool, plan, options.results, console, on_broken_report)


def _not_divided(plan: Plan, devices: int) -> list[str]:
    """Says which rows one device trains all the same."""
    if devices == 1:
        return []
    models = dict.fromkeys(run.model for run in plan.runs)
    alone = [model for model in models if not _is_divisible(model)]
    return [f"--devices {devices}: on one device, since they can't be divided: {', '.join(alone)}"] if alone else []


def _is_divisible(model: str) -> bool:
    try:
        return model_class(model).divisible
    except SkippedRun:
        return False


def _report_of(options: RunOptions, suite: Suite) -> Path:
    return options.reports / suite.name / "report.md"


def _backend_for(options: RunOptions) -> Callable[[int], Backend]:
    """Where so many runs are made.

    Raises:
        BenchError: A GPU was chosen that isn't there, no scheduler answers, or the options don't fit one another.
    """
    limits = Limits(options.run_timeout, options.run_memory)
    if (options.backend is BackendName.dask) != (options.scheduler is not None):
        raise BenchError("--backend dask goes with --scheduler ADDRESS, as `dask scheduler` prints it")
    if options.scheduler is not None:
        if options.jobs is not None:
            raise BenchError("--jobs is for --backend local: each thread of a dask worker makes one run at a time")
        from bench.execution.cluster import Cluster  # needs the optional package

        device = None if options.device is Device.auto else options.device.value
        cluster = Cluster.at(options.scheduler, device, limits, options.devices)
        return lambda runs: cluster
    if options.device is Device.cuda:
        usable(options.device)
    # Later, where there is a run to make: to look for a GPU takes seconds.
    return lambda runs: Workers.for_machine(usable(options.device), options.jobs, runs, limits, options.devices)


def rebuild_report(suite: str, results: Path, reports: Path) -> int:
    """Writes the report of a suite from its stored results.

    Returns:
        1 where a run has failed, else 0.

    Raises:
        BenchError: The suite has no plan there, or the report could not be written.
    """
    name = name_of(suite)
    if not Plan.exists(results, name):
        suite_path(suite)  # a misspelt name is the likelier mistake
    plan = Plan.read(results, name)
    from bench.report import write_report  # brings in the plotting libraries

    console = Console()
    stored = stored_results(plan.runs, results, console, for_report=True, archive_of=name)
    try:
        write_report(plan.suite, plan.runs, stored, results, reports, plan.command, processes=cpu_count())
    except BenchError:
        raise
    except Exception as error:
        raise BenchError(f"the report could not be written ({reason_of(error)})") from error
    _summarise(stored, reports / name / "report.md", console)
    return _exit_code(stored)


def _chosen(options: RunOptions, reading: Mapping[str, Any]) -> Suite:
    """The suite as far as it was chosen, with data sets of the user's own in place of its own."""
    suite = select(
        load_suite(options.suite),
        models=listed(options.models, "--models"),
        datasets=listed(options.datasets, "--datasets"),
        seeds=None if options.seeds is None else seeds_from(_parsed_seeds(options.seeds), "--seeds"),
        own=[chosen_dataset(path, reading) for path in options.dataset or ()],
    )
    if reading and not options.dataset:
        raise BenchError(f"{as_arguments(reading).strip()}: this is for --dataset; give one, or write a suite")
    return suite


def _command(options: RunOptions, reading: Mapping[str, Any]) -> str:
    """The command that asks for the same runs, for the report."""
    selection = {"--models": options.models, "--datasets": options.datasets, "--seeds": options.seeds}
    words = [(name, value) for name, value in selection.items() if value is not None]
    words += [("--dataset", value) for value in options.dataset or ()]
    words += [("--set", value) for value in options.settings or ()]
    command = f"python -m bench run --suite {shlex.quote(options.suite)}"
    command += "".join(f" {name} {shlex.quote(value)}" for name, value in words) + as_arguments(reading)
    return f"{command} --tuned" if options.tuned else command


def _parsed_seeds(text: str) -> Any:
    """`3` as a count, `0,2` as a list; anything else as it is, to be complained about."""
    parts = [part.strip() for part in text.split(",")]
    numbers = [part for part in parts if part]
    if not all(part.isdecimal() and len(part) <= _MOST_DIGITS for part in numbers) or not numbers:
        return text
    return int(numbers[0]) if len(parts) == 1 else list(map(int, numbers))


def _summarise(results: Sequence[RunResult], report_path: Path | None, console: Console) -> None:
    """Says how many runs ended how, why some did not, and where the report is."""
    counts = Counter(result.status for result in results)
    say(console, ", ".join(f"{counts[status]} {status}" for status in ("complete", "failed", "skipped")))
    for result in results:
        if result.status != "complete":
            name = f"{result.spec.label} on {result.spec.dataset.label}, seed {result.spec.seed}"
            say(console, f"  {result.status}: {name}: {one_line(result.reason)}")
    for path in (report_path, report_path.with_suffix(".html")) if report_path else ():
        if path.exists():
            say(console, f"report: {path}")


def _exit_code(results: Sequence[RunResult]) -> int:
    return int(any(result.status == "failed" for result in results))
