"""Made-up decoding traces, and what a paper found of such."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd

from bench.seeds import seed_for
from bench.spec import PaperFinding, RunResult, RunSpec

TRACED = ("tiger", "glass", "glass-no-sid-tier")
N_QUERIES = 943


def make_trace(spec: RunSpec, levels: int = 4, beam: int = 20) -> pd.DataFrame:
    """A trace in which paths lose places at random; GLASS retrieves, and its gate opens the more it finds."""
    rng = np.random.default_rng(seed_for("trace", spec.label, spec.seed))
    columns: dict[str, np.ndarray] = {}
    rank = rng.geometric(0.15, N_QUERIES) - 1
    alive, best = np.ones(N_QUERIES, dtype=bool), np.ones(N_QUERIES, dtype=bool)
    for level in range(1, levels + 1):
        if level > 1:
            rank = np.maximum(rank + rng.geometric(0.4, N_QUERIES) - 2, 0)
        columns[f"path_rank_{level}"] = np.where(alive, rank, -1).astype(np.int32)
        alive = alive & (rank < beam)
        columns[f"in_beam_{level}"] = alive
        best = best & (rank == 0)
        columns[f"best_prefix_{level}"] = best
        columns[f"forced_rank_{level}"] = (rng.geometric(0.2, N_QUERIES) - 1).astype(np.int32)
        if level > 1:
            columns[f"after_wrong_{level}"] = (rng.geometric(0.05, N_QUERIES) - 1).astype(np.int32)
    if spec.label.startswith("glass"):
        found = np.minimum(np.maximum(rng.geometric(0.15, N_QUERIES) - 3, 0), 20).astype(np.int32)
        columns["retrieved"] = found
        opened = 0.2 + 0.02 * found + rng.normal(0, 0.05, N_QUERIES)
        columns["gate"] = np.where(found > 0, np.clip(opened, 0.01, 1), 0).astype(np.float32)
    return pd.DataFrame(columns)


def with_trace(result: RunResult) -> RunResult:
    """The result with a trace and training accuracies, where its model generates semantic IDs."""
    if result.spec.model not in TRACED:
        return result
    accuracy = [[0.01 * step, 0.02, 0.03, 0.04] for step in range(len(result.curve))]
    diagnostics = {**result.diagnostics, "training_accuracy": accuracy}
    return dataclasses.replace(result, decoding=make_trace(result.spec), diagnostics=diagnostics)


def found(metric: str, value: float, row: str = "tiger") -> PaperFinding:
    return PaperFinding(metric=metric, system="TIGER", value=value, dataset="TAOBAO-MM", source="a paper", row=row)


PAPER = (
    found("acc@1", 0.241),
    found("p@2", 0.147),
    found("crp@2", 1.25),
    found("gate", 1, "glass"),
    found("crp@3", 0.13, "sasrec-ce"),
)
