"""The rules by which a table is read: ids, times, separators, quotes, encodings, kinds of events."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_tables import HEADER, items, write

from bench.data.data_files import DataFiles
from bench.data.parsing.event_kinds import Kinds
from bench.data.parsing.text_tables import Dialect
from bench.data.sources.own import load_own
from bench.data.sources.tables import Reading, read_events
from bench.errors import BenchError


def rows_of(cells: list[str]) -> str:
    return HEADER + "".join(f"u,{cell},{place + 10**9}\n" for place, cell in enumerate(cells))


@pytest.mark.parametrize(
    ("cells", "ids"),
    [
        (["7", "7.0", " 7", "7 ", "\u00a07.00", "7."], ["7"]),
        (["0", "-0", "0.0", "-0.0"], ["0"]),
        (["e\u0301", "é"], ["é"]),
        (["007", "7", "+7", "1e3", "1000", "0x7"], ["007", "7", "+7", "1e3", "1000", "0x7"]),
        (["12345678901234567890", "12345678901234567891", "12345678901234567890.0"], None),
        (["1.5", "1.50"], ["1.5", "1.50"]),
        (["007.0", "007"], ["007.0", "007"]),
    ],
)
def test_what_one_id_is(tmp_path: Path, cells: list[str], ids: list[str] | None) -> None:
    ids = cells[:2] if ids is None else ids
    text = read_events(write(tmp_path, rows_of(cells)))
    table = {"user": ["u"] * len(cells), "item": cells, "time": [place + 10**9 for place in range(len(cells))]}
    pq.write_table(pa.table(table), tmp_path / "toy.parquet")
    parquet = read_events(tmp_path / "toy.parquet")
    assert sorted(text.item_ids) == sorted(ids)
    assert items(parquet) == items(text)


def test_ids_that_are_equal_as_numbers_only_are_said_to_be_two(tmp_path: Path) -> None:
    notes = read_events(write(tmp_path, rows_of(["007", "7", "1e3", "1000", "x"]))).notes
    assert "column 'item': '007' and '7' are two ids, though equal as numbers" in notes
    assert "column 'item': '1e3' and '1000' are two ids, though equal as numbers" in notes


def test_an_id_that_lost_digits_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"row 3, column 'item': holds '1.2345678901234568e\+19', a number that lost"):
        read_events(write(tmp_path, rows_of(["7", "1.2345678901234568e+19"])))


@pytest.mark.parametrize("known", ["id,item,title\n1,7.0,Ape\n2,8,Bee\n", "id,item,title\n1, 7,Ape\n2,8.0,Bee\n"])
def test_ids_are_one_across_events_and_items(tmp_path: Path, known: str) -> None:
    path = write(tmp_path, "user,item,time\nu,7,1000000000\nu,8.0,1000000001\n")
    facts = write(tmp_path, known, "items.csv")
    dataset = load_own("toy", DataFiles(path=str(path), items=str(facts)))
    assert dataset.item_ids.tolist() == ["7", "8"]
    assert dataset.item_table.columns["title"].tolist() == ["Ape", "Bee"]
    assert any(re.match("items.csv: column 'item': [12] ids are read without blanks", note) for note in dataset.filters)


def test_an_item_that_is_described_twice_in_two_spellings_is_an_error(tmp_path: Path) -> None:
    facts = write(tmp_path, "item,title\n7,Ape\n7.0,Bee\n", "items.csv")
    with pytest.raises(BenchError, match=r"row 3, column 'item': describes item '7.0' a second time"):
        load_own("toy", DataFiles(path=str(write(tmp_path, rows_of(["7", "8"]))), items=str(facts)))


def test_users_called_like_missing_values_are_named(tmp_path: Path) -> None:
    path = write(tmp_path, "user,item,time\nNA,a,1\nu,a,2\nu,b,3\n")
    assert any("words for a missing value are users like others (events: 'NA' 1)" in n for n in read_events(path).notes)
    with pytest.raises(BenchError, match="row 2, column 'user': is empty"):
        read_events(path, reading=Reading(missing=("NA",)))
    path = write(tmp_path, "user,item,time\nu,a,1\nnull,a,2\nnull,b,3\n")
    with pytest.raises(BenchError, match=r"row 3, column 'user': 'null' usually means .* most events \(2\)"):
        read_events(path)


def test_row_numbers_are_those_of_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER + "u,,1\n\nu,a,1000000000\n\nu,b,soon\nu,c,1000000002\n")
    with pytest.raises(BenchError, match="row 6, column 'time': holds 'soon'"):
        read_events(path, drop_incomplete=True)


@pytest.mark.parametrize("separator", [";", "|", "\t", "::", " "])
def test_separators_are_recognised_and_said(tmp_path: Path, separator: str) -> None:
    path = write(tmp_path, (HEADER + "u,a,1\nu,b,2\n").replace(",", separator))
    log = read_events(path)
    assert items(log) == ["a", "b"]
    assert any(note.startswith("cells are separated by") for note in log.notes)


def test_a_separator_may_be_given(tmp_path: Path) -> None:
    path = write(tmp_path, "user~item~time\nu~a~1\n")
    assert items(read_events(path, reading=Reading(Dialect(separator="~")))) == ["a"]
    with pytest.raises(BenchError, match="--separator"):
        read_events(path)


def test_cells_may_hold_ends_of_lines_but_no_rows(tmp_path: Path) -> None:
    text = 'user,item,time,text\nu,a,1,"two\nlines, and\na third"\nu,b,2,none\n'
    assert items(read_events(write(tmp_path, text))) == ["a", "b"]
    swallowed = 'user,item,time,text\nu,a,1,"Untitled\nu,b,2,Song\nu,c,3,Last"\nu,d,4,Song\n'
    path = write(tmp_path, swallowed)
    with pytest.raises(BenchError, match=r"line 2: a quote opens here and closes only 2 lines on.* --quotes plain"):
        read_events(path)
    assert items(read_events(path, reading=Reading(Dialect(quotes="plain")))) == ["a", "b", "c", "d"]
    assert items(read_events(path, reading=Reading(Dialect(quotes="cells")))) == ["a", "d"]
    tabs = write(tmp_path, swallowed.replace(",", "\t"), "toy.tsv")
    assert items(read_events(tabs)) == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("name", "expected"), [('12" mix', '12" mix'), ('"a, b"', "a, b"), ('"say ""hi"""', 'say "hi"'), ('"q', '"q')]
)
def test_quotes_around_cells_and_in_names(tmp_path: Path, name: str, expected: str) -> None:
    assert items(read_events(write(tmp_path, f"{HEADER}u,{name},1\nu,b,2\n"))) == [expected, "b"]


@pytest.mark.parametrize(
    ("encoding", "message"),
    [
        ("gbk", r"row 3 is not UTF-8; convert .*iconv -f ENCODING .*ENCODING being the one it was written in"),
        ("utf-16", r"is UTF-16 text; convert .*iconv -f utf-16"),
        ("utf-16-le", r"is no UTF-8 text, since it holds NUL bytes"),
        ("utf-32", r"is UTF-32 text"),
    ],
)
def test_other_encodings_are_named_only_where_they_are_sure(tmp_path: Path, encoding: str, message: str) -> None:
    with pytest.raises(BenchError, match=message):
        read_events(write(tmp_path, (HEADER + "u,a,1\nu,中文,2\n").encode(encoding)))


def test_kinds_of_events_are_named_counted_and_kept_on_request(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "user,item,time,event_type,rating\nu,a,1,view,3\nu,b,2,buy,5\nu,c,3,view,4.5\nu,d,4,cart,\nu,e,5,view,1\n",
    )
    notes = read_events(path).notes
    assert any(
        "column 'event_type' tells kinds of events apart ('view' 3, 'buy' 1, 'cart' 1)" in note for note in notes
    )
    assert any("column 'rating' tells how good an event was" in note and "--min-rating" in note for note in notes)
    bought = read_events(path, reading=Reading(kinds=Kinds((("event_type", ("buy", "cart")),))))
    assert items(bought) == ["b", "d"]
    assert "only rows of which 'event_type' is buy or cart: 2 of 5 stay" in bought.notes
    liked = read_events(path, reading=Reading(kinds=Kinds(min_rating=4.5)))
    assert items(liked) == ["b", "c"]
    said = "only rows of which 'rating' is at least 4.5 (1 rows without one are left out, too): 2 of 5 stay"
    assert said in liked.notes


@pytest.mark.parametrize(
    ("kinds", "message"),
    [
        (Kinds((("type", ("buy",)),)), r"has no column 'type' \(--keep\)"),
        (Kinds((("kind", ("bui",)),)), r"column 'kind' holds no 'bui' \(--keep\); it holds 'buy' 1, 'view' 1"),
        (Kinds(min_rating=9), "no row stays of which 'stars' is at least 9"),
        (Kinds(min_rating=1, rating="kind"), "row 2, column 'kind': holds 'buy', not a number as --min-rating needs"),
        (Kinds(rating="stars"), "--rating names the column that --min-rating is about; give both"),
    ],
)
def test_kinds_that_are_not_there_are_one_line(tmp_path: Path, kinds: Kinds, message: str) -> None:
    path = write(tmp_path, "user,item,time,kind,stars\nu,a,1,buy,1\nu,b,2,view,2\n")
    with pytest.raises(BenchError, match=message):
        read_events(path, reading=Reading(kinds=kinds))


@pytest.mark.parametrize(
    "written",
    ["kind=buy,cart", ["kind=buy", "kind=cart"], {"kind": ["buy", "cart"]}, [["kind", ["buy", "cart"]]]],
)
def test_kinds_are_written_as_on_the_command_line_or_as_a_mapping(written: object) -> None:
    assert DataFiles.model_validate({"keep": written}).keep == (("kind", ("buy", "cart")),)


def test_a_row_of_names_within_the_data_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path, "user,item\nu,a\nuser,item\nu,b\n")
    with pytest.raises(BenchError, match="row 3, column 'user': repeats the names of the columns; remove the row"):
        read_events(path, time="none")
    with pytest.raises(BenchError, match=r"the first row looks like data \(column 'alice' holds 'alice' again\)"):
        read_events(write(tmp_path, "alice,book\nalice,pen\nbob,book\n"), user="alice", item="book", time="none")


def test_other_words_for_a_missing_value_are_named_beside_those_that_are_given(tmp_path: Path) -> None:
    rows = ["NA,a", "NA,b", "u,null", "u,c", "v,a", "v,b"]
    path = write(tmp_path, HEADER + "".join(f"{row},{place + 10**9}\n" for place, row in enumerate(rows)))
    notes = read_events(path, reading=Reading(missing=("na",))).notes
    assert "--missing na: no cell of 'user' or 'item' reads so" in notes
    assert any("words for a missing value are users like others (events: 'NA' 2)" in note for note in notes)
    assert any("words for a missing value are items like others (events: 'null' 1)" in note for note in notes)
    assert not any("missing" in note for note in read_events(path, reading=Reading(missing=("",))).notes)
    more = write(tmp_path, path.read_text() + f"NA,c,{10**9 + 9}\n", "more.csv")
    with pytest.raises(BenchError, match="row 2, column 'user': 'NA' usually means a missing value"):
        read_events(more, reading=Reading(missing=("na",)))


def test_a_nul_character_makes_no_two_ids_one(tmp_path: Path) -> None:
    path = tmp_path / "toy.parquet"
    pq.write_table(pa.table({"user": ["u", "u"], "item": ["a", "a\0"], "time": [10**9, 10**9 + 1]}), path)
    with pytest.raises(BenchError, match=r"toy.parquet, row 2, column 'item': holds a\\x00, an id with a NUL"):
        read_events(path)


def test_parquet_text_that_is_none_is_named_by_its_row(tmp_path: Path) -> None:
    path = tmp_path / "toy.parquet"
    ends, texts = pa.array([0, 1, 3], pa.int32()).buffers()[1], pa.py_buffer(b"uu\xff")
    users = pa.StringArray.from_buffers(2, ends, texts)
    pq.write_table(pa.table({"user": users, "item": ["a", "b"], "time": [10**9, 10**9 + 1]}), path)
    with pytest.raises(BenchError, match=r"toy.parquet, row 2, column 'user': holds text that is not UTF-8; mend it"):
        read_events(path)


@pytest.mark.skipif(not hasattr(pa, "string_view"), reason="this pyarrow knows no views")
def test_views_of_text_are_text(tmp_path: Path) -> None:
    names = pa.array(["a", "b"], pa.string_view())
    pq.write_table(pa.table({"user": ["u", "u"], "item": names, "time": [10**9, 10**9 + 1]}), tmp_path / "toy.parquet")
    assert items(read_events(tmp_path / "toy.parquet")) == ["a", "b"]


@pytest.mark.parametrize("name", ["toy.csv", "toy.jsonl", "toy.inter"])
@pytest.mark.parametrize("item", ["5.90123E+12", "-1.2E+08", "1.2345678901234568e+19"])
def test_an_id_that_lost_digits_is_no_id_in_any_format(tmp_path: Path, name: str, item: str) -> None:
    rows = [("u", item, 10**9), ("u", "7", 10**9 + 1)]
    content = {
        "toy.csv": HEADER + "".join(f"{user},{cell},{time}\n" for user, cell, time in rows),
        "toy.jsonl": "".join(f'{{"user": "{user}", "item": "{cell}", "time": {time}}}\n' for user, cell, time in rows),
        "toy.inter": "user_id:token\titem_id:token\ttimestamp:float\n"
        + "".join(f"{user}\t{cell}\t{time}\n" for user, cell, time in rows),
    }
    path = write(tmp_path, content[name], name)
    with pytest.raises(BenchError, match=re.escape(item) + ".* a number that lost digits on its way; write ids as"):
        load_own("x", DataFiles(path=str(path)))


@pytest.mark.parametrize("item", ["1.5E+06", "1.2E12", "1.23e+10", "5E+12", "1.1234567E+08", "a1.2E+12"])
def test_what_no_spreadsheet_has_cut_is_an_id(tmp_path: Path, item: str) -> None:
    assert items(read_events(write(tmp_path, rows_of([item, "7"])))) == [item, "7"]


@pytest.mark.parametrize(("bits", "limit"), [(16, 2**11), (32, 2**24), (64, 2**53)])
def test_floats_name_items_as_far_as_they_tell_them_apart(tmp_path: Path, bits: int, limit: int) -> None:
    path, kind = tmp_path / "toy.parquet", np.dtype(f"f{bits // 8}")
    table = {"user": ["u", "u"], "time": [10**9, 10**9 + 1]}
    pq.write_table(pa.table({**table, "item": np.array([limit - 2, limit - 1], kind)}), path)
    assert items(read_events(path)) == [str(limit - 2), str(limit - 1)]
    pq.write_table(pa.table({**table, "item": np.array([limit - 1, limit], kind)}), path)
    with pytest.raises(BenchError, match=rf"row 2, column 'item': holds .*, too large for a float of {bits} bits"):
        read_events(path)


@pytest.mark.parametrize(
    ("options", "both"),
    [
        ({"user": "item"}, "the user and the item; name them with --user and --item"),
        ({"time": "item"}, "the item and the time; name them with --item and --time"),
        ({"order": "user"}, "the user and the order; name them with --user and --order"),
        ({"then": "time"}, "the time and the order of ties; name them with --time and --then"),
    ],
)
@pytest.mark.parametrize("name", ["toy.csv", "toy.jsonl", "toy.inter"])
def test_no_column_has_two_roles(tmp_path: Path, name: str, options: dict[str, str], both: str) -> None:
    content = {
        "toy.csv": HEADER + "1,2,1000000000\n1,3,1000000001\n",
        "toy.jsonl": '{"user": 1, "item": 2, "time": 1000000000}\n{"user": 1, "item": 3, "time": 1000000001}\n',
        "toy.inter": "user:token\titem:token\ttime:float\n1\t2\t1000000000\n1\t3\t1000000001\n",
    }
    if name == "toy.inter" and not options.keys() <= {"user", "time"}:
        pytest.skip("atomic files don't take this option")
    with pytest.raises(BenchError, match="can't be both " + both):
        load_own("x", DataFiles(path=str(write(tmp_path, content[name], name)), **options))


def test_baskets_of_more_than_one_time_are_told(tmp_path: Path) -> None:
    times = [1_600_000_000_000, 1_600_000_000_000, 1_600_000_000_400, 1_600_000_001_000]
    path = write(tmp_path, HEADER + "".join(f"u,{place},{time}\n" for place, time in enumerate(times)))
    note = "1 events share their second, though not their time, with the user's event before"
    assert any(note in text for text in load_own("x", DataFiles(path=str(path), baskets=True)).filters)
    assert not any("share their second" in text for text in load_own("x", DataFiles(path=str(path))).filters)
