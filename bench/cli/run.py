"""The commands `python -m bench run`, `report`, `confirm` and `tune`: what they take."""

from __future__ import annotations

from typing import Any

import typer

from bench.cli.dataset_options import takes_dataset_options
from bench.cli.options import (
    FOLDER_OF_REPORTS,
    FOLDER_OF_RESULTS,
    ForceOption,
    ReportsOption,
    ResultsOption,
    SuiteOption,
    takes_options,
)
from bench.cli.run_options import RunOptions, TuneOptions
from bench.cli.verbosity import with_verbosity


def register(app: typer.Typer) -> None:
    """Adds the commands of this module to the command line."""
    for command in (tune, run, report, confirm):
        app.command()(with_verbosity(command))


@takes_dataset_options
@takes_options
def tune(options: TuneOptions, reading: dict[str, Any]) -> None:
    """Search better configurations: equally many trials for each model, judged by validation NDCG@10 only.

    Trial 0 is the row as it is. The same command goes on where it was interrupted.
    """
    from bench.cli.searching import search  # brings in what makes runs

    raise typer.Exit(search(options, reading))


@takes_dataset_options
@takes_options
def run(options: RunOptions, reading: dict[str, Any]) -> None:
    """Train and judge every model of a suite, then report. Complete results are re-used."""
    from bench.cli.running import run_suite  # brings in what makes runs and reports

    raise typer.Exit(run_suite(options, reading))


def report(
    suite: SuiteOption = "full",
    results: ResultsOption = FOLDER_OF_RESULTS,
    reports: ReportsOption = FOLDER_OF_REPORTS,
    force: ForceOption = False,
) -> None:
    """Rebuild the report of a suite from its results, without training anything."""
    from bench.cli.running import rebuild_report

    raise typer.Exit(rebuild_report(suite, results, reports, force))


def confirm(
    suite: SuiteOption = "long",
    results: ResultsOption = FOLDER_OF_RESULTS,
    reports: ReportsOption = FOLDER_OF_REPORTS,
    force: ForceOption = False,
) -> None:
    """Look at the users who are set aside (`confirm: 0.2`), once all choices are made; the look is recorded."""
    from bench.cli.confirming import confirm_suite  # brings in what reads results

    raise typer.Exit(confirm_suite(suite, results, reports, force))
