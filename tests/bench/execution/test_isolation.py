"""What one run does to its process, its inputs and the shared cache changes no number of the next."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.data import catalog
from bench.execution.isolation import ProcessState
from bench.execution.scheduler import Workers, run_all
from bench.execution.store import ResultStore
from bench.execution.worker import execute
from bench.plan import expand
from bench.spec import DatasetSpec, Entry, RunResult, RunSpec, Suite

sys.path.append(str(Path(__file__).parents[1] / "outside"))
from dirty_models import DEEDS

TIGER = {
    "tokenizer": {"codebooks": (4, 4)},
    "training": {"epochs": 1},
    "network": {"dim": 16, "encoder_layers": 1, "decoder_layers": 1, "heads": 2},
}
NEXT = (("tiger", TIGER), ("item-knn", {}))
"""The runs after a dirty one: one that trains, tokenizes and caches, and one that counts."""


@pytest.fixture(autouse=True)
def dirty_model(outside_models: Path, tiny_ml_100k: None) -> None:
    outside_models.write_text(outside_models.read_text() + "outside-dirty = dirty_models:Dirty\n")


def spec(model: str, config: dict[str, Any]) -> RunSpec:
    entries = (Entry(model=model, config=config),)
    suite = Suite(name="s", description="", datasets=(DatasetSpec(name="ml-100k"),), models=entries, seeds=(0,))
    return expand(suite)[0]


def ranks(results: Path) -> list[bytes]:
    """Runs the next models and returns their tables as they are on disk."""
    tables = []
    for model, config in NEXT:
        run = spec(model, config)
        made = execute(run, results, "cpu", 1)
        assert made.status == "complete", made.reason
        tables.append((ResultStore(results).folder(run) / "queries.parquet").read_bytes())
    return tables


def after(results: Path, deeds: tuple[str, ...], late: bool = False) -> tuple[RunResult, list[bytes]]:
    """A dirty run's result, and the tables of the next models."""
    asked = spec("outside-dirty", {"deeds": deeds, "late": late})
    dirty = execute(asked, results, "cpu", 1)
    found = ranks(results)
    assert ResultStore(results).load(asked) is not None
    return dirty, found


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[bytes]]:
    """The tables without a dirty run before, made by the first test that asks."""
    return {}


def expected(clean: dict[str, list[bytes]], folder: Path) -> list[bytes]:
    if "ranks" not in clean:
        clean["ranks"] = ranks(folder / "clean")
    return clean["ranks"]


@pytest.mark.parametrize("deed", ["item table", "default dtype", "numpy errors", "double", "argsort"])
def test_the_next_run_is_as_without_the_one_before(deed: str, tmp_path: Path, clean: dict[str, list[bytes]]) -> None:
    right = expected(clean, tmp_path)
    assert after(tmp_path / "dirty", (deed,))[1] == right


@pytest.mark.slow
@pytest.mark.parametrize("deed", DEEDS)
def test_no_deed_changes_the_next_run(deed: str, tmp_path: Path, clean: dict[str, list[bytes]]) -> None:
    right = expected(clean, tmp_path)
    assert after(tmp_path / "dirty", (deed,))[1] == right


@pytest.mark.slow
@settings(deadline=None, derandomize=True, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(deeds=st.lists(st.sampled_from(sorted(DEEDS)), min_size=2, max_size=6, unique=True), late=st.booleans())
def test_no_deeds_together_change_the_next_run(
    deeds: list[str], late: bool, tmp_path_factory: pytest.TempPathFactory, clean: dict[str, list[bytes]]
) -> None:
    folder = tmp_path_factory.mktemp("run")
    right = expected(clean, folder)
    assert after(folder / "dirty", tuple(deeds), late)[1] == right


def test_a_write_into_the_kept_data_fails_its_run_and_reaches_no_other(
    tmp_path: Path, clean: dict[str, list[bytes]]
) -> None:
    right = expected(clean, tmp_path)
    dirty, found = after(tmp_path / "dirty", ("kept data by a tensor",))
    assert dirty.status == "failed"
    assert dirty.reason == "ContractError: the model wrote into data set 'ml-100k', which belongs to all runs"
    assert found == right
    with pytest.raises(ValueError, match="read-only"):
        catalog.load_dataset("ml-100k").interactions.items[0] = 1


def test_what_is_set_back_is_as_it_was() -> None:
    before = ProcessState.now()
    folder, handler, path = Path.cwd(), signal.getsignal(signal.SIGINT), list(sys.path)
    np.seterr(all="raise")
    os.chdir("/")
    os.environ["GLASS_BENCH_DATA"] = "/nowhere"
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.path.clear()
    assert before.restore() == []
    assert (Path.cwd(), signal.getsignal(signal.SIGINT), sys.path) == (folder, handler, path)
    assert np.geterr()["divide"] == "warn"
    assert os.environ["GLASS_BENCH_DATA"] != "/nowhere"


def test_a_method_that_hides_an_inherited_one_is_taken_away_and_told(tmp_path: Path) -> None:
    """`Tensor` inherits its softmax, so that whoever sets one replaces nothing in the class itself."""
    dirty, _ = after(tmp_path, ("tensor",))
    assert "softmax" not in vars(torch.Tensor)
    assert torch.tensor([1.0, -torch.inf]).softmax(0).tolist() == [1.0, 0.0]
    assert any("replaced: torch._tensor.Tensor.softmax" in words for words in dirty.left_behind)


def test_what_can_not_be_undone_for_sure_is_told(tmp_path: Path) -> None:
    for deed, words in (("argsort", "replaced: numpy.argsort"), ("thread", "threads that still run: ")):
        dirty, _ = after(tmp_path, (deed,))
        assert dirty.left_behind[0].startswith(words)
        log = (ResultStore(tmp_path).folder(dirty.spec) / "log.txt").read_text()
        assert f"this process is not used again; the run left behind: {words}" in log
    dirty, _ = after(tmp_path, ("default dtype", "folder", "warnings", "no environment"))
    assert dirty.left_behind == []


@pytest.mark.slow
def test_after_a_run_that_left_something_behind_the_next_has_a_new_process(tmp_path: Path) -> None:
    runs = [spec("outside-dirty", {"deeds": (deed,)}) for deed in ("argsort", "thread", "default dtype")]
    told: list[RunResult] = []
    run_all([*runs, spec("outside", {})], tmp_path, Workers("cpu", 1, 1), told.append, lambda running: None)
    assert [bool(result.left_behind) for result in told] == [True, True, False, False]
    pids = [(ResultStore(tmp_path).folder(run) / "log.txt").read_text().split()[1] for run in runs]
    assert len(set(pids)) == 3


@pytest.mark.slow
def test_no_artifact_of_other_making_is_stored_under_a_clean_key(tmp_path: Path, clean: dict[str, list[bytes]]) -> None:
    right = expected(clean, tmp_path)
    for deed in ("double", "other clusters", "other features", "shuffled items", "own code", "permuted files"):
        assert after(tmp_path / deed, (deed,))[1] == right
        again = spec("tiger", TIGER)
        execute(again, tmp_path / deed, "cpu", 1)  # from the cache that the dirty run has filled
        assert (ResultStore(tmp_path / deed).folder(again) / "queries.parquet").read_bytes() == right[0]
