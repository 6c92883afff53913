"""What a time is in any table, and what is said of times that are hardly right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_tables import HEADER, items, seconds, write

from bench.data.data_files import DataFiles
from bench.data.sources.own import load_own
from bench.data.sources.tables import Reading, read_events
from bench.errors import BenchError


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([10**9] * 5 + [10**12] * 5, "row 7, column 'time': holds 1000000000000, one of 5 times that look like milli"),
        ([10**9] * 9 + [4_200_000_000], "row 11, .*holds 4200000000, which lies after the year 2100"),
        ([10**16 + 3 * 10**15] * 3, "row 2, .*as microseconds since 1970 2381-12-.*--time-format"),
        (["2020-01-01"] * 9 + ["2222-01-01"], "row 11, .*holds '2222-01-01', which lies after the year 2100"),
        (["2020-01-01"] * 9 + ["today"], "row 11, .*holds 'today', neither a number nor a date"),
        ([20200101] * 9 + [20201301], "row 11, .*holds 20201301, no date of the form YYYYMMDD"),
        ([20200101] * 9 + [20201301] * 2, "row 11, .*holds 20201301, no date of the form YYYYMMDD"),
    ],
)
def test_times_that_are_none_are_named_by_row(tmp_path: Path, cells: list[object], message: str) -> None:
    content = HEADER + "".join(f"u,{place},{cell}\n" for place, cell in enumerate(cells))
    with pytest.raises(BenchError, match=message):
        read_events(write(tmp_path, content))


@pytest.mark.parametrize(
    ("cell", "moment"),
    [
        ("2018", "2018-01-01"),
        ("201805", "2018-05-01"),
        ("20180511", "2018-05-11"),
        ("2018051113", "2018-05-11 13:00"),
        ("201805111330", "2018-05-11 13:30"),
        ("20180511133059", "2018-05-11 13:30:59"),
        ("20180511.0", "2018-05-11"),
        ("1526045459", "2018-05-11 13:30:59"),
        ("1526045459000", "2018-05-11 13:30:59"),
        ("2018-05-11 13:30:59 UTC", "2018-05-11 13:30:59"),
        ("2018-05-11T15:30:59+02:00", "2018-05-11 13:30:59"),
    ],
)
def test_ways_to_write_a_time(tmp_path: Path, cell: str, moment: str) -> None:
    log = read_events(write(tmp_path, f"{HEADER}u,a,{cell}\nu,b,{cell}\n"))
    assert seconds(log) == [int(pd.Timestamp(moment, tz="UTC").timestamp())] * 2


def test_a_time_without_zone_is_utc_whatever_stands_above_it(tmp_path: Path) -> None:
    log = read_events(
        write(tmp_path, HEADER + "u,a,2020-01-01T02:00:00+02:00\nu,b,2020-01-01 00:00:00\nu,c,2020-01-01\n")
    )
    assert seconds(log) == [1_577_836_800] * 3
    assert "2 of 3 times name no zone and are taken for UTC" in log.notes


def test_other_forms_of_time_are_given(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER + "u,a,31.05.2020\nu,b,01.06.2020\n")
    with pytest.raises(BenchError, match=r"holds '31.05.2020', neither a number nor a date .*--time-format"):
        read_events(path)
    assert seconds(read_events(path, reading=Reading(time_format="%d.%m.%Y")))[0] == 1_590_883_200
    with pytest.raises(BenchError, match="holds no time of the form --time-format '%H'"):
        read_events(path, reading=Reading(time_format="%H"))


def test_an_order_in_words_is_refused_without_a_hint_at_what_an_order_can_not_have(tmp_path: Path) -> None:
    path = write(tmp_path, "user,item,turn\nu,a,first\nu,b,second\n")
    with pytest.raises(BenchError, match=r"holds 'first', neither a number nor a date as in [-0-9]+ [:0-9]+; mend it"):
        read_events(path, order="turn")


def test_times_long_before_the_others_are_said(tmp_path: Path) -> None:
    log = read_events(write(tmp_path, HEADER + "".join(f"u,{n},{n and 10**9 + n}\n" for n in range(9))))
    assert "1 rows hold a time before 1980 (the first: 0, 1970-01-01), unlike the others (row 2)" in log.notes


@pytest.mark.parametrize(
    ("first", "counted"),
    [
        ("133800000000000000", ": read as nanoseconds since 1970"),  # Windows counts from 1601, in hundreds of them
        ("200000000", ": read as seconds since 1970"),
        ("1974-05-01T00:00:00", ""),
    ],
)
def test_times_most_of_which_lie_long_ago_are_said_in_whatever_form(tmp_path: Path, first: str, counted: str) -> None:
    times = [first if "-" in first else str(int(first) + n) for n in range(9)]
    log = read_events(write(tmp_path, HEADER + "".join(f"u,{n},{time}\n" for n, time in enumerate(times))))
    (note,) = (note for note in log.notes if "before 1980" in note)
    assert f"{counted}; if they only give an order, name their column with --order" in note


def test_seconds_that_were_taken_for_nanoseconds_are_said(tmp_path: Path) -> None:
    path = tmp_path / "events.parquet"
    times = pd.to_datetime([1_600_000_000 + n for n in range(9)])  # pandas counts bare numbers in nanoseconds
    pd.DataFrame({"user": ["u"] * 9, "item": range(9), "time": times}).to_parquet(path)
    assert any("the median on 1970-01-01): read as" in note for note in read_events(path).notes)


def test_times_that_lost_digits_are_none(tmp_path: Path) -> None:
    times = ["1600000000000", "1.60015E+12", "1600000001000", "1600000002000"]
    path = write(tmp_path, HEADER + "".join(f"u,a,{time}\n" for time in times))
    with pytest.raises(BenchError, match=r"row 3, column 'time': holds 1.60015E\+12, a number that lost digits"):
        read_events(path)
    log = read_events(path, reading=Reading(drop_bad_times=True))
    assert seconds(log) == [1_600_000_000, 1_600_000_001, 1_600_000_002]
    atomic = "user_id:token\titem_id:token\ttimestamp:float\n" + "".join(f"u\ta\t{time}\n" for time in times)
    with pytest.raises(
        BenchError, match=r"toy.inter, line 3: field 'timestamp' holds 1.60015E\+12, a number that lost"
    ):
        load_own("x", DataFiles(path=str(write(tmp_path, atomic, "toy.inter"))))


def test_floats_of_32_bits_are_no_times_since_1970(tmp_path: Path) -> None:
    path = tmp_path / "toy.parquet"
    times = np.array([1_600_000_000, 1_600_000_001], np.float32)
    pq.write_table(pa.table({"user": ["u", "u"], "item": ["a", "b"], "time": times}), path)
    with pytest.raises(BenchError, match=r"row 1, column 'time': holds 1600000000.0, too large for a float of 32 bits"):
        read_events(path)
    times = np.array([2, 1], np.float32)
    pq.write_table(pa.table({"user": ["u", "u"], "item": ["a", "b"], "at": times}), path)
    assert items(read_events(path, order="at")) == ["b", "a"]
