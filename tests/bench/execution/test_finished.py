"""What is kept of a finished grid: it holds as long as nothing has changed, whatever it is."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.execution import finished as finished_module
from bench.execution.finished import FinishedGrid
from bench.execution.store import ResultStore
from bench.spec import DatasetSpec, RunResult, RunSpec

SPECS = [
    RunSpec(
        dataset=DatasetSpec(name="ml-100k"), data_hash="0", model="popularity", revision=1, config={}, seed=s, label="p"
    )
    for s in range(3)
]


def kept(folder: Path, asked: str = "a plan") -> FinishedGrid:
    return FinishedGrid(folder / "results", "mine", asked, folder / "reports" / "mine")


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    for spec in SPECS:
        ResultStore(tmp_path / "results").save(RunResult(spec, "failed", "stands for a complete one"), "log")
    files = ("results/mine/plan.json", "results/mine/ml-100k/leaderboard.csv", "reports/mine/report.md")
    for path in (*files, "reports/mine/figures/a.svg"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("as written")
    new = kept(tmp_path)
    new.note(*SPECS)
    new.write()
    return tmp_path


def test_it_holds_while_nothing_changes(finished: Path) -> None:
    assert kept(finished).holds(SPECS)
    assert kept(finished).holds(SPECS[:2]), "of part of the runs"


def test_without_the_plan_nothing_is_kept(finished: Path) -> None:
    """Somebody removed the folder under a grid, which went on and has written all but its plan anew."""
    for name in ("plan.json", "finished.json"):
        (finished / "results" / "mine" / name).unlink()
    new = kept(finished)
    new.note(*SPECS)
    new.write()
    assert not kept(finished).holds(SPECS)


def test_it_is_of_one_plan_and_one_folder_of_reports(finished: Path) -> None:
    assert not kept(finished, "another plan").holds(SPECS)
    assert not FinishedGrid(finished / "results", "mine", "a plan", finished / "elsewhere").holds(SPECS)


def flipped(path: Path) -> None:
    """One bit of a file, with the times that a program can set put back."""
    before, content = path.stat(), bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def copied(path: Path) -> None:
    shutil.copy2(path, path.with_name("copy"))
    path.with_name("copy").replace(path)


RESULT = f"results/runs/ml-100k/popularity/s1-{SPECS[1].key}/result.json"


@pytest.mark.parametrize("change", [flipped, cut, copied, Path.unlink])
@pytest.mark.parametrize(
    "file", [RESULT, "results/mine/ml-100k/leaderboard.csv", "reports/mine/figures/a.svg", "reports/mine/report.md"]
)
def test_whatever_changes_undoes_it(finished: Path, file: str, change: Callable[[Path], None]) -> None:
    change(finished / file)
    assert not kept(finished).holds(SPECS)


def test_a_missing_or_new_file_undoes_it(finished: Path) -> None:
    shutil.rmtree((finished / RESULT).parent)
    assert not kept(finished).holds(SPECS)


def test_a_search_that_comes_later_undoes_it(finished: Path) -> None:
    study = finished / "results" / "tuning" / "ml-100k" / "popularity" / "key" / "study.json"
    study.parent.mkdir(parents=True)
    study.write_text("{}")
    assert not kept(finished).holds(SPECS)


def test_what_is_damaged_is_none(finished: Path) -> None:
    path = finished / "results" / "mine" / "finished.json"
    whole = path.read_text()
    for broken in ("", whole[:-20], "[]", "3", json.dumps({**json.loads(whole), "asked": "else"})):
        path.write_text(broken)
        assert not kept(finished).holds(SPECS)
    path.write_text(whole)
    assert kept(finished).holds(SPECS)


def test_other_code_undoes_it(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finished_module.bench, "__version__", "0.0.0")
    assert not kept(finished).holds(SPECS)
