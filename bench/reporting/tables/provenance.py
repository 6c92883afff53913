"""What was run, on what, with what, and what didn't run: the facts that a reader needs to trust or repeat a number."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bench.analysis import diagnostics
from bench.analysis.grid import Grid, Run
from bench.conventions import PRIMARY_NAME
from bench.evaluation.evaluator import K_MAX
from bench.number_text import NONE
from bench.reporting.markdown import code, fenced, foreign, table
from bench.spec import RunResult

_ELSEWHERE = {"dataset", "excluded", "cold_targets", "started", "commit", "device", "device_name", "threads"}
"""Keys of a result's environment that have a line of their own, or change from run to run; peaks of memory too."""


def progress(grid: Grid) -> str:
    """One sentence, e.g. "5 of 27 runs complete, 1 failed, 21 pending."."""
    counts = {status: sum(run.status == status for run in grid.runs) for status in ("failed", "skipped", "pending")}
    rest = "".join(f", {count} {status}" for status, count in counts.items() if count)
    return f"{len(grid.results)} of {len(grid.runs)} runs complete{rest}."


def how_to_repeat(grid: Grid, command: str) -> str:
    """The command, the rules of judging, and the machines and versions behind the complete runs."""
    results = grid.results
    rows = [
        ["Seeds", _listed(run.spec.seed for run in grid.runs)],
        ["Judged by", f"full ranking of the whole catalogue, all test queries, lists of {K_MAX}"],
        ["Early stopping", f"validation {PRIMARY_NAME}, the same for every model; never the test queries"],
        ["Hardware", _listed(_hardware(result) for result in results)],
        ["Versions", _listed(_versions(result) for result in results)],
        ["Commit", _listed(_commit(result) for result in results)],
        [
            "First run started",
            min((foreign(r.environment["started"]) for r in results if r.environment.get("started")), default=NONE),
        ],
    ]
    warnings = "".join(f"\n\n> **Warning:** {text}" for text in mixtures(grid))
    return f"{fenced(command)}\n\n{table(['', ''], rows, left=2)}{warnings}"


def dataset_card(grid: Grid) -> str:
    """One data set: its size and rules, and who was left out."""
    spec = grid.runs[0].spec
    card: dict[str, Any] = next((r.environment["dataset"] for r in grid.results if "dataset" in r.environment), {})
    seen = card.get("seen_items") or spec.dataset.seen_items or "the data set's own rule"
    rules = {"exclude": "excluded from the candidates", "keep": "stay candidates"}
    rows = [
        *([name.capitalize(), f"{card[name]:,}"] for name in ("users", "items", "events") if name in card),
        ["Protocol", spec.dataset.protocol],
        ["Items already seen", rules.get(seen, foreign(seen))],
        *(["Filter", foreign(sentence)] for sentence in card.get("filters", ())),
        *([name.capitalize(), foreign(card[name])] for name in ("licence", "source") if card.get(name)),
        ["Data hash", _listed(code(run.spec.data_hash) for run in grid.runs)],
    ]
    if grid.results and grid.results[0].queries is not None:
        rows.insert(len(rows) - 1, ["Test queries", f"{len(grid.results[0].queries):,}"])
    return table([spec.dataset.label, ""], rows, left=2)


def excluded_users(grid: Grid) -> str:
    """Who has no query, and why; and how many queries ask for an item without any training event."""
    known = [result.environment["excluded"] for result in grid.results if "excluded" in result.environment]
    if not known:
        return "Not known before the first run is complete."
    reasons = {reason: count for reason, count in known[0].items() if count}
    if not reasons:
        text = "Nobody: every user has a test query."
    else:
        text = table(["Reason", "Users"], [[foreign(reason), f"{count:,}"] for reason, count in reasons.items()])
    cold: dict[str, int] = next(
        (r.environment["cold_targets"] for r in grid.results if "cold_targets" in r.environment), {}
    )
    if cold:
        counts = " and ".join(f"{count:,} {part}" for part, count in cold.items())
        text += f"\n\nAsked all the same: {counts} queries whose target has no training event."
    return text


def unfinished(grid: Grid) -> str:
    """Every run that isn't complete, with its reason; runs of a row that share a reason share a line."""
    seeds: dict[tuple[str, str, str, str], list[int]] = {}
    for status in ("failed", "skipped", "pending"):
        for run in grid.runs:
            if run.status == status:
                line = (run.spec.dataset.label, run.spec.label, status, _reason(run))
                seeds.setdefault(line, []).append(run.spec.seed)
    rows = [[*line[:2], ", ".join(map(str, numbers)), *line[2:]] for line, numbers in seeds.items()]
    return table(["Data set", "Model", "Seeds", "Status", "Reason"], rows, left=5) if rows else "None."


def unreadable_diagnostics(grid: Grid) -> str | None:
    """What complete runs noted in a form that the report doesn't know, one line each; None where all is well."""
    lines = [
        f"- {result.spec.label} on {result.spec.dataset.label}, seed {result.spec.seed}: {foreign(flaw)}"
        for result in grid.results
        for flaw in diagnostics.malformed(result)
    ]
    told = (
        "These diagnostics of complete runs could not be read and are left out above; no other figure depends on them:"
    )
    return "\n".join([told, "", *lines]) if lines else None


def mixtures(grid: Grid) -> list[str]:
    """What makes results of one report less comparable than they look."""
    facts = {
        "code of different commits": [_commit(result) for result in grid.results],
        "different hardware, so that times don't compare": [_hardware(result) for result in grid.results],
        "different versions": [_versions(result) for result in grid.results],
    }
    warnings = [
        f"these results come from {text}: {_listed(found)}." for text, found in facts.items() if len(set(found)) > 1
    ]
    if any(_commit(result).endswith("-dirty") for result in grid.results):
        warnings.append("some results come from code with uncommitted changes (commits that end in -dirty).")
    for dataset in grid.datasets:
        hashes = [result.spec.data_hash for result in grid.on(dataset).results]
        if len(set(hashes)) > 1:
            warnings.append(f"results on {dataset} come from different data: {_listed(hashes)}.")
    return warnings


def _reason(run: Run) -> str:
    return foreign(run.reason) or ("no result yet" if run.status == "pending" else "no reason given")


def _commit(result: RunResult) -> str:
    return foreign(result.environment.get("commit") or "unknown")


def _hardware(result: RunResult) -> str:
    found = result.environment
    name = found.get("device_name") or found.get("device") or "unknown"
    threads = f", threads per run: {found['threads']}" if "threads" in found and found.get("device") == "cpu" else ""
    return foreign(f"{name}{threads}")


def _versions(result: RunResult) -> str:
    """Whatever the environment records beside the keys that are told elsewhere."""
    found = result.environment.items()
    return ", ".join(
        foreign(f"{key} {value}") for key, value in found if key not in _ELSEWHERE and not key.startswith("peak_")
    )


def _listed(values: Iterable[object]) -> str:
    """Distinct values in order of appearance."""
    return "; ".join(dict.fromkeys(str(value) for value in values)) or NONE
