"""Tiny files in the exact formats of the Amazon reviews of 2014 and 2023, and of P5 and S3-Rec."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from bench.data.catalog import load_dataset
from bench.data.data_files import DataFiles
from bench.data.sources import amazon, sequences
from bench.data.sources.amazon import metadata_file, read_amazon
from bench.data.sources.own import load_own
from bench.data.sources.recbole_wheel import DATA_FOLDER_VARIABLE
from bench.data.sources.sequences import read_sequences
from bench.errors import BenchError, MissingDataError

REVIEWS_2014 = [
    {"reviewerID": "U2", "asin": "0001", "overall": 5.0, "unixReviewTime": 200, "reviewText": "good"},
    {"reviewerID": "U1", "asin": "0001", "overall": 1.0, "unixReviewTime": 300},
    {"reviewerID": "U2", "asin": "B002", "overall": 2.0, "unixReviewTime": 200},
    {"reviewerID": "U2", "asin": "B003", "overall": 3.0, "unixReviewTime": 100},
]
METADATA_2014 = [
    "{'asin': 'B003', 'title': 'Soap &amp; Water', 'brand': 'Clean', 'price': 3.5, "
    "'categories': [['Beauty', 'Bath'], ['X']]}",
    "{'asin': 'B999', 'title': __import__('os').system('exit 1')}",
    "{'asin': '0001', 'title': \"Barber's Best\", 'categories': [['Beauty']], 'salesRank': {'Beauty': 7}}",
]


def write(path: Path, lines: list[str]) -> Path:
    content = ("\n".join(lines) + "\n").encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def write_2014(folder: Path) -> Path:
    write(folder / "meta_Beauty.json.gz", METADATA_2014)
    return write(folder / "reviews_Beauty_5.json.gz", [json.dumps(review) for review in REVIEWS_2014])


def test_2014_reviews_with_metadata_in_python_literals(tmp_path: Path) -> None:
    dataset = read_amazon(write_2014(tmp_path), "toy")
    assert dataset.user_ids.tolist() == ["U2", "U1"]
    assert dataset.item_ids.tolist() == ["B003", "0001", "B002"]
    assert dataset.interactions.items.tolist() == [0, 1, 2, 1]  # the tie at 200 keeps the order of the file
    assert dataset.interactions.timestamps.tolist() == [100, 200, 200, 300]
    assert dataset.item_table.columns.to_dict("list") == {
        "title": ["Soap & Water", "Barber's Best", ""],
        "brand": ["Clean", "", ""],
        "categories": ["Beauty Bath", "Beauty", ""],
        "price": ["3.5", "", ""],
    }
    assert dataset.item_table.category is not None
    assert dataset.item_table.category.tolist() == [0, 1, -1]  # Bath, Beauty, unknown
    assert dataset.has_time
    assert any("1 of 3 items are unknown" in note for note in dataset.filters)


def test_metadata_is_read_and_never_executed(tmp_path: Path) -> None:
    path = write(tmp_path / "meta_Beauty.json.gz", METADATA_2014)
    with pytest.raises(BenchError, match=r"meta_Beauty.json.gz, line 2: no Python literal"):
        amazon.read_metadata(path, 2014, {"B003", "B999"})


def test_2023_reviews_are_told_apart_by_parent_and_timed_in_milliseconds(tmp_path: Path) -> None:
    reviews = [
        {"user_id": "A", "asin": "x1", "parent_asin": "X", "timestamp": 1_600_000_000_900},
        {"user_id": "A", "asin": "y1", "parent_asin": "Y", "timestamp": 1_600_000_000_100},
        {"user_id": "B", "asin": "x2", "parent_asin": "X", "timestamp": 1_500_000_000_000},
    ]
    products = [
        {"parent_asin": "X", "title": "Kart", "store": "N", "categories": ["Games", "Racing"], "price": None},
        {"parent_asin": "Z", "title": "Other"},
    ]
    path = write(tmp_path / "Video_Games.jsonl.gz", [json.dumps(review) for review in reviews])
    without = load_own("toy", DataFiles(path=str(path)))
    assert without.item_table.text_columns == ()
    assert any("meta_Video_Games.jsonl.gz does not lie beside" in note for note in without.filters)
    write(tmp_path / "meta_Video_Games.jsonl.gz", [json.dumps(product) for product in products])
    dataset = load_own("toy", DataFiles(path=str(path)))
    assert dataset.item_ids.tolist() == ["X", "Y"]
    assert dataset.interactions.items.tolist() == [1, 0, 0]
    assert dataset.interactions.timestamps.tolist() == [1_600_000_000, 1_600_000_000, 1_500_000_000]
    assert dataset.item_table.columns.iloc[0].tolist() == ["Kart", "N", "Games Racing", ""]


@pytest.mark.parametrize(
    ("name", "metadata"),
    [
        ("reviews_Beauty_5.json.gz", "meta_Beauty.json.gz"),
        ("reviews_Toys_and_Games.json", "meta_Toys_and_Games.json"),
        ("Video_Games_5.json.gz", "meta_Video_Games.json.gz"),
        ("All_Beauty.jsonl.gz", "meta_All_Beauty.jsonl.gz"),
    ],
)
def test_metadata_is_expected_beside_the_reviews(tmp_path: Path, name: str, metadata: str) -> None:
    assert metadata_file(tmp_path / name) == tmp_path / metadata
    other = tmp_path / (metadata.removesuffix(".gz") if metadata.endswith(".gz") else f"{metadata}.gz")
    other.touch()
    assert metadata_file(tmp_path / name) == other


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([json.dumps(REVIEWS_2014[0]), "{"], "line 2: no review with reviewerID, asin and unixReviewTime"),
        (['{"reviewerID": "U", "asin": "A"}'], "line 1: .*KeyError: 'unixReviewTime'"),
        (["[]"], "line 1: no review"),
        (['{"reviewerID": "U", "asin": "A", "unixReviewTime": -1}'], "line 1: unixReviewTime is negative"),
        (["", ""], "is empty; fetch it anew"),
    ],
)
def test_malformed_reviews_are_an_error_with_the_line(tmp_path: Path, lines: list[str], message: str) -> None:
    with pytest.raises(BenchError, match=message):
        read_amazon(write(tmp_path / "reviews_X_5.json.gz", lines), "toy")


def test_damaged_archives_and_encodings_are_an_error(tmp_path: Path) -> None:
    path = write_2014(tmp_path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(BenchError, match="unreadable after line"):
        read_amazon(path, "toy")
    path.write_bytes(b"no archive")
    with pytest.raises(BenchError, match="unreadable after line 0"):
        read_amazon(path, "toy")
    path.write_bytes(gzip.compress('{"reviewerID": "Ü"}'.encode("latin-1")))
    with pytest.raises(BenchError, match=r"line 1: it is not UTF-8 \(byte 0xdc\)"):
        read_amazon(path, "toy")


def test_registered_categories_are_found_or_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DATA_FOLDER_VARIABLE, str(tmp_path))
    for name in (*amazon.RELEASES, *sequences.RELEASES):
        with pytest.raises(MissingDataError, match=f"{name} is not on this machine: fetch .* https://") as caught:
            load_dataset(name)
        assert "\n" not in str(caught.value)
    write_2014(tmp_path / "amazon-2014")
    write(tmp_path / "p5" / "beauty" / "sequential_data.txt", ["1 1 2 3", "2 3 1"])
    load_dataset.cache_clear()
    assert load_dataset("amazon-beauty").interactions.n_events == 4
    assert load_dataset("amazon-beauty-p5").interactions.n_events == 5
    load_dataset.cache_clear()


def test_the_5_core_of_2023_is_ours_and_stated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reviews = [
        {"user_id": f"u{user}", "parent_asin": f"i{item}", "timestamp": 1_600_000_000_000 + item}
        for user in range(6)
        for item in range(6)
    ]
    reviews.append({"user_id": "u0", "parent_asin": "rare", "timestamp": 1_600_000_000_009})
    write(tmp_path / "amazon-2023" / "All_Beauty.jsonl.gz", [json.dumps(review) for review in reviews])
    monkeypatch.setenv(DATA_FOLDER_VARIABLE, str(tmp_path))
    load_dataset.cache_clear()
    dataset = load_dataset("amazon-2023-all-beauty")
    load_dataset.cache_clear()
    assert dataset.interactions.n_items == 6
    assert any("users with at least 5 events and items with at least 5 events" in note for note in dataset.filters)


def test_sequences_keep_their_order_and_have_no_time(tmp_path: Path) -> None:
    path = write(tmp_path / "Beauty.txt", ["1 20 10 20", "", "2", "3 30"])
    dataset = load_own("toy", DataFiles(path=str(path)))
    assert not dataset.has_time
    assert dataset.user_ids.tolist() == ["1", "3"]
    assert dataset.item_ids.tolist() == ["20", "10", "30"]
    assert dataset.interactions.items.tolist() == [0, 1, 0, 2]
    assert dataset.filters == (
        "read as sequences, one user a line: user, item, item, ...; no time: items stand in the order of events",
        "1 users without items",
    )


def test_sequences_take_attributes_or_amazons_metadata_as_text(tmp_path: Path) -> None:
    path = write(tmp_path / "sequential_data.txt", ["1 1 2 3"])
    write(tmp_path / "Beauty_item2attributes.json", [json.dumps({"1": [7, 8], "3": [8], "4": []})])
    words = read_sequences(path, "toy").item_table
    assert words.columns["attributes"].tolist() == ["attribute-7 attribute-8", "attribute-8", ""]
    assert words.category is not None
    assert words.category.tolist() == [0, 1, -1]

    maps = {"id2item": {"1": "0001", "2": "B002", "3": "B003"}, "id2attribute": {"7": "soap"}}
    write(tmp_path / "datamaps.json", [json.dumps(maps)])
    assert read_sequences(path, "toy").item_table.columns["attributes"].tolist()[0] == "soap attribute-8"
    write(tmp_path / "meta.json.gz", METADATA_2014)
    dataset = load_own("toy", DataFiles(path=str(tmp_path)))
    assert dataset.item_ids.tolist() == ["3", "1", "2"]
    assert dataset.item_table.columns["title"].tolist() == ["Soap & Water", "Barber's Best", ""]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("sequential_data.txt", "1 1 2\n1 3\n", "line 2: user '1' has a line already, line 1"),
        ("sequential_data.txt", "\n", "has no line with a user and items"),
        ("datamaps.json", "{", "datamaps.json is no JSON"),
        ("datamaps.json", "[]", "should hold a JSON object"),
        ("a_item2attributes.json", '{"1": 7}', "should map each item to a list"),
    ],
)
def test_malformed_sequences_are_an_error(tmp_path: Path, name: str, content: str, message: str) -> None:
    path = write(tmp_path / "sequential_data.txt", ["1 1 2"])
    (tmp_path / name).write_text(content)
    with pytest.raises(BenchError, match=message):
        read_sequences(path, "toy")
