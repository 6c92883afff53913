"""Tiny files in the exact formats of GroupLens."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from bench.data.catalog import load_dataset
from bench.data.data_files import DataFiles
from bench.data.dataset import Dataset
from bench.data.sources.movielens import is_movielens, read_movielens
from bench.data.sources.own import load_own
from bench.data.sources.recbole_wheel import DATA_FOLDER_VARIABLE
from bench.errors import BenchError, MissingDataError

GENRES_100K = ("unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama")


def flags(*genres: str) -> str:
    return "|".join("1" if genre in genres else "0" for genre in (*GENRES_100K, *["-"] * 10))


# In every release: user 5 rates 20 before 10, then 30 and 10 in one second; film 40 is never rated.
RATINGS = [(5, 30, 4, 200), (5, 20, 1, 100), (1, 10, 3, 150), (5, 10, 5, 200)]
RELEASES = {
    "ml-1m": {
        "ratings.dat": "".join(f"{u}::{i}::{r}::{t}\n" for u, i, r, t in RATINGS).encode(),
        "movies.dat": (
            "10::Café Noir (1995)::Animation|Comedy\n20::Big: Part One (1988)::Drama\n"
            "30::Untitled::unknown\n40::Nobody Saw It (2000)::Drama\n"
        ).encode("latin-1"),
    },
    "ml-20m": {
        "ratings.csv": (
            "userId,movieId,rating,timestamp\n" + "".join(f"{u},{i},{r}.5,{t}\n" for u, i, r, t in RATINGS)
        ).encode(),
        "movies.csv": (
            'movieId,title,genres\r\n10,Café Noir (1995),Animation|Comedy\r\n20,"Big: Part One (1988)",Drama\r\n'
            "30,Untitled,(no genres listed)\r\n40,Nobody Saw It (2000),Drama\r\n"
        ).encode(),
        "tags.csv": b"userId,movieId,tag,timestamp\n",
    },
    "ml-100k": {
        "u.data": "".join(f"{u}\t{i}\t{r}\t{t}\n" for u, i, r, t in RATINGS).encode(),
        "u.item": (
            f"10|Café Noir (1995)|01-Jan-1995||http://x|{flags('Animation', 'Comedy')}\n"
            f"20|Big: Part One (1988) (V)|01-Jan-1988||http://x|{flags('Drama')}\n"
            f"30|Untitled||||{flags('unknown')}\n40|Nobody Saw It (2000)|||x|{flags('Drama')}\n"
        ).encode("latin-1"),
    },
}


def unpacked(folder: Path, release: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in RELEASES[release].items():
        (folder / name).write_bytes(content)
    return folder


def zipped(path: Path, release: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in RELEASES[release].items():
            archive.writestr(f"{release}/{name}", content)
    return path


def check(dataset: Dataset) -> None:
    assert dataset.user_ids.tolist() == ["5", "1"]
    assert dataset.item_ids.tolist() == ["10", "20", "30"]
    assert dataset.interactions.items.tolist() == [1, 2, 0, 0]
    assert dataset.interactions.timestamps.tolist() == [100, 200, 200, 150]
    assert dataset.item_table.columns["title"].tolist() == ["Café Noir", "Big: Part One", "Untitled"]
    assert dataset.item_table.columns["genres"].tolist() == ["Animation Comedy", "Drama", ""]
    assert dataset.item_table.columns["year"].tolist() == ["1995", "1988", ""]
    assert dataset.item_table.category is not None
    assert dataset.item_table.category.tolist() == [0, 1, -1]
    assert dataset.seen_items == "exclude"
    assert "GroupLens" in dataset.licence


@pytest.mark.parametrize("release", list(RELEASES))
def test_a_folder_and_a_zip_of_each_generation_give_the_same_events(tmp_path: Path, release: str) -> None:
    folder = unpacked(tmp_path / "folder", release)
    archive = zipped(tmp_path / "archive.zip", release)
    check(read_movielens(folder, "toy"))
    assert read_movielens(archive, "toy").content_hash == read_movielens(folder, "toy").content_hash
    by_path = load_own("toy", DataFiles(path=str(archive)))
    assert by_path.content_hash == read_movielens(folder, "toy").content_hash
    assert sorted(path.name for path in tmp_path.iterdir()) == ["archive.zip", "folder"]


@pytest.mark.parametrize("place", ["ml-1m", "ml-1m/ml-1m.zip", "ml-1m.zip"])
def test_a_registered_release_is_found_in_the_users_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setenv(DATA_FOLDER_VARIABLE, str(tmp_path))
    (zipped if place.endswith(".zip") else unpacked)(tmp_path / place, "ml-1m")
    load_dataset.cache_clear()
    dataset = load_dataset("ml-1m")
    load_dataset.cache_clear()
    check(dataset)
    assert dataset.name == "ml-1m"


@pytest.mark.parametrize("name", ["ml-1m", "ml-20m", "ml-latest-small", "ml-latest"])
def test_an_absent_release_is_one_line_with_its_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(DATA_FOLDER_VARIABLE, str(tmp_path))
    with pytest.raises(MissingDataError, match=f"grouplens.org/datasets/movielens/{name}.zip") as caught:
        load_dataset(name)
    assert str(tmp_path / name) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("release", "file", "content", "message"),
    [
        (
            "ml-1m",
            "ratings.dat",
            b"5::30::4::200\n5::20::1\n",
            "ratings.dat, line 2: damaged: expected 4 columns, got 3",
        ),
        (
            "ml-1m",
            "ratings.dat",
            b"5::x::4::200\n",
            "ratings.dat, line 1: damaged: the item is 'x', not a whole number",
        ),
        ("ml-1m", "ratings.dat", b"5::30::4::200\n5::20::1::-2\n", r"ratings.dat, line 2: its time is negative \(-2\)"),
        ("ml-1m", "movies.dat", b"10::A (1990)::Drama\n20::B\n", "movies.dat, film 2: 2 fields instead of 3"),
        ("ml-1m", "movies.dat", b"10::A::Drama\n10::B::Drama\n", "film 10 is there twice"),
        ("ml-20m", "movies.csv", b"id,title\n10,A\n", "movies.csv is no table of movieId, title and genres"),
    ],
)
def test_damaged_files_are_named(tmp_path: Path, release: str, file: str, content: bytes, message: str) -> None:
    folder = unpacked(tmp_path / release, release)
    (folder / file).write_bytes(content)
    with pytest.raises(BenchError, match=message):
        read_movielens(folder, "toy")


def test_what_is_no_release_is_recognised(tmp_path: Path) -> None:
    (tmp_path / "broken.zip").write_bytes(b"PK")
    for place in (tmp_path, tmp_path / "broken.zip", tmp_path / "absent.zip"):
        assert not is_movielens(place)
    with pytest.raises(BenchError, match="holds no MovieLens release"):
        read_movielens(tmp_path, "toy")
