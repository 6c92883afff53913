"""How configurations were found: the report's section on tuning budgets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bench.analysis import searches
from bench.analysis.frames import DatasetFrames
from bench.number_text import NONE
from bench.reporting.kinds import decimals
from bench.reporting.table import Column, Flagged, Table

NO_SEARCH = (
    "No search is kept beside these results (`python -m bench tune` makes one): no row was searched, and every one has "
    "the repository's defaults with what the suite changes in them."
)

CUT_SHORT = (
    'A trial that its limit of time ended counts as complete, with its best validation until then; "limit" marks a '
    "best trial that was. The runs of this report have no such limit: they train on as their configuration says."
)

_OUTCOMES = {
    searches.BEST_TRIAL: "best of the search (trial {trial:.0f})",
    searches.OTHER_EPOCHS: "best of the search (trial {trial:.0f}) but for its {best_epochs:.0f} epochs",
    searches.OTHER_VALUES: "not from its search",
    searches.NOTHING_BETTER: "as it was; nothing better was found",
    searches.A_BETTER_ONE: "as it was; a better one was found",
    searches.NO_SEARCH: "as it was, not searched",
}


def budget_table(datasets: Iterable[DatasetFrames]) -> Table | None:
    """How the configuration of each row was found. None where no search is kept beside the results of any row."""
    columns = (
        *("Data set", "Model", "Configuration", "Trials", "Limit of a trial"),
        Column("All trials, s", decimals(0)),
        *("Best validation so far (trial)", "With more seeds"),
        Column("Validation as it was", decimals()),
        Column("Best trial", decimals()),
    )
    lines = [(frames.dataset, row) for frames in datasets for row in frames.tuning.to_dict("records")]
    rows = {(dataset, row["row"]) for dataset, row in lines}
    if all(row["outcome"] == searches.NO_SEARCH for _, row in lines):
        return None
    budgets = [_budget(dataset, row, (dataset, row["as_row"]) in rows) for dataset, row in lines]
    cut_short = any(row["cut_short"] > 0 for _, row in lines)
    return Table.of("tuning", columns, budgets, caption=CUT_SHORT if cut_short else "")


def _budget(dataset: str, row: Mapping[Any, Any], has_other: bool) -> tuple[object, ...]:
    outcome = _OUTCOMES[row["outcome"]].format(**row)
    if row["as_row"]:
        outcome = f"as row {row['as_row']}: {outcome}" if has_other else f"as row {row['as_row']}, which is not here"
    if row["searched_on"]:
        outcome += f" on {row['searched_on']}, whose line tells of it"
    if row["outcome"] == searches.NO_SEARCH or row["searched_on"]:
        return dataset, row["row"], outcome, NONE, NONE, None, NONE, NONE, None, None
    others = f", {row['cut_short']:.0f} of these by the limit" if row["cut_short"] else ""
    others += "".join(f", {row[state]:.0f} {state}" for state in ("pruned", "failed") if row[state])
    limit = f"{row['seconds_per_trial']:g} s" if row["seconds_per_trial"] > 0 else NONE
    return (
        *(dataset, row["row"], outcome, f"{row['trials']:.0f} ({row['complete']:.0f} complete{others})", limit),
        *(row["seconds"], row["best_so_far"] or NONE, _confirmed(row)),
        row["validation_as_it_was"],
        Flagged(row["best_validation"], " limit" if row["best_cut_short"] > 0 else ""),
    )


def _confirmed(row: Mapping[Any, Any]) -> str:
    return f"{row['confirmed']:.4f}, mean of {row['seeds']:.0f}" if row["seeds"] > 0 else NONE
