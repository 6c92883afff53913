"""The worked examples of docs/extending.md: each is one new file and one line, and does what the page says."""

from __future__ import annotations

import doctest
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pages import DOCS, ROOT, Block, apply, blocks

from bench.cli import main as cli

PAGE = DOCS / "extending.md"
PACKAGES = ("bench", "models", "baselines")
SUITE = "datasets: [game-nights]\nmodels: [popularity, same-category]\nseeds: 1\n"


def example(heading: str) -> list[Block]:
    """The titled blocks under a heading of the page."""
    section = PAGE.read_text(encoding="utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return [block for block in blocks(PAGE) if block.title and block.text in section]


HEADINGS = ("A model", "A data source", "A metric", "A figure")


@pytest.mark.parametrize("heading", HEADINGS)
def test_each_is_one_new_file_and_one_line(heading: str, tmp_path: Path) -> None:
    file, line = example(heading)
    assert (file.language, line.language) == ("python", "diff")
    assert not (ROOT / file.title).exists()
    changed = tmp_path / line.title
    changed.parent.mkdir(parents=True)
    shutil.copy(ROOT / line.title, changed)
    apply(line, tmp_path)
    assert len(changed.read_text().splitlines()) == len((ROOT / line.title).read_text().splitlines()) + 1


@pytest.mark.usefixtures("tiny_ml_100k")
def test_a_model_in_a_file_runs_as_the_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    heading = "A model of yours, in one file"
    for file in example(heading):
        (tmp_path / file.title).write_text(file.text)
    (shell,) = [block for block in blocks(PAGE) if block.language == "bash" and "my_model.py:" in block.text]
    for command in shell.text.splitlines():
        assert cli.main([*shlex.split(command)[3:], "--jobs", "1", "--name", "mine"]) == 0
    rows = pd.read_csv("results/own-mine/ml-100k+300users/leaderboard.csv")
    assert dict(zip(rows["row"], rows["status"], strict=True)) == {
        "sasrec-ce": "complete",
        "MyNetworkModel": "complete",
    }
    made = {path.parts[-3] for path in tmp_path.glob("results/runs/*/*/*/result.json")}
    assert made == {"popularity", "SameGenre", "sasrec-ce", "MyNetworkModel"}


def test_the_example_in_the_metric_s_docstring_is_right() -> None:
    file, _ = example("A metric")
    module: dict[str, object] = {}
    exec(file.text, module)
    tests = doctest.DocTestFinder().find(module["rank_biased_precision"], "rbp", globs=module)
    assert [doctest.DocTestRunner().run(test) for test in tests] == [doctest.TestResults(0, 1)]


def write_game_nights(folder: Path) -> None:
    """24 households that play one genre each: the last game is one of it that is less popular than others."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(5)
    games = [f"g{number:02d}" for number in range(20)]
    genres = {game: ("cards", "dice")[number % 2] for number, game in enumerate(games)}
    rows = [
        (f"h{household}", game, f"2026-03-{day + 1:02d}T20:00:00")
        for household in range(24)
        for day, game in enumerate(
            rng.permutation([game for game in games if genres[game] == ("cards", "dice")[household % 2]])[:8]
        )
    ]
    pd.DataFrame(rows, columns=["household", "game", "played_at"]).to_csv(folder / "plays.csv", index=False)
    table = pd.DataFrame(
        {"game": games, "title": [f"Game {game}" for game in games], "genre": [genres[g] for g in games]}
    )
    table.to_csv(folder / "games.csv", index=False)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a copy of the project with all examples of the page leaves behind, after a suite on the new data set."""
    project = tmp_path_factory.mktemp("project")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, project / package, ignore=shutil.ignore_patterns("__pycache__"))
    for heading in HEADINGS:
        for block in example(heading):
            apply(block, project)
    write_game_nights(project / "data" / "game-nights")
    (project / "nights.yaml").write_text(SUITE)
    environment = {**os.environ, "PYTHONPATH": str(project), "GLASS_BENCH_DATA": str(project / "data")}
    command = [sys.executable, "-m", "bench", "run", "--suite", "nights.yaml", "--jobs", "1"]
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return project


@pytest.mark.slow
def test_the_new_parts_are_in_the_tables(results: Path) -> None:
    table = pd.read_csv(results / "results" / "nights" / "game-nights" / "leaderboard.csv", index_col="row")
    assert set(table.index) == {"popularity", "same-category"}  # the model, on the data set
    stored = {path.parts[-3]: path for path in results.glob("results/runs/game-nights/*/*/queries.parquet")}
    for model, path in stored.items():
        ranks = pd.read_parquet(path)["item_rank"].to_numpy()
        by_hand = np.mean([0.2 * 0.8 ** (rank - 1) if 1 <= rank <= 10 else 0.0 for rank in ranks])
        assert table.loc[model, "item.overall.rbp@10.mean"] == pytest.approx(by_hand, abs=1e-9)
    assert table.loc["same-category", "item.overall.rbp@10.mean"] > table.loc["popularity", "item.overall.rbp@10.mean"]


@pytest.mark.slow
def test_the_new_parts_are_in_the_report(results: Path) -> None:
    report = (results / "reports" / "nights" / "report.md").read_text(encoding="utf-8")
    assert "RBP@10" in report
    assert "## game-nights: accuracy and coverage" in report
    assert (results / "reports" / "nights" / "figures" / "game-nights-coverage.png").stat().st_size > 5000
    assert "CC0." in report
