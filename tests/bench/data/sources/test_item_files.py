from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench.data.sources.item_files import read_item_facts
from bench.errors import BenchError

ITEMS = "item_id,title,genres,year,note\nb,Bee,Nature|Drama,1999,\na,Ape,Drama,,seen\n"


@pytest.fixture
def items(tmp_path: Path) -> Path:
    path = tmp_path / "items.csv"
    path.write_text(ITEMS)
    return path


def test_columns_of_words_are_text_and_the_first_genre_is_the_category(items: Path) -> None:
    facts = read_item_facts(items, None)
    assert facts is not None
    assert facts.ids.tolist() == ["b", "a"]
    assert facts.text_columns == ("title", "genres", "note")
    assert facts.columns["year"].tolist() == ["1999", ""]
    assert facts.columns["note"].tolist() == ["", "seen"]
    assert facts.categories is not None
    assert facts.categories.tolist() == ["Nature", "Drama"]


@pytest.mark.parametrize("as_in_pandas_3", [False, True])
def test_a_missing_text_is_empty_whatever_pandas_makes_of_it(tmp_path: Path, as_in_pandas_3: bool) -> None:
    path = tmp_path / "items.parquet"
    pq.write_table(pa.table({"item_id": ["b", "a"], "title": ["Bee", None]}), path)
    with pd.option_context("future.infer_string", as_in_pandas_3):
        facts = read_item_facts(path, None)
    assert facts is not None
    assert facts.columns["title"].tolist() == ["Bee", ""]


def test_text_category_and_the_column_of_ids_can_be_told(items: Path) -> None:
    facts = read_item_facts(items, None, "title", text=("year", "note"), category="note")
    assert facts is not None
    assert facts.ids.tolist() == ["Bee", "Ape"]
    assert facts.text_columns == ("year", "note")
    assert facts.categories is not None
    assert facts.categories.tolist() == ["", "seen"]


def test_parquet_lists_become_words_and_numbers_stay_numbers(tmp_path: Path) -> None:
    table = {"item": [1, 2], "categories": [["Toys", "Dolls"], None], "price": [2.5, None]}
    pq.write_table(pa.table(table), tmp_path / "items.parquet")
    facts = read_item_facts(tmp_path / "items.parquet", None)
    assert facts is not None
    assert facts.columns["categories"].tolist() == ["Toys Dolls", ""]
    assert facts.categories is not None
    assert facts.categories.tolist() == ["Toys", ""]
    assert facts.text_columns == ("categories",)
    np.testing.assert_array_equal(facts.columns["price"], [2.5, np.nan])
    told = read_item_facts(tmp_path / "items.parquet", None, text=("price",))
    assert told is not None
    assert told.columns["price"].tolist() == ["2.5", ""]


def test_rows_of_an_array_belong_to_the_rows_of_the_item_table(items: Path, tmp_path: Path) -> None:
    for vectors in (np.array([[1, 2], [3, 4]], dtype=np.float64), np.array([[1, -127], [0, 4]], dtype=np.int8)):
        np.save(tmp_path / "vectors.npy", vectors)
        facts = read_item_facts(items, tmp_path / "vectors.npy")
        assert facts is not None
        assert facts.embeddings is not None
        assert facts.embeddings.dtype == (np.int8 if vectors.dtype == np.int8 else np.float32)
        np.testing.assert_array_equal(facts.embeddings, vectors)


@pytest.mark.parametrize(
    "fixed",
    [
        pytest.param(
            True,
            marks=pytest.mark.skipif(
                int(pa.__version__.split(".")[0]) < 26,
                reason="pyarrow 25 reads no list of fixed length that is null",
            ),
        ),
        False,
    ],
)
def test_embeddings_with_ids_are_matched_by_them(items: Path, tmp_path: Path, fixed: bool) -> None:
    kind = pa.list_(pa.float32(), 2) if fixed else pa.list_(pa.float32())
    vectors = pa.array([[1.0, 2.0], [3.0, 4.0], None], kind)
    path = tmp_path / "vectors.parquet"
    pq.write_table(pa.table({"item_id": ["a", "new", "b"], "vector": vectors}), path)
    facts = read_item_facts(items, path)
    assert facts is not None
    assert facts.embeddings is not None
    assert facts.ids.tolist() == ["b", "a", "new"]
    assert facts.embeddings.tolist() == [[0, 0], [1, 2], [3, 4]]
    assert facts.columns["title"].tolist() == ["Bee", "Ape", ""]
    assert facts.categories is not None
    assert facts.categories.tolist() == ["Nature", "Drama", ""]
    alone = read_item_facts(None, path)
    assert alone is not None
    assert (alone.ids.tolist(), alone.text_columns, list(alone.columns)) == (["a", "new", "b"], (), [])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("item,title\na,x\na,y\n", "row 3, column 'item': describes item 'a' a second time"),
        ("item,title\n,x\n", "row 2, column 'item': is empty; every item needs an id"),
        ("title\nx\n", "no column that is plainly the item"),
    ],
)
def test_ids_of_an_item_table_are_there_once(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "items.csv").write_text(content)
    with pytest.raises(BenchError, match=message):
        read_item_facts(tmp_path / "items.csv", None)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((3, 2)), "has 3 rows, but .* has 2"),
        (np.zeros(2), r"shape \(2,\); embeddings are \[n_items, dims\]"),
        (np.array([[1.0], [np.nan]]), "row 2: an embedding holds NaN"),
        (np.zeros((2, 2), dtype=np.int64), "numbers of type int64"),
        (np.array([[{}], [{}]]), "is no readable array"),
    ],
)
def test_arrays_that_are_no_embeddings_are_an_error(items: Path, tmp_path: Path, array, message: str) -> None:
    np.save(tmp_path / "vectors.npy", array)
    with pytest.raises(BenchError, match=message):
        read_item_facts(items, tmp_path / "vectors.npy")


def test_mistakes_in_what_is_given_are_told(items: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "vectors.npy", np.zeros((2, 2)))
    with pytest.raises(BenchError, match="whose are these rows"):
        read_item_facts(None, tmp_path / "vectors.npy")
    with pytest.raises(BenchError, match=r"come as \.npy or \.parquet"):
        read_item_facts(items, items)
    with pytest.raises(BenchError, match=r"no column 'name' \(--text\); it has title, genres, year, note"):
        read_item_facts(items, None, text=("name",))
    with pytest.raises(BenchError, match="--category names a column of the item table; give --items"):
        read_item_facts(None, None, category="genres")
    pd.DataFrame({"item": ["a", "b"], "v": [[1.0], [1.0, 2.0]]}).to_parquet(tmp_path / "ragged.parquet")
    with pytest.raises(BenchError, match="row 1, column 'v': embeddings must all have the same number"):
        read_item_facts(None, tmp_path / "ragged.parquet")
    pd.DataFrame({"item": ["a", "b"]}).to_parquet(tmp_path / "none.parquet")
    with pytest.raises(BenchError, match="has 0 columns of lists"):
        read_item_facts(None, tmp_path / "none.parquet")


def test_an_embedding_that_32_bits_cannot_hold_is_named(tmp_path: Path, items: Path) -> None:
    np.save(tmp_path / "v.npy", np.array([[1.0, 2.0], [1e300, 0.0]]))
    with pytest.raises(BenchError, match=r"v.npy, row 2: an embedding holds a number too large for 32 bits"):
        read_item_facts(items, tmp_path / "v.npy")


def test_what_is_no_array_is_told_without_advice_to_unpickle_it(tmp_path: Path, items: Path) -> None:
    (tmp_path / "v.npy").write_text("0.1 0.2")
    with pytest.raises(BenchError, match=r"v.npy is no readable array of numbers \(it holds Python objects, or is no"):
        read_item_facts(items, tmp_path / "v.npy")
