"""SIM (Pi et al., CIKM 2020, arXiv 2006.05639): search-based interest model, a ranking model over long histories."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from baselines.full_ranking import rank_catalogue
from bench.data.dataset import TrainingData
from bench.data.interactions import PAD, Histories, Interactions
from bench.recommender import Config, FitContext, Mechanism, Recommendations, Recommender
from models.glass.semantic_search import SemanticSearchIndex
from models.long_term import look_up
from models.sampled_targets import TargetPool, Targets
from models.training import TrainingConfig, fit_network, parameter_count

GAP_BUCKETS = 32
"""Buckets of time gaps in seconds, floor(log2(1 + gap)): the last one begins after 68 years."""

ORDER_BUCKETS = 64
"""Buckets of gaps in events, floor(4 log2(1 + gap)), all distinct for the last few events: the last one begins after
55,000 events."""


class SIMConfig(Config):
    """Configuration of SIM.

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
    training: TrainingConfig = TrainingConfig(epochs=15, validate_every=3, average=0.99, learning_rate=3e-3)


@dataclass(frozen=True)
class Events:
    """Ragged rows of events.

    Attributes:
        items, timestamps: int64 `[n_events]`.
        offsets: int64 `[n_rows + 1]`.
        index: Finds events by category.
    """

    items: Tensor
    timestamps: Tensor
    offsets: Tensor
    index: SemanticSearchIndex


@dataclass(frozen=True)
class Moments:
    """Users at moments in time: what SIM sees of a batch.

    Attributes:
        events: Where the histories lie.
        rows: int64 `[batch]`.
        ends: int64 `[batch]`; the history is the first `ends` events of the row.
    """

    events: Events
    rows: Tensor
    ends: Tensor

    def recent(self, length: int) -> Tensor:
        """Places int64 `[batch, length]` of the last `length` events, most recent first, padded with `PAD`."""
        back = torch.arange(length, device=self.ends.device)
        place = (self.events.offsets[self.rows] + self.ends)[:, None] - 1 - back
        return torch.where(back < self.ends[:, None], place, PAD)

    def now(self) -> Tensor:
        """Time of the last event, int64 `[batch]`; 0 where there is none."""
        last = self.recent(1)[:, 0]
        return torch.where(last != PAD, look_up(self.events.timestamps, last), 0)


@dataclass(frozen=True)
class FoundEvents:
    """Events that candidates attend to, each int64 or bool `[batch, candidates or 1, n]`.

    Attributes:
        items: Their items.
        time_gaps, order_gaps: Buckets of the gaps to now, in seconds and in events.
        present: False where a place is empty.
    """

    items: Tensor
    time_gaps: Tensor
    order_gaps: Tensor
    present: Tensor


class TargetAttention(nn.Module):
    """Multi-head attention of a candidate over events, whose keys and values carry the gap to now.

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

    def forward(self, candidates: Tensor, table: Tensor, found: FoundEvents) -> Tensor:
        """What each candidate reads.

        Args:
            candidates: float32 `[batch or 1, candidates, dim]`.
            table: Item embeddings float32 `[n_items, dim]`.
            found: Events to read.

        Returns:
            float32 `[batch, candidates, dim]`, 0 where no event is present.
        """
        # Projecting the table once is cheaper than projecting every gathered event.
        items, present = found.items, found.present
        events = F.embedding(items, self.key_value(table)) + self.time_gap(found.time_gaps)
        events = events + self.order_gap(found.order_gaps)
        key, value = events.unflatten(-1, (2, self.heads, -1)).unbind(-3)
        query = self.query(candidates).unflatten(-1, (self.heads, -1))
        query, key, value = (part.expand(len(items), -1, *part.shape[2:]) for part in (query, key, value))
        if items.shape[1] == 1:  # all candidates of a user read the same events: no copy of them per candidate
            scores = torch.einsum("bchd,bnhd->bcnh", query, key[:, 0])
        else:
            scores = torch.einsum("bchd,bcnhd->bcnh", query, key)
        scores = (scores / math.sqrt(query.shape[-1])).masked_fill(~present.unsqueeze(-1), -1e9)
        weights = scores.softmax(2) * present.unsqueeze(-1)
        if items.shape[1] == 1:
            return torch.einsum("bcnh,bnhd->bchd", weights, value[:, 0]).flatten(-2)
        return torch.einsum("bcnh,bcnhd->bchd", weights, value).flatten(-2)


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
            nn.Dropout(config.dropout),
            nn.Linear(5 * config.dim, config.hidden),
            nn.PReLU(),
            nn.Linear(config.hidden, 1),
        )

    def table(self) -> Tensor:
        """Item embeddings `[n_items, dim]`, the sum of an item's own and its category's."""
        return self.items.weight + self.categories(self.category)

    def forward(self, moments: Moments, candidates: Tensor) -> Tensor:
        """Scores float32 `[batch, candidates]` for candidate items int64 `[batch or 1, candidates]`."""
        table = self.table()
        embedded = F.embedding(candidates, table)
        recent = moments.recent(self.config.short_term).unsqueeze(1)
        short = self.short(embedded, table, self._events(moments, recent))
        categories = self._few_categories(candidates)
        if categories is not None:
            long = self._long_by_category(moments, candidates, categories, embedded, table)
        else:
            found = self.general_search(moments, candidates, table)
            long = self.long(embedded, table, self._events(moments, found))
        embedded = embedded.expand_as(short)
        features = torch.cat([embedded, short, long, embedded * short, embedded * long], dim=-1)
        return (self.rank(features) + self.popularity(candidates)).squeeze(-1)

    def general_search(self, moments: Moments, candidates: Tensor, table: Tensor) -> Tensor:
        """Places of the long-term events kept for each candidate, int64 `[batch, candidates, limit]`."""
        config = self.config
        ends = (moments.ends - config.short_term).clamp(min=0)
        if config.search == "hard":
            category = self.category[candidates].expand(len(ends), -1)
            return moments.events.index.search(moments.rows, ends, category, config.limit)
        width = max(int(ends.max()), 1)
        column = torch.arange(width, device=ends.device)
        newest = (moments.events.offsets[moments.rows] + ends - 1)[:, None]
        place = torch.where(column < ends[:, None], newest - column, PAD)
        events = F.embedding(look_up(moments.events.items, place), table.detach())
        scores = F.embedding(candidates, table.detach()).expand(len(ends), -1, -1) @ events.transpose(1, 2)
        scores = scores.masked_fill((place == PAD).unsqueeze(1), -torch.inf)
        # A stable sort: of equal products (one item, several events) the newest win, whatever the width of the batch.
        best = scores.sort(dim=-1, descending=True, stable=True).indices[..., : config.limit]
        return place.unsqueeze(1).expand(-1, best.shape[1], -1).gather(-1, best)

    def _few_categories(self, candidates: Tensor) -> Tensor | None:
        """The categories of candidates that all users share, where a search a category is worth its steps, else None.

        A few searches in a row beat a search a candidate; nearly as many as there are candidates don't.
        """
        if self.config.search != "hard" or len(candidates) > 1:
            return None
        categories = self.category[candidates[0]].unique()
        return categories if 4 * len(categories) <= candidates.shape[1] else None

    def _long_by_category(
        self, moments: Moments, candidates: Tensor, categories: Tensor, embedded: Tensor, table: Tensor
    ) -> Tensor:
        """The long-term branch for candidates that all users share: one hard search a user and category."""
        groups = [(self.category[candidates[0]] == value).nonzero()[:, 0] for value in categories]
        parts = []
        for group in groups:
            found = self.general_search(moments, candidates[:, group[:1]], table)
            parts.append(self.long(embedded[:, group], table, self._events(moments, found)))
        return torch.cat(parts, dim=1)[:, torch.cat(groups).argsort()]

    @staticmethod
    def _events(moments: Moments, place: Tensor) -> FoundEvents:
        """The events at places int64 `[batch, candidates or 1, n]`, padded with `PAD`."""
        seconds = moments.now()[:, None, None] - look_up(moments.events.timestamps, place)
        newest = (moments.events.offsets[moments.rows] + moments.ends - 1)[:, None, None]
        return FoundEvents(
            items=look_up(moments.events.items, place),
            time_gaps=_log_bucket(seconds, 1, GAP_BUCKETS),
            order_gaps=_log_bucket(newest - place, 4, ORDER_BUCKETS),
            present=place != PAD,
        )


class SIM(Recommender):
    """SIM for next-item retrieval: every item of the catalogue is a candidate."""

    Config = SIMConfig
    config: SIMConfig
    network: SIMNetwork | None = None
    summary = (
        "search-based interest model: category (hard) or embedding (soft) search over the long history, full ranking"
    )
    fidelity = (
        Mechanism(
            "general search unit, hard: events of the candidate's category",
            "faithful",
            "section 3.2.1",
            test="tests/baselines/test_sim.py::test_hard_search_keeps_long_term_events_of_the_candidates_category_only",
        ),
        Mechanism(
            "general search unit, soft: largest inner products",
            "approximated",
            "section 3.2.1",
            "exact search with the ranking network's own embeddings; the paper trains separate ones on an auxiliary "
            "task and searches approximately",
            test="tests/baselines/test_sim.py::test_soft_search_keeps_the_largest_inner_products",
        ),
        Mechanism(
            "exact search unit: multi-head target attention with time gaps",
            "faithful",
            "section 3.2.2",
            "the gap in events is embedded beside the gap in time, since many events here share a second",
            test="tests/baselines/test_sim.py::"
            "test_scores_are_those_of_the_naive_walk_for_shared_and_for_own_candidates",
        ),
        Mechanism(
            "short-term branch (DIN)",
            "approximated",
            "section 3.3",
            "target attention with time gaps in place of DIN's activation network",
            test="tests/baselines/test_sim.py::"
            "test_scores_are_those_of_the_naive_walk_for_shared_and_for_own_candidates",
        ),
        Mechanism(
            "click-through loss over impressions",
            "approximated",
            "eq. 9",
            "softmax over the target and uniform negatives: there are no impressions, and all items are ranked",
            test="tests/baselines/test_sim.py::test_the_loss_is_a_softmax_over_the_target_and_uniform_negatives",
        ),
    )

    def fit(self, train: TrainingData, context: FitContext) -> None:
        torch.manual_seed(context.seed)
        config, device = self.config, context.device
        self._device = device
        category = np.zeros(train.n_items, dtype=np.int64)
        if train.item_table.category is not None:
            category = train.item_table.category.astype(np.int64) + 1  # 0 holds the items of unknown category
        network = self.network = SIMNetwork(train.n_items, category, config).to(device)
        pool = TargetPool(train.interactions.lengths, train.history_ends())
        events = self._events(train.interactions)
        generator = torch.Generator(device=device).manual_seed(context.seed)

        def loss(batch: Targets) -> Tensor:
            positive = events.items[events.offsets[batch.users] + batch.positions].unsqueeze(1)
            negatives = torch.randint(train.n_items, (1, config.negatives), generator=generator, device=device)
            moments = Moments(events, batch.users, batch.ends)
            scores = torch.cat([network(moments, positive), network(moments, negatives)], dim=1)
            repeated = F.pad(negatives == positive, (1, 0))
            return -scores.masked_fill(repeated, -torch.inf).log_softmax(1)[:, 0].mean()

        def epoch(rng: np.random.Generator) -> list[Targets]:
            return list(pool.draw(config.targets_per_epoch, rng, device).split(config.batch_targets))

        fit_network(self, network, epoch, loss, config.training, context)

    def recommend(self, histories: Histories, k: int) -> Recommendations:
        network = self.network
        assert network is not None, "recommend before fit"
        scores = np.empty((len(histories), histories.n_items), dtype=np.float32)
        with torch.inference_mode():
            events = self._events(histories)
            for users in torch.arange(len(histories), device=self._device).split(32):
                moments = Moments(events, users, events.offsets.diff()[users])
                candidates = torch.arange(histories.n_items, device=self._device).unsqueeze(0)
                scores[users.cpu().numpy()] = network(moments, candidates).cpu().numpy()
        return rank_catalogue(scores, histories, k)

    def parameter_count(self) -> int:
        return parameter_count(self.network)

    def _events(self, source: Interactions | Histories) -> Events:
        """The rows on the device, indexed by category."""
        assert self.network is not None
        arrays = (source.items.astype(np.int64), source.timestamps, source.offsets)
        items, timestamps, offsets = (torch.from_numpy(array).to(self._device) for array in arrays)
        category = self.network.category
        index = SemanticSearchIndex(items, offsets, category, int(category.max()) + 1)
        return Events(items, timestamps, offsets, index)


def _log_bucket(gap: Tensor, per_octave: int, buckets: int) -> Tensor:
    """floor(per_octave * log2(1 + gap)), int64, capped at the last bucket; negative gaps count as 0."""
    return ((gap.clamp(min=0) + 1).double().log2() * per_octave).long().clamp(max=buckets - 1)
