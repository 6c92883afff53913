"""What a loader leaves out of its raw events: small steps that say what they do and what they leave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.errors import BenchError
from bench.seeds import seed_for


class Filter(Protocol):
    """One step. It is a frozen dataclass, so that its `repr` names all of its parameters.

    Events are a table with one row an event: `user`, `item`, `timestamp` and whatever else the raw data has. Their
    order is of no account.
    """

    @property
    def words(self) -> str:
        """What stays, for the report, e.g. "ratings of at least 4"."""

    def keeps(self, events: pd.DataFrame) -> NDArray[np.bool_]:
        """Returns bool `[n_events]`, True for the events that stay."""


@dataclass(frozen=True)
class Positives:
    """Events whose feedback is good enough to count as interest.

    Attributes:
        at_least: Smallest value that stays.
        column: The column that holds the feedback.
    """

    at_least: float
    column: str = "rating"

    @property
    def words(self) -> str:
        return f"{self.column} of at least {self.at_least:g}"

    def keeps(self, events: pd.DataFrame) -> NDArray[np.bool_]:
        return (events[self.column] >= self.at_least).to_numpy(dtype=bool)


@dataclass(frozen=True)
class MinimumEvents:
    """Users and items that occur often enough, counted over all events, those of later test queries included.

    With both minima it is the (`per_user`, `per_item`)-core: the step is repeated until it leaves nothing out, since
    an item may fall below its minimum with the users who are left out, and the other way round.

    Attributes:
        per_user: Fewest events of a user.
        per_item: Fewest events of an item.

    >>> events = pd.DataFrame({"user": ["u", "u", "v", "v", "w", "w"], "item": ["a", "b", "a", "b", "b", "c"]})
    >>> MinimumEvents(per_user=2, per_item=2).keeps(events).tolist()  # c goes, then w, who has one event left
    [True, True, True, True, False, False]
    """

    per_user: int = 1
    per_item: int = 1

    @property
    def words(self) -> str:
        minima = [
            f"{who} with at least {count} events"
            for who, count in (("users", self.per_user), ("items", self.per_item))
            if count > 1
        ]
        return " and ".join(minima) + (", until both hold" if len(minima) == 2 else "")

    def keeps(self, events: pd.DataFrame) -> NDArray[np.bool_]:
        users, _ = pd.factorize(events["user"])
        items, _ = pd.factorize(events["item"])
        keep = np.ones(len(events), dtype=bool)
        while True:
            enough = (np.bincount(users[keep], minlength=len(events))[users] >= self.per_user) & (
                np.bincount(items[keep], minlength=len(events))[items] >= self.per_item
            )
            if not (keep & ~enough).any():
                return keep
            keep &= enough


@dataclass(frozen=True)
class HistoryLength:
    """Users by the number of events before their last basket, which is the history that a last target would have.

    A basket is everything that a user did at one timestamp.

    Attributes:
        at_least: Shortest history that stays, in events.
        at_most: Longest history that stays. None: no limit.
    """

    at_least: int
    at_most: int | None = None

    @property
    def words(self) -> str:
        upper = "" if self.at_most is None else f" and at most {self.at_most}"
        return f"users with at least {self.at_least}{upper} events before their last basket"

    def keeps(self, events: pd.DataFrame) -> NDArray[np.bool_]:
        last = events.groupby("user")["timestamp"].transform("max")
        length = (events["timestamp"] < last).groupby(events["user"]).transform("sum").to_numpy()
        return (length >= self.at_least) & (self.at_most is None or length <= self.at_most)


@dataclass(frozen=True)
class UserSample:
    """A fixed random sample of the users: those whose ids have the smallest hashes.

    So whether a user is in the sample depends on no other user, on no library and on no machine.

    Attributes:
        users: Size of the sample; all users where there are fewer.
    """

    users: int

    @property
    def words(self) -> str:
        return f"a sample of {self.users} users by the hash of their ids"

    def keeps(self, events: pd.DataFrame) -> NDArray[np.bool_]:
        ids = events["user"].unique()
        chosen = sorted(ids, key=lambda user: (seed_for("user sample", user), str(user)))[: self.users]
        return events["user"].isin(chosen).to_numpy(dtype=bool)


@dataclass(frozen=True)
class Filtered:
    """What a sequence of steps leaves.

    Attributes:
        events: The rows that stay, in their order.
        sentences: Each step in words, with what it left of events, users and items; for `Dataset.filters`.
    """

    events: pd.DataFrame
    sentences: tuple[str, ...]


def apply_filters(events: pd.DataFrame, filters: Sequence[Filter]) -> Filtered:
    """Applies one step after the other.

    Args:
        events: One row an event, with the columns `user`, `item` and `timestamp`, and those that a step asks for.
        filters: The steps, in order; each sees what the one before it left.

    Raises:
        BenchError: A step leaves nothing.
    """
    sentences = []
    for step in filters:
        left = events[step.keeps(events)]
        counts = ", ".join(f"{now:,} of {before:,} {what}" for what, before, now in _counts(events, left))
        if left.empty:
            raise BenchError(f"filter '{step.words}' leaves none of {len(events):,} events; lower its limits")
        sentences.append(f"{step.words}: {counts} stay")
        events = left
    return Filtered(events, tuple(sentences))


def _counts(before: pd.DataFrame, after: pd.DataFrame) -> list[tuple[str, int, int]]:
    distinct = [(f"{column}s", before[column].nunique(), after[column].nunique()) for column in ("user", "item")]
    return [("events", len(before), len(after)), *distinct]
