"""The command line: `python -m bench run | tune | report | compare | export | list | data | doctor | cache`."""

from __future__ import annotations

import shlex
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from bench.cli import data as data_cli
from bench.cli import results as results_cli
from bench.cli import tune, upkeep
from bench.cli.dataset_options import DATASET_HELP, as_arguments, chosen_dataset, takes_dataset_options
from bench.cli.listing import list_datasets, list_models, list_suites
from bench.cli.run_options import (
    BackendName,
    BackendOption,
    CheckpointEvery,
    Device,
    KeepCheckpoints,
    RunMemory,
    RunTimeout,
    Scheduler,
    backend_for,
    listed,
)
from bench.console import Console, say, table_console
from bench.errors import BenchError, unknown_name
from bench.execution.checkpoints import SECONDS_BETWEEN, Checkpointing
from bench.execution.limits import Limits
from bench.execution.store import stored_results
from bench.job import run_plan
from bench.plain_text import one_line
from bench.plan import Plan, expand, select
from bench.spec import RunResult
from bench.suite_files import load_suite, seeds_from, suite_path
from bench.tuning.study import tuned_runs

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Benchmark of recommender systems: train, judge, report.",
)
app.add_typer(data_cli.app, name="data")
results_cli.register(app)
tune.register(app)
upkeep.register(app)

SuiteOption = Annotated[str, typer.Option(help="Name of a suite, or path to a .yaml file.")]
ResultsOption = Annotated[Path, typer.Option(help="Folder of the results.")]
ReportsOption = Annotated[Path, typer.Option(help="Folder of the reports.")]
_INTERRUPTED = 130
_MOST_DIGITS = 20
"""Of a seed on the command line; `seeds_from` then says which are too large."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Returns:
        0 when every run is complete or skipped, 1 when one has failed, 2 after bad input, 130 after Ctrl-C.
    """
    try:
        code = typer.main.get_command(app)(args=arguments, prog_name="bench", standalone_mode=False) or 0
    except BenchError as error:
        return _complain(str(error), 2)
    except (KeyboardInterrupt, typer.Abort):
        code = _INTERRUPTED
    except Exception as error:
        if hasattr(error, "format_message"):  # a usage error, of click's class or of typer's own, depending on version
            return _complain(error.format_message() or "no command: try --help", 2)
        raise
    if code == _INTERRUPTED:  # some versions of typer turn KeyboardInterrupt into this code
        return _complain("interrupted; complete results are kept, and the same command goes on from there", code)
    return code


@app.command()
@takes_dataset_options
def run(
    reading: dict[str, Any],
    suite: SuiteOption = "full",
    models: Annotated[
        str | None, typer.Option(help="Only these rows, comma-separated; models outside the suite may join.")
    ] = None,
    datasets: Annotated[str | None, typer.Option(help="Only these data sets, comma-separated.")] = None,
    dataset: Annotated[
        list[str] | None, typer.Option(help=f"In place of the suite's data sets; may be repeated. {DATASET_HELP}")
    ] = None,
    seeds: Annotated[str | None, typer.Option(help="A count (3 means 0,1,2) or a list (0,2; one seed: 2,).")] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Runs at a time. Default: what fits the machine.")] = None,
    device: Annotated[Device, typer.Option(help="auto takes a GPU when there is one.")] = Device.auto,
    results: ResultsOption = Path("results"),
    reports: ReportsOption = Path("reports"),
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Change a configuration: model.key=value, or key=value for all."
        ),
    ] = None,
    tuned: Annotated[
        bool, typer.Option("--tuned", help="With the best configurations that `bench tune` has found.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Make complete runs again.")] = False,
    run_timeout: RunTimeout = None,
    run_memory: RunMemory = None,
    backend: BackendOption = BackendName.local,
    scheduler: Scheduler = None,
    checkpoint_every: CheckpointEvery = SECONDS_BETWEEN,
    keep_checkpoints: KeepCheckpoints = False,
) -> None:
    """Train and judge every model of a suite, then report. Complete results are re-used."""
    selection = {"--models": models, "--datasets": datasets, "--seeds": seeds}
    chosen = select(
        load_suite(suite),
        models=listed(models, "--models"),
        datasets=listed(datasets, "--datasets"),
        seeds=None if seeds is None else seeds_from(_parsed_seeds(seeds), "--seeds"),
        own=[chosen_dataset(place, reading) for place in dataset or ()],
    )
    if reading and not dataset:
        raise BenchError(f"{as_arguments(reading).strip()}: this is for --dataset; give one, or write a suite")
    options = [(name, value) for name, value in selection.items() if value is not None]
    options += [("--dataset", value) for value in dataset or ()] + [("--set", value) for value in set_ or ()]
    command = f"python -m bench run --suite {shlex.quote(suite)}"
    command += "".join(f" {name} {shlex.quote(value)}" for name, value in options) + as_arguments(reading)
    runs = expand(chosen, set_ or (), where=str(suite_path(suite)))
    console = Console()
    if tuned:
        runs, told = tuned_runs(runs, results)
        command += " --tuned"
        for line in told:
            say(console, line)
    plan = Plan(suite=chosen, runs=tuple(runs), command=command)

    flaws: list[str] = []
    where = backend_for(device, jobs, Limits(run_timeout, run_memory), backend, scheduler)
    checkpointing = Checkpointing(checkpoint_every, keep_checkpoints)
    outcome = run_plan(plan, results, reports, console, where, force, flaws.append, checkpointing)
    _summarise(outcome, None if flaws else reports / chosen.name / "report.md", console)
    if flaws:
        again = f"python -m bench report --suite {shlex.quote(suite)} --results {shlex.quote(str(results))}"
        raise BenchError(f"the report could not be written ({flaws[0]}): all results are kept, and {again} tries again")
    raise typer.Exit(1 if any(result.status == "failed" for result in outcome) else 0)


@app.command()
def report(
    suite: SuiteOption = "full",
    results: ResultsOption = Path("results"),
    reports: ReportsOption = Path("reports"),
) -> None:
    """Rebuild the report of a suite from its results, without training anything."""
    name = load_suite(suite).name if suite.endswith((".yaml", ".yml")) else suite
    if not Plan.path(results, name).exists():
        suite_path(suite)  # a misspelt name is the likelier mistake
    plan = Plan.read(results, name)
    from joblib import cpu_count

    from bench.reporting.report import write_report  # brings in the plotting libraries

    console = Console()
    found = stored_results(plan.runs, results, console, for_report=True)
    try:
        write_report(plan.suite, plan.runs, found, results, reports, plan.command, processes=cpu_count())
    except BenchError:
        raise
    except Exception as error:
        raise BenchError(f"the report could not be written ({type(error).__name__}: {error})") from error
    _summarise(found, reports / name / "report.md", console)
    raise typer.Exit(1 if any(result.status == "failed" for result in found) else 0)


@app.command("list")
def list_(
    what: Annotated[str, typer.Argument(help="models, datasets or suites.")],
    fidelity: Annotated[bool, typer.Option("--fidelity", help="With models: print their fidelity cards.")] = False,
) -> None:
    """List what can be run."""
    listings: dict[str, Callable[[Console], None]] = {
        "models": lambda console: list_models(console, fidelity),
        "datasets": list_datasets,
        "suites": list_suites,
    }
    if what not in listings:
        raise unknown_name("listing", what, listings)
    listings[what](table_console())


def _parsed_seeds(text: str) -> Any:
    """`3` as a count, `0,2` as a list; anything else as it is, to be complained about."""
    parts = [part.strip() for part in text.split(",")]
    numbers = [part for part in parts if part]
    if not all(part.isdecimal() and len(part) <= _MOST_DIGITS for part in numbers) or not numbers:
        return text
    return int(numbers[0]) if len(parts) == 1 else list(map(int, numbers))


def _summarise(results: Sequence[RunResult], report_path: Path | None, console: Console) -> None:
    counts = Counter(result.status for result in results)
    say(console, ", ".join(f"{counts[status]} {status}" for status in ("complete", "failed", "skipped")))
    for result in results:
        if result.status != "complete":
            name = f"{result.spec.label} on {result.spec.dataset.label}, seed {result.spec.seed}"
            say(console, f"  {result.status}: {name}: {one_line(result.reason)}")
    for path in (report_path, report_path.with_suffix(".html")) if report_path else ():
        if path.exists():
            say(console, f"report: {path}")


def _complain(message: str, code: int) -> int:
    print(f"error: {one_line(message)}", file=sys.stderr)
    return code
