"""`bench list models`: what kind of system each model is, who published it and when, and what it is there for."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from bench.cli.listing import list_models
from bench.errors import SkippedRun
from bench.recommender import Recommender
from bench.registry import BUILT_IN, model_class

GROUPS = ("counting:", "basket:", "sequence:", "long sequence:", "semantic ID:", "GLASS family:", "other:")


def first_cells() -> list[str]:
    """The first column of the table, without continued lines."""
    console = Console(width=400, record=True, file=io.StringIO())
    list_models(console)
    cells = [line.split("│")[1].strip() for line in console.export_text().splitlines() if line.startswith("│")]
    return [cell for cell in cells if cell]


def test_models_stand_under_their_groups_and_groups_in_order(outside_models: Path) -> None:
    cells = first_cells()
    places = [cells.index(group) for group in GROUPS]
    assert places == sorted(places)
    expected = {"up-cf": "basket:", "sasrec-ce": "sequence:", "sim": "long sequence:", "glass": "GLASS family:"}
    for name, group in {**expected, "count-mixture": "counting:", "tiger": "semantic ID:", "outside": "other:"}.items():
        above = max(place for place in places if place < cells.index(name))
        assert cells[above] == group, name
    assert cells.index("outside-broken") > cells.index("not available:")


@pytest.mark.parametrize("name", [name for name in BUILT_IN if name != "oracle"])
def test_every_built_in_model_has_a_group_and_a_paper_has_its_year(name: str) -> None:
    try:
        model: type[Recommender] = model_class(name)
    except SkippedRun as skipped:
        pytest.skip(str(skipped))
    assert model.group != "other"
    assert bool(model.paper) == (model.year is not None)
    assert model.paper or model.group == "counting" or model.summary.endswith("; ours")
