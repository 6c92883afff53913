"""How configurations were found: the report's section on tuning budgets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bench.analysis import searches
from bench.analysis.frames import DatasetFrames
from bench.number_text import NONE
from bench.reporting.kinds import decimals
from bench.reporting.table import Column, Table

NO_SEARCH = (
    "No search is kept beside these results (`python -m bench tune` makes one): every row has the repository's "
    "defaults with what the suite changes in them."
)

_OUTCOMES = {
    searches.BEST_TRIAL: "best of the search (trial {trial:.0f})",
    searches.NOTHING_BETTER: "as it was; nothing better was found",
    searches.A_BETTER_ONE: "as it was; a better one was found",
    searches.NO_SEARCH: "as it was, no search",
}


def budget_table(datasets: Iterable[DatasetFrames]) -> Table | None:
    """How the configuration of each row was found. None where no search is kept beside the results of any row."""
    columns = (
        *("Data set", "Model", "Configuration", "Trials", "Limit of a trial"),
        Column("Validation as it was", decimals()),
        Column("Best trial", decimals()),
    )
    lines = [(frames.dataset, row) for frames in datasets for row in frames.tuning.to_dict("records")]
    if all(row["outcome"] == searches.NO_SEARCH for _, row in lines):
        return None
    return Table.of("tuning", columns, [_budget(dataset, row) for dataset, row in lines])


def _budget(dataset: str, row: Mapping[Any, Any]) -> tuple[object, ...]:
    outcome = _OUTCOMES[row["outcome"]].format(**row)
    if row["outcome"] == searches.NO_SEARCH:
        return dataset, row["row"], outcome, NONE, NONE, None, None
    others = "".join(f", {row[state]:.0f} {state}" for state in ("pruned", "failed") if row[state])
    limit = f"{row['seconds_per_trial']:g} s" if row["seconds_per_trial"] > 0 else NONE
    return (
        *(dataset, row["row"], outcome, f"{row['trials']:.0f} ({row['complete']:.0f} complete{others})", limit),
        *(row["validation_as_it_was"], row["best_validation"]),
    )
