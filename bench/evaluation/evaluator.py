"""From a fitted recommender and a set of queries to one row per query. Metrics are computed later, from these rows."""

from __future__ import annotations

from collections.abc import Callable

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


def judge(
    recommender: Recommender,
    queries: Queries,
    batch_size: int = 256,
    k: int = K_MAX,
    report_progress: Callable[[float], None] = lambda fraction: None,
) -> pd.DataFrame:
    """Asks for `k` items per query and finds the target's place at item level and at semantic-ID level.

    Args:
        recommender: Fitted.
        queries: Histories and targets; only the histories reach the recommender.
        batch_size: Queries per call; no result depends on it.
        k: Length of the lists.
        report_progress: Called with the fraction of queries done.

    Returns:
        A table with the columns `QUERY_COLUMNS`, in the order of the queries.

    Raises:
        ValueError: A list is malformed (wrong shape, an unknown item, an item or semantic ID twice, a seen item where
            these are excluded).
    """
    item_ranks, sid_ranks = [], []
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
        report_progress(stop / len(queries))
    return pd.DataFrame(
        {
            "user": queries.users.astype(np.int32),
            "target": queries.targets.astype(np.int32),
            "history_length": queries.ends.astype(np.int32),
            "target_count": queries.target_counts.astype(np.int32),
            "target_quantile": queries.target_quantiles.astype(np.float32),
            "item_rank": np.concatenate(item_ranks) if item_ranks else np.zeros(0, np.int16),
            "sid_rank": np.concatenate(sid_ranks) if sid_ranks else np.zeros(0, np.int16),
        }
    )


def validation_ndcg(recommender: Recommender, queries: Queries, batch_size: int = 256) -> float:
    """Item-level NDCG@10, the early-stopping criterion of every model."""
    return float(ndcg(judge(recommender, queries, batch_size)["item_rank"].to_numpy(), 10).mean())


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
