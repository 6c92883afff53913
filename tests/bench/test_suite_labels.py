"""One label, one configuration, in every suite: a reader of two reports compares like with like."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from bench.config import flattened
from bench.plan import written_config
from bench.registry import model_class, model_names
from bench.spec import Entry, RunSpec, Suite
from bench.suite_files import load_suite, suite_names

SIZES = ("network.", "tokenizer.", "training.", "beam", "short_term", "search.limit", "search.neighbours")
"""What a suite may set of `glass`: how large it is, how its items are encoded, how it is trained, and how many
neighbours of a code join a search that finds little, which is the paper's semantic neighbour augmentation."""

PAPERS_LABEL = "glass"


def of_label(label: str) -> Iterator[tuple[str, str, Entry, dict[str, Any]]]:
    """Suite, data set, row and what the suite writes of its configuration there."""
    for name in suite_names():
        suite: Suite = load_suite(name)
        for entry in suite.models:
            for dataset in suite.datasets:
                if entry.row == label:
                    yield name, dataset.label, entry, written_config(entry, dataset)


def test_glass_is_the_papers_configuration_in_every_suite() -> None:
    model = model_class(PAPERS_LABEL)
    default = flattened(model.Config().model_dump(mode="json"))
    suites = set()
    for suite, dataset, entry, written in of_label(PAPERS_LABEL):
        assert entry.model == PAPERS_LABEL, f"{suite}: the label is of another model"
        config = flattened(model.Config.model_validate(written).model_dump(mode="json"))
        beyond = {key for key in config if config[key] != default.get(key) and not key.startswith(SIZES)}
        assert not beyond, f"{suite}, {dataset}: '{PAPERS_LABEL}' with other {beyond} needs another label"
        suites.add(suite)
    assert {"full", "long", "planted", "ablation", "lengths"} <= suites


def test_the_papers_configuration_is_what_it_says() -> None:
    """The mechanisms of the paper are on, and nothing that goes beyond it: the default that the labels rest on."""
    config = model_class(PAPERS_LABEL).Config().model_dump()
    assert config["sid_tier"]["enabled"]
    assert config["search"] == {
        **config["search"],
        "enabled": True,
        "neighbours": 0,
        "recent": False,
        "age_bias": False,
        "prefix_bias": False,
    }
    assert (config["fixed_gate"], config["copying"], config["normalise"]) == (None, False, "codebook")


@pytest.mark.parametrize("suite", suite_names())
def test_a_label_that_is_a_models_name_is_that_models(suite: str) -> None:
    known = set(model_names())
    for entry in load_suite(suite).models:
        assert entry.row not in known or entry.row == entry.model


def test_a_label_is_no_part_of_a_runs_key() -> None:
    suite = load_suite("long")
    spec = RunSpec(
        dataset=suite.datasets[0], data_hash="h", model="glass", revision=1, config={}, seed=0, label="glass"
    )
    assert spec.model_copy(update={"label": "another"}).key == spec.key
