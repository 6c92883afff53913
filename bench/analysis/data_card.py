"""The data card: what one should know of a data set before believing a figure that was measured on it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.analysis.report_columns import ITEM_COUNTS, LENGTHS, OVER_TIME, REACH
from bench.conventions import HEAD_SHARE, REACH_WINDOW
from bench.data.dataset import ColdTargets, Dataset, SeenItems
from bench.data.events import repeats
from bench.data.protocols import Queries, split
from bench.evaluation.evaluator import events_back

PERCENTILES = (0, 10, 25, 50, 75, 90, 99, 100)
FAR_FROM = 0.1
"""From this share of test targets on that were last used before the last `REACH_WINDOW` events, `long` is advised."""

_QUERIES_AT_A_TIME = 4096
_LENGTH_EDGES = 40
_SPANS = 60
"""Equal spans of time in which events are counted."""


@dataclass(frozen=True)
class Reach:
    """Where in their histories the test targets were last used, as shares that sum to 1.

    Attributes:
        recent: Among the last `REACH_WINDOW` events.
        further_back: Only before these.
        never: Nowhere.
    """

    recent: float
    further_back: float
    never: float

    @classmethod
    def of(cls, gaps: NDArray[np.int64]) -> Reach:
        """From `gaps`, as `target_gaps` gives them."""
        recent, never = float(np.mean((gaps > 0) & (gaps <= REACH_WINDOW))), float(np.mean(gaps == 0))
        return cls(recent, 1.0 - recent - never, never)


@dataclass(frozen=True)
class Advice:
    """Which suite suits a data set.

    Attributes:
        suite: Its name.
        reason: A clause with the figure behind it.
    """

    suite: str
    reason: str

    @classmethod
    def of(cls, reach: Reach | None, longer: float, what: str = "targets") -> Advice:
        """By what the long history can know that the window of recent events does not.

        Args:
            reach: Of the test targets, or of their categories. None: nothing is known of either.
            longer: Share of users with more than `REACH_WINDOW` events.
            what: Whose reach it is.
        """
        if reach is None:
            reason = (
                f"no item and no category comes again, and {longer:.1%} of users have more than {REACH_WINDOW} events"
            )
            return cls("full", reason)
        if reach.further_back >= FAR_FROM:
            reason = f"{reach.further_back:.1%} of {what} were last used further back than {REACH_WINDOW} events"
            return cls("long", reason)
        reason = f"only {reach.further_back:.1%} of {what} were last used further back than {REACH_WINDOW} events"
        return cls("full", reason)


@dataclass(frozen=True)
class DataCard:
    """A data set in figures. Shares are fractions of 1.

    Attributes:
        name, licence, source, content_hash, filters, seen_items, baskets: See `Dataset`; `seen_items` as asked for.
        users, items, events: Sizes.
        lengths: Percentile -> events per user, for `PERCENTILES`.
        longer_than_window: Share of users with more than `REACH_WINDOW` events.
        item_counts: Percentile -> events per item, for `PERCENTILES`.
        head_share: Share of events on the head, the `HEAD_SHARE` of items with the most events.
        repeat_share: Share of events whose item the user had met before.
        tie_share: Share of events that share their time with the one before them; None where there is no time.
        first_day, last_day: ISO dates (UTC); None where there is no time.
        text_columns: Of the item table.
        text_share: Share of items with any text.
        categories: Number of categories; None where the data has none.
        embedding_dims: None where no embeddings ship with the data.
        embedding_share: Share of items with an embedding.
        protocol: By which the rest is measured.
        train_events, validation_queries, test_queries: Sizes of the parts.
        excluded: Reason -> users without a query.
        cold_targets: Part -> queries whose target has no training event.
        reach: Of the test targets; `category_reach`: of their categories, None where there are none.
    """

    name: str
    users: int
    items: int
    events: int
    lengths: dict[int, int]
    longer_than_window: float
    item_counts: dict[int, int]
    head_share: float
    repeat_share: float
    tie_share: float | None
    first_day: str | None
    last_day: str | None
    text_columns: tuple[str, ...]
    text_share: float
    categories: int | None
    embedding_dims: int | None
    embedding_share: float
    seen_items: SeenItems
    baskets: bool
    protocol: str
    train_events: int
    validation_queries: int
    test_queries: int
    excluded: dict[str, int]
    cold_targets: dict[str, int]
    reach: Reach
    category_reach: Reach | None
    filters: tuple[str, ...]
    licence: str
    source: str
    content_hash: str

    def table(self) -> pd.DataFrame:
        """All of it: columns `part`, `name` and `value`, as text."""
        rows = [(part, name, value) for part, lines in self.sections().items() for name, value in lines]
        return pd.DataFrame(rows, columns=["part", "name", "value"])

    def sections(self) -> dict[str, list[tuple[str, str]]]:
        """The card as text: heading -> pairs of name and value, for any kind of table."""
        size = f"{self.users:,} users, {self.items:,} items, {self.events:,} events"
        longer = f"{self.longer_than_window:.1%}"
        content = [
            ("Size", f"{size} ({self.events / self.users / self.items:.3%} of all pairs)"),
            ("Time", self._time()),
            ("Events per user", f"{_listed(self.lengths)}; more than {REACH_WINDOW}: {longer} of users"),
            ("Events per item", _listed(self.item_counts)),
            ("Popularity", f"{self.head_share:.1%} of events on the {HEAD_SHARE:.0%} most popular items"),
            ("Repeats", f"{self.repeat_share:.1%} of events are of an item that the user has met before"),
        ]
        rule = {"exclude": "no candidates", "keep": "stay candidates"}[self.seen_items]
        parts = [
            ("Protocol", self.protocol),
            ("Items already seen", rule),
            ("Training", f"{self.train_events:,} events"),
            ("Queries", f"{self.validation_queries:,} validation, {self.test_queries:,} test"),
            *(("Without query", f"{reason}: {users:,} users") for reason, users in self.excluded.items()),
            *(
                ("Cold targets", f"{count:,} of the {part} targets have no training event")
                for part, count in self.cold_targets.items()
            ),
            *([("Test target last used", _reach_in_words(self.reach))] if self.seen_items == "keep" else []),
            *([("Its category last used", _reach_in_words(self.category_reach))] if self.category_reach else []),
        ]
        origin = [("Licence", self.licence), ("Source", self.source), ("Hash", self.content_hash)]
        advice = self.advice
        command = f"python -m bench run --suite {advice.suite} --dataset ..., with the same options"
        gpu = ", which wants a GPU" if advice.suite == "long" else ""
        return {
            "Events": content,
            "Items": self._items(),
            "Split": parts,
            "What to run": [("Suite", f"{advice.reason}: try --suite {advice.suite}{gpu} ({command})")],
            **({"Reading": [(str(step), text) for step, text in enumerate(self.filters, 1)]} if self.filters else {}),
            "Origin": origin,
        }

    @property
    def advice(self) -> Advice:
        """The suite that suits the data."""
        if self.seen_items == "keep":
            return Advice.of(self.reach, self.longer_than_window)
        return Advice.of(self.category_reach, self.longer_than_window, "targets' categories")

    def _time(self) -> str:
        if self.tie_share is None:
            return "none, only an order" + (", in which equal numbers make one basket" if self.baskets else "")
        ties = f"{self.tie_share:.1%} of events share their time with the user's event before"
        return f"{self.first_day} to {self.last_day}; {ties}" + (", as one basket" if self.baskets else "")

    def _items(self) -> list[tuple[str, str]]:
        text = (
            f"{', '.join(self.text_columns)}; {self.text_share:.1%} of items have some" if self.text_columns else "none"
        )
        vectors = f"{self.embedding_dims} dimensions; {self.embedding_share:.1%} of items have one"
        return [
            ("Text", text),
            ("Categories", "none" if self.categories is None else f"{self.categories:,}"),
            ("Embeddings", "none" if self.embedding_dims is None else vectors),
        ]


@dataclass(frozen=True)
class DataShape:
    """What a data set looks like, whatever is trained on it, as frames (`bench.analysis.report_columns`).

    Attributes:
        lengths: Users by length of their histories.
        item_counts: Events of each item.
        over_time: Events by span of time, without rows where there is no time.
        reach: Where test targets were last used, without rows where nothing can be said.
    """

    lengths: pd.DataFrame
    item_counts: pd.DataFrame
    over_time: pd.DataFrame
    reach: pd.DataFrame


def make_card(
    dataset: Dataset,
    protocol: str = "leave-one-out",
    seen_items: SeenItems | None = None,
    cold_targets: ColdTargets = "warn",
    confirm: float | None = None,
) -> DataCard:
    """Measures a data set.

    Args:
        dataset: The data.
        protocol, seen_items, cold_targets, confirm: As for `split`; targets of users who are set aside count nowhere.

    Raises:
        BenchError: The protocol does not fit the data.
    """
    parts = split(dataset, protocol, seen_items, cold_targets, confirm)
    interactions, table = dataset.interactions, dataset.item_table
    days: list[str | None] = [None, None]
    if dataset.has_time:
        extremes = (int(interactions.timestamps.min()), int(interactions.timestamps.max()))
        days = [datetime.fromtimestamp(seconds, timezone.utc).date().isoformat() for seconds in extremes]
    counts = np.sort(interactions.item_counts())[::-1]
    embeddings, category = table.embeddings, table.category
    return DataCard(
        name=dataset.name,
        users=interactions.n_users,
        items=interactions.n_items,
        events=interactions.n_events,
        lengths=_percentiles(interactions.lengths),
        longer_than_window=float(np.mean(interactions.lengths > REACH_WINDOW)),
        item_counts=_percentiles(counts),
        head_share=float(counts[: round(HEAD_SHARE * len(counts))].sum() / interactions.n_events),
        repeat_share=float(repeats(interactions).mean()),
        tie_share=_tie_share(dataset) if dataset.has_time else None,
        first_day=days[0],
        last_day=days[1],
        text_columns=table.text_columns,
        text_share=_text_share(dataset),
        categories=None if category is None else len(np.unique(category[category >= 0])),
        embedding_dims=None if embeddings is None else int(embeddings.shape[1]),
        embedding_share=0.0 if embeddings is None else float(np.mean([row.any() for row in embeddings])),
        seen_items=seen_items or dataset.seen_items,
        baskets=dataset.baskets,
        protocol=protocol,
        train_events=parts.train.interactions.n_events,
        validation_queries=len(parts.validation),
        test_queries=len(parts.test),
        excluded=parts.excluded,
        cold_targets=parts.cold_targets,
        reach=Reach.of(target_gaps(parts.test)),
        category_reach=None if category is None else Reach.of(target_gaps(parts.test, category)),
        filters=dataset.filters,
        licence=dataset.licence,
        source=dataset.source,
        content_hash=dataset.content_hash,
    )


def shape_of(dataset: Dataset, card: DataCard) -> DataShape:
    """What the figure beside a card is drawn from.

    Args:
        dataset: The data.
        card: Of the data.
    """
    lengths = dataset.interactions.lengths
    edges = np.unique(np.round(np.geomspace(max(1, lengths.min()), lengths.max() + 1, _LENGTH_EDGES)))
    users, edges = np.histogram(lengths, bins=edges)
    counts = np.sort(dataset.interactions.item_counts())[::-1]
    counts = counts[counts > 0]
    return DataShape(
        LENGTHS.frame(zip(edges[:-1], edges[1:], users, strict=True)),
        ITEM_COUNTS.frame(zip(np.arange(1, len(counts) + 1), counts, strict=True)),
        OVER_TIME.frame(_over_time(dataset) if dataset.has_time else []),
        REACH.frame(_reaches(card)),
    )


def _over_time(dataset: Dataset) -> Iterator[tuple[int, int, int]]:
    moments = dataset.interactions.timestamps
    events, edges = np.histogram(moments, bins=np.linspace(moments.min(), moments.max() + 1, _SPANS + 1))
    whole = edges.astype(np.int64).tolist()
    return zip(whole, whole[1:], events.tolist(), strict=False)


def _reaches(card: DataCard) -> Iterator[tuple[str, str, float]]:
    """What can be said of the test targets; where seen items are excluded, no target was ever used before."""
    known = {"item": card.reach if card.seen_items == "keep" else None, "category": card.category_reach}
    for of, reach in known.items():
        if reach is not None:
            yield from ((of, "recent", reach.recent), (of, "far", reach.further_back), (of, "never", reach.never))


def target_gaps(queries: Queries, category: NDArray[np.int32] | None = None) -> NDArray[np.int64]:
    """How many events back each target was last used; 1 is the last event of the history, 0 means never.

    Args:
        queries: Histories and targets.
        category: int32 `[n_items]`. With it, how far back the target's category was last used; 0 where it has none.

    Returns:
        int64 `[n_queries]`.
    """
    gaps = np.zeros(len(queries), dtype=np.int64)
    for start in range(0, len(queries), _QUERIES_AT_A_TIME):
        stop = min(start + _QUERIES_AT_A_TIME, len(queries))
        histories, targets = queries.histories(start, stop), queries.targets[start:stop]
        if category is None:
            gaps[start:stop] = events_back(histories.items, histories.offsets, targets)
        else:
            known = category[targets] >= 0
            gap = events_back(category[histories.items], histories.offsets, category[targets])
            gaps[start:stop] = np.where(known, gap, 0)
    return gaps


def _percentiles(values: NDArray[np.int64]) -> dict[int, int]:
    """Of the values themselves, never between two of them."""
    quantiles = np.percentile(values, PERCENTILES, method="lower")
    return {share: int(value) for share, value in zip(PERCENTILES, quantiles, strict=True)}


def _tie_share(dataset: Dataset) -> float:
    interactions = dataset.interactions
    same = np.diff(interactions.timestamps) == 0
    opens = interactions.offsets[1:-1]
    same[opens[(opens > 0) & (opens < interactions.n_events)] - 1] = False  # between two users
    return float(same.sum() / interactions.n_events)


def _text_share(dataset: Dataset) -> float:
    columns = dataset.item_table.columns[list(dataset.item_table.text_columns)]
    if columns.empty:
        return 0.0
    return float(
        pd.concat([columns[name].astype(str).str.strip() != "" for name in columns], axis=1).any(axis=1).mean()
    )


def _listed(percentiles: dict[int, int]) -> str:
    names = {0: "least", 50: "median", 100: "most"}
    return ", ".join(f"{names.get(share, f'p{share}')} {value:,}" for share, value in percentiles.items())


def _reach_in_words(reach: Reach) -> str:
    return (
        f"{reach.recent:.1%} in the last {REACH_WINDOW} events, {reach.further_back:.1%} only further back, "
        f"{reach.never:.1%} never"
    )
