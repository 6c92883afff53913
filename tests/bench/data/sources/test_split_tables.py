"""Three tables that are one split: from options, or from a folder whose files are called so."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.cli.dataset_options import chosen_dataset
from bench.cli.main import main
from bench.data import catalog
from bench.data.data_files import DataFiles
from bench.data.dataset import Dataset
from bench.data.protocols import split
from bench.data.sources.own import load_own
from bench.errors import BenchError
from bench.plan import Plan
from bench.spec import DatasetSpec
from bench.suite_files import load_suite

DAY = 86_400
PARTS = {
    "train": [("u", "a", 1), ("u", "b", 2), ("v", "b", 1), ("v", "c", 3), ("u", "c", 3), ("w", "a", 1), ("w", "b", 2)],
    "valid": [("u", "d", 4), ("v", "a", 4)],
    "test": [("v", "d", 5), ("u", "a", 6), ("u", "b", 6), ("new", "a", 9)],
}


def csv(path: Path, rows: list[tuple[str, str, int]], header: str = "user,item,time") -> Path:
    path.write_text("\n".join([header, *(f"{user},{item},{day * DAY}" for user, item, day in rows)]) + "\n")
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the three parts as CSV files."""
    path = tmp_path / "shop"
    path.mkdir()
    for part, rows in PARTS.items():
        csv(path / f"{part}.csv", rows)
    catalog.load_dataset.cache_clear()
    return path


def load(path: Path, **keys: Any) -> Dataset:
    return load_own("x", DataFiles(path=str(path), **keys))


def refusal(path: Path, **keys: Any) -> str:
    with pytest.raises(BenchError) as refused:
        load(path, **keys)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def queries(data: Dataset, part: str) -> list[tuple[str, list[str], str]]:
    """User, history and target of each query of the data's own split, in the original ids."""
    parts = split(data, "shipped", "keep", "warn", None)
    asked = getattr(parts, part)
    histories = asked.histories(0, len(asked))
    found = []
    for n, (user, target) in enumerate(zip(asked.users, asked.targets, strict=True)):
        events = histories.items[histories.offsets[n] : histories.offsets[n + 1]]
        found.append((str(data.user_ids[user]), [str(data.item_ids[i]) for i in events], str(data.item_ids[target])))
    return sorted(found)


def test_each_row_of_a_part_is_a_query_after_the_parts_before(folder: Path) -> None:
    data = load(folder)
    assert queries(data, "validation") == [("u", ["a", "b", "c"], "d"), ("v", ["b", "c"], "a")]
    assert queries(data, "test") == [
        ("u", ["a", "b", "c", "d"], "a"),
        ("u", ["a", "b", "c", "d"], "b"),
        ("v", ["b", "c", "a"], "d"),
    ]
    assert split(data, "shipped", "keep", "warn", None).train.interactions.n_events == 7
    notes = " ".join(data.filters)
    assert "train.csv, valid.csv, test.csv are one split (protocol shipped)" in notes
    assert "1 test targets of users without any event before them are no queries" in notes


@pytest.mark.parametrize(
    "names", [("my.train.csv", "my.validation.csv", "my.test.csv"), ("Train.csv", "dev.csv", "test.csv")]
)
def test_parts_are_found_by_the_usual_names(tmp_path: Path, folder: Path, names: tuple[str, str, str]) -> None:
    for name, rows in zip(names, PARTS.values(), strict=True):
        csv(tmp_path / name, rows)
    assert load(tmp_path).content_hash == load(folder).content_hash


def test_options_and_other_formats_say_the_same(tmp_path: Path, folder: Path) -> None:
    def lines(rows: list[tuple[str, str, int]]) -> str:
        return "\n".join(json.dumps({"user": user, "item": item, "time": day * DAY}) for user, item, day in rows)

    (tmp_path / "a.jsonl").write_text(lines(PARTS["train"]) + "\n")
    (tmp_path / "b.jsonl").write_text(lines(PARTS["valid"]) + "\n")
    csv(tmp_path / "c.csv", PARTS["test"])
    data = load(tmp_path / "a.jsonl", valid=str(tmp_path / "b.jsonl"), test=str(tmp_path / "c.csv"))
    assert data.content_hash == load(folder).content_hash
    assert data.content_hash != load(folder / "train.csv").content_hash
    assert "valid.csv, test.csv beside train.csv: not read" in " ".join(load(folder / "train.csv").filters)


def test_an_order_without_time_keeps_parts_apart(tmp_path: Path) -> None:
    for part, rows in PARTS.items():
        csv(tmp_path / f"{part}.csv", rows, "user,item,n")
    data = load(tmp_path, order="n")
    assert ("v", ["b", "c", "a"], "d") in queries(data, "test")


def test_what_is_no_split_is_one_line(folder: Path) -> None:
    for option, message in {
        "min_user_events": "--min-user-events would change",
        "baskets": "--baskets would change",
    }.items():
        assert message in refusal(folder, **{option: 2 if "min" in option else True})
    assert "--duplicates drop would change" in refusal(folder, duplicates="drop")
    train = folder / "train.csv"
    assert "--test is missing; a split has three files" in refusal(train, valid=str(folder / "valid.csv"))
    assert "--valid: no file" in refusal(train, valid="absent.csv", test=str(folder / "test.csv"))
    csv(folder / "test.csv", [("u", "a", 2)])
    told = refusal(folder)
    assert f"{folder / 'test.csv'}: user 'u' has a later event in an earlier part" in told
    (folder / "valid.csv").unlink()
    assert "holds train.csv, test.csv, but no valid part of this split" in refusal(folder)


def test_the_split_is_what_is_asked_for_unless_another_protocol_is(folder: Path) -> None:
    assert chosen_dataset(str(folder), {}).label == "shop@shipped"
    assert chosen_dataset(str(folder), {"protocol": "leave-one-out"}).label == "shop"
    given = {"path": str(folder / "train.csv"), "valid": "v.csv", "test": "t.csv"}
    assert DatasetSpec.model_validate(given).label == "shop@shipped"
    assert DatasetSpec.model_validate({**given, "protocol": "temporal", "name": "n"}).label == "n@temporal"
    (folder.parent / "mine.yaml").write_text(
        "datasets: [{path: shop}, {name: parts, path: shop/train.csv, valid: shop/valid.csv, test: shop/test.csv}]\n"
        "models: [popularity]\n"
    )
    suite = load_suite(str(folder.parent / "mine.yaml"))
    assert [dataset.label for dataset in suite.datasets] == ["shop@shipped", "parts@shipped"]
    first, second = (catalog.load_dataset("x", dataset.files) for dataset in suite.datasets)
    assert first.content_hash == second.content_hash


def test_a_run_takes_them(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    refused: Callable[[list[str]], str],
) -> None:
    monkeypatch.setattr("bench.report.write_report", lambda *_, **__: folder)
    options = ["--dataset", "shop/train.csv", "--valid", "shop/valid.csv", "--test", "shop/test.csv"]
    few = ["--models", "popularity", "--seeds", "1", "--jobs", "1"]
    assert main(["run", *few, *options]) == 0
    assert "popularity on shop@shipped, seed 0" in capsys.readouterr().out
    assert "--valid shop/valid.csv --test shop/test.csv" in Plan.read(Path("results"), "own-shop").command
    assert main(["data", "describe", "shop"]) == 0
    assert "shipped" in capsys.readouterr().out
    assert "--valid is for data of your own" in refused(["run", "--dataset", "ml-100k", "--valid", "x.csv"])
