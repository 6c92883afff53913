"""The data sets that a suite can name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from bench.data import movielens
from bench.data.dataset import Dataset
from bench.errors import unknown_name


@dataclass(frozen=True)
class CatalogEntry:
    """A data set before it is loaded.

    Attributes:
        summary: One line for `bench list datasets`.
        licence: What its users may do, in one sentence.
        source: Whom to cite, and where this copy comes from.
        load: Reads it; the hash, the rule on seen items and the like are then part of the `Dataset`.
    """

    summary: str
    licence: str
    source: str
    load: Callable[[], Dataset]


CATALOG: dict[str, CatalogEntry] = {
    "ml-100k": CatalogEntry(movielens.SUMMARY, movielens.LICENCE, movielens.SOURCE, movielens.load_ml_100k),
}


def available_datasets() -> dict[str, str]:
    """Name -> one line, in the order of the catalogue. Loads nothing."""
    return {name: entry.summary for name, entry in CATALOG.items()}


@lru_cache(maxsize=4)
def load_dataset(name: str) -> Dataset:
    """The data set of that name, read once per process.

    Raises:
        BenchError: Nobody registered the name, or its files are missing or malformed.
    """
    if name not in CATALOG:
        raise unknown_name("data set", name, CATALOG)
    return CATALOG[name].load()
