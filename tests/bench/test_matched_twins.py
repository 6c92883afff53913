"""The questions of the suites that come with the project compare twins: one network, one tokenizer, one training.

A question is tested for significance and heads the report; whoever reads `glass` against `tiger` there takes the
difference for that of the long-term history.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from bench.errors import SkippedRun
from bench.plan import _first_run
from bench.registry import class_of, model_class
from bench.spec import DatasetSpec, Entry, Suite
from bench.suite_files import load_suite, suite_names, suite_path
from bench.tuning.spaces import space_of

NETWORKS = (frozenset({"tiger", "glass", "dualgr", "gems"}), frozenset({"tiger-t5", "glass-official"}))
"""Generative models on one network each."""

TOLD = dict.fromkeys(("long", "full"), "each in the size and with the training that its own search found")
"""Suites whose rows were searched one by one, so that twins differ in what a search may choose; words that say it."""


def questions(suite: Suite) -> Iterator[tuple[Entry, Entry, DatasetSpec]]:
    rows = {entry.row: entry for entry in suite.models}
    for left, right in suite.questions:
        for dataset in suite.datasets:
            yield rows[left], rows[right], dataset


def settings(entry: Entry, dataset: DatasetSpec) -> dict[str, Any]:
    """The complete configuration of a row, by dotted key."""
    return dict(flat(_first_run(entry, class_of, dataset, "", [], "").config))


def flat(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def searchable(entry: Entry, dataset: DatasetSpec, key: str) -> bool:
    """Whether a search may choose it for this row; how often a fit validates follows from its epochs."""
    run = _first_run(entry, class_of, dataset, "", [], "")
    return key == "training.validate_every" or key in space_of(class_of(run), run)


def of_one_network(left: Entry, right: Entry) -> bool:
    return any({left.model, right.model} <= network for network in NETWORKS)


@pytest.mark.parametrize("name", suite_names())
def test_no_question_compares_generative_models_across_networks(name: str) -> None:
    generative = frozenset().union(*NETWORKS)
    for left, right, _ in questions(load_suite(name)):
        if {left.model, right.model} <= generative:
            assert of_one_network(left, right), f"{left.row} against {right.row}"


@pytest.mark.parametrize("name", suite_names())
def test_twins_differ_in_nothing_that_both_have_or_the_suite_says_so(name: str) -> None:
    text = suite_path(name).read_text()
    for left, right, dataset in questions(load_suite(name)):
        if not of_one_network(left, right):
            continue
        ours, theirs = settings(left, dataset), settings(right, dataset)
        for key in ours.keys() & theirs.keys():
            if ours[key] != theirs[key]:
                told = TOLD.get(name, "") if searchable(left, dataset, key) else ""
                assert told, f"{left.row} against {right.row} on {dataset.label}: {key}"
                assert told in " ".join(text.split())


@pytest.mark.parametrize("name", suite_names())
def test_a_published_figure_stands_beside_a_model_of_its_system(name: str) -> None:
    """A row on another network than the published system's says so beside the figure, or is only a trend."""
    for entry in load_suite(name).models:
        for figures in entry.published.values():
            if entry.model in NETWORKS[0]:
                assert all("causal encoder" in figure.why or figure.trend for figure in figures)


@pytest.mark.parametrize("name", suite_names())
def test_every_row_of_a_suite_has_a_complete_configuration(name: str) -> None:
    suite = load_suite(name)
    for entry in suite.models:
        try:
            model_class(entry.model)
        except SkippedRun:
            continue
        for dataset in suite.datasets:
            assert settings(entry, dataset) or not model_class(entry.model).Config.model_fields
