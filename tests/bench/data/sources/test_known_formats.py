"""JSON, pairs, sequences, KuaiRec, MovieLens: what is read is what stands in the file, whatever its state."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from as_found import CASES, ROWS, START, history, load, notes_of, refusal, targets, write

from bench.data.protocols import split
from bench.errors import BenchError


def test_one_bad_review_is_named_and_can_be_left_out() -> None:
    path = CASES / "amazon-2023-negative-time" / "Electronics.jsonl"
    assert "Electronics.jsonl, line 8: timestamp is negative" in refusal(path)
    dataset = load(path, incomplete="drop")
    assert dataset.interactions.n_events == 20
    assert "1 of 21 lines can't be used and are left out (--incomplete drop); the first is line 8" in notes_of(dataset)
    assert "Amazon's release of 2023" in notes_of(dataset)


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
    assert "Amazon's release of 2018" in notes_of(dataset)
    assert "not used: overall, reviewText" in notes_of(dataset)


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
    assert "1 of 6 lines can't be used" in notes_of(dataset)


def test_a_key_in_a_text_is_no_second_key(tmp_path: Path) -> None:
    rows = [json.dumps({**json.loads(row), "text": 'my "user_id": and\n "user_id"'}) for row in GOOD]
    assert load(write(tmp_path / "X.jsonl", "\n".join(rows))).interactions.n_events == 5


def test_other_json_needs_usual_names_or_options(tmp_path: Path) -> None:
    rows = [json.dumps({"session": u, "movieId": i, "ts": START + day, "z": 1}) for u, i, day in [*ROWS, ROWS[0]]]
    path = write(tmp_path / "log.jsonl", "\n".join(rows))
    dataset = load(path, duplicates="drop")
    assert history(dataset, "u") == ["a", "b", "c"]
    assert "keys: user is 'session', item is 'movieId', time is 'ts'; not used: z" in notes_of(dataset)
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
    assert "meta_Video_Games.json: 1 of 7 lines can't be used" in notes_of(dataset)


def test_pairs_without_a_header_are_one_event_a_line() -> None:
    dataset = load(CASES / "pairs-without-header" / "Beauty.txt")
    assert (dataset.interactions.n_users, dataset.interactions.n_events) == (5, 25)
    assert history(dataset, "1") == ["2", "3", "4", "5", "6"]
    parts = split(dataset, "leave-one-out")
    assert (targets(dataset, parts.test)["1"], targets(dataset, parts.validation)["1"]) == ("6", "5")
    assert "read as pairs, one event a line" in notes_of(dataset)


@pytest.mark.parametrize(
    "content", ["1\t5\r\n2\t7\r\n1\t4\r\n\r\n2\t9 \r\n", "\ufeff1 5\n2 7\n1 4\n2 9", "1  5 \n2 7\n\n1 4\n2 9\n\n"]
)
def test_pairs_come_with_any_blanks_and_line_ends(tmp_path: Path, content: str) -> None:
    dataset = load(write(tmp_path / "x.txt", content))
    assert (history(dataset, "1"), history(dataset, "2")) == (["5", "4"], ["7", "9"])


def test_sets_that_ascend_are_said_to_have_no_order() -> None:
    dataset = load(CASES / "lightgcn-sets" / "train.txt")
    assert history(dataset, "0") == ["0", "1", "3", "6", "9"]
    assert "the items of every user ascend, as in LightGCN's files" in notes_of(dataset)


def test_sequences_in_another_order_are_not_suspected(tmp_path: Path) -> None:
    path = write(tmp_path / "train.txt", "1 2 3 4 5 6 7 8 9\n2 3 4 5 6 7 8 9 10\n3 2 1\n")
    write(tmp_path / "test.txt", "1 11\n")
    assert "ascend" not in notes_of(load(path))
    assert "test.txt beside train.txt: not read" in notes_of(load(path))


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
    assert "1 of 3 lines can't be used and are left out (--incomplete drop); the first is line 2" in notes_of(dataset)


def test_a_matrix_of_kuairec_says_which_clock_it_took() -> None:
    path = CASES / "kuairec-matrix" / "small_matrix.csv"
    assert "row 9" in refusal(path)
    dataset = load(path, incomplete="drop", duplicates="drop")
    assert history(dataset, "1") == ["201", "202", "203", "204", "205", "206"]
    assert targets(dataset, split(dataset, "leave-one-out").test)["1"] == "206"
    assert dataset.interactions.timestamps[0] == 1_594_000_010
    assert "time is 'timestamp'; 'time' is not used; 'time' is +8 h from 'timestamp'" in notes_of(dataset)
    assert "5 of 40 rows" in notes_of(dataset)
    assert "5 rows equal an earlier one" in notes_of(dataset)
    local = load(path, incomplete="drop", duplicates="drop", time="time")
    assert local.interactions.timestamps[0] == 1_594_000_010 + 8 * 3600
    assert "time is 'time'; 'timestamp' is not used" in notes_of(local)


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
    assert f"{films} does not lie beside" in notes_of(dataset)
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
    assert "1 of 4 lines can't be used" in notes_of(dataset)
    assert "1 rows equal an earlier one in user, item and time; left out" in notes_of(dataset)


def test_the_columns_of_ratings_are_read_by_their_names(tmp_path: Path) -> None:
    path = write(tmp_path / "ratings.csv", "\ufefftimestamp,movieId,userId\r\n881250950,5,1\r\n881250949,4,1\r\n")
    assert history(load(tmp_path), "1") == ["4", "5"]
    path.write_text(path.read_text().replace("timestamp", "when"))
    assert "ratings.csv, line 1: column 'timestamp' is missing" in refusal(tmp_path)


def test_a_folder_of_no_known_format_names_what_could_be_given(tmp_path: Path) -> None:
    write(tmp_path / "small_matrix.csv", "a\n")
    assert "it holds small_matrix.csv: give one of these files" in refusal(tmp_path)
