"""The table of results of a data set, and what stands below it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bench.analysis.columns import PART_METRICS, RANKING_METRICS
from bench.analysis.families import all_pairs
from bench.analysis.fitness import UNFIT, UNFIT_MARK, floor_of, unfit_rows
from bench.analysis.grid import Grid
from bench.analysis.leaderboard import best_possible
from bench.analysis.pairs import best_baseline, verdicts
from bench.conventions import PRIMARY_METRIC, PRIMARY_NAME
from bench.reporting.blocks import Bullets, bullets
from bench.reporting.kinds import RUNS, MeanStd, Runs, decimals, mean_std
from bench.reporting.metric_names import column
from bench.reporting.table import Column, Flagged, Table
from bench.reporting.words import strong

SHOWN = (PRIMARY_METRIC, *(metric for metric in RANKING_METRICS if metric != PRIMARY_METRIC))
"""The metrics in the order of the columns, the primary one first."""

FLAGS = {1: " ▲", -1: " ▼"}
"""Of a model that is significantly better or worse than the best baseline."""


def main_table(wide: pd.DataFrame, against_baseline: Mapping[str, int]) -> Table:
    """Every row of the suite, with all metrics at item level; rows without a complete run say why by their status.

    Args:
        wide: The leaderboard of a data set.
        against_baseline: `verdicts` against the best baseline; empty where there is none.
    """
    columns = [Column("Model"), Column("Runs", RUNS, align="left")]
    values: list[Sequence[Any]] = [wide["model"].tolist(), [_runs(row) for row in wide.to_dict("records")]]
    if unfit_rows(wide):
        columns.append(Column("Warning"))
        values.append([f"{UNFIT_MARK.strip()} {UNFIT}" if text else "" for text in wide["warning"]])
    for metric in SHOWN:
        scores: Sequence[Any] = over_seeds(wide, f"item.overall.{metric}")
        if metric == PRIMARY_METRIC:
            flags = [FLAGS.get(against_baseline.get(str(model), 0), "") for model in wide["model"]]
            scores = list(map(Flagged, scores, flags))
        columns.append(Column(column(metric), mean_std(), best="high"))
        values.append(scores)
    return Table.of("results", columns, zip(*values, strict=True))


def against_best_baseline(grid: Grid, wide: pd.DataFrame, compared: pd.DataFrame) -> tuple[str | None, dict[str, int]]:
    """The row that a new model has to beat, and the verdict of each other row against it; None without one."""
    baseline = best_baseline(wide)
    return baseline, verdicts(compared, baseline) if baseline else {}


def flags_explained(baseline: str | None, compared: pd.DataFrame) -> str:
    """What the signs at the primary metric mean."""
    return (
        f"▲ ▼ {PRIMARY_NAME} is significantly above or below that of {baseline}, the best baseline "
        f"({all_pairs(len(compared)).phrase}; both p-values of each pair are in `pairs.csv`)."
    )


def warnings(wide: pd.DataFrame) -> Bullets | None:
    """Why rows carry a warning."""
    return bullets([strong(row["model"]) + f": {row['warning']}." for row in wide.to_dict("records") if row["warning"]])


def floor_missing(grid: Grid) -> str:
    """That nothing could be tested against a floor, and why; "" where it could."""
    if floor_of(grid) is not None or not grid.results:
        return ""
    lacking = f"{grid.suite.floor} has no complete run" if grid.suite.floor else "the suite names no floor"
    return f"No row was tested against a floor: {lacking}."


def best_possible_table(grid: Grid) -> Table | None:
    """The highest expectation of any model, where the data were generated and a row knows how. None elsewhere."""
    rows = []
    for model in grid.complete_models:
        known = [scores for result in grid.of_model(model) if (scores := best_possible(result))]
        if known:
            rows.append([model, *(_mean([scores.get(metric) for scores in known]) for metric in SHOWN)])
    columns = (Column("Best possible in expectation, known to"), *(Column(column(m), decimals()) for m in SHOWN))
    return Table.of("best-possible", columns, rows) if rows else None


def notes(grid: Grid) -> Bullets | None:
    """What the suite says of its rows on the one data set of the grid, one line each."""
    dataset = grid.runs[0].spec.dataset
    written = {entry.row: entry.note_on(dataset) for entry in grid.suite.models}
    return bullets([strong(row) + f": {written[row]}" for row in grid.models if written.get(row)])


def head_tail_table(wide: pd.DataFrame) -> Table:
    """Head and tail, for the rows with complete runs."""
    rows = measured(wide)
    scores = {
        f"item.{part}.{metric}": f"{part.capitalize()} {column(metric)}"
        for part in ("head", "tail")
        for metric in PART_METRICS
    }
    columns = [Column("Model"), *(Column(heading, mean_std(), best="high") for heading in scores.values())]
    values = [rows["model"], *(over_seeds(rows, score) for score in scores)]
    return Table.of("head-and-tail", columns, zip(*values, strict=True))


def beyond_accuracy_table(wide: pd.DataFrame) -> Table | None:
    """What is recommended, whether or not it is the target. None where no result was stored with that."""
    names = {"coverage@10": "Coverage@10", "item.overall.popularity@10": "Popularity@10"}
    names["item.overall.novelty@10"] = "Novelty@10, bits"
    known = wide[wide["coverage@10.mean"].notna() | wide["item.overall.popularity@10.mean"].notna()]
    if known.empty:
        return None
    columns = [Column("Model"), *(Column(name, mean_std()) for name in names.values())]
    values = [known["model"], *(over_seeds(known, score) for score in names)]
    return Table.of("lists", columns, zip(*values, strict=True))


def over_seeds(wide: pd.DataFrame, score: str) -> list[MeanStd]:
    """Mean and standard deviation of a score, row by row of a leaderboard."""
    return list(map(MeanStd, wide[f"{score}.mean"], wide[f"{score}.std"]))


def measured(wide: pd.DataFrame) -> pd.DataFrame:
    """The rows with a complete run."""
    return wide[wide["complete"] > 0]


def _runs(row: Mapping[Any, Any]) -> Runs:
    others = ", ".join(f"{row[status]} {status}" for status in ("failed", "skipped", "pending") if row[status])
    return Runs(row["complete"], others)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
