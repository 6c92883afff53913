from pathlib import Path

import numpy as np
import pytest

from bench.data.sources.atomic_files import read_atomic_dataset, read_atomic_table
from bench.errors import BenchError

HEADER = "user_id:token\titem_id:token\ttimestamp:float\n"


@pytest.fixture
def write(tmp_path):
    def write_file(suffix: str, content: str | bytes) -> Path:
        path = tmp_path / f"toy.{suffix}"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write_file


def read_events(write, content: str | bytes):
    return read_atomic_dataset(write("inter", content).parent, "toy")


def test_users_keep_the_order_of_appearance_and_events_the_order_of_time(write):
    data = read_events(write, HEADER + "b\tx\t30\na\ty\t5\nb\tz\t10\na\tx\t7\n")
    assert data.user_ids.tolist() == ["b", "a"]
    assert data.item_ids.tolist() == ["x", "y", "z"]
    assert data.interactions.items.tolist() == [2, 0, 1, 0]
    assert data.interactions.timestamps.tolist() == [10, 30, 5, 7]
    assert data.interactions.offsets.tolist() == [0, 2, 4]
    assert data.interactions.n_items == 3


def test_ties_in_time_keep_the_order_of_the_file(write):
    items = [f"i{number}" for number in np.random.default_rng(0).permutation(200)]
    rows = "".join(f"u\t{item}\t{1 if place < 150 else 0}\n" for place, item in enumerate(items))
    data = read_events(write, HEADER + rows)
    assert data.item_ids[data.interactions.items].tolist() == items[150:] + items[:150]


def test_fractions_of_a_second_decide_the_order(write):
    data = read_events(write, HEADER + "u\tlate\t1.9\nu\tearly\t1.1\n")
    assert data.item_ids[data.interactions.items].tolist() == ["early", "late"]
    assert data.interactions.timestamps.tolist() == [1, 1]


def test_without_timestamps_the_file_order_is_the_order_of_time(write):
    data = read_events(write, "item_id:token\tuser_id:token\nx\tu\ny\tv\nz\tu\n")
    assert data.item_ids[data.interactions.items].tolist() == ["x", "z", "y"]
    assert data.interactions.timestamps.tolist() == [0, 2, 1]


def test_equal_rows_are_separate_events(write):
    assert read_events(write, HEADER + "u\tx\t1\nu\tx\t1\n").interactions.n_events == 2


def test_catalogue_is_what_occurs_in_events_in_the_order_of_the_item_file(write):
    write("item", "item_id:token\ttitle:token_seq\tprice:float\ny\tBlue Moon\t2.5\nunused\tNobody\t1\nx\t\t\n")
    data = read_events(write, HEADER + "u\tnew\t1\nu\tx\t2\nu\ty\t3\n")
    assert data.item_ids.tolist() == ["y", "x", "new"]
    assert data.items["title"].tolist() == ["Blue Moon", "", ""]
    np.testing.assert_array_equal(data.items["price"], [2.5, np.nan, np.nan])
    assert data.interactions.items.tolist() == [2, 1, 0]


def test_quotes_and_words_for_missing_values_are_plain_text(write):
    write("item", 'item_id:token\ttitle:token_seq\nNA\t"Quoted\nnull\tNone\n')
    data = read_events(write, HEADER + "nan\tNA\t1\nnan\tnull\t2\n")
    assert data.user_ids.tolist() == ["nan"]
    assert data.item_ids.tolist() == ["NA", "null"]
    assert data.items["title"].tolist() == ['"Quoted', "None"]


def test_byte_order_mark_and_windows_line_ends_are_accepted(write):
    data = read_events(write, "\ufeff" + HEADER.replace("\n", "\r\n") + "u\tx\t1\r\n")
    assert data.user_ids.tolist() == ["u"]
    assert data.interactions.n_events == 1


def test_number_sequences_stay_text_but_are_checked(write):
    path = write("item", "item_id:token\tvector:float_seq\nx\t0.5 1\ny\t\n")
    assert read_atomic_table(path, {})["vector"].tolist() == ["0.5 1", ""]
    path = write("item", "item_id:token\tvector:float_seq\nx\t0.5 1\ny\t2 two\n")
    with pytest.raises(BenchError, match=r"line 3: field 'vector' holds 'two'"):
        read_atomic_table(path, {})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "toy.inter is empty"),
        (HEADER, "holds a header and no rows"),
        ("user_id:token\trating:float\nu\t1\n", "line 1: required field item_id:token is missing"),
        ("user_id\titem_id\nu\tx\n", "line 1, column 1: 'user_id' is not field:type"),
        ("user_id:token\titem_id:word\nu\tx\n", "line 1, column 2: 'item_id:word' is not field:type"),
        ("user_id:token\titem_id:token\titem_id:token\nu\tx\tx\n", "column 3: field 'item_id' is there twice"),
        ("user_id:float\titem_id:token\n1\tx\n", "field 'user_id' has type float, but must be user_id:token"),
        ("user_id:token\titem_id:token\ttimestamp:token\nu\tx\t1\n", "must be timestamp:float"),
        (HEADER + "u\tx\t1\nu\tx\n", "line 3: 2 fields where the header has 3"),
        (HEADER + "u\tx\t1\textra\nu\tx\t1\n", "line 2: 4 fields where the header has 3"),
        (HEADER + "u\tx\t1\nu\tx\t1\textra\n", "line 3: 4 fields where the header has 3"),
        (HEADER + "u\tx\t1\n\nu\tx\t1\n", "line 3: 1 field where the header has 3"),
        (HEADER + "u\tx\t1\n\tx\t1\n", "line 3: field 'user_id' is empty"),
        (HEADER + "u\t \t1\n", "line 2: field 'item_id' is empty"),
        (HEADER + "u\tx\t1\nu\tx\t\n", "line 3: field 'timestamp' is empty"),
        (HEADER + "u\tx\tnan\n", "line 2: field 'timestamp' holds 'nan', not a finite number"),
        (HEADER + "u\tx\tinf\n", "line 2: field 'timestamp' holds 'inf', not a finite number"),
        (HEADER + "u\tx\t1\nu\tx\tMonday\n", "line 3: field 'timestamp' holds 'Monday'"),
        (HEADER + "u\tx\t-1\n", "line 2: field 'timestamp' is negative"),
        (HEADER + "u\tx\t1e18\n", "line 2: field 'timestamp' is too large"),
        ((HEADER + "u\tx\t1\nu\tcafé\t1\n").encode("latin1"), "line 3: byte 0xe9 is not UTF-8; .*iconv"),
    ],
)
def test_malformed_events_are_one_clear_line(write, content, message):
    with pytest.raises(BenchError, match=message) as raised:
        read_events(write, content)
    assert "toy.inter" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_missing_file(tmp_path):
    with pytest.raises(BenchError, match=r"toy\.inter does not exist"):
        read_atomic_dataset(tmp_path, "toy")


def test_an_item_described_twice(write):
    write("item", "item_id:token\ttitle:token\nx\tA\ny\tB\nx\tC\n")
    with pytest.raises(BenchError, match=r"toy\.item, line 4: item 'x' is already described in line 2"):
        read_events(write, HEADER + "u\tx\t1\n")
