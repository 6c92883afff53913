"""Run results as tables: one tidy row per measured value, and from these the wide leaderboard of a data set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.analysis import diagnostics
from bench.analysis.columns import (
    COSTS,
    IDENTITY_NAMES,
    LEADERBOARD,
    LEVELS,
    METRICS,
    PART_METRICS,
    RANKING_METRICS,
    SCHEMA,
    SLICES,
    STATUSES,
)
from bench.analysis.report_columns import SLICED
from bench.analysis.runs import Run, SuiteRuns, generates_semantic_ids
from bench.conventions import PRIMARY_METRIC
from bench.evaluation.evaluator import K_MAX
from bench.evaluation.metrics import compute, expected
from bench.evaluation.shared_ids import shared_credit
from bench.evaluation.slices import named_slices
from bench.spec import RunResult

HEAD_TAIL = "head-tail"
"""The family of `head` and `tail` in the frame of `slices`."""

FULL_FAMILIES = (*SLICES, "reach", "category-reach")
"""Families of parts (`named_slices`) with all `RANKING_METRICS`."""

_OF_LISTS = {"popularity@10": "list_popularity", "novelty@10": "list_novelty"}
"""What is recommended, whether or not it is the target: metric -> column of `QUERY_COLUMNS`."""

MEAN = f"item.overall.{PRIMARY_METRIC}.mean"
"""The column of the leaderboard with the primary metric, by which it is sorted."""

STD, SID_MEAN = f"item.overall.{PRIMARY_METRIC}.std", f"sid.overall.{PRIMARY_METRIC}.mean"
"""Its deviation over seeds, and its mean at SID level."""


def tidy_metrics(runs: SuiteRuns) -> pd.DataFrame:
    """Every measured value of every planned run, one a row, with the columns `bench.analysis.columns.METRICS`.

    `level` is "item" or "sid" for what is a mean over test queries:

    - the `RANKING_METRICS` on `overall`, `head`, `tail` and the parts by reach ("reach:far"), and `PART_METRICS` on all
      other parts ("cold:unseen", "history:<=50"; `named_slices` lists the families). Which of the parts exist differs
      by data set, so the leaderboard leaves all but the first three out. "queries" is the number of queries in a part
      (item level only).
    - of the items: "cce-recall@10" and "cce-ndcg@10", the credit for a semantic ID divided among its items
      (`bench.evaluation.shared_ids`); "expected-recall@10" and "expected-ndcg@10", with equal scores in random order;
      and the `LIST_METRICS` (higher is more popular, or more novel), on `overall`, `head` and `tail`; only where a
      result was stored with them.

    `level` is "run" for what belongs to a run as a whole: its costs; "complete", which is 1 or 0 and exists for every
    planned run, so that a failed, skipped or pending run has exactly one row, with its status and reason; "best_epoch",
    "validation" and "peak_memory_mib" where known; "coverage@10", the share of the catalogue among anybody's first ten
    items; of a row that knows the process behind generated data "best-possible-METRIC", what no model can exceed in
    expectation on these queries; and for models with semantic IDs "collision_rate", "unique_sids", "catalogue_items",
    "valid_share" and "item_hits_without_sid_hit", and on slice "code:D" how the codebook of level D is used
    ("codebook_size", "used", "utilisation", "perplexity", "entropy", "max_share").
    """
    identities = {name: runs.on(name).identities() for name in runs.datasets}
    rows: list[tuple[object, ...]] = []
    for run in runs.runs:
        dataset = run.spec.dataset.label
        identity = identities[dataset][run.spec.label]
        head = (SCHEMA, runs.suite.name, dataset, *identity, run.spec.seed, run.status, run.reason)
        rows += [(*head, *value) for value in _values(run, runs.suite.slices)]
    return METRICS.frame(rows)


def leaderboard(tidy: pd.DataFrame) -> pd.DataFrame:
    """The wide table of one data set, one line a row of the suite, best mean of the primary metric first.

    Args:
        tidy: Rows of one data set from `tidy_metrics`, or its CSV read back.

    Returns:
        A frame with the columns `bench.analysis.columns.LEADERBOARD`.
    """
    runs, scores = tidy[tidy["metric"] == "complete"], _over_seeds(tidy[tidy["metric"] != "complete"])
    rows = [_row(of_row) | scores.get(str(row), {}) for row, of_row in runs.groupby("row", sort=False)]
    wide = pd.DataFrame(rows, columns=LEADERBOARD.names)
    return LEADERBOARD.checked(
        wide.sort_values(MEAN, ascending=False, kind="stable", na_position="last", ignore_index=True)
    )


def slices(tidy: pd.DataFrame, columns: Sequence[str] = ()) -> pd.DataFrame:
    """The primary metric at item level on every part of the queries that has any, over seeds.

    Args:
        tidy: Rows of one data set from `tidy_metrics`.
        columns: The suite's slices by item table.

    Returns:
        A frame with the columns `bench.analysis.report_columns.SLICED`, rows and parts in the order of `tidy`.
    """
    at_items = tidy.loc[tidy["level"] == "item", [*IDENTITY_NAMES, "seed", "slice", "metric", "value"]]
    sizes = at_items.loc[at_items["metric"] == "queries", ["row", "seed", "slice", "value"]]
    measured = at_items[at_items["metric"] == PRIMARY_METRIC].merge(
        sizes.rename(columns={"value": "queries"}), how="left", on=["row", "seed", "slice"]
    )
    names = {name: _family_and_part(name, columns) for name in measured["slice"].unique()}
    rows = []
    for key, part in measured[measured["queries"] > 0].groupby([*IDENTITY_NAMES, "slice"], sort=False):
        values = part["value"].tolist()
        deviation = float(np.std(values, ddof=1)) if len(values) > 1 else np.nan
        size = int(part["queries"].iloc[-1])
        rows.append((*key[:3], *names[key[3]], size, len(values), float(np.mean(values)), deviation))
    order = {row: position for position, row in enumerate(measured["row"].unique())}
    return SLICED.frame(sorted(rows, key=lambda row: order[row[0]]))


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
        scores = {metric: compute(metric, ranks, K_MAX) for metric in RANKING_METRICS}
        if level == "item":
            scores |= _list_scores(result.queries) | {"queries": np.ones(len(ranks))}
        for metric, per_query in scores.items():
            known = np.isfinite(per_query)
            sums, sizes = np.where(known, per_query, 0.0) @ masks, known @ masks
            for part, total, size in zip(slices, sums.tolist(), sizes.tolist(), strict=True):
                if metric == "queries":
                    yield level, part, metric, total
                elif (
                    metric in PART_METRICS
                    or part in SLICES
                    or (metric in RANKING_METRICS and _family(part) in FULL_FAMILIES)
                ):
                    yield level, part, metric, total / size if size else np.nan


def _family(part: str) -> str:
    return part.partition(":")[0]


def _family_and_part(name: str, columns: Sequence[str]) -> tuple[str, str]:
    """What the name of a slice says: "reach:far" is the part "far" of the family "reach"."""
    if name in SLICES:
        return ("overall" if name == "overall" else HEAD_TAIL), name
    of_columns = [f"item.{column}" for column in columns if name.startswith(f"item.{column}:")]
    family = max(of_columns, key=len, default=_family(name))
    return family, name.removeprefix(f"{family}:")


def _list_scores(queries: pd.DataFrame) -> dict[str, NDArray[np.float64]]:
    """What else can be said of the lists, one value per query; only what the table was stored with."""
    scores = {}
    if "tie_first" in queries:
        first, last = queries["tie_first"].to_numpy(), queries["tie_last"].to_numpy()
        scores = {f"expected-{metric}": expected(metric, first, last, K_MAX) for metric in PART_METRICS}
    if "sid_group" in queries:
        ranks, sizes = queries["sid_rank"].to_numpy(), queries["sid_group"].to_numpy()
        scores |= {f"cce-{metric}": shared_credit(metric, ranks, sizes, K_MAX) for metric in PART_METRICS}
    known = {metric: column for metric, column in _OF_LISTS.items() if column in queries}
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
    names = {metric: "recall@1" if metric == "hit@1" else metric for metric in RANKING_METRICS}
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


def _row(runs: pd.DataFrame) -> dict[str, Any]:
    """What the leaderboard says of a row beside its scores; `runs` has one line a planned run."""
    counts = {status: int((runs["status"] == status).sum()) for status in STATUSES}
    present = [status for status, count in counts.items() if count]
    return {
        "schema": SCHEMA,
        **{name: runs[name].iloc[0] for name in IDENTITY_NAMES},
        "status": "partial" if counts["complete"] and len(present) > 1 else present[0],
        "reason": "; ".join(dict.fromkeys(reason for reason in runs["reason"].fillna("") if reason)),
        "warning": "",  # known after the tests, see `bench.analysis.fitness.with_warnings`
        **counts,
    }


def _over_seeds(measured: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Row -> column of the leaderboard -> mean, or standard deviation (ddof=1), over the seeds with a value.

    All at once, since a group at a time takes ten times as long.
    """
    whole = measured[(measured["level"] != "run") | (measured["slice"] == "overall")]
    groups = whole.groupby(["row", "level", "slice", "metric"], sort=False)
    index, values = groups.ngroup().to_numpy(), whole["value"].to_numpy(dtype=np.float64)
    known = ~np.isnan(values)
    index, values = index[known], values[known]
    names = groups.head(1)[["row", "level", "slice", "metric"]].itertuples(index=False, name=None)
    counts = np.bincount(index, minlength=len(groups)).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):  # blank where there is no value, or a single one
        means = np.bincount(index, values, len(counts)) / counts
        squares = np.bincount(index, (means[index] - values) ** 2, len(counts))
        deviations = np.sqrt(np.where(counts > 1, squares / (counts - 1), np.nan))
    scores: dict[str, dict[str, float]] = {}
    for (row, level, part, metric), mean, deviation in zip(names, means.tolist(), deviations.tolist(), strict=True):
        name = metric if level == "run" else f"{level}.{part.removeprefix('repetition:')}.{metric}"
        scores.setdefault(str(row), {}).update({f"{name}.mean": mean, f"{name}.std": deviation})
    return scores
