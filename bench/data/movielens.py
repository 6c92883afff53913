"""MovieLens-100K: 943 users, 1,682 films, 100,000 ratings."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.data.atomic_files import read_atomic_dataset
from bench.data.dataset import Dataset, ItemTable, SeenItems
from bench.data.fingerprint import dataset_hash
from bench.data.recbole_wheel import ml_100k_folder

SUMMARY = "MovieLens-100K: 943 users, 1,682 films, 100,000 ratings, medium histories, no repeats"
LICENCE = (
    "GroupLens usage licence: free for research with acknowledgement; no redistribution and no commercial use "
    "without permission, no endorsement implied."
)
SOURCE = (
    "F. M. Harper and J. A. Konstan: The MovieLens Datasets: History and Context. ACM TiiS 5(4), 2015, "
    "doi:10.1145/2827872; as shipped with RecBole 1.2.1 (dataset_example/ml-100k)."
)
_SEEN_ITEMS: SeenItems = "exclude"
_BASKETS = False
"""Many ratings of a user share a second, since the site let people rate a page of films at once. These are no baskets:
nothing was chosen together, and the order within a second is that of the file."""


def load_ml_100k() -> Dataset:
    """Loads the data set; every rating is an event, whatever its value, as is usual for sequential recommendation.

    An item's category is its first-listed genre, numbered in the order of the sorted names.
    """
    raw = read_atomic_dataset(ml_100k_folder(), "ml-100k")
    year = raw.items["release_year"]
    columns = pd.DataFrame(
        {
            "title": raw.items["movie_title"],
            "genres": raw.items["class"].replace("unknown", ""),
            "year": year.where(year.str.fullmatch(r"\d{4}"), ""),  # two films have "V" and "unkonwn"
        }
    )
    item_table = ItemTable(
        columns=columns, text_columns=("title", "genres", "year"), category=_first_genre(columns["genres"])
    )
    return Dataset(
        name="ml-100k",
        interactions=raw.interactions,
        item_table=item_table,
        item_ids=raw.item_ids,
        user_ids=raw.user_ids,
        seen_items=_SEEN_ITEMS,
        baskets=_BASKETS,
        licence=LICENCE,
        source=SOURCE,
        content_hash=dataset_hash(
            "ml-100k", raw.interactions, item_table, raw.item_ids, raw.user_ids, _SEEN_ITEMS, _BASKETS
        ),
    )


def _first_genre(genres: pd.Series) -> NDArray[np.int32]:
    """int32 `[n_items]`, -1 where an item has no genre."""
    first = genres.str.split().str[0]
    codes, _ = pd.factorize(first, sort=True)
    return codes.astype(np.int32)
