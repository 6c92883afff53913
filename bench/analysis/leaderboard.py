"""Run results as tables: one tidy row per measured value, and from these the wide leaderboard of a data set."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.analysis import diagnostics
from bench.analysis.csv_files import write_csv
from bench.analysis.grid import Grid, Run, generates_semantic_ids
from bench.evaluation.evaluator import K_MAX
from bench.evaluation.metrics import PRIMARY_METRIC, SECONDARY_METRIC, compute, expected
from bench.evaluation.shared_ids import shared_credit
from bench.evaluation.slices import Slices, named_slices
from bench.spec import RunResult

SCHEMA = 4
"""Version of the columns of the CSV files and of the names in them; raise it when one changes its meaning or goes."""

METRICS = ("hit@1", "recall@5", "recall@10", "recall@20", "ndcg@5", "ndcg@10", "ndcg@20")
LEVELS = ("item", "sid")
SLICES = ("overall", "head", "tail")
PART_METRICS = (PRIMARY_METRIC, SECONDARY_METRIC)
"""Metrics on the parts of the queries outside `FULL_FAMILIES`."""

REPETITION = ("repeat", "explore")
"""Parts of the family "repetition", with columns of `PART_METRICS` in the leaderboard; blank where a data set, or a
stored result, has no such parts."""

FULL_FAMILIES = (*SLICES, "reach", "category-reach")
"""Families of parts (`named_slices`) with all `METRICS`."""

LIST_METRICS = {"popularity@10": "list_popularity", "novelty@10": "list_novelty"}
"""What is recommended, whether or not it is the target: metric -> column of `QUERY_COLUMNS`."""

COSTS = ("fit_seconds", "milliseconds_per_user", "parameters")
SORTED_BY = f"item.overall.{PRIMARY_METRIC}.mean"

TIDY_COLUMNS = ("schema", "suite", "dataset", "model", "seed", "status", "reason", "level", "slice", "metric", "value")
"""Columns of `metrics.csv`, whose version is in `schema`.

`level` is "item" or "sid" for what is a mean over test queries:

- the `METRICS` on `overall`, `head`, `tail` and the parts by reach ("reach:far"), and `PART_METRICS` on all other parts
  ("cold:unseen", "history:<=50"; `named_slices` lists the families). Which of the parts exist differs by data set, so
  the wide table leaves all but the first three out. "queries" is the number of queries in a part (item level only).
- of the items: "cce-recall@10" and "cce-ndcg@10", the credit for a semantic ID divided among its items
  (`bench.evaluation.shared_ids`); "expected-recall@10" and "expected-ndcg@10", with equal scores in random order; and
  the `LIST_METRICS` (higher is more popular, or more novel); on `overall`, `head` and `tail`, and only where a result
  was stored with them.

`level` is "run" for what belongs to a run as a whole: its costs; "complete", which is 1 or 0 and exists for every
planned run, so that a failed, skipped or pending run has exactly one row, with its status and reason; "best_epoch",
"validation" and "peak_memory_mib" where known; "coverage@10", the share of the catalogue among anybody's first ten
items; of a row that knows the process behind generated data "best-possible-METRIC", what no model can exceed in
expectation on these queries; and for models with semantic IDs "collision_rate", "unique_sids", "catalogue_items",
"valid_share" and "item_hits_without_sid_hit", and on slice "code:D" how the codebook of level D is used
("codebook_size", "used", "utilisation", "perplexity", "entropy", "max_share").

Schema 1 had no column `schema`, only the first three parts and those by reach, and of level "run" only the costs and
"complete". Schema 2 had nothing of what is best possible. Schema 3 had no
`warning` in `leaderboard.csv`; `pairs.csv` and `tests.csv` had no `family_size`, `family` of `tests.csv` was what
`partition` is now, and its questions were tested by Recall@10.
"""

STATUSES = ("complete", "failed", "skipped", "pending")

EXTRA_SCORES = (
    *(f"item.overall.{metric}" for metric in (*(f"expected-{name}" for name in PART_METRICS), *LIST_METRICS)),
    "coverage@10",
    *(f"item.overall.cce-{name}" for name in PART_METRICS),
    *(f"{level}.{part}.{metric}" for level in LEVELS for part in REPETITION for metric in PART_METRICS),
)

LEADERBOARD_COLUMNS = (
    "schema",
    "model",
    "status",
    "reason",
    "warning",
    *STATUSES,
    *(
        f"{level}.{part}.{metric}.{statistic}"
        for level in LEVELS
        for part in SLICES
        for metric in METRICS
        for statistic in ("mean", "std")
    ),
    *(f"{score}.{statistic}" for score in (*COSTS, *EXTRA_SCORES) for statistic in ("mean", "std")),
)
"""Columns of `leaderboard.csv`, in this order.

`status` is "complete", "partial" (some runs complete), or else the first of "failed", "skipped" and "pending" that
occurs. `warning` says why a row is no evidence (`bench.analysis.fitness`); it is blank for all others. The number of
runs per status follows, where `complete` is the number of seeds behind every mean. Means and
standard deviations (ddof=1; blank with one seed) are named LEVEL.SLICE.METRIC.STATISTIC; SID level is blank for models
without semantic IDs, and so is what a result was stored without.
"""


def tidy_metrics(grid: Grid) -> pd.DataFrame:
    """Every measured value of every planned run, one a row, with the columns `TIDY_COLUMNS`."""
    rows = [
        (
            SCHEMA,
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
        for level, part, metric, value in _values(run, grid.suite.slices)
    ]
    return pd.DataFrame(rows, columns=list(TIDY_COLUMNS))


def leaderboard(tidy: pd.DataFrame) -> pd.DataFrame:
    """The wide table of one data set, one row per model, best mean of the primary metric first.

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


def write_leaderboards(
    grid: Grid, results_dir: Path, judged: Callable[[Grid, pd.DataFrame], pd.DataFrame] = lambda runs, wide: wide
) -> dict[str, pd.DataFrame]:
    """Writes `RESULTS/SUITE/DATASET/leaderboard.csv` and `metrics.csv` for each data set.

    Args:
        grid: The whole suite.
        results_dir: Where results live.
        judged: From the runs on a data set and its wide table to the same table with what follows from tests: its
            warnings.

    Returns:
        The wide table of each data set, by label.
    """
    tables = {}
    for dataset in grid.datasets:
        runs = grid.on(dataset)
        tidy = tidy_metrics(runs)
        wide = judged(runs, leaderboard(tidy))
        folder = results_dir / grid.suite.name / dataset
        write_csv(tidy, folder / "metrics.csv")
        write_csv(wide, folder / "leaderboard.csv", float_format="%.10g")
        tables[dataset] = wide
    return tables


def _values(run: Run, columns: tuple[str, ...]) -> Iterator[tuple[str, str, str, float]]:
    """(level, slice, metric, value) of one run; `columns` are the suite's slices by item table."""
    result = run.result
    yield "run", "overall", "complete", float(run.status == "complete")
    if result is None or result.queries is None or result.status != "complete":
        return
    yield from (("run", part, metric, value) for part, metric, value in _run_values(result))
    slices = named_slices(result.queries, columns)
    masks = np.column_stack(list(slices.values())).astype(np.float64)
    for level in LEVELS if generates_semantic_ids(result) else LEVELS[:1]:
        ranks = result.queries[f"{level}_rank"].to_numpy()
        scores = {metric: compute(metric, ranks, K_MAX) for metric in METRICS}
        if level == "item":
            scores |= _list_scores(result.queries) | {"queries": np.ones(len(ranks))}
        for metric, per_query in scores.items():
            known = np.isfinite(per_query)
            sums, sizes = np.where(known, per_query, 0.0) @ masks, known @ masks
            for part, total, size in zip(slices, sums.tolist(), sizes.tolist(), strict=True):
                if metric == "queries":
                    yield level, part, metric, total
                elif metric in PART_METRICS or part in SLICES or (metric in METRICS and _family(part) in FULL_FAMILIES):
                    yield level, part, metric, total / size if size else np.nan


def _family(part: str) -> str:
    return part.partition(":")[0]


def _list_scores(queries: pd.DataFrame) -> dict[str, NDArray[np.float64]]:
    """What else can be said of the lists, one value per query; only what the table was stored with."""
    scores = {}
    if "tie_first" in queries:
        first, last = queries["tie_first"].to_numpy(), queries["tie_last"].to_numpy()
        scores = {f"expected-{metric}": expected(metric, first, last, K_MAX) for metric in PART_METRICS}
    if "sid_group" in queries:
        ranks, sizes = queries["sid_rank"].to_numpy(), queries["sid_group"].to_numpy()
        scores |= {f"cce-{metric}": shared_credit(metric, ranks, sizes, K_MAX) for metric in PART_METRICS}
    known = {metric: column for metric, column in LIST_METRICS.items() if column in queries}
    return scores | {metric: queries[column].to_numpy(dtype=np.float64) for metric, column in known.items()}


def _run_values(result: RunResult) -> Iterator[tuple[str, str, float]]:
    """(slice, metric, value) of what belongs to a run as a whole."""
    assert result.queries is not None  # a complete result has its queries
    for cost in COSTS:
        yield "overall", cost, float(getattr(result, cost))
    sid = diagnostics.sids(result)
    values = {
        "best_epoch": result.best_epoch,
        "validation": result.validation,
        "peak_memory_mib": result.environment.get("peak_memory_mib"),
        "coverage@10": _coverage(result),
        "collision_rate": sid.collision_rate,
        "unique_sids": sid.unique_sids,
        "catalogue_items": sid.n_items,
        "valid_share": diagnostics.valid_share(result),
        "item_hits_without_sid_hit": hits_beyond_sid_level(result) if generates_semantic_ids(result) else None,
    }
    for metric, value in values.items():
        if value is not None:
            yield "overall", metric, float(value)
    for metric, value in best_possible(result).items():
        yield "overall", f"best-possible-{metric}", value
    for level in diagnostics.sid_health(result):
        for metric in ("codebook_size", "used", "utilisation", "perplexity", "entropy", "max_share"):
            yield f"code:{level.level}", metric, float(getattr(level, metric))


def best_possible(result: RunResult) -> dict[str, float]:
    """Metric -> the highest expectation of any model on these queries, from a row that knows how they were generated.

    Empty for all other rows.
    """
    exact = diagnostics.exact(result)
    names = {metric: "recall@1" if metric == "hit@1" else metric for metric in METRICS}
    return {metric: float(exact[name]) for metric, name in names.items() if name in exact}


def _coverage(result: RunResult) -> float | None:
    """Share of the catalogue that is among the first ten items of any test query. None where that was not stored."""
    n_items = result.environment.get("dataset", {}).get("items")
    if result.queries is None or "new_items" not in result.queries or not n_items:
        return None
    return float(result.queries["new_items"].sum()) / n_items


def hits_beyond_sid_level(result: RunResult) -> int:
    """Queries whose target was found at item level, but not as early or not at all at SID level: always a bug."""
    assert result.queries is not None  # a complete result has its queries
    item, sid = result.queries["item_rank"].to_numpy(), result.queries["sid_rank"].to_numpy()
    return int(((item > 0) & ((sid == 0) | (sid > item))).sum())


def _leaderboard_row(model: str, tidy: pd.DataFrame) -> dict[str, Any]:
    runs = tidy[tidy["metric"] == "complete"]
    counts = {status: int((runs["status"] == status).sum()) for status in STATUSES}
    present = [status for status, count in counts.items() if count]
    row: dict[str, Any] = {
        "schema": SCHEMA,
        "model": model,
        "status": "partial" if counts["complete"] and len(present) > 1 else present[0],
        "reason": "; ".join(dict.fromkeys(reason for reason in runs["reason"].fillna("") if reason)),
        "warning": "",  # known after the tests, see `bench.analysis.fitness.with_warnings`
        **counts,
    }
    measured = tidy[tidy["metric"] != "complete"].groupby(["level", "slice", "metric"], sort=False)["value"]
    for (level, part, metric), values in measured:
        if level == "run" and part != "overall":
            continue
        name = metric if level == "run" else f"{level}.{part.removeprefix('repetition:')}.{metric}"
        row[f"{name}.mean"] = values.mean()
        row[f"{name}.std"] = values.std(ddof=1)
    return row
