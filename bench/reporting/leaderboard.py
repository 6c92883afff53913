"""Run results as tables: one tidy row per measured value, and from these the wide leaderboard of a data set."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.evaluation.evaluator import K_MAX
from bench.evaluation.metrics import compute
from bench.evaluation.slices import Slices, popularity_slices, reach_parts
from bench.reporting.files import replaced
from bench.reporting.grid import Grid, Run, has_semantic_ids

METRICS = ("hit@1", "recall@5", "recall@10", "recall@20", "ndcg@5", "ndcg@10", "ndcg@20")
LEVELS = ("item", "sid")
SLICES = ("overall", "head", "tail")
COSTS = ("fit_seconds", "milliseconds_per_user", "parameters")
SORTED_BY = "item.overall.ndcg@10.mean"

TIDY_COLUMNS = ("suite", "dataset", "model", "seed", "status", "reason", "level", "slice", "metric", "value")
"""Columns of `metrics.csv`.

`level` is "item" or "sid" for ranking metrics and "run" for what belongs to a run as a whole: its costs, and the
metric "complete", which is 1 or 0 and exists for every planned run. So a failed, skipped or pending run has exactly
one row, with its status and reason.

`slice` is one of `SLICES`; where a data set has targets of their kind, also "reach:recent", "reach:far" and
"reach:never" (`reach_parts` of the item) and "category-reach:recent" and so on (of its category). The wide table leaves
these out: which of them exist differs by data set, and its columns don't.
"""

STATUSES = ("complete", "failed", "skipped", "pending")

LEADERBOARD_COLUMNS = (
    "model",
    "status",
    "reason",
    *STATUSES,
    *(
        f"{level}.{part}.{metric}.{statistic}"
        for level in LEVELS
        for part in SLICES
        for metric in METRICS
        for statistic in ("mean", "std")
    ),
    *(f"{cost}.{statistic}" for cost in COSTS for statistic in ("mean", "std")),
)
"""Columns of `leaderboard.csv`, in this order.

`status` is "complete", "partial" (some runs complete), or else the first of "failed", "skipped" and "pending" that
occurs. The number of runs per status follows, where `complete` is the number of seeds behind every mean. Means and
standard deviations (ddof=1; blank with one seed) are named LEVEL.SLICE.METRIC.STATISTIC; SID level is blank for models
without semantic IDs.
"""


def tidy_metrics(grid: Grid) -> pd.DataFrame:
    """Every measured value of every planned run, one a row, with the columns `TIDY_COLUMNS`."""
    rows = [
        (
            grid.suite.name,
            run.spec.dataset.label,
            run.spec.label,
            run.spec.seed,
            run.status,
            run.reason,
            level,
            part,
            metric,
            value,
        )
        for run in grid.runs
        for level, part, metric, value in _values(run)
    ]
    return pd.DataFrame(rows, columns=list(TIDY_COLUMNS))


def leaderboard(tidy: pd.DataFrame) -> pd.DataFrame:
    """The wide table of one data set, one row per model, best mean NDCG@10 first.

    Args:
        tidy: Rows of one data set from `tidy_metrics`, or its CSV read back.

    Returns:
        A table with the columns `LEADERBOARD_COLUMNS`.
    """
    rows = [_leaderboard_row(str(model), part) for model, part in tidy.groupby("model", sort=False)]
    wide = pd.DataFrame(rows, columns=list(LEADERBOARD_COLUMNS))
    return wide.sort_values(SORTED_BY, ascending=False, kind="stable", na_position="last", ignore_index=True)


def by_slice(grid: Grid, slicer: Callable[[pd.DataFrame], Slices], metric: str) -> pd.DataFrame:
    """An item-level metric on each named part of the queries, for tables and figures.

    Args:
        grid: Runs on one data set.
        slicer: From `bench.evaluation.slices`.
        metric: E.g. "ndcg@10".

    Returns:
        One row per complete model and part, in the slicer's order: model, slice, queries (in that part), seeds,
        mean and std (over seeds; NaN with one).
    """
    rows = []
    for model in grid.complete_models:
        values: dict[str, list[float]] = {}
        sizes: dict[str, int] = {}
        for result in grid.of_model(model):
            assert result.queries is not None  # a complete result has its queries
            per_query = compute(metric, result.queries["item_rank"].to_numpy(), K_MAX)
            for name, mask in slicer(result.queries).items():
                if mask.any():
                    values.setdefault(name, []).append(float(per_query[mask].mean()))
                    sizes[name] = int(mask.sum())
        for name, seeds in values.items():
            deviation = float(np.std(seeds, ddof=1)) if len(seeds) > 1 else np.nan
            rows.append((model, name, sizes[name], len(seeds), float(np.mean(seeds)), deviation))
    return pd.DataFrame(rows, columns=["model", "slice", "queries", "seeds", "mean", "std"])


def write_leaderboards(grid: Grid, results_dir: Path) -> dict[str, pd.DataFrame]:
    """Writes `RESULTS/SUITE/DATASET/leaderboard.csv` and `metrics.csv` for each data set.

    Returns:
        The wide table of each data set, by label.
    """
    tables = {}
    for dataset in grid.datasets:
        tidy = tidy_metrics(grid.on(dataset))
        wide = leaderboard(tidy)
        folder = results_dir / grid.suite.name / dataset
        with replaced(folder / "metrics.csv") as path:
            tidy.to_csv(path, index=False)
        with replaced(folder / "leaderboard.csv") as path:
            wide.to_csv(path, index=False, float_format="%.10g")
        tables[dataset] = wide
    return tables


def _values(run: Run) -> Iterator[tuple[str, str, str, float]]:
    """(level, slice, metric, value) of one run."""
    result = run.result
    yield "run", "overall", "complete", float(run.status == "complete")
    if result is None or result.queries is None or result.status != "complete":
        return
    for cost in COSTS:
        yield "run", "overall", cost, float(getattr(result, cost))
    slices = popularity_slices(result.queries)
    slices |= {f"reach:{part}": mask for part, mask in reach_parts(result.queries).items()}
    slices |= {f"category-reach:{part}": mask for part, mask in reach_parts(result.queries, of="category").items()}
    for level in LEVELS if has_semantic_ids(result) else LEVELS[:1]:
        ranks = result.queries[f"{level}_rank"].to_numpy()
        for metric in METRICS:
            per_query = compute(metric, ranks, K_MAX)
            for part, mask in slices.items():
                yield level, part, metric, float(per_query[mask].mean()) if mask.any() else np.nan


def _leaderboard_row(model: str, tidy: pd.DataFrame) -> dict[str, Any]:
    runs = tidy[tidy["metric"] == "complete"]
    counts = {status: int((runs["status"] == status).sum()) for status in STATUSES}
    present = [status for status, count in counts.items() if count]
    row: dict[str, Any] = {
        "model": model,
        "status": "partial" if counts["complete"] and len(present) > 1 else present[0],
        "reason": "; ".join(dict.fromkeys(reason for reason in runs["reason"].fillna("") if reason)),
        **counts,
    }
    measured = tidy[tidy["metric"] != "complete"].groupby(["level", "slice", "metric"], sort=False)["value"]
    for (level, part, metric), values in measured:
        name = metric if level == "run" else f"{level}.{part}.{metric}"
        row[f"{name}.mean"] = values.mean()
        row[f"{name}.std"] = values.std(ddof=1)
    return row
