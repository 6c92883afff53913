"""A fixed sample of a data set's users, for a first answer on data that would take too long as a whole."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bench.data.cache import content_key
from bench.data.dataset import Dataset, ItemTable, ShippedSplit
from bench.data.filters import UserSample
from bench.data.interactions import Interactions, is_untimed, untimed
from bench.seeds import seed_for


def sampled(dataset: Dataset, users: int) -> Dataset:
    """Keeps the users whose ids have the smallest hashes, whatever a loader has left out before.

    The rule is that of `UserSample`: a smaller sample is part of a larger one, and it depends on no other user, no
    library and no machine. The catalogue is what occurs in the events that stay, as everywhere; only generated data
    keep theirs, since the process behind them is one of all their items.

    Args:
        dataset: A whole data set. One with fewer users stays as it is, but for its hash and a note.
        users: Size of the sample, at least 1.

    Returns:
        The sample, with a hash of its own; `filters` says how much of the data it is.
    """
    events, rows = dataset.interactions, _chosen(dataset.user_ids, users)
    kept = _rows(events, rows)
    split = None if dataset.shipped_split is None else _of_split(dataset.shipped_split, rows, events.n_users)
    items = np.arange(events.n_items) if dataset.world is not None else _occurring(kept, split)
    number = np.full(events.n_items, -1, dtype=np.int32)
    number[items] = np.arange(len(items))
    if split is not None:
        targets = {name: number[getattr(split, name)] for name in ("validation_targets", "test_targets")}
        split = replace(split, **targets)
    before, after = (f"{count:,}" for count in (events.n_users, len(rows)))
    sizes = f"{kept.n_events:,} of {events.n_events:,} events, {len(items):,} of {events.n_items:,} items"
    return replace(
        dataset,
        interactions=replace(kept, items=number[kept.items], n_items=len(items)),
        item_table=_of_items(dataset.item_table, items),
        item_ids=dataset.item_ids[items],
        user_ids=dataset.user_ids[rows],
        content_hash=content_key([dataset.content_hash, "user sample", users]),
        filters=(*dataset.filters, f"{UserSample(users).words}: {after} of {before} users, {sizes} stay"),
        shipped_split=split,
    )


def _chosen(user_ids: NDArray[np.str_], users: int) -> NDArray[np.int64]:
    """The rows of the users in the sample, ascending."""
    hashes = np.array([seed_for("user sample", user) for user in user_ids.tolist()], dtype=np.int64)
    return np.sort(np.lexsort((user_ids, hashes))[:users])


def _rows(events: Interactions, rows: NDArray[np.int64]) -> Interactions:
    """Some users' events, in the order of the rows."""
    lengths = events.lengths[rows]
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    # Where each event lay before: the beginning of its user's row, and its place in it.
    places = np.repeat(events.offsets[:-1][rows] - offsets[:-1], lengths) + np.arange(offsets[-1])
    timestamps = untimed(int(offsets[-1])) if is_untimed(events.timestamps) else events.timestamps[places]
    return replace(events, items=events.items[places], timestamps=timestamps, offsets=offsets)


def _of_split(split: ShippedSplit, rows: NDArray[np.int64], n_users: int) -> ShippedSplit:
    """What a shipped division says of some rows, which get new numbers."""
    number = np.full(n_users, -1, dtype=np.int64)
    number[rows] = np.arange(len(rows))
    changed: dict[str, NDArray[np.generic]] = {"train_ends": split.train_ends[rows]}
    for part in ("validation", "test"):
        keep = number[getattr(split, f"{part}_rows")] >= 0
        for name in ("rows", "ends", "targets"):
            changed[f"{part}_{name}"] = getattr(split, f"{part}_{name}")[keep]
        changed[f"{part}_rows"] = number[changed[f"{part}_rows"]]
    if split.train_rows is not None and split.train_positions is not None:
        keep = number[split.train_rows] >= 0
        changed |= {"train_rows": number[split.train_rows[keep]], "train_positions": split.train_positions[keep]}
    return replace(split, **changed)  # type: ignore[arg-type]  # each name with an array of its own type


def _occurring(events: Interactions, split: ShippedSplit | None) -> NDArray[np.int64]:
    """The items that occur in events or as targets of queries, ascending."""
    occurs = events.item_counts() > 0
    for targets in () if split is None else (split.validation_targets, split.test_targets):
        occurs[targets] = True
    return np.flatnonzero(occurs)


def _of_items(table: ItemTable, items: NDArray[np.int64]) -> ItemTable:
    """The rows of some items; embeddings that may be mapped from a file are copied for these alone."""
    if len(items) == len(table.columns):
        return table
    return replace(
        table,
        columns=table.columns.iloc[items].reset_index(drop=True),
        category=None if table.category is None else table.category[items],
        embeddings=None if table.embeddings is None else table.embeddings[items],
    )
