"""From a path to a data set, by whatever lies there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.data.data_files import DataFiles, name_of
from bench.data.sources.atomic_files import read_atomic_dataset
from bench.data.sources.own import load_own
from bench.errors import BenchError

EVENTS = "user,item,time\nu,a,3\nu,b,1\nv,b,1\nv,a,2\nv,b,2\n"


def write(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def test_a_table_with_usual_names_needs_its_path_only(tmp_path: Path) -> None:
    dataset = load_own("mine", DataFiles(path=str(write(tmp_path / "events.csv", EVENTS))))
    assert (dataset.name, dataset.source) == ("mine", "events.csv")
    assert dataset.item_ids[dataset.interactions.items].tolist() == ["b", "a", "b", "a", "b"]
    assert dataset.seen_items == "keep"
    assert dataset.item_table.category is None


def test_the_same_content_elsewhere_is_the_same_data(tmp_path: Path) -> None:
    first = load_own("mine", DataFiles(path=str(write(tmp_path / "a" / "x.csv", EVENTS))))
    second = load_own("mine", DataFiles(path=str(write(tmp_path / "b" / "y.csv", EVENTS)), user="user"))
    assert first.content_hash == second.content_hash
    changed = load_own("mine", DataFiles(path=str(write(tmp_path / "c.csv", EVENTS.replace("u,a,3", "u,b,3")))))
    assert changed.content_hash != first.content_hash


@pytest.mark.parametrize(
    ("options", "changes"),
    [
        ({"baskets": True}, True),
        ({"min_user_events": 3}, True),
        ({"time": "none"}, True),
        ({"time": "time"}, False),
        ({"duplicates": "drop"}, False),
        ({"items": "items.csv"}, True),
        ({"items": "items.csv", "embeddings": "vectors.npy"}, True),
    ],
)
def test_whatever_changes_the_data_changes_the_hash(tmp_path: Path, options: dict[str, object], changes: bool) -> None:
    path = str(write(tmp_path / "events.csv", EVENTS))
    write(tmp_path / "items.csv", "item,title\na,Ape\nb,Bee\n")
    np.save(tmp_path / "vectors.npy", np.eye(2, dtype=np.float32))
    here = {key: str(tmp_path / str(options[key])) for key in ("items", "embeddings") if key in options}
    changed = load_own("mine", DataFiles.model_validate({"path": path, **options, **here}))
    assert (changed.content_hash != load_own("mine", DataFiles(path=path)).content_hash) == changes


def test_shipped_embeddings_reach_the_item_table_in_catalogue_order(tmp_path: Path) -> None:
    write(tmp_path / "items.csv", "item,title\nunused,None\nb,Bee\n")
    np.save(tmp_path / "vectors.npy", np.array([[9, 9], [1, 2]], dtype=np.float32))
    files = DataFiles(
        path=str(write(tmp_path / "events.csv", EVENTS)),
        items=str(tmp_path / "items.csv"),
        embeddings=str(tmp_path / "vectors.npy"),
    )
    dataset = load_own("mine", files)
    assert dataset.item_ids.tolist() == ["b", "a"]
    assert dataset.item_table.embeddings is not None
    assert dataset.item_table.embeddings.tolist() == [[1, 2], [0, 0]]
    assert dataset.source == "events.csv, items.csv, vectors.npy"


INTER = "user_id:token\titem_id:token\ttimestamp:float\nb\tx\t30\na\ty\t5\nb\tz\t10.5\nb\ty\t10.2\n"
ITEM = "item_id:token\ttitle:token_seq\tclass:token_seq\tprice:float\nz\tZoo\tAnimal Park\t2\ny\tYes\t\t\n"


def test_atomic_files_are_read_from_a_folder_or_a_file(tmp_path: Path) -> None:
    folder = tmp_path / "toy"
    write(folder / "toy.inter", INTER)
    write(folder / "toy.item", ITEM)
    raw = read_atomic_dataset(folder, "toy")
    for path in (folder, folder / "toy.inter"):
        dataset = load_own(name_of(str(path)), DataFiles(path=str(path)))
        assert dataset.name == "toy"
        assert dataset.user_ids.tolist() == raw.user_ids.tolist()
        assert dataset.item_ids.tolist() == raw.item_ids.tolist()
        assert dataset.interactions.items.tolist() == raw.interactions.items.tolist()
        assert dataset.interactions.timestamps.tolist() == raw.interactions.timestamps.tolist()
        assert dataset.item_table.text_columns == ("title", "class")
        assert dataset.item_table.category is not None
        assert dataset.item_table.category.tolist() == [0, -1, -1]
        assert dataset.has_time


def test_atomic_files_without_time_have_an_order_only(tmp_path: Path) -> None:
    write(tmp_path / "toy" / "toy.inter", "user_id:token\titem_id:token\nu\tx\nv\ty\nu\tz\n")
    dataset = load_own("toy", DataFiles(path=str(tmp_path / "toy")))
    assert not dataset.has_time
    assert dataset.item_ids[dataset.interactions.items].tolist() == ["x", "z", "y"]


@pytest.mark.parametrize(
    ("path", "options", "message"),
    [
        ("absent.csv", {}, "does not exist; give the path of a .csv"),
        ("events.csv", {"user": "reader"}, r"has no column 'reader' \(--user\)"),
        ("events.csv", {"items": "absent.csv"}, "no file '.*absent.csv'"),
        ("events.csv", {"baskets": True, "time": "none"}, "--baskets needs a time"),
        ("events.csv", {"min_item_events": 9}, "leaves none of 5 events"),
        ("toy", {"user": "user"}, r"toy.inter has no field 'user' \(--user\); it has user_id:token"),
        ("toy", {"order": "timestamp"}, "--order is for tables of events"),
        ("lines.txt", {"user": "user"}, "--user is for tables of events"),
        ("lines.txt", {"duplicates": "drop"}, "--duplicates drop needs a time"),
        ("two", {}, r"holds 2 data sets \(one.inter, other.inter\); give one file"),
        ("lines.txt", {"baskets": True}, "this format has no baskets"),
        ("readme.md", {}, "is in no known format; give a .csv"),
        ("", {}, "is in no known format|does not exist"),
    ],
)
def test_what_cannot_be_read_is_one_line(tmp_path: Path, path: str, options: dict[str, object], message: str) -> None:
    write(tmp_path / "events.csv", EVENTS)
    write(tmp_path / "toy" / "toy.inter", INTER)
    write(tmp_path / "two" / "one.inter", INTER)
    write(tmp_path / "two" / "other.inter", INTER)
    write(tmp_path / "lines.txt", "u a b\n")
    write(tmp_path / "readme.md", "")
    with pytest.raises(BenchError, match=message) as caught:
        load_own("mine", DataFiles.model_validate({"path": str(tmp_path / path), **options}))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("data/my events.csv", "my-events"),
        ("events.v2.csv.gz", "events.v2"),
        ("ml-1m.zip", "ml-1m"),
        ("reviews_Beauty_5.json.gz", "reviews_Beauty_5"),
        ("folder/", "folder"),
        ("Büro+Möbel.parquet", "Büro-Möbel"),
        ("+++.csv", "data"),
    ],
)
def test_the_name_of_a_path_is_safe_for_folders(path: str, name: str) -> None:
    assert name_of(path) == name
    assert name_of(name) == name


def test_text_columns_may_be_given_as_one_string() -> None:
    assert DataFiles(text="title, genres").text == ("title", "genres")  # type: ignore[arg-type]


@pytest.mark.parametrize("split", [False, True])
def test_items_that_no_event_has_are_counted(tmp_path: Path, split: bool) -> None:
    parts = [["u,a,1", "u,b,2", "v,b,1"], ["u,a,3", "v,a,2"], ["u,b,4", "v,b,3"]]
    names = ("train.csv", "valid.csv", "test.csv") if split else ("all.csv",)
    for name, rows in zip(names, parts if split else [[row for part in parts for row in part]], strict=True):
        (tmp_path / name).write_text("user,item,time\n" + "\n".join(rows) + "\n")
    (tmp_path / "items.csv").write_text("item,title\na,Ape\nb,Bee\nc,Cat\n")
    files = DataFiles(path=str(tmp_path if split else tmp_path / "all.csv"), items=str(tmp_path / "items.csv"))
    note = "1 of 3 items of the item table occur in no event; they are not in the catalogue"
    assert note in load_own("x", files).filters
