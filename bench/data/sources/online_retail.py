"""Online Retail II: two years of a British gift wholesaler, long timed histories with baskets and repeats."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from filelock import FileLock
from numpy.typing import NDArray

from bench.data.catalog_entry import CatalogEntry
from bench.data.dataset import Dataset, SeenItems
from bench.data.events import EventLog, ItemFacts, assemble
from bench.data.filters import Filter, HistoryLength, MinimumEvents
from bench.data.sources.recbole_wheel import DATA_FOLDER_VARIABLE, data_folder
from bench.errors import BenchError, MissingDataError, message_of
from bench.files import replaced

SUMMARY = (
    "Online Retail II: 1,595 customers of a British wholesaler with at least 100 purchases before the last basket, "
    "4,639 products, 591,383 purchases in two years, baskets, repeats; the file is UCI 502"
)
ALL_SUMMARY = (
    "Online Retail II, every customer: 5,881 customers, 4,640 products, 766,955 purchases in two years, baskets"
)
LICENCE = "CC BY 4.0: share and adapt with attribution."
SOURCE = (
    "D. Chen: Online Retail II. UCI Machine Learning Repository, data set 502, 2019, https://doi.org/10.24432/C5CG6D."
)
PUBLISHED = ("online_retail_II.xlsx", "online_retail_II.csv")
"""Names of the file as published, and as text."""

PREPARED = ("online_retail_ii.parquet",)
"""Names of a table that was made from it: without invoice numbers, and so without cancellations."""

_FOLDER = "online-retail-ii"
_SEEN_ITEMS: SeenItems = "keep"
_BASKETS = True
_NAMES = {
    "invoice": ("Invoice", "InvoiceNo"),
    "product": ("Description", "product"),
    "quantity": ("Quantity", "quantity"),
    "time": ("InvoiceDate", "invoice_date"),
    "customer": ("Customer ID", "CustomerID", "customer_id"),
}
"""What a column is called in the edition of 2019, in that of 2015 (UCI 352), and in a prepared table."""

_VERSION = "1"
"""Of what is kept of a workbook; raise it when `_sheets` changes what it reads."""


@dataclass(frozen=True)
class _Rule:
    """What a line of an invoice needs in order to be an event.

    Attributes:
        words: What is left out where it is not so.
        holds: Lines -> bool `[n]`.
    """

    words: str
    holds: Callable[[pd.DataFrame], NDArray[np.bool_]]


_RULES = (
    _Rule("without a customer", lambda lines: lines["customer"].notna().to_numpy()),
    _Rule("of cancellations (an invoice that begins with C)", lambda lines: ~_is_cancelled(lines)),
    _Rule("with a quantity below 1", lambda lines: (lines["quantity"] > 0).to_numpy()),
    _Rule("without a description", lambda lines: (lines["product"] != "").to_numpy()),
    _Rule(
        "whose customer, product and minute an earlier line has (the two years overlap in December 2010)",
        lambda lines: ~lines.duplicated(["customer", "product", "time"]).to_numpy(),
    ),
)
"""Applied in this order, each to what the ones before it left."""


def load_online_retail(name: str, filters: Sequence[Filter]) -> Dataset:
    """Loads the purchases that keep to `_RULES`.

    A line of an invoice is an event, whatever its quantity, and a basket is what one customer bought in one minute: the
    stamps have no seconds. A product is its description in capitals, without blanks around it: prepared tables have no
    stock codes, and with descriptions they and the published file give the same items. Nothing is left out by what a
    line is about: 0.4 % of the lines are postage, carriage and manual entries. Local times are read as if in UTC.

    Args:
        name: Of the variant.
        filters: What else is left out.

    Raises:
        MissingDataError: The file is absent, or a package that reads it.
        BenchError: It holds something else.
    """
    path = _path()
    lines = _lines(path)
    notes = [f"read from {path.name}: {len(lines):,} lines of invoices"]
    if "invoice" not in lines:
        notes.append("a prepared table without invoice numbers: cancellations can't be told from other returns")
    for rule in _RULES:
        keep = rule.holds(lines)
        notes.append(f"{int((~keep).sum()):,} of {len(lines):,} lines {rule.words} are left out")
        lines = lines[keep]
    if lines.empty:
        raise BenchError(f"{path}: no line of it is a purchase by a known customer")
    users, user_ids = pd.factorize(lines["customer"], sort=True)
    items, item_ids = pd.factorize(lines["product"], sort=True)
    log = EventLog(
        users=users,
        items=items,
        times=lines["time"].to_numpy(dtype="datetime64[s]").astype(np.int64),
        user_ids=np.asarray(user_ids).astype(np.int64).astype(np.str_),
        item_ids=np.asarray(item_ids, dtype=np.str_),
        notes=tuple(notes),
    )
    facts = ItemFacts(log.item_ids, pd.DataFrame({"description": item_ids}), ("description",))
    return assemble(name, log, facts, LICENCE, SOURCE, _SEEN_ITEMS, _BASKETS, filters)


def _is_cancelled(lines: pd.DataFrame) -> NDArray[np.bool_]:
    if "invoice" not in lines:
        return np.zeros(len(lines), dtype=bool)
    return lines["invoice"].astype(str).str.upper().str.startswith("C").to_numpy()


def _path() -> Path:
    """The first of the files that may be there: in a folder of the data set's own, or right in the data folder.

    Raises:
        MissingDataError: None of them is.
    """
    own = data_folder() / _FOLDER
    for name in (*PUBLISHED, *PREPARED):
        for folder in (own, data_folder()):
            if (folder / name).is_file():
                return folder / name
    raise MissingDataError(
        f"online-retail-ii is not on this machine: put {PUBLISHED[0]} of archive.ics.uci.edu/dataset/502 into {own} "
        f"(the data folder is ${DATA_FOLDER_VARIABLE}, else ~/.cache/glass-bench)"
    )


def _readable() -> Path:
    """The same file, where what reads it is installed.

    Raises:
        MissingDataError: It is absent, or a package that reads it.
    """
    path = _path()
    if path.suffix == ".xlsx" and importlib.util.find_spec("openpyxl") is None:
        raise MissingDataError(_without_openpyxl(path))
    return path


def _without_openpyxl(path: Path) -> str:
    return (
        f"{path} is read with openpyxl, which is not installed: run `pip install openpyxl`, or save both sheets as one "
        f"{PUBLISHED[1]} there"
    )


def _lines(path: Path) -> pd.DataFrame:
    """All lines of invoices in the order of the file, with the columns of `_NAMES` and clean cells.

    Raises:
        BenchError: A column is missing, or a cell is not what its column says.
    """
    if path.suffix == ".xlsx":
        raw = _workbook(path)
    else:
        try:
            raw = pd.read_csv(path, dtype=str) if path.suffix == ".csv" else pd.read_parquet(path)
        except (OSError, ValueError, pa.ArrowException) as error:
            raise BenchError(f"{path}: can't be read ({message_of(error)})") from None
    lines = _renamed(raw, path)
    lines["product"] = lines["product"].fillna("").astype(str).str.strip().str.upper()
    for column in ("quantity", "customer"):
        lines[column] = _numbers(lines[column].rename(column), path)
    if (lines["customer"].dropna() % 1 != 0).any():
        raise BenchError(f"{path}: a customer id is no whole number")
    try:
        times = pd.to_datetime(lines["time"], format="ISO8601")
    except ValueError as error:
        raise BenchError(
            f"{path}: column 'InvoiceDate' holds something else than times such as 2009-12-01 07:45 ({error})"
        ) from None
    lines["time"] = times.dt.floor("min")
    if lines["time"].isna().any():
        raise BenchError(f"{path}: row {int(lines['time'].isna().to_numpy().argmax()) + 1} has no time")
    return lines


def _renamed(raw: pd.DataFrame, path: Path) -> pd.DataFrame:
    """The columns that are needed, under their names here; only a prepared table may lack the invoice."""
    found = {}
    for column, names in _NAMES.items():
        name = next((name for name in names if name in raw), None)
        if name is not None:
            found[column] = raw[name]
        elif column != "invoice" or path.name not in PREPARED:
            raise BenchError(f"{path}: there is no column '{names[0]}'; is it the file of UCI data set 502?")
    return pd.DataFrame(found)


def _numbers(cells: pd.Series, path: Path) -> pd.Series:
    try:
        return pd.to_numeric(cells)
    except (ValueError, TypeError) as error:
        raise BenchError(f"{path}: its {cells.name} column holds something else than numbers ({error})") from None


def _workbook(path: Path) -> pd.DataFrame:
    """The lines of all sheets. Reading a workbook takes a minute, so they are kept beside it, under its hash."""
    kept = path.parent / "prepared" / f"{_digest(path)}.parquet"
    kept.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(kept.with_suffix(".lock")):
        if not kept.is_file():
            lines = _sheets(path)
            with replaced(kept) as temporary:
                lines.to_parquet(temporary, index=False)
        return pd.read_parquet(kept)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        held = hashlib.sha256(_VERSION.encode())
        while block := file.read(1 << 22):
            held.update(block)
    return held.hexdigest()[:16]


def _sheets(path: Path) -> pd.DataFrame:
    """All sheets of the workbook, one after the other; only the columns that are needed.

    Raises:
        MissingDataError: openpyxl, which reads it, is not installed.
        BenchError: It is no workbook.
    """
    try:
        sheets = pd.read_excel(path, sheet_name=None, engine="openpyxl")
    except ImportError:
        raise MissingDataError(_without_openpyxl(path)) from None
    except Exception as error:  # of the zip archive, of the XML in it, of openpyxl's own
        raise BenchError(f"{path}: can't be read as a workbook ({message_of(error)})") from None
    lines = pd.concat([_renamed(sheet, path) for sheet in sheets.values()], ignore_index=True)
    return lines.assign(invoice=lines["invoice"].astype(str), product=lines["product"].fillna("").astype(str)).rename(
        columns={column: names[0] for column, names in _NAMES.items()}
    )


_FREQUENT = MinimumEvents(per_item=5)

DATASETS = {
    "online-retail-ii": CatalogEntry(
        SUMMARY,
        LICENCE,
        SOURCE,
        partial(load_online_retail, "online-retail-ii", (_FREQUENT, HistoryLength(at_least=100))),
        _readable,
    ),
    "online-retail-ii-all": CatalogEntry(
        ALL_SUMMARY, LICENCE, SOURCE, partial(load_online_retail, "online-retail-ii-all", (_FREQUENT,)), _readable
    ),
}
