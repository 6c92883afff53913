"""The fidelity cards: complete in form, no test that doesn't exist, nothing called faithful that the default isn't."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from bench.errors import SkippedRun
from bench.recommender import Mechanism, Recommender
from bench.registry import BUILT_IN, model_class

ROOT = Path(__file__).parents[2]
each_model = pytest.mark.parametrize("name", BUILT_IN)
OUR_TRAINING = "optimiser, schedule and stopping"


def registered(name: str) -> type[Recommender]:
    try:
        return model_class(name)
    except SkippedRun as skipped:
        pytest.skip(str(skipped))


def settings_of(model: type[Recommender]) -> Mapping[str, Any]:
    return model.Config().model_dump()


def co_occurrence(settings: Mapping[str, Any]) -> Iterator[int]:
    """Every width of a part of item features, at any depth, that knows which items occur together."""
    for key, value in settings.items():
        if key == "collaborative_dims":
            yield value
        elif isinstance(value, Mapping):
            yield from co_occurrence(value)


def claims_of_features(card: tuple[Mechanism, ...]) -> list[Mechanism]:
    """The lines on what codes are made of: features, the tokenizer, the quantizer."""
    return [line for line in card if re.search(r"features|tokeni[sz]er|quanti[sz]|semantic IDs by", line.name)]


@each_model
def test_every_pinning_test_exists(name: str) -> None:
    for mechanism in registered(name).fidelity:
        if mechanism.test:
            file, _, function = mechanism.test.partition("::")
            defined = {node.name for node in ast.parse((ROOT / file).read_text()).body if hasattr(node, "name")}
            assert function in defined, mechanism.test


@each_model
def test_whatever_learns_or_reads_semantic_ids_has_a_card(name: str) -> None:
    model = registered(name)
    assert model.fidelity or not {"training", "tokenizer", "epochs"} & settings_of(model).keys()


@each_model
def test_what_is_called_faithful_is_pinned_and_what_is_not_is_explained(name: str) -> None:
    card = registered(name).fidelity
    assert len({mechanism.name for mechanism in card}) == len(card)
    for mechanism in card:
        assert mechanism.source.strip()
        assert mechanism.test if mechanism.status == "faithful" else len(mechanism.note.split()) >= 3, mechanism.name


@each_model
def test_features_that_know_co_occurrence_are_not_called_faithful(name: str) -> None:
    """Papers make semantic IDs of texts: where the default knows more, the card says so, and how to leave it out."""
    model = registered(name)
    if any(co_occurrence(settings_of(model))):
        claims = claims_of_features(model.fidelity)
        assert claims
        assert all(line.status != "faithful" for line in claims)
        assert any("occur together" in line.note and "collaborative_dims" in line.note for line in claims)


@each_model
def test_a_card_says_how_the_model_is_trained(name: str) -> None:
    model = registered(name)
    if settings_of(model).get("training"):
        lines = [line for line in model.fidelity if line.name.startswith("optimiser")]
        assert len(lines) == 1
        rate = settings_of(model)["training"]["learning_rate"]
        if lines[0].name == OUR_TRAINING:
            assert f"rate {rate:g}" in lines[0].note, "the default itself, not a number that was true once"


def test_the_rule_for_features_sees_a_default_at_any_depth_and_a_false_claim() -> None:
    assert list(co_occurrence({"tokenizer": {"features": {"collaborative_dims": 64, "window": 2}}, "dim": 1})) == [64]
    assert not any(co_occurrence({"tokenizer": {"features": {"collaborative_dims": 0}}}))
    false = Mechanism("semantic IDs by residual quantization", "faithful", "section 3.1")
    assert claims_of_features((false, Mechanism("beam search", "faithful", "section 3.2"))) == [false]
