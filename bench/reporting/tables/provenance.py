"""What was run, on what, with what, and what didn't run: the facts that a reader needs to trust or repeat a number."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from bench.analysis.frames import DatasetFrames
from bench.conventions import PRIMARY_NAME
from bench.number_text import NONE
from bench.reporting.blocks import Bullets, bullets
from bench.reporting.kinds import COUNT
from bench.reporting.table import Column, Table
from bench.reporting.words import Text, code, joined

_RULES = {
    "exclude": "excluded from the candidates",
    "keep": "stay candidates",
    "": "the data set's own rule",
}


def runs_of(datasets: Sequence[DatasetFrames]) -> pd.DataFrame:
    """The planned runs on all data sets, with the label of the data set in a column before all others."""
    frames = [of_dataset.runs.assign(dataset=of_dataset.dataset) for of_dataset in datasets]
    return pd.concat(frames, ignore_index=True)


def progress(runs: pd.DataFrame) -> str:
    """One sentence, e.g. "5 of 27 runs complete, 1 failed, 21 pending."."""
    counts = runs["status"].value_counts()
    rest = "".join(f", {counts[status]} {status}" for status in ("failed", "skipped", "pending") if status in counts)
    return f"{counts.get('complete', 0)} of {len(runs)} runs complete{rest}."


def setup_table(runs: pd.DataFrame, list_length: int) -> Table:
    """The rules of judging, and the machines and versions behind the complete runs."""
    complete = _complete(runs)
    started = complete.loc[complete["started"] != "", "started"]
    rows = [
        ("Seeds", _listed(runs["seed"])),
        ("Judged by", f"full ranking of the whole catalogue, all test queries, lists of {list_length}"),
        ("Early stopping", f"validation {PRIMARY_NAME}, the same for every model; never the test queries"),
        ("Hardware", _listed(_hardware(complete))),
        ("Versions", _listed(complete["versions"])),
        ("Commit", _listed(_commits(complete))),
        ("First run started", started.min() if len(started) else NONE),
    ]
    return Table.of_facts("setup", rows)


def dataset_card(frames: DatasetFrames) -> Table:
    """One data set: its size and rules, and who was left out."""
    card = frames.card

    def of(section: str) -> list[tuple[str, str, float]]:
        lines = card.loc[card["section"] == section, ["name", "text", "value"]]
        return list(lines.itertuples(index=False, name=None))

    rules = {name: text for name, text, _ in of("rule")}
    seen = rules["seen items"]
    sizes = [(name, f"{value:,.0f}") for name, _, value in of("size")]
    rows: list[tuple[str, Text]] = [
        *((name.capitalize(), size) for name, size in sizes if name != "test queries"),
        ("Protocol", rules["protocol"]),
        ("Items already seen", _RULES.get(seen, seen)),
        *(("Users set aside", f"{share:.0%}, see the confirmatory result") for _, _, share in of("set aside")),
        *(("Filter", text) for _, text, _ in of("filter")),
        *((name.capitalize(), text) for name, text, _ in of("origin")),
        *((name.capitalize(), size) for name, size in sizes if name == "test queries"),
        ("Data hash", joined("; ", (code(text) for _, text, _ in of("hash")))),
    ]
    return Table.of_facts("data-set", rows, heading=frames.dataset)


def excluded_users(frames: DatasetFrames) -> Table | str:
    """Who has no query, and why; a sentence where that is nobody, or not known."""
    if not frames.n_queries:
        return "Not known before the first run is complete."
    excluded = frames.card[(frames.card["section"] == "excluded") & (frames.card["value"] > 0)]
    columns = (Column("Reason"), Column("Users", COUNT))
    reasons = excluded[["name", "value"]].itertuples(index=False, name=None)
    if excluded.empty:
        return "Nobody: every user has a test query."
    return Table.of("excluded-users", columns, reasons)


def cold_targets(frames: DatasetFrames) -> str:
    """How many queries ask for an item without any training event; "" where none does."""
    cold = frames.card[frames.card["section"] == "cold targets"]
    counts = " and ".join(f"{count:,.0f} {part}" for part, count in zip(cold["name"], cold["value"], strict=True))
    return f"Asked all the same: {counts} queries whose target has no training event." if counts else ""


def unfinished(runs: pd.DataFrame) -> Table | None:
    """Every run that isn't complete, with its reason; runs of a row that share a reason share a line."""
    lines = []
    for status in ("failed", "skipped", "pending"):
        some = runs[runs["status"] == status]
        for (dataset, row, reason), of_line in some.groupby(["dataset", "row", "reason"], sort=False):
            why = reason or ("no result yet" if status == "pending" else "no reason given")
            lines.append((dataset, row, ", ".join(map(str, of_line["seed"])), status, why))
    return Table.of("unfinished", ("Data set", "Model", "Seeds", "Status", "Reason"), lines) if lines else None


UNREADABLE = (
    "These diagnostics of complete runs could not be read and are left out above; no other figure depends on them:"
)


def unreadable_diagnostics(runs: pd.DataFrame) -> Bullets | None:
    """What complete runs noted in a form that the report doesn't know, one line a run; None where all is well."""
    lines = runs[runs["flaws"] != ""].to_dict("records")
    return bullets([f"{line['row']} on {line['dataset']}, seed {line['seed']}: {line['flaws']}" for line in lines])


def mixtures(runs: pd.DataFrame) -> list[str]:
    """What makes results of one report less comparable than they look."""
    complete = _complete(runs)
    facts = {
        "code of different commits": _commits(complete),
        "different hardware, so that times don't compare": _hardware(complete),
        "different versions": complete["versions"].tolist(),
    }
    warnings = [
        f"these results come from {text}: {_listed(values)}." for text, values in facts.items() if len(set(values)) > 1
    ]
    if any(commit.endswith("-dirty") for commit in _commits(complete)):
        warnings.append("some results come from code with uncommitted changes (commits that end in -dirty).")
    for dataset, of_dataset in complete.groupby("dataset", sort=False):
        if of_dataset["data_hash"].nunique() > 1:
            warnings.append(f"results on {dataset} come from different data: {_listed(of_dataset['data_hash'])}.")
    return warnings


def _complete(runs: pd.DataFrame) -> pd.DataFrame:
    return runs[runs["status"] == "complete"]


def _commits(runs: pd.DataFrame) -> list[str]:
    return [commit or "unknown" for commit in runs["commit"]]


def _hardware(runs: pd.DataFrame) -> list[str]:
    return [
        (run["device_name"] or run["device"] or "unknown")
        + (f", threads per run: {run['threads']}" if run["threads"] and run["device"] == "cpu" else "")
        for run in runs.to_dict("records")
    ]


def _listed(values: Iterable[object]) -> str:
    """Distinct values in order of appearance."""
    return "; ".join(dict.fromkeys(str(value) for value in values)) or NONE
