"""SASRec and HSTU before whose recent events the older ones stand, compressed (CAUSE, WSDM 2026, arXiv 2601.19158).

They are the twins of SID-Tier among models of item ids: the same backbone, and one token for each group of items that
the old history touches. Constants are those of github.com/Genemmender/CAUSE at commit 9f167b7.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, field_validator
from torch import Tensor

from baselines.hstu import HSTU, INITIAL_STD, HSTUConfig, HSTUNetwork
from baselines.next_item import NextItemModel, NextItemNetwork
from baselines.sasrec import SASRec, SASRecConfig, SASRecNetwork
from bench.config import Config
from bench.data.cache import ArtifactCache
from bench.data.dataset import TrainingData
from bench.data.interactions import PAD, Histories
from bench.errors import BenchError
from bench.recommender import FitContext, Mechanism
from bench.search_space import Choice, SearchSpace
from models.history.group_tokens import GroupTokens
from models.history.long_term import LongTerm, RaggedItems
from models.semantic_ids.item_features import FeatureConfig, item_features
from models.semantic_ids.rq_kmeans import rq_kmeans
from models.training.windows import WindowBatch, recent_window


class CompressionConfig(Config):
    """How the events before the window are compressed.

    Attributes:
        groups: Whether a group is a "cluster" of items with similar features, or a "category" of the data.
        clusters: Number of clusters.
        features: What clusters are made of.
        most_events: Most recent events of a group that its token holds.
    """

    groups: Literal["cluster", "category"] = "cluster"
    clusters: int = Field(default=32, ge=1)
    features: FeatureConfig = FeatureConfig(text_weight=0.4)
    most_events: int = Field(default=32, ge=1)


class CompressedSASRecConfig(SASRecConfig):
    """Configuration of SASRec with a compressed old history.

    Attributes:
        compression: Of the events before the last `length` ones.
    """

    compression: CompressionConfig = CompressionConfig()

    @field_validator("item_dropout")
    @classmethod
    def _reads_whole_vectors(cls, share: float) -> float:
        if share:
            raise ValueError("group tokens are made of whole item vectors; leave item_dropout at 0")
        return share


class CompressedHSTUConfig(HSTUConfig):
    """Configuration of HSTU with a compressed old history; see `CompressedSASRecConfig`."""

    compression: CompressionConfig = CompressionConfig()


def item_groups(train: TrainingData, config: CompressionConfig, cache: ArtifactCache, seed: int) -> NDArray[np.int64]:
    """The group of each item, int64 `[n_items]`; -1 where its category is not known.

    Raises:
        BenchError: The data have no categories, and `groups` asks for them.
    """
    if config.groups == "category":
        if train.item_table.category is None:
            raise BenchError(
                "compression.groups is 'category', but the items of this data set have none; try 'cluster'"
            )
        return train.item_table.category.astype(np.int64)
    return rq_kmeans(item_features(train, config.features, cache), (config.clusters,), seed)[:, 0]


class CompressedNetwork(NextItemNetwork):
    """A network that reads windows and the old histories before them."""

    group_tokens: GroupTokens
    items: torch.nn.Embedding

    @abstractmethod
    def encode_rows(self, tokens: Tensor, present: Tensor, timestamps: Tensor) -> Tensor:
        """Hidden states of group tokens and events, as `encode` of the plain network makes them."""

    def read(self, items: Tensor, timestamps: Tensor, old: LongTerm, times: LongTerm) -> Tensor:
        """Hidden states float32 `[batch, length, d]` of events, given the old history of each row.

        Args:
            items: int64 `[batch, length]`, padded with `PAD`.
            timestamps: int64 `[batch, length]`.
            old: The events before the window.
            times: The same events' times in the place of items.
        """
        events = self.items(items.clamp(min=0))
        rows = self.group_tokens(self.items.weight, old, times, events, items != PAD, timestamps)
        return rows.of_events(self.encode_rows(rows.tokens, rows.present, rows.timestamps), items.shape[1])


class CompressedSASRecNetwork(SASRecNetwork, CompressedNetwork):
    """SASRec over group tokens and recent events."""

    def __init__(self, n_items: int, config: CompressedSASRecConfig, groups: NDArray[np.int64]) -> None:
        tokens = GroupTokens(groups, config.dim, config.compression.most_events, 1 / math.sqrt(config.dim))
        super().__init__(n_items, config.model_copy(update={"length": config.length + tokens.n_groups}))
        self.group_tokens = tokens

    def encode_rows(self, tokens: Tensor, present: Tensor, timestamps: Tensor) -> Tensor:
        return self.encode(tokens, present)


class CompressedHSTUNetwork(HSTUNetwork, CompressedNetwork):
    """HSTU over group tokens and recent events."""

    def __init__(self, n_items: int, config: CompressedHSTUConfig, groups: NDArray[np.int64]) -> None:
        tokens = GroupTokens(groups, config.dim, config.compression.most_events, INITIAL_STD)
        super().__init__(n_items, config.model_copy(update={"length": config.length + tokens.n_groups}))
        self.group_tokens = tokens

    def encode_rows(self, tokens: Tensor, present: Tensor, timestamps: Tensor) -> Tensor:
        return self.encode(tokens, present, timestamps)


class CompressedModel(NextItemModel):
    """Its network reads the whole history: the last `length` events one by one, older ones in groups."""

    config: CompressedSASRecConfig | CompressedHSTUConfig
    network: CompressedNetwork | None = None
    recordable = False  # old events are counted with shapes that depend on the histories
    _groups: NDArray[np.int64]

    def fit(self, train: TrainingData, context: FitContext) -> None:
        self._groups = item_groups(train, self.config.compression, context.cache, context.shared_seed)
        super().fit(train, context)

    def window_reader(self, train: TrainingData) -> Callable[[WindowBatch], Tensor]:
        network, events = self.network, train.interactions
        assert network is not None, "read before build"
        items = RaggedItems.from_arrays(events.items, events.offsets, self._device)
        dates = torch.from_numpy(np.ascontiguousarray(events.timestamps)).to(self._device)
        times = replace(items, items=dates)

        def read(batch: WindowBatch) -> Tensor:
            old, dated = (LongTerm(kind, batch.users, batch.starts) for kind in (items, times))
            return network.read(batch.items, batch.timestamps, old, dated)

        return read

    def read_histories(self, histories: Histories) -> tuple[Tensor, Tensor]:
        assert self.network is not None, "read before fit"
        window, timestamps, kept = recent_window(histories, self.config.length, self._device)
        items = RaggedItems.from_arrays(histories.items, histories.offsets, self._device)
        times = replace(items, items=torch.from_numpy(np.ascontiguousarray(histories.timestamps)).to(self._device))
        rows = torch.arange(len(histories), device=self._device)
        old, dated = (LongTerm(kind, rows, items.offsets.diff() - kept) for kind in (items, times))
        return self.network.read(window, timestamps, old, dated), kept


_TESTS = "tests/baselines/test_compressed.py::"
COMPRESSION: tuple[Mechanism, ...] = (
    Mechanism(
        "one token for each group of the old history, the mean of its events' vectors plus a vector of the group",
        "faithful",
        "official code, loaders/embedding_layer.py, `integrate_group_feature`, with a decay of 1 as by default",
        test=_TESTS + "test_a_token_is_the_mean_of_the_last_events_of_its_group_and_the_groups_own_vector",
    ),
    Mechanism(
        "tokens before the recent events, the group met last first, positions counted on",
        "faithful",
        "official code, loaders/datasets/backbone.py and itemonly.py",
        test=_TESTS + "test_rows_hold_the_groups_met_last_first_and_then_the_events",
    ),
    Mechanism(
        "groups by k-means of item vectors",
        "approximated",
        "official code, clusterer.py",
        "32 clusters of item features, as semantic IDs are made of them; there of PCA of the item vectors of a model "
        "trained before, with a number of clusters to be given. `compression.groups: category` takes the data's own, "
        "one an item",
        test=_TESTS + "test_groups_are_clusters_of_features_or_the_categories_of_the_data",
    ),
    Mechanism(
        "item features behind the clusters",
        "approximated",
        "official code, clusterer.py",
        "texts and, by `compression.features.collaborative_dims`, which items occur together in training histories; "
        "the official clusters know the latter alone, from a trained model",
        test="tests/models/semantic_ids/test_tokenizer.py::test_default_codes_know_which_items_occur_together_and_text_alone_does_not",
    ),
    Mechanism(
        "tokens of the user, of actions, and separators; the window shrinks by the number of group tokens",
        "omitted",
        "official code, loaders/datasets/itemonly.py",
        "no model here knows the user, and the window of `length` events stays whole",
    ),
)
"""Lines of the fidelity card beside those of the backbone."""

SEARCHED: SearchSpace = {"compression.clusters": Choice(16, 32, 64)}


class SASRecCompressed(CompressedModel, SASRec):
    """SASRec with a compressed old history: the registered name `sasrec-ce-compressed`."""

    Config = CompressedSASRecConfig
    config: CompressedSASRecConfig
    network: CompressedSASRecNetwork | None = None
    search_space: ClassVar[SearchSpace] = {**SASRec.search_space, **SEARCHED}
    summary = "SASRec that reads the history before its window as one token per cluster of items (CAUSE)"
    group = "long sequence"
    paper = "CAUSE, WSDM"
    year = 2026
    fidelity: ClassVar[tuple[Mechanism, ...]] = (*COMPRESSION, *SASRec.fidelity)

    def build(self, train: TrainingData) -> NextItemNetwork:
        return CompressedSASRecNetwork(train.n_items, self.config, self._groups)


class HSTUCompressed(CompressedModel, HSTU):
    """HSTU with a compressed old history: the registered name `hstu-compressed`."""

    Config = CompressedHSTUConfig
    config: CompressedHSTUConfig
    network: CompressedHSTUNetwork | None = None
    revision = 1
    search_space: ClassVar[SearchSpace] = {**HSTU.search_space, **SEARCHED}
    summary = "HSTU that reads the history before its window as one token per cluster of items (CAUSE)"
    group = "long sequence"
    paper = "CAUSE, WSDM"
    year = 2026
    fidelity: ClassVar[tuple[Mechanism, ...]] = (
        *COMPRESSION,
        Mechanism(
            "time of a group token",
            "approximated",
            "official code, models/modules/hstu.py",
            "that of the group's last event, for the bias of time, which the official HSTU has not",
            test=_TESTS + "test_rows_hold_the_groups_met_last_first_and_then_the_events",
        ),
        *HSTU.fidelity,
    )

    def build(self, train: TrainingData) -> NextItemNetwork:
        return CompressedHSTUNetwork(train.n_items, self.config, self._groups)
