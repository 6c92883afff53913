"""How configurations were found: the report's section on tuning budgets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.analysis.grid import Grid
from bench.number_text import NONE
from bench.reporting.kinds import decimals
from bench.reporting.table import Column, Table
from bench.spec import RunSpec
from bench.tuning.study import Study

NO_SEARCH = (
    "No search is kept beside these results (`python -m bench tune` makes one): every row has the repository's "
    "defaults with what the suite changes in them."
)


def budget_table(grid: Grid, results_dir: Path) -> Table | None:
    """How the configuration of each row was found, as far as the searches kept beside the results tell.

    None where no search is kept beside the results of any row.
    """
    columns = (
        *("Data set", "Model", "Configuration", "Trials", "Limit of a trial"),
        Column("Validation as it was", decimals()),
        Column("Best trial", decimals()),
    )
    rows = []
    for run in {(r.spec.dataset.label, r.spec.label): r.spec for r in grid.runs}.values():
        rows.append((run.dataset.label, run.label, *_budget_of(run, Study.all_of(results_dir, run))))
    return Table.of("tuning", columns, rows) if any(row[3] != NONE for row in rows) else None


def _budget_of(run: RunSpec, stored: Sequence[Study]) -> tuple[object, ...]:
    """How a run's configuration was found; searches in other data or with other code don't count."""
    now = (run.revision, run.data_hash)
    studies = [study for study in stored if study.trials and (study.base.revision, study.base.data_hash) == now]
    for study in studies:
        if study.changes and study.best and study.best_config == run.config:
            return f"best of the search (trial {study.best.number})", *_budget(study)
    for study in studies:
        if study.base.config == run.config:
            return f"as it was; {'a better one' if study.changes else 'nothing better'} was found", *_budget(study)
    return "as it was, no search", NONE, NONE, None, None


def _budget(study: Study) -> tuple[object, ...]:
    counts = study.counts
    others = "".join(f", {counts[state]} {state}" for state in ("pruned", "failed") if counts[state])
    limit = NONE if study.seconds_per_trial is None else f"{study.seconds_per_trial:g} s"
    return (
        f"{len(study.trials)} ({counts['complete']} complete{others})",
        limit,
        study.default.validation if study.default else None,
        study.best.validation if study.best else None,
    )
