"""The suite `whole-history`: who reads everything does, and every row runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from bench.data import catalog
from bench.data.sources.synthetic import PLANTED_LONG, WorldConfig, planted_dataset
from bench.execution.worker import execute
from bench.plan import expand
from bench.spec import RunSpec
from bench.suite_files import load_suite

WHOLE = ("sasrec-whole", "hstu-whole", "lrurec-whole", "tiger-whole")
SHORT = ("sasrec-10", "sasrec-compressed", "sasrec-copying", "tiger", "glass", "gems", "sim-whole")


@pytest.fixture
def small_world(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    world = WorldConfig(topics=4, subtopics=2, items=5, users=20, events=30, reach=3)
    load = partial(planted_dataset, "planted-long", world)
    monkeypatch.setitem(catalog.CATALOG, "planted-long", replace(catalog.CATALOG["planted-long"], load=load))
    catalog.load_dataset.cache_clear()
    yield
    catalog.load_dataset.cache_clear()


def runs(*settings: str) -> dict[str, RunSpec]:
    suite = load_suite("whole-history").model_copy(update={"seeds": (0,)})
    return {run.label: run for run in expand(suite, settings)}


def test_windows_hold_whole_histories_or_the_ten_events_of_glass(small_world: None) -> None:
    window = {row: run.config.get("length", run.config.get("short_term")) for row, run in runs().items()}
    assert all(window[row] >= PLANTED_LONG.events for row in WHOLE)
    assert {window[row] for row in SHORT} == {PLANTED_LONG.reach}, "no cause lies in such a window"
    rows = load_suite("whole-history").comparisons[0].rows
    assert {*WHOLE, *SHORT} == set(rows)


def test_every_row_runs(small_world: None, tmp_path: Path) -> None:
    for run in runs("training.epochs=1").values():
        result = execute(run, tmp_path, "cpu", threads=1)
        assert result.status == "complete", (run.label, result.reason)
