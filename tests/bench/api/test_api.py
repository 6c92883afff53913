"""The bench from Python: the same as the command line, in the caller's process and with one family of errors."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import bench
from bench.analysis.columns import METRICS
from bench.data import catalog

SMALL = {"training.epochs": 1, "dim": 8, "length": 8}


def events(n_users: int = 24) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    rows = [(u, f"sku-{i}", 1_600_000_000 + t) for u in range(n_users) for t, i in enumerate(rng.zipf(1.5, 12) % 30)]
    return pd.DataFrame(rows, columns=["user", "item", "time"])


def items() -> pd.DataFrame:
    rows = [(f"sku-{i}", f"Thing {i}", ("big", "small")[i % 2]) for i in range(30)]
    return pd.DataFrame(rows, columns=["item", "title", "kind"])


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    yield
    catalog.load_dataset.cache_clear()


def test_importing_it_brings_in_nothing_heavy() -> None:
    heavy = {"torch", "numpy", "pandas", "pydantic", "typer", "matplotlib", "rich"}
    code = f"import bench, sys; assert bench.__version__; print({heavy!r} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def test_the_stub_and_the_module_name_the_same() -> None:
    stub = (Path(bench.__file__).parent / "__init__.pyi").read_text()
    named = {line.split()[-1] for line in stub.splitlines() if line.startswith("from")}
    assert named == {name for name in dir(bench) if name in named} == set(__import__("bench.api").api.__all__)
    assert all(getattr(bench, name) is not None for name in named)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        bench.nothing  # noqa: B018


def test_describe_takes_a_table_a_path_and_a_name() -> None:
    table = events()
    table.to_csv("data.csv", index=False)
    card = bench.describe(table)
    assert card.content_hash == bench.describe("data.csv").content_hash == bench.describe(Path("data.csv")).content_hash
    assert (card.users, card.events) == (24, 288)
    assert {"part", "name", "value"} == set(card.table())
    assert bench.describe("planted-recent").users > 0


def test_a_fitted_model_recommends_saves_and_loads() -> None:
    table = events()
    before = table.copy()
    fitted = bench.fit("sasrec-ce", table, SMALL, seed=1, items=items(), category="kind")
    assert table.equals(before)
    assert fitted.spec.config["training"]["epochs"] == 1
    assert fitted.validation is not None
    lists = fitted.recommend([3, 5], k=4)
    assert list(lists) == ["user", "rank", "item", "title", "kind", "score", "repeat"]
    assert lists["user"].tolist() == ["3"] * 4 + ["5"] * 4
    assert fitted.recommend(3, k=4)["item"].tolist() == lists["item"][:4].tolist()
    assert len(fitted.recommend(k=1)) == len(fitted.users) == 24
    again = bench.load(fitted.save("model"))
    assert again.recommend([3, 5], k=4).equals(lists)
    assert again.spec == fitted.spec
    history = pd.DataFrame({"user": ["new"], "item": ["sku-7"], "time": [1_700_000_000]})
    assert again.recommend(history=history, k=2)["user"].tolist() == ["new", "new"]


def test_the_same_seed_gives_the_same_model_and_the_process_stays_as_it_was() -> None:
    torch.manual_seed(5)
    random.seed(5)
    right = torch.rand(1), random.random()
    torch.manual_seed(5)
    random.seed(5)
    threads = torch.get_num_threads()
    first, second = (bench.fit("sasrec-ce", events(), SMALL).recommend(k=3) for _ in range(2))
    assert first.equals(second)
    assert (torch.rand(1), random.random()) == right
    assert torch.get_num_threads() == threads


def test_a_file_that_has_changed_is_read_again() -> None:
    for n_users in (24, 12):
        events(n_users).to_csv("my.csv", index=False)
        assert bench.describe("my.csv").users == n_users


def test_why_is_written_for_models_that_search() -> None:
    config = {
        "training": {"epochs": 1},
        "short_term": 5,
        "network": {"dim": 16, "heads": 2, "feed_forward": 16},
        "tokenizer": {"codebooks": [4, 4], "features": {"text_dims": 4, "collaborative_dims": 4}},
    }
    fitted = bench.fit("glass", events(), config)
    assert "Why these items?" in fitted.why(3, "why.html").read_text()
    with pytest.raises(bench.BenchError, match="searches no history"):
        bench.fit("popularity", events()).why(3, "why.html")


def test_run_gives_results_and_load_results_a_tidy_table() -> None:
    made = bench.run(
        "smoke",
        events(),
        models=["popularity", "personal-popularity"],
        seeds=[0, 1],
        items=items(),
        save_models=True,
        settings={"personal-popularity.half_life": 3},
        jobs=1,
    )
    assert made.complete
    assert made.report.is_file()
    tidy = made.metrics()
    assert list(tidy) == METRICS.names
    assert tidy["row"].unique().tolist() == ["popularity", "personal-popularity"]
    assert set(tidy["seed"]) == {0, 1}
    assert tidy.equals(bench.load_results("smoke"))
    assert tidy.equals(bench.load_results("results"))
    assert tidy.equals(bench.load_results("smoke", results=Path("results")))
    board = made.leaderboard()
    assert len(board) == 2
    ndcg = tidy.query("level == 'item' and slice == 'overall' and metric == 'ndcg@10' and row == 'popularity'")["value"]
    of_board = board.set_index("row").loc["popularity", "item.overall.ndcg@10.mean"]
    assert ndcg.mean() == pytest.approx(of_board)
    model = made.model("personal-popularity", seed=1)
    assert model.spec.config["half_life"] == 3
    assert model.recommend(3, k=1)["repeat"].all()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: bench.fit("glas", events()), "did you mean glass"),
        (lambda: bench.fit("popularity", "nowhere.csv"), "does not exist"),
        (lambda: bench.fit("popularity", 7), "give a registered name, a path or a pandas DataFrame"),
        (lambda: bench.fit("popularity", events().drop(columns="item")), "item"),
        (lambda: bench.fit("popularity", events(), {"width": 3}), "width"),
        (lambda: bench.fit("popularity", events(), colour="red"), "unknown option 'colour'"),
        (lambda: bench.fit("popularity", events(), device="tpu"), "device 'tpu'"),
        (lambda: bench.fit("oracle", events()), "knows the answers of generated data only"),
        (lambda: bench.fit("popularity", events()).recommend("nobody"), "no events of user 'nobody'"),
        (lambda: bench.fit("popularity", events()).recommend(k=0), "at least one item"),
        (lambda: bench.load("nowhere"), "does not exist"),
        (lambda: bench.load("."), "holds no saved model"),
        (lambda: bench.run("smoke", colour="red"), "unknown option 'colour'"),
        (lambda: bench.run("smok"), "did you mean smoke"),
        (lambda: bench.load_results("smoke"), "results"),
        (lambda: bench.describe(events(), user="reader"), "reader"),
    ],
)
def test_errors_are_of_one_family_and_one_line(call: Callable[[], Any], words: str) -> None:
    with pytest.raises(bench.BenchError, match=words) as raised:
        call()
    assert "\n" not in str(raised.value)
