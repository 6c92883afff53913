"""Small suites with results of any shape: a few rows, a hundred queries, ranks as they are told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bench.analysis.runs import SuiteRuns
from bench.spec import DatasetSpec, Entry, RunResult, RunSpec, Suite

N_ITEMS = 1_000

Ranks = Callable[[str, str, int], np.ndarray]
"""(data set, row, seed) -> int `[n_queries]`, 0 for a miss."""


def result_of(
    spec: RunSpec, ranks: np.ndarray, items_in_lists: int = N_ITEMS // 2, n_items: int = N_ITEMS, **changes: Any
) -> RunResult:
    """A complete result.

    Args:
        spec: What was run.
        ranks: Of the targets, int `[n_queries]`.
        items_in_lists: How many items are among anybody's first ten.
        n_items: Of the catalogue.
        changes: Other fields of the result.
    """
    n = len(ranks)
    new_items = np.zeros(n, np.int16)
    new_items[0] = items_in_lists
    queries = pd.DataFrame(
        {
            "user": np.arange(n, dtype=np.int32),
            "target": np.arange(n, dtype=np.int32) % n_items,
            "history_length": np.full(n, 60, np.int32),
            "target_count": np.full(n, 10, np.int32),
            "target_quantile": np.linspace(0, 1, n, dtype=np.float32),
            "item_gap": np.resize(np.array([1, 60, 0], np.int32), n),
            "category_gap": np.zeros(n, np.int32),
            "item_rank": ranks.astype(np.int16),
            "sid_rank": ranks.astype(np.int16),
            "new_items": new_items,
            "list_popularity": np.full(n, 0.5, np.float32),
            "list_novelty": np.full(n, 9.0, np.float32),
        }
    )
    environment = {"commit": "c", "device": "cpu", "dataset": {"name": spec.dataset.name, "items": n_items}}
    told: dict[str, Any] = {
        "fit_seconds": 1.0,
        "milliseconds_per_user": 1.0,
        "parameters": 0 if spec.model == "popularity" else 1_000,
        "diagnostics": {"decoding": {}} if spec.model == "tiger" else {},
        "environment": environment,
    }
    return RunResult(spec, "complete", queries=queries, **{**told, **changes})


def suite_of(rows: Sequence[str], datasets: Sequence[str] = ("d",), seeds: int = 1, **asked: Any) -> Suite:
    """A suite of rows named "MODEL" or "MODEL-ANYTHING", where MODEL is popularity, tiger or hstu.

    Args:
        rows: Labels.
        datasets: Names.
        seeds: Number of seeds.
        asked: Other fields of the suite: questions, comparisons, floor.
    """
    entries = tuple(Entry(model=row.partition("-")[0], label=row) for row in rows)
    named = tuple(DatasetSpec(name=name) for name in datasets)
    return Suite(name="small", description="", datasets=named, models=entries, seeds=tuple(range(seeds)), **asked)


def plan(suite: Suite) -> list[RunSpec]:
    """Every run, first seeds first."""
    return [
        RunSpec(dataset=data, data_hash="h", model=e.model, revision=1, config={"r": e.row}, seed=seed, label=e.row)
        for seed in suite.seeds
        for data in suite.datasets
        for e in suite.models
    ]


def grid_of(suite: Suite, ranks: Ranks, **changes: Any) -> SuiteRuns:
    """The suite with complete runs; `changes` go to `result_of`, by row where they are mappings."""
    results = []
    for spec in plan(suite):
        own = {name: value[spec.label] for name, value in changes.items() if spec.label in value}
        results.append(result_of(spec, ranks(spec.dataset.name, spec.label, spec.seed), **own))
    return SuiteRuns.of(suite, plan(suite), results)
