"""The data sets that a suite can name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from bench.data.data_files import DataFiles
from bench.data.dataset import Dataset
from bench.data.shelf import Shelf
from bench.data.sources import (
    amazon,
    complete_journey,
    kuairec,
    movielens,
    order_only,
    ordered,
    sequences,
    synthetic,
    taobao_mm,
)
from bench.data.sources.own import load_own
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
    "complete-journey": CatalogEntry(
        complete_journey.SUMMARY,
        complete_journey.LICENCE,
        complete_journey.SOURCE,
        complete_journey.load_complete_journey,
    ),
    "complete-journey-compact": CatalogEntry(
        complete_journey.COMPACT_SUMMARY,
        complete_journey.LICENCE,
        complete_journey.SOURCE,
        complete_journey.load_complete_journey_compact,
    ),
    **{
        name: CatalogEntry(
            summary, movielens.LICENCE, movielens.GROUPLENS_SOURCE, partial(movielens.load_release, name)
        )
        for name, summary in movielens.RELEASES.items()
    },
    **{
        name: CatalogEntry(release.summary, amazon.LICENCE, release.source, partial(amazon.load_release, name))
        for name, release in amazon.RELEASES.items()
    },
    **{
        name: CatalogEntry(summary, amazon.LICENCE, sequences.SOURCE, partial(sequences.load_release, name))
        for name, summary in sequences.RELEASES.items()
    },
    **{
        name: CatalogEntry(release.summary, release.licence, release.source, partial(ordered.load_release, name))
        for name, release in ordered.RELEASES.items()
    },
    **{
        name: CatalogEntry(release.summary, release.licence, release.source, partial(order_only.load_release, name))
        for name, release in order_only.RELEASES.items()
    },
    "kuairec-big": CatalogEntry(kuairec.BIG_SUMMARY, kuairec.LICENCE, kuairec.SOURCE, kuairec.load_kuairec_big),
    "kuairec-small": CatalogEntry(kuairec.SMALL_SUMMARY, kuairec.LICENCE, kuairec.SOURCE, kuairec.load_kuairec_small),
    "taobao-mm": CatalogEntry(taobao_mm.SUMMARY, taobao_mm.LICENCE, taobao_mm.SOURCE, taobao_mm.load_taobao_mm),
    "planted-long": CatalogEntry(
        synthetic.LONG_SUMMARY, synthetic.LICENCE, synthetic.SOURCE, synthetic.load_planted_long
    ),
    "planted-mixed": CatalogEntry(
        synthetic.MIXED_SUMMARY, synthetic.LICENCE, synthetic.SOURCE, synthetic.load_planted_mixed
    ),
    "planted-recent": CatalogEntry(
        synthetic.RECENT_SUMMARY, synthetic.LICENCE, synthetic.SOURCE, synthetic.load_planted_recent
    ),
}


def available_datasets() -> dict[str, str]:
    """Name -> one line, in the order of the catalogue. Loads nothing."""
    return {name: entry.summary for name, entry in CATALOG.items()}


def _read(name: str, files: DataFiles | None) -> Dataset:
    if files is not None:
        return load_own(name, files)
    if name not in CATALOG:
        raise unknown_name("data set", name, CATALOG)
    return CATALOG[name].load()


load_dataset = Shelf(_read, most=4)
"""The data set of a name, read once per process; what a run may do to it is found by `Shelf.changed`."""
