"""Results that are on disk, as the commands that read them name them."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cli.options import FOLDER_OF_RESULTS
from bench.console import Console
from bench.errors import BenchError, unknown_name
from bench.names import OWN

if TYPE_CHECKING:
    from bench.analysis.runs import SuiteRuns


def name_of(suite: str) -> str:
    """The name of a suite that is given by name or by file."""
    from bench.suite_files import load_suite

    return load_suite(suite).name if suite.endswith((".yaml", ".yml")) else suite


def runs_in(folder: Path, suite: str, console: Console) -> SuiteRuns:
    """The planned runs of a suite in a results folder, with their results.

    Raises:
        BenchError: The folder has no results of the suite, or tables alone.
    """
    from bench.analysis.runs import SuiteRuns  # bring in what reads results
    from bench.execution.store import stored_results
    from bench.plan import Plan

    name = name_of(suite)
    if not folder.is_dir():
        raise BenchError(f"no results folder '{folder}': give the folder that `bench run --results` wrote to")
    check_has_runs(folder, suite)
    others = Plan.suites(folder)
    if others and name not in others:
        raise BenchError(f"no results of suite '{name}' in '{folder}': choose --suite {' or '.join(others)}")
    plan = Plan.read(folder, name)
    stored = stored_results(plan.runs, folder, console, archive_of=name)
    if not stored:
        check_has_runs(folder, suite, planned=True)
    return SuiteRuns.of(plan.suite, plan.runs, stored)


def check_has_runs(folder: Path, suite: str, planned: bool = False) -> None:
    """Raises BenchError where a results folder has tables of a suite and nothing that they were made of.

    Args:
        folder: Of the results.
        suite: As the user gave it, by name or by file.
        planned: Whether it is known that none of the runs that are planned is there; else a plan is taken for runs.
    """
    from bench.analysis.csv_folders import holds_files
    from bench.plan import Plan

    name = name_of(suite)
    try:
        if (Plan.exists(folder, name) and not planned) or not holds_files(folder, name):
            return
    except (OSError, BenchError):  # a name that no file can have
        return
    where = "" if folder == FOLDER_OF_RESULTS else f" --results {shlex.quote(str(folder))}"
    what = f"--suite {shlex.quote(suite)}" if not name.startswith(OWN) else f"--dataset FILE --name {name[len(OWN) :]}"
    raise BenchError(
        f"'{folder / name}' has tables alone (CSV files of means), without runs or an archive of their ranks: look at "
        f"the tables, or make the runs with python -m bench run {what}{where}"
    )


def narrowed(both: Sequence[SuiteRuns], dataset: str) -> list[SuiteRuns]:
    """The runs on one data set, with all protocols where it is called by its name."""
    sets = {run.spec.dataset.label: run.spec.dataset.name for one in both for run in one.runs}
    labels = {label for label, name in sets.items() if dataset in (label, name)}
    if not labels:
        raise unknown_name("data set", dataset, sets)
    return [replace(one, runs=tuple(run for run in one.runs if run.spec.dataset.label in labels)) for one in both]
