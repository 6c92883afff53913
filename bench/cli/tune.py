"""The command `python -m bench tune`."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from bench.cli.dataset_options import DATASET_HELP, chosen_dataset, takes_dataset_options
from bench.cli.run_options import Device, listed, usable
from bench.console import Console, say, table_console
from bench.conventions import PRIMARY_NAME
from bench.errors import BenchError
from bench.plan import expand, select
from bench.spec import RunSpec, Suite
from bench.suite_files import load_suite, suite_path
from bench.tuning.study import Study


def register(app: typer.Typer) -> None:
    """Adds the command of this module to the command line."""
    app.command()(tune)


@takes_dataset_options
def tune(
    reading: dict[str, Any],
    models: Annotated[str, typer.Option(help="Rows of the suite or registered models, comma-separated.")],
    dataset: Annotated[str, typer.Option(help=f"One of the suite's data sets, by label or name, or: {DATASET_HELP}")],
    trials: Annotated[int, typer.Option(min=1, help="Of each model, earlier ones included.")] = 20,
    seconds_per_trial: Annotated[
        float | None, typer.Option(min=0, help="End each trial after this time, with its best validation so far.")
    ] = None,
    suite: Annotated[str, typer.Option(help="Where the rows to start from stand: a name, or a .yaml file.")] = "full",
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Trials at a time. On a CPU, 1 gives the same ones every time.")
    ] = None,
    device: Annotated[Device, typer.Option(help="auto takes a GPU when there is one.")] = Device.auto,
    results: Annotated[Path, typer.Option(help="Folder of the results.")] = Path("results"),
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Start elsewhere: model.key=value, or key=value for all."),
    ] = None,
) -> None:
    """Search better configurations: equally many trials for each model, judged by validation NDCG@10 only.

    Trial 0 is the row as it is. The same command goes on where it was interrupted.
    """
    narrowed = _narrowed(load_suite(suite), listed(models, "--models"), dataset, reading)
    bases = expand(narrowed, set_ or (), where=str(suite_path(suite)))
    _check_rows(narrowed, bases, dataset)
    from bench.tuning.tuner import tune as search  # needs the optional package

    console = Console()
    studies = search(bases, trials, results, console, usable(device), jobs, seconds_per_trial)
    from bench.analysis.trials import trials_table
    from bench.reporting.trials import write_trials  # brings in the plotting libraries

    _summarise(studies, console)
    for path in write_trials(trials_table(studies), results):
        say(console, f"written: {path}")
    raise typer.Exit(0 if all(study.best for study in studies) else 1)


def _narrowed(suite: Suite, models: Sequence[str] | None, dataset: str, reading: dict[str, Any]) -> Suite:
    """The rows of a suite that are to be tuned, on one data set, with the seed of every trial."""
    of_suite = not reading and any(dataset in (spec.label, spec.name) for spec in suite.datasets)
    if of_suite:
        return select(suite, models, [dataset], seeds=[0])
    return select(suite, models, seeds=[0], own=[chosen_dataset(dataset, reading)])


def _check_rows(suite: Suite, bases: Sequence[RunSpec], dataset: str) -> None:
    """Raises BenchError where a chosen row is not for the data set."""
    lacking = {entry.row for entry in suite.models} - {base.label for base in bases}
    if lacking:
        raise BenchError(
            f"suite '{suite.name}' does not run {', '.join(sorted(lacking))} on {dataset}: choose others with --models"
        )


def _summarise(studies: Sequence[Study], console: Console) -> None:
    """One table of all rows, and the best configurations in the form that other commands take."""
    table = Table("model", "data set", "complete", "pruned", "failed", f"best validation {PRIMARY_NAME}", "as it was")
    for study in studies:
        counts, best, default = study.counts, study.best, study.default
        table.add_row(
            study.base.label,
            study.base.dataset.label,
            *(str(counts[state]) for state in ("complete", "pruned", "failed")),
            f"{best.validation:.4f} (trial {best.number})" if best else "-",
            f"{default.validation:.4f}" if default and default.validation is not None else "-",
        )
    table_console().print(table, markup=False)
    for study in studies:
        row = f"{study.base.label} on {study.base.dataset.label}"
        if study.best is None:
            reasons = dict.fromkeys(trial.reason for trial in study.trials)
            say(console, f"{row}: no trial is complete: {'; '.join(reasons)}")
        elif not study.changes:
            say(console, f"{row}: nothing better than the row as it is")
        else:
            say(console, f"{row}: {' '.join(f'--set {shlex.quote(setting)}' for setting in study.as_settings())}")
    if any(study.changes for study in studies):
        say(console, "`bench run --tuned` takes them all")
