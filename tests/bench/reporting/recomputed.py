"""The tables of a report, read from its markdown, and each of them made again from nothing but the CSV files."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from bench.analysis.columns import RANKING_METRICS as METRICS
from bench.number_text import number, p_cell, percent, plus_minus
from bench.reporting.metric_names import column as heading

WARNING = "under-trained or unfit, not evidence"
Cells = dict[tuple[str, str], str]
"""(first cells of a row, heading) -> cell, without marks."""


@dataclass(frozen=True)
class Table:
    """A table as it stands in the report: below which headings, and its cells without marks."""

    dataset: str
    section: str
    headers: list[str]
    rows: list[list[str]]

    @property
    def name(self) -> tuple[str, str]:
        return self.section, self.headers[0]

    def cells(self, key: int, without: Sequence[str] = ()) -> Cells:
        """All but the first `key` cells of each row, without columns of plain words."""
        return {
            (" ".join(row[:key]), column): cell
            for row in self.rows
            for column, cell in zip(self.headers[key:], row[key:], strict=True)
            if column not in without
        }


def tables_of(markdown: str, datasets: Sequence[str]) -> list[Table]:
    """Every table of a page."""
    found: list[Table] = []
    dataset, section, lines = "", "", []
    for line in [*markdown.splitlines(), ""]:
        if line.startswith("|"):
            lines.append(line)
            continue
        if lines:
            headers, _, *rows = [_cells(line) for line in lines]
            found.append(Table(dataset, section, headers, rows))
            lines = []
        if heading := re.match(r"##+ (.*)", line):
            title = heading[1]
            dataset = next((d for d in datasets if title.startswith(f"{d}: ") or title.endswith(f" ({d})")), "")
            if dataset or line.startswith("## "):  # cards have headings with names of models
                section = title.removeprefix(f"{dataset}: ").removesuffix(f" ({dataset})")
    return found


def _cells(line: str) -> list[str]:
    marks = re.compile(r"\*\*|</?u>| [▲▼⚠]")
    return [marks.sub("", cell).strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]


@dataclass
class Files:
    """What lies in the folder of a data set, and nothing else; of all data sets where tables span them."""

    folder: Path
    frames: dict[str, pd.DataFrame] = field(default_factory=dict)

    def read(self, name: str) -> pd.DataFrame:
        if name not in self.frames:
            self.frames[name] = pd.read_csv(self.folder / f"{name}.csv", float_precision="round_trip")
        return self.frames[name]

    def values(self, model: str, metric: str, part: str = "overall", level: str = "item") -> pd.Series:
        return where(self.read("metrics"), row=model, metric=metric, slice=part, level=level)["value"]

    def cell(self, model: str, metric: str, part: str = "overall", level: str = "item", digits: int = 4) -> str:
        return over_seeds(self.values(model, metric, part, level), digits)

    def mean(self, model: str, metric: str) -> float:
        return self.values(model, metric, level="run").mean()

    def complete(self) -> list[str]:
        """Rows with a complete run, best first."""
        wide = self.read("leaderboard")
        return wide.loc[wide["complete"] > 0, "row"].tolist()

    def decoding(self, model: str, metric: str, part: str = "overall") -> pd.DataFrame:
        return where(self.read("decoding"), row=model, metric=metric, part=part)

    def traced(self) -> list[str]:
        return self.read("decoding")["row"].drop_duplicates().tolist()

    def levels(self, model: str, metric: str) -> list[int]:
        parts = where(self.read("decoding"), row=model, metric=metric)["part"].drop_duplicates()
        return [int(part.removeprefix("level:")) for part in parts if part.startswith("level:")]


def unfit(files: Files) -> set[str]:
    """The rows with a warning."""
    wide = files.read("leaderboard")
    return set(wide.loc[wide["warning"].notna(), "row"])


def over_seeds(values: pd.Series, digits: int) -> str:
    return plus_minus(values.mean(), values.std(ddof=1), digits)


def where(frame: pd.DataFrame, **wanted: str) -> pd.DataFrame:
    for column, value in wanted.items():
        frame = frame[frame[column] == value]
    return frame


def main(files: Files, table: Table) -> Cells:
    cells = {}
    for model, runs in where(files.read("metrics"), metric="complete").groupby("row"):
        counts = runs["status"].value_counts()
        others = ", ".join(f"{counts[s]} {s}" for s in ("failed", "skipped", "pending") if s in counts)
        complete = counts.get("complete", 0)
        cells[str(model), "Runs"] = f"{complete} ({others})" if complete and others else others or f"{complete}"
        cells |= {(str(model), heading(metric)): files.cell(str(model), metric) for metric in METRICS}
        if unfit(files):
            cells[str(model), "Warning"] = WARNING if model in unfit(files) else ""
    return cells


def best_possible(files: Files, table: Table) -> Cells:
    known = where(files.read("metrics"), metric="best-possible-ndcg@10")["row"].unique()
    return {(m, heading(x)): number(files.mean(m, f"best-possible-{x}")) for m in known for x in METRICS}


def against_best(files: Files, table: Table) -> Cells:
    pairs = files.read("pairs")
    best = pairs["first"].iloc[0]
    return {
        (row["second"], column): cell
        for row in pairs[pairs["first"] == best].to_dict("records")
        for column, cell in {
            "NDCG@10": number(row["second_mean"]),
            f"{best} is ahead by": f"{row['difference']:+.4f}",
            "95 % interval": _interval(row),
            "Effect size": f"{row['effect_size']:+.2f}",
            "p": p_cell(row["p_value"]),
            "p (Holm)": p_cell(row["p_holm"]),
            "Significant": "yes" if row["p_holm"] < 0.05 else "no",
        }.items()
    }


def who_beats_whom(files: Files, table: Table) -> Cells:
    pairs = files.read("pairs")
    models = list(dict.fromkeys([*pairs["first"], *pairs["second"]]))
    sign = {}
    for row in pairs.to_dict("records"):
        ahead = 0 if row["p_holm"] >= 0.05 else (1 if row["difference"] > 0 else -1)
        sign[row["first"], row["second"]], sign[row["second"], row["first"]] = ahead, -ahead
    cells = {}
    for place, model in enumerate(models, start=1):
        row = f"{place}. {model}"
        for column, other in enumerate(models, start=1):
            cells[row, str(column)] = {1: ">", -1: "<", 0: "=", None: "" if other == model else "?"}[
                sign.get((model, other))
            ]
        for name, wanted in (("Beats", 1), ("Loses to", -1)):
            cells[row, name] = str(sum(sign.get((model, other)) == wanted for other in models))
    return cells


def part_by_part(files: Files, table: Table) -> Cells:
    first, second = table.headers[2:4]
    reach = {"recent": "last 50 events", "far": "only before the last 50", "never": "never"}
    before = {"reach": "target in the history: ", "category-reach": "its category in the history: "}
    before |= {"history": "history of ", "history-quarter": "history of "}
    tests = where(files.read("tests"), kind="question", title=f"{first} against {second}")
    return {
        (before.get(row["partition"], "") + reach.get(row["part"], row["part"]), column): cell
        for row in tests.to_dict("records")
        for column, cell in {
            "n": f"{row['n_queries']:,}",
            first: number(row["first_mean"]),
            second: number(row["second_mean"]),
            "Tests in family": str(row["family_size"]),
            f"Recall@10 {first} (secondary)": number(row["secondary_first_mean"]),
            f"Recall@10 {second} (secondary)": number(row["secondary_second_mean"]),
            "Difference": f"{row['difference']:+.4f}",
            "95 % interval": _interval(row),
            "p": p_cell(row["p_value"]),
            "p (Holm)": p_cell(row["p_holm"]),
        }.items()
    }


def comparison(files: Files, table: Table) -> Cells:
    tests = where(files.read("tests"), kind="comparison", title=table.section).set_index("first").to_dict("index")
    against = next(iter(tests.values()))["second"]
    sid = {"NDCG@10 SID": ("ndcg@10", "sid")} if "NDCG@10 SID" in table.headers else {}
    cells = {}
    for model in [*tests, against]:
        for column, (metric, level) in (
            {"Recall@10 (secondary)": ("recall@10", "item"), "NDCG@10": ("ndcg@10", "item")} | sid
        ).items():
            cells[model, column] = files.cell(model, metric, level=level)
        test = tests.get(model)
        cells[model, f"NDCG@10 - {against}"] = f"{test['difference']:+.4f}" if test else "-"
        cells[model, "95 % interval"] = _interval(test) if test else "-"
        cells[model, "p"] = p_cell(test["p_value"]) if test else "-"
        cells[model, "p (Holm)"] = p_cell(test["p_holm"]) if test else "-"
        cells |= _times(files, model)
    return cells


def levels(files: Files, table: Table) -> Cells:
    metrics = files.read("metrics")
    models = [model for model in files.complete() if model in set(metrics.loc[metrics["level"] == "sid", "row"])]
    cells = {}
    for model in models:
        for metric in ("recall@10", "ndcg@10"):
            cells[model, heading(metric, "item")] = files.cell(model, metric)
            cells[model, heading(metric, "ties")] = files.cell(model, f"expected-{metric}")
            cells[model, heading(metric, "SID")] = files.cell(model, metric, level="sid")
        cells[model, "Items that collide"] = percent(files.mean(model, "collision_rate"))
        sids, items = (int(files.mean(model, metric)) for metric in ("unique_sids", "catalogue_items"))
        cells[model, "SIDs / items"] = f"{sids} / {items}"
        cells[model, "Valid SIDs"] = percent(files.values(model, "valid_share", level="run").min(), digits=2)
        wrong = files.values(model, "item_hits_without_sid_hit", level="run").sum()
        cells[model, "Item hit without SID hit"] = str(int(wrong))
    return cells


def head_tail(files: Files, table: Table) -> Cells:
    return {
        (model, f"{part.capitalize()} {heading(metric)}"): files.cell(model, metric, part)
        for model in files.complete()
        for part in ("head", "tail")
        for metric in ("recall@10", "ndcg@10")
    }


def parts(family: str) -> Callable[[Files, Table], Cells]:
    """NDCG@10 on the parts of a family."""
    reach = {"recent": "last 50 events", "far": "only before the last 50"} if family.endswith("reach") else {}

    def cells(files: Files, table: Table) -> Cells:
        metrics = files.read("metrics")
        names = metrics["slice"].drop_duplicates()
        slices = [name for name in names if name.partition(":")[0] == family]
        found = {}
        for model in files.complete():
            for part in slices:
                name = part.partition(":")[2]
                size = int(files.values(model, "queries", part).iloc[0])
                found[model, f"{reach.get(name, name)} (n = {size:,})"] = files.cell(model, "ndcg@10", part)
        return found

    return cells


def recommended(files: Files, table: Table) -> Cells:
    cells = {}
    for model in files.complete():
        cells[model, "Coverage@10"] = files.cell(model, "coverage@10", level="run")
        cells[model, "Popularity@10"] = files.cell(model, "popularity@10")
        cells[model, "Novelty@10, bits"] = files.cell(model, "novelty@10")
    return cells


def sid_health(files: Files, table: Table) -> Cells:
    codes = files.read("metrics")
    codes = codes[codes["slice"].str.startswith("code:")]
    alike: dict[tuple[tuple[str, str, float], ...], list[str]] = {}
    for (model, _), values in codes.groupby(["row", "seed"], sort=False):
        models = alike.setdefault(tuple(values[["slice", "metric", "value"]].itertuples(index=False, name=None)), [])
        if model not in models:
            models.append(str(model))
    cells: Cells = {}
    for values, models in alike.items():
        for part, metric, value in values:
            column, text = {
                "codebook_size": ("Codes", f"{value:,.0f}"),
                "used": ("Used", f"{value:,.0f}"),
                "utilisation": ("Utilisation", percent(value)),
                "perplexity": ("Perplexity", number(value, 1)),
                "entropy": ("Entropy (nats)", number(value, 2)),
                "max_share": ("Largest code's share", percent(value)),
            }[metric]
            cells[f"{', '.join(models)} {part.removeprefix('code:')}", column] = text
    return cells


def cost(files: Files, table: Table) -> Cells:
    cells: Cells = {}
    for model in files.complete():
        cells |= _times(files, model)
        cells[model, "Best epoch"] = number(files.mean(model, "best_epoch"), 1)
        cells[model, "Peak memory, MiB"] = number(files.mean(model, "peak_memory_mib"), 0)
        cells[model, "Validation NDCG@10"] = number(files.mean(model, "validation"))
    return cells


def published(files: Files, table: Table) -> Cells:
    return {
        (f"{row['model']} {row['metric']}", column): cell
        for row in files.read("published").to_dict("records")
        if row["level"] == "item"
        for column, cell in {
            "Published": number(row["published"]),
            "Measured": files.cell(row["row"], row["metric"]),
            "Difference": f"{files.values(row['model'], row['metric']).mean() / row['published'] - 1:+.1%}",
            "Tolerance": f"{row['tolerance']:.0%}",
            "Verdict": row["verdict"],
        }.items()
    }


def unfinished(files: Files, table: Table) -> Cells:
    runs = where(files.read("metrics"), metric="complete")
    runs = runs[runs["status"] != "complete"]
    cells = {}
    for (model, status, reason), seeds in runs.groupby(["row", "status", "reason"], dropna=False):
        row = f"{files.folder.name} {model}"
        cells[row, "Seeds"] = ", ".join(map(str, seeds["seed"]))
        cells[row, "Status"] = status
        cells[row, "Reason"] = "no result yet" if pd.isna(reason) else reason
    return cells


def overview(every: dict[str, Files], table: Table) -> Cells:
    first, second = table.headers[1:3]
    cells = {}
    for dataset, files in every.items():
        tests = where(files.read("tests"), kind="question", title=f"{first} against {second}")
        overall = where(tests, partition="overall").to_dict("records")[0]
        far = where(tests, partition="reach", part="far").to_dict("records")[0]
        wide = files.read("leaderboard").set_index("row")
        cells[dataset, first], cells[dataset, second] = number(overall["first_mean"]), number(overall["second_mean"])
        cells[dataset, "Difference"] = f"{overall['difference']:+.4f}"
        cells[dataset, "95 % interval"] = _interval(overall)
        cells[dataset, "p"] = p_cell(overall["p_value"])
        cells[dataset, "p (Holm)"] = p_cell(overall["p_holm"])
        cells[dataset, "Significant"] = "yes" if overall["p_holm"] < 0.05 else "no"
        cells[dataset, "On far targets"] = f"{far['difference']:+.4f}"
        for column, cost in (("Training time", "fit_seconds"), ("Time per user", "milliseconds_per_user")):
            cells[dataset, column] = f"x {wide.loc[first, f'{cost}.mean'] / wide.loc[second, f'{cost}.mean']:.2g}"
    return cells


def ranks(every: dict[str, Files], table: Table) -> Cells:
    scores = pd.DataFrame(
        {d: files.read("leaderboard").set_index("row")["item.overall.ndcg@10.mean"] for d, files in every.items()}
    ).dropna()
    places = scores.rank(ascending=False)
    cells = {(m, dataset): f"{places.loc[m, dataset]:g}" for m in places.index for dataset in every}
    return cells | {(m, "Mean rank"): number(place, 2) for m, place in places.mean(axis=1).items()}


def _times(files: Files, model: str) -> Cells:
    return {
        (model, "Training, s"): files.cell(model, "fit_seconds", level="run", digits=1),
        (model, "ms per user"): files.cell(model, "milliseconds_per_user", level="run", digits=2),
        (model, "Parameters"): f"{files.mean(model, 'parameters'):,.0f}",
    }


def _interval(row: dict[str, float]) -> str:
    return f"{row['low']:+.4f} .. {row['high']:+.4f}"
