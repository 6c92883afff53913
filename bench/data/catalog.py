"""The data sets that a suite can name."""

from __future__ import annotations

from bench.data.catalog_entry import CatalogEntry
from bench.data.data_files import DataFiles
from bench.data.dataset import Dataset
from bench.data.shelf import Shelf
from bench.data.sources.own import load_own
from bench.data.user_sample import sampled
from bench.declarations import collected
from bench.errors import unknown_name

SOURCES = (
    "movielens",
    "complete_journey",
    "online_retail",
    "amazon",
    "sequences",
    "ordered",
    "order_only",
    "kuairec",
    "taobao_mm",
    "synthetic",
)
"""Modules of `bench.data.sources` with data sets of their own, each of which declares them as `DATASETS`."""

CATALOG: dict[str, CatalogEntry] = collected("bench.data.sources", SOURCES, "DATASETS")


def available_datasets() -> dict[str, str]:
    """Name -> one line, in the order of the catalogue. Loads nothing."""
    return {name: entry.summary for name, entry in CATALOG.items()}


def _read(name: str, files: DataFiles | None, sample_users: int | None) -> Dataset:
    whole = _whole(name, files)
    return whole if sample_users is None else sampled(whole, sample_users)


def _whole(name: str, files: DataFiles | None) -> Dataset:
    if files is not None:
        return load_own(name, files)
    if name not in CATALOG:
        raise unknown_name("data set", name, CATALOG)
    return CATALOG[name].load()


load_dataset = Shelf(_read, most=4)
"""The data set of a name, read once per process; what a run may do to it is found by `Shelf.changed`."""
