"""Atomic files: what is read is what stands in the file, in whatever state it is found."""

from __future__ import annotations

from pathlib import Path

import pytest
from as_found import CASES, DAY, ROWS, START, atomic, history, load, notes_of, refusal, targets, write

from bench.data.protocols import split
from bench.errors import BenchError

HEADER_WITH_DATES = "user_id:token\titem_id:token\tdate:token"


def test_a_time_field_of_another_name_orders_the_events() -> None:
    dataset = load(CASES / "atomic-time-field" / "book")
    assert history(dataset, "r1") == ["b1", "b2", "b3", "b4", "b5"]
    parts = split(dataset, "leave-one-out")
    assert (targets(dataset, parts.test)["r1"], targets(dataset, parts.validation)["r1"]) == ("b5", "b4")
    assert dataset.has_time
    assert "time is 'time' (read as seconds); not used: 'rating'" in notes_of(dataset)


@pytest.mark.parametrize(
    ("field", "write_time", "words"),
    [
        ("time:float", lambda day: str(START + day * DAY), "seconds"),
        ("unix:float", lambda day: str(START + day * DAY), "seconds"),
        ("when:float", lambda day: f"{START + day * DAY}.5", "seconds"),
        ("x:float", lambda day: str((START + day * DAY) * 1000), "milliseconds"),
        ("timestamp:float", lambda day: str((START + day * DAY) * 10**9 + day), "nanoseconds"),
        ("timestamp:token", lambda day: str(START + day * DAY), "seconds"),
        ("date:token", lambda day: f"2020-05-{day:02}", "dates"),
        ("date:token_seq", lambda day: f"2020-05-{day:02} 10:00:00", "dates"),
        ("date:float", lambda day: f"202005{day:02}", "dates as in YYYYMMDD"),
        ("created_at:token", lambda day: f"202005{day:02}101500", "dates as in YYYYMMDDHHMMSS"),
        ("Time:float", lambda day: str(day), "seconds"),
    ],
)
def test_a_time_is_known_by_its_name_and_its_values(tmp_path: Path, field, write_time, words) -> None:
    lines = [f"{user}\t{item}\t4.0\t{write_time(day)}" for user, item, day in ROWS]
    path = atomic(tmp_path / "toy.inter", f"user_id:token\titem_id:token\trating:float\t{field}", lines)
    dataset = load(path)
    assert (history(dataset, "u"), history(dataset, "v")) == (["a", "b", "c"], ["a", "b"])
    assert f"time is '{field.split(':')[0]}' (read as {words}); not used: 'rating'" in notes_of(dataset)


@pytest.mark.parametrize(
    ("fields", "cells", "message"),
    [
        ("made:float\tsold:float", ["1600000000\t1600000001"] * 5, "'made' and 'sold' may each be the time"),
        ("unix:float", ["7", "6", "5", "4", "3"], "field 'unix' may be the time of the events; name the right one"),
        ("place:float", ["7", "6", "5", "4", "3"], "field 'place' may be the time"),
        ("date:token", ["Mon", "Tue", "Wed", "Thu", "Fri"], "line 2: field 'date' holds 'Mon', neither a number nor a"),
        ("timestamp:float", ["x"] * 5, "line 2: field 'timestamp' holds 'x', .* or give --time none"),
    ],
)
def test_an_order_is_never_made_up(tmp_path: Path, fields: str, cells: list[str], message: str) -> None:
    lines = [f"{user}\t{item}\t{cell}" for (user, item, _), cell in zip(ROWS, cells, strict=True)]
    path = atomic(tmp_path / "toy.inter", f"user_id:token\titem_id:token\t{fields}", lines)
    with pytest.raises(BenchError, match=message):
        load(path)
    dataset = load(path, time="none")
    assert (history(dataset, "u"), dataset.has_time) == (["c", "b", "a"], False)


def test_what_can_be_no_time_leaves_the_order_of_the_rows(tmp_path: Path) -> None:
    lines = [f"{user}\t{item}\t{day}\t{day / 10}" for user, item, day in ROWS]
    dataset = load(atomic(tmp_path / "toy.inter", "user_id:token\titem_id:token\trating:float\tprice:float", lines))
    assert (history(dataset, "u"), dataset.has_time) == (["c", "b", "a"], False)
    assert "no time: the order of the rows is that of the events; not used: 'rating', 'price'" in notes_of(dataset)


def test_one_cell_that_is_no_date_does_not_make_seconds_of_dates(tmp_path: Path) -> None:
    lines = [f"u\ti{day}\t202005{day:02}" for day in range(1, 10)]
    path = atomic(tmp_path / "toy.inter", "user_id:token\titem_id:token\tdate:token", [*lines, "u\tx\t20201399"])
    assert "line 11: field 'date' holds 20201399, which is no date as in YYYYMMDD" in refusal(path)
    assert load(path, incomplete="drop").interactions.timestamps[0] == 1_588_291_200


def test_today_is_no_date(tmp_path: Path) -> None:
    path = atomic(tmp_path / "toy.inter", HEADER_WITH_DATES, ["u\ta\t2020-05-01", "u\tb\t2020-05-02", "u\tc\ttoday"])
    assert "line 4: field 'date' holds 'today', neither a number nor a date" in refusal(path)


def test_a_time_without_a_zone_has_not_that_of_the_time_before_it(tmp_path: Path) -> None:
    dates = ["2020-05-01 10:00:00+08:00", "2020-05-01 10:00:00", "2020-05-01 10:00:00 UTC"]
    path = atomic(tmp_path / "toy.inter", HEADER_WITH_DATES, [f"u\ti{n}\t{date}" for n, date in enumerate(dates)])
    assert load(path).interactions.timestamps.tolist() == [1_588_298_400, 1_588_327_200, 1_588_327_200]


def test_a_date_before_1970_is_named(tmp_path: Path) -> None:
    lines = [f"u\ti{day}\t202005{day:02}" for day in range(1, 10)]
    path = atomic(tmp_path / "toy.inter", HEADER_WITH_DATES, [*lines, "u\tx\t19691231"])
    assert "line 11: field 'date' holds 19691231, a date before 1970" in refusal(path)


def test_days_and_hours_in_two_fields_are_not_ordered_by_the_day_alone(tmp_path: Path) -> None:
    header = "user_id:token\titem_id:token\tdate:token\ttime:token"
    path = atomic(tmp_path / "toy.inter", header, ["u\tb\t2020-01-01\t10:00:00", "u\ta\t2020-01-01\t09:00:00"])
    assert "field 'date' holds days and 'time' the time of day; write both into one field" in refusal(path)
    assert history(load(path, time="date"), "u") == ["b", "a"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("toy.inter", "user_id:token\titem_id:token\nu\ta\0b\nu\tb\n", "line 2: a NUL character"),
        ("toy.jsonl", '{"user": "a\\u0000", "item": "b", "ts": 5}\n', r"the id 'a\x00' holds a NUL character"),
        ("toy.jsonl", '{"user": "a\\ud800", "item": "b", "ts": 5}\n', r"the id 'a\ud800' holds .* half a letter"),
        ("toy.txt", "a b\0\na c\n", "holds a NUL character"),
    ],
)
def test_ids_that_would_be_cut_are_refused(tmp_path: Path, name: str, content: str, message: str) -> None:
    with pytest.raises(BenchError) as caught:
        load(write(tmp_path / name, content))
    assert message.split(" .* ")[-1] in str(caught.value)


def test_a_file_that_is_only_called_like_a_part_is_read(tmp_path: Path) -> None:
    lines = [f"{user}\t{item}\t{day}" for user, item, day in ROWS]
    path = atomic(tmp_path / "my-test" / "my-test.inter", "user_id:token\titem_id:token\ttimestamp:float", lines)
    write(path.with_suffix(".item"), "item_id:token\ttitle:token_seq\nb\tBee\n")
    for place in (path, path.parent):
        dataset = load(place)
        assert dataset.item_table.columns["title"].tolist() == ["Bee", "", ""]
        assert "called like the test part of a split, of which no other part is here" in notes_of(dataset)


def test_users_and_items_of_other_names(tmp_path: Path) -> None:
    lines = [f"{item}\t{user}\t{day}" for user, item, day in ROWS]
    path = atomic(tmp_path / "toy.inter", "video_id:token\tsession_id:token\ttimestamp:float", lines)
    write(tmp_path / "toy.item", "video_id:token\ttitle:token_seq\nb\tBee\n")
    dataset = load(path)
    assert history(dataset, "u") == ["a", "b", "c"]
    assert dataset.item_table.columns["title"].tolist() == ["Bee", "", ""]
    assert "user is 'session_id', item is 'video_id'" in notes_of(dataset)
    odd = atomic(tmp_path / "odd" / "odd.inter", "what:token\twho:token\ttimestamp:float", lines)
    assert "no field that is plainly the user; rename it, or name it with --user (fields: what:token" in refusal(odd)
    assert history(load(odd, user="who", item="what"), "u") == ["a", "b", "c"]
    assert "has no field 'wo' (--user)" in refusal(odd, user="wo", item="what")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("u\t\t5", "line 4: field 'item_id' is empty"),
        ("u\tx\t", "line 4: field 'timestamp' is empty"),
        ("u\tx\t-5", "line 4: field 'timestamp' holds -5, a negative time"),
        ("u\tx\t16", "line 4: field 'timestamp' holds 16, far away from all other times"),
        ("u\tx\tsoon", "line 4: field 'timestamp' holds 'soon', not a finite number"),
        ("u\tx", "line 4: 2 fields where the header has 3"),
        ("", "line 4: 1 field where the header has 3"),
    ],
)
def test_a_bad_line_of_an_atomic_file_is_named_and_can_be_left_out(tmp_path: Path, line: str, message: str) -> None:
    lines = [f"{user}\t{item}\t{START + day}" for user, item, day in ROWS]
    content = ["user_id:token\titem_id:token\ttimestamp:float", *lines[:2], line, *lines[2:]]
    path = write(tmp_path / "toy.inter", "\ufeff" + "\r\n".join(content) + "\r\n")
    assert message in refusal(path)
    dataset = load(path, incomplete="drop")
    assert (history(dataset, "u"), history(dataset, "v")) == (["a", "b", "c"], ["a", "b"])
    assert "1 of 6 lines can't be used and are left out (--incomplete drop)" in notes_of(dataset)
    assert message in notes_of(dataset)


def test_equal_rows_are_counted_and_left_out_on_request(tmp_path: Path) -> None:
    lines = [f"{user}\t{item}\t{START + day}" for user, item, day in [*ROWS, ROWS[1]]]
    path = atomic(tmp_path / "toy.inter", "user_id:token\titem_id:token\ttimestamp:float", lines)
    kept, dropped = load(path), load(path, duplicates="drop")
    assert (history(kept, "u"), history(dropped, "u")) == (["a", "b", "b", "c"], ["a", "b", "c"])
    assert "1 rows equal an earlier one in user, item and time; kept" in notes_of(kept)
    assert "1 rows equal an earlier one in user, item and time; left out" in notes_of(dropped)
    assert "--duplicates drop needs a time" in refusal(path, duplicates="drop", time="none")


def test_one_id_is_one_id_however_it_is_written(tmp_path: Path) -> None:
    lines = ["1\t7\t1", "1\t 7\t2", "1\t7.0\t3", "2\t8\t4", "2\tNA\t5"]
    path = atomic(tmp_path / "toy.inter", "user_id:token\titem_id:token\ttimestamp:float", lines)
    write(tmp_path / "toy.item", 'item_id:token\ttitle:token\n7.0\t"Seven\n8\tnull\n')
    dataset = load(path)
    assert dataset.item_ids.tolist() == ["7", "8", "NA"]
    assert history(dataset, "1") == ["7", "7", "7"]
    assert dataset.item_table.columns["title"].tolist() == ['"Seven', "null", ""]
    assert "2 items are written as in ' 7' and read as '7'; 2 of them are then one with another" in notes_of(dataset)
    assert "'NA' among the items is taken for an id, though programs write it for a missing value" in notes_of(dataset)


def test_what_lies_beside_and_is_not_read_is_said(tmp_path: Path) -> None:
    lines = [f"{user}\t{item}\t{day}" for user, item, day in ROWS]
    for name in ("toy.inter", "toy.train.inter", "toy.user"):
        atomic(tmp_path / "toy" / name, "user_id:token\titem_id:token\ttimestamp:float", lines)
    assert "not read: toy.user, toy.train.inter" in notes_of(load(tmp_path / "toy"))
