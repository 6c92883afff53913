"""The fidelity cards name tests that exist."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from bench.errors import SkippedRun
from bench.registry import BUILT_IN, model_class

ROOT = Path(__file__).parents[2]
NEURAL = (
    "glass",
    "glass-official",
    "tiger",
    "tiger-t5",
    "hstu",
    "hstu-large",
    "sim",
    "sim-soft",
    "sasrec-ce",
    "sasrec-bce",
    "h2rec",
    *(name for name in BUILT_IN if name.endswith("-recbole")),
)


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_pinning_test_exists(name: str) -> None:
    try:
        cards = model_class(name).fidelity
    except SkippedRun as skipped:
        pytest.skip(str(skipped))
    for mechanism in cards:
        if mechanism.test:
            file, _, function = mechanism.test.partition("::")
            defined = {node.name for node in ast.parse((ROOT / file).read_text()).body if hasattr(node, "name")}
            assert function in defined, mechanism.test


@pytest.mark.parametrize("name", NEURAL)
def test_what_is_called_faithful_is_pinned_and_what_is_not_is_explained(name: str) -> None:
    cards = model_class(name).fidelity
    assert cards
    for mechanism in cards:
        assert mechanism.source
        assert mechanism.test if mechanism.status == "faithful" else mechanism.note
