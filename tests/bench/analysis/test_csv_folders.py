"""Folders of which only CSV files are left are set side by side, whichever version wrote them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from bench.analysis.csv_folders import holds_files, side_by_side
from bench.analysis.dataset_tables import write_frames
from bench.analysis.runs import SuiteRuns
from bench.cli.main import main
from bench.errors import BenchError

OLD = Path(__file__).with_name("old_csv")


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A results folder with the files of schemas 1, 3 and 4, each of a data set of its own."""
    for schema in ("schema-1", "schema-3", "schema-4"):
        shutil.copytree(OLD / schema, tmp_path / "old" / "made-up" / schema)
    return tmp_path / "old"


def test_rows_of_every_schema_stand_beside_todays(old: Path, full_runs: SuiteRuns, tmp_path: Path) -> None:
    write_frames(full_runs, tmp_path / "new")
    assert holds_files(old, "made-up")
    assert not holds_files(old, "full")
    beside = side_by_side(old, tmp_path / "new", "made-up", "ndcg@10").set_index(["dataset", "row"])
    for folder, dataset in (
        ("schema-1", "ml-100k+keep"),
        ("schema-3", "planted-recent"),
        ("schema-4", "complete-journey"),
    ):
        for line in pd.read_csv(OLD / folder / "leaderboard.csv").to_dict("records"):
            found = beside.loc[(dataset, line["model"]), ["seeds_a", "mean_a", "std_a"]].tolist()
            known = [line["complete"], line["item.overall.ndcg@10.mean"], line["item.overall.ndcg@10.std"]]
            assert found == pytest.approx(known, abs=1e-9)
    assert beside.loc[("complete-journey", "counts-whole"), "mean_a"] == pytest.approx(0.0967, abs=5e-5)
    assert beside["difference"].isna().all(), "no data set is in both"
    today = beside.loc[("ml-100k", "glass")]
    values = full_runs.of_row("glass")
    assert today["seeds_b"] == len(values) == 3
    assert today.isna()[["seeds_a", "mean_a", "std_a"]].all()


def test_the_difference_is_that_of_the_means(full_runs: SuiteRuns, tmp_path: Path) -> None:
    half = SuiteRuns.of(full_runs.suite, [run.spec for run in full_runs.runs], full_runs.results[::2])
    for name, runs in (("a", full_runs), ("b", half)):
        write_frames(runs, tmp_path / name)
    beside = side_by_side(tmp_path / "a", tmp_path / "b", "made-up", "recall@10").set_index("row")
    for row in full_runs.rows:
        means = [
            sum(float(r.queries["item_rank"].between(1, 10).mean()) for r in runs.of_row(row) if r.queries is not None)
            / len(runs.of_row(row))
            for runs in (full_runs, half)
        ]
        assert beside.loc[row, "difference"] == pytest.approx(means[1] - means[0])


def test_what_the_files_do_not_hold_is_said_in_one_line(old: Path, tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="unknown metric 'mrr@10'"):
        side_by_side(old, old, "made-up", "mrr@10")
    with pytest.raises(BenchError, match="no figures of suite 'made-up' in"):
        side_by_side(old, tmp_path, "made-up", "ndcg@10")


def test_compare_shows_the_figures_and_says_that_nothing_was_tested(
    old: Path, full_runs: SuiteRuns, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_frames(full_runs, tmp_path / "new")
    page = tmp_path / "page.md"
    folders = ["compare", str(old), str(tmp_path / "new"), "--suite", "made-up"]
    assert main([*folders, "--dataset", "complete-journey", "--output", str(page)]) == 0
    said = capsys.readouterr().out
    assert "no difference was tested" in " ".join(said.split())
    line = next(line for line in page.read_text().splitlines() if "counts-whole" in line)
    assert [cell.strip() for cell in line.split("|")[1:-1]] == [
        *("complete-journey", "counts-whole", "3", "0.0967 ± 0.0000", "-", "-", "-"),
    ]
    assert "ml-100k" not in page.read_text()
    assert main([*folders, "--fail-if-worse"]) == 2
    assert main([*folders, "--dataset", "elsewhere"]) == 2
    assert "unknown data set 'elsewhere'" in capsys.readouterr().err
