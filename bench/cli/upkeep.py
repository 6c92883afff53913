"""The commands `python -m bench doctor` and `python -m bench cache ...`: what they take."""

from __future__ import annotations

import typer

from bench.cli.options import FOLDER_OF_RESULTS, ResultsOption, SuiteOption
from bench.console import Console, say

cache = typer.Typer(no_args_is_help=True, help="Look after what runs keep beside their results.")


def register(app: typer.Typer) -> None:
    """Adds the commands of this module to the command line."""
    app.command()(doctor)
    app.add_typer(cache, name="cache")


@cache.command()
def clean(results: ResultsOption = FOLDER_OF_RESULTS) -> None:
    """Remove cached artifacts, checkpoints and what killed processes have left; results stay."""
    from bench.cli.diagnosis import size_of  # brings in what makes runs
    from bench.execution import upkeep

    say(Console(), f"{size_of(upkeep.clean(results))} removed from '{results}'; all results are kept")


@cache.command()
def show(results: ResultsOption = FOLDER_OF_RESULTS) -> None:
    """Print what is cached, and how large it is."""
    from bench.cli.diagnosis import cached

    for line in cached(results):
        say(Console(), line)


def doctor(suite: SuiteOption = "full", results: ResultsOption = FOLDER_OF_RESULTS) -> None:
    """Print what a run would find: versions, devices, memory, disk, data, caches, and what is still to do."""
    from bench.cli.diagnosis import findings
    from bench.cli.own_suites import given_suite

    console, given = Console(), given_suite(suite, results)
    for title, lines in findings(given.suite, results, console, given.settings):
        say(console, title)
        for line in lines:
            say(console, f"  {line}")
