"""Amazon Beauty and MovieLens-1M as tables of events in order, without times: the form that many studies pass on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd

from bench.data.catalog_entry import CatalogEntry
from bench.data.dataset import Dataset, SeenItems
from bench.data.events import ItemFacts, assemble
from bench.data.sources import amazon, movielens
from bench.data.sources.item_files import read_item_facts
from bench.data.sources.recbole_wheel import DATA_FOLDER_VARIABLE, data_folder
from bench.data.sources.tables import read_events
from bench.errors import MissingDataError


def _films(path: Path) -> ItemFacts:
    """Titles with their years, genres of which the first is the category, and descriptions for other templates."""
    facts = read_item_facts(path, None, "movie_id", ("title", "genres"), "genres")
    assert facts is not None  # a path was given
    return facts


def _products(path: Path) -> ItemFacts:
    """Titles, and attributes as words: a bare number would mean the same as one in a title ("SPF 30").

    The attributes of an item are its brand, where known, and its categories from the general to the special. A brand
    stands nowhere but in the first position, so the first attribute that stands elsewhere too is the general category.
    """
    facts = read_item_facts(path, None, "item_id", ("title", "category_attr_ids"))
    assert facts is not None  # a path was given
    numbers = facts.columns["category_attr_ids"].str.split()
    categories = {number for row in numbers for number in row[1:]}
    words = numbers.map(lambda row: " ".join(f"attribute-{number}" for number in row))
    general = numbers.map(lambda row: next((number for number in row if number in categories), ""))
    columns = pd.DataFrame({"title": facts.columns["title"], "attributes": words})
    return ItemFacts(facts.ids, columns, ("title", "attributes"), general)


@dataclass(frozen=True)
class Release:
    """Two tables: events, with a user, a position in the user's history and an item; and what is known of the items.

    Attributes:
        stem: The files are `NAME/events.parquet` and so on in the user's data folder, or `STEM_events.parquet` and so
            on right in it.
        item: Column of the events that holds items.
        items: The item table's suffix.
        item_columns: Of the item table, for whoever has to make one.
        facts: Reads the item table.
        summary, licence, source: See `bench.data.catalog_entry.CatalogEntry`.
    """

    stem: str
    item: str
    items: str
    item_columns: tuple[str, ...]
    facts: Callable[[Path], ItemFacts]
    summary: str
    licence: str
    source: str


RELEASES = {
    "beauty": Release(
        stem="beauty",
        item="item_id",
        items=".csv",
        item_columns=("item_id", "title", "category_attr_ids"),
        facts=_products,
        summary="Amazon Beauty 2014, 5-core, in order without times: 22,363 users, 12,101 items, 198,502 reviews",
        licence=amazon.LICENCE,
        source="Tables prepared from the reviews and metadata of " + amazon.RELEASES["amazon-beauty"].source,
    ),
    "ml-1m-order": Release(
        stem="ml1m",
        item="movie_id",
        items=".parquet",
        item_columns=("movie_id", "title", "genres"),
        facts=_films,
        summary="MovieLens-1M, better ratings, in order without times: 6,038 users, 3,307 films, 835,789 events",
        licence=movielens.LICENCE,
        source="Tables prepared from the " + movielens.GROUPLENS_SOURCE,
    ),
}
_SEEN_ITEMS: SeenItems = "exclude"


def load_release(name: str) -> Dataset:
    """Reads one of `RELEASES`, from the user's data folder. Every row is an event, in the order of `pos` within a user.

    Raises:
        MissingDataError: Its files are absent.
        BenchError: They are malformed.
    """
    release, (events, items) = RELEASES[name], _files_of(name)
    log = read_events(events, user="user_id", item=release.item, order="pos")
    return assemble(name, log, release.facts(items), release.licence, release.source, _SEEN_ITEMS)


def _files_of(name: str) -> tuple[Path, Path]:
    """The events and the items of one of `RELEASES`.

    Raises:
        MissingDataError: One of the files is absent.
    """
    release = RELEASES[name]
    folder = data_folder()
    for beginning in (f"{name}/", f"{release.stem}_"):
        events, items = folder / f"{beginning}events.parquet", folder / f"{beginning}items{release.items}"
        if events.is_file() and items.is_file():
            return events, items
    raise MissingDataError(
        f"{name} is not on this machine: put events.parquet (user_id, pos, {release.item}) and items{release.items} "
        f"({', '.join(release.item_columns)}) into {folder / name} (the data folder is ${DATA_FOLDER_VARIABLE}, else "
        "~/.cache/glass-bench)"
    )


DATASETS = {
    name: CatalogEntry(
        release.summary, release.licence, release.source, partial(load_release, name), partial(_files_of, name)
    )
    for name, release in RELEASES.items()
}
