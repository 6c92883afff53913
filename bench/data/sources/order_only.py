"""Events in order and nothing else: data sets of published tables whose items have neither names nor times."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.data.catalog_entry import CatalogEntry
from bench.data.dataset import Dataset, SeenItems
from bench.data.events import assemble
from bench.data.sources import amazon, movielens
from bench.data.sources.recbole_wheel import DATA_FOLDER_VARIABLE, data_folder
from bench.data.sources.tables import read_events
from bench.errors import MissingDataError


@dataclass(frozen=True)
class Release:
    """One table with the columns user_id, pos and item_id.

    Attributes:
        stem: The file is `NAME/events.parquet` in the user's data folder, or `STEM_events.parquet` right in it.
        summary, licence, source: Of the catalogue of data sets.
    """

    stem: str
    summary: str
    licence: str
    source: str


_S3REC = "Sequences as prepared by K. Zhou et al.: S3-Rec. CIKM 2020; "
RELEASES = {
    "sports": Release(
        "sports",
        "Amazon Sports 2014, 5-core, in order without times or names: 35,598 users, 18,357 items, 296,337 reviews",
        amazon.LICENCE,
        _S3REC + amazon.RELEASES["amazon-beauty"].source,
    ),
    "toys": Release(
        "toys",
        "Amazon Toys 2014, 5-core, in order without times or names: 19,412 users, 11,924 items, 167,597 reviews",
        amazon.LICENCE,
        _S3REC + amazon.RELEASES["amazon-beauty"].source,
    ),
    "ml-1m-full-order": Release(
        "ml1m_full",
        "MovieLens-1M, all ratings, in order without times or titles: 6,040 users, 3,416 films, 999,611 events",
        movielens.LICENCE,
        "As prepared by Z. Yue et al.: Linear Recurrent Units for Sequential Recommendation. WSDM 2024; "
        + movielens.GROUPLENS_SOURCE,
    ),
}
_SEEN_ITEMS: SeenItems = "exclude"


def load_release(name: str) -> Dataset:
    """One of `RELEASES`, from the user's data folder. Every row is an event, in the order of `pos` within a user.

    Raises:
        MissingDataError: Its file is absent.
        BenchError: It is malformed.
    """
    release = RELEASES[name]
    log = read_events(_events_of(name), user="user_id", item="item_id", order="pos")
    return assemble(name, log, None, release.licence, release.source, _SEEN_ITEMS)


def _events_of(name: str) -> Path:
    """The file of one of `RELEASES`.

    Raises:
        MissingDataError: It is absent.
    """
    release, folder = RELEASES[name], data_folder()
    for path in (folder / name / "events.parquet", folder / f"{release.stem}_events.parquet"):
        if path.is_file():
            return path
    raise MissingDataError(
        f"{name} is not on this machine: put events.parquet (user_id, pos, item_id) into {folder / name} (the data "
        f"folder is ${DATA_FOLDER_VARIABLE}, else ~/.cache/glass-bench)"
    )


DATASETS = {
    name: CatalogEntry(
        release.summary, release.licence, release.source, partial(load_release, name), partial(_events_of, name)
    )
    for name, release in RELEASES.items()
}
