"""Named parts of the test queries: boolean masks over the table that `bench.evaluation.evaluator.judge` returns."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

HEAD_SHARE = 0.2
"""Share of the catalogue, most training interactions first, that counts as head."""

HISTORY_EDGES = (50, 200, 500, 1000)
"""Largest history length of each bin but the last."""

FEWEST_QUERIES = 30
"""The bin of the longest histories is widened until it has this many queries."""

REACH_WINDOW = 50
"""Events that count as the short-term history, as in the GLASS paper."""

Slices = dict[str, NDArray[np.bool_]]
ReachOf = Literal["item", "category"]


def popularity_slices(queries: pd.DataFrame, head_share: float = HEAD_SHARE) -> Slices:
    """`overall`, and the queries whose target is in the `head` or the `tail` of the catalogue.

    Args:
        queries: A table with the columns `QUERY_COLUMNS`.
        head_share: Share of the catalogue, by training interactions, that counts as head.

    Returns:
        bool `[n_queries]` each; head and tail are a partition.
    """
    head = _quantiles(queries) < np.float32(head_share)
    return {"overall": np.ones(len(queries), dtype=bool), "head": head, "tail": ~head}


def popularity_deciles(queries: pd.DataFrame) -> Slices:
    """Queries by the tenth of the catalogue that holds their target, most popular first; empty tenths are left out.

    Returns:
        bool `[n_queries]` under the names "1" (most popular) to "10".
    """
    edges = (np.arange(1, 10) / 10).astype(np.float32)
    decile = np.digitize(_quantiles(queries), edges)
    return _present({str(number + 1): decile == number for number in range(10)})


def history_length_bins(
    queries: pd.DataFrame, edges: tuple[int, ...] = HISTORY_EDGES, fewest: int = FEWEST_QUERIES
) -> Slices:
    """Queries by the number of events before the target, in bins whose edges are the same for every data set.

    Args:
        queries: A table with the columns `QUERY_COLUMNS`.
        edges: Largest length of each bin but the last.
        fewest: The longest histories share a bin with the next shorter ones until it has this many queries: a mean
            over a handful of users is noise.

    Returns:
        bool `[n_queries]` under names like "<=50", "51-200", ">1000", shortest first; empty bins are left out.
    """
    lengths = queries["history_length"].to_numpy()
    while len(edges) > 1 and (lengths > edges[-1]).sum() < fewest:
        edges = edges[:-1]
    between = [f"{low + 1}-{high}" for low, high in pairwise(edges)]
    names = [f"<={edges[0]}", *between, f">{edges[-1]}"]
    part = np.digitize(lengths, edges, right=True)
    return _present({name: part == number for number, name in enumerate(names)})


def history_length_quarters(queries: pd.DataFrame) -> Slices:
    """Queries by quarter of the history lengths present, for data sets that fill only one or two of the fixed bins.

    Equal lengths are never torn apart, so there can be fewer than four parts and they can differ in size.

    Returns:
        bool `[n_queries]` under names that tell the lengths, like "12-31", shortest first.
    """
    lengths = queries["history_length"].to_numpy()
    if not len(lengths):
        return {}
    edges = np.unique(np.quantile(lengths, [0.25, 0.5, 0.75], method="lower"))
    part = np.digitize(lengths, edges, right=True)
    slices: Slices = {}
    for number in np.unique(part):
        mask = part == number
        shortest, longest = lengths[mask].min(), lengths[mask].max()
        slices[f"{shortest}" if shortest == longest else f"{shortest}-{longest}"] = mask
    return slices


def reach_parts(queries: pd.DataFrame, window: int = REACH_WINDOW, of: ReachOf = "item") -> Slices:
    """Queries by how far back in its history the target last occurred: what decides whether a long history was used.

    Args:
        queries: A table with the columns `QUERY_COLUMNS`.
        window: Most recent events that count as the short-term history.
        of: What has to occur: the very target, or any item of its category.

    Returns:
        bool `[n_queries]` under "recent" (among the last `window` events), "far" (only before them) and "never" (or
        its category is unknown), without empty parts. Nothing where this tells no queries apart, as on data without
        repeats, and for tables stored before the columns existed.
    """
    column = f"{of}_gap"
    if column not in queries:
        return {}
    gap = queries[column].to_numpy()
    parts = _present({"recent": (gap >= 1) & (gap <= window), "far": gap > window, "never": gap == 0})
    return parts if len(parts) > 1 else {}


def reach_slices(queries: pd.DataFrame, window: int = REACH_WINDOW, of: ReachOf = "item") -> Slices:
    """`reach_parts` under names that tell the window: "last 50 events", "only before the last 50", "never"."""
    names = {"recent": f"last {window} events", "far": f"only before the last {window}", "never": "never"}
    return {names[part]: mask for part, mask in reach_parts(queries, window, of).items()}


def category_reach_slices(queries: pd.DataFrame, window: int = REACH_WINDOW) -> Slices:
    """`reach_slices` of the target's category."""
    return reach_slices(queries, window, of="category")


def _quantiles(queries: pd.DataFrame) -> NDArray[np.float32]:
    """Quantiles as stored; edges are compared in the same precision, or an item exactly on one would change sides."""
    return queries["target_quantile"].to_numpy(dtype=np.float32)


def _present(slices: Slices) -> Slices:
    return {name: mask for name, mask in slices.items() if mask.any()}
