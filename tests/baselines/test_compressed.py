"""Compressed old histories against a walk through Python lists, and what the two models do with them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from baselines.compressed import (
    CompressedHSTUConfig,
    CompressedHSTUNetwork,
    CompressedModel,
    CompressedNetwork,
    CompressedSASRecConfig,
    CompressedSASRecNetwork,
    CompressionConfig,
    HSTUCompressed,
    SASRecCompressed,
    item_groups,
)
from bench.data.cache import ArtifactCache
from bench.data.dataset import ItemTable, TrainingData
from bench.data.interactions import PAD, Histories, Interactions
from bench.errors import BenchError
from bench.recommender import FitContext
from models.history.group_tokens import GroupTokens
from models.history.long_term import LongTerm, RaggedItems

N_ITEMS, LENGTH, DIM = 12, 4, 8
GROUP_OF_ITEM = np.array([item % 3 for item in range(N_ITEMS - 1)] + [-1])
MOST = 2
"""Events of a group that count here; the official code has 32 (`max_items_per_group or 32`, backbone.py)."""
OLD = [[3, 1, 4, 1, 5, 9, 2, 6], [], [11, 7], [0, 3, 6, 9, 0]]
RECENT = [[3, 1, 4, 1], [2, 6], [7], [5, 8, 10]]
both = pytest.mark.parametrize("model", [SASRecCompressed, HSTUCompressed])


def ragged(rows: list[list[int]], scale: int = 1) -> LongTerm:
    items = torch.tensor([scale * item for row in rows for item in row], dtype=torch.long)
    offsets = torch.tensor([0, *np.cumsum([len(row) for row in rows])])
    return LongTerm(
        RaggedItems(items, offsets, longest=int(offsets.diff().max())), torch.arange(len(rows)), offsets.diff()
    )


def padded(rows: list[list[int]]) -> Tensor:
    return torch.tensor([row + [PAD] * (LENGTH - len(row)) for row in rows])


def network(model: type[CompressedModel]) -> CompressedNetwork:
    torch.manual_seed(0)
    sizes = {"length": LENGTH, "dim": DIM, "dropout": 0.3, "compression": {"most_events": MOST}}
    if model is SASRecCompressed:
        return CompressedSASRecNetwork(N_ITEMS, CompressedSASRecConfig(**sizes), GROUP_OF_ITEM).eval()
    return CompressedHSTUNetwork(N_ITEMS, CompressedHSTUConfig(**sizes), GROUP_OF_ITEM).eval()


def naive_tokens(table: np.ndarray, groups: np.ndarray, row: list[int]) -> tuple[list[np.ndarray], list[int]]:
    """backbone.py, `_build_history_group`: from the last event backwards, groups in the order in which they are met.

    embedding_layer.py: the mean of a group's last events and the group's own vector are added up.
    """
    members: dict[int, list[int]] = {}
    last: dict[int, int] = {}
    for place in reversed(range(len(row))):
        group = int(GROUP_OF_ITEM[row[place]])
        if group >= 0:
            members.setdefault(group, []).append(row[place])
            last.setdefault(group, place)
    tokens = [np.mean([table[item] for item in items[:MOST]], axis=0) + groups[g] for g, items in members.items()]
    return tokens, [last[group] for group in members]


@torch.no_grad()
def test_a_token_is_the_mean_of_the_last_events_of_its_group_and_the_groups_own_vector() -> None:
    torch.manual_seed(0)
    module = GroupTokens(GROUP_OF_ITEM, DIM, MOST, std=1.0).eval()
    table, events = torch.randn(N_ITEMS, DIM), torch.zeros(4, LENGTH, DIM)
    present = padded(RECENT) != PAD
    rows = module(table, ragged(OLD), ragged(OLD), events, present, torch.zeros(4, LENGTH, dtype=torch.long))
    for row, old in enumerate(OLD):
        expected, _ = naive_tokens(table.numpy(), module.groups.weight.numpy(), old)
        assert int(rows.first_event[row]) == len(expected)
        for place, token in enumerate(expected):
            np.testing.assert_allclose(rows.tokens[row, place].numpy(), token, atol=1e-6)


@pytest.mark.parametrize("training", [True, False])
@torch.no_grad()
def test_rows_hold_the_groups_met_last_first_and_then_the_events(training: bool) -> None:
    module = GroupTokens(GROUP_OF_ITEM, DIM, MOST, std=1.0).train(training)
    events = torch.randn(4, LENGTH, DIM)
    present, recent = padded(RECENT) != PAD, 100 + torch.arange(LENGTH).expand(4, LENGTH)
    times = [[10 * place + 1 for place in range(len(row))] for row in OLD]
    rows = module(torch.randn(N_ITEMS, DIM), ragged(OLD), ragged(times), events, present, recent)
    for row, old in enumerate(OLD):
        _, last = naive_tokens(np.zeros((N_ITEMS, DIM)), np.zeros((3, DIM)), old)
        kept = len(RECENT[row])
        filled = len(last) + kept
        assert rows.present[row].tolist() == [True] * filled + [False] * (rows.present.shape[1] - filled)
        expected = [10 * place + 1 for place in last] + list(range(100, 100 + kept))
        assert rows.timestamps[row, :filled].tolist() == expected
        torch.testing.assert_close(rows.tokens[row, len(last) : filled], events[row, :kept])
        torch.testing.assert_close(rows.of_events(rows.tokens, LENGTH)[row, :kept], events[row, :kept])


@both
@torch.no_grad()
def test_without_an_old_history_it_is_the_plain_network(model: type[CompressedModel]) -> None:
    ours, items, times = network(model), padded(RECENT), torch.arange(LENGTH).expand(4, LENGTH)
    none = ragged([[]] * 4)
    plain, read = ours(items, times), ours.read(items, times, none, none)
    for row, events in enumerate(RECENT):
        torch.testing.assert_close(read[row, : len(events)], plain[row, : len(events)])
    with_old = ours.read(items, times, ragged(OLD), ragged(OLD))
    changed = [not torch.allclose(read[row, : len(r)], with_old[row, : len(r)]) for row, r in enumerate(RECENT)]
    assert changed == [True, False, True, True]


@both
@torch.no_grad()
def test_a_row_reads_its_own_history_alone_and_no_later_event(model: type[CompressedModel]) -> None:
    ours, times = network(model), torch.zeros(4, LENGTH, dtype=torch.long)
    together = ours.read(padded(RECENT), times, ragged(OLD), ragged(OLD))
    for row in range(4):
        alone = ours.read(
            padded(RECENT[row : row + 1]), times[:1], ragged(OLD[row : row + 1]), ragged(OLD[row : row + 1])
        )
        torch.testing.assert_close(alone[0], together[row], rtol=0, atol=1e-5)
    changed = [[3, 1, 4, 2], *RECENT[1:]]
    moved = (ours.read(padded(changed), times, ragged(OLD), ragged(OLD)) - together).abs().amax(-1)[0] > 1e-6
    assert moved.tolist() == [False, False, False, True]


def world(category: np.ndarray | None = None) -> TrainingData:
    """Twelve users whose next item, after four events of noise, is that of their first event."""
    rng = np.random.default_rng(0)
    rows = []
    for _ in range(60):
        theme = int(rng.integers(3))
        rows.append([theme + 3 * int(rng.integers(4)) for _ in range(6)] + rng.integers(0, N_ITEMS, 4).tolist())
    items = np.array([item for row in rows for item in row], dtype=np.int32)
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    titles = pd.DataFrame({"title": [f"theme{item % 3}" for item in range(N_ITEMS)]})
    interactions = Interactions(items, np.arange(len(items), dtype=np.int64), offsets, N_ITEMS)
    return TrainingData(interactions, ItemTable(titles, ("title",), category), False, "")


def test_groups_are_clusters_of_features_or_the_categories_of_the_data(tmp_path: Path) -> None:
    clusters = CompressionConfig(clusters=3, features={"collaborative_dims": 0})
    found = item_groups(world(), clusters, ArtifactCache(tmp_path), seed=0)
    assert len(set(zip(found.tolist(), (np.arange(N_ITEMS) % 3).tolist(), strict=True))) == 3
    category = np.array([0, 1, -1] * 4, dtype=np.int32)
    by_category = CompressionConfig(groups="category")
    assert item_groups(world(category), by_category, ArtifactCache(tmp_path), 0).tolist() == category.tolist()
    with pytest.raises(BenchError, match=r"compression.groups is 'category', but the items of this data set have none"):
        item_groups(world(), by_category, ArtifactCache(tmp_path), 0)


@both
def test_lists_depend_on_the_old_history_and_not_on_the_batch(model: type[CompressedModel], tmp_path: Path) -> None:
    training = {"epochs": 1, "batch_events": 32}
    fitted = model({"length": LENGTH, "dim": DIM, "compression": {"clusters": 3}, "training": training})
    fitted.fit(world(), FitContext(5, "cpu", ArtifactCache(tmp_path), validate=lambda _: 0.0))
    rows = [[0, 3, 6, 9, 1, 2, 4, 5], [1, 4, 7, 10, 1, 2, 4, 5], [2], [], [1, 2, 4, 5]]
    items = np.array([item for row in rows for item in row], dtype=np.int32)
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    asked = Histories(items, np.zeros(len(items), dtype=np.int64), offsets, N_ITEMS, exclude_seen=False)
    together = fitted.recommend(asked, k=N_ITEMS)
    for query in range(len(rows)):
        alone = fitted.recommend(asked.batch(query, query + 1), k=N_ITEMS)
        np.testing.assert_array_equal(alone.items[0], together.items[query])
    assert not np.array_equal(together.scores[0], together.scores[1]), "equal windows, other old events"
    assert not np.array_equal(together.scores[0], together.scores[4])


def test_training_reads_old_histories_of_training_events_alone(tmp_path: Path) -> None:
    model = SASRecCompressed({"length": LENGTH, "dim": DIM, "compression": {"clusters": 3}, "training": {"epochs": 1}})
    train = world()
    model.fit(train, FitContext(5, "cpu", ArtifactCache(tmp_path), validate=lambda _: 0.0))
    read: list[tuple[list[int], list[int]]] = []
    network = model.network
    network.read = lambda items, times, old, dated: read.append((old.flattened()[1].tolist(), old.ends.tolist()))
    windows = replace(_batch(train), users=torch.tensor([2, 7]), starts=torch.tensor([5, 0]))
    model.window_reader(train)(windows)
    events = train.interactions
    assert read == [(events.items[events.row(2)][:5].tolist(), [5, 0])]


def _batch(train: TrainingData):
    from models.training.windows import TrainingWindows

    return next(iter(TrainingWindows(train.interactions, LENGTH, 32, "cpu").epoch(np.random.default_rng(0))))
