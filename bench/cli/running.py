"""What `bench run` and `bench report` do: from what the user wrote to a plan, its runs and its report."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from loky import cpu_count

from bench.cli.dataset_options import as_arguments, chosen_dataset, of_sampled_users
from bench.cli.dry_run import show_runs
from bench.cli.own_suites import GivenSuite, as_own, changes_of_own, check_own_exists, given_suite, with_names
from bench.cli.references import is_as_committed, keep_references, keep_report
from bench.cli.run_options import BackendName, Device, RunOptions, listed, usable
from bench.cli.saving import made_again, not_saved_before, tell_of_models
from bench.cli.stored import check_has_runs, name_of
from bench.console import Console, say
from bench.errors import BenchError, SkippedRun, reason_of
from bench.execution.checkpoints import Checkpointing
from bench.execution.costs import Costs, Means
from bench.execution.limits import Limits
from bench.execution.scheduler import Backend, Workers
from bench.execution.store import stored_results
from bench.execution.worker import execute
from bench.job import Watcher, finished_grid, run_plan, runs_to_do
from bench.names import OWN
from bench.plain_text import one_line
from bench.plan import Plan, complete_config, expand, select
from bench.quick import QUICK, quickened
from bench.registry import class_of
from bench.spec import RunResult, RunSpec, Suite
from bench.suite_files import seeds_from, suite_path
from bench.tuning.study import tuned_runs

_MOST_DIGITS = 20
"""Of a seed on the command line; `seeds_from` then says which are too large."""


def run_suite(
    options: RunOptions, reading: Mapping[str, Any], on_plan: Callable[[Plan], None] = lambda plan: None
) -> int:
    """Makes the runs of a suite that are missing, and its report.

    Args:
        options: What is run, and where.
        reading: How data sets of the user's own are read and judged, by key of `DatasetSpec`.
        on_plan: Called with what will be run.

    Returns:
        1 where a run has failed, else 0.

    Raises:
        BenchError: Something that the user wrote doesn't fit, or the report could not be written.
    """
    console, given = Console(), given_suite(options.suite, options.results)
    plan, lines = _planned(given, options, reading)
    backend = _backend_for(options)
    if options.quick:
        plan = _quick(plan, given.where, backend)
        lines.append(f"{plan.suite.name}: {plan.suite.description}")
    on_plan(plan)
    folders, report = (options.results, options.reports), options.reports / plan.suite.name / "report.md"
    again, told = made_again(options), not_saved_before(plan, options)
    finished = not any(map(again, plan.runs)) and finished_grid(plan, *folders).holds(plan.runs)
    for line in (*lines, *changes_of_own(plan, options.results), *_not_divided(plan, options.devices), *told):
        say(console, line)
    if options.dry_run:
        show_runs(plan, options.results, backend, again, console)
        for line in () if finished else _said_of_references(plan, given, options):
            say(console, line)
        return 0
    flaws: list[str] = []
    checkpointing = Checkpointing(options.checkpoint_every, options.keep_checkpoints)
    if finished:
        say(console, f"{runs_to_do(0, len(plan.runs))}, and the report is made of them")
        _summarise([RunResult(spec=spec, status="complete") for spec in plan.runs], report, console)
        return 0
    for line in _kept_references(plan, given, options):
        say(console, line)
    watcher = _watcher(options, plan, console, flaws.append)
    live = options.track is not None
    job = partial(execute, checkpointing=checkpointing, n_devices=options.devices, live=live, saves=options.save_models)
    outcome = run_plan(plan, *folders, console, backend, again, watcher, job)
    watcher.concluded()
    _summarise(outcome, None if flaws else report, console)
    tell_of_models(outcome, options, console)
    if flaws:
        where = f"--suite {shlex.quote(plan.suite.name)} --results {shlex.quote(str(options.results))}"
        retry = f"all results are kept, and python -m bench report {where} tries again"
        raise BenchError(f"the report could not be written ({flaws[0]}): {retry}")
    return _exit_code(outcome)


def _kept_references(plan: Plan, given: GivenSuite, options: RunOptions) -> list[str]:
    """What is to be said of committed results that a run writes over.

    Raises:
        BenchError: They are not to be written over by this run.
    """
    if options.force:
        return []
    return keep_references(plan, options.results, options.reports, is_as_committed(plan, plan.suite == given.suite))


def _said_of_references(plan: Plan, given: GivenSuite, options: RunOptions) -> list[str]:
    """What a real run would say of them, or why it would be refused."""
    try:
        return _kept_references(plan, given, options)
    except BenchError as refusal:
        return [f"without --dry-run this is refused: {refusal}"]


def _quick(plan: Plan, where: str, backend_for: Callable[[int], Backend]) -> Plan:
    """What of a plan gives a first answer within minutes on this machine.

    Raises:
        BenchError: The machines of a cluster were asked for.
    """
    backend = backend_for(len(plan.runs))
    if not isinstance(backend, Workers):
        raise BenchError("--quick is for --backend local: how fast a cluster is has not been measured")
    costs = Costs(Means(backend.device, backend.jobs, backend.threads))
    return quickened(plan, lambda suite: expand(suite, plan.settings, where=where), costs, backend.jobs, plan.settings)


def _planned(given: GivenSuite, options: RunOptions, reading: Mapping[str, Any]) -> tuple[Plan, list[str]]:
    """What is to be run, and what there is to say of configurations that a search has found."""
    for option, used in (("--tuned", options.tuned or given.tuned), ("--seeds", options.seeds is not None)):
        if used and options.quick:
            raise BenchError(f"--quick trains one seed for few epochs, whatever a search has found: leave {option} out")
    if given.suite.name.endswith(QUICK):
        raise BenchError(f"suite '{given.suite.name}' is a quick answer: give what it was made of, and --quick")
    suite, settings = _chosen(given.suite, options, reading), (*given.settings, *(options.settings or ()))
    runs = expand(suite, settings, where=given.where)
    lines: list[str] = []
    tuned = options.tuned or given.tuned
    if tuned:
        found, lines = tuned_runs(runs, options.results, suite.searched_as)
        runs = [_as_if_written(run) for run in found]
    command = _command(options, reading)
    if given.command and suite == given.suite and settings == given.settings and tuned == given.tuned:
        command = given.command + " --quick" * options.quick  # which says where the data lie
    return Plan(suite=suite, runs=tuple(runs), command=command, settings=settings, tuned=tuned), lines


def _as_if_written(run: RunSpec) -> RunSpec:
    """The run with its configuration as a suite would give it: a search may have chosen 200 where that has 200.0.

    The key of a run tells the two apart, so that a found configuration, copied into a suite, would be trained again.
    A run whose package is absent stays as it is: it is skipped with that reason.
    """
    try:
        model = class_of(run)
    except SkippedRun:
        return run
    return run.model_copy(update={"config": complete_config(model, run.config, run.label)})


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
    models = {run.model: run for run in plan.runs}
    alone = [model for model, run in models.items() if not _is_divisible(run)]
    return [f"--devices {devices}: on one device, since they can't be divided: {', '.join(alone)}"] if alone else []


def _is_divisible(run: RunSpec) -> bool:
    try:
        return class_of(run).divisible
    except SkippedRun:
        return False


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


def rebuild_report(suite: str, results: Path, reports: Path, force: bool = False) -> int:
    """Writes the report of a suite from its stored results.

    Args:
        suite: Its name, or its file.
        results, reports: Folders.
        force: Write over a committed report in any case.

    Returns:
        1 where a run has failed, else 0.

    Raises:
        BenchError: The suite has no plan there, the report could not be written, or it would replace a committed one.
    """
    name = name_of(suite)
    check_has_runs(results, suite)
    if name.startswith(OWN):
        check_own_exists(name, results)
    elif not Plan.exists(results, name):
        suite_path(suite)  # a misspelt name is the likelier mistake
    plan = Plan.read(results, name)
    if not force:
        keep_report(plan, results, reports)
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


def _chosen(suite: Suite, options: RunOptions, reading: Mapping[str, Any]) -> Suite:
    """The suite as far as it was chosen, with data sets of the user's own in place of its own."""
    names = options.name or []
    own = with_names([chosen_dataset(path, reading) for path in options.dataset or ()], names)
    chosen = select(
        suite,
        models=listed(options.models, "--models"),
        datasets=listed(options.datasets, "--datasets"),
        seeds=None if options.seeds is None else seeds_from(_parsed_seeds(options.seeds), "--seeds"),
        own=own,
    )
    if options.dataset or not reading:
        return as_own(chosen, suite.name, own, names)
    own_only = {key: value for key, value in reading.items() if key != "sample_users"}
    if own_only:
        raise BenchError(f"{as_arguments(own_only).strip()}: this is for --dataset; give one, or write a suite")
    return as_own(of_sampled_users(chosen, reading["sample_users"]), suite.name, own, names)


def _command(options: RunOptions, reading: Mapping[str, Any]) -> str:
    """The command that asks for the same runs, for the report."""
    selection = {"--models": options.models, "--datasets": options.datasets, "--seeds": options.seeds}
    words = [(name, value) for name, value in selection.items() if value is not None]
    words += [("--dataset", value) for value in options.dataset or ()]
    words += [("--name", value) for value in options.name or ()]
    words += [("--set", value) for value in options.settings or ()]
    command = f"python -m bench run --suite {shlex.quote(options.suite)}"
    command += "".join(f" {name} {shlex.quote(value)}" for name, value in words) + as_arguments(reading)
    return command + " --tuned" * options.tuned + " --quick" * options.quick


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
            say(console, f"  {result.status}: {name}: {one_line(result.reason)}", always=True)
    for path in (report_path, report_path.with_suffix(".html")) if report_path else ():
        if path.exists():
            say(console, f"report: {path}")


def _exit_code(results: Sequence[RunResult]) -> int:
    return int(any(result.status == "failed" for result in results))
