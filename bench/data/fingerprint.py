"""One hash for everything about a data set that can change a result."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.data.cache import content_key
from bench.data.dataset import ItemTable, SeenItems
from bench.data.interactions import Interactions


def dataset_hash(
    name: str,
    interactions: Interactions,
    item_table: ItemTable,
    item_ids: NDArray[np.str_],
    user_ids: NDArray[np.str_],
    seen_items: SeenItems,
    baskets: bool,
) -> str:
    """The `content_hash` of a data set, for loaders. Words meant for the report only (licence, source) don't count."""
    columns = {str(column): item_table.columns[column].tolist() for column in item_table.columns}
    return content_key(
        [name, interactions.n_items, seen_items, baskets],
        interactions.items,
        interactions.timestamps,
        interactions.offsets,
        [item_ids.tolist(), user_ids.tolist()],
        [list(columns), columns, list(item_table.text_columns)],
        "no category" if item_table.category is None else item_table.category,
    )
