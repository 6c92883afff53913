"""What `bench confirm` does: opens the ranks of the users who are set aside, and reports them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.cli.references import keep_report
from bench.cli.running import rebuild_report
from bench.cli.stored import check_has_runs, name_of
from bench.console import Console, say
from bench.errors import BenchError
from bench.execution.confirmation import Opening, open_seals
from bench.execution.store import ResultStore, UnreadableResultError
from bench.plan import Plan
from bench.spec import RunResult, RunSpec


def confirm_suite(suite: str, results: Path, reports: Path, force: bool = False) -> int:
    """Opens what no look has opened yet, on every data set of a suite that sets users aside, and rebuilds the report.

    Args:
        suite: Its name, or its file.
        results: Where results are.
        reports: Where reports go.
        force: Write over a committed report in any case.

    Returns:
        As `rebuild_report`.

    Raises:
        BenchError: The suite sets nobody aside, a committed report would be replaced by another, or a run is still to
            be made: seals are opened for all rows at once, after the last choice.
    """
    name = name_of(suite)
    check_has_runs(results, suite)
    plan, console = Plan.read(results, name), Console()
    if not force:
        keep_report(plan, results, reports)  # before anything is opened
    grids: dict[str, list[RunSpec]] = {}
    for spec in plan.runs:
        if spec.dataset.confirm is not None:
            grids.setdefault(spec.dataset.label, []).append(spec)
    if not grids:
        raise BenchError(f"suite '{name}' sets nobody aside: give a data set `confirm: 0.2` and run it again")
    stored = {label: _ended(label, specs, results, name) for label, specs in grids.items()}
    for label, ended in stored.items():
        complete = [result for result in ended if result.status == "complete"]
        if not complete:
            say(console, f"{label}: passed over, for no run on it is complete ({ended[0].reason})")
            continue
        others = dict.fromkeys(result.spec.label for result in ended if result.status != "complete")
        if others:
            say(console, f"{label}: without runs of {', '.join(others)}, which failed or were skipped")
        say(console, f"{label}: {_in_words(open_seals(complete, results, name))}")
    return rebuild_report(suite, results, reports, force)


def _ended(label: str, specs: Sequence[RunSpec], results: Path, suite: str) -> list[RunResult]:
    """The results of all runs on a data set.

    Raises:
        BenchError: A run is still to be made, or its result can't be read.
    """
    store = ResultStore(results)
    try:
        ended = [result for spec in specs if (result := store.load(spec))]
    except UnreadableResultError as error:
        raise BenchError(f"{error}: make the run again, with `bench run`") from None
    if len(ended) < len(specs):
        raise BenchError(
            f"{len(specs) - len(ended)} of {len(specs)} runs on {label} are not complete: python -m bench run --suite "
            f"{suite} makes them; the users who are set aside are looked at once, after the last choice"
        )
    return ended


def _in_words(opening: Opening) -> str:
    last = opening.looks[-1]
    if not opening.is_new:
        return f"nothing new: all rows were opened before (look {last.number}, {last.opened})"
    times = "the first look" if last.number == 1 else f"look {last.number}, so what was chosen since look 1 counts less"
    return f"{times}: {last.queries:,} users, {len(last.runs)} runs of {len(last.rows)} rows; commit its record"
