"""A made-up suite with results that look like real ones: eleven models, three seeds, 943 queries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from bench.seeds import seed_for
from bench.spec import DatasetSpec, Entry, Published, RunResult, RunSpec, Suite

N_QUERIES = 943
N_ITEMS = 1682

# skill: chance of a hit at a popular item; tail: what is left of it at the rarest; long: gain per 100 events
MODELS: dict[str, dict[str, Any]] = {
    "popularity": {"skill": 0.10, "tail": 0.0, "long": 0.0, "parameters": 0, "seconds": 0.02},
    "personal-popularity": {"skill": 0.03, "tail": 0.3, "long": 0.0, "parameters": 0, "seconds": 0.03},
    "item-knn": {"skill": 0.17, "tail": 0.2, "long": -0.01, "parameters": 0, "seconds": 1.2},
    "gru4rec": {"skill": 0.21, "tail": 0.3, "long": -0.01, "parameters": 260_000, "seconds": 160.0},
    "sasrec-ce": {"skill": 0.24, "tail": 0.35, "long": -0.01, "parameters": 190_000, "seconds": 210.0},
    "hstu": {"skill": 0.24, "tail": 0.35, "long": 0.0, "parameters": 210_000, "seconds": 240.0},
    "sim": {"skill": 0.20, "tail": 0.25, "long": 0.01, "parameters": 280_000, "seconds": 400.0},
    "tiger": {"skill": 0.23, "tail": 0.4, "long": 0.0, "parameters": 1_400_000, "seconds": 520.0, "sids": True},
    "glass": {"skill": 0.25, "tail": 0.45, "long": 0.03, "parameters": 1_900_000, "seconds": 800.0, "sids": True},
    "glass-no-sid-tier": {
        "skill": 0.24,
        "tail": 0.4,
        "long": 0.02,
        "parameters": 1_700_000,
        "seconds": 750.0,
        "sids": True,
    },
    "gru4rec-recbole": {"skill": 0.19, "tail": 0.3, "long": 0.0, "parameters": 270_000, "seconds": 1500.0},
}

PUBLISHED = Published(metric="recall@10", value=0.1103, tolerance=0.15, source="RecBole documentation")


def make_suite(datasets: tuple[str, ...] = ("ml-100k",), seeds: tuple[int, ...] = (0, 1, 2)) -> Suite:
    entries = tuple(
        Entry(
            model=name,
            published={"ml-100k": (PUBLISHED,)} if name == "gru4rec-recbole" else {},
            note="searches by genre" if name == "sim" else "",
        )
        for name in MODELS
    )
    return Suite(
        name="made-up",
        description="A suite for tests.",
        datasets=tuple(DatasetSpec(name=name) for name in datasets),
        models=entries,
        seeds=seeds,
        questions=(("glass", "tiger"), ("sim", "item-knn")),
        floor="popularity",
    )


def plan(suite: Suite) -> list[RunSpec]:
    """First seeds first, as the scheduler orders them."""
    return [
        RunSpec(
            dataset=dataset,
            data_hash="0123456789abcdef",
            model=entry.model,
            revision=1,
            config=entry.config,
            seed=seed,
            label=entry.row,
        )
        for seed in suite.seeds
        for dataset in suite.datasets
        for entry in suite.models
    ]


def make_queries(spec: RunSpec) -> pd.DataFrame:
    world = np.random.default_rng(seed_for("queries", spec.dataset.label))
    quantile = world.beta(0.8, 3.0, N_QUERIES)
    length = np.clip(world.lognormal(4.3, 0.9, N_QUERIES), 17, 735).astype(np.int32)
    luck = world.random(N_QUERIES)  # shared by all models: some users are easy for everybody

    traits = MODELS[spec.model]
    random = np.random.default_rng(seed_for(spec.label, spec.dataset.label, spec.seed))
    chance = traits["skill"] * (1 - quantile * (1 - traits["tail"])) + traits["long"] * length / 100
    hits = 0.6 * luck + 0.4 * random.random(N_QUERIES) < 0.6 * chance + 0.12
    item_rank = np.where(hits, np.minimum(random.geometric(0.09, N_QUERIES), 20), 0)
    sid_rank = item_rank
    if traits.get("sids"):
        promoted = random.random(N_QUERIES) < 0.1
        sid_rank = np.where(promoted & (item_rank > 1), item_rank - 1, item_rank)
        sid_rank = np.where((sid_rank == 0) & (random.random(N_QUERIES) < 0.01), 20, sid_rank)
    return pd.DataFrame(
        {
            "user": np.arange(N_QUERIES, dtype=np.int32),
            "target": (quantile * N_ITEMS).astype(np.int32),
            "history_length": length,
            "target_count": (500 * (1 - quantile) ** 3).astype(np.int32),
            "target_quantile": quantile.astype(np.float32),
            "item_rank": item_rank.astype(np.int16),
            "sid_rank": sid_rank.astype(np.int16),
        }
    )


def _curve(traits: Mapping[str, Any], random: np.random.Generator) -> list[dict[str, float]]:
    """A learning curve that flattens; empty for what learns nothing."""
    curve: list[dict[str, float]] = []
    if traits["parameters"]:
        epochs = np.arange(1, 31) * 2
        heights = 0.3 * traits["skill"] * (1 - np.exp(-epochs / 12)) + random.normal(0, 0.0008, len(epochs))
        for epoch, height in zip(epochs, heights, strict=True):
            seconds = traits["seconds"] * epoch / 60
            curve.append(
                {"epoch": float(epoch), "step": int(epoch * 15), "loss": 7.0, "validation": height, "seconds": seconds}
            )
    return curve


def _found_out(traits: Mapping[str, Any]) -> dict[str, Any]:
    """Diagnostics of a model with semantic IDs; of others there are none."""
    if not traits.get("sids"):
        return {}
    return {
        "sid_health": [
            {
                "level": level,
                "codebook_size": 64,
                "used": 64 - 3 * level,
                "utilisation": 1 - 3 * level / 64,
                "perplexity": 52.0 - level,
                "entropy": float(np.log(52.0 - level)),
                "max_share": 0.05,
            }
            for level in range(3)
        ],
        "sid": {"collision_rate": 0.031, "unique_sids": 1630, "n_items": N_ITEMS, "tokenizer": "rq-kmeans"},
        "decoding": {"valid_share": 1.0, "generated": N_QUERIES * 20},
        "fidelity": [
            {
                "name": "prefix trie",
                "status": "faithful",
                "source": "TIGER, section 3.2",
                "note": "",
                "test": "tests/models/semantic_ids/test_trie.py::test_only_valid",
            },
            {
                "name": "text encoder",
                "status": "approximated",
                "source": "TIGER, section 4",
                "note": "TF-IDF | SVD",
                "test": "",
            },
        ],
    }


def make_result(spec: RunSpec) -> RunResult:
    """A complete result."""
    traits = MODELS[spec.model]
    random = np.random.default_rng(seed_for("training", spec.label, spec.seed))
    curve = _curve(traits, random)
    return RunResult(
        spec=spec,
        status="complete",
        fit_seconds=traits["seconds"] * random.uniform(0.9, 1.1),
        recommend_seconds=2.0,
        milliseconds_per_user=(0.05 + traits["parameters"] / 4e5) * random.uniform(0.9, 1.1),
        parameters=traits["parameters"],
        best_epoch=40.0 if curve else None,
        validation=0.07 if curve else None,
        curve=curve,
        diagnostics=_found_out(traits),
        environment={
            "commit": "7b24043",
            "device": "cpu",
            "device_name": "Example CPU",
            "python": "3.11.9",
            "torch": "2.6.0",
            "numpy": "2.1.0",
            "threads": 1,
            "started": "2025-01-01T00:00:00",
            "peak_memory_mib": 812.0,
            "dataset": {
                "name": spec.dataset.name,
                "users": N_QUERIES,
                "items": N_ITEMS,
                "events": 100_000,
                "seen_items": "exclude",
                "licence": "GroupLens, non-commercial",
                "source": "RecBole wheel",
            },
            "excluded": {"users with fewer than 3 events": 0},
        },
        queries=make_queries(spec),
    )


def failed_result(
    spec: RunSpec, status: Any = "failed", reason: str = "ValueError: loss is NaN | step 12"
) -> RunResult:
    return RunResult(spec=spec, status=status, reason=reason)
