"""Events in workbooks and in JSON with any keys are read as those of a CSV file with the same cells."""

from __future__ import annotations

import json
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bench.data.data_files import DataFiles
from bench.data.dataset import Dataset
from bench.data.sources.own import load_own
from bench.errors import BenchError, MissingDataError

ROWS = [
    (f"u{user}", 100 + (user * step) % 7, 1_600_000_000 + 86_400 * step) for user in range(1, 5) for step in range(6)
]
COLUMNS = {"user": "who", "item": "what", "time": "at"}


def load(path: Path, **keys: Any) -> Dataset:
    return load_own("x", DataFiles(path=str(path), **{**COLUMNS, **keys}))


def refusal(path: Path, **keys: Any) -> str:
    with pytest.raises(BenchError) as refused:
        load(path, **keys)
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.fixture
def expected(tmp_path: Path) -> Dataset:
    path = tmp_path / "x.csv"
    pd.DataFrame(ROWS, columns=["who", "what", "at"]).to_csv(path, index=False)
    return load(path)


def workbook(path: Path, rows: list[list[Any]], other: list[list[Any]] | None = None) -> Path:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    for row in other or ():
        (book["more"] if "more" in book.sheetnames else book.create_sheet("more")).append(row)
    book.save(path)
    return path


@pytest.mark.parametrize("dated", [False, True])
def test_a_workbook_is_read_like_text(tmp_path: Path, expected: Dataset, dated: bool) -> None:
    def cell(seconds: int) -> Any:
        return datetime.fromtimestamp(seconds, timezone.utc).replace(tzinfo=None) if dated else seconds

    rows = [["who", "what", "at", "shop"], *([user, item, cell(time), 1.5] for user, item, time in ROWS), [None] * 4]
    data = load(workbook(tmp_path / "x.xlsx", rows, [["note"], ["aside"]]))
    assert data.content_hash == expected.content_hash
    notes = " ".join(data.filters)
    assert "sheet 'Sheet' is read; not read: 'more'" in notes
    assert "not read: 'shop'" in notes


def test_a_workbook_without_names_takes_columns_by_position(tmp_path: Path, expected: Dataset) -> None:
    path = workbook(tmp_path / "x.xlsx", [list(row) for row in ROWS])
    assert load(path, user="1", item="2", time="3", no_header=True).content_hash == expected.content_hash
    assert "--no-header" in refusal(path)


def test_a_bad_cell_of_a_workbook_is_named_by_its_row(tmp_path: Path) -> None:
    rows = [["who", "what", "at"], ["u", "a", 1_600_000_000], [None, None, None], ["u", "b", "soon"]]
    assert "x.xlsx, row 4, column 'at': holds soon" in refusal(workbook(tmp_path / "x.xlsx", rows)).replace(
        "'soon'", "soon"
    )
    assert "row 2: it has 4 cells" in refusal(workbook(tmp_path / "x.xlsx", [["who", "what", "at"], ["u", "a", 1, 2]]))
    assert "--separator" in refusal(workbook(tmp_path / "x.xlsx", rows), separator=";")
    assert "is empty" in refusal(workbook(tmp_path / "x.xlsx", []))
    (tmp_path / "no.xlsx").write_text("who,what,at\n")
    assert "no.xlsx: can't be read as a workbook" in refusal(tmp_path / "no.xlsx")


def test_a_workbook_without_openpyxl_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.xlsx").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(MissingDataError, match=r"not installed: pip install 'glass-bench\[xlsx\]' .* save it as .csv"):
        load(tmp_path / "x.xlsx")


def jsonl(path: Path, objects: list[Any]) -> Path:
    path.write_text("\n".join(map(json.dumps, objects)) + "\n")
    return path


def iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat()


@pytest.mark.parametrize("time", [int, float, iso, lambda seconds: f"{seconds}"], ids=["int", "float", "iso", "text"])
def test_json_of_any_keys_and_any_times(tmp_path: Path, expected: Dataset, time: Any) -> None:
    rows = [{"who": user, "what": item, "at": time(seconds), "z": [1, "a"]} for user, item, seconds in ROWS]
    assert load(jsonl(tmp_path / "x.jsonl", rows)).content_hash == expected.content_hash


def test_keys_within_objects_and_what_only_tables_take(tmp_path: Path, expected: Dataset) -> None:
    rows: list[Any] = [
        {"by": {"id": user, "on": {"at": iso(seconds)}}, "what": item, "kind": "buy", "stars": 4.5}
        for user, item, seconds in ROWS
    ]
    rows.insert(3, {**rows[0], "kind": "view"})
    rows.insert(5, {**rows[0], "stars": 2})
    items = jsonl(
        tmp_path / "items.jsonl", [{"item_id": n, "title": f"T {n}", "tags": ["p", "q"]} for n in range(100, 107)]
    )
    keys = {"user": "by.id", "time": "by.on.at", "keep": "kind=buy", "min_rating": 3, "rating": "stars"}
    data = load(jsonl(tmp_path / "x.jsonl", rows), **keys, items=str(items), item="what")
    assert data.interactions.n_events == len(ROWS)
    assert data.content_hash != expected.content_hash  # which has no item table
    assert data.item_table.columns["title"][0] == "T 100"
    assert data.item_table.columns["tags"][0] == "p|q"


def test_a_line_that_is_none_is_named(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "x.jsonl", [{"who": "u", "what": "a", "at": "2024-01-01", "k": 1}] * 3)
    path.write_text(path.read_text() + "{\n")
    assert "x.jsonl, line 4: no JSON object" in refusal(path)
    path.write_text('{"who": "u", "what": "a", "at": "2024-01-01", "who": "v"}\n')
    assert "x.jsonl, line 1: no JSON object with an event (ValueError: it has the key who twice" in refusal(
        path, keep="k=1"
    )
    path = jsonl(
        tmp_path / "y.jsonl", [{"who": "u", "what": "a", "at": "2024-01-01"}, {"who": "u", "what": "b", "at": "soon"}]
    )
    assert "y.jsonl, row 2, column 'at'" in refusal(path, keep="what=a,b")
    assert "has no key 'by.id' (--user) in its first lines; it has at, what, who" in refusal(path, user="by.id")
    path = jsonl(tmp_path / "z.jsonl", [{"by": {"id": "u"}, "what": "a", "at": 1}])
    assert "has no key 'by' (--user) in its first lines; it has at, by.id, what" in refusal(path, user="by")


def test_a_usual_name_is_found_within_another_key(tmp_path: Path, expected: Dataset) -> None:
    rows = [{"user": {"id": user, "age": 3}, "item_id": item, "ts": seconds} for user, item, seconds in ROWS]
    data = load(jsonl(tmp_path / "x.jsonl", rows), user=None, item=None, time=None)
    assert data.content_hash == expected.content_hash
    assert "user is 'user.id'" in " ".join(data.filters)
    assert "not read: 'user.age'" in " ".join(data.filters)


def test_long_numbers_keep_their_digits(tmp_path: Path) -> None:
    rows = [
        {"who": 9_007_199_254_740_993 + user, "what": item, "at": iso(t)} for user in (0, 1) for _, item, t in ROWS[:6]
    ]
    data = load(jsonl(tmp_path / "x.jsonl", rows))
    assert list(data.user_ids) == ["9007199254740993", "9007199254740994"]


@pytest.mark.parametrize("keys", [{}, {"order": "at", "time": None}])
def test_half_a_letter_in_json_is_named_by_its_line(tmp_path: Path, keys: dict[str, Any]) -> None:
    path = tmp_path / "x.jsonl"
    lines = [json.dumps({"who": user, "what": item, "at": time}) for user, item, time in ROWS]
    lines[2] = '{"who": "u1", "what": "\\ud83d", "at": 1600000000}'
    path.write_text("\n".join(lines))
    assert "half a letter" in refusal(path, **keys)
    lines[2] = '{"who": "u1", "what": "\\ud83d\\ude00", "at": 1600000000}'
    path.write_text("\n".join(lines))
    assert "\U0001f600" in load(path, **keys).item_ids


def test_json_whose_busiest_user_is_a_missing_value_is_refused_as_a_table_is(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"

    def write(missing: int) -> None:
        users = ["NA"] * missing + [user for user, _, _ in ROWS[missing:]]
        events = zip(users, ROWS, strict=True)
        path.write_text("".join(json.dumps({"who": user, "what": i, "at": t}) + "\n" for user, (_, i, t) in events))

    write(missing=9)
    assert "x.jsonl, row 1, column 'who': 'NA' usually means a missing value" in refusal(path)
    assert "NA" in load(path, missing="").user_ids
    write(missing=1)
    assert any("'NA' among the users is taken for an id" in note for note in load(path).filters)
