"""Saved models: another process answers as the fitted one did, files hold no code, and what can't be kept says so."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_every_model import spec_of, tiny_planted_long  # noqa: F401  # a fixture

from bench.data import catalog
from bench.data.dataset import TrainingData
from bench.data.interactions import Histories
from bench.data.protocols import split
from bench.errors import BenchError
from bench.execution import saved_models
from bench.execution.object_state import ObjectPacker, ObjectUnpacker
from bench.execution.saved_models import SavedModel, is_saved, load_model, model_folder, save_model
from bench.execution.store import ResultStore
from bench.execution.worker import execute
from bench.recommender import FitContext, Recommendations, Recommender
from bench.registry import BUILT_IN

LISTS = 20

IN_A_NEW_PROCESS = """
import sys
import numpy as np
from pathlib import Path
from bench.execution.saved_models import load_model
import torch
torch.set_num_threads(1)
for folder in sys.argv[1:]:
    model = load_model(Path(folder))
    assert model.note == "", model.note
    data = model.data
    users = np.flatnonzero(data.test_ends >= 0)
    histories = data.interactions.histories(users, data.test_ends[users], data.exclude_seen)
    answer = model.recommender.recommend(histories, {k})
    np.savez(Path(folder) / "answer.npz", items=answer.items, scores=answer.scores)
"""


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> dict[str, Recommendations]:
    """What the fitted models of this process recommend, by model."""
    told: dict[str, Recommendations] = {}
    keep = saved_models.save_model

    def listening(folder: Path, model: SavedModel) -> None:
        keep(folder, model)
        data = model.data
        users = np.flatnonzero(data.test_ends >= 0)
        histories = data.interactions.histories(users, data.test_ends[users], data.exclude_seen)
        told[model.spec.model] = model.recommender.recommend(histories, LISTS)

    monkeypatch.setattr(saved_models, "save_model", listening)
    return told


def fitted(model: str, folder: Path, dataset: str = "planted-long") -> Path:
    """The folder of a model that is trained and saved."""
    spec = spec_of(model, dataset)
    result = execute(spec, folder, "cpu", 1, saves=True)
    assert result.status == "complete", result.reason
    assert "model_not_saved" not in result.environment
    return model_folder(folder, spec)


@pytest.mark.parametrize("model", BUILT_IN)
def test_every_saved_model_gives_the_same_lists(
    model: str,
    tiny_planted_long: None,  # noqa: F811
    answers: dict[str, Recommendations],
    tmp_path: Path,
) -> None:
    folder = fitted(model, tmp_path)
    assert {path.suffix for path in folder.iterdir()} == {".json", ".safetensors", ".parquet"}
    restored = load_model(folder)
    assert restored.note == ""
    users = np.flatnonzero(restored.data.test_ends >= 0)
    histories = restored.data.interactions.histories(users, restored.data.test_ends[users], restored.data.exclude_seen)
    again = restored.recommender.recommend(histories, LISTS)
    assert again.items.tolist() == answers[model].items.tolist()
    assert again.scores.tolist() == answers[model].scores.tolist()


def check_in_a_new_process(models: list[str], answers: dict[str, Recommendations], tmp_path: Path) -> None:
    folders = {model: fitted(model, tmp_path) for model in models}
    code = IN_A_NEW_PROCESS.replace("{k}", str(LISTS))
    subprocess.run([sys.executable, "-c", code, *map(str, folders.values())], check=True)
    for model, folder in folders.items():
        answer = np.load(folder / "answer.npz")
        assert answer["items"].tolist() == answers[model].items.tolist(), model
        assert answer["scores"].tolist() == answers[model].scores.tolist(), model


def test_saved_models_give_the_same_lists_in_a_new_process(
    tiny_planted_long: None,  # noqa: F811
    answers: dict[str, Recommendations],
    tmp_path: Path,
) -> None:
    check_in_a_new_process(["up-cf", "glass", "cobra", "sim"], answers, tmp_path)


@pytest.mark.slow
def test_every_saved_model_gives_the_same_lists_in_a_new_process(
    tiny_planted_long: None,  # noqa: F811
    answers: dict[str, Recommendations],
    tmp_path: Path,
) -> None:
    without_recbole = importlib.util.find_spec("recbole") is None
    needs_it = [model for model in BUILT_IN if "recbole" in model or "gru4rec" in model]
    check_in_a_new_process(
        [model for model in BUILT_IN if not (without_recbole and model in needs_it)], answers, tmp_path
    )


def test_saving_changes_nothing_of_the_result(tiny_planted_long: None, tmp_path: Path) -> None:  # noqa: F811
    spec = spec_of("glass", "planted-long")
    left = []
    for saves in (False, True):
        execute(spec, tmp_path / str(saves), "cpu", 1, saves=saves)
        content = json.loads((ResultStore(tmp_path / str(saves)).folder(spec) / "result.json").read_text())
        content["diagnostics"]["sid"].pop("seconds")
        left.append((content["files"]["queries.parquet"], content["diagnostics"]))
    assert left[0] == left[1]


def test_a_model_of_another_state_says_so(tiny_planted_long: None, tmp_path: Path) -> None:  # noqa: F811
    folder = fitted("popularity", tmp_path)
    for file, change in (
        ("state.json", lambda path: path.write_text(path.read_text() + " ")),
        ("events.safetensors", lambda path: path.unlink()),
        ("model.json", lambda path: path.write_text(path.read_text().replace('"format": 1', '"format": 0'))),
        ("model.json", lambda path: path.write_text("{")),
        ("model.json", lambda path: path.write_text(path.read_text().replace('"revision": 1', '"revision": 9'))),
    ):
        broken = tmp_path / "broken"
        shutil.copytree(folder, broken)
        change(broken / file)
        with pytest.raises(BenchError, match="broken") as raised:
            load_model(broken)
        assert "train" in str(raised.value)
        shutil.rmtree(broken)
    with pytest.raises(BenchError, match="holds no saved model"):
        load_model(tmp_path)


def test_answers_that_have_changed_are_told(
    tiny_planted_long: None,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from baselines.popularity import Popularity

    folder = fitted("popularity", tmp_path)
    assert load_model(folder).note == ""
    recommend = Popularity.recommend

    def reversed_(self: Popularity, histories: Histories, k: int) -> Recommendations:
        answer = recommend(self, histories, k)
        return Recommendations(answer.items[:, ::-1], answer.scores)

    monkeypatch.setattr(Popularity, "recommend", reversed_)
    assert "8 of 8 answers differ" in load_model(folder).note


class Stranger(Recommender):
    """A model that somebody wrote, with one attribute that no file can hold."""

    held: Any = None

    def fit(self, train: TrainingData, context: FitContext) -> None:
        self.parts = {"deep": [self.held]}

    def recommend(self, histories: Histories, k: int) -> Recommendations:
        items = np.tile(np.arange(k, dtype=np.int32), (len(histories), 1))
        return Recommendations(items, -items.astype(np.float32))


def held_by_a_stranger(held: Any, folder: Path) -> None:
    data = catalog.load_dataset("planted-long")
    model = Stranger()
    model.parts = {"deep": [held]}
    known = saved_models.KnownData.of(data, None, split(data, "leave-one-out").test)
    save_model(folder, SavedModel(spec_of("popularity", "planted-long"), model, known))


@pytest.mark.parametrize("held", [lambda: 1, Path(), open, object()], ids=["lambda", "path", "builtin", "object"])
def test_what_can_not_be_kept_is_named(held: Any, tiny_planted_long: None, tmp_path: Path) -> None:  # noqa: F811
    with pytest.raises(BenchError, match=r"parts\.deep holds .*can't be kept"):
        held_by_a_stranger(held, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_another_folder_is_not_overwritten(tiny_planted_long: None, tmp_path: Path) -> None:  # noqa: F811
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(BenchError, match="something else"):
        held_by_a_stranger(1, tmp_path)
    held_by_a_stranger(1, tmp_path / "model")
    held_by_a_stranger(2, tmp_path / "model")
    assert is_saved(tmp_path / "model")


def packed_and_back(value: Any) -> Any:
    packer = ObjectPacker()
    return ObjectUnpacker(packer.tensors).unpack(json.loads(json.dumps(packer.pack(value))))


def test_what_is_one_thing_stays_one_thing() -> None:
    array, both = np.arange(6.0).reshape(2, 3).T, {}
    both["first"], both["second"], both["self"] = array, array, both
    back = packed_and_back(both)
    assert back["first"] is back["second"]
    assert back["self"] is back
    assert back["first"].tolist() == array.tolist()
    assert back["first"].strides == array.strides, "sums depend on the order in memory"


@pytest.mark.parametrize(
    "name", ["os:system", "builtins:eval", "subprocess:Popen", "bench.execution.saved_models:os.system"]
)
def test_a_file_can_not_name_what_lies_outside(name: str) -> None:
    for form in ({"named": name, "number": 0}, {"object": name, "state": {"mapping": [], "number": 1}, "number": 0}):
        with pytest.raises((ValueError, AttributeError)):
            ObjectUnpacker({}).unpack(form)
