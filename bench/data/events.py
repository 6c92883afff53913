"""From the rows of an event file, in any order, to a `Dataset`: one set of rules for every loader that uses it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.data.dataset import Dataset, ItemTable, SeenItems
from bench.data.filters import Filter, apply_filters
from bench.data.fingerprint import with_hash
from bench.data.interactions import Interactions, chronological
from bench.errors import BenchError

REPEATS_FROM = 0.05
"""Share of repeated events from which on seen items stay candidates. One row that a log wrote twice is no habit."""

_BLOCK = 5_000_000
"""Events that are sorted at a time while repeats are looked for."""

Times = NDArray[np.int64] | NDArray[np.float64]


@dataclass(frozen=True)
class EventLog:
    """Events in the order of their file.

    Attributes:
        users: int `[n_events]`, index into `user_ids`.
        items: int `[n_events]`, index into `item_ids`.
        times: int64 or float64 `[n_events]`, since 1970. Fractions of a second decide the order and are dropped
            afterwards. None: the data has an order but no time, and it is that of the file.
        user_ids, item_ids: The original ids, as strings.
        ticks: How many units of `times` make a second.
        baskets: int64 `[n_events]`, where there is no time: the number of each event's basket, never less than that of
            its user's event before. None: there are none, or equal times make them.
        notes: What was left out or decided while the file was read, in words with counts.
    """

    users: NDArray[np.integer]
    items: NDArray[np.integer]
    times: Times | None
    user_ids: NDArray[np.str_]
    item_ids: NDArray[np.str_]
    ticks: int = 1
    notes: tuple[str, ...] = ()
    baskets: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.users)


@dataclass(frozen=True)
class ItemFacts:
    """Side information as a file gives it: row `i` of everything here is the item with the id `ids[i]`.

    Attributes:
        ids: The original ids, no two alike.
        columns: Missing text is "".
        text_columns: Those that describe an item in words.
        categories: The one category of each item by name, "" where unknown. None: the file has none.
        embeddings: `[n, dims]`, see `ItemTable`. None: there are none.
        notes: What was decided while the file was read, in words.
    """

    ids: NDArray[np.str_]
    columns: pd.DataFrame
    text_columns: tuple[str, ...]
    categories: pd.Series | None = None
    embeddings: NDArray[np.float32] | NDArray[np.int8] | None = None
    notes: tuple[str, ...] = ()


def assemble(
    name: str,
    log: EventLog,
    facts: ItemFacts | None,
    licence: str,
    source: str,
    seen_items: SeenItems | None = None,
    baskets: bool = False,
    filters: Sequence[Filter] = (),
) -> Dataset:
    """Filters, numbers and sorts events.

    The catalogue is the set of items that occur in the events that stay. Items are numbered in the order of `facts`,
    those that it doesn't know follow in the order of `log.item_ids`; users in the order of `log.user_ids`. A user's
    events are sorted by time, and ties keep the order of the file. Equal rows are separate events. Without time, an
    event's timestamp is its position in its user's history, or the number of its basket: how the rows of different
    users are mixed in the file means nothing.

    Args:
        name: For the data set.
        log: The events.
        facts: Side information. None: there is none.
        licence, source: For the report.
        seen_items: The data set's rule on candidates. None: "keep" where the share of events whose item the user
            has met before is at least `REPEATS_FROM`, else "exclude".
        baskets: Whether events of one user with one timestamp are one basket.
        filters: What else to leave out, in order.

    Raises:
        BenchError: No event is left, or `facts` knows none of the items.
    """
    if not len(log):
        raise BenchError(f"data set '{name}' has no events")
    log, sentences = _filtered(log, filters)
    item_ids, used_users = _catalogue(log, facts), _used(log.users, len(log.user_ids))
    order, interactions = _sorted(log, used_users, item_ids)
    notes = [*log.notes, *_disorder(order, interactions.lengths), *sentences]
    if baskets and log.times is not None:
        notes += _within_a_second(log, order)
    notes += facts.notes if facts else ()
    table, unknown = _item_table(item_ids, facts)
    if facts is not None and unknown:
        notes.append(f"{unknown:,} of {len(item_ids):,} items are unknown to the item table; they have no text")
    rule, reason = (seen_items, []) if seen_items else _rule_on_seen_items(interactions)
    notes += reason
    dataset = Dataset(
        name=name,
        interactions=interactions,
        item_table=table,
        item_ids=item_ids,
        user_ids=log.user_ids[used_users].astype(np.str_),
        seen_items=rule,
        baskets=baskets,
        licence=licence,
        source=source,
        content_hash="",
        filters=tuple(notes),
        has_time=log.times is not None,
    )
    return with_hash(dataset, filters)


def _sorted(
    log: EventLog, used_users: NDArray[np.int64], item_ids: NDArray[np.str_]
) -> tuple[NDArray[np.int64], Interactions]:
    """The rows in the order of `Interactions`, and these, with users and items by their new numbers."""
    renumbered = np.zeros(len(log.user_ids), dtype=np.int64)
    renumbered[used_users] = np.arange(len(used_users))
    users = renumbered[log.users]
    items, n_items = pd.Index(item_ids).get_indexer(log.item_ids)[log.items], len(item_ids)
    if log.times is not None:
        order = chronological(users, log.times)
        return order, Interactions.from_rows(order, users, items, log.times // log.ticks, n_items)
    order = chronological(users, np.zeros(len(log), dtype=np.int64))
    numbers = np.zeros(len(log), dtype=np.int64) if log.baskets is None else log.baskets
    interactions = Interactions.from_rows(order, users, items, numbers, n_items)
    if log.baskets is None:
        interactions = replace(interactions, timestamps=interactions.positions().astype(np.int64))
    return order, interactions


def _within_a_second(log: EventLog, order: NDArray[np.int64]) -> list[str]:
    """A sentence where a basket holds events of more than one time, since times are kept to the second."""
    assert log.times is not None
    users, times = log.users[order], log.times[order]
    joined = (np.diff(users) == 0) & (np.diff(times) != 0) & (np.diff(times // log.ticks) == 0)
    if not joined.any():
        return []
    return [
        f"{int(joined.sum()):,} events share their second, though not their time, with the user's event before, and so "
        "their basket: times are kept to the second"
    ]


def _rule_on_seen_items(interactions: Interactions) -> tuple[SeenItems, list[str]]:
    """Tells whether seen items stay candidates, by the share of repeats, and why, where there are some."""
    again = int(repeats(interactions).sum())
    stay = again >= REPEATS_FROM * interactions.n_events
    if not again:
        return "exclude", []
    n_events = interactions.n_events
    share = f"{again:,} of {n_events:,} events ({again / n_events:.2%}) repeat an item of their user"
    fate = "not less than" if stay else "less than"
    rule = "stay candidates" if stay else "are no candidates"
    return "keep" if stay else "exclude", [f"{share}, {fate} {REPEATS_FROM:.0%}: seen items {rule} (--seen-items)"]


def repeats(interactions: Interactions) -> NDArray[np.bool_]:
    """Returns bool `[n_events]`, True where the user has met the item before."""
    offsets, again = interactions.offsets, np.ones(interactions.n_events, dtype=bool)
    # In blocks of whole users, so that sorting needs little memory whatever the number of events.
    blocks = np.unique(np.searchsorted(offsets, np.arange(0, interactions.n_events, _BLOCK), side="right") - 1)
    for start, stop in pairwise([*blocks, interactions.n_users]):
        events = slice(int(offsets[start]), int(offsets[stop]))
        user = np.repeat(np.arange(stop - start), interactions.lengths[start:stop])
        pairs = user * interactions.n_items + interactions.items[events]
        again[events][np.unique(pairs, return_index=True)[1]] = False
    return again


def _filtered(log: EventLog, filters: Sequence[Filter]) -> tuple[EventLog, tuple[str, ...]]:
    """Applies the filters: returns what they leave, in file order, and what they say."""
    if not filters:
        return log, ()
    times = np.arange(len(log)) if log.times is None else log.times
    left = apply_filters(pd.DataFrame({"user": log.users, "item": log.items, "timestamp": times}), filters)
    rows = left.events.index.to_numpy()
    times_left, baskets_left = (None if column is None else column[rows] for column in (log.times, log.baskets))
    users, items = log.users[rows], log.items[rows]
    return replace(log, users=users, items=items, times=times_left, baskets=baskets_left), left.sentences


def _catalogue(log: EventLog, facts: ItemFacts | None) -> NDArray[np.str_]:
    used = pd.Index(log.item_ids[_used(log.items, len(log.item_ids))])
    known = pd.Index([] if facts is None else facts.ids, dtype=object)
    ordered = known[known.isin(used)].append(used[~used.isin(known)])
    return ordered.to_numpy(dtype=np.str_)


def _used(codes: NDArray[np.integer], n_ids: int) -> NDArray[np.int64]:
    """The codes that occur, ascending. Counting is many times faster than sorting."""
    return np.flatnonzero(np.bincount(codes, minlength=n_ids))


def _disorder(order: NDArray[np.int64], lengths: NDArray[np.int64]) -> list[str]:
    """A sentence where the file doesn't list every user's events by time; `order` are its rows user by user, sorted."""
    earlier = np.diff(order) < 0
    earlier[np.cumsum(lengths)[:-1] - 1] = False  # between two users
    if not earlier.any():
        return []
    count = int(earlier.sum())
    return [f"{count:,} rows stood before their user's previous event; sorted by time, ties in file order"]


def _item_table(item_ids: NDArray[np.str_], facts: ItemFacts | None) -> tuple[ItemTable, int]:
    """The item table of the catalogue, and the number of its items of which the facts say nothing."""
    if facts is None:
        return ItemTable(pd.DataFrame(index=pd.RangeIndex(len(item_ids))), (), None), len(item_ids)
    row = pd.Index(facts.ids).get_indexer(item_ids)
    known = row >= 0
    if not known.any():
        raise BenchError(
            f"the item table knows none of the {len(item_ids):,} items of the events; it names items as in "
            f"'{facts.ids[0] if len(facts.ids) else ''}', the events as in '{item_ids[0]}'"
        )
    columns = facts.columns.reset_index(drop=True).reindex(row).reset_index(drop=True)
    text = [column for column in columns if not pd.api.types.is_numeric_dtype(facts.columns[column])]
    columns[text] = columns[text].fillna("")
    category = None
    if facts.categories is not None:
        names = facts.categories.reset_index(drop=True).reindex(row).replace("", None)
        category = pd.factorize(names, sort=True)[0].astype(np.int32)
    embeddings = None
    if facts.embeddings is not None:
        embeddings = np.zeros((len(row), facts.embeddings.shape[1]), dtype=facts.embeddings.dtype)
        embeddings[known] = facts.embeddings[row[known]]
    return ItemTable(columns, facts.text_columns, category, embeddings), int((~known).sum())
