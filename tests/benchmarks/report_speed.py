"""How long a report takes: a generated suite of 20 models x 5 data sets x 5 seeds with 1,000 test queries each.

    python tests/benchmarks/report_speed.py
    taskset -c 0,1 python tests/benchmarks/report_speed.py    # Linux: on two processors

Nothing is trained: ranks, learning curves, semantic-ID health and decoding traces are drawn at random, with columns and
shapes as real runs leave them. Eight of the twenty models generate semantic IDs, six of these retrieve; targets occur
in all parts of the histories, so that no table and no figure is left out. The second figure is what `bench run` pays
for a report when one more run has ended, on one data set. Processor seconds are those of this process and, after the
plus, of its worker processes: on a busy machine they tell more than the clock.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import joblib
import numpy as np
import pandas as pd

from bench.report import write_report
from bench.reporting.figure_cache import FigureCache
from bench.seeds import seed_for
from bench.spec import Comparison, DatasetSpec, Entry, RunResult, RunSpec, Suite

LEVELS, BEAM, CODES = 4, 20, 256
GENERATIVE = ("tiger", "dualgr", "glass", "glass-no-gate", "glass-no-search", "glass-no-tier", "glass-10", "glass-50")
"""Models with semantic IDs; all but the first two retrieve."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Seconds for the report of a generated suite.")
    parser.add_argument("--models", type=int, default=20)
    parser.add_argument("--datasets", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--queries", type=int, default=1_000)
    parser.add_argument("--processes", type=int, default=joblib.cpu_count(), help="sections drawn at a time")
    parser.add_argument("--folder", type=Path, default=None, help="keep the report here")
    arguments = parser.parse_args()
    suite = make_suite(arguments.models, arguments.datasets, arguments.seeds)
    planned = [
        RunSpec(
            dataset=dataset, data_hash="generated", model=entry.model, revision=1, config={}, seed=seed, label=entry.row
        )
        for dataset in suite.datasets
        for entry in suite.models
        for seed in suite.seeds
    ]
    results = [make_result(spec, arguments.queries) for spec in planned]
    cache = FigureCache()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        for name, found in (("everything anew", results[:-1]), ("one more run", results)):
            started, before = time.perf_counter(), os.times()
            page = write_report(
                suite, planned, found, folder / "results", folder / "reports", "generated", arguments.processes, cache
            )
            seconds, after = time.perf_counter() - started, os.times()
            own = after.user + after.system - before.user - before.system
            others = after.children_user + after.children_system - before.children_user - before.children_system
            print(f"{name}: {seconds:.1f} s ({own:.1f} + {others:.1f} processor seconds)", flush=True)
        figures = list((page.parent / "figures").glob("*.svg"))
        size = (page.parent / "report.html").stat().st_size
        print(f"{len(results)} runs, {len(figures)} figures, {size / 2**20:.1f} MiB of HTML")


def make_suite(models: int, datasets: int, seeds: int) -> Suite:
    """A suite with a question, a floor and a comparison."""
    names = [*GENERATIVE, "popularity", *(f"id-model-{number}" for number in range(1, models))][:models]
    rows = tuple(name for name in names if name.startswith("glass"))
    comparisons = (
        Comparison(title="Parts", question="What does each part add?", rows=rows, against="glass", cost=True),
    )
    return Suite(
        name="generated",
        description="Generated results.",
        datasets=tuple(DatasetSpec(name=f"data-{number}") for number in range(1, datasets + 1)),
        models=tuple(Entry(model=name) for name in names),
        seeds=tuple(range(seeds)),
        questions=(("glass", "tiger"), ("glass", "popularity")),
        floor="popularity",
        comparisons=comparisons if len(rows) > 1 else (),
    )


def make_result(spec: RunSpec, n: int) -> RunResult:
    """A complete result with `n` queries, the same for every model of a data set."""
    rng = np.random.default_rng(seed_for("generated", spec.label, spec.dataset.label, spec.seed))
    quality = np.random.default_rng(seed_for("quality", spec.label)).uniform(0.05, 0.3)
    queries = _queries(spec, n)
    hit = rng.random(n) < quality * (1.5 - queries["target_quantile"])
    rank = np.where(hit, np.minimum(rng.geometric(0.1, n), 20), 0).astype(np.int16)
    generative, epochs = spec.label in GENERATIVE, np.arange(1, 31)
    return RunResult(
        spec=spec,
        status="complete",
        fit_seconds=rng.uniform(100, 1_000),
        recommend_seconds=2.0,
        milliseconds_per_user=rng.uniform(0.1, 5.0),
        parameters=0 if spec.label == "popularity" else 100_000 * (1 + seed_for(spec.label) % 20),
        best_epoch=30.0,
        validation=0.1,
        curve=[
            {
                "epoch": float(epoch),
                "step": 100 * int(epoch),
                "loss": 5.0,
                "validation": quality * (1 - np.exp(-epoch / 10)) + rng.normal(0, 0.002),
                "seconds": 20.0 * epoch,
            }
            for epoch in epochs
        ],
        diagnostics=_diagnostics(rng, len(epochs)) if generative else {},
        environment={"commit": "generated", "device": "cpu", "device_name": "none", "excluded": {}},
        queries=queries.assign(item_rank=rank, sid_rank=rank),
        decoding=_trace(spec, n, rng) if generative else None,
    )


def _queries(spec: RunSpec, n: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed_for("queries", spec.dataset.label))
    quantile = rng.beta(0.8, 3.0, n).astype(np.float32)
    lengths = np.clip(rng.lognormal(5.0, 1.2, n), 10, 4_000).astype(np.int32)
    gaps = {}
    for name, share in (("item_gap", 0.4), ("category_gap", 0.8)):
        back = np.minimum(rng.geometric(0.01, n), lengths)
        gaps[name] = np.where(rng.random(n) < share, back, 0).astype(np.int32)
    return pd.DataFrame(
        {
            "user": np.arange(n, dtype=np.int32),
            "target": (10_000 * quantile).astype(np.int32),
            "history_length": lengths,
            "target_count": (500 * (1 - quantile) ** 3).astype(np.int32),
            "target_quantile": quantile,
            **gaps,
        }
    )


def _diagnostics(rng: np.random.Generator, epochs: int) -> dict[str, object]:
    health = {"codebook_size": CODES, "used": 250, "utilisation": 250 / CODES, "perplexity": 200.0}
    health |= {"entropy": 5.3, "max_share": 0.02}
    return {
        "sid_health": [{"level": level, **health} for level in range(LEVELS)],
        "sid": {"collision_rate": 0.03, "unique_sids": 9_800, "n_items": 10_000, "tokenizer": "rq-kmeans"},
        "decoding": {"valid_share": 1.0},
        "training_accuracy": rng.random((epochs, LEVELS)).tolist(),
        "fidelity": [{"name": "trie", "status": "faithful", "source": "section 3", "note": "", "test": ""}],
    }


def _trace(spec: RunSpec, n: int, rng: np.random.Generator) -> pd.DataFrame:
    """What `bench.evaluation.decoding.trace_queries` returns, for paths that lose places at random."""
    columns: dict[str, np.ndarray] = {}
    rank = rng.geometric(0.15, n) - 1
    alive, best = np.ones(n, dtype=bool), np.ones(n, dtype=bool)
    for level in range(1, LEVELS + 1):
        if level > 1:
            rank = np.maximum(rank + rng.geometric(0.4, n) - 2, 0)
            columns[f"after_wrong_{level}"] = (rng.geometric(0.05, n) - 1).astype(np.int32)
        columns[f"path_rank_{level}"] = np.where(alive, rank, -1).astype(np.int32)
        columns[f"forced_rank_{level}"] = (rng.geometric(0.2, n) - 1).astype(np.int32)
        alive, best = alive & (rank < BEAM), best & (rank == 0)
        columns[f"in_beam_{level}"], columns[f"best_prefix_{level}"] = alive, best
    if spec.label.startswith("glass"):
        found = np.minimum(np.maximum(rng.geometric(0.15, n) - 3, 0), 20).astype(np.int32)
        columns["retrieved"] = found
        columns["gate"] = np.where(found > 0, rng.uniform(0.1, 0.9, n), 0).astype(np.float32)
    return pd.DataFrame(columns)


if __name__ == "__main__":
    main()
