"""SASRec and HSTU that may copy: losses and answers beside a walk over events, one by one."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from baselines import copying, next_item
from baselines.copying import CopyingModel, CopyingNetwork, HSTUCopying, SASRecCopying, of_like_size
from baselines.pointer import PastEvents, Pointer, recurrences
from baselines.sasrec import SASRec
from bench.data.cache import ArtifactCache
from bench.data.dataset import ItemTable, TrainingData
from bench.data.interactions import PAD, Histories, Interactions
from bench.recommender import FitContext
from models.training.windows import WindowBatch

N_ITEMS = 7
ROWS = [[0, 1, 0, 0, 2, 5, 0, 1, 3], [4, 4], [6, 5, 4, 6, 1]]
SMALL: dict[str, Any] = {"length": 3, "dim": 8, "dropout": 0.0, "training": {"epochs": 1, "batch_events": 16}}
both_models = pytest.mark.parametrize("model", [SASRecCopying, HSTUCopying])


def arrays(rows: list[list[int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    items = np.array([item for row in rows for item in row], dtype=np.int32)
    return items, 100 * np.arange(len(items), dtype=np.int64), np.cumsum([0, *map(len, rows)]).astype(np.int64)


def histories_of(rows: list[list[int]]) -> Histories:
    return Histories(*arrays(rows), n_items=N_ITEMS, exclude_seen=False)


def training_of(rows: list[list[int]], baskets: bool = False) -> TrainingData:
    items, times, offsets = arrays(rows)
    interactions = Interactions(items, times // 300 if baskets else times, offsets, N_ITEMS)
    return TrainingData(
        interactions, ItemTable(pd.DataFrame(index=range(N_ITEMS)), (), None), False, "", baskets=baskets
    )


def shaken(pointer: Pointer) -> None:
    """Gives every part of the pointer something to say; at first its tables are 0."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in pointer.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))


def fitted(
    model: type[CopyingModel], folder: Path, rows: list[list[int]] = ROWS, baskets: bool = False, **config: Any
) -> CopyingModel:
    recommender = model(SMALL | config)
    recommender.fit(training_of(rows, baskets), FitContext(3, "cpu", ArtifactCache(folder), validate=lambda _: 0.0))
    return recommender


# --- The naive walk: one state, one history, event by event. ---


EDGES = sorted({math.ceil(2 ** (halves / 2)) for halves in range(1, 26)})


def bucket(value: int) -> int:
    """Buckets begin at half powers of two, rounded up: 2, 3, 4, 6, 8, 12, 16, ..."""
    return sum(edge <= value for edge in EDGES)


def normalised(vector: np.ndarray, norm: torch.nn.LayerNorm) -> np.ndarray:
    centred = vector - vector.mean()
    return centred / np.sqrt((centred**2).mean() + 1e-5) * of(norm.weight) + of(norm.bias)


def of(parameter: torch.Tensor) -> np.ndarray:
    return parameter.detach().double().numpy()


def naive_mixture(network: CopyingNetwork, state: torch.Tensor, history: list[int]) -> np.ndarray:
    """float64 `[n_items]`, the distribution after a history, from the parameters alone."""
    pointer, table = network.pointer, of(network.reader.items.weight)
    generated = np.exp(of(network.scores(state)))
    generated /= generated.sum()
    normal_state = normalised(of(state), pointer.state_norm)
    query = of(pointer.query.weight) @ normal_state
    weights, keys = [], []
    for place, item in enumerate(history):
        keys.append(of(pointer.key.weight) @ normalised(table[item], pointer.item_norm) / math.sqrt(32))
        age = len(history) - place
        ordinal = history[: place + 1].count(item)
        bias = of(pointer.by_age.table)[bucket(age), 0] + of(pointer.by_ordinal.table)[bucket(ordinal), 0]
        if item in history[place + 1 :]:
            bias += of(pointer.superseded)[0]
        score = query @ keys[-1] + 3 * bias
        weights.append(math.exp(score))
    shares = np.array(weights) / sum(weights)
    read = sum(share * key for share, key in zip(shares, keys, strict=True))
    logit = of(pointer.gate.weight)[0] @ np.concatenate([normal_state, read]) + of(pointer.gate.bias)[0]
    gate = 1 / (1 + math.exp(-logit))
    copied = np.zeros(N_ITEMS)
    for item, share in zip(history, shares, strict=True):
        copied[item] += share
    return gate * copied + (1 - gate) * generated


def last_state(model: CopyingModel, history: list[int]) -> torch.Tensor:
    assert model.network is not None
    histories = histories_of([history])
    items, times, kept = histories.last(SMALL["length"])
    hidden = model.network(torch.from_numpy(items.astype(np.int64)), torch.from_numpy(times))
    return hidden[0, max(kept[0] - 1, 0)].detach()


@both_models
def test_the_mixture_equals_the_naive_walk(model: type[CopyingModel], tmp_path: Path) -> None:
    recommender = fitted(model, tmp_path)
    assert recommender.network is not None
    shaken(recommender.network.pointer)
    asked = [*ROWS, [3], [0] * 40 + [1, 2] * 5]
    answer = recommender.recommend(histories_of(asked), N_ITEMS)
    for query, history in enumerate(asked):
        expected = naive_mixture(recommender.network, last_state(recommender, history), history)
        order = np.argsort(-expected)
        assert answer.items[query].tolist() == order.tolist()
        np.testing.assert_allclose(answer.scores[query], np.log(expected[order]), rtol=1e-4, atol=1e-5)


@both_models
@pytest.mark.parametrize("baskets", [False, True])
def test_the_loss_is_the_naive_walks_of_every_target(
    model: type[CopyingModel], baskets: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed: list[Any] = []
    monkeypatch.setattr(next_item, "fit_network", lambda *args: handed.extend(args))
    recommender = fitted(model, tmp_path, baskets=baskets)
    network, epoch, loss = handed[1:4]
    network.eval()
    shaken(network.pointer)
    train = training_of(ROWS, baskets)
    ends = train.history_ends()
    for batch in epoch(np.random.default_rng(0)):
        hidden = network(batch.items, batch.timestamps)
        expected = []
        for row, column in (batch.targets != PAD).nonzero().tolist():
            user, place = int(batch.users[row]), int(batch.starts[row]) + column + 1
            end = place if ends is None else int(ends[train.interactions.offsets[user] + place])
            state = hidden[row, end - int(batch.starts[row]) - 1].detach()
            target = ROWS[user][place]
            alone = of(network.scores(state).log_softmax(-1))[target]
            expected.append(-math.log(naive_mixture(network, state, ROWS[user][:end])[target]) - alone)
        assert loss(batch).item() == pytest.approx(np.mean(expected), rel=1e-4)
    assert recommender.network is network


def test_windows_are_grouped_by_the_events_that_they_look_at() -> None:
    groups = of_like_size(torch.tensor([9, 0, 2, 1024, 1, 8, 1025, 16, 3]))
    assert [group.tolist() for group in groups] == [[1, 4], [2], [8], [5], [0, 7], [3], [6]]


def test_a_batch_of_the_naive_walk_has_several_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    groups: list[int] = []

    def counted(sizes: torch.Tensor) -> list[torch.Tensor]:
        found = of_like_size(sizes)
        groups.append(len(found))
        return found

    monkeypatch.setattr(copying, "of_like_size", counted)
    handed: list[Any] = []
    monkeypatch.setattr(next_item, "fit_network", lambda *args: handed.extend(args))
    fitted(SASRecCopying, tmp_path)
    epoch, loss = handed[2:4]
    for batch in epoch(np.random.default_rng(0)):
        loss(batch)
    assert groups[0] > 1


def test_recurrences_by_hand() -> None:
    ordinals, again = recurrences(histories_of([[3, 1, 3, 3], [], [1]]))
    assert ordinals.tolist() == [1, 1, 2, 3, 1]
    assert again.tolist() == [2, 4, 3, 4, 1]


@both_models
def test_an_event_before_the_window_can_be_copied(model: type[CopyingModel], tmp_path: Path) -> None:
    """Item 6 lies far before the window of 3; attention to old events alone, and the gate open, rank it first."""
    recommender = fitted(model, tmp_path)
    assert recommender.network is not None
    with torch.no_grad():
        recommender.network.pointer.by_age.table[bucket(6) :] = 10.0
        recommender.network.pointer.gate.bias.fill_(30.0)
    history = [6, 6, 0, 1, 0, 2, 0]
    answer = recommender.recommend(histories_of([history, history[2:]]), 1)
    assert answer.items[0].tolist() == [6]
    assert math.exp(answer.scores[0, 0]) == pytest.approx(1, abs=1e-6)
    assert answer.items[1].tolist() != [6]


@both_models
def test_lists_depend_on_no_batch_and_an_empty_history_copies_nothing(
    model: type[CopyingModel], tmp_path: Path
) -> None:
    recommender = fitted(model, tmp_path)
    network = recommender.network
    assert network is not None
    shaken(network.pointer)
    asked = histories_of([*ROWS, []])
    whole = recommender.recommend(asked, N_ITEMS)
    parts = [recommender.recommend(asked.batch(query, query + 1), N_ITEMS) for query in range(len(asked))]
    np.testing.assert_array_equal(whole.items, np.concatenate([part.items for part in parts]))
    generated = network.scores(last_state(recommender, [])).log_softmax(-1).detach().numpy()
    np.testing.assert_allclose(np.sort(whole.scores[-1]), np.sort(generated), rtol=1e-5)


def test_copying_has_rows_of_its_own_and_sasrec_stays_as_it_is() -> None:
    assert SASRecCopying().config.model_dump() == SASRec().config.model_dump()
    assert "copying" not in SASRec().config.model_dump()
    with pytest.raises(ValueError, match="loss"):
        SASRecCopying({"loss": "bce"})


def test_a_share_of_zero_does_not_spoil_the_gradient() -> None:
    recommender = SASRecCopying(SMALL)
    train = training_of(ROWS)
    network = recommender.build(train)
    past = PastEvents.of(train.interactions, "cpu")
    one, zero = torch.tensor([[1]]), torch.tensor([0])
    batch = WindowBatch(zero, zero, torch.tensor([[0]]), torch.tensor([[0]]), torch.tensor([[6]]), one)
    network.loss(batch, network(batch.items, batch.timestamps), past).backward()
    assert all(p.grad is None or bool(p.grad.isfinite().all()) for p in network.parameters())
