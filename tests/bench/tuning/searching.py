"""Rows to search, and trials without worker processes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from bench.execution.scheduler import Job, Workers
from bench.plan import expand
from bench.spec import DatasetSpec, Entry, RunResult, RunSpec, Suite


def in_this_process(
    specs: Sequence[RunSpec],
    folder: Path,
    workers: Workers,
    on_result: Callable[[RunResult], None],
    on_tick: Callable[[Sequence[RunSpec]], None],
    job_of: Callable[[RunSpec], Job],
    goes_on: Callable[[], bool],
) -> None:
    """Stands in for `bench.execution.scheduler.run_all`, one run after the other."""
    for spec in specs:
        if not goes_on():
            break
        on_result(job_of(spec)(spec, folder, "cpu", 1))


def base_of(model: str, label: str = "", **config: object) -> RunSpec:
    """The run of a row, complete with all defaults."""
    suite = Suite(
        name="s",
        description="",
        datasets=(DatasetSpec(name="ml-100k"),),
        models=(Entry(model=model, label=label, config=config),),
        seeds=(0,),
    )
    return expand(suite)[0]
