"""A data set as the harness sees it, and what of it a recommender may train on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.data.interactions import Interactions

SeenItems = Literal["exclude", "keep"]


@dataclass(frozen=True)
class ItemTable:
    """What is known of the items beside who used them. Row `i` of everything here is item `i`.

    Attributes:
        columns: One row an item, with the original columns (`title`, `genres`, ...); missing text is "".
        text_columns: The columns that describe an item in words, in the order of the text template.
        category: int32 `[n_items]`, the one category of each item, -1 where unknown. None: the data has none.
    """

    columns: pd.DataFrame
    text_columns: tuple[str, ...]
    category: NDArray[np.int32] | None


@dataclass(frozen=True)
class Dataset:
    """Interactions, items, and the properties that belong to the data and not to any model.

    Attributes:
        name: The registered name.
        interactions: All events.
        item_table: Side information.
        item_ids, user_ids: The original ids, as strings, by index.
        seen_items: Whether items of the history stay candidates ("keep") or not ("exclude").
        baskets: Whether events of one user with one timestamp are one basket; a query's history then ends
            before its target's basket.
        licence, source: For the report.
        content_hash: Hash of everything above that can change a result (so not of `licence` and `source`).
    """

    name: str
    interactions: Interactions
    item_table: ItemTable
    item_ids: NDArray[np.str_]
    user_ids: NDArray[np.str_]
    seen_items: SeenItems
    baskets: bool
    licence: str
    source: str
    content_hash: str


@dataclass(frozen=True)
class TrainingData:
    """What `Recommender.fit` receives: nothing at or after any user's validation target.

    Attributes:
        interactions: The training events only.
        item_table: Side information of the whole catalogue.
        exclude_seen: Whether the items of a history are no candidates for its own query.
        content_hash: Hash of the data set and the protocol; part of the key of every cached artifact.
    """

    interactions: Interactions
    item_table: ItemTable
    exclude_seen: bool
    content_hash: str

    @property
    def n_items(self) -> int:
        return self.interactions.n_items
