"""Every trap of a table of events is a clear line with the file and the place, or a counted exclusion."""

from __future__ import annotations

import gzip
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench.data.events import EventLog
from bench.data.sources.tables import read_events
from bench.errors import BenchError

HEADER = "user,item,time\n"


def write(folder: Path, content: str | bytes, name: str = "toy.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def events(log: EventLog) -> list[tuple[str, str, float | None]]:
    times = [None] * len(log) if log.times is None else (log.times / log.ticks).tolist()
    return list(zip(log.user_ids[log.users].tolist(), log.item_ids[log.items].tolist(), times, strict=True))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty; its first row must name the columns"),
        ("\n\n", "is empty"),
        (HEADER, "holds column names and no rows"),
        ("user,time\nu,1\n", "no column that is plainly the item; name it with --item .*'user', 'time'"),
        ("user,item\nu,a\n", "--time none where the order of the rows"),
        ("uid,customer,item,time\n1,1,1,1\n", "several columns that may be the user; name it with --user"),
        ("user,user,item,time\nu,u,a,1\n", "column 'user' is there twice"),
        (HEADER + "u,a,1\nu,,2\n", r"toy.csv, row 3, column 'item': is empty"),
        (HEADER + "u,a,1\n  ,b,2\n", r"row 3, column 'user': is empty"),
        (HEADER + "u,a,1\nu,b,\n", r"row 3, column 'time': is empty"),
        (HEADER + "u,a,1\nu,b,-1\n", "row 3, column 'time': holds -1, a negative time"),
        (HEADER + "u,a,1\nu,b,inf\n", "row 3, column 'time': holds inf, not a finite number"),
        (HEADER + "u,a,1\nu,b,soon\n", "row 3, column 'time': holds 'soon', not a number"),
        (HEADER + "u,a,2024-01-01\nu,b,soon\nu,c,2024-01-03\n", "row 3, column 'time': holds 'soon', neither a number"),
        (HEADER + "u,a,1969-07-20\nu,b,1970-01-02\n", "row 2, column 'time': holds '1969-07-20', a time before 1970"),
        (HEADER + "u,a,1\nu,b\n", "row 3: Expected 3 columns, got 2"),
        (HEADER + "u,a,1\nu,b,c,2\n", "row 3: Expected 3 columns, got 4"),
        ((HEADER + "u,a,1\nü,b,2\n").encode("latin-1"), "row 3 is not UTF-8; convert the file, e.g. `iconv"),
        ("usér,item,time\nu,a,1\n".encode("latin-1"), "toy.csv is not UTF-8"),
    ],
)
def test_a_table_that_cannot_be_used_is_one_line_with_the_place(
    tmp_path: Path, content: str | bytes, message: str
) -> None:
    with pytest.raises(BenchError, match=message) as caught:
        read_events(write(tmp_path, content))
    assert "toy.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_parquet_file_that_is_none_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"toy.parquet is no readable parquet file"):
        read_events(write(tmp_path, b"PAR1 and nothing more", "toy.parquet"))


@pytest.mark.parametrize(
    ("header", "usual"), [("user_id,itemId,Timestamp", True), ("uid,movie_id,date", True), ("a,b,c", False)]
)
def test_columns_are_found_by_usual_names_or_as_told(tmp_path: Path, header: str, usual: bool) -> None:
    path = write(tmp_path, f"{header}\nu,x,7\n")
    log = read_events(path) if usual else read_events(path, user="a", item="b", time="c")
    assert events(log) == [("u", "x", 7)]
    with pytest.raises(BenchError, match=r"has no column 'reader' \(--user\); it has '"):
        read_events(path, user="reader")


def test_bom_windows_line_ends_quotes_gzip_and_tabs_are_accepted(tmp_path: Path) -> None:
    quoted = "\ufeff" + HEADER.replace("\n", "\r\n") + '"u, v","a\nb",1\r\n'
    assert events(read_events(write(tmp_path, quoted))) == [("u, v", "a\nb", 1)]
    packed = gzip.compress((HEADER + "u,a,1\n").encode())
    assert events(read_events(write(tmp_path, packed, "toy.csv.gz"))) == [("u", "a", 1)]
    tabs = HEADER.replace(",", "\t") + "u,v\ta\t1\n"
    assert events(read_events(write(tmp_path, tabs, "toy.tsv"))) == [("u,v", "a", 1)]


def test_words_that_pandas_takes_for_missing_are_ids(tmp_path: Path) -> None:
    assert events(read_events(write(tmp_path, HEADER + "NA,null,1\nNone,N/A,2\n"))) == [
        ("NA", "null", 1),
        ("None", "N/A", 2),
    ]


def test_one_id_is_the_same_in_any_type(tmp_path: Path) -> None:
    for values in ([7, 10], [7.0, 10.0], ["7", "10"]):
        path = tmp_path / "toy.parquet"
        pd.DataFrame({"user": values, "item": values, "time": [1, 2]}).to_parquet(path)
        assert events(read_events(path)) == [("7", "7", 1), ("10", "10", 2)]
    categories = pd.DataFrame({"user": ["u", "v"], "item": ["a", "a"], "time": [1, 2]}, dtype="category")
    categories.astype({"time": int}).to_parquet(path)
    assert events(read_events(path)) == [("u", "a", 1), ("v", "a", 2)]


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("user", [1.5, 2.0], "row 1, column 'user': holds 1.5, which is no id"),
        ("user", [1.0, None], "row 2, column 'user': is empty"),
        ("item", [["a"], ["b"]], "column 'item' holds list.*; ids are text or whole numbers"),
        ("time", [1.0, float("nan")], "row 2, column 'time': is empty"),
        ("time", [True, False], "column 'time' holds bool; times are numbers, text or timestamps"),
    ],
)
def test_parquet_columns_of_the_wrong_type_are_an_error(
    tmp_path: Path, column: str, values: list[object], message: str
) -> None:
    table = {"user": ["u", "v"], "item": ["a", "b"], "time": [1, 2], column: values}
    pq.write_table(pa.table(table), tmp_path / "toy.parquet")
    with pytest.raises(BenchError, match=message):
        read_events(tmp_path / "toy.parquet")


SECOND = 1_500_000_000


@pytest.mark.parametrize(("ticks", "unit"), [(1, ""), (10**3, "milli"), (10**6, "micro"), (10**9, "nano")])
def test_units_of_time_are_told_apart_by_their_size(tmp_path: Path, ticks: int, unit: str) -> None:
    path = write(tmp_path, f"{HEADER}u,a,{SECOND * ticks + ticks // 2}\nu,b,{SECOND * ticks}\n")
    log = read_events(path)
    assert log.ticks == ticks
    assert log.times is not None
    assert (log.times // log.ticks).tolist() == [SECOND, SECOND]
    assert (log.times[0] > log.times[1]) == (ticks > 1)
    assert any(f"times are read as {unit}" in note for note in log.notes) == (ticks > 1)


def test_dates_and_times_in_words_and_in_parquet_are_utc_seconds(tmp_path: Path) -> None:
    words = ["2020-01-01", "2020-01-01 00:00:01", "2020-01-01T02:00:02+02:00", "2020-01-01T00:00:03.5Z"]
    start = int(datetime(2020, 1, 1, tzinfo=timezone.utc).timestamp())
    expected = [start, start + 1, start + 2, start + 3.5]
    text = read_events(write(tmp_path, HEADER + "".join(f"u,a,{word}\n" for word in words)))
    assert [time for _, _, time in events(text)] == expected
    stamps = pd.to_datetime(pd.Series(words), format="ISO8601", utc=True)
    for column in (stamps, stamps.dt.tz_localize(None), stamps.astype("datetime64[ms, UTC]")):
        pd.DataFrame({"user": "u", "item": "a", "time": column}).to_parquet(tmp_path / "toy.parquet")
        assert [time for _, _, time in events(read_events(tmp_path / "toy.parquet"))] == expected
    pq.write_table(
        pa.table({"user": ["u"], "item": ["a"], "time": pa.array([datetime(2020, 1, 1).date()])}),
        tmp_path / "toy.parquet",
    )
    assert events(read_events(tmp_path / "toy.parquet")) == [("u", "a", start)]


def test_incomplete_rows_are_left_out_and_counted_on_request(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER + "u,a,1\n,b,2\nu, ,3\nu,c,NaN\nu,d,5\n")
    log = read_events(path, drop_incomplete=True)
    assert events(log) == [("u", "a", 1), ("u", "d", 5)]
    assert "3 of 5 rows without user, item or time are left out" in log.notes
    with pytest.raises(BenchError, match="every row lacks"):
        read_events(write(tmp_path, HEADER + "u,a,\n"), drop_incomplete=True)


def test_equal_rows_are_counted_and_kept_or_left_out(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER + "u,a,1\nu,a,1\nu,a,2\nv,a,1\nu,a,1\n")
    kept = read_events(path)
    assert len(kept) == 5
    assert any(note.startswith("2 rows equal an earlier one in user, item and time; kept") for note in kept.notes)
    dropped = read_events(path, drop_duplicates=True)
    assert events(dropped) == [("u", "a", 1), ("u", "a", 2), ("v", "a", 1)]
    assert "2 rows equal an earlier one in user, item and time; left out" in dropped.notes


def test_data_without_time_are_in_row_order_or_in_that_of_a_column(tmp_path: Path) -> None:
    path = write(tmp_path, "user,item,place\nu,a,2\nv,b,1\nu,c,1\nu,a,2\n")
    rows = read_events(path, time="none")
    assert events(rows) == [("u", "a", None), ("v", "b", None), ("u", "c", None), ("u", "a", None)]
    ordered = read_events(path, order="place")
    assert events(ordered) == [("u", "c", None), ("u", "a", None), ("u", "a", None), ("v", "b", None)]
    assert "the order of events is 'place', without time" in ordered.notes[0]
    with pytest.raises(BenchError, match="--time and --order exclude each other"):
        read_events(path, time="place", order="place")


def test_a_large_shuffled_table_is_read_as_pandas_reads_it(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "user": random.integers(0, 50, 5000).astype(str),
            "item": [f"é{number}" for number in random.integers(0, 70, 5000)],
            "time": random.integers(0, 10**9, 5000),
        }
    )
    frame.to_csv(tmp_path / "toy.csv", index=False)
    assert events(read_events(tmp_path / "toy.csv")) == list(frame.itertuples(index=False, name=None))
