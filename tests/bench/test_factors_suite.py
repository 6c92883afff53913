"""The suite `factors`: one factor a step, and nothing else: equal parameters, equal steps, one tokenizer."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.config import flattened
from bench.data import catalog
from bench.data.sources.synthetic import WorldConfig, planted_dataset
from bench.execution.worker import execute
from bench.plan import _first_run, expand
from bench.registry import class_of
from bench.spec import DatasetSpec
from bench.suite_files import load_suite
from models.generation.causal_network import CausalNetwork
from models.generation.config import GenerativeConfig
from models.glass.glass import GlassConfig, glass_network
from models.semantic_ids.semantic_ids import SemanticIds, with_disambiguation
from models.semantic_ids.trie import PrefixTrie

SUITE = load_suite("factors")
LADDER = (
    *("tiger-short", "search-near", "search-all", "search-sid-tier", "search-sid-tier-gate"),
    *("search-sid-tier-gate-biases", "search-sid-tier-gate-biases-copying"),
)
BESIDE = ("tiger-200", "tiger-500", "glass-paper", "glass-horizon-50")
SHORT = {"complete-journey": 50, "online-retail-ii": 50, "planted-long": 10}
PARAMETERS = {"complete-journey": 1.06e6, "online-retail-ii": 1.06e6, "planted-long": 0.131e6}


def config_of(row: str, dataset: DatasetSpec) -> dict[str, Any]:
    entry = next(entry for entry in SUITE.models if entry.row == row)
    return _first_run(entry, class_of, dataset, "", [], "").config


def rows_on(dataset: DatasetSpec) -> list[str]:
    here = {entry.row for entry in SUITE.models if entry.datasets is None or dataset.name in entry.datasets}
    return [row for row in (*LADDER, *BESIDE) if row in here]


def parameters(config: dict[str, Any], glass: bool) -> int:
    """Of a network over random codes: the catalogue has no part in their number, but for the token's codebook."""
    tokenizer = config["tokenizer"]
    sizes = tuple(tokenizer["codebooks"])
    codes = np.random.default_rng(0).integers(0, sizes, (400, len(sizes)))
    ids = with_disambiguation(codes, sizes) if tokenizer["disambiguate"] else SemanticIds(codes, sizes, len(sizes))
    trie = PrefixTrie(ids, np.zeros(len(codes), dtype=np.int64), "cpu")
    features = np.random.default_rng(1).normal(size=(len(codes), 8)).astype(np.float32)
    network = (
        glass_network(trie, features, GlassConfig.model_validate(config))
        if glass
        else CausalNetwork(trie, GenerativeConfig.model_validate(config))
    )
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize("dataset", SUITE.datasets, ids=lambda dataset: dataset.name)
def test_all_rows_of_the_ladder_have_equally_many_parameters(dataset: DatasetSpec) -> None:
    counts = {row: parameters(config_of(row, dataset), "tiger" not in row) for row in rows_on(dataset)}
    assert max(counts.values()) < 1.01 * min(counts.values()), counts
    told = PARAMETERS[dataset.name]
    assert all(abs(count / told - 1) < 0.01 for count in counts.values()), "as the note of the first row says"


@pytest.mark.parametrize("dataset", SUITE.datasets, ids=lambda dataset: dataset.name)
def test_neighbours_differ_in_one_factor_and_in_what_it_costs(dataset: DatasetSpec) -> None:
    short = SHORT[dataset.name]
    configs = {row: flattened(config_of(row, dataset)) for row in rows_on(dataset)}
    added = [
        {"search.recent", "fixed_gate", "horizon", "sid_tier.enabled"},  # and all that tiger has no key for
        {"horizon"},
        {"sid_tier.enabled"},
        {"fixed_gate"},
        {"search.age_bias", "search.prefix_bias"},
        {"copying"},
    ]
    for left, right, factor in zip(LADDER[:-1], LADDER[1:], added, strict=True):
        common = configs[left].keys() & configs[right].keys()
        changed = {key for key in common if configs[left][key] != configs[right][key]}
        changed |= {"horizon"} & (configs[left].keys() ^ configs[right].keys())
        assert changed - {"network.feed_forward"} == factor & (common | {"horizon"}), (left, right)
        assert configs[left]["short_term"] == configs[right]["short_term"] == str(short)
    assert configs["search-near"]["horizon"] == str(short)
    paper, near = configs["glass-paper"], configs["glass-horizon-50"]
    assert {key: near[key] for key in near.keys() - {"horizon"}} == paper
    assert near["horizon"] == str(short)
    assert {configs[row]["tokenizer.codebooks"] for row in configs} == {paper["tokenizer.codebooks"]}


@pytest.mark.parametrize("dataset", SUITE.datasets, ids=lambda dataset: dataset.name)
def test_no_row_has_more_steps_than_another(dataset: DatasetSpec) -> None:
    for rows in (rows_on(dataset), ["sasrec-short", "sasrec-200", "sasrec-compressed", "sasrec-copying"]):
        trainings = [config_of(row, dataset)["training"] for row in rows]
        assert all(training == trainings[0] for training in trainings)
        assert trainings[0]["patience"] * trainings[0]["validate_every"] >= trainings[0]["epochs"]


def test_every_step_has_its_comparison() -> None:
    asked = [set(comparison.rows) for comparison in SUITE.comparisons]
    assert all({left, right} in asked for left, right in pairwise(LADDER))


def test_every_row_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """On a world with histories longer than any short term, for one epoch."""
    world = WorldConfig(topics=4, subtopics=2, items=5, users=20, events=40, reach=3)
    load = partial(planted_dataset, "planted-long", world)
    monkeypatch.setitem(catalog.CATALOG, "planted-long", replace(catalog.CATALOG["planted-long"], load=load))
    catalog.load_dataset.cache_clear()
    here = SUITE.model_copy(update={"datasets": SUITE.datasets[-1:], "seeds": (0,)})
    for run in expand(here, ["training.epochs=1"]):
        result = execute(run, tmp_path, "cpu", threads=1)
        assert result.status == "complete", (run.label, result.reason)
    catalog.load_dataset.cache_clear()
