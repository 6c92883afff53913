"""SIM's network: target attention over the short term and over what the general search unit finds, then a ranking MLP.

A batch is read once into a `Memory` against which any candidates are scored, those of one user or those that all users
share. Shared candidates of one category share their hard search: one a user and category, and all at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from baselines.sim.config import SIMConfig
from baselines.sim.events import GAP_BUCKETS, ORDER_BUCKETS, Moments, RetrievedEvents

SOFT_GROUPS = 8
"""Groups of users of about one length that the soft search of a batch is cut into."""


@dataclass(frozen=True)
class Tables:
    """Holds item embeddings float32 `[n_items, dim]`.

    Attributes:
        read: What is read of an event, and what is ranked.
        compared: What attention and search compare; the same unless they are decoupled.
    """

    read: Tensor
    compared: Tensor


class TargetAttention(nn.Module):
    """Lets a candidate attend to events whose keys and values carry the gap to now.

    The gap is counted in seconds and in events: where many events share a second, time alone would lose their order.
    """

    def __init__(self, config: SIMConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.query = nn.Linear(config.dim, config.dim, bias=False)
        self.key_value = nn.Linear(config.dim, 2 * config.dim, bias=False)
        self.time_gap = nn.Embedding(GAP_BUCKETS, 2 * config.dim)
        self.order_gap = nn.Embedding(ORDER_BUCKETS, 2 * config.dim)
        for gap in (self.time_gap, self.order_gap):
            nn.init.normal_(gap.weight, std=0.1)

    def memorise(self, retrieved: RetrievedEvents, tables: Tables) -> Tensor:
        """Keys and values float32 `[batch, ..., n, 2 dim]` of events, 0 in empty slots."""
        rows = F.pad(self.events(retrieved, tables), (0, 0, 1, 0))
        return F.embedding(retrieved.slots, rows, padding_idx=0)

    def events(self, retrieved: RetrievedEvents, tables: Tables) -> Tensor:
        """Keys and values float32 `[n_retrieved, 2 dim]` of events, each once."""
        # Projecting the table once is cheaper than projecting every event.
        projected = self.key_value(tables.read)
        if tables.compared is not tables.read:
            dim = tables.read.shape[1]
            projected = torch.cat([F.linear(tables.compared, self.key_value.weight[:dim]), projected[:, dim:]], dim=1)
        return F.embedding(retrieved.items, projected) + self._gap_embeddings(retrieved)

    def _gap_embeddings(self, retrieved: RetrievedEvents) -> Tensor:
        """Adds up the embeddings of each event's gaps, float32 `[n_retrieved, 2 dim]`."""
        if not retrieved.items.is_cuda:
            return self.time_gap(retrieved.time_gaps) + self.order_gap(retrieved.order_gaps)
        # A GPU adds up the gradient of a bucket's many events one after the other: more buckets have fewer each.
        pairs = (self.time_gap.weight.unsqueeze(1) + self.order_gap.weight).flatten(0, 1)
        return F.embedding(retrieved.time_gaps * ORDER_BUCKETS + retrieved.order_gaps, pairs)

    def forward(self, candidates: Tensor, memory: Tensor, hidden: Tensor) -> Tensor:
        """Attends from each candidate to the events of its user.

        Args:
            candidates: float32 `[..., candidates, dim]`.
            memory: Keys and values of the events that all of these candidates may read, `[..., n, 2 dim]`.
            hidden: bool `[..., candidates or 1, n]`, True where a candidate may not look or where no event is.

        Returns:
            float32 `[..., candidates, dim]`, 0 where nothing is to be read.
        """
        query = self.query(candidates).unflatten(-1, (self.heads, -1)).transpose(-2, -3)
        key, value = memory.unflatten(-1, (2, self.heads, -1)).unbind(-3)
        mask = torch.zeros_like(hidden, dtype=query.dtype).masked_fill(hidden, -1e9).unsqueeze(-3)
        query = query / math.sqrt(query.shape[-1])
        scores = query @ key.movedim(-3, -1) + mask
        # Where no event is at all, the weights are of values that are 0.
        return (scores.softmax(-1) @ value.transpose(-2, -3)).transpose(-2, -3).flatten(-2)

    def read(self, candidates: Tensor, events: Tensor, owner: Tensor) -> Tensor:
        """Attends from each candidate to events of its own, of which it may have any number.

        Args:
            candidates: float32 `[n, dim]`.
            events: Their keys and values, `[n_events, 2 dim]`.
            owner: int64 `[n_events]`, whose event each is.

        Returns:
            float32 `[n, dim]`, 0 where nothing is to be read.
        """
        query = self.query(candidates).unflatten(-1, (self.heads, -1))
        query = query / math.sqrt(query.shape[-1])
        key, value = events.unflatten(-1, (2, self.heads, -1)).unbind(-3)
        scores = (query.index_select(0, owner) * key).sum(-1)
        with torch.no_grad():
            largest = scores.new_full((len(candidates), self.heads), -torch.inf)
            largest = largest.scatter_reduce(0, owner.unsqueeze(1).expand_as(scores), scores, "amax")
        weights = (scores - largest.index_select(0, owner)).exp()
        totals = torch.zeros_like(largest).index_add(0, owner, weights)
        sums = weights.new_zeros(query.shape).index_add(0, owner, weights.unsqueeze(-1) * value)
        return (sums / totals.masked_fill(totals == 0, 1).unsqueeze(-1)).flatten(-2)


@dataclass(frozen=True)
class LongTerms:
    """Holds the whole long terms of some users of a batch, for the soft search.

    Attributes:
        users: int64 `[n]`, their numbers in the batch.
        memory: Keys and values float32 `[n, longest, 2 dim]`.
        items: int64 `[n, longest]`.
        empty: bool `[n, 1, longest]`, True where no event is.
    """

    users: Tensor
    memory: Tensor
    items: Tensor
    empty: Tensor


@dataclass(frozen=True)
class Memory:
    """Holds a batch as it was read, before any candidate is known.

    Attributes:
        moments: The batch.
        tables: Item embeddings.
        short: Keys and values of the short term, float32 `[batch, short_term, 2 dim]`.
        short_empty: bool `[batch, 1, short_term]`, True where no event is.
        long: For the soft search the long terms, of users with about as many events together, so that little is
            padded. Empty for the hard search, which depends on the candidates.
    """

    moments: Moments
    tables: Tables
    short: Tensor
    short_empty: Tensor
    long: tuple[LongTerms, ...] = ()


class SIMNetwork(nn.Module):
    """Scores candidates for users at moments: short-term branch, two-stage long-term branch, ranking network.

    Args:
        n_items: Size of the catalogue.
        category: int64 `[n_items]`.
        config: Configuration.
        searched: int64 `[n_items]`, what the hard search goes by. None: the category.
    """

    category: Tensor
    searched: Tensor

    def __init__(
        self,
        n_items: int,
        category: NDArray[np.int64],
        config: SIMConfig,
        searched: NDArray[np.int64] | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("category", torch.from_numpy(category), persistent=False)
        self.register_buffer("searched", torch.from_numpy(category if searched is None else searched), persistent=False)
        self.items = nn.Embedding(n_items, config.dim)
        self.categories = nn.Embedding(int(category.max()) + 1, config.dim)
        nn.init.normal_(self.items.weight, std=1 / math.sqrt(config.dim))
        nn.init.normal_(self.categories.weight, std=1 / math.sqrt(config.dim))
        self.popularity = nn.Embedding(n_items, 1)
        nn.init.zeros_(self.popularity.weight)
        self.short = TargetAttention(config)
        self.long = TargetAttention(config)
        self.rank = nn.Sequential(
            FeatureDropout(config.dropout),
            nn.Linear(5 * config.dim, config.hidden),
            nn.PReLU(),
            nn.Linear(config.hidden, 1),
        )
        self.compared = _own_and_category(n_items, int(category.max()) + 1, config.dim) if config.decoupled else None

    def tables(self) -> Tables:
        """Item embeddings, the sum of an item's own and its category's."""
        read = self.items.weight + self.categories(self.category)
        if self.compared is None:
            return Tables(read, read)
        items, categories = self.compared
        return Tables(read, items.weight + categories(self.category))

    def forward(self, moments: Moments, candidates: Tensor) -> Tensor:
        """Scores float32 `[batch, candidates]` for candidate items int64 `[batch or 1, candidates]`."""
        return self.score(self.read(moments), candidates)

    def read(self, moments: Moments) -> Memory:
        """Reads what all candidates of a batch have in common."""
        config, tables = self.config, self.tables()
        recent = moments.retrieved(moments.recent(config.short_term))
        short, short_empty = self.short.memorise(recent, tables), (recent.slots == 0).unsqueeze(1)
        long = () if config.search == "hard" else tuple(self._long_terms(moments, tables))
        return Memory(moments, tables, short, short_empty, long)

    def _long_terms(self, moments: Moments, tables: Tables) -> Iterator[LongTerms]:
        skipped = self.config.short_term
        for users in moments.ends.argsort(stable=True).tensor_split(SOFT_GROUPS):
            if len(users):
                some = replace(moments, rows=moments.rows[users], ends=moments.ends[users])
                longest = max(int(some.ends.max()) - skipped, 1)
                retrieved = some.retrieved(some.recent(longest, skipped))
                items = F.pad(retrieved.items, (1, 0))[retrieved.slots]
                yield LongTerms(
                    users, self.long.memorise(retrieved, tables), items, (retrieved.slots == 0).unsqueeze(1)
                )

    def score(self, memory: Memory, candidates: Tensor) -> Tensor:
        """Scores float32 `[batch, candidates]` for candidate items int64 `[batch or 1, candidates]`."""
        embedded = F.embedding(candidates, memory.tables.read)
        asking = embedded if self.compared is None else F.embedding(candidates, memory.tables.compared)
        short = self.short(asking, memory.short, memory.short_empty)
        if self.config.search == "soft":
            long = self._long_by_product(memory, asking)
        elif len(candidates) == 1 and (categories := self._few_categories(candidates[0])) is not None:
            long = self._long_by_category(memory, candidates[0], categories, asking[0])
        else:
            long = self._long_of_each(memory, candidates, asking)
        embedded = embedded.expand_as(short)
        features = torch.cat([embedded, short, long, embedded * short, embedded * long], dim=-1)
        return (self.rank(features) + self.popularity(candidates)).squeeze(-1)

    def soft_search(self, part: LongTerms, embedded: Tensor, table: Tensor) -> Tensor:
        """Searches softly: which long-term events each candidate reads, the `limit` largest inner products.

        Args:
            part: Users.
            embedded: Their candidates, float32 `[n or 1, candidates, dim]`.
            table: Item embeddings `[n_items, dim]` that are compared.

        Returns:
            bool `[n, candidates, longest]`.
        """
        products = embedded.detach() @ F.embedding(part.items, table.detach()).transpose(1, 2)
        return newest_of_the_largest(products.masked_fill(part.empty, -torch.inf), self.config.limit)

    def _long_by_product(self, memory: Memory, embedded: Tensor) -> Tensor:
        """The long-term branch of the soft search, float32 `[batch, candidates, dim]`."""
        answers = []
        for part in memory.long:
            own = embedded if len(embedded) == 1 else embedded[part.users]
            answers.append(self.long(own, part.memory, ~self.soft_search(part, own, memory.tables.compared)))
        return torch.cat(answers)[torch.cat([part.users for part in memory.long]).argsort()]

    def _long_of_each(self, memory: Memory, candidates: Tensor, embedded: Tensor) -> Tensor:
        """The long-term branch of the hard search, one search a user and candidate.

        Most searches find little or nothing (for candidates drawn at random of Complete Journey, 1.7 events of at most
        20 on average), so no slot is filled up.

        Args:
            memory: Of a hard search.
            candidates: int64 `[batch or 1, candidates]`.
            embedded: Theirs, float32 `[batch or 1, candidates, dim]`.

        Returns:
            float32 `[batch, candidates, dim]`.
        """
        config, moments = self.config, memory.moments
        index = moments.of_categories(self.searched[candidates], config.limit, config.short_term)
        retrieved = moments.retrieved(index)
        owner = (retrieved.slots > 0).flatten(0, 1).nonzero()[:, 0]
        asking = embedded.expand(len(index), -1, -1).flatten(0, 1)
        read = self.long.read(asking, self.long.events(retrieved, memory.tables), owner)
        return read.unflatten(0, index.shape[:2])

    def _few_categories(self, candidates: Tensor) -> Tensor | None:
        """The categories of shared candidates int64 `[n]`, where there are few enough to attend to one after the other.

        Nearly as many of them as there are candidates are attended to at once, a copy of the events a candidate.
        """
        categories = self.searched[candidates].unique()
        return categories if 4 * len(categories) <= len(candidates) else None

    def _long_by_category(self, memory: Memory, candidates: Tensor, categories: Tensor, embedded: Tensor) -> Tensor:
        """The long-term branch for candidates that all users share: one hard search a user and category.

        Args:
            memory: Of a hard search.
            candidates: int64 `[candidates]`.
            categories: Theirs, int64 `[n_categories]`, each once, ascending.
            embedded: Theirs, float32 `[candidates, dim]`.

        Returns:
            float32 `[batch, candidates, dim]`.
        """
        config, moments = self.config, memory.moments
        retrieved = moments.retrieved(moments.of_categories(categories.unsqueeze(0), config.limit, config.short_term))
        # Most users have no event of most categories: only the pairs that have, one category after the other.
        number, user = (retrieved.slots[..., 0] > 0).T.nonzero(as_tuple=True)
        slots = retrieved.slots[user, number]
        events = self.long.memorise(replace(retrieved, slots=slots), memory.tables)
        sizes = torch.bincount(number, minlength=len(categories)).tolist()
        own_number = torch.searchsorted(categories, self.searched[candidates])
        groups = own_number.argsort(stable=True).split(torch.bincount(own_number).tolist())
        answers, cells = [], []
        parts = (whole.split(sizes) for whole in (user, events, slots == 0))
        for group, users, memories, empty in zip(groups, *parts, strict=True):
            answers.append(self.long(embedded[group], memories, empty.unsqueeze(1)).flatten(0, 1))
            cells.append((users.unsqueeze(1) * len(candidates) + group).flatten())
        long = embedded.new_zeros(len(retrieved.slots) * len(candidates), config.dim)
        return long.index_copy(0, torch.cat(cells), torch.cat(answers)).unflatten(0, (-1, len(candidates)))


def _own_and_category(n_items: int, n_categories: int, dim: int) -> nn.ModuleList:
    """Embeddings of items and of categories, drawn as the others are."""
    tables = nn.ModuleList([nn.Embedding(n_items, dim), nn.Embedding(n_categories, dim)])
    for weight in tables.parameters():
        nn.init.normal_(weight, std=1 / math.sqrt(dim))
    return tables


class FeatureDropout(nn.Module):
    """Dropout whose coins are 16-bit parts of random integers: on a CPU, several times faster than a float each.

    Args:
        probability: Of a zero, rounded to a multiple of 2^-16.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, features: Tensor) -> Tensor:
        if not self.training or self.probability == 0:
            return features
        if features.is_cuda:
            return F.dropout(features, self.probability)
        words = torch.empty(-(-features.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
        coins = words.view(torch.int16)[: features.numel()].view(features.shape)
        scale = torch.empty(features.shape, dtype=features.dtype)  # a comparison may write numbers: no copy of truths
        torch.ge(coins, round(self.probability * 2**16) - 2**15, out=scale)
        return features * scale.mul_(1 / (1 - self.probability))


def newest_of_the_largest(values: Tensor, limit: int) -> Tensor:
    """The `limit` largest finite entries of each row; of equal ones the first, which are the newest events.

    One item has several events with one and the same product; which of them are chosen must not depend on the width.

    Args:
        values: float32 `[..., n]`, -inf where there is none.
        limit: Most entries chosen.

    Returns:
        bool `[..., n]`.
    """
    present = values > -torch.inf
    if values.shape[-1] <= limit:
        return present
    smallest = values.topk(limit, sorted=False).values.amin(-1, keepdim=True)
    chosen = (values >= smallest) & present
    if int(chosen.sum(-1).max()) > limit:
        above, tied = values > smallest, (values == smallest) & present
        chosen = above | (tied & (tied.cumsum(-1) <= limit - above.sum(-1, keepdim=True)))
    return chosen
