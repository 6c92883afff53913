"""Named parts of the test queries: boolean masks over the table that `bench.evaluation.evaluator.judge` returns."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.conventions import HEAD_SHARE, REACH_WINDOW
from bench.evaluation.transitions import KINDS

HISTORY_EDGES = (50, 200, 500, 1000)
"""Largest history length of each bin but the last."""

FEWEST_QUERIES = 30
"""The bin of the longest histories is widened until it has this many queries."""

RARE = 5
"""Most training interactions of an item that counts as rarely seen."""

MOST_VALUES = 8
"""Values of a column of the item table that get a part of their own."""

Slices = dict[str, NDArray[np.bool_]]
ReachOf = Literal["item", "category"]


def popularity_slices(queries: pd.DataFrame, head_share: float = HEAD_SHARE) -> Slices:
    """`overall`, and the queries whose target is in the `head` or the `tail` of the catalogue.

    Args:
        queries: A table with the columns `QUERY_COLUMNS`.
        head_share: Share of the catalogue, by training interactions, that counts as head.

    Returns:
        bool `[n_queries]` each; head and tail are a partition.

    Example:
        An item that 10 % of the catalogue outsell is head; one that 20 % outsell is not.

        >>> slices = popularity_slices(pd.DataFrame({"target_quantile": [0.1, 0.2, 0.7]}))
        >>> slices["head"].tolist(), slices["tail"].tolist()
        ([True, False, False], [False, True, True])
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


def repetition_slices(queries: pd.DataFrame) -> Slices:
    """Queries by whether their history holds the target: to be repeated, or to be found (Li et al., TOIS 2023).

    Returns:
        bool `[n_queries]` under "repeat" and "explore", a partition. Nothing where this tells no queries apart, as on
        data without repeats, and for tables stored before the column existed.
    """
    if "item_gap" not in queries:
        return {}
    repeat = queries["item_gap"].to_numpy() > 0
    parts = _present({"repeat": repeat, "explore": ~repeat})
    return parts if len(parts) > 1 else {}


def transition_slices(queries: pd.DataFrame) -> Slices:
    """Queries by the step from the last event to the target: remembered, composed, or neither.

    Returns:
        bool `[n_queries]` under "seen", "composable", "new" and "unknown" (no history), without empty parts. Nothing
        where this tells no queries apart, and for tables stored before the column existed.
    """
    if "transition" not in queries:
        return {}
    kinds = queries["transition"].to_numpy()
    parts = _present({name: kinds == number for name, number in {**KINDS, "unknown": 0}.items()})
    return parts if len(parts) > 1 else {}


def cold_slices(queries: pd.DataFrame, rare: int = RARE) -> Slices:
    """Queries by how often training met their target: never, up to `rare` times, or more often.

    Returns:
        bool `[n_queries]` under "unseen", "rare (1-5)" and "known", without empty parts; nothing where all targets are
        known.
    """
    counts = queries["target_count"].to_numpy()
    name = f"rare (1-{rare})" if rare > 1 else "rare (1)"
    parts = _present({"unseen": counts == 0, name: (counts > 0) & (counts <= rare), "known": counts > rare})
    return parts if list(parts) != ["known"] else {}


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
    return _quarters(queries["history_length"].to_numpy())


def column_slices(queries: pd.DataFrame, column: str, most: int = MOST_VALUES) -> Slices:
    """Queries by what a column of the item table says of their target.

    Args:
        queries: From `bench.evaluation.evaluator.judge`.
        column: Its name in the item table.
        most: A column of more values is divided into quarters where it holds numbers; otherwise its values with most
            queries get a part each and the rest are "other".

    Returns:
        bool `[n_queries]`, a partition: values with most queries first, quarters in ascending order; then "other" and
        "unknown". Nothing where the table has no such column, as from before it was kept.
    """
    if f"item:{column}" not in queries:
        return {}
    values = queries[f"item:{column}"].astype(object)
    text = values.where(values.notna(), "").astype(str).str.strip()
    unknown = (text == "").to_numpy()
    sizes = text[~unknown].value_counts(sort=False).sort_index().sort_values(ascending=False, kind="stable")
    numbers = pd.to_numeric(text, errors="coerce").to_numpy(dtype=np.float64)
    if len(sizes) > most and np.isfinite(numbers[~unknown]).all():
        slices = {name: _spread(mask, ~unknown) for name, mask in _quarters(numbers[~unknown]).items()}
    else:
        slices = {name: (text == name).to_numpy() for name in map(str, sizes.index[:most])}
        slices["other"] = ~unknown & ~text.isin(sizes.index[:most]).to_numpy()
    return _present(slices | {"unknown": unknown})


def named_slices(queries: pd.DataFrame, columns: tuple[str, ...] = ()) -> Slices:
    """Every part of the queries that a report tells of, under the name that it has in `metrics.csv`.

    Args:
        queries: From `bench.evaluation.evaluator.judge`.
        columns: Of the item table, for `column_slices`.

    Returns:
        `overall`, `head` and `tail`, then "FAMILY:PART"; the parts of a family are a partition of the queries. Families
        are "popularity" (tenths), "cold", "history" (fixed edges), "history-quarter", "reach", "category-reach",
        "repetition" ("repeat", "explore"), "transition" ("seen", "composable", "new") and "item.COLUMN". Those that
        tell no queries apart are left out.
    """
    families: dict[str, Slices] = {
        "popularity": popularity_deciles(queries),
        "cold": cold_slices(queries),
        "history": history_length_bins(queries),
        "history-quarter": history_length_quarters(queries),
        "reach": reach_parts(queries),
        "category-reach": reach_parts(queries, of="category"),
        "repetition": repetition_slices(queries),
        "transition": transition_slices(queries),
        **{f"item.{column}": column_slices(queries, column) for column in columns},
    }
    return popularity_slices(queries) | {
        f"{family}:{part}": mask for family, parts in families.items() for part, mask in parts.items()
    }


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

    Example:
        Targets that the history last held as its latest event, 50 and 51 events back, and never:

        >>> parts = reach_parts(pd.DataFrame({"item_gap": [1, 50, 51, 0]}))
        >>> {name: mask.tolist() for name, mask in parts.items() if name != "never"}
        {'recent': [True, True, False, False], 'far': [False, False, True, False]}
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


def _quarters(values: NDArray[np.integer] | NDArray[np.floating]) -> Slices:
    """Quarters of numbers under names that tell their range, in ascending order; equal numbers stay together."""
    if not len(values):
        return {}
    edges = np.unique(np.quantile(values, [0.25, 0.5, 0.75], method="lower"))
    part = np.digitize(values, edges, right=True)
    slices: Slices = {}
    for number in np.unique(part):
        mask = part == number
        lowest, highest = (f"{value:.10g}" for value in (values[mask].min(), values[mask].max()))
        slices[lowest if lowest == highest else f"{lowest}-{highest}"] = mask
    return slices


def _spread(mask: NDArray[np.bool_], among: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A mask over the queries `among`, as one over all queries."""
    whole = np.zeros(len(among), dtype=bool)
    whole[among] = mask
    return whole


def _present(slices: Slices) -> Slices:
    return {name: mask for name, mask in slices.items() if mask.any()}
