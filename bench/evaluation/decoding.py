"""Where decoding loses a target: one row per test query, and what follows from these rows level by level.

The aggregates are those of GLASS (arXiv 2602.05663, Analyses): accuracy per level, prefix precision, Conditional Rank
Progression, and the gate against the number of retrieved events. They take the table of `trace_queries`, whose rows are
those of `bench.evaluation.evaluator.judge`, and return one value per level where nothing else is said.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.data.protocols import Queries
from bench.evaluation.contract import ContractError, check_trace
from bench.evaluation.evaluator import K_MAX
from bench.recommender import DecodingTrace, Recommender

DECODING_COLUMNS = {
    "path_rank_D": "int32, place of the target's first D codes among all continuations of the beam at level D, 0 is "
    "best; -1 where the first D - 1 codes were no longer in the beam",
    "in_beam_D": "bool, whether the target's first D codes are in the beam after level D",
    "best_prefix_D": "bool, whether the best generated semantic ID begins with the target's first D codes",
    "forced_rank_D": "int32, place of the target's code of level D among the codes that share the level's probability "
    "(all of its codebook, unless the model says otherwise), given the target's codes before it, 0 is best",
    "after_wrong_D": "int32, the same from D = 2 on, with the most probable other first code in the place of the "
    "target's; -1 where there is none, or where only codes that continue an item's share the probability",
    "retrieved": "int32, long-term events that the decoder reads given the target's first code; only for models "
    "that retrieve",
    "gate": "float32, mean gate given the target's codes; only for models with a gate",
}
"""Columns of the table of `trace_queries`; D counts the levels of the generated ID from 1."""

FIRST_PLACES = {"1": (0, 0), "2": (1, 1), "3-5": (2, 4), "6-10": (5, 9), "11-20": (10, 19), ">20": (20, np.inf)}
"""Groups of queries by the place of the target's first code: name -> first and last 0-based place."""

RETRIEVED_EDGES = (1, 2, 5, 10, 20, 50)
"""Fewest retrieved events of each bin but the first, which holds the queries for which nothing was found."""

Levels = NDArray[np.float64]


def trace_queries(
    recommender: Recommender, queries: Queries, batch_size: int = 256, k: int = K_MAX
) -> pd.DataFrame | None:
    """Asks a recommender what happened to each target while it generated.

    Args:
        recommender: Fitted, and judged already: this is the one call that is told the targets.
        queries: Histories and targets.
        batch_size: Queries per call.
        k: Length of the lists in the test, which decides the width of the beam.

    Returns:
        A table with the columns `DECODING_COLUMNS`, in the order of the queries; None for models without a trace.

    Raises:
        ContractError: A trace does not keep to `DecodingTrace`, or is not of the same kind for all queries.
    """
    parts = []
    for start in range(0, len(queries), batch_size):
        stop = min(start + batch_size, len(queries))
        trace = recommender.trace(queries.histories(start, stop), queries.targets[start:stop].copy(), k)
        if trace is not None:
            check_trace(trace, stop - start)
            parts.append(_as_table(trace))
        kinds = {tuple(part) for part in parts}
        if len(kinds) > 1 or (trace is None and parts):
            raise ContractError("trace returned other levels or fields for some queries than for others")
        if trace is None:
            return None
    return pd.concat(parts, ignore_index=True) if parts else None


def n_levels(table: pd.DataFrame) -> int:
    """Levels of the generated semantic ID."""
    return sum(str(column).startswith("path_rank_") for column in table.columns)


def forced_accuracy(table: pd.DataFrame) -> Levels:
    """Share of queries whose target code is the most probable one, given the target's codes before it."""
    return (_per_level(table, "forced_rank") == 0).mean(axis=0)


def prefix_precision(table: pd.DataFrame) -> Levels:
    """P_1, P_12, P_123, ...: share of queries whose best generated ID begins with the target's first D codes."""
    return _per_level(table, "best_prefix").mean(axis=0)


def survival(table: pd.DataFrame) -> Levels:
    """Share of queries whose target is still in the beam after level D."""
    return _per_level(table, "in_beam").mean(axis=0)


def conditional_rank(table: pd.DataFrame) -> Levels:
    """CRP_D as its definition reads: the mean 0-based place of the target's first D codes among all continuations.

    It is taken over the queries whose first D - 1 codes are in the beam; NaN where there are none.
    """
    ranks = _per_level(table, "path_rank")
    return _means(ranks, ranks >= 0)


def rank_progression(table: pd.DataFrame) -> Levels:
    """CRP_D as its name reads: how many places the target's path loses from level D - 1 to level D, in the mean.

    It is taken over the queries whose path is in the beam after both levels; NaN at level 1 and where there are none.
    """
    lost = np.diff(_per_level(table, "path_rank"), axis=1, prepend=0)
    return _means(lost, _in_beam_at_both(table))


def conditional_sizes(table: pd.DataFrame) -> NDArray[np.int64]:
    """Queries behind each value of `conditional_rank`."""
    return (_per_level(table, "path_rank") >= 0).sum(axis=0)


def progression_sizes(table: pd.DataFrame) -> NDArray[np.int64]:
    """Queries behind each value of `rank_progression`."""
    return _in_beam_at_both(table).sum(axis=0)


def wrong_first_code(table: pd.DataFrame) -> pd.DataFrame:
    """What a wrong first code costs the later levels, with everything else as in the target.

    Returns:
        One row per level from 2 on: level, queries, mean_rank and accuracy given the target's first code, and
        mean_rank_wrong and accuracy_wrong given the most probable other one.
    """
    rows = []
    for level in range(2, n_levels(table) + 1):
        wrong = table[f"after_wrong_{level}"].to_numpy()
        known = wrong >= 0
        right, wrong = table[f"forced_rank_{level}"].to_numpy()[known], wrong[known]
        if len(wrong):
            rows.append((level, len(wrong), right.mean(), (right == 0).mean(), wrong.mean(), (wrong == 0).mean()))
    columns = ["level", "queries", "mean_rank", "accuracy", "mean_rank_wrong", "accuracy_wrong"]
    return pd.DataFrame(rows, columns=columns)


def by_first_place(table: pd.DataFrame, item_ranks: NDArray[np.int16], k: int = 10) -> pd.DataFrame:
    """What becomes of a query by the place that the model gives to the target's first code.

    Args:
        table: From `trace_queries`.
        item_ranks: int16 `[n]`, 1-based place of the target in the list of the same query, 0 when absent.
        k: Length of the list in which a hit counts.

    Returns:
        One row per group of `FIRST_PLACES` that has queries: place, queries, hit (share with the target among the first
        `k`), and forced_rank_D for D = 2, ..., the mean place of the target's later codes given its own codes before.
    """
    first = table["path_rank_1"].to_numpy()
    hits = (item_ranks > 0) & (item_ranks <= k)
    later = [f"forced_rank_{level}" for level in range(2, n_levels(table) + 1)]
    rows: list[dict[str, Any]] = []
    for name, (low, high) in FIRST_PLACES.items():
        mask = (first >= low) & (first <= high)
        if mask.any():
            rows.append(
                {"place": name, "queries": int(mask.sum()), "hit": float(hits[mask].mean())}
                | {column: float(table[column].to_numpy()[mask].mean()) for column in later}
            )
    return pd.DataFrame(rows, columns=["place", "queries", "hit", *later])


def gate_by_retrieved(table: pd.DataFrame, edges: tuple[int, ...] = RETRIEVED_EDGES) -> pd.DataFrame:
    """The gate by the number of events that were retrieved.

    Returns:
        One row per bin that has queries, fewest events first: retrieved ("0", "1", "2-4", ..., ">=50"), queries, gate
        (mean). Empty for models without a gate.
    """
    if "gate" not in table or "retrieved" not in table:
        return pd.DataFrame(columns=["retrieved", "queries", "gate"])
    part = np.digitize(table["retrieved"].to_numpy(), edges)
    names = [_bin_name(low, high) for low, high in zip((0, *edges), (*edges, None), strict=True)]
    gate = table["gate"].to_numpy(dtype=np.float64)
    rows = [(names[i], int((part == i).sum()), gate[part == i].mean()) for i in np.unique(part)]
    return pd.DataFrame(rows, columns=["retrieved", "queries", "gate"])


def retrieved_histogram(table: pd.DataFrame) -> NDArray[np.int64]:
    """int64 `[most + 1]`, queries for which 0, 1, 2, ... events were retrieved; empty for models that retrieve none."""
    if "retrieved" not in table:
        return np.zeros(0, dtype=np.int64)
    return np.bincount(table["retrieved"].to_numpy())


def _as_table(trace: DecodingTrace) -> pd.DataFrame:
    columns: dict[str, NDArray[Any]] = {}
    fields = {"path_rank": np.int32, "in_beam": np.bool_, "best_prefix": np.bool_, "forced_rank": np.int32}
    for name, kind in fields.items():
        for level, values in enumerate(getattr(trace, name).T, start=1):
            columns[f"{name}_{level}"] = values.astype(kind)
    for level, values in enumerate(trace.after_wrong.T, start=2):
        columns[f"after_wrong_{level}"] = values.astype(np.int32)
    if trace.retrieved is not None:
        columns["retrieved"] = trace.retrieved.astype(np.int32)
    if trace.gate is not None:
        columns["gate"] = trace.gate.astype(np.float32)
    return pd.DataFrame(columns)


def _per_level(table: pd.DataFrame, name: str) -> NDArray[Any]:
    """`[n, levels]`, one column of `table` per level."""
    return np.column_stack([table[f"{name}_{level}"].to_numpy() for level in range(1, n_levels(table) + 1)])


def _in_beam_at_both(table: pd.DataFrame) -> NDArray[np.bool_]:
    """Whether the target's path is in the beam after a level and after the one before, bool `[n, levels]`."""
    kept = _per_level(table, "in_beam")
    return kept & np.column_stack([np.zeros(len(kept), dtype=bool), kept[:, :-1]])


def _means(values: NDArray[Any], chosen: NDArray[np.bool_]) -> Levels:
    """Mean of the chosen values of each column; NaN where none is chosen."""
    sums, counts = np.where(chosen, values, 0).sum(axis=0), chosen.sum(axis=0)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _bin_name(low: int, high: int | None) -> str:
    if high is None:
        return f">={low}"
    return f"{low}" if high == low + 1 else f"{low}-{high - 1}"
