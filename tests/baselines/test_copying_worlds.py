"""What copying is worth where the next item is a repeat of what lies far back, and what it costs where it is new."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from baselines.oracle import exact_scores
from bench.analysis.significance import compare
from bench.data import catalog
from bench.data.protocols import split
from bench.data.sources.synthetic import WorldConfig, planted_dataset
from bench.evaluation.metrics import compute
from bench.execution.worker import execute
from bench.plan import expand
from bench.spec import DatasetSpec, Entry, RunResult, Suite

pytestmark = pytest.mark.slow(minutes=1)

REPEATS = WorldConfig(
    topics=12, subtopics=2, items=10, users=400, events=60, reach=10, stay=0.0, back=1.0, favour=1.0, seed=31
)
"""Whatever a user has comes back after a rest of more than 10 events, and nothing else comes: 97 % of the targets are
repeats, all of them from before the window of 10 that the networks read."""

NOVELTIES = WorldConfig(
    topics=8, subtopics=5, items=10, users=600, events=40, reach=5, stay=0.7, back=0.0, favour=0.0, zipf=0.3, seed=32
)
"""Sessions in a topic, and drifts to others; nothing comes back but by chance."""

SMALL = {"length": 10, "dim": 32, "dropout": 0.2}
COPIED: dict[str, Any] = {
    "short_term": 10,
    "network": {"dim": 32, "heads": 2, "feed_forward": 64, "encoder_layers": 1, "decoder_layers": 1, "dropout": 0.1},
    "search": {"recent": True, "age_bias": True, "limit": 50},
}
"""GLASS in that size; its codes are topics and the items of a topic."""

PAIRS = [("sasrec-ce-copying", "sasrec-ce"), ("hstu-copying", "hstu")]


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """Worlds of these tests stand in the place of planted-long."""
    yield
    catalog.load_dataset.cache_clear()


def results_on(
    world: WorldConfig, models: tuple[str, ...], epochs: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> list[RunResult]:
    load = partial(planted_dataset, "planted-long", world)
    monkeypatch.setitem(catalog.CATALOG, "planted-long", replace(catalog.CATALOG["planted-long"], load=load))
    catalog.load_dataset.cache_clear()
    training = {"epochs": epochs, "validate_every": epochs, "batch_events": 256, "learning_rate": 3e-3, "average": 0.99}
    entries = tuple(Entry(model=model, config=SMALL | {"training": training}) for model in models)
    suite = Suite(
        name="worlds", description="", datasets=(DatasetSpec(name="planted-long"),), models=entries, seeds=(0,)
    )
    results = [execute(run, folder, "cpu", threads=1) for run in expand(suite)]
    assert [result.reason for result in results] == [""] * len(models)
    return results


def best_recall(world: WorldConfig) -> float:
    """The oracle's expected Recall@10 on the test queries."""
    dataset = planted_dataset("planted-long", world)
    assert dataset.world is not None
    return float(exact_scores(dataset.world, split(dataset, "leave-one-out").test)["recall@10"].mean())


def recall(result: RunResult) -> float:
    assert result.queries is not None
    return float(compute("recall@10", result.queries["item_rank"].to_numpy(), 20).mean())


@pytest.mark.parametrize("model", ["sasrec-ce-copying", "hstu-copying"])
def test_where_the_next_item_is_a_repeat_copying_reaches_the_oracle(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (result,) = results_on(REPEATS, (model,), 12, tmp_path, monkeypatch)
    assert result.queries is not None
    assert (result.queries["item_gap"] > SMALL["length"]).mean() > 0.95
    assert recall(result) >= 0.95 * best_recall(REPEATS)


@pytest.mark.parametrize(("copying", "plain"), PAIRS)
def test_where_the_next_item_is_new_copying_costs_nothing_significant(
    copying: str, plain: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = results_on(NOVELTIES, (copying, plain), 12, tmp_path, monkeypatch)
    comparison = compare([results[0]], [results[1]], "ndcg@10")
    assert comparison is not None
    assert comparison.second > 0.1, "the plain network has learned something that copying could cost"
    assert not comparison.significant or comparison.difference > 0


def glass_on(
    world: WorldConfig, epochs: int, copying: tuple[bool, ...], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> list[RunResult]:
    """GLASS with copying or without."""
    load = partial(planted_dataset, "planted-long", world)
    monkeypatch.setitem(catalog.CATALOG, "planted-long", replace(catalog.CATALOG["planted-long"], load=load))
    catalog.load_dataset.cache_clear()
    config = COPIED | {
        "tokenizer": {
            "codebooks": [world.topics, world.items_per_topic],
            "disambiguate": False,
            "features": {"text_dims": 128, "collaborative_dims": 0},
        },
        "training": {"epochs": epochs, "validate_every": epochs, "batch_events": 256, "learning_rate": 4e-3},
    }
    entries = tuple(Entry(model="glass", label=f"copying-{on}", config=config | {"copying": on}) for on in copying)
    suite = Suite(
        name="worlds", description="", datasets=(DatasetSpec(name="planted-long"),), models=entries, seeds=(0,)
    )
    results = [execute(run, folder, "cpu", threads=1) for run in expand(suite)]
    assert [result.reason for result in results] == [""] * len(copying)
    return results


def test_glass_with_copying_reaches_the_oracle_where_the_next_item_is_a_repeat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (result,) = glass_on(REPEATS, 16, (True,), tmp_path, monkeypatch)
    assert recall(result) >= 0.95 * best_recall(REPEATS)


def test_where_the_next_item_is_new_copying_costs_glass_nothing_significant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = glass_on(NOVELTIES, 6, (True, False), tmp_path, monkeypatch)
    comparison = compare([results[0]], [results[1]], "ndcg@10")
    assert comparison is not None
    assert comparison.second > 0.1, "the plain network has learned something that copying could cost"
    assert not comparison.significant or comparison.difference > 0
