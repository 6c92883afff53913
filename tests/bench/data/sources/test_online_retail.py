"""Online Retail II: tiny files of the published shape, rule by rule, and the real one where it is present."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.data.dataset import Dataset
from bench.data.protocols import split
from bench.data.sources import online_retail
from bench.data.sources.online_retail import DATASETS, load_online_retail
from bench.data.sources.recbole_wheel import DATA_FOLDER_VARIABLE
from bench.errors import BenchError, MissingDataError

COLUMNS = ["Invoice", "StockCode", "Description", "Quantity", "InvoiceDate", "Price", "Customer ID", "Country"]
FIRST_SHEET = [
    ("489434", "A", " White mug ", 12, "2009-12-01 07:45:00", 6.95, 13085.0, "United Kingdom"),
    ("489434", "B", "RED MUG", 1, "2009-12-01 07:45:00", 6.75, 13085.0, "United Kingdom"),
    ("489435", "A", "WHITE MUG", 3, "2009-12-01 07:46:00", 6.95, 13078.0, "France"),
    ("489436", "A", "WHITE MUG", 3, "2009-12-02 09:00:00", 6.95, np.nan, "France"),  # nobody
    ("C489437", "B", "RED MUG", 2, "2009-12-02 10:00:00", 6.75, 13085.0, "United Kingdom"),  # a cancellation
    ("489438", "B", "RED MUG", -2, "2009-12-02 10:00:00", 6.75, 13085.0, "United Kingdom"),  # a return
    ("489439", "C", None, 5, "2009-12-02 11:00:00", 0.0, 13085.0, "United Kingdom"),  # no description
    ("536365", "B", "RED MUG", 6, "2010-12-01 08:26:00", 2.55, 13085.0, "United Kingdom"),
]
SECOND_SHEET = [
    ("536365", "B", "RED MUG", 6, "2010-12-01 08:26:00", 2.55, 13085.0, "United Kingdom"),  # in both sheets
    ("581587", "A", "WHITE MUG", 4, "2011-12-09 12:50:00", 4.95, 13085.0, "United Kingdom"),
    ("581588", "A", "WHITE MUG", 4, "2010-01-09 12:50:00", 4.95, 13078.0, "France"),
]
PURCHASES = {"13078": ["WHITE MUG", "WHITE MUG"], "13085": ["WHITE MUG", "RED MUG", "RED MUG", "WHITE MUG"]}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data set's own folder, in an empty data folder."""
    monkeypatch.setenv(DATA_FOLDER_VARIABLE, str(tmp_path))
    own = tmp_path / "online-retail-ii"
    own.mkdir()
    return own


def as_csv(folder: Path, **changes: object) -> None:
    lines = pd.DataFrame([*FIRST_SHEET, *SECOND_SHEET], columns=COLUMNS).assign(**changes)
    lines.to_csv(folder / "online_retail_II.csv", index=False)


def purchases(dataset: Dataset) -> dict[str, list[str]]:
    offsets = dataset.interactions.offsets
    ids = dataset.item_ids[dataset.interactions.items].tolist()
    return {user: ids[offsets[row] : offsets[row + 1]] for row, user in enumerate(dataset.user_ids.tolist())}


def load() -> Dataset:
    return load_online_retail("online-retail-ii", ())


def test_every_rule_is_applied_and_counted_in_a_line(folder: Path) -> None:
    as_csv(folder)
    dataset = load()
    assert purchases(dataset) == PURCHASES
    assert dataset.filters[:6] == (
        "read from online_retail_II.csv: 11 lines of invoices",
        "1 of 11 lines without a customer are left out",
        "1 of 10 lines of cancellations (an invoice that begins with C) are left out",
        "1 of 9 lines with a quantity below 1 are left out",
        "1 of 8 lines without a description are left out",
        "1 of 7 lines whose customer, product and minute an earlier line has (the two years overlap in December 2010) "
        "are left out",
    )
    assert (dataset.seen_items, dataset.baskets, dataset.has_time) == ("keep", True, True)
    assert dataset.interactions.timestamps.max() == pd.Timestamp("2011-12-09 12:50").timestamp()
    assert dataset.item_table.columns["description"].tolist() == ["RED MUG", "WHITE MUG"]


def test_a_basket_is_a_customer_and_a_minute(folder: Path) -> None:
    as_csv(folder)
    (start, *_) = load().interactions.timestamps[2:4]
    dataset = load()
    row = dataset.user_ids.tolist().index("13085")
    first = dataset.interactions.offsets[row]
    assert dataset.interactions.timestamps[first] == dataset.interactions.timestamps[first + 1] == start
    assert len(split(dataset, "leave-one-out").test) == 1  # the other customer has two baskets only


def test_the_workbook_gives_the_same_data_and_is_read_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openpyxl")
    with pd.ExcelWriter(folder / "online_retail_II.xlsx") as book:
        for name, lines in (("Year 2009-2010", FIRST_SHEET), ("Year 2010-2011", SECOND_SHEET)):
            sheet = pd.DataFrame(lines, columns=COLUMNS)
            sheet["InvoiceDate"] = pd.to_datetime(sheet["InvoiceDate"])
            sheet["Invoice"] = [int(number) if number.isdigit() else number for number in sheet["Invoice"]]
            sheet.to_excel(book, sheet_name=name, index=False)
    dataset = load()
    monkeypatch.setattr(online_retail, "_sheets", lambda path: pytest.fail("read again"))
    again = load()
    (folder / "online_retail_II.xlsx").unlink()
    as_csv(folder)
    assert purchases(dataset) == PURCHASES
    assert dataset.content_hash == again.content_hash == load().content_hash
    assert dataset.filters[1:] == load().filters[1:]


def test_without_openpyxl_a_workbook_is_skipped_in_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lacking(*_: object, **__: object) -> None:
        raise ImportError("Missing optional dependency 'openpyxl'")

    monkeypatch.setattr(pd, "read_excel", lacking)
    (folder / "online_retail_II.xlsx").write_bytes(b"PK")
    with pytest.raises(MissingDataError, match=r"openpyxl, which is not installed: run `pip install openpyxl`") as told:
        load()
    assert "\n" not in str(told.value)


def test_a_broken_workbook_is_named(folder: Path) -> None:
    pytest.importorskip("openpyxl")
    (folder / "online_retail_II.xlsx").write_bytes(b"nothing of the kind")
    with pytest.raises(BenchError, match=r"online_retail_II.xlsx: can't be read as a workbook"):
        load()


def test_a_prepared_table_gives_the_same_data_but_for_what_it_does_not_know(folder: Path) -> None:
    kept = [*FIRST_SHEET[:3], FIRST_SHEET[7], *SECOND_SHEET[1:]]
    lines = pd.DataFrame(kept, columns=COLUMNS)
    table = pd.DataFrame(
        {
            "customer_id": lines["Customer ID"].astype(int),
            "product": lines["Description"].str.strip().str.upper(),
            "invoice_date": pd.to_datetime(lines["InvoiceDate"]),
            "quantity": lines["Quantity"],
        }
    )
    table.to_parquet(folder.parent / "online_retail_ii.parquet")
    dataset = load()
    assert purchases(dataset) == PURCHASES
    assert "cancellations can't be told from other returns" in dataset.filters[1]
    as_csv(folder)  # what was published goes before it
    assert load().content_hash == dataset.content_hash
    assert load().filters[0].startswith("read from online_retail_II.csv")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"InvoiceDate": "yesterday"}, "column 'InvoiceDate' holds something else than times"),
        ({"Quantity": "many"}, "its quantity column holds something else than numbers"),
        ({"Customer ID": 1.5}, "a customer id is no whole number"),
        ({"Customer ID": np.nan}, "no line of it is a purchase by a known customer"),
    ],
)
def test_wrong_cells_are_one_line(folder: Path, changes: dict[str, object], message: str) -> None:
    as_csv(folder, **changes)
    with pytest.raises(BenchError, match=message) as told:
        load()
    assert "\n" not in str(told.value)


def test_another_file_is_told_by_the_column_that_it_lacks(folder: Path) -> None:
    pd.DataFrame({"a": [1]}).to_csv(folder / "online_retail_II.csv", index=False)
    with pytest.raises(BenchError, match="there is no column 'Invoice'; is it the file of UCI data set 502"):
        load()


def test_an_absent_file_is_told_in_one_line_that_says_what_to_put_where(folder: Path) -> None:
    with pytest.raises(
        MissingDataError, match=r"put online_retail_II.xlsx of archive.ics.uci.edu/dataset/502 into"
    ) as told:
        load()
    assert str(folder) in str(told.value)


@pytest.mark.parametrize(
    ("name", "users", "items", "events"),
    [("online-retail-ii", 1595, 4639, 591_383), ("online-retail-ii-all", 5881, 4640, 766_955)],
)
def test_the_real_data_have_the_documented_size(name: str, users: int, items: int, events: int) -> None:
    if not os.environ.get(DATA_FOLDER_VARIABLE):
        pytest.skip(f"{DATA_FOLDER_VARIABLE} is not set")
    try:
        interactions = DATASETS[name].load().interactions
    except MissingDataError as error:
        pytest.skip(str(error))
    found = (interactions.n_users, interactions.n_items, interactions.n_events)
    assert found == pytest.approx((users, items, events), rel=0.02)  # of a prepared table; published files may differ
