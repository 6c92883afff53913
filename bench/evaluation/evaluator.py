"""From a fitted recommender and a set of queries to one row per query. Metrics are computed later, from these rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.data.interactions import Histories
from bench.data.protocols import Queries
from bench.evaluation.metrics import ndcg
from bench.recommender import Recommendations, Recommender

K_MAX = 20
"""Length of the ranked lists; every metric at K <= K_MAX can be computed from the stored ranks."""

QUERY_COLUMNS = {
    "user": "int32, index of the user",
    "target": "int32, the item to be found",
    "history_length": "int32, events before the target",
    "target_count": "int32, training interactions of the target",
    "target_quantile": "float32, share of the catalogue that is more popular in training than the target; "
    "the head are the targets below 0.2",
    "item_gap": "int32, how many events back the history last held the target: 1 is its last event, 0 never",
    "category_gap": "int32, the same for the target's category; 0 also where that is not known",
    "item_rank": "int16, place of the target in the list, 1 is best, 0 when it is not among the K_MAX",
    "sid_rank": "int16, place of the target's semantic ID among the distinct generated ones, 0 when absent; "
    "equal to item_rank for models without semantic IDs",
}


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
    category: NDArray[np.int32] | None = None,
) -> pd.DataFrame:
    """Asks for `k` items per query and finds the target's place at item level and at semantic-ID level.

    Args:
        recommender: Fitted.
        queries: Histories and targets; only the histories reach the recommender.
        batch_size: Queries per call; no result depends on it.
        k: Length of the lists.
        report_progress: Called with the fraction of queries done.
        category: int32 `[n_items]`, -1 where unknown, for the column `category_gap`. None: no item has one.

    Returns:
        A table with the columns `QUERY_COLUMNS`, in the order of the queries.

    Raises:
        ValueError: A list is malformed (wrong shape, an unknown item, an item or semantic ID twice, a seen item where
            these are excluded).
    """
    item_ranks, sid_ranks, item_gaps, category_gaps = [], [], [], []
    for start in range(0, len(queries), batch_size):
        stop = min(start + batch_size, len(queries))
        histories = queries.histories(start, stop)
        targets = queries.targets[start:stop]
        answer = recommender.recommend(histories, k)
        _check(answer, histories, k)
        item_rank = target_ranks(answer.items, targets)
        item_ranks.append(item_rank)
        if answer.sids is None or recommender.sid_of_item is None:
            sid_ranks.append(item_rank)
        else:
            sid_ranks.append(target_ranks(answer.sids, recommender.sid_of_item[targets]))
        item_gaps.append(events_back(histories.items, histories.offsets, targets))
        category_gaps.append(_category_gap(histories, targets, category))
        report_progress(stop / len(queries))
    return pd.DataFrame(
        {
            "user": queries.users.astype(np.int32),
            "target": queries.targets.astype(np.int32),
            "history_length": queries.ends.astype(np.int32),
            "target_count": queries.target_counts.astype(np.int32),
            "target_quantile": queries.target_quantiles.astype(np.float32),
            "item_gap": _joined(item_gaps, np.int32),
            "category_gap": _joined(category_gaps, np.int32),
            "item_rank": _joined(item_ranks, np.int16),
            "sid_rank": _joined(sid_ranks, np.int16),
        }
    )


def validation_ndcg(recommender: Recommender, queries: Queries, batch_size: int = 256) -> float:
    """Item-level NDCG@10, the early-stopping criterion of every model."""
    return float(ndcg(judge(recommender, queries, batch_size)["item_rank"].to_numpy(), 10).mean())


def _category_gap(
    histories: Histories, targets: NDArray[np.int32], category: NDArray[np.int32] | None
) -> NDArray[np.int32]:
    if category is None:
        return np.zeros(len(targets), dtype=np.int32)
    wanted = category[targets]
    # "Unknown" is no category that a target could share with its history.
    return np.where(wanted < 0, 0, events_back(category[histories.items], histories.offsets, wanted)).astype(np.int32)


def _joined(parts: list[NDArray[Any]], dtype: type[np.integer]) -> NDArray[Any]:
    """The batches' parts one after another; typed also where there was no batch."""
    return np.concatenate(parts) if parts else np.zeros(0, dtype)


def _check(answer: Recommendations, histories: Histories, k: int) -> None:
    """Raises ValueError where a recommender breaks its contract; silent repairs would hide bugs in models."""
    for what, lists in (("item", answer.items), ("semantic ID", answer.sids)):
        if lists is None:
            continue
        if lists.shape != (len(histories), k):
            raise ValueError(f"recommend returned {what} lists of shape {lists.shape}, expected {(len(histories), k)}")
        ordered = np.sort(lists, axis=1)
        if ((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)).any():
            raise ValueError(f"recommend returned a {what} twice in one list")
    if answer.items.max(initial=-1) >= histories.n_items:
        raise ValueError(f"recommend returned item {answer.items.max()} of a catalogue of {histories.n_items}")
    if histories.exclude_seen:
        valid = answer.items >= 0
        if histories.seen()[np.nonzero(valid)[0], answer.items[valid]].any():
            raise ValueError("recommend returned a seen item although seen items are excluded")
