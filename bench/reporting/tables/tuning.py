"""How configurations were found: the report's section on tuning budgets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.analysis.grid import Grid
from bench.number_text import NONE, number
from bench.reporting.markdown import table
from bench.spec import RunSpec
from bench.tuning.study import Study


def budget_section(grid: Grid, results_dir: Path) -> str:
    """How the configuration of each row was found, as far as the searches kept beside the results tell."""
    rows = []
    for run in {(r.spec.dataset.label, r.spec.label): r.spec for r in grid.runs}.values():
        rows.append([run.dataset.label, run.label, *_found(run, Study.all_of(results_dir, run))])
    if not any(row[3] != NONE for row in rows):
        return (
            "No search is kept beside these results (`python -m bench tune` makes one): every row has the repository's "
            "defaults with what the suite changes in them."
        )
    headers = ["Data set", "Model", "Configuration", "Trials", "Limit of a trial", "Validation as it was", "Best trial"]
    return table(headers, rows, left=5)


def _found(run: RunSpec, kept: Sequence[Study]) -> list[str]:
    """The cells on how a run's configuration was found; searches in other data or with other code don't count."""
    now = (run.revision, run.data_hash)
    studies = [study for study in kept if study.trials and (study.base.revision, study.base.data_hash) == now]
    for study in studies:
        if study.changes and study.best and study.best_config == run.config:
            return [f"best of the search (trial {study.best.number})", *_budget(study)]
    for study in studies:
        if study.base.config == run.config:
            return [f"as it was; {'a better one' if study.changes else 'nothing better'} was found", *_budget(study)]
    return ["as it was, no search", NONE, NONE, NONE, NONE]


def _budget(study: Study) -> list[str]:
    counts = study.counts
    others = "".join(f", {counts[state]} {state}" for state in ("pruned", "failed") if counts[state])
    limit = NONE if study.seconds_per_trial is None else f"{study.seconds_per_trial:g} s"
    default, best = study.default, study.best
    return [
        f"{len(study.trials)} ({counts['complete']} complete{others})",
        limit,
        number(default.validation if default else None),
        number(best.validation if best else None),
    ]
