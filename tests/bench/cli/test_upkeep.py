"""`bench doctor` says what a run would find, and `bench cache clean` removes what is no result."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bench.cli.main import main
from bench.data.cache import ArtifactCache
from bench.execution import heartbeat
from bench.execution.checkpoints import checkpoint_folder
from bench.execution.store import ResultStore
from bench.execution.worker import execute
from bench.plan import expand
from bench.spec import RunSpec
from bench.suite_files import load_suite

pytestmark = pytest.mark.usefixtures("tiny_ml_100k")

SUITE = """description: a suite
datasets: [ml-100k, ml-20m]
models: [popularity, item-knn]
seeds: 2
"""


@pytest.fixture
def suite(tmp_path: Path) -> str:
    path = tmp_path / "mine.yaml"
    path.write_text(SUITE)
    return str(path)


def one_run(results: Path, suite: str) -> RunSpec:
    """The first run of the suite, made."""
    spec = expand(load_suite(suite), where=suite)[0]
    assert execute(spec, results, "cpu", 1).status == "complete"
    return spec


def test_the_doctor_tells_what_a_run_would_find(
    suite: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.cli.diagnosis.cpu_count", lambda: 7)
    results = tmp_path / "results"
    one_run(results, suite)
    ArtifactCache(results / "cache").get("semantic_ids", {}, lambda: {"codes": np.zeros(1000)})
    assert main(["doctor", "--suite", suite, "--results", str(results)]) == 0
    said = capsys.readouterr().out
    for words in (
        "python 3.",
        "  7 cores, ",
        "memory: ",
        " free for ",
        "ml-100k: found: 30 users, 40 items, 360 events",
        "ml-20m: missing: ml-20m is not on this machine: fetch https://",
        "cache of semantic_ids: 1 files, 8.3 KiB",
        "4 runs, 3 of them to do",
        "estimate for this machine: ",
        "memory: up to about ",
    ):
        assert words in said, words


def test_clean_removes_all_but_results(
    suite: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], refused: Callable[[list[str]], str]
) -> None:
    results = tmp_path / "results"
    spec = one_run(results, suite)
    ArtifactCache(results / "cache").get("semantic_ids", {}, lambda: {"codes": np.zeros(1000)})
    checkpoint = checkpoint_folder(results, spec) / "training-1.json"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_text("x" * 1024)
    folder = ResultStore(results).folder(spec)
    killed = folder.with_name(f".{folder.name}.4711.new")
    killed.mkdir()
    assert main(["cache", "show", "--results", str(results)]) == 0
    said = capsys.readouterr().out
    assert "checkpoints of runs that were broken off: 1 files, 1.0 KiB" in said
    assert "left by killed processes: 1" in said
    with heartbeat.lock(results, spec):
        assert f"1 runs are under way in '{results}'" in refused(["cache", "clean", "--results", str(results)])
    assert checkpoint.exists()
    assert main(["cache", "clean", "--results", str(results)]) == 0
    assert "9.3 KiB removed" in capsys.readouterr().out
    assert sorted(path.name for path in results.iterdir()) == ["runs"]
    assert [path.name for path in (results / "runs").iterdir()] == ["ml-100k"]
    assert not killed.exists()
    assert ResultStore(results).load(spec) is not None
