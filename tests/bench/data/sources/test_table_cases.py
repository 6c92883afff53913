"""Files as people really have them: each is read as what it says, or one line says what is wrong and how to go on."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.data.data_files import DataFiles
from bench.data.dataset import Dataset
from bench.data.protocols import split
from bench.data.sources.own import load_own
from bench.errors import BenchError

CASES = Path(__file__).parent / "cases"


def load(name: str, **options: object) -> Dataset:
    return load_own("case", DataFiles.model_validate({"path": str(CASES / name), **options}))


def sequences(dataset: Dataset) -> dict[str, list[str]]:
    interactions = dataset.interactions
    return {
        str(user): dataset.item_ids[interactions.items[interactions.row(number)]].tolist()
        for number, user in enumerate(dataset.user_ids)
    }


def refusal(name: str, **options: object) -> str:
    with pytest.raises(BenchError) as caught:
        load(name, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["sessions.csv", "sessions-semicolons.csv"])
def test_a_column_of_missing_users_is_named_and_sessions_are_users_on_request(name: str) -> None:
    assert "no column that is plainly the time" in refusal(name)
    message = refusal(name, time="timeframe")
    assert f"{name}, row 2, column 'userId': 'NA' usually means a missing value" in message
    assert "with most events (16)" in message
    assert "--missing NA" in message
    assert "'sessionId'" in message
    dataset = load(name, time="timeframe", user="sessionId")
    assert sequences(dataset)["1"] == ["101", "102", "103", "104"]
    queries = split(dataset, "leave-one-out").test
    assert dataset.item_ids[queries.targets[dataset.user_ids[queries.users] == "1"]].tolist() == ["104"]
    assert dataset.filters[0].startswith("columns: user is 'sessionId' (--user might as well name 'userId'), item is")
    assert dataset.filters[0].endswith("not read: 'userId', 'eventdate'")
    known = load(name, time="timeframe", missing="NA", incomplete="drop")
    assert set(known.user_ids) == {"9"}
    assert "NA" in load(name, time="timeframe", missing="").user_ids
    assert any("separated by ';'" in note for note in dataset.filters) == ("semicolons" in name)


def test_integers_that_are_calendar_dates_are_dates() -> None:
    dataset = load("compact-dates.csv", item="business_id")
    days = dataset.interactions.timestamps.astype("datetime64[s]")
    assert [str(days.min()), str(days.max())] == ["2018-01-11T09:30:00", "2018-05-15T13:30:00"]
    assert "times are read as dates of the form YYYYMMDDHHMMSS, UTC" in dataset.filters
    assert any("column 'stars' tells how good an event was (most often '5' 25)" in note for note in dataset.filters)


def test_an_order_number_makes_baskets_and_a_second_column_orders_within_them() -> None:
    dataset = load("order-numbers.csv", order="order_number", then="add_to_cart_order", baskets=True)
    frame = pd.read_csv(CASES / "order-numbers.csv").sort_values(["user_id", "order_number", "add_to_cart_order"])
    expected = {str(user): own.astype(str).tolist() for user, own in frame.groupby("user_id")["product_id"]}
    assert sequences(dataset) == expected
    parts = split(dataset, "leave-one-out")
    assert not dataset.has_time
    assert parts.train.interactions.lengths.tolist() == [6] * 5
    assert parts.test.ends.tolist() == [9] * 5
    assert parts.validation.ends.tolist() == [6] * 5
    for number, user in enumerate(dataset.user_ids):
        basket = frame[frame["user_id"].astype(str) == user]
        for queries, order in ((parts.test, 4), (parts.validation, 3)):
            target = int(dataset.item_ids[queries.targets[queries.users == number]][0])
            assert target in basket.loc[basket["order_number"] == order, "product_id"].tolist()


def test_baskets_need_a_time_or_an_order() -> None:
    assert "--baskets needs a time or an order" in refusal("order-numbers.csv", time="none", baskets=True)
    assert "--then orders what shares" in refusal("order-numbers.csv", time="none", then="add_to_cart_order")
    ties = load("order-numbers.csv", order="order_number").filters[1]
    assert ties.startswith("40 events share their 'order_number' with the user's event before; they keep the order of")


@pytest.mark.parametrize("name", ["stray-quotes.tsv", "pair-of-quotes.tsv"])
def test_quotes_in_names_swallow_no_line(name: str) -> None:
    dataset = load(name)
    assert dataset.interactions.lengths.tolist() == [6] * 5
    assert sequences(dataset)["user_000001"] == ["t1", "t2", "t3", "t4", "t5", "t6"]
    assert any(note.startswith("quotes don't pair up around cells (line ") for note in dataset.filters)


@pytest.mark.parametrize(
    ("name", "time"), [("no-header.csv", 5), ("no-header-dates.csv", 2), ("no-header-dates.dat", 2)]
)
def test_a_missing_row_of_names_is_one_line_and_columns_may_go_by_position(name: str, time: int) -> None:
    rows = len((CASES / name).read_text().splitlines())
    message = refusal(name)
    assert "the first row looks like data (1, 20" in message
    assert f"--no-header and columns by position, e.g. --user 1 --item 2 --time {time}" in message
    item = 2 if time == 5 else 3
    assert load(name, no_header=True, user="1", item=item, time=str(time)).interactions.n_events == rows
    first = (CASES / name).read_text().splitlines()[0].split(",")
    named = {"user": first[0], "item": first[item - 1], "time": first[time - 1]}
    assert "looks like data" in refusal(name, **named)


def test_kinds_of_events_are_named_even_without_names_of_columns() -> None:
    notes = load("no-header.csv", no_header=True, user=1, item=2, time=5).filters
    assert any("column '4' tells kinds of events apart ('pv' 30)" in note for note in notes)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("ms-time.csv", "row 5, column 'timestamp': holds 1511600000000, which is absurd beside 29 times in seconds"),
        ("neg-time.csv", "row 5, column 'timestamp': holds -1511600000, a negative time"),
    ],
)
def test_one_absurd_time_is_an_outlier_and_no_unit(name: str, problem: str) -> None:
    assert problem in refusal(name)
    dataset = load(name, bad_times="drop")
    assert dataset.interactions.n_events == 29
    assert {str(day) for day in dataset.interactions.timestamps.astype("datetime64[s]").astype("datetime64[D]")} == {
        "2017-11-25"
    }
    assert any(
        note.startswith("1 of 30 rows whose 'timestamp' is none are left out; the first, row 5")
        for note in dataset.filters
    )


def test_a_time_in_2037_is_a_time() -> None:
    last = load("far-time.csv").interactions.timestamps.max()
    assert str(last.astype("datetime64[s]").astype("datetime64[D]")) == "2037-04-09"


def test_ids_that_came_as_floats_are_the_same_ids() -> None:
    dataset = load("float-ids.csv")
    assert dataset.item_ids.tolist() == [str(number) for number in range(7)]
    assert any(
        "15 ids are read without blanks, '.0' and the like, e.g. '4.0' as '4'" in note for note in dataset.filters
    )


def test_items_may_be_called_like_missing_values() -> None:
    dataset = load("na-names.csv")
    assert set(dataset.item_ids) == {"NA", "null", "None", "nan", "x"}
    assert any("words for a missing value are items like others" in note for note in dataset.filters)
    assert "row 2, column 'item': is empty" in refusal("na-names.csv", missing="NA,nan")


def test_one_row_that_a_log_wrote_twice_changes_no_rule() -> None:
    none, one = load("no-repeats.csv"), load("one-repeat.csv")
    assert (none.seen_items, one.seen_items) == ("exclude", "exclude")
    reason = "1 of 2,285 events (0.04%) repeat an item of their user, less than 5%: seen items are no candidates"
    assert any(note.startswith(reason) for note in one.filters)


@pytest.mark.parametrize("items", [None, str(CASES / "things.csv")])
def test_without_time_the_mixture_of_users_means_nothing(items: str | None) -> None:
    first, second = (load(name, time="none", items=items) for name in ("by-user.csv", "interleaved.csv"))
    assert first.content_hash == second.content_hash
    assert np.array_equal(first.interactions.timestamps, first.interactions.positions())


PLAIN = {
    "x.csv": "user,item,time\n" + "".join(f"u{row % 3},i{row},{10**9 + row}\n" for row in range(12)),
    "x.jsonl": "".join(f'{{"user": {row % 3}, "item": {row}, "time": {10**9 + row}}}\n' for row in range(12)),
    "x.inter": "user:token\titem:token\ttime:float\n" + "".join(f"{row % 3}\t{row}\t{10**9}\n" for row in range(12)),
    "x.txt": "1 2 3 4\n2 3 4 5 6\n",
}


def _zipped(content: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("x.csv", content)
    return target.getvalue()


def _as_parquet(content: bytes) -> bytes:
    target = io.BytesIO()
    pd.DataFrame({"user": [1, 2], "item": [3, 4], "time": [10**9, 10**9]}).to_parquet(target)
    return target.getvalue()


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize(
    ("packed", "message"),
    [
        (gzip.compress, "packed with gzip; unpack it, or call it {}.gz"),
        (bz2.compress, "packed with bzip2; unpack it"),
        (lzma.compress, "packed with xz; unpack it"),
        (_zipped, "a zip archive or a workbook (.xlsx); unpack it"),
        (_as_parquet, "a parquet file; call it x.parquet"),
    ],
)
def test_what_only_is_called_text_is_told_by_its_kind(tmp_path: Path, name: str, packed, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(packed(PLAIN[name].encode()))
    with pytest.raises(BenchError) as caught:
        load_own("case", DataFiles(path=str(path)))
    assert f"{name} is no text, but {message.format(name)}" in str(caught.value)


@pytest.mark.parametrize("first", ["PAR1", "BZh", "PK"])
def test_text_may_begin_as_other_files_do(tmp_path: Path, first: str) -> None:
    path = tmp_path / "x.csv"
    path.write_text(PLAIN["x.csv"].replace("user", first, 1))
    assert load_own("case", DataFiles(path=str(path), user=first)).interactions.n_events == 12


@pytest.mark.parametrize("name", PLAIN)
def test_a_suffix_counts_in_any_case(tmp_path: Path, name: str) -> None:
    for path in (tmp_path / name, tmp_path / name.upper()):
        path.write_text(PLAIN[name])
    plain, shouted = (load_own("case", DataFiles(path=str(tmp_path / one))) for one in (name, name.upper()))
    assert plain.content_hash == shouted.content_hash


@pytest.mark.parametrize("content", ["user,item,time", "user,item,time\n", "\ufeffuser,item,time"])
def test_a_row_of_names_alone_is_not_called_empty(tmp_path: Path, content: str) -> None:
    (tmp_path / "x.csv").write_text(content)
    with pytest.raises(BenchError, match="no rows") as caught:
        load_own("case", DataFiles(path=str(tmp_path / "x.csv")))
    assert "empty" not in str(caught.value)
