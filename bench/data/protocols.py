"""How interactions become training data, validation queries and test queries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bench.data.cache import content_key
from bench.data.dataset import Dataset, SeenItems, TrainingData
from bench.data.interactions import Histories, Interactions
from bench.errors import BenchError, unknown_name


@dataclass(frozen=True)
class Queries:
    """Pairs of (history, target) as index pairs into the interactions.

    Attributes:
        interactions: All events of the data set.
        users: int64 `[n]`, whose history.
        ends: int64 `[n]`, the history is the user's first `ends` events.
        targets: int32 `[n]`, the item to be found.
        target_counts: int64 `[n]`, training interactions of the target.
        target_quantiles: float64 `[n]`, place of the target among all items ordered by training interactions
            (most first, ties by item index), as a fraction of the catalogue in [0, 1).
        exclude_seen: Whether items of the history are no candidates.
    """

    interactions: Interactions
    users: NDArray[np.int64]
    ends: NDArray[np.int64]
    targets: NDArray[np.int32]
    target_counts: NDArray[np.int64]
    target_quantiles: NDArray[np.float64]
    exclude_seen: bool

    def __len__(self) -> int:
        return len(self.users)

    def histories(self, start: int, stop: int) -> Histories:
        """The histories of queries `start .. stop - 1`, as copies that hold nothing of the target or later."""
        ends = self.ends[start:stop]
        first = self.interactions.offsets[self.users[start:stop]]
        offsets = np.concatenate([[0], np.cumsum(ends)]).astype(np.int64)
        source = np.arange(offsets[-1]) + np.repeat(first - offsets[:-1], ends)
        return Histories(
            items=self.interactions.items[source],
            timestamps=self.interactions.timestamps[source],
            offsets=offsets,
            n_items=self.interactions.n_items,
            exclude_seen=self.exclude_seen,
        )


@dataclass(frozen=True)
class Split:
    """A data set divided by a protocol.

    Attributes:
        train: What `Recommender.fit` receives.
        validation: For early stopping.
        test: For the result.
        excluded: Reason -> number of users without the query in question. Only reasons that occurred.
    """

    train: TrainingData
    validation: Queries
    test: Queries
    excluded: dict[str, int]


def split(dataset: Dataset, protocol: str, seen_items: SeenItems | None = None) -> Split:
    """Divides a data set into training data, validation queries and test queries.

    Args:
        dataset: The data.
        protocol: A key of `PROTOCOLS`.
        seen_items: Overrides the data set's rule on candidates. None keeps it.

    Returns:
        The split. Where seen items are excluded, a query whose target is in its own history has no right answer; it is
        left out and counted.

    Raises:
        BenchError: The protocol is unknown, or it leaves no query.
    """
    if protocol not in PROTOCOLS:
        raise unknown_name("protocol", protocol, PROTOCOLS)
    held_out = PROTOCOLS[protocol](dataset.interactions, dataset.baskets)
    exclude_seen = (seen_items or dataset.seen_items) == "exclude"
    train = TrainingData(
        interactions=dataset.interactions.truncated(held_out.train_ends),
        item_table=dataset.item_table,
        exclude_seen=exclude_seen,
        # Not of `seen_items`: what is cached under this hash depends on the events alone.
        content_hash=content_key(dataset.content_hash, protocol),
    )
    excluded = dict(held_out.excluded)
    queries: dict[str, Queries] = {}
    for part, ends, targets in (
        ("validation", held_out.validation_ends, held_out.validation_targets),
        ("test", held_out.test_ends, held_out.test_targets),
    ):
        asked = _queries(dataset.interactions, train.interactions, held_out.users, ends, targets, exclude_seen)
        if exclude_seen:
            asked, unanswerable = _without_seen_targets(asked)
            if unanswerable:
                excluded[f"{part} target already in the history"] = unanswerable
        if len(asked) == 0:
            reasons = "; ".join(f"{reason}: {users} users" for reason, users in excluded.items())
            raise BenchError(f"{protocol} leaves no {part} query of data set '{dataset.name}' ({reasons})")
        queries[part] = asked
    return Split(train=train, validation=queries["validation"], test=queries["test"], excluded=excluded)


@dataclass(frozen=True)
class _HeldOut:
    """What a protocol decides. Ends count events from the user's first; targets are places in all events.

    Attributes:
        train_ends: int64 `[n_users]`.
        users: int64 `[n]`, the users with queries; the next four belong to them.
        validation_ends, validation_targets, test_ends, test_targets: int64 `[n]`.
        excluded: Reason -> number of users without queries.
    """

    train_ends: NDArray[np.int64]
    users: NDArray[np.int64]
    validation_ends: NDArray[np.int64]
    validation_targets: NDArray[np.int64]
    test_ends: NDArray[np.int64]
    test_targets: NDArray[np.int64]
    excluded: dict[str, int]


def _leave_one_out(interactions: Interactions, baskets: bool) -> _HeldOut:
    """Each user's last event is the test target, the one before it the validation target; all before that trains.

    With `baskets`, a basket is a maximal run of one user's events with one timestamp, and the rule holds for baskets:
    the test target is the last event (in file order) of the last basket, the validation target the last event of the
    basket before it. Either history ends before its target's basket, and training ends before the validation target's.
    So the rest of a target's basket is in no history of that query, while the whole validation basket is in the test
    history. Without `baskets` every event counts as a basket of its own.

    A user with fewer than three baskets has no queries, and keeps all events for training.
    """
    first = np.zeros(interactions.n_events, dtype=bool)
    first[interactions.offsets[:-1][interactions.lengths > 0]] = True
    opens_basket = first | (np.diff(interactions.timestamps, prepend=0) != 0) if baskets else np.ones_like(first)
    basket_start = np.maximum.accumulate(np.where(opens_basket, np.arange(interactions.n_events), 0))

    user_of_event = np.repeat(np.arange(interactions.n_users), interactions.lengths)
    n_baskets = np.bincount(user_of_event[opens_basket], minlength=interactions.n_users)
    users = np.flatnonzero(n_baskets >= 3)
    begin = interactions.offsets[users]
    test_targets = interactions.offsets[users + 1] - 1
    test_ends = basket_start[test_targets]
    validation_targets = test_ends - 1
    validation_ends = basket_start[validation_targets]

    train_ends = interactions.lengths.copy()
    train_ends[users] = validation_ends - begin
    n_excluded = interactions.n_users - len(users)
    return _HeldOut(
        train_ends=train_ends,
        users=users,
        validation_ends=validation_ends - begin,
        validation_targets=validation_targets,
        test_ends=test_ends - begin,
        test_targets=test_targets,
        excluded={f"fewer than 3 {'baskets' if baskets else 'events'}": n_excluded} if n_excluded else {},
    )


PROTOCOLS: dict[str, Callable[[Interactions, bool], _HeldOut]] = {"leave-one-out": _leave_one_out}


def _queries(
    interactions: Interactions,
    train: Interactions,
    users: NDArray[np.int64],
    ends: NDArray[np.int64],
    target_events: NDArray[np.int64],
    exclude_seen: bool,
) -> Queries:
    targets = interactions.items[target_events]
    counts = train.item_counts()
    place = np.empty(train.n_items, dtype=np.int64)
    place[np.argsort(-counts, kind="stable")] = np.arange(train.n_items)
    return Queries(
        interactions=interactions,
        users=users,
        ends=ends,
        targets=targets,
        target_counts=counts[targets],
        target_quantiles=place[targets] / train.n_items,
        exclude_seen=exclude_seen,
    )


def _without_seen_targets(queries: Queries) -> tuple[Queries, int]:
    """The queries that can be answered, and the number of the others."""
    histories = queries.histories(0, len(queries))
    query = np.repeat(np.arange(len(queries)), histories.lengths)
    hits = histories.items == queries.targets[query]
    keep = np.bincount(query[hits], minlength=len(queries)) == 0
    answerable = replace(
        queries,
        users=queries.users[keep],
        ends=queries.ends[keep],
        targets=queries.targets[keep],
        target_counts=queries.target_counts[keep],
        target_quantiles=queries.target_quantiles[keep],
    )
    return answerable, int((~keep).sum())
