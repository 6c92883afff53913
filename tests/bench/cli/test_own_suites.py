"""Data of the user's own have a suite, a title and folders of their own, which every command finds by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from quick_runs import be_quick

from bench.cli.main import main
from bench.data import catalog
from bench.plan import Plan

READ = ["--user", "reader", "--item", "article", "--time", "when"]
ROWS = ["--models", "popularity,item-knn", "--seeds", "1", "--jobs", "1"]
Refused = Callable[[list[str]], str]


def write_events(path: Path, seed: int = 0) -> None:
    """16 readers with ten of twelve articles each."""
    random = np.random.default_rng(seed)
    rows = [f"r{user},a{item},{1_500_000_000 + place}" for user in range(16) for place, item in _some(random)]
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(["reader,article,when", *rows]) + "\n")


def _some(random: np.random.Generator) -> list[tuple[int, int]]:
    return list(enumerate(random.permutation(12)[:10].tolist()))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with `mine.csv` and another file of that name in `other`."""
    monkeypatch.chdir(tmp_path)
    be_quick(monkeypatch)
    write_events(tmp_path / "mine.csv")
    write_events(tmp_path / "other" / "mine.csv", seed=1)
    catalog.load_dataset.cache_clear()
    return tmp_path


def run(*options: str, dataset: str = "mine.csv", suite: str = "full") -> int:
    return main(["run", "--suite", suite, "--dataset", dataset, *READ, *ROWS, *options])


def test_own_data_leave_the_suite_s_folders_alone_and_their_title_names_the_file(here: Path) -> None:
    assert run() == 0
    assert sorted(path.name for path in (here / "reports").iterdir()) == ["own-mine"]
    assert sorted(path.name for path in (here / "results").iterdir()) == ["own-mine", "runs"]
    page = (here / "reports" / "own-mine" / "report.md").read_text()
    assert page.startswith("# own-mine: mine.csv (your own data), with rows of suite full.\n")
    assert "MovieLens" not in page.partition("\n## ")[0]
    assert "own-mine" in (here / "results" / "own-mine" / "mine" / "metrics.csv").read_text()


def test_later_commands_find_them_by_name(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--set", "item-knn.neighbours=7") == 0
    catalog.load_dataset.cache_clear()
    plan = Plan.read(here / "results", "own-mine")
    named = ["--suite", "own-mine"]
    for command in (
        ["test", *named, "--first", "popularity", "--second", "item-knn"],
        ["leaderboard", *named],
        ["export", *named, "--to", "latex"],
        ["compare", "results", "results", *named],
        ["archive", *named],
        ["report", *named],
        ["doctor", *named],
        ["list", "suites"],
    ):
        capsys.readouterr()
        assert main(command) == 0, command
        told = capsys.readouterr().out
        assert "mine" in told
        assert command[0] != "doctor" or "2 runs, 0 of them to do" in told
    assert main(["run", *named, "--jobs", "1"]) == 0  # with the same settings, as they belong to the name
    assert "0 of 2 runs to do" in capsys.readouterr().out
    assert Plan.read(here / "results", "own-mine") == plan
    assert "--dataset mine.csv" in plan.command
    assert next(run.config for run in plan.runs if run.model == "item-knn")["neighbours"] == 7


def test_a_search_and_a_run_with_what_it_found_take_the_name(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("optuna")
    assert run() == 0
    search = ["tune", "--suite", "own-mine", "--dataset", "mine", "--models", "item-knn", "--trials", "2"]
    assert main([*search, "--jobs", "1"]) == 0
    study = next((here / "results" / "tuning" / "mine").rglob("study.json"))
    assert json.loads(study.read_text())
    assert main(["run", "--suite", "own-mine", "--tuned", "--jobs", "1"]) == 0
    assert Plan.read(here / "results", "own-mine").tuned
    assert main(["confirm", "--suite", "own-mine"]) == 2
    assert "sets nobody aside" in capsys.readouterr().err


def test_a_file_of_the_same_name_does_not_take_the_other_s_place(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run() == 0
    before = (here / "reports" / "own-mine" / "report.md").read_text()
    capsys.readouterr()
    assert run(dataset="other/mine.csv") == 2
    told = capsys.readouterr().err
    assert "holds results of mine.csv, and other/mine.csv is another file of that name" in told
    assert told.count("\n") == 1
    assert (here / "reports" / "own-mine" / "report.md").read_text() == before
    assert run("--name", "others", dataset="other/mine.csv") == 0
    assert {run.dataset.label for run in Plan.read(here / "results", "own-others").runs} == {"others"}
    (here / "moved").mkdir()
    (here / "mine.csv").rename(here / "moved" / "mine.csv")
    assert run(dataset="moved/mine.csv") == 0, "the same data elsewhere"


def test_several_files_of_one_name_are_named_one_by_one(here: Path) -> None:
    assert run("--dataset", "other/mine.csv", "--name", "first", "--name", "own-second") == 0
    plan = Plan.read(here / "results", "own-first+second")
    assert {run.dataset.label for run in plan.runs} == {"first", "second"}
    assert plan.suite.description.startswith("mine.csv and mine.csv (your own data)")


def test_what_a_report_showed_and_will_not_show_is_told(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 0
    capsys.readouterr()
    assert run("--models", "popularity", suite="smoke") == 0
    assert "the report of own-mine so far also had item-knn, which this run leaves out" in capsys.readouterr().out
    assert len(list((here / "results" / "runs").rglob("result.json"))) == 2


@pytest.mark.usefixtures("tiny_ml_100k")
def test_a_part_of_a_suite_takes_a_name_too(here: Path) -> None:
    assert main(["run", "--suite", "full", "--datasets", "ml-100k", *ROWS, "--name", "few"]) == 0
    page = (here / "reports" / "own-few" / "report.md").read_text()
    assert page.startswith("# own-few: ml-100k (your choice of data), with rows of suite full.")
    assert not (here / "reports" / "full").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--suite", "own-mien"], "unknown suite 'own-mien': did you mean own-mine"),
        (["report", "--suite", "own-mien"], "unknown suite 'own-mien': did you mean own-mine"),
        (["tune", "--suite", "own-mien", "--dataset", "mine"], "unknown suite 'own-mien': did you mean own-mine"),
        (["doctor", "--suite", "own-mien"], "unknown suite 'own-mien': did you mean own-mine"),
        (["leaderboard", "--suite", "own-mien"], "choose --suite own-mine"),
        (["confirm", "--suite", "own-mien"], "first run python -m bench run --dataset FILE --name mien"),
        (["run", "--dataset", "mine.csv", *READ, "--name", "../up"], "'../up' names a folder"),
        (["run", "--dataset", "mine.csv", *READ, "--name", "a", "--name", "b"], "not 2"),
        (["run", "--dataset", "mine.csv", "--dataset", "other/mine.csv", *READ], "or name each (--name NAME"),
    ],
)
def test_a_name_that_is_none_is_one_line(here: Path, refused: Refused, arguments: list[str], message: str) -> None:
    suite = run_plan_only(here)
    assert suite == "own-mine"
    assert message in refused(arguments)


def run_plan_only(here: Path) -> str:
    """Writes the plan of `own-mine`, and returns its name."""
    assert run("--models", "popularity") == 0
    return Plan.suites(here / "results")[0]
