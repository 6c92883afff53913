"""What is read is what stands in the file: small files of every known format in the states in which they are found."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from bench.data.data_files import DataFiles
from bench.data.dataset import Dataset
from bench.data.protocols import Queries, split
from bench.data.sources.own import load_own
from bench.errors import BenchError

CASES = Path(__file__).parent / "cases"


def load(path: Path, **options: object) -> Dataset:
    return load_own("toy", DataFiles.model_validate({"path": str(path), **options}))


def history(dataset: Dataset, user: str) -> list[str]:
    row = dataset.interactions.row(dataset.user_ids.tolist().index(user))
    return dataset.item_ids[dataset.interactions.items[row]].tolist()


def targets(dataset: Dataset, queries: Queries) -> dict[str, str]:
    return {
        str(dataset.user_ids[user]): str(dataset.item_ids[item])
        for user, item in zip(queries.users, queries.targets, strict=True)
    }


def said(dataset: Dataset) -> str:
    return " | ".join(dataset.filters)


def refusal(path: Path, **options: object) -> str:
    with pytest.raises(BenchError) as caught:
        load(path, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


# ---------------------------------------------------------------------------------------------- atomic files


def test_a_time_field_of_another_name_orders_the_events() -> None:
    dataset = load(CASES / "atomic-time-field" / "book")
    assert history(dataset, "r1") == ["b1", "b2", "b3", "b4", "b5"]
    parts = split(dataset, "leave-one-out")
    assert (targets(dataset, parts.test)["r1"], targets(dataset, parts.validation)["r1"]) == ("b5", "b4")
    assert dataset.has_time
    assert "time is 'time' (read as seconds); not used: 'rating'" in said(dataset)


ROWS = [("u", "c", 3), ("u", "b", 2), ("u", "a", 1), ("v", "b", 5), ("v", "a", 4)]
DAY = 86_400
START = 1_600_000_000


def atomic(path: Path, header: str, lines: list[str]) -> Path:
    return write(path, "\n".join([header, *lines]) + "\n")


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
    assert f"time is '{field.split(':')[0]}' (read as {words}); not used: 'rating'" in said(dataset)


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
    assert "no time: the order of the rows is that of the events; not used: 'rating', 'price'" in said(dataset)


def test_one_cell_that_is_no_date_does_not_make_seconds_of_dates(tmp_path: Path) -> None:
    lines = [f"u\ti{day}\t202005{day:02}" for day in range(1, 10)]
    path = atomic(tmp_path / "toy.inter", "user_id:token\titem_id:token\tdate:token", [*lines, "u\tx\t20201399"])
    assert "line 11: field 'date' holds 20201399, which is no date as in YYYYMMDD" in refusal(path)
    assert load(path, incomplete="drop").interactions.timestamps[0] == 1_588_291_200


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
        assert "called like the test part of a split, of which no other part is here" in said(dataset)


def test_users_and_items_of_other_names(tmp_path: Path) -> None:
    lines = [f"{item}\t{user}\t{day}" for user, item, day in ROWS]
    path = atomic(tmp_path / "toy.inter", "video_id:token\tsession_id:token\ttimestamp:float", lines)
    write(tmp_path / "toy.item", "video_id:token\ttitle:token_seq\nb\tBee\n")
    dataset = load(path)
    assert history(dataset, "u") == ["a", "b", "c"]
    assert dataset.item_table.columns["title"].tolist() == ["Bee", "", ""]
    assert "user is 'session_id', item is 'video_id'" in said(dataset)
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
    assert "1 of 6 lines can't be used and are left out (--incomplete drop)" in said(dataset)
    assert message in said(dataset)


def test_equal_rows_are_counted_and_left_out_on_request(tmp_path: Path) -> None:
    lines = [f"{user}\t{item}\t{START + day}" for user, item, day in [*ROWS, ROWS[1]]]
    path = atomic(tmp_path / "toy.inter", "user_id:token\titem_id:token\ttimestamp:float", lines)
    kept, dropped = load(path), load(path, duplicates="drop")
    assert (history(kept, "u"), history(dropped, "u")) == (["a", "b", "b", "c"], ["a", "b", "c"])
    assert "1 rows equal an earlier one in user, item and time; kept" in said(kept)
    assert "1 rows equal an earlier one in user, item and time; left out" in said(dropped)
    assert "--duplicates drop needs a time" in refusal(path, duplicates="drop", time="none")


def test_one_id_is_one_id_however_it_is_written(tmp_path: Path) -> None:
    lines = ["1\t7\t1", "1\t 7\t2", "1\t7.0\t3", "2\t8\t4", "2\tNA\t5"]
    path = atomic(tmp_path / "toy.inter", "user_id:token\titem_id:token\ttimestamp:float", lines)
    write(tmp_path / "toy.item", 'item_id:token\ttitle:token\n7.0\t"Seven\n8\tnull\n')
    dataset = load(path)
    assert dataset.item_ids.tolist() == ["7", "8", "NA"]
    assert history(dataset, "1") == ["7", "7", "7"]
    assert dataset.item_table.columns["title"].tolist() == ['"Seven', "null", ""]
    assert "2 items are written as in ' 7' and read as '7'; 2 of them are then one with another" in said(dataset)
    assert "'NA' among the items is taken for an id, though programs write it for a missing value" in said(dataset)


def test_what_lies_beside_and_is_not_read_is_said(tmp_path: Path) -> None:
    lines = [f"{user}\t{item}\t{day}" for user, item, day in ROWS]
    for name in ("toy.inter", "toy.train.inter", "toy.user"):
        atomic(tmp_path / "toy" / name, "user_id:token\titem_id:token\ttimestamp:float", lines)
    assert "not read: toy.user, toy.train.inter" in said(load(tmp_path / "toy"))


# ---------------------------------------------------------------------------------------------- shipped splits


def test_the_parts_of_a_split_are_read_as_that_split() -> None:
    folder = CASES / "atomic-split-parts" / "seq"
    dataset = load(folder)
    assert history(dataset, "1") == ["2", "3", "4", "5", "6", "7", "8"]
    assert history(dataset, "5") == ["6", "7", "8", "1", "2", "3", "4"]
    parts = split(dataset, "shipped")
    assert targets(dataset, parts.test) == {"1": "8", "2": "1", "3": "2", "4": "3", "5": "4"}
    assert targets(dataset, parts.validation) == {"1": "7", "2": "8", "3": "1", "4": "2", "5": "3"}
    assert parts.train.interactions.lengths.tolist() == [5] * 5
    assert parts.test.ends.tolist() == [6] * 5
    assert "'0' in a history is padding" in said(dataset)
    assert not dataset.has_time


def test_a_part_by_itself_is_not_the_data() -> None:
    message = refusal(CASES / "atomic-split-parts" / "seq" / "seq.train.inter")
    assert "is the train part of a split, and not the whole data: seq.valid.inter, seq.test.inter lie beside" in message


PLAIN = "user_id:token\titem_id:token\ttimestamp:float"


def plain_parts(folder: Path, train: list[str], valid: list[str], test: list[str]) -> Path:
    for name, lines in (("train", train), ("valid", valid), ("test", test)):
        atomic(folder / f"toy.{name}.inter", PLAIN, lines)
    return folder


def test_parts_with_one_event_a_row_are_one_split(tmp_path: Path) -> None:
    train = ["u\tb\t2", "u\ta\t1", "v\tb\t1", "v\ta\t1"]
    folder = plain_parts(tmp_path, train, ["u\tc\t3", "v\tc\t2"], ["u\td\t4", "u\te\t5", "w\td\t9"])
    dataset = load(folder)
    assert history(dataset, "u") == ["a", "b", "c", "d", "e"]
    assert dataset.has_time
    parts = split(dataset, "shipped")
    asked = zip(parts.test.users.tolist(), parts.test.ends.tolist(), parts.test.targets.tolist(), strict=True)
    assert [(str(dataset.user_ids[u]), end, str(dataset.item_ids[i])) for u, end, i in asked] == [
        ("u", 3, "d"),
        ("u", 3, "e"),
    ]
    assert targets(dataset, parts.validation) == {"u": "c", "v": "c"}
    assert parts.train.interactions.lengths.tolist() == [2, 2, 0]
    assert "1 test targets of users without any event before them are no queries" in said(dataset)


def test_another_split_of_the_same_events_is_another_data_set(tmp_path: Path) -> None:
    train = ["u\tb\t1", "u\ta\t2"]
    one = load(plain_parts(tmp_path / "a", train, ["u\tc\t3", "u\td\t4"], ["u\te\t5"]))
    other = load(plain_parts(tmp_path / "b", train, ["u\tc\t3"], ["u\td\t4", "u\te\t5"]))
    assert one.interactions.items.tolist() == other.interactions.items.tolist()
    assert one.content_hash != other.content_hash


@pytest.mark.parametrize(
    ("part", "line", "message"),
    [
        ("test", "u\td\t1", "toy.test.inter, line 2: user 'u' has a later event in an earlier part"),
        ("valid", None, "but no valid part of this split"),
        ("test", "u\td", "toy.test.inter, line 2: 2 fields"),
    ],
)
def test_a_split_that_is_none_is_one_line(tmp_path: Path, part: str, line: str | None, message: str) -> None:
    folder = plain_parts(tmp_path, ["u\ta\t1", "u\tb\t2"], ["u\tc\t3"], ["u\td\t4"])
    path = folder / f"toy.{part}.inter"
    if line is None:
        path.unlink()
    else:
        atomic(path, PLAIN, [line])
    assert message in refusal(folder)


def test_samples_whose_histories_do_not_follow_one_another_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "seq"
    shutil.copytree(CASES / "atomic-split-parts" / "seq", folder)
    path = folder / "seq.test.inter"
    path.write_text(path.read_text().replace("5 6 7\n", "5 6 9\n", 1))
    assert "seq.test.inter, line 2: the history in its list is not what user '1' did" in refusal(folder)
    alone = write(tmp_path / "one" / "one.inter", path.read_text())
    assert "the field item_id_list says that its rows are samples" in refusal(alone)


@pytest.mark.parametrize("options", [{"min_user_events": 2}, {"baskets": True}, {"duplicates": "drop"}])
def test_nothing_changes_a_shipped_split(tmp_path: Path, options: dict[str, object]) -> None:
    folder = plain_parts(tmp_path, ["u\ta\t1", "u\tb\t2"], ["u\tc\t3"], ["u\td\t4"])
    assert "change" in refusal(folder, **options)


# ---------------------------------------------------------------------------------------------- JSON


def test_one_bad_review_is_named_and_can_be_left_out() -> None:
    path = CASES / "amazon-2023-negative-time" / "Electronics.jsonl"
    assert "Electronics.jsonl, line 8: timestamp is negative" in refusal(path)
    dataset = load(path, incomplete="drop")
    assert dataset.interactions.n_events == 20
    assert "1 of 21 lines can't be used and are left out (--incomplete drop); the first is line 8" in said(dataset)
    assert "Amazon's release of 2023" in said(dataset)


@pytest.mark.parametrize("folder", ["amazon-2018", "amazon-2018-called-2014"])
def test_the_release_of_2018_is_known_by_its_content(folder: str) -> None:
    name = "Video_Games_5.json" if folder == "amazon-2018" else "reviews_Video_Games_5.json"
    dataset = load(CASES / folder / name)
    interactions = dataset.interactions
    assert (interactions.n_users, interactions.n_items, interactions.n_events) == (5, 6, 25)
    assert targets(dataset, split(dataset, "leave-one-out").test)["U1"] == "P5"
    assert dataset.item_table.columns["title"].tolist() == [f"Game {number} & more" for number in range(6)]
    assert dataset.item_table.columns["categories"].tolist() == ["Video Games PC"] * 6
    assert dataset.item_table.category is not None
    assert dataset.item_table.category.tolist() == [0] * 6
    assert "Amazon's release of 2018" in said(dataset)
    assert "not used: overall, reviewText" in said(dataset)


GOOD = [json.dumps({"user_id": u, "parent_asin": i, "timestamp": (START + day) * 1000}) for u, i, day in ROWS]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (GOOD[0][:30], "line 3: no review with user_id, parent_asin and timestamp (JSONDecodeError"),
        ("[1]", "line 3: no review"),
        ('{"user_id": "u", "parent_asin": "x"}', "line 3: no review with .*KeyError: 'timestamp'"),
        (
            '{"user_id": null, "parent_asin": "x", "timestamp": 1}',
            "line 3: no review .*user_id holds null; ids are text",
        ),
        ('{"user_id": " ", "parent_asin": "x", "timestamp": 1}', "line 3: user_id is empty"),
        ('{"user_id": "u", "parent_asin": "x", "timestamp": -1}', "line 3: timestamp is negative"),
        ('{"user_id": "u", "parent_asin": "x", "timestamp": 1e400}', "line 3: no review"),
        ('{"user_id": "u", "parent_asin": "x", "timestamp": 1.5}', "line 3: no review .*a whole number since 1970"),
        ('{"user_id": "u", "parent_asin": "x", "timestamp": true}', "line 3: no review"),
        ('{"user_id": "u", "parent_asin": "x", "timestamp": 1600000000}', "line 3: timestamp is 1600000000, far away"),
        (f'{{"user_id": "u", "parent_asin": "x", "timestamp": 1{"0" * 40}}}', "line 3: timestamp is 10.* too large"),
        (GOOD[0].replace("{", '{"user_id": "w", '), "line 3: no review .*it has the key user_id twice"),
        (GOOD[0] + GOOD[1], "line 3: no review .*extra data"),
        ("[" * 5000, "line 3: no review"),
        (b"\xff", "line 3: it is not UTF-8"),
    ],
)
def test_a_bad_line_of_json_is_named_and_can_be_left_out(tmp_path: Path, line: str | bytes, message: str) -> None:
    bad = line.encode() if isinstance(line, str) else line
    good = [row.encode() for row in GOOD]
    path = write(tmp_path / "X.jsonl", b"\xef\xbb\xbf" + b"\r\n".join([*good[:2], bad, b"", *good[2:]]))
    with pytest.raises(BenchError, match=message.replace("(", r"\(")) as caught:
        load(path)
    assert "\n" not in str(caught.value)
    dataset = load(path, incomplete="drop")
    assert (history(dataset, "u"), history(dataset, "v")) == (["a", "b", "c"], ["a", "b"])
    assert "1 of 6 lines can't be used" in said(dataset)


def test_a_key_in_a_text_is_no_second_key(tmp_path: Path) -> None:
    rows = [json.dumps({**json.loads(row), "text": 'my "user_id": and\n "user_id"'}) for row in GOOD]
    assert load(write(tmp_path / "X.jsonl", "\n".join(rows))).interactions.n_events == 5


def test_other_json_needs_usual_names_or_options(tmp_path: Path) -> None:
    rows = [json.dumps({"session": u, "movieId": i, "ts": START + day, "z": 1}) for u, i, day in [*ROWS, ROWS[0]]]
    path = write(tmp_path / "log.jsonl", "\n".join(rows))
    dataset = load(path, duplicates="drop")
    assert history(dataset, "u") == ["a", "b", "c"]
    assert "keys: user is 'session', item is 'movieId', time is 'ts'; not used: z" in said(dataset)
    odd = write(tmp_path / "odd.jsonl", "\n".join(rows).replace("session", "who"))
    assert "no key that is plainly the user; name it with --user (keys: movieId, ts, who, z)" in refusal(odd)
    assert history(load(odd, user="who", time="none"), "u") == ["c", "b", "a", "c"]


def test_a_bad_line_of_metadata_is_named_and_can_be_left_out(tmp_path: Path) -> None:
    for file in (CASES / "amazon-2018").iterdir():
        shutil.copy(file, tmp_path)
    path = tmp_path / "meta_Video_Games.json"
    path.write_text(path.read_text() + '{"asin": "P1", "title"\n')
    assert "meta_Video_Games.json, line 7: no JSON object" in refusal(tmp_path / "Video_Games_5.json")
    dataset = load(tmp_path / "Video_Games_5.json", incomplete="drop")
    assert dataset.item_table.columns["title"].tolist()[1] == "Game 1 & more"
    assert "meta_Video_Games.json: 1 of 7 lines can't be used" in said(dataset)


# ---------------------------------------------------------------------------------------------- pairs, sequences


def test_pairs_without_a_header_are_one_event_a_line() -> None:
    dataset = load(CASES / "pairs-without-header" / "Beauty.txt")
    assert (dataset.interactions.n_users, dataset.interactions.n_events) == (5, 25)
    assert history(dataset, "1") == ["2", "3", "4", "5", "6"]
    parts = split(dataset, "leave-one-out")
    assert (targets(dataset, parts.test)["1"], targets(dataset, parts.validation)["1"]) == ("6", "5")
    assert "read as pairs, one event a line" in said(dataset)


@pytest.mark.parametrize(
    "content", ["1\t5\r\n2\t7\r\n1\t4\r\n\r\n2\t9 \r\n", "\ufeff1 5\n2 7\n1 4\n2 9", "1  5 \n2 7\n\n1 4\n2 9\n\n"]
)
def test_pairs_come_with_any_blanks_and_line_ends(tmp_path: Path, content: str) -> None:
    dataset = load(write(tmp_path / "x.txt", content))
    assert (history(dataset, "1"), history(dataset, "2")) == (["5", "4"], ["7", "9"])


def test_sets_that_ascend_are_said_to_have_no_order() -> None:
    dataset = load(CASES / "lightgcn-sets" / "train.txt")
    assert history(dataset, "0") == ["0", "1", "3", "6", "9"]
    assert "the items of every user ascend, as in LightGCN's files" in said(dataset)


def test_sequences_in_another_order_are_not_suspected(tmp_path: Path) -> None:
    path = write(tmp_path / "train.txt", "1 2 3 4 5 6 7 8 9\n2 3 4 5 6 7 8 9 10\n3 2 1\n")
    write(tmp_path / "test.txt", "1 11\n")
    assert "ascend" not in said(load(path))
    assert "test.txt beside train.txt: not read" in said(load(path))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("1 2\n1\n1 3\n", "line 2: '1' stands alone, where each line should hold a user and an item"),
        ("1 2 5\n1 3 6\n2 2 5\n", "all lines have 3 fields and users repeat, so a line is one event"),
        ("user item\n1 2\n1 3\n", "line 1: 'user item' looks like names of columns"),
        ("1,2\n1,3\n", "no line with a user and items"),
        ("1 2 3\n1 4\n", "line 2: user '1' has a line already, line 1; join them"),
    ],
)
def test_other_lines_of_ids_are_refused(tmp_path: Path, content: str, message: str) -> None:
    assert message in refusal(write(tmp_path / "x.txt", content))


def test_a_lone_word_among_pairs_can_be_left_out(tmp_path: Path) -> None:
    dataset = load(write(tmp_path / "x.txt", "1 2\n1\n1 3\n"), incomplete="drop")
    assert history(dataset, "1") == ["2", "3"]
    assert "1 of 3 lines can't be used and are left out (--incomplete drop); the first is line 2" in said(dataset)


# ---------------------------------------------------------------------------------------------- KuaiRec


def test_a_matrix_of_kuairec_says_which_clock_it_took() -> None:
    path = CASES / "kuairec-matrix" / "small_matrix.csv"
    assert "row 9" in refusal(path)
    dataset = load(path, incomplete="drop", duplicates="drop")
    assert history(dataset, "1") == ["201", "202", "203", "204", "205", "206"]
    assert targets(dataset, split(dataset, "leave-one-out").test)["1"] == "206"
    assert dataset.interactions.timestamps[0] == 1_594_000_010
    assert "time is 'timestamp'; 'time' is not used; 'time' is +8 h from 'timestamp'" in said(dataset)
    assert "5 of 40 rows" in said(dataset)
    assert "5 rows equal an earlier one" in said(dataset)
    local = load(path, incomplete="drop", duplicates="drop", time="time")
    assert local.interactions.timestamps[0] == 1_594_000_010 + 8 * 3600
    assert "time is 'time'; 'timestamp' is not used" in said(local)


# ---------------------------------------------------------------------------------------------- MovieLens


@pytest.mark.parametrize(
    ("path", "films"),
    [
        ("movielens-100k-without-films", "u.item"),
        ("movielens-100k-without-films/u.data", "u.item"),
        ("movielens-csv-without-films", "movies.csv"),
    ],
)
def test_ratings_without_films_are_read_without_text(path: str, films: str) -> None:
    dataset = load(CASES / path)
    assert history(dataset, "1") == ["2", "3", "4", "5", "6"]
    assert targets(dataset, split(dataset, "leave-one-out").test)["1"] == "6"
    assert f"{films} does not lie beside" in said(dataset)
    assert dataset.item_table.text_columns == ()


@pytest.mark.parametrize(
    ("header", "line", "message"),
    [
        ("userId,movieId,rating,timestamp", "1,2,3", "ratings.csv, line 3: damaged: expected 4 columns, got 3"),
        ("userId,movieId,rating,timestamp", "1,,3,881250949", "line 3: damaged: the item is empty"),
        ("userId,movieId,rating,timestamp", "1,x,3,881250949", "line 3: damaged: the item is 'x'"),
        ("userId,movieId,rating,timestamp", "1,2,3,-881250949", "line 3: its time is negative"),
        ("userId,movieId,rating,timestamp", "1,2,3,88", "line 3: its time, 88, is far away"),
    ],
)
def test_a_bad_rating_is_named_and_can_be_left_out(tmp_path: Path, header: str, line: str, message: str) -> None:
    path = write(tmp_path / "ratings.csv", f"{header}\n1,5,3,881250950\n{line}\n\n1,4,3,881250949\n1,4,3,881250949\n")
    assert message in refusal(tmp_path)
    dataset = load(path.parent, incomplete="drop", duplicates="drop")
    assert history(dataset, "1") == ["4", "5"]
    assert "1 of 4 lines can't be used" in said(dataset)
    assert "1 rows equal an earlier one in user, item and time; left out" in said(dataset)


def test_the_columns_of_ratings_are_read_by_their_names(tmp_path: Path) -> None:
    path = write(tmp_path / "ratings.csv", "\ufefftimestamp,movieId,userId\r\n881250950,5,1\r\n881250949,4,1\r\n")
    assert history(load(tmp_path), "1") == ["4", "5"]
    path.write_text(path.read_text().replace("timestamp", "when"))
    assert "ratings.csv, line 1: column 'timestamp' is missing" in refusal(tmp_path)


def test_a_folder_of_no_known_format_names_what_could_be_given(tmp_path: Path) -> None:
    write(tmp_path / "small_matrix.csv", "a\n")
    assert "it holds small_matrix.csv: give one of these files" in refusal(tmp_path)
