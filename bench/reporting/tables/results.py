"""The report's result sections: one function a table, each from a data set's runs to markdown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from bench.analysis import diagnostics
from bench.analysis.columns import PART_METRICS, RANKING_METRICS
from bench.analysis.diagnostics import CodebookLevel
from bench.analysis.families import all_pairs
from bench.analysis.fitness import UNFIT, UNFIT_MARK, floor_of, unfit_rows
from bench.analysis.grid import Grid
from bench.analysis.leaderboard import best_possible, by_slice, hits_beyond_sid_level
from bench.analysis.pairs import best_baseline, verdicts
from bench.conventions import PRIMARY_METRIC, PRIMARY_NAME
from bench.evaluation.slices import (
    ReachOf,
    Slices,
    category_reach_slices,
    cold_slices,
    column_slices,
    history_length_bins,
    history_length_quarters,
    reach_slices,
)
from bench.number_text import NONE, number, percent, plus_minus
from bench.reporting.markdown import code, foreign, marked, table
from bench.reporting.metric_names import column

SHOWN = (PRIMARY_METRIC, *(metric for metric in RANKING_METRICS if metric != PRIMARY_METRIC))
"""The metrics in the order of the columns, the primary one first."""

MARKS = {1: " ▲", -1: " ▼"}
"""Of a model that is significantly better or worse than the best baseline."""


def main_table(wide: pd.DataFrame, grid: Grid, compared: pd.DataFrame) -> str:
    """Every row of the suite, with all metrics at item level; rows without a complete run say why by their status.

    Args:
        wide: The leaderboard of a data set.
        grid: Its runs.
        compared: Its `bench.analysis.pairs.pairs`, for the marks at the primary metric.

    Returns:
        The table, and below it what the marks mean where there is a baseline to compare with, and why rows are warned
        of.
    """
    names = {f"item.overall.{metric}": column(metric) for metric in SHOWN}
    extra = {"Runs": [_status(row) for row in wide.to_dict("records")]}
    if unfit_rows(wide):
        extra["Warning"] = [f"{UNFIT_MARK.strip()} {UNFIT}" if text else "" for text in wide["warning"]]
    baseline = best_baseline(wide)
    found = verdicts(compared, baseline) if baseline else {}
    marks = [MARKS.get(found.get(str(model), 0), "") for model in wide["model"]]
    parts = [_score_table(wide, extra, names, {f"item.overall.{PRIMARY_METRIC}": marks})]
    if found:
        parts.append(
            f"▲ ▼ {PRIMARY_NAME} is significantly above or below that of {baseline}, the best baseline "
            f"({all_pairs(len(compared)).phrase}; both p-values of each pair are in `pairs.csv`)."
        )
    return "\n\n".join([*parts, *_warnings(grid, wide)])


def _warnings(grid: Grid, wide: pd.DataFrame) -> list[str]:
    """Why rows carry a warning; where nothing could be tested against a floor, that this is so."""
    lines = [f"- **{row['model']}**: {row['warning']}." for row in wide.to_dict("records") if row["warning"]]
    parts = ["\n".join(lines)] if lines else []
    if floor_of(grid) is None and grid.results:
        lacking = f"{grid.suite.floor} has no complete run" if grid.suite.floor else "the suite names no floor"
        parts.append(f"No row was tested against a floor: {lacking}.")
    return parts


def head_tail_table(wide: pd.DataFrame) -> str:
    """Head and tail, for the rows with complete runs."""
    columns = {
        f"item.{part}.{metric}": f"{part.capitalize()} {column(metric)}"
        for part in ("head", "tail")
        for metric in PART_METRICS
    }
    return _score_table(_measured(wide), {}, columns)


def reach_table(grid: Grid, of: ReachOf) -> str | None:
    """The primary metric by how far back the target (or its category) last occurred. None where all are alike."""
    slicer = reach_slices if of == "item" else category_reach_slices
    return _part_table(
        grid, slicer, "Target last occurred in:" if of == "item" else "Target's category last occurred in:"
    )


def cold_table(grid: Grid) -> str | None:
    """The primary metric by how often training met the target. None where it met all of them often."""
    return _part_table(grid, cold_slices, "Target in training:")


def history_table(grid: Grid) -> str | None:
    """The primary metric by length of the history, in fixed bins. None where all histories are in one."""
    return _part_table(grid, history_length_bins, "Events before the target:")


def history_quarters_table(grid: Grid) -> str | None:
    """The primary metric by quarter of the history lengths. None where all are alike."""
    return _part_table(grid, history_length_quarters, "Events before the target, in quarters:")


def column_tables(grid: Grid) -> str | None:
    """The primary metric by each column of the item table that the suite asks for. None where it asks for none."""
    if not grid.results:
        return None
    texts = []
    for name in grid.suite.slices:
        text = _part_table(grid, partial(_shown_slices, column=name), f"Target's {foreign(name)}:")
        texts.append(text or f"{foreign(name)}: the results hold no such column of the item table, or one value of it.")
    return "\n\n".join(texts) or None


def _shown_slices(queries: pd.DataFrame, column: str) -> Slices:
    """`column_slices` under names that a page can show."""
    return {foreign(name): mask for name, mask in column_slices(queries, column).items()}


def beyond_accuracy_table(wide: pd.DataFrame) -> str | None:
    """What is recommended, whether or not it is the target. None where no result was stored with that."""
    columns = {"coverage@10": "Coverage@10", "item.overall.popularity@10": "Popularity@10"}
    columns["item.overall.novelty@10"] = "Novelty@10, bits"
    known = wide[wide["coverage@10.mean"].notna() | wide["item.overall.popularity@10.mean"].notna()]
    if known.empty:
        return None
    cells = [
        [plus_minus(mean, std) for mean, std in zip(known[f"{name}.mean"], known[f"{name}.std"], strict=True)]
        for name in columns
    ]
    return table(["Model", *columns.values()], list(zip(known["model"], *cells, strict=True)))


def best_possible_table(grid: Grid) -> str | None:
    """The highest expectation of any model, where the data were generated and a row knows how. None elsewhere."""
    rows = []
    for model in grid.complete_models:
        known = [scores for result in grid.of_model(model) if (scores := best_possible(result))]
        if known:
            rows.append([model, *(_mean([scores.get(metric) for scores in known], 4) for metric in SHOWN)])
    return table(["Best possible in expectation, known to", *map(column, SHOWN)], rows) if rows else None


def notes(grid: Grid) -> str | None:
    """What the suite says of its rows on the one data set of the grid, one line each."""
    dataset = grid.runs[0].spec.dataset
    written = {entry.row: entry.note_on(dataset) for entry in grid.suite.models}
    return "\n".join(f"- **{row}**: {foreign(written[row])}" for row in grid.models if written.get(row)) or None


def level_table(grid: Grid, wide: pd.DataFrame) -> str | None:
    """Item level beside SID level for semantic-ID models, with what explains the gap. None without such models."""
    rows = []
    measured = _measured(wide)
    for row in measured[measured[f"sid.overall.{PRIMARY_METRIC}.mean"].notna()].to_dict("records"):
        results = grid.of_model(row["model"])
        sids = [diagnostics.sids(result) for result in results]
        shares = [np.nan if (share := diagnostics.valid_share(result)) is None else share for result in results]
        cells = [
            plus_minus(row[f"{score}.mean"], row[f"{score}.std"])
            for metric in PART_METRICS
            for score in (f"item.overall.{metric}", f"item.overall.expected-{metric}", f"sid.overall.{metric}")
        ]
        collisions = [sid.collision_rate for sid in sids if sid.collision_rate is not None]
        unique, items = (NONE if count is None else count for count in (sids[0].unique_sids, sids[0].n_items))
        rows.append(
            [
                row["model"],
                foreign(sids[0].tokenizer or NONE),
                *cells,
                percent(float(np.mean(collisions)) if collisions else None),
                f"{unique} / {items}",
                percent(float(np.min(shares)), digits=2),
                str(sum(hits_beyond_sid_level(result) for result in results)),
            ]
        )
    if not rows:
        return None
    headers = ["Model", "Tokenizer", *(column(m, kind) for m in PART_METRICS for kind in ("item", "ties", "SID"))]
    headers += ["Items that collide", "SIDs / items", "Valid SIDs", "Item hit without SID hit"]
    return table(headers, rows, left=2)


def sid_health_table(grid: Grid) -> str | None:
    """How well each level of each codebook is used; rows that share their semantic IDs share their lines."""
    models_of: dict[tuple[tuple[str, ...], ...], list[str]] = {}
    for model in grid.complete_models:
        for result in grid.of_model(model):
            if lines := tuple(_health_line(level) for level in diagnostics.sid_health(result)):
                models = models_of.setdefault(lines, [])
                if model not in models:
                    models.append(model)
    if not models_of:
        return None
    rows = [[", ".join(models), *line] for lines, models in models_of.items() for line in lines]
    headers = [
        "Models",
        "Level",
        "Codes",
        "Used",
        "Utilisation",
        "Perplexity",
        "Entropy (nats)",
        "Largest code's share",
    ]
    return table(headers, rows, left=2)


def cost_table(grid: Grid, wide: pd.DataFrame) -> str:
    """What each row took: time, memory, size."""
    rows = []
    measured = _measured(wide)
    for row in measured.to_dict("records"):
        results = grid.of_model(row["model"])
        rows.append(
            [
                row["model"],
                plus_minus(row["fit_seconds.mean"], row["fit_seconds.std"], 1),
                _mean([result.best_epoch for result in results], 1),
                plus_minus(row["milliseconds_per_user.mean"], row["milliseconds_per_user.std"], 2),
                f"{row['parameters.mean']:,.0f}",
                _mean([result.environment.get("peak_memory_mib") for result in results], 0),
                _mean([result.validation for result in results], 4),
            ]
        )
    headers = [
        "Model",
        "Training, s",
        "Best epoch",
        "ms per user",
        "Parameters",
        "Peak memory, MiB",
        f"Validation {PRIMARY_NAME}",
    ]
    return table(headers, rows)


def fidelity_cards(cards: Mapping[str, Sequence[Mapping[str, Any]]]) -> str | None:
    """Each model's mechanisms: how near they are to their source, and the test that pins each.

    Args:
        cards: Label -> list of dicts with the fields of `bench.recommender.Mechanism`. Equal cards are printed once.
    """
    labels_of: dict[str, list[str]] = {}
    for label, card in cards.items():
        if card:
            lines = [
                [
                    *(foreign(line[key]) for key in ("name", "status", "source")),
                    foreign(line.get("note") or ""),
                    _code(line.get("test")),
                ]
                for line in card
            ]
            text = table(["Mechanism", "Status", "Source", "What differs", "Test"], lines, left=5)
            labels_of.setdefault(text, []).append(label)
    return "\n\n".join(f"### {', '.join(labels)}\n\n{text}" for text, labels in labels_of.items()) or None


def _score_table(
    wide: pd.DataFrame,
    extra: Mapping[str, Sequence[str]],
    columns: Mapping[str, str],
    marks: Mapping[str, Sequence[str]] | None = None,
) -> str:
    """Rows by model: the extra columns, then mean ± std of each score, best bold and second underlined.

    Args:
        wide: The leaderboard of a data set.
        extra: Heading -> cells, before the scores.
        columns: Score in the leaderboard -> heading.
        marks: Score -> what follows each cell.
    """
    cells = []
    for score in columns:
        means, stds = wide[f"{score}.mean"].tolist(), wide[f"{score}.std"].tolist()
        texts = marked([plus_minus(mean, std) for mean, std in zip(means, stds, strict=True)], means)
        signs = (marks or {}).get(score, [""] * len(texts))
        cells.append([text + sign for text, sign in zip(texts, signs, strict=True)])
    rows = list(zip(wide["model"], *extra.values(), *cells, strict=True))
    return table(["Model", *extra, *columns.values()], rows, left=1 + len(extra))


def _part_table(grid: Grid, slicer: Callable[[pd.DataFrame], Slices], title: str) -> str | None:
    """The primary metric of every model on each part of the queries. None with fewer than two parts."""
    scores = by_slice(grid, slicer, PRIMARY_METRIC)
    if scores["slice"].nunique() < 2:
        return None
    columns = {}
    models = list(dict.fromkeys(scores["model"]))
    for part, rows in scores.groupby("slice", sort=False):
        values = rows.set_index("model").reindex(models)
        texts = [plus_minus(mean, std) for mean, std in zip(values["mean"], values["std"], strict=True)]
        columns[f"{part} (n = {rows['queries'].iloc[0]:,})"] = marked(texts, values["mean"].tolist())
    return table([title, *columns], list(zip(models, *columns.values(), strict=True)))


def _measured(wide: pd.DataFrame) -> pd.DataFrame:
    return wide[wide["complete"] > 0]


def _status(row: Mapping[Any, Any]) -> str:
    """E.g. "3", "2 (1 failed)", "failed"."""
    others = [f"{row[status]} {status}" for status in ("failed", "skipped", "pending") if row[status]]
    if not row["complete"]:
        return ", ".join(others)
    return f"{row['complete']}" + (f" ({', '.join(others)})" if others else "")


def _health_line(level: CodebookLevel) -> tuple[str, ...]:
    kind = f" ({level.kind})" if level.kind != "semantic" else ""
    return (
        f"{level.level}{kind}",
        f"{level.codebook_size:,}",
        f"{level.used:,}",
        percent(level.utilisation),
        number(level.perplexity, 1),
        number(level.entropy, 2),
        percent(level.max_share),
    )


def _mean(values: Sequence[float | None], digits: int) -> str:
    known = [value for value in values if value is not None]
    return number(float(np.mean(known)), digits) if known else NONE


def _code(text: str | None) -> str:
    return code(text) if text else NONE
