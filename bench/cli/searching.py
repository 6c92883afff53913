"""What `bench tune` does: from what the user wrote to a search for each row, and a summary of what was found."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from bench.cli.dataset_options import chosen_dataset
from bench.cli.own_suites import given_suite
from bench.cli.run_options import TuneOptions, listed, usable
from bench.console import Console, say, table_console
from bench.conventions import PRIMARY_NAME
from bench.errors import BenchError
from bench.plan import expand, select
from bench.spec import RunSpec, Suite
from bench.tuning.rows import write_rows
from bench.tuning.study import Study
from bench.tuning.tuner import Budget, Means, tune

ALL = "all"
"""In place of names: every row of the suite that has something to choose."""


def search(options: TuneOptions, reading: Mapping[str, Any]) -> int:
    """Gives every chosen row its trials, and says what came of them.

    Args:
        options: What is tuned, and how.
        reading: How a data set of the user's own is read and judged, by key of `DatasetSpec`.

    Returns:
        1 where a row has no complete trial, else 0.

    Raises:
        BenchError: Something that the user wrote doesn't fit.
    """
    everything = options.models.strip() == ALL
    models = None if everything else listed(options.models, "--models")
    given = given_suite(options.suite, options.results)
    suite = _narrowed(given.suite, models, options.dataset, reading)
    bases = expand(suite, (*given.settings, *(options.settings or ())), where=given.where)
    if not everything:  # else the rows of other data sets are passed over
        _check_rows(suite, bases, options.dataset)
    console = Console()
    bases, taken = _passed_over(suite, bases, console)
    means = Means(options.results, console, usable(options.device), options.jobs)
    budget = Budget(options.trials, options.seconds_per_trial, options.confirm_top, options.seeds, options.stop_after)
    studies = tune(bases, budget, means, {entry.row: entry.fixed for entry in suite.models})
    from bench.analysis.trials import trials_table
    from bench.reporting.trials import write_trials  # brings in the plotting libraries

    _summarise(studies, console)
    written = write_trials(trials_table(studies), options.results)
    for path in (*written, *write_rows(suite, studies, options.results, taken)):
        say(console, f"written: {path}")
    return 0 if all(study.best for study in studies) else 1


def _narrowed(suite: Suite, models: Sequence[str] | None, dataset: str, reading: Mapping[str, Any]) -> Suite:
    """The rows of a suite that are to be tuned, on one data set, with the seed of every trial."""
    of_suite = not reading and any(dataset in (spec.label, spec.name) for spec in suite.datasets)
    if of_suite:
        return select(suite, models, [dataset], seeds=[0])
    return select(suite, models, seeds=[0], own=[chosen_dataset(dataset, reading)])


def _passed_over(suite: Suite, bases: Sequence[RunSpec], console: Console) -> tuple[list[RunSpec], list[RunSpec]]:
    """The rows that are searched, and those that have the configuration of another one; says which these are.

    Raises:
        BenchError: None is left to be searched.
    """
    how = suite.searched_as
    searched, taken = [base for base in bases if base.label not in how], [base for base in bases if base.label in how]
    lines = [f"row '{base.label}' has its configuration from row '{how[base.label].row}'" for base in taken]
    if lines and not searched:
        others = ",".join(dict.fromkeys(how[base.label].row for base in taken))
        raise BenchError(f"{'; '.join(lines)}: search that with --models {others}")
    for line in lines:
        say(console, f"not searched: {line}")
    return searched, taken


def _check_rows(suite: Suite, bases: Sequence[RunSpec], dataset: str) -> None:
    """Raises BenchError where a chosen row is not for the data set."""
    lacking = {entry.row for entry in suite.models} - {base.label for base in bases}
    if lacking:
        raise BenchError(
            f"suite '{suite.name}' does not run {', '.join(sorted(lacking))} on {dataset}: choose others with --models"
        )


def _summarise(studies: Sequence[Study], console: Console) -> None:
    """One table of all rows, and the best configurations in the form that other commands take."""
    best_of = f"best validation {PRIMARY_NAME}"
    table = Table("row", "complete", "pruned", "failed", best_of, "with other seeds", "as it was")
    for study in studies:
        counts, best, default = study.counts, study.best, study.default
        means, cut_short = study.confirmed, study.n_cut_short
        table.add_row(
            study.base.label,
            f"{counts['complete']} ({cut_short} by the limit)" if cut_short else str(counts["complete"]),
            *(str(counts[state]) for state in ("pruned", "failed")),
            f"{best.validation:.4f} (trial {best.number})" if best else "-",
            f"{means[best.number]:.4f}, best of {len(means)}" if best and means else "-",
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
