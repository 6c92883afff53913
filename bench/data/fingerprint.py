"""One hash for everything about a data set that can change a result."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bench.data.cache import content_key
from bench.data.dataset import Dataset, ShippedSplit
from bench.data.filters import Filter


def with_hash(dataset: Dataset, filters: Sequence[Filter] = ()) -> Dataset:
    """Returns the data set with its content hash, for loaders, which know all but that."""
    return replace(dataset, content_hash=dataset_hash(dataset, filters))


def dataset_hash(dataset: Dataset, filters: Sequence[Filter] = ()) -> str:
    """Tells whether two data sets can give different results; what is meant for the report only doesn't count.

    Args:
        dataset: Its own `content_hash`, licence, source and notes are passed over.
        filters: What the loader applied. Their parameters count beside the events that they left: a data set is what
            was wanted of it, too.
    """
    table, shipped = dataset.item_table, dataset.shipped_split
    columns = {str(column): table.columns[column].tolist() for column in table.columns}
    return content_key(
        [dataset.name, dataset.interactions.n_items, dataset.seen_items, dataset.baskets],
        dataset.interactions.items,
        dataset.interactions.timestamps,
        dataset.interactions.offsets,
        json_of_ids(dataset.item_ids, dataset.user_ids),
        [list(columns), columns, list(table.text_columns)],
        "no category" if table.category is None else table.category,
        *([[repr(step) for step in filters]] if filters else []),
        *(["embeddings", table.embeddings] if table.embeddings is not None else []),
        *(_parts_of(shipped) if shipped is not None else []),
    )


def json_of_ids(*lists: NDArray[np.str_], chunk: int = 1 << 16) -> Iterator[bytes]:
    """Writes the bytes of `json.dumps` of the lists, without making millions of Python strings at a time."""
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
