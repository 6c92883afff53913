"""The table of results of a data set, and what stands below it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.analysis.columns import PART_METRICS, RANKING_METRICS
from bench.analysis.families import all_pairs
from bench.analysis.fitness import mark_of, unfit_rows
from bench.analysis.frames import DatasetFrames
from bench.analysis.pairs import best_baseline, verdicts
from bench.conventions import PRIMARY_METRIC, PRIMARY_NAME
from bench.reporting.blocks import Bullets, bullets
from bench.reporting.kinds import RUNS, Runs, decimals, mean_std
from bench.reporting.metric_names import column
from bench.reporting.table import Column, Flagged, Table
from bench.reporting.tables.columns import measured, over_seeds
from bench.reporting.words import strong

SHOWN = (PRIMARY_METRIC, *(metric for metric in RANKING_METRICS if metric != PRIMARY_METRIC))
"""The metrics in the order of the columns, the primary one first."""

FLAGS = {1: " ▲", -1: " ▼"}
"""Of a model that is significantly better or worse than the best baseline."""


def main_table(frames: DatasetFrames) -> Table:
    """Every row of the suite, with all metrics at item level, the one that sorts it first.

    Rows that are no evidence carry a mark; rows without a complete run say why by their status.
    """
    wide, signs = frames.leaderboard, against_baseline(frames)
    unfit = unfit_rows(wide)
    flags = [FLAGS.get(signs.get(str(row), 0), "") for row in wide["row"]]
    columns = [Column("Model"), Column(column(PRIMARY_METRIC), mean_std(), best="high")]
    values: list[Sequence[Any]] = [
        [Flagged(row, mark_of([row], unfit)) for row in wide["row"]],
        list(map(Flagged, over_seeds(wide, f"item.overall.{PRIMARY_METRIC}"), flags)),
    ]
    columns.append(Column("Runs", RUNS, align="left"))
    values.append([_runs(row) for row in wide.to_dict("records")])
    for metric in SHOWN[1:]:
        columns.append(Column(column(metric), mean_std(), best="high"))
        values.append(over_seeds(wide, f"item.overall.{metric}"))
    return Table.of("results", columns, zip(*values, strict=True), sorted_by=1)


def against_baseline(frames: DatasetFrames) -> dict[str, int]:
    """The verdict on each row against the best baseline (`verdicts`); empty where there is none."""
    baseline = best_baseline(frames.leaderboard)
    return verdicts(frames.pairs, baseline) if baseline else {}


def flags_explained(frames: DatasetFrames) -> str:
    """What the signs at the primary metric mean; "" where there is nothing to compare with."""
    if not against_baseline(frames):
        return ""
    return (
        f"▲ ▼ {PRIMARY_NAME} is significantly above or below that of {best_baseline(frames.leaderboard)}, the best "
        f"baseline ({all_pairs(len(frames.pairs)).phrase}; both p-values of each pair are in `pairs.csv`)."
    )


def warnings(frames: DatasetFrames) -> Bullets | None:
    """Why rows carry a warning."""
    lines = frames.leaderboard.to_dict("records")
    return bullets([strong(row["row"]) + f": {row['warning']}." for row in lines if row["warning"]])


def floor_missing(frames: DatasetFrames) -> str:
    """That nothing could be tested against a floor, and why; "" where it could."""
    if frames.floor or not frames.n_queries:
        return ""
    lacking = f"{frames.floor_named} has no complete run" if frames.floor_named else "the suite names no floor"
    return f"No row was tested against a floor: {lacking}."


def best_possible_table(frames: DatasetFrames) -> Table | None:
    """The highest expectation of any model, where the data were generated and a row knows how. None elsewhere."""
    known = frames.metrics[frames.metrics["metric"].str.startswith("best-possible-")]
    if known.empty:
        return None
    means = known.groupby(["row", "metric"], sort=False)["value"].mean().unstack("metric")
    means = means.reindex([row for row in frames.rows if row in means.index])
    means = means.reindex(columns=[f"best-possible-{metric}" for metric in SHOWN])
    columns = (Column("Best possible in expectation, known to"), *(Column(column(m), decimals()) for m in SHOWN))
    return Table.of("best-possible", columns, means.itertuples(name=None))


def notes(frames: DatasetFrames) -> Bullets | None:
    """What the suite says of its rows on the data set, one line each."""
    return bullets([strong(line["row"]) + f": {line['note']}" for line in frames.notes.to_dict("records")])


def head_tail_table(frames: DatasetFrames) -> Table:
    """Head and tail, for the rows with complete runs."""
    rows = measured(frames.leaderboard)
    scores = {
        f"item.{part}.{metric}": f"{part.capitalize()} {column(metric)}"
        for part in ("head", "tail")
        for metric in PART_METRICS
    }
    columns = [Column("Model"), *(Column(heading, mean_std(), best="high") for heading in scores.values())]
    values = [rows["row"], *(over_seeds(rows, score) for score in scores)]
    return Table.of("head-and-tail", columns, zip(*values, strict=True))


def beyond_accuracy_table(frames: DatasetFrames) -> Table | None:
    """What is recommended, whether or not it is the target. None where no result was stored with that."""
    names = {"coverage@10": "Coverage@10", "item.overall.popularity@10": "Popularity@10"}
    names["item.overall.novelty@10"] = "Novelty@10, bits"
    wide = frames.leaderboard
    known = wide[wide["coverage@10.mean"].notna() | wide["item.overall.popularity@10.mean"].notna()]
    if known.empty:
        return None
    columns = [Column("Model"), *(Column(name, mean_std()) for name in names.values())]
    values = [known["row"], *(over_seeds(known, score) for score in names)]
    return Table.of("lists", columns, zip(*values, strict=True))


def _runs(row: Mapping[Any, Any]) -> Runs:
    others = ", ".join(f"{row[status]} {status}" for status in ("failed", "skipped", "pending") if row[status])
    return Runs(row["complete"], others)
