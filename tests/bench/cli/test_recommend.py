"""`bench recommend`: from saved models to lists in original ids, for known users and for others."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.cli.main import main
from bench.data import catalog
from bench.execution.store import ResultStore
from bench.plan import Plan

ROOT = Path(__file__).parents[3]
MODELS = "glass,personal-popularity"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with own data, and two models of them in `results`."""
    folder = tmp_path_factory.mktemp("home")
    rng = np.random.default_rng(3)
    events = [(f"u{u}", f"sku-{i}", 1_600_000_000 + t) for u in range(24) for t, i in enumerate(rng.zipf(1.5, 12) % 30)]
    pd.DataFrame(events, columns=["user", "item", "time"]).to_csv(folder / "my.csv", index=False)
    items = [(f"sku-{i}", f"Thing {i}", ("big", "small")[i % 2]) for i in range(30)]
    pd.DataFrame(items, columns=["item", "title", "kind"]).to_csv(folder / "items.csv", index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        catalog.load_dataset.cache_clear()
        data = "--dataset my.csv --items items.csv --category kind"
        command = f"run --suite smoke --models {MODELS} {data} --save-models --jobs 1"
        assert main(shlex.split(command)) == 0
        yield folder
    catalog.load_dataset.cache_clear()


@pytest.fixture(autouse=True)
def _there(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)


def recommended(options: str, output: str = "out.csv") -> pd.DataFrame:
    assert main(shlex.split(f"recommend --suite smoke {options} --output {output}")) == 0
    readers = {"csv": pd.read_csv, "parquet": pd.read_parquet, "jsonl": lambda path: pd.read_json(path, lines=True)}
    return readers[output.rpartition(".")[2]](output)


@pytest.mark.parametrize("output", ["out.csv", "out.parquet", "out.jsonl"])
def test_lists_have_original_ids_texts_scores_and_repeats(output: str) -> None:
    table = recommended("--model personal-popularity --users u3,u1 --k 4", output)
    assert list(table) == ["user", "rank", "item", "title", "kind", "score", "repeat"]
    assert table["user"].tolist() == ["u3"] * 4 + ["u1"] * 4
    assert table["rank"].tolist() == [1, 2, 3, 4] * 2
    assert (table["title"] == "Thing " + table["item"].str.removeprefix("sku-")).all()
    events = pd.read_csv("my.csv")
    had = set(zip(events["user"], events["item"], strict=True))
    assert table["repeat"].tolist() == [(u, i) in had for u, i in zip(table["user"], table["item"], strict=True)]
    assert table["repeat"].any()
    assert (table.groupby("user")["score"].diff().dropna() <= 0).all()


@pytest.mark.parametrize("model", MODELS.split(","))
def test_as_tested_the_lists_are_those_of_the_run(model: str) -> None:
    table = recommended(f"--model {model} --as-tested --k 20")
    (spec,) = [run for run in Plan.read(Path("results"), "smoke").runs if run.model == model]
    stored = ResultStore(Path("results")).load(spec)
    assert stored is not None
    assert stored.queries is not None
    rank = table.set_index(["user", "item"])["rank"]
    asked = zip(stored.queries["user_id"], stored.queries["target_id"], strict=True)
    assert [rank.get(query, 0) for query in asked] == stored.queries["item_rank"].tolist()


def test_all_users_and_users_of_a_file() -> None:
    assert recommended("--model personal-popularity --k 1")["user"].nunique() == 24
    Path("who.txt").write_text("u5\n\nu2\n")
    assert recommended("--model personal-popularity --k 1 --users-file who.txt")["user"].tolist() == ["u5", "u2"]


def test_a_model_is_named_by_its_row_its_folder_or_its_run() -> None:
    (folder,) = Path("results/models/my/glass").iterdir()
    (run,) = Path("results/runs/my/glass").iterdir()
    first, *others = [recommended(f"--model {named} --users u1") for named in ("glass", folder, run)]
    assert all(other.equals(first) for other in others)


def test_histories_of_others(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [("new", "sku-7", 1_700_000_000), ("new", "sku-7", 1_700_000_001), ("new", "unheard-of", 1_700_000_002)]
    pd.DataFrame(rows, columns=["user", "item", "time"]).to_csv("others.csv", index=False)
    table = recommended("--model personal-popularity --history others.csv --k 3")
    assert table["user"].unique().tolist() == ["new"]
    assert table.iloc[0][["item", "repeat"]].tolist() == ["sku-7", True]
    assert "1 of 3 events are left out" in capsys.readouterr().err


def test_on_the_screen(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(shlex.split("recommend --suite smoke --model personal-popularity --k 1")) == 0
    shown = capsys.readouterr().out
    assert "Thing" in shown
    assert "14 more users" in shown


def test_why_is_a_page_that_stands_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(shlex.split("recommend --suite smoke --model glass --users u3 --k 5 --why why.html")) == 0
    assert capsys.readouterr().out == "page: why.html\n"
    page = Path("why.html").read_text()
    table = recommended("--model glass --users u3 --k 5")
    assert all(title in page for title in table["title"])
    assert "Before code 2" in page
    assert "unlike (-1)" in page
    assert not re.search(r"(src|href)=", page), "nothing is fetched"
    assert page.count('class="lane"') == len(table)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--model glass --users nobody", "no events of user 'nobody'"),
        ("--model glas", "did you mean glass"),
        ("--model nowhere/at/all", "does not exist"),
        ("--model .", "holds no saved model"),
        ("--model glass --dataset other", "unknown data set 'other'"),
        ("--model glass --seed 7", "ran with seeds 0"),
        ("--model glass --output list.txt", "should end in .csv, .parquet, .jsonl"),
        ("--model glass --users u1 --users-file who.txt", "give one of them"),
        ("--model glass --users-file absent.txt", "can't be read"),
        ("--model glass --history absent.csv", "absent.csv"),
        ("--model glass --history my.csv --as-tested", "leave one out"),
        ("--model personal-popularity --users u1 --why why.html", "searches no history"),
        ("--model glass --why why.html", "the page is about one user, and 24 are asked for"),
        ("--model glass --users u1 --why why.pdf", "should end in .html"),
        ("--model glass --results elsewhere", "elsewhere"),
    ],
)
def test_what_does_not_fit_is_one_line(options: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(shlex.split(f"recommend --suite smoke {options}")) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_a_history_without_a_known_item_or_without_times_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    pd.DataFrame({"user": ["n"] * 2, "item": ["x", "y"], "time": [1_700_000_000] * 2}).to_csv(
        "strange.csv", index=False
    )
    assert main(shlex.split("recommend --suite smoke --model glass --history strange.csv")) == 2
    assert "none of its items" in capsys.readouterr().err


def test_models_that_are_not_saved_are_made_again_and_once_only(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = (
        f"run --suite smoke --models popularity --dataset my.csv --results {tmp_path} --reports {tmp_path} --jobs 1"
    )
    told = []
    for option in ("", "--save-models", "--save-models"):
        assert main(shlex.split(f"{command} {option}")) == 0
        told.append(capsys.readouterr().out)
    assert "made again, since their models were not saved: 1" in told[1]
    assert "1 models saved" in told[1]
    assert "0 of 1 runs to do" in told[2]


def test_a_model_that_can_not_be_saved_says_so_before_it_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("baselines.popularity.Popularity.unsavable", "it is too popular")
    command = (
        f"run --suite smoke --models popularity --dataset my.csv --results {tmp_path} --reports {tmp_path} --jobs 1"
    )
    assert main(shlex.split(f"{command} --save-models")) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "--save-models: popularity can't be saved: it is too popular"
    assert json.loads((tmp_path / "smoke" / "plan.json").read_text())["runs"]
