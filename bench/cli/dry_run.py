"""What `bench run --dry-run` prints: the runs that would be made, their order, and what they are expected to cost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rich.table import Table

from bench.console import Console, literal, say, table_console
from bench.execution.costs import Basis, Estimate
from bench.execution.forecast import row_of
from bench.execution.outlook import Outlook, early_first, spoken_range
from bench.execution.scheduler import Backend
from bench.execution.store import stored_results
from bench.job import missing_runs, runs_to_do
from bench.plan import Plan

_BASIS: dict[Basis, str] = {
    "same": "this row here",
    "model": "this model here",
    "reference": "reference machine",
    "nothing": "a guess",
}


def show_runs(plan: Plan, results: Path, backend_for: Callable[[int], Backend], force: bool, console: Console) -> None:
    """Prints what `run_plan` would do, and writes nothing.

    Args:
        plan: What would be run.
        results: Folder of the results, of which complete ones are not made again.
        backend_for: Where so many runs are made.
        force: Whether complete runs would be made again.
        console: For warnings and totals.
    """
    known = stored_results(plan.runs, results, console, for_report=True)
    todo = missing_runs(plan, {result.spec.key: result for result in known}, force)
    say(console, runs_to_do(len(todo), len(plan.runs)))
    if not todo:
        return
    backend = backend_for(len({spec.key for spec in plan.runs}))
    outlook = Outlook.on(backend, todo, known)
    costs = {} if outlook is None else outlook.costs
    table = Table("row", "data set", "seeds", "each run", "memory", "known from")
    seeds: dict[tuple[str, str], list[str]] = {}
    for spec in early_first(todo, costs):
        seeds.setdefault(row_of(spec), []).append(str(spec.seed))
    for row, numbers in seeds.items():
        dataset, label = row
        cost = costs.get(row)
        cells = _cells(cost) if cost else ("-", "-", "its data are not here" if outlook else "another machine's speed")
        table.add_row(literal(label), literal(dataset), ", ".join(numbers), *cells)
    table_console().print(table, highlight=False)
    say(console, str(backend))
    for line in () if outlook is None else outlook.lines():
        say(console, line)


def _cells(cost: Estimate) -> tuple[str, str, str]:
    """Time, memory and what they are known from."""
    seconds = spoken_range(cost.seconds / cost.factor, cost.seconds * cost.factor)
    return seconds, f"{max(0.1, cost.memory_mib / 1024):.1f} GiB", _BASIS[cost.basis]
