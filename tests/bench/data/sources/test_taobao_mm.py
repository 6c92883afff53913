"""TAOBAO-MM, written as published in a few kilobytes and read by the real loader."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench.data.catalog import CATALOG
from bench.data.protocols import split
from bench.data.sources import taobao_mm
from bench.data.sources.taobao_mm import Selection, choose_targets, load_taobao_mm
from bench.data.sources.taobao_mm_tables import Clicks, Table, read_sequences
from bench.errors import BenchError, MissingDataError, SkippedRun
from models.semantic_ids.item_features import embedding_values

CLICK, NO_CLICK = [0, 1], [1, 0]
SELECTION = Selection(target_items=10, clicks_per_item=2)
SAMPLES = pa.schema([("label_0", pa.list_(pa.int8())), ("129_1", pa.int64()), ("205", pa.int64())])
USERS = pa.schema(
    [
        ("129_1", pa.int64()),
        ("130_1", pa.int64()),
        ("150_2_180", pa.list_(pa.int64())),
        ("151_2_180", pa.list_(pa.int64())),
    ]
)
ITEMS = pa.schema([("205", pa.int64()), ("206", pa.int64()), ("213", pa.int64()), ("214", pa.int64())])
EMBEDDINGS = pa.schema([("205", pa.int64()), ("205_c", pa.list_(pa.int8()))])

# Item 50 has clicks enough but no embedding; item 30 is clicked once; user 9 has no features; user 2 is in both parts.
TABLES: dict[str, tuple[pa.Schema, list[tuple[Any, ...]]]] = {
    "train_samples": (
        SAMPLES,
        [
            (CLICK, 1, 10),
            (NO_CLICK, 1, 20),
            (CLICK, 2, 10),
            (CLICK, 1, 50),
            (CLICK, 2, 20),
            ([], 2, 30),
            (None, 2, 30),
            (CLICK, 1, 20),
            (CLICK, 3, 50),
            (CLICK, 1, 30),
            (CLICK, 9, 10),
        ],
    ),
    "test_samples": (
        SAMPLES,
        [
            (CLICK, 2, 20),
            (CLICK, 4, 10),
            (NO_CLICK, 4, 20),
            (CLICK, 5, 50),
            (CLICK, 4, 20),
            (CLICK, 6, 10),
            (CLICK, 4, 30),
        ],
    ),
    "train_user_features": (
        USERS,
        [
            (2, 0, None, None),
            (7, 0, [10, 10], [100, 100]),
            (1, 0, [40, 50, None, 60], [4, 5, 9, 6]),
            (1, 0, [10], [100]),
        ],
    ),
    "test_user_features": (USERS, [(2, 0, [40, 20, 80], [8]), (4, 0, [60], [77]), (6, 0, [50], [5])]),
    "item_features": (ITEMS, [(20, 200, 0, 0), (10, 100, 0, 0), (999, 1, 0, 0), (60, None, 0, 0)]),
    "scl_embedding_int8_p90": (
        EMBEDDINGS,
        [
            (80, [8, 8, 8, 8]),
            (10, [127, -127, 1, 0]),
            (60, [6, 0, 0, -6]),
            (20, [2, 2, 2, 2]),
            (10, [9, 9, 9, 9]),
            (40, [4, 0, 0, 0]),
            (5, [5, 5, 5, 5]),
            (50, None),
        ],
    ),
}


def write(folder: Path, tables: dict[str, tuple[pa.Schema, list[tuple[Any, ...]]]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, (schema, rows) in tables.items():
        columns = [pa.array(column, type) for column, type in zip(zip(*rows, strict=True), schema.types, strict=True)]
        pq.write_table(pa.table(columns, schema=schema), folder / f"{name}.parquet", row_group_size=3)


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the tables as downloaded."""
    monkeypatch.setenv("GLASS_BENCH_DATA", str(tmp_path))
    write(tmp_path / "taobao-mm" / "raw", TABLES)
    return tmp_path / "taobao-mm"


def rows_of(dataset) -> dict[str, list[str]]:
    interactions = dataset.interactions
    return {
        str(user): dataset.item_ids[interactions.items[interactions.row(row)]].tolist()
        for row, user in enumerate(dataset.user_ids)
    }


def test_rows_are_histories_with_the_clicked_targets_behind_those_of_training(published):
    dataset = load_taobao_mm(SELECTION)
    assert dataset.item_ids.tolist() == ["10", "20", "40", "60", "80"]
    assert rows_of(dataset) == {
        "train/2": ["10", "20"],
        "train/1": ["40", "60", "10", "20"],
        "test/2": ["40", "20", "80"],
        "test/4": ["60"],
        "test/6": [],
    }
    assert not dataset.has_time
    assert dataset.seen_items == "keep"
    assert dataset.interactions.timestamps.tolist() == [0] * 10


def test_every_clicked_target_of_training_is_a_training_target_once(published):
    shipped = load_taobao_mm(SELECTION).shipped_split
    pairs = list(zip(shipped.train_rows.tolist(), shipped.train_positions.tolist(), strict=True))
    assert pairs == [(0, 0), (0, 1), (1, 2), (1, 3)]
    assert shipped.train_ends.tolist() == [2, 4, 0, 0, 0]


def test_test_samples_are_asked_after_the_whole_history_of_their_row_in_two_halves(published):
    dataset = load_taobao_mm(SELECTION)
    parts = split(dataset, "shipped")
    asked = []
    for queries in (parts.validation, parts.test):
        for place in range(len(queries)):
            history = dataset.item_ids[queries.histories(place, place + 1).items].tolist()
            user = str(dataset.user_ids[queries.users[place]])
            asked.append((user, history, str(dataset.item_ids[queries.targets[place]])))
    assert (len(parts.validation), len(parts.test)) == (1, 2)
    assert sorted(asked) == [
        ("test/2", ["40", "20", "80"], "20"),
        ("test/4", ["60"], "10"),
        ("test/4", ["60"], "20"),
    ]
    assert dataset.item_ids[parts.train.interactions.items].tolist() == ["10", "20", "40", "60", "10", "20"]
    again = load_taobao_mm(SELECTION).shipped_split
    assert again.test_rows.tolist() == dataset.shipped_split.test_rows.tolist()


def test_embeddings_are_the_first_of_each_item_by_127_and_stay_on_disk(published):
    embeddings = load_taobao_mm(SELECTION).item_table.embeddings
    assert isinstance(embeddings, np.memmap)
    assert embeddings.dtype == np.int8
    assert embeddings[0].tolist() == [127, -127, 1, 0]
    np.testing.assert_allclose(embedding_values(embeddings)[0], [1, -1, 1 / 127, 0])
    # Not by the largest entry of a row: the scale is one and the same for all items.
    np.testing.assert_allclose(embedding_values(embeddings)[2], [4 / 127, 0, 0, 0])


def test_categories_come_from_the_item_table_then_from_histories_and_are_unknown_otherwise(published):
    # 40 -> 4 and 60 -> 6 as user 1's history says (before user 4's 77), 10 -> 100, 20 -> 200. Item 80 occurs only in a
    # history with fewer categories than items.
    assert load_taobao_mm(SELECTION).item_table.category.tolist() == [2, 3, 0, 1, -1]


def test_what_is_left_out_is_counted_in_words(published):
    assert load_taobao_mm(SELECTION).filters == (
        "2 target items, drawn from those with at least 2 clicks in the training samples and one in the test samples "
        "and an embedding",
        "5 of 8 clicked train samples are of target items",
        "1 train samples of users without features are left out",
        "4 of 6 clicked test samples are of target items",
        "2 of 8 history events are left out, of items without an embedding",
        "1 test samples with an empty history are left out",
        "1 embeddings of an item that has one already are left out",
    )


def test_items_without_an_embedding_may_stay(published):
    dataset = load_taobao_mm(Selection(10, 2, embedded_only=False))
    assert dataset.item_ids.tolist() == ["10", "20", "40", "50", "60", "80"]
    assert rows_of(dataset)["train/1"] == ["40", "50", "60", "10", "50", "20"]
    assert rows_of(dataset)["test/6"] == ["50"]
    assert dataset.item_table.embeddings[3].tolist() == [0, 0, 0, 0]


def test_target_items_are_a_fixed_sample_of_those_with_enough_clicks_in_both_parts():
    users = np.zeros(300, dtype=np.int64)
    train = Clicks(users, np.repeat(np.arange(100), 3))  # items 0 .. 99, three clicks each
    test = Clicks(users[:80], np.arange(20, 100))
    embedded = np.arange(0, 100, 2)
    everything = choose_targets(train, test, embedded, Selection(target_items=40, clicks_per_item=3))
    assert everything.tolist() == list(range(20, 100, 2))
    sample = choose_targets(train, test, embedded, Selection(target_items=7, clicks_per_item=3))
    assert len(sample) == 7
    assert set(sample) < set(everything)
    assert sample.tolist() == sorted(sample)
    assert choose_targets(train, test, embedded, Selection(7, 3)).tolist() == sample.tolist()
    with pytest.raises(BenchError, match="no item has 4 clicks"):
        choose_targets(train, test, embedded, Selection(7, clicks_per_item=4))


def test_the_tables_are_read_once(published, monkeypatch):
    first = load_taobao_mm(SELECTION)
    monkeypatch.setattr(taobao_mm, "read_clicks", None)
    second = load_taobao_mm(SELECTION)
    assert second.content_hash == first.content_hash
    assert second.filters == first.filters
    assert rows_of(second) == rows_of(first)
    assert not list(published.glob("prepared/*/*_sequences"))
    with pytest.raises(TypeError):
        load_taobao_mm(Selection(target_items=9, clicks_per_item=2))


def test_an_interrupted_preparation_is_made_anew(published, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr(taobao_mm, "read_embeddings", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            load_taobao_mm(SELECTION)
    assert load_taobao_mm(SELECTION).interactions.n_events == 10


def test_chunks_and_row_groups_make_no_difference(published, monkeypatch):
    whole = load_taobao_mm(SELECTION)
    monkeypatch.setattr(taobao_mm, "_EVENTS_AT_A_TIME", 2)
    monkeypatch.setattr(taobao_mm, "_VERSION", 99)
    pieces = load_taobao_mm(SELECTION)
    assert pieces.content_hash == whole.content_hash


def test_a_table_may_be_a_folder_of_shards(published):
    whole = load_taobao_mm(SELECTION)
    file = published / "raw" / "train_samples.parquet"
    table = pq.read_table(file)
    file.unlink()
    (published / "train_samples").mkdir()
    for number, start in enumerate(range(0, len(table), 4)):
        pq.write_table(table.slice(start, 4), published / "train_samples" / f"part-{number:05d}.parquet")
    assert load_taobao_mm(SELECTION).content_hash == whole.content_hash


def test_the_hash_covers_embeddings_and_split(published):
    hashes = {load_taobao_mm(SELECTION).content_hash}
    schema, rows = TABLES["scl_embedding_int8_p90"]
    write(published / "raw", {"scl_embedding_int8_p90": (schema, [(80, [7, 8, 8, 8]), *rows[1:]])})
    hashes.add(load_taobao_mm(SELECTION).content_hash)
    schema, rows = TABLES["test_samples"]
    write(published / "raw", {"test_samples": (schema, [(CLICK, 2, 10), *rows[1:]])})
    hashes.add(load_taobao_mm(SELECTION).content_hash)
    assert len(hashes) == 3


def test_histories_of_other_users_are_passed_over(published, tmp_path):
    table = Table((published / "raw" / "train_user_features.parquet",))
    read = read_sequences(table, np.array([1, 3]), tmp_path / "spill")
    assert read.users.tolist() == [1]
    assert read.items.tolist() == [40, 50, 60]
    assert read.categories.tolist() == [4, 5, 6]
    nobody = read_sequences(table, np.array([8]), tmp_path / "empty")
    assert (nobody.users.tolist(), nobody.offsets.tolist(), nobody.items.tolist()) == ([], [0], [])


def test_missing_files_say_what_to_download_and_where_to_put_it(tmp_path, monkeypatch):
    monkeypatch.setenv("GLASS_BENCH_DATA", str(tmp_path))
    with pytest.raises(MissingDataError) as raised:
        CATALOG["taobao-mm"].load()
    message = str(raised.value)
    assert "https://huggingface.co/datasets/TaoBao-MM/Taobao-MM" in message
    assert str(tmp_path / "taobao-mm") in message
    assert "\n" not in message
    assert isinstance(raised.value, SkippedRun)
    write(tmp_path / "taobao-mm" / "raw", {name: TABLES[name] for name in TABLES if name != "item_features"})
    with pytest.raises(MissingDataError, match=r"\(item_features\.parquet not found\)"):
        load_taobao_mm(SELECTION)


@pytest.mark.parametrize(
    ("name", "schema", "rows", "message"),
    [
        ("item_features", pa.schema([("205", pa.int64())]), [(1,)], "column '206' is missing"),
        ("item_features", ITEMS, [(None, 1, 0, 0)], "column '205' must hold an integer in every row"),
        (
            "scl_embedding_int8_p90",
            pa.schema([("205", pa.int64()), ("205_c", pa.list_(pa.float32()))]),
            [(item, [0.5]) for item in (10, 20, 60)],
            "column '205_c' holds float, not int8",
        ),
        ("scl_embedding_int8_p90", EMBEDDINGS, [(10, [1, 2]), (20, [1]), (60, [1])], "vectors of 1 and 2 numbers"),
        ("scl_embedding_int8_p90", EMBEDDINGS, [(10, None), (20, None)], "no item has 2 clicks .* an embedding"),
        ("test_samples", SAMPLES, [(NO_CLICK, 1, 10)], "no item has 2 clicks in train_samples, one in test_samples"),
        ("test_samples", SAMPLES, [(CLICK, 6, 10), (CLICK, 4, 20)], "fewer than two test samples are left"),
    ],
)
def test_malformed_tables_are_one_clear_line(published, name, schema, rows, message):
    write(published / "raw", {name: (schema, rows)})
    with pytest.raises(BenchError, match=message) as raised:
        load_taobao_mm(SELECTION)
    assert "\n" not in str(raised.value)


def test_a_file_that_is_no_parquet(published):
    (published / "raw" / "item_features.parquet").write_text("no table")
    with pytest.raises(BenchError, match=r"item_features\.parquet can't be read .*download the file again"):
        load_taobao_mm(SELECTION)
