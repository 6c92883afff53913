"""A data set as the harness sees it, and what of it a recommender may train on."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from bench.data.choices import ColdTargets, SeenItems
from bench.data.interactions import CHUNK_EVENTS, Histories, Interactions, row_chunks
from bench.data.roomy import roomy

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ColdTargets", "Dataset", "ItemTable", "SeenItems", "ShippedSplit", "TrainingData", "World"]


class World(Protocol):
    """The process behind a generated data set, for the one model that is allowed to know it: the oracle."""

    def probabilities(self, histories: Histories) -> NDArray[np.float64]:
        """Returns the true distribution of the next item, float64 `[n_queries, n_items]`, given each whole history."""


@dataclass(frozen=True)
class ItemTable:
    """What is known of the items beside who used them. Row `i` of everything here is item `i`.

    Attributes:
        columns: One row an item, with the original columns (`title`, `genres`, ...); missing text is "".
        text_columns: The columns that describe an item in words, in the order of the text template.
        category: int32 `[n_items]`, the one category of each item, -1 where unknown. None: the data has none.
        embeddings: `[n_items, dims]`, float32 or int8 (value = int8 / 127), possibly memory-mapped: vectors that ship
            with the data. A row of zeros belongs to an item without one. None: the data has none.
    """

    columns: pd.DataFrame
    text_columns: tuple[str, ...]
    category: NDArray[np.int32] | None
    embeddings: NDArray[np.float32] | NDArray[np.int8] | None = None

    def copy(self) -> ItemTable:
        """Returns the same in a table and arrays of its own; embeddings, which may be gigabytes, can be read only."""
        embeddings = None if self.embeddings is None else self.embeddings.view()
        if embeddings is not None:
            embeddings.flags.writeable = False
        category = None if self.category is None else self.category.copy()
        return replace(self, columns=self.columns.copy(), category=category, embeddings=embeddings)


@dataclass(frozen=True)
class ShippedSplit:
    """A division into training data and queries that comes with the data (protocol `shipped`).

    A query is a pair (row, target): its history is the first `ends` events of its row. Rows that only carry queries
    are allowed: `train_ends` says what of each row trains.

    Attributes:
        train_ends: int64 `[n_users]`, the first `train_ends` events of each row train.
        validation_rows, validation_ends, validation_targets: int64, int64, int32 `[n]`.
        test_rows, test_ends, test_targets: int64, int64, int32 `[n]`.
        train_rows, train_positions: int64 `[n]` or None. The events that are training targets, as pairs (row, position
            in the row); None: every event of a row but its first.
    """

    train_ends: NDArray[np.int64]
    validation_rows: NDArray[np.int64]
    validation_ends: NDArray[np.int64]
    validation_targets: NDArray[np.int32]
    test_rows: NDArray[np.int64]
    test_ends: NDArray[np.int64]
    test_targets: NDArray[np.int32]
    train_rows: NDArray[np.int64] | None = None
    train_positions: NDArray[np.int64] | None = None


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
            before its target's basket. Without time, timestamps are the numbers of the baskets.
        licence, source: For the report.
        content_hash: Hash of everything above that can change a result (so not of `licence` and `source`).
        has_time: Whether timestamps are times. False: the data has an order only, and they are positions in the user's
            history or numbers of baskets.
        filters: What the loader left out, in words with counts, in the order in which it did so; for the report.
        shipped_split: The data set's own division. None: it has none.
        world: The process that generated the data. None: nobody knows it.
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
    has_time: bool = True
    filters: tuple[str, ...] = ()
    shipped_split: ShippedSplit | None = None
    world: World | None = None


@dataclass(frozen=True)
class TrainingData:
    """What `Recommender.fit` receives: nothing at or after any user's validation target.

    Attributes:
        interactions: The training events only.
        item_table: Side information of the whole catalogue.
        exclude_seen: Whether the items of a history are no candidates for its own query.
        content_hash: Hash of the data set and the protocol. Artifacts are cached under what they are made from.
        targets: The events that a data set's own split wants learned, as users and positions in their rows, int64 `[n]`
            each. None: every event of a user but the first.
        baskets: See `Dataset`.
        world: See `Dataset`; only the oracle may look at it.
    """

    interactions: Interactions
    item_table: ItemTable
    exclude_seen: bool
    content_hash: str
    targets: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None
    baskets: bool = False
    world: World | None = None

    @property
    def n_items(self) -> int:
        return self.interactions.n_items

    def copy(self) -> TrainingData:
        """Returns a copy that may be written into. The interactions are shared: they belong to one split alone."""
        targets = None if self.targets is None else (self.targets[0].copy(), self.targets[1].copy())
        return replace(self, item_table=self.item_table.copy(), targets=targets, world=deepcopy(self.world))

    def history_ends(self) -> NDArray[np.int32] | None:
        """Counts the events in the history of every training event, when that event is the target.

        The rule is that of the queries: a history ends before its target, or before its target's basket. Whoever learns
        the rest of a basket from its beginning learns another task than the one that the test sets.

        Every call makes it anew. It costs 4 bytes an event, as much as the items do, where `roomy` finds room for them.

        Returns:
            int32 `[n_events]`; 0 for events that are no targets, since nothing comes before them or the data set's own
            split does not name them. None: the history of every event is what comes before it.
        """
        if not self.baskets and self.targets is None:
            return None
        interactions = self.interactions
        ends: NDArray[np.int32] = roomy(interactions.n_events, np.int32)
        for rows in row_chunks(interactions.offsets, CHUNK_EVENTS):
            part = interactions.rows(rows)
            events = slice(int(interactions.offsets[rows.start]), int(interactions.offsets[rows.stop]))
            ends[events] = part.basket_starts() if self.baskets else part.positions()
        if self.targets is not None:
            wanted = np.zeros(interactions.n_events, dtype=bool)
            wanted[interactions.offsets[self.targets[0]] + self.targets[1]] = True
            ends[~wanted] = 0
        return ends
