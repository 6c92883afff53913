"""A model in a file of one's own: found, imported in every process, told from its edited self, refused in a line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from bench.cli import main as cli
from bench.errors import BenchError
from bench.model_files import file_model, is_model_file, model_file, split_model_file

MODEL = '''
"""Ranks by the number of an item."""

import numpy as np

from baselines.full_ranking import rank_catalogue
from bench.config import Config
from bench.recommender import Recommender


class LastFirstConfig(Config):
    sign: float = 1.0


class LastFirst(Recommender):
    Config = LastFirstConfig

    def fit(self, train, context):
        self.scores = self.config.sign * np.arange(train.n_items, dtype=np.float32)

    def recommend(self, histories, k):
        return rank_catalogue(np.tile(self.scores, (len(histories), 1)), histories, k)


class FirstFirst(LastFirst):
    class Config(LastFirstConfig):
        sign: float = -1.0
'''

RUN = ["run", "--suite", "smoke", "--jobs", "1", "--models"]


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_ml_100k: None) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "my_model.py"
    path.write_text(MODEL)
    return path


def stored(folder: Path, model: str) -> list[Path]:
    return sorted(folder.glob(f"results/runs/*/{model}/*/result.json"))


def test_models_of_a_file_run_beside_rows_by_name(written: Path) -> None:
    """In a process of its own, from a relative path, with an option of its own."""
    rows = "popularity,my_model.py:LastFirst,./my_model.py:FirstFirst"
    assert cli.main([*RUN, rows, "--set", "LastFirst.sign=2"]) == 0
    table = pd.read_csv("results/smoke/ml-100k+300users/leaderboard.csv", index_col="row")
    assert set(table.index) == {"popularity", "LastFirst", "FirstFirst"}
    assert set(table["status"]) == {"complete"}
    (path,) = stored(written.parent, "LastFirst")
    spec = json.loads(path.read_text())["spec"]
    assert spec["config"] == {"sign": 2.0}
    assert spec["source"] == {
        "path": str(written),
        "name": "LastFirst",
        "sha256": model_file(str(written), "LastFirst").sha256,
    }


def test_an_edited_model_is_run_anew_and_the_same_one_elsewhere_is_not(
    written: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*RUN, "my_model.py:LastFirst"]) == 0
    capsys.readouterr()
    moved = written.parent / "elsewhere" / "my_model.py"
    moved.parent.mkdir()
    moved.write_text(MODEL)
    assert cli.main([*RUN, "elsewhere/my_model.py:LastFirst"]) == 0
    assert "nothing to do, the run is complete" in capsys.readouterr().out
    written.write_text(MODEL.replace("np.arange", "1 + np.arange"))
    assert cli.main([*RUN, "my_model.py:LastFirst"]) == 0
    assert "1 run to do\n" in capsys.readouterr().out
    assert len(stored(written.parent, "LastFirst")) == 2


def test_what_it_imports_from_beside_it_is_part_of_it(written: Path) -> None:
    helper = written.with_name("my_helper.py")
    helper.write_text("FACTOR = 1\n")
    written.write_text(f"from my_helper import FACTOR\n{MODEL}")
    before = model_file(str(written), "LastFirst")
    assert file_model(before).__name__ == "LastFirst"
    helper.write_text("FACTOR = 2\n")
    assert model_file(str(written), "LastFirst") != before
    with pytest.raises(BenchError, match="has changed since this run was planned"):
        file_model(before)


def test_a_suite_names_it_relative_to_its_own_folder(written: Path) -> None:
    folder = written.parent / "suites"
    folder.mkdir()
    (folder / "mine.yaml").write_text(
        "datasets: [ml-100k]\nmodels: [popularity, {model: '../my_model.py:LastFirst', config: {sign: -1}}]\n"
    )
    assert cli.main(["run", "--suite", "suites/mine.yaml", "--jobs", "1"]) == 0
    assert len(stored(written.parent, "LastFirst")) == 1


@pytest.mark.parametrize(
    ("text", "asked", "words"),
    [
        (None, "none.py:Model", "no file 'none.py': give the path of a Python file with your model"),
        (MODEL, "my_model.py", "which class of it is the model? give my_model.py:LastFirstConfig or my_model.py:Last"),
        (MODEL, "my_model.py:LastFrist", "unknown class 'LastFrist': did you mean LastFirst"),
        (MODEL, "my_model.py:LastFirstConfig", "LastFirstConfig is not a subclass of bench.recommender.Recommender"),
        ("class A(:\n", "my_model.py:A", "my_model.py, line 1: invalid syntax: 'class A(:'"),
        ("import numpy\n\n1 / 0\nclass A: pass\n", "my_model.py:A", "my_model.py, line 3: can't be imported: ZeroDiv"),
        ("import nowhere_at_all\nclass A: pass\n", "my_model.py:A", "my_model.py, line 1: can't be imported: Module"),
        ("raise SystemExit(3)\nclass A: pass\n", "my_model.py:A", "line 1: can't be imported: SystemExit: 3"),
        (
            "from bench.recommender import Recommender\nclass A(Recommender):\n    def fit(self, train, context): 0\n",
            "my_model.py:A",
            "my_model.py:A has no recommend: a model needs it",
        ),
        (MODEL.replace("FirstFirst", "Tiger"), "my_model.py:Tiger", "class Tiger is called like a registered model"),
        (MODEL, "my_model.py:LastFirst,my_model.py:LastFirst,my_model.py:Nothing", "unknown class 'Nothing'"),
    ],
)
def test_what_is_no_model_is_refused_in_one_line(
    text: str | None, asked: str, words: str, written: Path, refused: Callable[[list[str]], str]
) -> None:
    written.write_text(text or MODEL)
    assert words in refused([*RUN, asked])


def test_two_files_with_one_name_are_told_apart(written: Path, refused: Callable[[list[str]], str]) -> None:
    written.with_name("other.py").write_text(MODEL)
    assert "two rows are named 'LastFirst'" in refused([*RUN, "my_model.py:LastFirst,other.py:LastFirst"])


@pytest.mark.parametrize(
    ("text", "is_one"),
    [("my.py:A", True), ("my.py", True), ("a/b.py:C", True), ("tiger", False), ("my.yaml:A", False), ("C:x", False)],
)
def test_a_file_is_told_from_a_name(text: str, is_one: bool) -> None:
    assert is_model_file(text) == is_one


def test_paths_may_hold_what_paths_hold(written: Path) -> None:
    folder = written.parent / "a:b"
    folder.mkdir()
    (folder / "m.py").write_text(MODEL)
    assert split_model_file(str(folder / "m.py:LastFirst")) == (str(folder / "m.py"), "LastFirst")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("class Config:\n        bonus = 1", "Config is no subclass of bench.config.Config: write class Config"),
        ("Config = {'bonus': 1}", "Config is no subclass of bench.config.Config"),
        ("role = 'contender'", "role is 'contender': it should be one of contestant, baseline, reference, oracle"),
        ("revision = '2'", "revision is '2': it should be a whole number"),
        ("revision = True", "revision is True: it should be a whole number"),
        ("summary = None", "summary is None: it should be text"),
        ("year = '2024'", "year is '2024': it should be a whole number or None"),
        ("divisible = 'no'", "divisible is 'no': it should be True or False"),
        ("search_space = ['bonus']", "search_space is .*: it should be a mapping of keys to choices"),
        ("fidelity = 'all'", "fidelity is 'all': it should be a tuple of bench.recommender.Mechanism"),
    ],
)
def test_what_a_class_says_of_itself_is_checked_before_any_run(tmp_path: Path, body: str, message: str) -> None:
    path = tmp_path / "wrong.py"
    path.write_text(f"{MODEL}\n\nclass Wrong(LastFirst):\n    {body}\n")
    with pytest.raises(BenchError, match=f"wrong.py:Wrong: {message}"):
        file_model(model_file(str(path), "Wrong"))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("sign: list = [np.zeros(2)]", "PydanticSerializationError: Unable to serialize unknown type"),
        ("def model_post_init(self, context):\n            raise RuntimeError('no sign')", "RuntimeError: no sign"),
    ],
)
def test_a_configuration_that_cannot_be_made_is_one_line(
    written: Path, capsys: pytest.CaptureFixture[str], body: str, message: str
) -> None:
    written.write_text(f"{MODEL}\n\nclass Wrong(LastFirst):\n    class Config(Config):\n        {body}\n")
    assert cli.main([*RUN, "my_model.py:Wrong"]) == 2
    line = capsys.readouterr().err.strip()
    assert "\n" not in line
    assert f"row 'Wrong': its configuration can't be made: {message}" in line
