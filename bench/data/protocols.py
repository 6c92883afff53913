"""How interactions become training data, validation queries and test queries."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from bench.data.cache import content_key
from bench.data.dataset import ColdTargets, Dataset, SeenItems, TrainingData
from bench.data.interactions import Histories, Interactions
from bench.data.set_aside import set_aside
from bench.errors import BenchError, unknown_name
from bench.seeds import seed_for

VALIDATION_FROM = 0.8
TEST_FROM = 0.9
"""Protocol `temporal`: the share of all events that is earlier than the validation and the test period."""

_log = logging.getLogger(__name__)
_log.addHandler(logging.NullHandler())  # where nobody listens, the counts are in `Split` all the same


@dataclass(frozen=True)
class Queries:
    """Pairs of (history, target) as index pairs into the interactions.

    Attributes:
        interactions: All events of the data set.
        users: int64 `[n]`, whose history.
        ends: int64 `[n]`, the history is the user's first `ends` events.
        targets: int32 `[n]`, the item that follows.
        target_counts: int64 `[n]`, training interactions of the target.
        target_quantiles: float64 `[n]`, rank of the target among all items ordered by training interactions
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
        """Returns the histories of queries `start .. stop - 1`, as copies that hold nothing of the target or later."""
        return self.interactions.histories(self.users[start:stop], self.ends[start:stop], self.exclude_seen)


@dataclass(frozen=True)
class Split:
    """A data set divided by a protocol.

    Attributes:
        train: What `Recommender.fit` receives.
        validation: For early stopping.
        test: For the result.
        excluded: Reason -> number of users without the query in question. Only reasons that occurred.
        cold_targets: "validation", "test" -> number of queries whose target occurs in no training event, and which are
            evaluated all the same. Only parts that have some.
        confirm: The test queries of the users who are set aside; they are in none of the other parts. None: nobody is.
    """

    train: TrainingData
    validation: Queries
    test: Queries
    excluded: dict[str, int]
    cold_targets: dict[str, int] = field(default_factory=dict)
    confirm: Queries | None = None


def split(
    dataset: Dataset,
    protocol: str,
    seen_items: SeenItems | None = None,
    cold_targets: ColdTargets = "warn",
    confirm: float | None = None,
) -> Split:
    """Divides a data set into training data, validation queries and test queries.

    Args:
        dataset: The data.
        protocol: A key of `PROTOCOLS`.
        seen_items: Overrides the data set's rule on candidates. None keeps it.
        cold_targets: What becomes of queries whose target has no training event: "warn" asks and counts them,
            "ignore" leaves them out and counts them, "raise" refuses such data.
        confirm: The share of users to set aside. Their events before their validation target train as everybody's do,
            so that catalogue and popularity are the same; their queries are neither validated nor tested on.

    Returns:
        The split. Where seen items are excluded, a query whose target is in its own history has no right answer; it is
        left out and counted.

    Raises:
        BenchError: The protocol is unknown or does not fit the data, it leaves no query, or `cold_targets` is "raise"
            and there are some.
    """
    if protocol not in PROTOCOLS:
        raise unknown_name("protocol", protocol, PROTOCOLS)
    held_out = PROTOCOLS[protocol](dataset)
    exclude_seen = (seen_items or dataset.seen_items) == "exclude"
    train = _training_data(dataset, protocol, held_out, exclude_seen)
    excluded = dict(held_out.excluded)
    cold: dict[str, int] = {}
    queries: dict[str, Queries] = {}
    for part, chosen in (("validation", held_out.validation), ("test", held_out.test)):
        selected = _queries(dataset.interactions, train.interactions, chosen, exclude_seen)
        if exclude_seen:
            selected = _without(
                selected, _target_in_history(selected), f"{part} target already in the history", excluded
            )
        is_cold = selected.target_counts == 0
        if is_cold.any():
            _report_cold(dataset.name, protocol, part, is_cold, cold_targets)
            if cold_targets == "ignore":
                selected = _without(selected, is_cold, f"{part} target without training events", excluded)
        if confirm is not None:
            aside = set_aside(dataset.user_ids, confirm)[selected.users]
            if len(selected) and aside.all() == aside.any():
                raise _not_divided(dataset.name, confirm, part, aside)
            queries[f"set-aside {part}"] = _where(selected, aside)
            selected = _without(selected, aside, f"{part} query set aside for confirmation", excluded)
        if (n_cold := int((selected.target_counts == 0).sum())) > 0:
            cold[part] = n_cold
        queries[part] = selected
        if not all(map(len, queries.values())):
            raise _nothing_left(f"{protocol} leaves no {part} query of data set '{dataset.name}'", excluded)
    return Split(train, queries["validation"], queries["test"], excluded, cold, queries.get("set-aside test"))


def _training_data(dataset: Dataset, protocol: str, held_out: _HeldOut, exclude_seen: bool) -> TrainingData:
    return TrainingData(
        interactions=dataset.interactions.truncated(held_out.train_ends),
        item_table=dataset.item_table,
        exclude_seen=exclude_seen,
        # Of neither `seen_items` nor `confirm`: what is cached under this hash depends on the events alone.
        content_hash=content_key(dataset.content_hash, protocol),
        targets=held_out.train_targets,
        baskets=dataset.baskets,
        world=dataset.world,
    )


def _nothing_left(text: str, excluded: Mapping[str, int]) -> BenchError:
    reasons = "; ".join(f"{reason}: {users} users" for reason, users in excluded.items()) or "no events there"
    return BenchError(f"{text} ({reasons})")


def _not_divided(name: str, confirm: float, part: str, aside: NDArray[np.bool_]) -> BenchError:
    number, way = ("all", "lower") if aside.all() else ("none", "raise")
    return BenchError(
        f"data set '{name}': confirm {confirm:g} sets aside {number} of its {len(aside):,} {part} queries; "
        f"{way} it, or leave it out"
    )


@dataclass(frozen=True)
class _Chosen:
    """The queries of one part, before any are left out.

    Attributes:
        users: int64 `[n]`, whose history.
        ends: int64 `[n]`, the history is the user's first `ends` events.
        targets: int32 `[n]`, items.
    """

    users: NDArray[np.int64]
    ends: NDArray[np.int64]
    targets: NDArray[np.int32]

    def where(self, keep: NDArray[np.bool_]) -> _Chosen:
        return _Chosen(self.users[keep], self.ends[keep], self.targets[keep])


@dataclass(frozen=True)
class _HeldOut:
    """What a protocol decides.

    Attributes:
        train_ends: int64 `[n_users]`, the first `train_ends` events of each user train.
        validation, test: The queries.
        excluded: Reason -> number of users without queries.
        train_targets: See `TrainingData.targets`.
    """

    train_ends: NDArray[np.int64]
    validation: _Chosen
    test: _Chosen
    excluded: dict[str, int]
    train_targets: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None


def _leave_one_out(dataset: Dataset) -> _HeldOut:
    """Each user's last event is the test target, the one before it the validation target; all before that trains.

    With baskets (maximal runs of one user's events with one timestamp) the rule holds for baskets: the test target is
    drawn from the last basket, the validation target from the one before it. Either history ends before its target's
    basket, and training ends before the validation target's. So the rest of a target's basket is in no
    history of that query, while the whole validation basket is in the test history. Training keeps the order of the
    file within a basket.

    A user with fewer than three events or baskets has no queries, and keeps all events for training.
    """
    interactions = dataset.interactions
    users = np.flatnonzero(interactions.lengths)
    test = _choose(dataset, users, interactions.lengths[users] - 1, "test")
    test = test.where(test.ends > 0)
    validation = _choose(dataset, test.users, test.ends - 1, "validation")
    complete = validation.ends > 0
    validation, test = validation.where(complete), test.where(complete)
    train_ends = interactions.lengths.copy()
    train_ends[validation.users] = validation.ends
    n_excluded = interactions.n_users - len(test.users)
    reason = f"fewer than 3 {'baskets' if dataset.baskets else 'events'}"
    return _HeldOut(train_ends, validation, test, {reason: n_excluded} if n_excluded else {})


def _temporal(dataset: Dataset) -> _HeldOut:
    """One cut-off in time for everybody: what happened before it is known, what happens from then on is predicted.

    The validation period begins at the time of the event at position `VALIDATION_FROM` of all events ordered by time,
    the test period at that of `TEST_FROM`; events of one time are in one period. Every event before the validation
    period trains, whoever's it is, and no other. The validation target is a user's first event from the beginning of
    the validation period and before the test period, the test target the first from the beginning of the test period;
    with baskets it is drawn from the first basket there. The history is all that the user did before that, so a test
    history includes the validation period, on which nobody has trained.

    A user without events in a period has no query there, nor has one without any event before the target: a new user
    has no history to go by. Both are counted. Users who only come with the validation period train nothing.

    Raises:
        BenchError: The data have an order but no time.
    """
    if not dataset.has_time:
        raise BenchError(
            f"protocol temporal needs the time of every event, and data set '{dataset.name}' has only their order; "
            "use leave-one-out"
        )
    interactions = dataset.interactions
    by_time = np.sort(interactions.timestamps)
    validation_from, test_from = (by_time[int(share * len(by_time))] for share in (VALIDATION_FROM, TEST_FROM))
    before_validation = _events_before(interactions, validation_from)
    before_test = _events_before(interactions, test_from)
    excluded: dict[str, int] = {}
    parts = {}
    for part, begin, end in (
        ("validation", before_validation, before_test),
        ("test", before_test, interactions.lengths),
    ):
        active, known = end > begin, begin > 0
        parts[part] = _choose(dataset, np.flatnonzero(active & known), begin[active & known], part)
        for reason, lacking in (
            (f"no event in the {part} period", ~active),
            (f"no event before the {part} period", active & ~known),
        ):
            if lacking.any():
                excluded[reason] = int(lacking.sum())
    return _HeldOut(before_validation, parts["validation"], parts["test"], excluded)


def _shipped(dataset: Dataset) -> _HeldOut:
    """The division that comes with the data.

    Raises:
        BenchError: There is none, or it would train on events that one of its queries asks for or that follow them.
    """
    shipped = dataset.shipped_split
    if shipped is None:
        raise BenchError(f"data set '{dataset.name}' ships no split of its own; use leave-one-out or temporal")
    validation = _Chosen(shipped.validation_rows, shipped.validation_ends, shipped.validation_targets)
    test = _Chosen(shipped.test_rows, shipped.test_ends, shipped.test_targets)
    for part, chosen in (("validation", validation), ("test", test)):
        leaks = int((shipped.train_ends[chosen.users] > chosen.ends).sum())
        if leaks:
            raise BenchError(
                f"the shipped split of data set '{dataset.name}' trains on what follows the history of {leaks} {part} "
                "queries; put those queries into rows of their own"
            )
    if shipped.train_rows is None or shipped.train_positions is None:
        return _HeldOut(shipped.train_ends, validation, test, {})
    return _HeldOut(shipped.train_ends, validation, test, {}, (shipped.train_rows, shipped.train_positions))


PROTOCOLS: dict[str, Callable[[Dataset], _HeldOut]] = {
    "leave-one-out": _leave_one_out,
    "temporal": _temporal,
    "shipped": _shipped,
}


def _choose(dataset: Dataset, users: NDArray[np.int64], positions: NDArray[np.int64], part: str) -> _Chosen:
    """Makes one query for each user, about the event at `positions` of the user's events or the basket that holds it.

    The order of events within a basket means nothing (Complete Journey lists them by product id), so a
    basket's target is drawn at random. The draw depends on the user's id and the part alone.
    """
    interactions = dataset.interactions
    if not dataset.baskets:
        return _Chosen(users, positions, interactions.items[interactions.offsets[users] + positions])
    start, size = _basket_around(interactions, users, positions)
    draws = np.array([seed_for("target", part, dataset.user_ids[user]) for user in users], dtype=np.int64)
    return _Chosen(users, start, interactions.items[interactions.offsets[users] + start + draws % size])


def _basket_around(
    interactions: Interactions, users: NDArray[np.int64], positions: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Tells where the basket that holds each user's event begins, counted from the user's first event, and its size."""
    row = interactions.offsets[users]
    starts = interactions.basket_starts()
    begin = starts[row + positions].astype(np.int64)
    # Counted at the event that opens each basket.
    size = np.bincount(np.repeat(interactions.offsets[:-1], interactions.lengths) + starts)
    return begin, size[row + begin]


def _events_before(interactions: Interactions, time: np.int64) -> NDArray[np.int64]:
    """int64 `[n_users]`, how many of each user's events are earlier than `time`."""
    earlier = np.concatenate([[0], np.cumsum(interactions.timestamps < time)])
    return earlier[interactions.offsets[1:]] - earlier[interactions.offsets[:-1]]


def _report_cold(name: str, protocol: str, part: str, is_cold: NDArray[np.bool_], policy: ColdTargets) -> None:
    """Says how many queries nobody could have learned to answer, as an error or in the log."""
    text = f"{is_cold.sum()} of {len(is_cold)} {part} targets of data set '{name}' ({protocol}) have no training event"
    if policy == "raise":
        raise BenchError(f"{text}; choose cold_targets: warn to ask them all the same, or ignore to leave them out")
    if policy == "warn":
        _log.warning("%s; they are asked all the same", text)


def _queries(interactions: Interactions, train: Interactions, chosen: _Chosen, exclude_seen: bool) -> Queries:
    counts = train.item_counts()
    rank = np.empty(train.n_items, dtype=np.int64)
    rank[np.argsort(-counts, kind="stable")] = np.arange(train.n_items)
    return Queries(
        interactions=interactions,
        users=chosen.users,
        ends=chosen.ends,
        targets=chosen.targets,
        target_counts=counts[chosen.targets],
        target_quantiles=rank[chosen.targets] / train.n_items,
        exclude_seen=exclude_seen,
    )


def _target_in_history(queries: Queries) -> NDArray[np.bool_]:
    """Returns bool `[n]`."""
    histories = queries.histories(0, len(queries))
    query = np.repeat(np.arange(len(queries)), histories.lengths)
    hits = histories.items == queries.targets[query]
    return np.bincount(query[hits], minlength=len(queries)) > 0


def _without(queries: Queries, drop: NDArray[np.bool_], reason: str, excluded: dict[str, int]) -> Queries:
    """The queries but those to drop, which are counted in `excluded`."""
    if drop.any():
        excluded[reason] = int(drop.sum())
    return _where(queries, ~drop)


def _where(queries: Queries, keep: NDArray[np.bool_]) -> Queries:
    """Some of the queries."""
    return replace(
        queries,
        users=queries.users[keep],
        ends=queries.ends[keep],
        targets=queries.targets[keep],
        target_counts=queries.target_counts[keep],
        target_quantiles=queries.target_quantiles[keep],
    )
