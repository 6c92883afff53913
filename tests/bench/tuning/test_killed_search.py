"""A search that is killed goes on from its studies alone, and ends as one that was left in peace."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.tuning.study import Study

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("tiny_ml_100k"),
    pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL"),
]

SUITE = """
datasets: [ml-100k]
models:
  - popularity
  - personal-popularity
  - item-knn
"""
SETTINGS = ("--trials", "7", "--jobs", "1", "--device", "cpu", "--dataset", "ml-100k")


def command(suite: Path, results: Path) -> list[str]:
    return [sys.executable, "-m", "bench", "tune", "--suite", str(suite), *SETTINGS, "--results", str(results)]


def studies(results: Path) -> list[Study]:
    paths = sorted((results / "tuning").glob("*/*/*/study.json"))
    return [Study.model_validate_json(path.read_text(encoding="utf-8")) for path in paths]


def found(results: Path) -> dict[str, Any]:
    """All that a search leaves but times."""
    return {
        study.base.label: [(t.number, t.state, t.values, t.validations, t.shares) for t in study.trials]
        for study in studies(results)
    }


def when(happens: Callable[[], bool]) -> None:
    end = time.monotonic() + 300
    while not happens():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def test_a_search_that_is_killed_and_carried_elsewhere_goes_on_with_the_trials_that_are_missing(tmp_path: Path) -> None:
    suite = tmp_path / "mine.yaml"
    suite.write_text(SUITE)
    undisturbed = subprocess.run(command(suite, tmp_path / "a"), capture_output=True, text=True, check=True)
    assert "14 of 14 trials to do" in undisturbed.stdout
    whole = found(tmp_path / "a")
    assert {len(trials) for trials in whole.values()} == {7}

    folder = tmp_path / "b"
    for moment in (3, 8):
        searching = subprocess.Popen(command(suite, folder), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        when(lambda: sum(len(study.trials) for study in studies(folder)) >= moment)  # noqa: B023
        os.kill(searching.pid, signal.SIGKILL)
        searching.wait()
        numbers = [len(study.trials) for study in studies(folder)]
        assert moment <= sum(numbers) <= moment + 2
        assert max(numbers) - min(numbers) <= 1
        carried = tmp_path / f"after-{moment}"
        for path in (folder / "tuning").glob("*/*/*/study.json"):
            target = carried / path.relative_to(folder)
            target.parent.mkdir(parents=True)
            shutil.copy(path, target)
        folder = carried
    ended = sum(len(study.trials) for study in studies(folder))
    last = subprocess.run(command(suite, folder), capture_output=True, text=True, check=True)
    assert f"{14 - ended} of 14 trials to do" in last.stdout
    assert found(folder) == whole
