"""One hash for everything about a data set that can change a result."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from bench.data.cache import content_key
from bench.data.dataset import ItemTable, SeenItems, ShippedSplit
from bench.data.filters import Filter
from bench.data.interactions import Interactions


def dataset_hash(
    name: str,
    interactions: Interactions,
    item_table: ItemTable,
    item_ids: NDArray[np.str_],
    user_ids: NDArray[np.str_],
    seen_items: SeenItems,
    baskets: bool,
    filters: Sequence[Filter] = (),
    shipped_split: ShippedSplit | None = None,
) -> str:
    """The `content_hash` of a data set, for loaders. Words meant for the report only (licence, source) don't count.

    The parameters of the `filters` count beside the events that these left: a data set is what was asked of it, too.
    """
    columns = {str(column): item_table.columns[column].tolist() for column in item_table.columns}
    return content_key(
        [name, interactions.n_items, seen_items, baskets],
        interactions.items,
        interactions.timestamps,
        interactions.offsets,
        json_of_ids(item_ids, user_ids),
        [list(columns), columns, list(item_table.text_columns)],
        "no category" if item_table.category is None else item_table.category,
        *([[repr(step) for step in filters]] if filters else []),
        *(["embeddings", item_table.embeddings] if item_table.embeddings is not None else []),
        *(_parts_of(shipped_split) if shipped_split is not None else []),
    )


def json_of_ids(*lists: NDArray[np.str_], chunk: int = 1 << 16) -> Iterator[bytes]:
    """The bytes of `json.dumps` of the lists, without making millions of Python strings at a time."""
    yield b"["
    for number, ids in enumerate(lists):
        yield b",[" if number else b"["
        for start in range(0, len(ids), chunk):
            piece = json.dumps(ids[start : start + chunk].tolist(), separators=(",", ":"))[1:-1]
            yield ("," if start else "").encode() + piece.encode()
        yield b"]"
    yield b"]"


def _parts_of(shipped: ShippedSplit) -> Iterator[object]:
    for name, value in vars(shipped).items():
        yield name
        yield "none" if value is None else value
