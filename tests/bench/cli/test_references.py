"""Committed reference results are written over by the whole suite only, and one line says so before any run begins."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from quick_runs import be_quick

from bench.cli.main import main
from bench.plan import Plan
from bench.suite_files import load_suite

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")

SUITE = "datasets: [ml-100k]\nmodels: [popularity, item-knn]\nseeds: 1\n"
WHOLE = ["run", "--suite", "mine.yaml", "--jobs", "1"]


def git(*arguments: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@b.c")
    return subprocess.run(["git", *identity, *arguments], check=True, capture_output=True, text=True).stdout


def changed() -> str:
    return git("status", "--porcelain", "--untracked-files=no")


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_ml_100k: None) -> Path:
    """A clone with a suite and its committed report and figures, whose runs are not there."""
    monkeypatch.chdir(tmp_path)
    be_quick(monkeypatch)
    (tmp_path / "mine.yaml").write_text(SUITE)
    assert main(WHOLE) == 0
    (tmp_path / ".gitignore").write_text("/results/runs/\n/results/*/*.json\nreport.html\n/data/\n")
    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "reference")
    shutil.rmtree(tmp_path / "results" / "runs")
    for path in (tmp_path / "results" / "mine").glob("*.json"):
        path.unlink()
    return tmp_path


def test_a_dry_run_tells_what_becomes_of_them(clone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    part = [*WHOLE, "--models", "popularity"]
    assert main([*part, "--dry-run"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "1 run to do" in said
    assert "without --dry-run this is refused: 'reports/mine' and 'results/mine': committed reference results" in said
    assert main([*part, "--dry-run", "--force"]) == 0
    assert "refused" not in capsys.readouterr().out
    assert main([*part, "--dry-run", "--name", "other"]) == 0
    assert "refused" not in capsys.readouterr().out
    assert main([*WHOLE, "--dry-run"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "the committed results are made anew; `git restore" in said
    assert not changed()


@pytest.mark.parametrize(
    "part",
    [
        ["--models", "popularity"],
        ["--seeds", "2"],
        ["--dataset", "ml-100k", "--min-user-events", "3"],
        ["--set", "item-knn.neighbours=7"],
        ["--models", "popularity", "--reports", "elsewhere"],
        ["--models", "popularity", "--results", "elsewhere"],
    ],
    ids=" ".join,
)
def test_a_part_does_not_replace_them(clone: Path, capsys: pytest.CaptureFixture[str], part: list[str]) -> None:
    capsys.readouterr()
    assert main([*WHOLE, *part]) == 2
    told = capsys.readouterr()
    assert told.err.count("\n") == 1
    if "--min-user-events" not in part:
        assert "committed reference results of suite 'mine'" in told.err
        assert "--name NAME" in told.err
    assert (changed(), told.out) == ("", "")
    assert not (clone / "results" / "runs").exists()


@pytest.mark.usefixtures("clone")
def test_another_data_set_or_suite_of_the_name_does_not_either(capsys: pytest.CaptureFixture[str]) -> None:
    Path("other").mkdir()
    Path("other/full.yaml").write_text(SUITE)
    for folder in ("results", "reports"):
        shutil.copytree(f"{folder}/mine", f"{folder}/full")
    git("add", ".")
    git("commit", "-q", "-m", "of the suite that comes along")
    capsys.readouterr()
    assert main(["run", "--suite", "other/full.yaml"]) == 2
    assert "committed reference results of suite 'full'" in capsys.readouterr().err
    assert main(["run", "--suite", "full", "--datasets", "planted-mixed", "--models", "popularity"]) == 2
    assert "committed reference results of suite 'full'" in capsys.readouterr().err


@pytest.mark.usefixtures("clone")
@pytest.mark.parametrize("way_out", [["--name", "few"], ["--results", "r", "--reports", "r"]])
def test_the_ways_out_lead_elsewhere(way_out: list[str]) -> None:
    assert main([*WHOLE, "--models", "popularity", *way_out]) == 0
    assert changed() == ""


@pytest.mark.usefixtures("clone")
def test_force_is_a_way_too_and_what_it_began_goes_on_without_it(capsys: pytest.CaptureFixture[str]) -> None:
    part = [*WHOLE, "--models", "popularity"]
    assert main([*part, "--force"]) == 0
    assert "reports/mine/report.md" in changed()
    assert main(part) == 0
    git("checkout", "-q", ".")
    Path("results/mine/finished.json").unlink()
    capsys.readouterr()
    assert main(part) == 2, "brought back, they are references again"


@pytest.mark.usefixtures("clone")
def test_the_whole_suite_runs_and_says_once_how_to_bring_them_back(capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(WHOLE) == 0
    told = capsys.readouterr().out
    assert "the committed results are made anew; `git restore reports/mine results/mine` brings them back" in told
    assert "2 complete, 0 failed" in told
    Path("results/mine/finished.json").unlink()
    assert main([*WHOLE, "--models", "popularity,item-knn", "--seeds", "1"]) == 0, "all of it, spelt out"
    assert "made anew" not in capsys.readouterr().out


@pytest.mark.usefixtures("clone")
def test_a_report_of_other_results_does_not_replace_the_committed_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*WHOLE, "--models", "popularity", "--results", "r", "--reports", "r"]) == 0
    capsys.readouterr()
    assert main(["report", "--suite", "mine", "--results", "r"]) == 2
    told = capsys.readouterr().err
    assert "'reports/mine': the committed report of suite 'mine'" in told
    assert told.count("\n") == 1
    assert changed() == ""
    assert main(["report", "--suite", "mine", "--results", "r", "--reports", "r"]) == 0
    assert main(["report", "--suite", "mine", "--results", "r", "--force"]) == 0
    assert "reports/mine/report.md" in changed()


@pytest.mark.usefixtures("clone")
def test_an_archive_keeps_the_runs_that_it_has(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(WHOLE) == 0
    assert main(["archive", "--suite", "mine"]) == 0
    assert main([*WHOLE, "--models", "popularity", "--force"]) == 0
    capsys.readouterr()
    assert main(["archive", "--suite", "mine"]) == 2
    told = capsys.readouterr().err
    assert "an archive with 1 runs that are not here (first: item-knn on ml-100k, seed 0)" in told
    assert main(["archive", "--suite", "mine", "--force"]) == 0


def test_without_a_repository_nothing_is_a_reference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_ml_100k: None
) -> None:
    monkeypatch.chdir(tmp_path)
    be_quick(monkeypatch)
    Path("mine.yaml").write_text(SUITE)
    assert main(WHOLE) == 0
    assert main([*WHOLE, "--models", "popularity"]) == 0
    assert len(Plan.read(Path("results"), "mine").runs) == 1
    assert len(load_suite("mine.yaml").models) == 2
