"""From a fitted recommender and a set of queries to one row per query. Metrics are computed later, from these rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.conventions import HEAD_SHARE, PRIMARY_METRIC
from bench.data.interactions import Histories
from bench.data.protocols import Queries
from bench.evaluation.contract import checked, checked_sid_of_item
from bench.evaluation.lists import ListStatistics, tied_places
from bench.evaluation.metrics import compute
from bench.evaluation.transitions import Transitions
from bench.recommender import Recommender

K_MAX = 20
"""Length of the ranked lists; every metric at K <= K_MAX can be computed from the stored ranks."""

QUERY_COLUMNS = {
    "user": "int32, index of the user",
    "target": "int32, the item to be found",
    "history_length": "int32, events before the target",
    "target_count": "int32, training interactions of the target",
    "target_quantile": "float32, share of the catalogue that is more popular in training than the target; "
    f"the head are the targets below {HEAD_SHARE:g}",
    "item_gap": "int32, how many events back the history last held the target: 1 is its last event, 0 never",
    "category_gap": "int32, the same for the target's category; 0 also where that is not known",
    "transition": "int8, whether training has the step from the history's last item to the target: 3 seen, "
    "2 composable of two seen steps, 1 new, 0 not known",
    "item_rank": "int16, place of the target in the list, 1 is best, 0 when it is not among the K_MAX",
    "sid_rank": "int16, place of the target's semantic ID among the distinct generated ones, 0 when absent; "
    "equal to item_rank for models without semantic IDs",
    "sid_group": "int32, items of the catalogue that have the target's semantic ID; 1 for models without semantic IDs",
    "tie_first": "int16, place of the first item in the list that has the target's score; item_rank where no other has",
    "tie_last": "int16, place of the last such item; a tie that goes on beyond the list ends there. Both 0 for a miss",
    "list_popularity": "float32, mean over the first 10 items of the share of the catalogue that is no more popular in "
    "training (1 is the most popular item); NaN for an empty list, or where training counts are not known",
    "list_novelty": "float32, mean over the first 10 items of -log2 of the item's share of all training interactions, "
    "with one added to each count; in bits, NaN likewise",
    "new_items": "int8, how many of the first 10 items were among the first 10 of no earlier query of the table; their "
    "sum over the catalogue's size is its coverage",
}
"""Columns of the table of `judge`; after them come `ID_COLUMNS`, and what `Catalogue.columns` tells of the target, as
"item:COLUMN".
"""

ID_COLUMNS = {
    "user_id": "text, the user's id in the data's own file",
    "target_id": "text, the target's id there",
}
"""Columns after these, where the catalogue knows the ids."""

ITEM_COLUMN = "item:"
"""What the names of columns begin with that hold a fact about the target from the item table."""


@dataclass(frozen=True)
class Catalogue:
    """What is known of the items, for the columns that tell queries and lists apart. Row `i` is item `i`.

    Attributes:
        train_counts: int64 `[n_items]`, training interactions. None: not known.
        category: int32 `[n_items]`, -1 where unknown. None: no item has one.
        columns: The item table, one row an item; columns in which more than half of the items have a value of
            their own, such as titles, are passed over.
        transitions: The steps of training. None: not known.
        user_ids, item_ids: The original ids by index. None: not known.
    """

    train_counts: NDArray[np.int64] | None = None
    category: NDArray[np.int32] | None = None
    columns: pd.DataFrame | None = None
    transitions: Transitions | None = None
    user_ids: NDArray[np.str_] | None = None
    item_ids: NDArray[np.str_] | None = None


def target_ranks(lists: NDArray[np.int32], targets: NDArray[np.int32]) -> NDArray[np.int16]:
    """Places of targets in ranked lists.

    Args:
        lists: int32 `[n, k]`, distinct entries, padded with -1.
        targets: int32 `[n]`.

    Returns:
        int16 `[n]`, 1-based place, 0 where the target is not in its list.
    """
    found = lists == targets[:, None]
    return np.where(found.any(axis=1), found.argmax(axis=1) + 1, 0).astype(np.int16)


def events_back(values: NDArray[np.int32], offsets: NDArray[np.int64], wanted: NDArray[np.int32]) -> NDArray[np.int32]:
    """How far back each history last held a value.

    Args:
        values: int32 `[n_events]`, history after history, oldest first.
        offsets: int64 `[n + 1]`; history `q` is `values[offsets[q] : offsets[q + 1]]`.
        wanted: int32 `[n]`.

    Returns:
        int32 `[n]`, 1 where the last event is the one, 0 where the history never held the value.
    """
    history = np.repeat(np.arange(len(wanted)), np.diff(offsets))
    found = np.flatnonzero(values == wanted[history])
    last = np.full(len(wanted), -1, dtype=np.int64)
    np.maximum.at(last, history[found], found)
    return np.where(last >= 0, offsets[1:] - last, 0).astype(np.int32)


def judge(
    recommender: Recommender,
    queries: Queries,
    batch_size: int = 256,
    k: int = K_MAX,
    report_progress: Callable[[float], None] = lambda fraction: None,
    catalogue: Catalogue = Catalogue(),
) -> pd.DataFrame:
    """Asks for `k` items per query and finds the target's place at item level and at semantic-ID level.

    Args:
        recommender: Fitted.
        queries: Histories and targets; only copies of the histories reach the recommender.
        batch_size: Queries per call; no result depends on it.
        k: Length of the lists.
        report_progress: Called with the fraction of queries done.
        catalogue: What is known of the items; the recommender does not get to see it.

    Returns:
        A table with the columns `QUERY_COLUMNS`, `ID_COLUMNS` and those of the item table, in the order of the queries.

    Raises:
        ContractError: An answer does not keep to `Recommendations` (see `bench.evaluation.contract`).
    """
    sid_of_item = checked_sid_of_item(recommender.sid_of_item, queries.interactions.n_items)
    statistics = None if catalogue.train_counts is None else ListStatistics(catalogue.train_counts)
    parts: dict[str, list[NDArray[Any]]] = {}

    def note(**columns: NDArray[Any]) -> None:
        for name, values in columns.items():
            parts.setdefault(name, []).append(values)

    for start in range(0, len(queries), batch_size):
        stop = min(start + batch_size, len(queries))
        histories = queries.histories(start, stop)
        targets = queries.targets[start:stop]
        answer = checked(recommender.recommend(histories.copy(), k), histories, k, sid_of_item)
        item_rank = sid_rank = target_ranks(answer.items, targets)
        if answer.sids is not None and sid_of_item is not None:
            sid_rank = target_ranks(answer.sids, sid_of_item[targets])
        tie_first, tie_last = tied_places(answer.items, answer.scores, item_rank)
        note(item_rank=item_rank, sid_rank=sid_rank, tie_first=tie_first, tie_last=tie_last)
        note(sid_group=_group_sizes(sid_of_item, targets), **_before(histories, targets, catalogue))
        if statistics:
            popularity, novelty, new = statistics.add(answer.items)
            note(list_popularity=popularity, list_novelty=novelty, new_items=new)
        report_progress(stop / len(queries))
    known: dict[str, NDArray[Any]] = {
        "user": queries.users,
        "target": queries.targets,
        "history_length": queries.ends,
        "target_count": queries.target_counts,
        "target_quantile": queries.target_quantiles,
    }
    columns = {}
    for name, meaning in QUERY_COLUMNS.items():
        dtype = np.dtype(meaning.partition(",")[0])
        columns[name] = known[name].astype(dtype) if name in known else _joined(parts.get(name), len(queries), dtype)
    table = pd.DataFrame(columns).assign(**_ids(queries, catalogue))
    return table if catalogue.columns is None else table.join(_facts(catalogue.columns, queries.targets))


def _ids(queries: Queries, catalogue: Catalogue) -> dict[str, Any]:
    """The columns `ID_COLUMNS`, as far as they are known."""
    columns = {}
    if catalogue.user_ids is not None:
        columns["user_id"] = _texts(catalogue.user_ids[queries.users])
    if catalogue.item_ids is not None:
        columns["target_id"] = _texts(catalogue.item_ids[queries.targets])
    return columns


def _texts(ids: NDArray[np.str_]) -> pd.Series:
    return pd.Series(np.asarray(ids).astype(np.str_), dtype=object)


def validation_ndcg(recommender: Recommender, queries: Queries, batch_size: int = 256) -> float:
    """The primary metric (NDCG@10) at item level: the early-stopping criterion of every model."""
    ranks = judge(recommender, queries, batch_size)["item_rank"].to_numpy()
    return float(compute(PRIMARY_METRIC, ranks, K_MAX).mean())


def _before(histories: Histories, targets: NDArray[np.int32], catalogue: Catalogue) -> dict[str, NDArray[Any]]:
    """The columns that say what each history has to do with its target."""
    columns: dict[str, NDArray[Any]] = {
        "item_gap": events_back(histories.items, histories.offsets, targets),
        "category_gap": _category_gap(histories, targets, catalogue.category),
    }
    if catalogue.transitions is not None:
        columns["transition"] = catalogue.transitions.kinds(histories, targets)
    return columns


def _group_sizes(sid_of_item: NDArray[np.int32] | None, targets: NDArray[np.int32]) -> NDArray[np.int64]:
    """How many items share each target's semantic ID; 1 where nothing is shared."""
    if sid_of_item is None:
        return np.ones(len(targets), dtype=np.int64)
    return np.bincount(sid_of_item)[sid_of_item[targets]]


def _category_gap(
    histories: Histories, targets: NDArray[np.int32], category: NDArray[np.int32] | None
) -> NDArray[np.int32]:
    if category is None:
        return np.zeros(len(targets), dtype=np.int32)
    wanted = category[targets]
    # "Unknown" is no category that a target could share with its history.
    return np.where(wanted < 0, 0, events_back(category[histories.items], histories.offsets, wanted)).astype(np.int32)


def _joined(parts: list[NDArray[Any]] | None, n: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """The batches' parts one after another; what was measured nowhere is NaN, or 0 in whole numbers."""
    if parts is None:
        return np.full(n, np.nan if dtype.kind == "f" else 0, dtype)
    return np.concatenate(parts).astype(dtype)


def _facts(columns: pd.DataFrame, targets: NDArray[np.int32]) -> pd.DataFrame:
    """The columns of the item table that group items, one row a target; text as categories, so that it is small."""
    found = {}
    for name in columns:
        values = columns[name]
        if not pd.api.types.is_numeric_dtype(values):
            values = values.astype(object).where(values.notna(), "").astype(str)
        if 2 * values.nunique() <= len(columns):
            asked = values.iloc[targets].reset_index(drop=True)
            found[f"{ITEM_COLUMN}{name}"] = asked if pd.api.types.is_numeric_dtype(asked) else asked.astype("category")
    return pd.DataFrame(found, index=pd.RangeIndex(len(targets)))
