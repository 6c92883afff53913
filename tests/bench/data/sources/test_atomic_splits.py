"""Splits that come with atomic files are read as those splits."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from as_found import CASES, atomic, history, load, notes_of, refusal, targets, write

from bench.data.protocols import split


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
    assert "'0' in a history is padding" in notes_of(dataset)
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
    assert "1 test targets of users without any event before them are no queries" in notes_of(dataset)


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
