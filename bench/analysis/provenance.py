"""Where the numbers come from: what is known of the data, and of every run, its machine, versions and code."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from bench.analysis import diagnostics
from bench.analysis.report_columns import CARD, RUNS
from bench.analysis.runs import Run, SuiteRuns
from bench.spec import RunResult

_ELSEWHERE = {"dataset", "excluded", "cold_targets", "started", "commit", "device", "device_name", "threads"}
"""Keys of a result's environment that have a column of their own, or change from run to run; peaks of memory too."""


def runs_frame(runs: SuiteRuns) -> pd.DataFrame:
    """One line a planned run, with the columns `bench.analysis.report_columns.RUNS`."""
    known = runs.identities()
    return RUNS.frame((*known[run.spec.label], *_of_run(run)) for run in runs.runs)


def card_frame(runs: SuiteRuns) -> pd.DataFrame:
    """What results tell of their data set, with the columns `bench.analysis.report_columns.CARD`."""
    return CARD.frame(_facts(runs))


def versions(result: RunResult) -> str:
    """Whatever the environment of a result tells beside what stands elsewhere: "python 3.11.9, torch 2.6.0"."""
    return ", ".join(
        f"{key} {value}"
        for key, value in result.environment.items()
        if key not in _ELSEWHERE and not key.startswith("peak_")
    )


def _of_run(run: Run) -> tuple[object, ...]:
    spec, result = run.spec, run.result
    made: dict[str, Any] = result.environment if result else {}
    complete = result if result and result.status == "complete" else None
    machine = (str(made.get(name) or "") for name in ("commit", "device", "device_name", "threads"))
    return (
        *(spec.seed, run.status, run.reason, spec.key, spec.revision, spec.data_hash),
        *machine,
        versions(result) if result else "",
        str(made.get("started") or ""),
        *((complete.best_epoch, complete.validation) if complete else (None, None)),
        made.get("peak_memory_mib") if complete else None,
        "; ".join(diagnostics.malformed(complete)) if complete else "",
    )


def _facts(runs: SuiteRuns) -> Iterator[tuple[str, str, str, float | None]]:
    spec, results = runs.runs[0].spec, runs.results
    card: dict[str, Any] = next((r.environment["dataset"] for r in results if "dataset" in r.environment), {})
    for name in ("users", "items", "events"):
        if name in card:
            yield "size", name, "", card[name]
    if results and results[0].queries is not None:
        yield "size", "test queries", "", len(results[0].queries)
    yield "rule", "protocol", spec.dataset.protocol, None
    yield "rule", "seen items", str(card.get("seen_items") or spec.dataset.seen_items or ""), None
    if spec.dataset.confirm is not None:
        yield "set aside", "set aside", "", spec.dataset.confirm
    for sentence in card.get("filters", ()):
        yield "filter", "filter", str(sentence), None
    for name in ("licence", "source"):
        if card.get(name):
            yield "origin", name, str(card[name]), None
    for data_hash in dict.fromkeys(run.spec.data_hash for run in runs.runs):
        yield "hash", "data hash", data_hash, None
    for section, key in (("excluded", "excluded"), ("cold targets", "cold_targets")):
        counts: dict[str, int] = next((r.environment[key] for r in results if key in r.environment), {})
        for name, count in counts.items():
            yield section, str(name), "", count
