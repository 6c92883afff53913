"""The made-up results with every column that `judge` writes; `made_up`'s own are like those of older code."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd

from bench.analysis.runs import SuiteRuns
from bench.seeds import seed_for
from bench.spec import RunResult


def enriched(grid: SuiteRuns, slices: Sequence[str] = ()) -> SuiteRuns:
    """A grid of the same runs: with ties, lists, gaps, facts about the target, and cold targets."""
    suite = grid.suite.model_copy(update={"slices": tuple(slices)})
    return SuiteRuns.of(suite, [run.spec for run in grid.runs], [_with_columns(result) for result in grid.results])


def _with_columns(result: RunResult) -> RunResult:
    queries = result.queries
    assert queries is not None
    n = len(queries)
    world = np.random.default_rng(seed_for("world", result.spec.dataset.label))
    random = np.random.default_rng(seed_for("lists", result.spec.label, result.spec.seed))
    ranks = queries["item_rank"].to_numpy()
    tied = (random.random(n) < 0.2) & (ranks > 0)
    columns = {
        "item_gap": world.choice([0, 1, 30, 51, 200], n).astype(np.int32),
        "category_gap": world.choice([0, 5, 90], n).astype(np.int32),
        "target_count": np.where(world.random(n) < 0.1, world.integers(0, 6, n), queries["target_count"] + 6),
        "tie_first": ranks,
        "tie_last": np.where(tied, np.minimum(ranks + 3, 20), ranks),
        "list_popularity": np.where(random.random(n) < 0.01, np.nan, random.beta(4, 2, n)).astype(np.float32),
        "list_novelty": random.normal(9, 1, n).astype(np.float32),
        "new_items": np.where(np.arange(n) < 60, random.integers(3, 11, n), 0).astype(np.int8),
        "item:genre": pd.Categorical(world.choice(["Drama", "Comedy", "War", ""], n, p=[0.5, 0.3, 0.1, 0.1])),
        "item:year": world.integers(1930, 1999, n),
    }
    return dataclasses.replace(result, queries=queries.assign(**columns))
