"""Every command of README and manual: plans are made at once, what reads results runs in the slow tests."""

from __future__ import annotations

import importlib
import os
import pkgutil
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pages import DOCS, ROOT, blocks

import bench.cli
from bench.cli import main as cli
from bench.cli.own_suites import as_own
from bench.cli.run_options import usable
from bench.data import catalog
from bench.job import run_plan
from bench.plan import Plan, expand, select
from bench.spec import DatasetSpec
from bench.speed.job import run_speed, write_speed
from bench.suite_files import load_suite
from bench.tuning.study import tuned_runs
from bench.tuning.tuner import tune

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "reports" / "README.md", *sorted(DOCS.rglob("*.md"))]
PLANS = ("run", "tune")
"""Commands that train: here they are carried out as far as the plan, which checks every word of them."""
LOOKS = ("list", "data")
READS = ("report", "compare", "export", "test", "leaderboard", "archive")
CONFIRMS = ("confirm",)
"""What opens seals waits for complete runs; `tests/bench/cli/test_confirm.py` has them."""
ASKS = ("recommend",)
"""What asks saved models: its page is gone through from the first command to the last."""
MEASURES = ("speed",)
"""As for those that train: carried out as far as the list of what is measured."""

CHECKS = {
    "ruff check .",
    "ruff format --check .",
    "mypy",
    "mkdocs build --strict",
    "mkdocs serve",
    "pre-commit install",
}
"""What `.ci/run` and developers do; the first four are run there."""


def commands(page: Path) -> Iterator[str]:
    """The lines of the shell's blocks, without comments; parts around `&&` one by one."""
    for block in blocks(page):
        if block.language in ("", "bash") and re.search(r"^(python|glass-bench|mkdocs|ruff)", block.text, re.MULTILINE):
            for line in block.text.splitlines():
                words = shlex.join(shlex.split(line, comments=True)).replace("'&&'", "&&").replace("'>'", ">")
                yield from (part.strip() for part in words.split("&&") if part.strip())


ALL = sorted({command for page in PAGES for command in commands(page)})
OF_BENCH = [command for command in ALL if command.startswith("python -m bench ")]


def kind(command: str) -> str:
    return command.split()[3]


def test_every_command_is_of_a_kind_that_is_tested() -> None:
    assert len(OF_BENCH) > 25
    assert {kind(command) for command in OF_BENCH} == {*PLANS, *LOOKS, *READS, *CONFIRMS, *ASKS, *MEASURES}
    others = [command for command in ALL if command not in OF_BENCH and command not in CHECKS]
    assert [command for command in others if not re.match(r"python -m (pip install|pytest)\b", command)] == []


@pytest.mark.parametrize("command", [command for command in ALL if command.startswith("python -m pip")])
def test_what_is_installed_exists(command: str) -> None:
    extras = re.findall(r"\.\[(\w+)\]", command)
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert all(re.search(rf"^{extra} = \[", project, re.MULTILINE) for extra in extras)
    pinned = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    packages = [word for word in shlex.split(command)[4:] if re.match(r"[a-z]", word) and word != "constraints.txt"]
    assert all(re.search(rf"^{re.split('[<=>]', package)[0]}==", pinned, re.MULTILINE) for package in packages)


@pytest.fixture
def own_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with what the manual's reader has: events, an item table, a suite."""
    rng = np.random.default_rng(3)
    events = [
        (f"r{r}", f"a{a}", 1_700_000_000 + 60 * n) for r in range(24) for n, a in enumerate(rng.permutation(30)[:9])
    ]
    pd.DataFrame(events, columns=["reader", "article", "when"]).to_csv(tmp_path / "my.csv", index=False)
    parts = {"train": events[:-60], "valid": events[-60:-30], "test": events[-30:]}
    for part, rows in parts.items():
        named = [(user, item, time + 86_400 * list(parts).index(part)) for user, item, time in rows]
        pd.DataFrame(named, columns=["user", "item", "time"]).to_csv(tmp_path / f"{part}.csv", index=False)
    items = [(f"a{a}", f"Title {a}", ("news", "sports")[a % 2]) for a in range(30)]
    pd.DataFrame(items, columns=["article", "title", "category"]).to_csv(tmp_path / "items.csv", index=False)
    (suite,) = [block for block in blocks(DOCS / "guide" / "suites.md") if block.language == "yaml"]
    (tmp_path / "my_suite.yaml").write_text(suite.text)
    for block in blocks(DOCS / "extending.md"):
        if re.fullmatch(r"my_\w+\.py", block.title):  # models in files of the reader's own
            (tmp_path / block.title).write_text(block.text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def plan_of_own_data() -> None:
    """What `bench run --suite full --dataset my.csv ...` leaves behind, but for the runs."""
    mine = DatasetSpec(path="my.csv", user="reader", item="article", time="when")
    few = select(load_suite("full"), models=["popularity", "sasrec-ce"], own=[mine])
    suite = as_own(few, "full", [mine], [])
    Plan(suite=suite, runs=tuple(expand(suite)), command="").write(Path("results"))


def stand_in(monkeypatch: pytest.MonkeyPatch, original: object, double: object) -> None:
    """Puts a double in the place of a function of the harness, wherever it was imported to."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "bench":
            for attribute in [key for key, value in vars(module).items() if value is original]:
                monkeypatch.setattr(module, attribute, double)


@pytest.mark.usefixtures("tiny_ml_100k", "own_files")
@pytest.mark.parametrize("command", [command for command in OF_BENCH if kind(command) in PLANS])
def test_what_trains_is_planned(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    planned: list[object] = []
    tiny = catalog.CATALOG["ml-100k"].load
    for name, entry in catalog.CATALOG.items():
        monkeypatch.setitem(catalog.CATALOG, name, replace(entry, load=tiny))
    for module in pkgutil.iter_modules(bench.cli.__path__):
        importlib.import_module(f"bench.cli.{module.name}")
    stand_in(monkeypatch, run_plan, lambda plan, *_, **__: planned.extend(plan.runs) or [])
    stand_in(monkeypatch, tuned_runs, lambda runs, *_: (runs, []))
    stand_in(monkeypatch, tune, lambda bases, *_, **__: planned.extend(bases) or [])
    stand_in(monkeypatch, usable, lambda device: "cpu")  # one wants a GPU
    if "--suite own-my" in command:
        plan_of_own_data()
    assert cli.main(shlex.split(command)[3:]) == 0
    assert planned or "--dry-run" in command
    catalog.load_dataset.cache_clear()


@pytest.mark.usefixtures("tiny_ml_100k", "own_files")
@pytest.mark.parametrize("command", [command for command in OF_BENCH if kind(command) in LOOKS])
def test_what_looks_runs(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(shlex.split(command)[3:]) == 0
    assert len(capsys.readouterr().out.splitlines()) > 5


@pytest.mark.usefixtures("tiny_ml_100k", "own_files")
@pytest.mark.parametrize("command", [command for command in OF_BENCH if kind(command) in CONFIRMS])
def test_what_confirms_waits_for_the_runs_of_its_plan(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny = catalog.CATALOG["ml-100k"].load
    suite = load_suite(shlex.split(command)[-1])
    for dataset in suite.datasets:
        monkeypatch.setitem(catalog.CATALOG, dataset.name, replace(catalog.CATALOG[dataset.name], load=tiny))
    Plan(suite=suite, runs=tuple(expand(suite)), command="").write(Path("results"))
    assert cli.main(shlex.split(command)[3:]) == 2
    assert re.search(r"error: (\d+) of \1 runs on .* are not complete", capsys.readouterr().err)
    catalog.load_dataset.cache_clear()


@pytest.mark.parametrize("command", [command for command in OF_BENCH if kind(command) in MEASURES])
def test_what_measures_knows_what(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    listed: list[object] = []
    stand_in(monkeypatch, run_speed, lambda tasks, *_: listed.extend(tasks) or True)
    stand_in(monkeypatch, write_speed, lambda *_: [])
    importlib.import_module("bench.cli.speed")
    stand_in(monkeypatch, usable, lambda device: "cpu")  # one wants a GPU
    assert cli.main(shlex.split(command)[3:]) == 0
    assert listed


def run(command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, *shlex.split(command)[1:]]
    return subprocess.run(words, env={**os.environ, **variables}, capture_output=True, text=True)


@pytest.mark.slow
@pytest.mark.usefixtures("tiny_ml_100k")
def test_the_readme_s_way_to_own_data_is_walked(own_files: Path) -> None:
    """But for its last step, the main job, which takes as long as it takes."""
    steps = [command for command in commands(ROOT / "README.md") if "my.csv" in command]
    assert [kind(step) for step in steps] == ["data", "run", "run"]
    assert "--suite full" in steps[2]
    for step in steps[:2]:
        done = run(step)
        assert done.returncode == 0, done.stdout + done.stderr
    pages = list(own_files.glob("reports/*/report.html"))
    assert len(pages) == 1


@pytest.mark.slow
@pytest.mark.usefixtures("tiny_ml_100k", "own_files")
def test_what_reads_results_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """On the results of two rows, of which `results-old`, the suite `long` and two of the user's own hold a copy."""
    few = ["--models", "popularity,personal-popularity", "--datasets", "ml-100k", "--seeds", "2", "--jobs", "1"]
    assert cli.main(["run", "--suite", "full", *few]) == 0
    plan = Plan.read(Path("results"), "full")
    for name in ("long", "own-my", "own-more-seeds"):
        plan.model_copy(update={"suite": plan.suite.model_copy(update={"name": name})}).write(Path("results"))
    subprocess.run(["cp", "-r", "results", "results-old"], check=True)
    for command in OF_BENCH:
        if kind(command) in READS:
            capsys.readouterr()
            rows = {"glass": "popularity", "tiger": "personal-popularity"}
            words = [",".join(rows.get(part, part) for part in word.split(",")) for word in shlex.split(command)[3:]]
            target = words.index(">") if ">" in words else len(words)
            code = cli.main(words[:target])
            complaint = capsys.readouterr().err
            lacks = "pip install" in complaint  # an optional package
            assert code == 0 or (code == 2 and lacks), complaint


def test_every_suite_has_a_line_in_the_manual() -> None:
    named = set(re.findall(r"--suite ([a-z0-9-]+)", " ".join(commands(DOCS / "guide" / "running.md"))))
    assert named >= {path.stem for path in (ROOT / "bench" / "suites").glob("*.yaml")}


def test_what_asks_saved_models_answers(own_files: Path) -> None:
    new = [("x", "a1", 1_700_000_000), ("x", "a2", 1_700_000_060)]
    pd.DataFrame(new, columns=["reader", "article", "when"]).to_csv(own_files / "new_users.csv", index=False)
    (own_files / "users.txt").write_text("r1\nr3\n")
    page = list(commands(DOCS / "guide" / "recommending.md"))
    assert {command for command in OF_BENCH if kind(command) in ASKS} <= set(page)
    for command in page:
        assert cli.main(shlex.split(command)[3:]) == 0, command
    assert len(pd.read_csv(own_files / "recommendations.csv")) == 24 * 10
