"""Every built-in model, end to end: the same spec gives the same bytes, and no list breaks a rule."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bench.cli.main import main
from bench.data import catalog
from bench.data.sources.synthetic import WorldConfig, planted_dataset
from bench.execution.store import ResultStore
from bench.execution.worker import execute
from bench.plan import expand
from bench.registry import BUILT_IN
from bench.spec import DatasetSpec, Entry, RunResult, RunSpec, Suite
from bench.suite_files import load_suite

TRAINING = {"epochs": 2, "validate_every": 1, "batch_events": 64, "warmup_steps": 2}
GENERATIVE = {
    "training": TRAINING,
    "short_term": 5,
    "network": {"dim": 16, "heads": 2, "feed_forward": 16},
    "tokenizer": {"codebooks": [4, 4], "features": {"text_dims": 4, "collaborative_dims": 4}},
}
T5 = {
    **GENERATIVE,
    "network": {"dim": 16, "heads": 2, "head_dim": 8, "feed_forward": 16, "encoder_layers": 1, "decoder_layers": 2},
    "batch_targets": 32,
}
SMALL: dict[str, dict[str, Any]] = {
    "gru4rec": {"training": TRAINING, "embedding_size": 8, "hidden_size": 8},
    "sasrec-ce": {"training": TRAINING, "dim": 8, "length": 8},
    "sasrec-bce": {"training": TRAINING, "dim": 8, "length": 8},
    "sasrec-ce-compressed": {"training": TRAINING, "dim": 8, "length": 4, "compression": {"clusters": 3}},
    "gsasrec": {"training": TRAINING, "dim": 8, "length": 8, "negatives": 5},
    "esasrec": {"training": TRAINING, "dim": 8, "length": 8, "negatives": 5},
    "lrurec": {"training": TRAINING, "dim": 8, "length": 8},
    "sasrec-ce-copying": {"training": TRAINING, "dim": 8, "length": 8},
    "hstu-copying": {"training": TRAINING, "dim": 8, "length": 8, "head_dim": 4},
    "count-mixture": {"base_config": {"training": TRAINING, "dim": 8, "length": 8}, "half_lives": [2, 20]},
    "hstu": {"training": TRAINING, "dim": 8, "length": 8, "head_dim": 4},
    "hstu-large": {"training": TRAINING, "dim": 8, "length": 8, "head_dim": 4, "negatives": 5},
    "hstu-compressed": {"training": TRAINING, "dim": 8, "length": 4, "head_dim": 4, "compression": {"clusters": 3}},
    "fuxi-alpha": {"training": TRAINING, "dim": 8, "length": 8, "head_dim": 4},
    "sim": {"training": TRAINING, "dim": 8, "short_term": 4, "negatives": 8, "targets_per_epoch": 0.5},
    "sim-soft": {"training": TRAINING, "dim": 8, "short_term": 4, "negatives": 8, "targets_per_epoch": 0.5},
    "tiger": GENERATIVE,
    "cobra": {"training": TRAINING, "dim": 8, "length": 8, "tokenizer": GENERATIVE["tokenizer"]},
    "rpg": {
        "training": TRAINING,
        "dim": 8,
        "length": 8,
        "tokenizer": {**GENERATIVE["tokenizer"], "codebooks": [4] * 4},
    },
    "diffgrm": {
        "training": TRAINING,
        "short_term": 5,
        "dim": 8,
        "feed_forward": 8,
        "decoder_layers": 1,
        "batch_targets": 32,
        "tokenizer": {**GENERATIVE["tokenizer"], "codebooks": [4] * 3},
    },
    "dualgr": GENERATIVE,
    "gems": {**GENERATIVE, "middle": 6, "clusters": 3, "search": {"limit": 4}},
    "h2rec": {"training": TRAINING, "dim": 8, "length": 8, "tokenizer": GENERATIVE["tokenizer"]},
    "tiger-t5": {**T5, "trie": True},
    "discrec": {**T5, "branch_feed_forward": 16},
    "setrec": {
        **{key: T5[key] for key in ("training", "short_term", "network", "batch_targets")},
        "hidden": [8],
        "semantic_weights": [0.3, 0.8],
        "vectors": {"config": {"training": TRAINING, "dim": 8, "length": 8}},
        "features": {"text_dims": 4, "collaborative_dims": 4},
    },
    "glass": {**GENERATIVE, "search": {"neighbours": 2}},
    "glass-plus": {**GENERATIVE, "search": {"neighbours": 2}, "counts": {"half_lives": [2, 20], "candidates": 3}},
    "glass-official": {**T5, "search": {"neighbours": 2}},
    "gru4rec-recbole": {"epochs": 1, "embedding_size": 8, "hidden_size": 8, "train_batch_size": 64},
    "sasrec-recbole": {"epochs": 1, "hidden_size": 8, "inner_size": 8, "train_batch_size": 64},
    "lightsans-recbole": {"epochs": 1, "hidden_size": 8, "inner_size": 8, "train_batch_size": 64},
    "bert4rec-recbole": {"epochs": 1, "hidden_size": 8, "inner_size": 8, "train_batch_size": 64},
    "caser-recbole": {"epochs": 1, "embedding_size": 8, "train_batch_size": 64},
    "hgn-recbole": {"epochs": 1, "embedding_size": 8, "train_batch_size": 64},
    "narm-recbole": {"epochs": 1, "embedding_size": 8, "hidden_size": 8, "train_batch_size": 64},
    "stamp-recbole": {"epochs": 1, "embedding_size": 8, "train_batch_size": 64},
    "fdsa-recbole": {"epochs": 1, "hidden_size": 8, "inner_size": 8, "train_batch_size": 64},
}


TINY_WORLD = WorldConfig(topics=4, subtopics=2, items=5, users=30, events=14, reach=3)


@pytest.fixture
def tiny_planted_long(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Puts 30 users with 14 events of 40 items each in the place of planted-long, for this process."""
    load = partial(planted_dataset, "planted-long", TINY_WORLD)
    monkeypatch.setitem(catalog.CATALOG, "planted-long", replace(catalog.CATALOG["planted-long"], load=load))
    catalog.load_dataset.cache_clear()
    yield
    catalog.load_dataset.cache_clear()


def spec_of(model: str, dataset: str) -> RunSpec:
    """The run of a model in its small configuration; skips the test where its package is not installed."""
    if ("gru4rec" in model or "recbole" in model) and importlib.util.find_spec("recbole") is None:
        pytest.skip("needs RecBole")
    suite = Suite(
        name="small",
        description="",
        datasets=(DatasetSpec(name=dataset),),
        models=(Entry(model=model, config=SMALL.get(model, {})),),
        seeds=(0,),
    )
    return expand(suite)[0]


def check(result: RunResult) -> None:
    """Fails where a run did not end well or one of its lists breaks a rule."""
    assert result.status == "complete", result.reason
    queries = result.queries
    assert isinstance(queries, pd.DataFrame)
    assert len(queries) == 30
    found = queries["item_rank"] > 0
    assert (queries["sid_rank"][found] > 0).all()
    assert (queries["sid_rank"][found] <= queries["item_rank"][found]).all()
    if "decoding" in result.diagnostics:
        decoding = result.diagnostics["decoding"]
        assert 0 < decoding["valid"] <= decoding["generated"]
        if result.spec.model != "glass-official":  # the one that generates without a trie
            assert decoding["valid"] == decoding["generated"]
        assert isinstance(result.decoding, pd.DataFrame)
        assert len(result.decoding) == len(queries)
        assert len(result.diagnostics["training_accuracy"]) == len(result.curve)


@pytest.mark.parametrize("model", [name for name in BUILT_IN if name != "oracle"])  # it needs a generated world
def test_the_same_spec_gives_the_same_bytes_and_valid_lists(model: str, tiny_ml_100k: None, tmp_path: Path) -> None:
    spec, stored = spec_of(model, "ml-100k"), []
    for name in ("first", "second"):
        check(execute(spec, tmp_path / name, "cpu", threads=1))
        stored.append((ResultStore(tmp_path / name).folder(spec) / "queries.parquet").read_bytes())
    assert stored[0] == stored[1]


@pytest.mark.parametrize("model", BUILT_IN)
def test_every_model_runs_on_a_generated_world(model: str, tiny_planted_long: None, tmp_path: Path) -> None:
    result = execute(spec_of(model, "planted-long"), tmp_path, "cpu", threads=1)
    check(result)
    if model == "oracle":
        assert 0 < result.diagnostics["exact"]["ndcg@10"] < 1


@pytest.mark.parametrize("model", [name for name, config in SMALL.items() if "training" in config])
def test_every_trained_model_learns_in_bfloat16_about_what_it_learns_in_float32(
    model: str, tiny_ml_100k: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = []
    for precision in ("float32", "bf16"):
        config = {**SMALL[model], "training": {**SMALL[model]["training"], "precision": precision}}
        monkeypatch.setitem(SMALL, model, config)
        result = execute(spec_of(model, "ml-100k"), tmp_path, "cpu", threads=1)
        check(result)
        losses.append([point["loss"] for point in result.curve])
    assert losses[0] != losses[1], "nothing was computed in bfloat16"
    assert losses[1] == pytest.approx(losses[0], rel=0.02)


@pytest.mark.slow(minutes=3)
def test_the_smoke_suite_runs_every_model_on_the_real_data(tmp_path: Path) -> None:
    code = main(["run", "--suite", "smoke", "--results", str(tmp_path / "results"), "--reports", str(tmp_path)])
    assert code == 0
    leaderboard = pd.read_csv(tmp_path / "results" / "smoke" / "ml-100k+300users" / "leaderboard.csv")
    assert len(leaderboard) == len(load_suite("smoke").models)
    page = (tmp_path / "smoke" / "report.md").read_text(encoding="utf-8")
    assert "100 %" in page
