"""A configuration that a search has found is the one that a suite would write, to the last type."""

from __future__ import annotations

from typing import Any

import pytest

from bench.cli import running
from bench.cli.running import _as_if_written
from bench.errors import SkippedRun
from bench.spec import DatasetSpec, RunSpec


def run(model: str, config: dict[str, Any]) -> RunSpec:
    dataset = DatasetSpec(name="ml-100k")
    return RunSpec(dataset=dataset, data_hash="h", model=model, revision=1, config=config, seed=0, label="r")


@pytest.mark.parametrize(
    ("model", "found", "written"),
    [
        (
            "personal-popularity",
            {"half_life": 158, "window": 200, "smoothing": 200},
            {"half_life": 158.0, "window": 200, "smoothing": 200.0},
        ),
        (
            "sasrec-ce",
            {"dropout": 0, "training": {"epochs": 20, "average": 0}},
            {"dropout": 0.0, "training": {"epochs": 20, "average": 0.0}},
        ),
    ],
)
def test_whole_numbers_that_a_search_chose_give_the_key_of_the_written_row(
    model: str, found: dict[str, Any], written: dict[str, Any]
) -> None:
    assert run(model, found).key != run(model, written).key
    assert _as_if_written(run(model, found)).key == _as_if_written(run(model, written)).key


def test_a_row_whose_package_is_absent_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(_: RunSpec) -> None:
        raise SkippedRun("needs recbole")

    monkeypatch.setattr(running, "class_of", absent)
    planned = run("sasrec-recbole", {"epochs": 3})
    assert _as_if_written(planned) == planned
