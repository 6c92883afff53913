"""Histories as sequences of baskets: what next-basket methods count. Where data have no baskets, each event is one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from bench.data.interactions import Histories, Interactions


@dataclass(frozen=True)
class Baskets:
    """Which item lies in which basket of which row; an item that a basket holds several times counts once.

    Attributes:
        rows: int64 `[n]`, users or queries.
        numbers: int64 `[n]`, the basket's place in its row, 0 is the oldest.
        items: int32 `[n]`.
        sizes: int64 `[n_rows]`, baskets of each row.
        n_items: Size of the catalogue.
    """

    rows: NDArray[np.int64]
    numbers: NDArray[np.int64]
    items: NDArray[np.int32]
    sizes: NDArray[np.int64]
    n_items: int

    @classmethod
    def of(cls, events: Interactions | Histories, grouped: bool) -> Baskets:
        """The baskets of every row.

        Args:
            events: Rows of events, oldest first.
            grouped: Whether a row's events of one timestamp are a basket. False: each event is one of its own.
        """
        rows = np.repeat(np.arange(len(events.offsets) - 1), events.lengths)
        opens = np.ones(len(rows), dtype=bool)
        if grouped:
            opens[1:] = (rows[1:] != rows[:-1]) | (events.timestamps[1:] != events.timestamps[:-1])
        basket = np.cumsum(opens) - 1
        _, event = np.unique(basket * events.n_items + events.items, return_index=True)
        before = np.concatenate([[0], basket + 1])[events.offsets]
        rows = rows[event]
        return cls(rows, basket[event] - before[rows], events.items[event], np.diff(before), events.n_items)

    def ages(self) -> NDArray[np.int64]:
        """How many baskets of its row are later than each item's: int64 `[n]`."""
        return self.sizes[self.rows] - 1 - self.numbers

    def summed(self, weights: NDArray[np.float64], counted: NDArray[np.bool_] | None = None) -> sp.csr_array:
        """Sums of weights by row and item: float64 `[n_rows, n_items]`, sparse.

        Args:
            weights: float64 `[n]`, of each item in each basket.
            counted: bool `[n]`, which of them count. None: all.
        """
        part = slice(None) if counted is None else counted
        cells = (self.rows[part], self.items[part])
        return sp.coo_array((weights[part], cells), shape=(len(self.sizes), self.n_items)).tocsr()

    def frequencies(self) -> sp.csr_array:
        """Baskets of each row that hold an item: float64 `[n_rows, n_items]`, sparse."""
        return self.summed(np.ones(len(self.items)))
