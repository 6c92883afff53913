"""SIM's network: target attention over the short term and over what the general search unit finds, then a ranking MLP.

A batch is read once into a `Memory` against which any candidates are scored, those of one user or those that all users
share. Shared candidates of one category share their hard search: one a user and category, and all at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import Field, field_validator
from torch import Tensor, nn

from baselines.sim.events import GAP_BUCKETS, ORDER_BUCKETS, Moments, RetrievedEvents
from bench.config import Config
from bench.errors import unknown_name
from bench.registry import model_names
from models.training.loop import TrainingConfig


class SIMConfig(Config):
    """Configures SIM: its two ways to search a lifelong history, and the network that ranks by what they retrieve.

    Attributes:
        short_term: Most recent events, read by the DIN-like branch; everything before is the long-term history.
        search: The general search unit: "hard" keeps long-term events of the candidate's category, "soft" those whose
            items have the largest inner product with the candidate.
        limit: Events that the search keeps per candidate.
        dim: Width of the item embeddings.
        heads: Heads of the target attentions.
        hidden: Width of the ranking network's hidden layer.
        dropout: Of the ranking network's input.
        negatives: Candidates drawn uniformly from the catalogue per batch, shared by its targets.
        batch_targets: Training targets of one step.
        targets_per_epoch: Share of all training targets that an epoch visits, drawn anew each time.
        first_stage: Registered model whose best items are the candidates; trained beforehand with the same seed. None:
            every item is a candidate.
        first_stage_config: Its configuration, where it differs from that model's defaults.
        candidates: How many items of the first stage are ranked; no meaning without one.
        training: Schedule and stopping; `batch_events` has no meaning here.
    """

    short_term: int = Field(default=50, ge=1)
    search: Literal["hard", "soft"] = "hard"
    limit: int = Field(default=20, ge=1)
    dim: int = Field(default=32, ge=1)
    heads: int = Field(default=2, ge=1)
    hidden: int = Field(default=64, ge=1)
    dropout: float = Field(default=0.2, ge=0, lt=1)
    negatives: int = Field(default=128, ge=1)
    batch_targets: int = Field(default=128, ge=1)
    targets_per_epoch: float = Field(default=0.2, gt=0, le=1)
    first_stage: str | None = None
    first_stage_config: dict[str, Any] = Field(default_factory=dict)
    candidates: int = Field(default=500, ge=1)
    training: TrainingConfig = TrainingConfig(epochs=15, validate_every=3, average=0.99, learning_rate=3e-3)

    @field_validator("first_stage")
    @classmethod
    def _is_registered(cls, name: str | None) -> str | None:
        if name is not None and name not in (known := model_names()):
            raise unknown_name("model", name, known)
        return name


SOFT_GROUPS = 8
"""Groups of users of about one length that the soft search of a batch is cut into."""


class SIMSoftConfig(SIMConfig):
    """Configures SIM with soft search."""

    search: Literal["hard", "soft"] = "soft"


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

    def memorise(self, retrieved: RetrievedEvents, table: Tensor) -> Tensor:
        """Keys and values float32 `[batch, ..., n, 2 dim]` of events, 0 in empty slots; table `[n_items, dim]`."""
        # Projecting the table once is cheaper than projecting every event.
        rows = F.embedding(retrieved.items, self.key_value(table))
        rows = rows + self._gap_embeddings(retrieved)
        return F.embedding(retrieved.slots, F.pad(rows, (0, 0, 1, 0)), padding_idx=0)

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
        table: Item embeddings float32 `[n_items, dim]`.
        short: Keys and values of the short term, float32 `[batch, short_term, 2 dim]`.
        short_empty: bool `[batch, 1, short_term]`, True where no event is.
        long: For the soft search the long terms, of users with about as many events together, so that little is
            padded. Empty for the hard search, which depends on the candidates.
    """

    moments: Moments
    table: Tensor
    short: Tensor
    short_empty: Tensor
    long: tuple[LongTerms, ...] = ()


class SIMNetwork(nn.Module):
    """Scores candidates for users at moments: short-term branch, two-stage long-term branch, ranking network."""

    def __init__(self, n_items: int, category: NDArray[np.int64], config: SIMConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("category", torch.from_numpy(category), persistent=False)
        self.category: Tensor
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

    def table(self) -> Tensor:
        """Item embeddings `[n_items, dim]`, the sum of an item's own and its category's."""
        return self.items.weight + self.categories(self.category)

    def forward(self, moments: Moments, candidates: Tensor) -> Tensor:
        """Scores float32 `[batch, candidates]` for candidate items int64 `[batch or 1, candidates]`."""
        return self.score(self.read(moments), candidates)

    def read(self, moments: Moments) -> Memory:
        """Reads what all candidates of a batch have in common."""
        config, table = self.config, self.table()
        recent = moments.retrieved(moments.recent(config.short_term))
        short, short_empty = self.short.memorise(recent, table), (recent.slots == 0).unsqueeze(1)
        long = () if config.search == "hard" else tuple(self._long_terms(moments, table))
        return Memory(moments, table, short, short_empty, long)

    def _long_terms(self, moments: Moments, table: Tensor) -> Iterator[LongTerms]:
        skipped = self.config.short_term
        for users in moments.ends.argsort(stable=True).tensor_split(SOFT_GROUPS):
            if len(users):
                some = replace(moments, rows=moments.rows[users], ends=moments.ends[users])
                longest = max(int(some.ends.max()) - skipped, 1)
                retrieved = some.retrieved(some.recent(longest, skipped))
                items = F.pad(retrieved.items, (1, 0))[retrieved.slots]
                yield LongTerms(users, self.long.memorise(retrieved, table), items, (retrieved.slots == 0).unsqueeze(1))

    def score(self, memory: Memory, candidates: Tensor) -> Tensor:
        """Scores float32 `[batch, candidates]` for candidate items int64 `[batch or 1, candidates]`."""
        embedded = F.embedding(candidates, memory.table)
        short = self.short(embedded, memory.short, memory.short_empty)
        if self.config.search == "soft":
            long = self._long_by_product(memory, embedded)
        elif len(candidates) == 1 and (categories := self._few_categories(candidates[0])) is not None:
            long = self._long_by_category(memory, candidates[0], categories, embedded[0])
        else:
            config = self.config
            index = memory.moments.of_categories(self.category[candidates], config.limit, config.short_term)
            retrieved = memory.moments.retrieved(index)
            each = embedded.unsqueeze(2).expand(len(index), -1, -1, -1)
            own, empty = self.long.memorise(retrieved, memory.table), (retrieved.slots == 0).unsqueeze(2)
            long = self.long(each, own, empty).squeeze(2)
        embedded = embedded.expand_as(short)
        features = torch.cat([embedded, short, long, embedded * short, embedded * long], dim=-1)
        return (self.rank(features) + self.popularity(candidates)).squeeze(-1)

    def soft_search(self, part: LongTerms, embedded: Tensor, table: Tensor) -> Tensor:
        """Searches softly: which long-term events each candidate reads, the `limit` largest inner products.

        Args:
            part: Users.
            embedded: Their candidates, float32 `[n or 1, candidates, dim]`.
            table: Item embeddings `[n_items, dim]`.

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
            answers.append(self.long(own, part.memory, ~self.soft_search(part, own, memory.table)))
        return torch.cat(answers)[torch.cat([part.users for part in memory.long]).argsort()]

    def _few_categories(self, candidates: Tensor) -> Tensor | None:
        """The categories of shared candidates int64 `[n]`, where there are few enough to attend to one after the other.

        Nearly as many of them as there are candidates are attended to at once, a copy of the events a candidate.
        """
        categories = self.category[candidates].unique()
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
        events = self.long.memorise(replace(retrieved, slots=slots), memory.table)
        sizes = torch.bincount(number, minlength=len(categories)).tolist()
        own_number = torch.searchsorted(categories, self.category[candidates])
        groups = own_number.argsort(stable=True).split(torch.bincount(own_number).tolist())
        answers, cells = [], []
        parts = (whole.split(sizes) for whole in (user, events, slots == 0))
        for group, users, memories, empty in zip(groups, *parts, strict=True):
            answers.append(self.long(embedded[group], memories, empty.unsqueeze(1)).flatten(0, 1))
            cells.append((users.unsqueeze(1) * len(candidates) + group).flatten())
        long = embedded.new_zeros(len(retrieved.slots) * len(candidates), config.dim)
        return long.index_copy(0, torch.cat(cells), torch.cat(answers)).unflatten(0, (-1, len(candidates)))


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
        survives = coins >= round(self.probability * 2**16) - 2**15
        return features * survives.to(features.dtype).mul_(1 / (1 - self.probability))


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
