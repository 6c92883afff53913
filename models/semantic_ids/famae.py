"""FAMAE (ReSID, arXiv 2602.02338): item vectors from structured fields and histories, without any text model.

A transformer reads the fields of recent events and guesses masked fields of the last one; the vector of an item is what
it has learned of the item's own fields, side by side. Written from the paper's text; no official code could be read.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import Field, model_validator
from torch import Tensor, nn

from bench.config import Config
from bench.data.cache import content_key
from bench.data.dataset import TrainingData
from bench.errors import BenchError, unknown_name
from models.heads import heads_divide

VERSION = 1
"""Raise it whenever a change of code changes these vectors."""

LARGE = 4096
"""From this many values on a field's loss compares the true one with sampled ones."""

NEGATIVES = 128
"""How many are sampled, for all targets of a step together (the paper's number)."""


class FamaeConfig(Config):
    """Sizes and training; the defaults are the paper's, but for the training's length.

    Attributes:
        fields: Columns of the item table, beside the item itself and, where the data have one, its category. None:
            all text columns with at most half as many different values as there are items.
        dim: Width of a field's embedding, and of the transformer.
        layers, heads, feed_forward, dropout: Of the transformer.
        window: Most recent events that are read, the one to be guessed included.
        epochs: Rounds of training, all of them: nothing is chosen by validation queries. The paper trains up to 500
            epochs and stops by patience.
        targets: Most events that a round guesses, drawn anew each time.
        batch_size: Targets of a step.
        learning_rate, weight_decay: Of AdamW, the rate along a cosine to 0.
        seed: Of weights, masks and batches.
    """

    fields: tuple[str, ...] | None = None
    dim: int = Field(default=128, ge=4)
    layers: int = Field(default=2, ge=1)
    heads: int = Field(default=4, ge=1)
    feed_forward: int = Field(default=512, ge=1)
    dropout: float = Field(default=0.1, ge=0, lt=1)
    window: int = Field(default=32, ge=2)
    epochs: int = Field(default=10, ge=1)
    targets: int = Field(default=1 << 16, ge=1)
    batch_size: int = Field(default=2048, ge=1)
    learning_rate: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=1e-5, ge=0)
    seed: int = 0

    @model_validator(mode="after")
    def _heads_of_one_width(self) -> FamaeConfig:
        heads_divide(self.dim, self.heads)
        return self


def item_fields(train: TrainingData, names: tuple[str, ...] | None) -> NDArray[np.int64]:
    """The number of each item's value in each field, `[n_items, fields]`; the first field is the item itself.

    Raises:
        BenchError: A column is not there, or nothing but the item itself is known.
    """
    table = train.item_table
    if names is None:
        distinct = {name: table.columns[name].nunique() for name in table.text_columns}
        names = tuple(name for name, n_values in distinct.items() if 1 < n_values <= train.n_items / 2)
    for name in names:
        if name not in table.columns:
            raise unknown_name("column in features.famae.fields", name, map(str, table.columns))
    columns = [table.columns[name].astype(str).to_numpy() for name in names]
    if table.category is not None:
        columns.append(table.category)
    if not columns:
        raise BenchError(
            "features.famae: the items have no category and no column whose values come back; name columns in "
            "features.famae.fields, or use other features"
        )
    coded = [np.unique(column, return_inverse=True)[1].ravel() for column in columns]
    return np.stack([np.arange(train.n_items), *coded], axis=1).astype(np.int64)


def famae_source(train: TrainingData, config: FamaeConfig) -> str:
    """A hash of what the vectors are made from."""
    events, ends = train.interactions, train.history_ends()
    arrays = [item_fields(train, config.fields), events.items, events.offsets, *([] if ends is None else [ends])]
    return content_key([VERSION], *arrays)


class FAMAE(nn.Module):
    """A bidirectional transformer over events that are sums of field embeddings, and the scores of masked fields.

    Args:
        fields: int64 `[n_items, fields]`, from `item_fields`.
        config: Sizes.
    """

    fields: Tensor

    def __init__(self, fields: NDArray[np.int64], config: FamaeConfig) -> None:
        super().__init__()
        self.register_buffer("fields", torch.from_numpy(fields), persistent=False)
        self.sizes = [int(column.max()) + 1 for column in fields.T]
        self.tables = nn.ModuleList(nn.Embedding(size, config.dim) for size in self.sizes)
        self.masks = nn.Parameter(torch.empty(fields.shape[1], config.dim))
        self.positions = nn.Embedding(config.window, config.dim)
        for weight in (self.masks, *self.positions.parameters(), *self.tables.parameters()):
            nn.init.normal_(weight, std=1 / math.sqrt(config.dim))
        layer = nn.TransformerEncoderLayer(
            config.dim, config.heads, config.feed_forward, config.dropout, batch_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, config.layers, enable_nested_tensor=False)

    def states(self, items: Tensor, masked: Tensor) -> Tensor:
        """The state `[n, dim]` of the last events of windows.

        Args:
            items: int64 `[n, window]`, right-aligned, -1 where there is none.
            masked: bool `[n, fields]`, which fields of the last event are not to be seen.
        """
        values = self.fields[items.clamp(min=0)]
        parts = torch.stack([table(values[..., field]) for field, table in enumerate(self.tables)], dim=-2)
        last = torch.where(masked.unsqueeze(-1), self.masks, parts[:, -1])
        events = torch.cat([parts[:, :-1], last.unsqueeze(1)], dim=1).sum(-2)
        hidden = self.encoder(events + self.positions.weight[-items.shape[1] :], src_key_padding_mask=items < 0)
        state: Tensor = hidden[:, -1]
        return state

    def scores(self, field: int, states: Tensor, values: Tensor | None = None) -> Tensor:
        """Cosines of states `[n, dim]` with a field's values, all or int64 `[m]`, times sqrt(dim): `[n, n_values]`."""
        every = torch.arange(self.sizes[field]) if values is None else values
        table = self.tables[field](every)
        return math.sqrt(states.shape[1]) * F.normalize(states, dim=-1) @ F.normalize(table, dim=-1).T

    def loss(self, items: Tensor, masked: Tensor) -> Tensor:
        """The cross-entropy of the masked fields of the last events, summed over fields, the mean over windows."""
        states, truth = self.states(items, masked), self.fields[items[:, -1]]
        total = states.new_zeros(())
        for field, table in enumerate(self.tables):
            rows = masked[:, field]
            own, wanted = states[rows], truth[rows, field]
            if self.sizes[field] < LARGE:
                losses = F.cross_entropy(self.scores(field, own), wanted, reduction="sum")
            else:
                drawn = torch.randint(self.sizes[field], (NEGATIVES,))
                true = math.sqrt(own.shape[1]) * F.cosine_similarity(own, table(wanted), dim=-1)
                others = self.scores(field, own, drawn).masked_fill(drawn == wanted.unsqueeze(1), -torch.inf)
                losses = (torch.cat([true.unsqueeze(1), others], 1).logsumexp(1) - true).sum()
            total = total + losses
        return total / len(items)

    def vectors(self) -> NDArray[np.float32]:
        """What was learned of each item's own fields, side by side: float32 `[n_items, fields * dim]`."""
        with torch.no_grad():
            parts = [table(self.fields[:, field]) for field, table in enumerate(self.tables)]
        joined: NDArray[np.float32] = torch.cat(parts, dim=1).numpy()
        return joined


def windows(train: TrainingData, window: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Every event that a history comes before: where it lies, and where that history begins and ends in the events."""
    events, ends = train.interactions, train.history_ends()
    first = np.repeat(events.offsets[:-1], events.lengths)
    before = first + (ends if ends is not None else np.arange(events.n_events) - first)
    target = np.flatnonzero(before > first)
    return target, np.maximum(first[target], before[target] - (window - 1)), before[target]


def drawn_masks(n: int, fields: int, generator: torch.Generator) -> Tensor:
    """Bool `[n, fields]`: of each row K fields at random, K uniform from 1 to all of them."""
    count = torch.randint(1, fields + 1, (n, 1), generator=generator)
    return torch.rand(n, fields, generator=generator).argsort(1).argsort(1) < count


def famae(train: TrainingData, config: FamaeConfig) -> NDArray[np.float32]:
    """Trains the model on the training data alone and returns the vectors of all items, `[n_items, fields * dim]`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        generator = torch.Generator().manual_seed(config.seed)
        model = FAMAE(item_fields(train, config.fields), config)
        target, begin, end = map(torch.from_numpy, windows(train, config.window))
        events = torch.from_numpy(train.interactions.items.astype(np.int64))
        per_epoch = min(config.targets, len(target))
        steps = config.epochs * -(-per_epoch // config.batch_size)
        optimiser = torch.optim.AdamW(model.parameters(), config.learning_rate, weight_decay=config.weight_decay)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(1, steps))
        back = torch.arange(config.window - 1, 0, -1)
        for _ in range(config.epochs if len(target) else 0):
            for rows in torch.randperm(len(target), generator=generator)[:per_epoch].split(config.batch_size):
                place = end[rows, None] - back
                history = torch.where(place >= begin[rows, None], events[place.clamp(min=0)], -1)
                items = torch.cat([history, events[target[rows], None]], dim=1)
                loss = model.loss(items, drawn_masks(len(rows), len(model.tables), generator))
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                schedule.step()
        return model.vectors()
