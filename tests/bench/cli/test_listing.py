"""`bench list models`: what kind of system each model is, who published it and when, and what it is there for."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from bench.cli.listing import list_datasets, list_models
from bench.cli.main import main
from bench.data import catalog
from bench.errors import MissingDataError, SkippedRun
from bench.recommender import Recommender
from bench.registry import BUILT_IN, model_class

GROUPS = ("counting:", "basket:", "sequence:", "long sequence:", "semantic ID:", "GLASS family:", "other:")


def first_cells() -> list[str]:
    """The first column of the table, without continued lines."""
    console = Console(width=400, record=True, file=io.StringIO())
    list_models(console)
    cells = [line.split("│")[1].strip() for line in console.export_text().splitlines() if line.startswith("│")]
    return [cell for cell in cells if cell]


def test_models_stand_under_their_groups_and_groups_in_order(outside_models: Path) -> None:
    cells = first_cells()
    places = [cells.index(group) for group in GROUPS]
    assert places == sorted(places)
    expected = {"up-cf": "basket:", "sasrec-ce": "sequence:", "sim": "long sequence:", "glass": "GLASS family:"}
    for name, group in {**expected, "count-mixture": "counting:", "tiger": "semantic ID:", "outside": "other:"}.items():
        above = max(place for place in places if place < cells.index(name))
        assert cells[above] == group, name
    assert cells.index("outside-broken") > cells.index("not available:")


@pytest.mark.parametrize("name", [name for name in BUILT_IN if name != "oracle"])
def test_every_built_in_model_has_a_group_and_a_paper_has_its_year(name: str) -> None:
    try:
        model: type[Recommender] = model_class(name)
    except SkippedRun as skipped:
        pytest.skip(str(skipped))
    assert model.group != "other"
    assert bool(model.paper) == (model.year is not None)
    assert model.paper or model.group == "counting" or model.summary.endswith("; ours")


def listed_datasets() -> str:
    console = Console(width=600, record=True, file=io.StringIO())
    list_datasets(console)
    return console.export_text()


def test_data_sets_has_a_blank_in_english(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "data", "sets"]) == 0
    assert "runnable now:" in capsys.readouterr().out


def test_data_sets_that_can_be_run_here_stand_first_and_others_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GLASS_BENCH_DATA", str(tmp_path))
    told = listed_datasets()
    here, absent = told.split("not on this machine:", 1)
    assert "runnable now:" in here
    assert "planted-mixed" in here
    for name in ("ml-1m", "kuairec-big", "taobao-mm", "online-retail-ii", "amazon-beauty", "beauty", "gowalla"):
        assert (f"│ {name} " in absent) == (name in catalog.CATALOG), name
    assert "fetch https://files.grouplens.org/datasets/movielens/ml-1m.zip (terms: " in absent
    assert str(tmp_path / "ml-1m") in absent
    (tmp_path / "ml-1m").mkdir()
    (tmp_path / "ml-1m" / "ratings.dat").write_text("1::2::5::978300760\n")
    assert "│ ml-1m " in listed_datasets().split("not on this machine:")[0]


def test_looking_for_data_sets_reads_and_fetches_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each says that its files are absent as loading it would; ml-100k would be fetched, for which nobody asked."""
    monkeypatch.setenv("GLASS_BENCH_DATA", str(tmp_path / "nowhere"))
    monkeypatch.setattr("importlib.util.find_spec", lambda *_: None)
    absent = [name for name, entry in catalog.CATALOG.items() if complaint(entry.find)]
    for name in absent:
        entry = catalog.CATALOG[name]
        assert name == "ml-100k" or complaint(entry.load) == complaint(entry.find)
    assert set(catalog.CATALOG) - set(absent) == {name for name in catalog.CATALOG if name.startswith("planted")}
    assert not (tmp_path / "nowhere").exists()


def complaint(function: Callable[[], object]) -> str:
    try:
        function()
    except MissingDataError as error:
        return str(error)
    return ""
