"""`bench confirm`: nothing of the users who are set aside is seen before it, and every look leaves a record."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from bench.cli.main import main
from bench.data.catalog import load_dataset
from bench.data.set_aside import SALT, set_aside
from bench.execution.store import ResultStore
from bench.execution.worker import execute
from bench.plan import Plan, expand
from bench.suite_files import load_suite

SUITE = """description: Two counters.
datasets: [{name: ml-100k, seen_items: keep, confirm: 0.4}]
questions: [[item-knn, popularity]]
floor: popularity
models: [popularity, item-knn]
seeds: 2
"""
pytestmark = pytest.mark.usefixtures("tiny_ml_100k")


class Place:
    """A folder with a suite, its results and its reports."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.results = folder, folder / "results"
        self.suite = folder / "looked.yaml"
        self.suite.write_text(SUITE)
        self._folders = ["--results", str(self.results), "--reports", str(folder / "reports")]

    def run(self, *settings: str) -> None:
        """As `bench run`, in this process and without a report."""
        suite = load_suite(str(self.suite))
        plan = Plan(suite=suite, runs=tuple(expand(suite, settings)), command="bench run")
        plan.write(self.results)
        for spec in plan.runs:
            if not ResultStore(self.results).folder(spec).exists():
                execute(spec, self.results, "cpu", 1)

    def rebuild(self) -> None:
        assert main(["report", "--suite", "looked", *self._folders]) == 0

    def confirm(self) -> list[str]:
        return ["confirm", "--suite", "looked", *self._folders]

    @property
    def records(self) -> Path:
        return self.results / "confirm" / "ml-100k"

    @property
    def report(self) -> str:
        return (self.folder / "reports" / "looked" / "report.md").read_text()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture(autouse=True)
def without_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing them takes longer than all the rest."""
    monkeypatch.setattr("bench.reporting.section.ReportFigure.picture", lambda *_: None)


def aside_users() -> set[int]:
    return {int(user) for user in set_aside(load_dataset("ml-100k").user_ids, 0.4).nonzero()[0]}


def test_development_sees_nothing_of_them_and_a_look_is_recorded(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place.run()
    plan, store = Plan.read(place.results, "looked"), ResultStore(place.results)
    for spec in plan.runs:
        result = store.load(spec)
        assert result is not None
        assert result.queries is not None
        assert not set(result.queries["user"]) & aside_users()
        assert result.sealed is None
        sealed = store.break_seal(spec)
        assert set(sealed["user"]) == aside_users()
        assert list(sealed) == list(result.queries)
    place.rebuild()
    assert "40% of the users are set aside, and nobody has looked at them" in place.report
    assert not (place.results / "looked" / "ml-100k+keep+dev" / "confirmed.csv").exists()

    assert main(place.confirm()) == 0
    assert "the first look: " in capsys.readouterr().out
    record = json.loads((place.records / "look-1.json").read_text())
    assert (record["number"], record["suite"], record["salt"], record["share"]) == (1, "looked", SALT, 0.4)
    assert [run["key"] for run in record["runs"]] == [spec.key for spec in plan.runs]
    assert {run["model"]: run["config"] for run in record["runs"]} == {spec.model: spec.config for spec in plan.runs}
    assert {"opened", "commit", "machine", "versions"} <= set(record)
    tests = pd.read_csv(place.results / "looked" / "ml-100k+keep+dev" / "confirmed.csv")
    assert tests["title"].tolist() == ["item-knn against popularity"]
    assert (tests["n_queries"].item(), tests["seeds"].item(), tests["look"].item()) == (len(aside_users()), 2, 1)
    first = sum(store.break_seal(spec)["item_rank"].between(1, 1).mean() for spec in plan.runs) / 4
    assert tests["first_mean"].item() + tests["second_mean"].item() >= 2 * first  # ndcg@10 is never under hit@1
    assert "Confirmatory result, ml-100k+keep+dev" in place.report
    assert "have been looked at once, on 20" in place.report
    assert "look 1 of 1" in place.report


def test_a_second_look_at_the_same_rows_is_none_and_at_others_it_shows(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place.run()
    assert main(place.confirm()) == 0
    assert main(place.confirm()) == 0
    assert "nothing new: all rows were opened before (look 1, " in capsys.readouterr().out
    assert not (place.records / "look-2.json").exists()

    place.run("item-knn.neighbours=3")
    place.rebuild()
    assert "Not confirmed as configured now: item-knn against popularity" in place.report
    assert main(place.confirm()) == 0
    assert "look 2, so what was chosen since look 1 counts less" in capsys.readouterr().out
    record = json.loads((place.records / "look-2.json").read_text())
    assert {run["label"] for run in record["runs"]} == {"item-knn"}  # the other row had been opened
    assert "have been looked at 2 times, first on 20" in place.report
    assert "look 2 of 2" in place.report
    (place.records / "look-1.json").unlink()
    capsys.readouterr()
    assert main(place.confirm()) == 2
    assert "look-1.json is missing: restore it, for no look may be forgotten" in capsys.readouterr().err


def test_nothing_is_opened_before_all_runs_are_there(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.run()
    plan = Plan.read(place.results, "looked")
    folder = ResultStore(place.results).folder(plan.runs[0])
    os.rename(folder, folder.with_name("elsewhere"))  # noqa: PTH104
    assert main(place.confirm()) == 2
    assert "1 of 4 runs on ml-100k+keep+dev are not complete" in capsys.readouterr().err
    assert not place.records.exists()


def test_ranks_that_no_run_wrote_are_not_opened(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.run()
    plan, store = Plan.read(place.results, "looked"), ResultStore(place.results)
    better = store.folder(plan.runs[1]) / "sealed.parquet"
    (store.folder(plan.runs[0]) / "sealed.parquet").write_bytes(better.read_bytes())
    assert main(place.confirm()) == 2
    assert "(not the file that this run wrote): make the run again, with `bench run`" in capsys.readouterr().err
    assert not place.records.exists()


def test_a_suite_that_sets_nobody_aside_has_nothing_to_confirm(
    place: Place, refused: Callable[[list[str]], str]
) -> None:
    place.suite.write_text(SUITE.replace(", confirm: 0.4", ""))
    place.run()
    place.rebuild()
    assert "suite 'looked' sets nobody aside" in refused(place.confirm())
    assert "Confirmatory" not in place.report


def test_changed_ranks_of_a_look_are_refused(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.run()
    assert main(place.confirm()) == 0
    ranks = place.records / "look-1.parquet"
    ranks.write_bytes(ranks.read_bytes()[:-1] + b"x")
    assert main(place.confirm()) == 2
    assert "look-1.parquet: not the file that was written: restore it" in capsys.readouterr().err
