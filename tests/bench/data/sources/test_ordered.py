"""Amazon Beauty and MovieLens-1M as tables of ordered events: a few rows in the same format, and the real files."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.data.dataset import Dataset
from bench.data.protocols import split
from bench.data.sources.ordered import RELEASES, load_release
from bench.data.sources.recbole_wheel import DATA_FOLDER_VARIABLE
from bench.errors import BenchError, MissingDataError

BEAUTY_EVENTS = {"user_id": [7, 7, 7, 3, 3, 3], "pos": [2, 0, 1, 0, 2, 1], "item_id": [30, 10, 20, 20, 10, 40]}
"""In no order: user 7 meets 10, 20, 30 and user 3 meets 20, 40, 10."""

BEAUTY_ITEMS = """item_id,asin,title,letter_sid,category_attr_ids
10,A1,"Red Polish, 15 ml",<a_1>,173 1 162
20,A2,,<a_2>,17 31
30,A3,SPF 17 Lotion,<a_3>,328 17 31
40,A4,Brush,<a_4>,64
50,A5,Never bought,<a_5>,99 64 1
"""

FILM_EVENTS = {"user_id": [1, 1, 1, 2, 2, 2], "pos": [0, 1, 2, 0, 1, 2], "movie_id": [9, 5, 7, 5, 9, 7]}
FILM_ITEMS = {
    "movie_id": [5, 7, 9],
    "title": ["Toy Story (1995)", "Heat (1995)", "M (1931)"],
    "genres": ["Animation|Children's|Comedy", "Action|Crime", "Film-Noir"],
    "llm_description": ["Toys.", "Thieves.", "A hunt."],
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's data folder with tables of both releases, each in another of the two places."""
    monkeypatch.setenv(DATA_FOLDER_VARIABLE, str(tmp_path))
    (tmp_path / "beauty").mkdir()
    pd.DataFrame(BEAUTY_EVENTS).to_parquet(tmp_path / "beauty" / "events.parquet")
    (tmp_path / "beauty" / "items.csv").write_text(BEAUTY_ITEMS)
    pd.DataFrame(FILM_EVENTS).to_parquet(tmp_path / "ml1m_events.parquet")
    pd.DataFrame(FILM_ITEMS).to_parquet(tmp_path / "ml1m_items.parquet")
    return tmp_path


def sequences(dataset: Dataset) -> dict[str, list[str]]:
    """Item ids in order, by user id."""
    offsets = dataset.interactions.offsets
    ids = dataset.item_ids[dataset.interactions.items].tolist()
    return {user: ids[offsets[row] : offsets[row + 1]] for row, user in enumerate(dataset.user_ids.tolist())}


def test_events_are_ordered_by_position_within_their_user(folder: Path) -> None:
    beauty = load_release("beauty")
    assert sequences(beauty) == {"7": ["10", "20", "30"], "3": ["20", "40", "10"]}
    assert (beauty.has_time, beauty.baskets, beauty.seen_items) == (False, False, "exclude")
    assert sequences(load_release("ml-1m-order")) == {"1": ["9", "5", "7"], "2": ["5", "9", "7"]}


def test_attributes_of_products_are_words_that_no_title_holds(folder: Path) -> None:
    table = load_release("beauty").item_table
    assert table.text_columns == ("title", "attributes")
    assert table.columns.columns.tolist() == ["title", "attributes"]  # nobody's semantic IDs
    assert table.columns["title"].tolist() == ["Red Polish, 15 ml", "", "SPF 17 Lotion", "Brush"]
    assert table.columns["attributes"].tolist()[:2] == [
        "attribute-173 attribute-1 attribute-162",
        "attribute-17 attribute-31",
    ]


def test_the_category_of_a_product_is_its_first_attribute_that_is_no_brand(folder: Path) -> None:
    category = load_release("beauty").item_table.category
    assert category is not None
    polish, cream, lotion, brush = category.tolist()
    assert cream == lotion  # 17, behind the brand 328 of the lotion
    assert len({polish, cream, brush}) == 3


def test_films_have_their_first_genre_as_category_and_a_description_outside_of_their_text(folder: Path) -> None:
    table = load_release("ml-1m-order").item_table
    assert table.text_columns == ("title", "genres")
    assert table.columns["llm_description"].tolist() == ["Toys.", "Thieves.", "A hunt."]
    assert table.category is not None
    assert table.category.tolist() == [1, 0, 2]  # Animation, Action, Film-Noir by name


def test_the_place_of_the_files_changes_nothing(folder: Path) -> None:
    first = load_release("beauty").content_hash
    for name in ("events.parquet", "items.csv"):
        (folder / "beauty" / name).rename(folder / f"beauty_{name}")
    assert load_release("beauty").content_hash == first


@pytest.mark.parametrize("name", RELEASES)
@pytest.mark.parametrize("table", ["events", "items"])
def test_absent_files_are_told_in_one_line_that_says_what_to_put_where(folder: Path, name: str, table: str) -> None:
    for path in [*folder.rglob(f"{table}.*"), *folder.glob(f"*_{table}.*")]:
        path.unlink()
    with pytest.raises(MissingDataError, match=rf"{name} is not on this machine: put events.parquet \(user_id") as told:
        load_release(name)
    assert str(folder / name) in str(told.value)
    assert "\n" not in str(told.value)


def test_a_missing_column_is_named(folder: Path) -> None:
    pd.DataFrame(BEAUTY_EVENTS).drop(columns="pos").to_parquet(folder / "beauty" / "events.parquet")
    with pytest.raises(BenchError, match="has no column 'pos'"):
        load_release("beauty")


def test_the_real_beauty_has_the_published_statistics() -> None:
    """TIGER (arXiv 2305.05065), table 6: 22,363 users, 12,101 items."""
    beauty = real("beauty")
    interactions = beauty.interactions
    assert (interactions.n_users, interactions.n_items, interactions.n_events) == (22_363, 12_101, 198_502)
    assert interactions.lengths.min() == 5
    assert (beauty.item_table.columns["title"] == "").sum() == 7
    assert beauty.item_table.category is not None
    assert np.bincount(beauty.item_table.category).argmax() == beauty.item_table.category[2]  # skin care
    assert len(split(beauty, "leave-one-out", "keep").test) == 22_363


def test_the_real_films_have_no_repeats() -> None:
    interactions = real("ml-1m-order").interactions
    assert (interactions.n_users, interactions.n_items, interactions.n_events) == (6_038, 3_307, 835_789)
    users = np.repeat(np.arange(interactions.n_users), interactions.lengths)
    assert len(np.unique(users * interactions.n_items + interactions.items)) == interactions.n_events


def real(name: str) -> Dataset:
    """The real files, which nobody may pass on."""
    if not os.environ.get(DATA_FOLDER_VARIABLE):
        pytest.skip(f"{DATA_FOLDER_VARIABLE} is not set")
    try:
        return load_release(name)
    except MissingDataError as error:
        pytest.skip(str(error))
