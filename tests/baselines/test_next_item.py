"""What SASRec, HSTU and GRU4Rec share: losses by hand, and lists from the last event's hidden state."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines import next_item
from baselines.hstu import HSTU, HSTULarge
from baselines.next_item import NextItemModel, NextItemNetwork
from baselines.sasrec import SASRec, SASRecBCE
from bench.data.cache import ArtifactCache
from bench.data.dataset import ItemTable, TrainingData
from bench.data.interactions import PAD, Histories, Interactions
from bench.recommender import FitContext
from models.training.windows import WindowBatch

N_ITEMS = 9
SMALL: dict[str, Any] = {"length": 6, "dim": 8, "dropout": 0.2}


class Echo(NextItemNetwork):
    """A hidden state is the item itself; its scores are the item's row of a table."""

    def __init__(self, n_items: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(n_items, n_items, generator=torch.Generator().manual_seed(0)))

    def forward(self, items: Tensor, timestamps: Tensor) -> Tensor:
        return items.clamp(min=0).float().unsqueeze(-1)

    def compared(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        return self.table[hidden[..., 0].long()], torch.eye(len(self.table))


class EchoModel(NextItemModel):
    def build(self, train: TrainingData) -> NextItemNetwork:
        return Echo(train.n_items)


def cycles(n_items: int = N_ITEMS, length: int = 12) -> TrainingData:
    events = np.concatenate([(start + np.arange(length)) % n_items for start in range(n_items)]).astype(np.int32)
    offsets = np.arange(n_items + 1, dtype=np.int64) * length
    interactions = Interactions(events, np.arange(len(events), dtype=np.int64), offsets, n_items)
    return TrainingData(interactions, ItemTable(pd.DataFrame(index=range(n_items)), (), None), False, "")


def histories_of(rows: list[list[int]], exclude_seen: bool = False) -> Histories:
    items = np.array([item for row in rows for item in row], dtype=np.int32)
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    return Histories(items, 7 * np.arange(len(items), dtype=np.int64), offsets, N_ITEMS, exclude_seen)


def context(tmp_path: Path, seed: int = 5) -> FitContext:
    rising = iter(range(1000))
    return FitContext(seed, "cpu", ArtifactCache(tmp_path), validate=lambda _: float(next(rising)))


@pytest.fixture
def loss_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Echo, Callable]]:
    """The untrained network and the loss that a model hands to the training loop."""

    def caught(loss: str, **config: Any) -> tuple[Echo, Callable]:
        handed: list[Any] = []
        monkeypatch.setattr(next_item, "fit_network", lambda *args: handed.extend(args))
        EchoModel({"loss": loss, **config}).fit(cycles(), context(tmp_path))
        return handed[1], handed[3]

    return caught


ITEMS, TARGETS = [[3, 1, 4], [2, 7]], [[1, 4, 5], [7, 1]]
BATCH = WindowBatch(
    users=torch.tensor([0, 1]),
    starts=torch.tensor([0, 0]),
    items=torch.tensor([ITEMS[0], [*ITEMS[1], PAD]]),
    timestamps=torch.zeros(2, 3, dtype=torch.long),
    targets=torch.tensor([TARGETS[0], [*TARGETS[1], PAD]]),
    kept=torch.tensor([[1, 2, 3], [1, 2, 3]]),
)
PAIRS = [pair for items, targets in zip(ITEMS, TARGETS, strict=True) for pair in zip(items, targets, strict=True)]


def test_cross_entropy_is_the_mean_over_targets_without_padding(loss_of: Callable) -> None:
    network, loss = loss_of("ce")
    table = network.table.detach().double().numpy()
    expected = np.mean([np.log(np.exp(table[item]).sum()) - table[item, target] for item, target in PAIRS])
    assert loss(BATCH).item() == pytest.approx(expected, abs=1e-5)


def test_the_state_before_a_targets_basket_predicts_it(loss_of: Callable) -> None:
    network, loss = loss_of("ce")
    table = network.table.detach().double().numpy()
    kept = torch.tensor([[1, 1, 3], [1, 1, 1]])  # the second target of either row is in the first one's basket
    pairs = [(3, 1), (3, 4), (4, 5), (2, 7), (2, 1)]
    expected = np.mean([np.log(np.exp(table[item]).sum()) - table[item, target] for item, target in pairs])
    assert loss(replace(BATCH, kept=kept)).item() == pytest.approx(expected, abs=1e-5)


def test_binary_cross_entropy_has_one_drawn_negative_per_target(loss_of: Callable) -> None:
    network, loss = loss_of("bce")
    table = network.table.detach().double().numpy()
    generator = torch.Generator().manual_seed(5)
    for _ in range(6):  # among them draws that hit the target
        negatives = torch.randint(N_ITEMS, (len(PAIRS),), generator=generator).tolist()
        terms = []
        for (item, target), negative in zip(PAIRS, negatives, strict=True):
            positive_term = np.log1p(np.exp(-table[item, target]))
            negative_term = np.log1p(np.exp(table[item, negative])) if negative != target else 0.0
            terms += [positive_term, negative_term]
        assert loss(BATCH).item() == pytest.approx(np.mean(terms), abs=1e-5)


def test_a_negative_that_is_the_target_counts_for_nothing() -> None:
    value = next_item._bce(torch.tensor([[2.0, 2.0]]), torch.tensor([[True]]), "mean")
    assert value.item() == pytest.approx(np.log1p(np.exp(-2.0)) / 2)
    value = next_item._sampled_softmax(torch.tensor([[2.0, 2.0, 1.0]]), torch.tensor([[True, False]]), "mean")
    assert value.item() == pytest.approx(np.log1p(np.exp(-1.0)))


def test_sampled_softmax_has_negatives_of_its_own_for_every_target(loss_of: Callable) -> None:
    network, loss = loss_of("sampled", negatives=4)
    table = network.table.detach().double().numpy()
    generator = torch.Generator().manual_seed(5)
    hits = 0
    for _ in range(6):  # among them draws that hit the target, and items drawn twice
        drawn = torch.randint(N_ITEMS, (len(PAIRS), 4), generator=generator).tolist()
        terms = []
        for (item, target), negatives in zip(PAIRS, drawn, strict=True):
            others = [negative for negative in negatives if negative != target]
            hits += 4 - len(others)
            total = sum(np.exp(table[item, other]) for other in [target, *others])
            terms.append(np.log(total) - table[item, target])
        assert loss(BATCH).item() == pytest.approx(np.mean(terms), abs=1e-5)
    assert hits


@pytest.mark.parametrize("n_items", [4, 50])  # fewer and more than the numbers that a gather would read
def test_scores_of_some_items_are_those_among_all(n_items: int) -> None:
    class Table(Echo):
        def compared(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
            return hidden, self.table[:, :3]

    network, hidden = Table(n_items), torch.randn(7, 3)
    items = torch.randint(n_items, (7, 5))
    torch.testing.assert_close(network.scores_of(hidden, items), network.scores(hidden).gather(1, items))


def test_the_last_event_decides_and_the_window_is_cut_to_length(tmp_path: Path) -> None:
    model = EchoModel({"length": 3, "training": {"epochs": 1}})
    model.fit(cycles(), context(tmp_path))
    table = model.network.table.detach().numpy()
    answer = model.recommend(histories_of([[1, 2], [8, 7, 6, 5, 4], []]), k=N_ITEMS)
    for row, last in zip(answer.items[:2], (2, 4), strict=True):
        assert row.tolist() == np.argsort(-table[last], kind="stable").tolist()
    assert sorted(answer.items[2].tolist()) == list(range(N_ITEMS))


both = pytest.mark.parametrize("model", [SASRec, HSTU])


@both
@pytest.mark.parametrize("loss", ["ce", "bce", "sampled"])
def test_every_loss_learns_a_cycle(tmp_path: Path, model: type[NextItemModel], loss: str) -> None:
    training = {"epochs": 25, "learning_rate": 0.02, "batch_events": 36, "warmup_steps": 0, "validate_every": 25}
    training["average"] = 0.0
    fitted = model(SMALL | {"dim": 16, "dropout": 0.0, "loss": loss, "training": training})
    fitted.fit(cycles(), context(tmp_path))
    answer = fitted.recommend(histories_of([[0, 1, 2], [7, 8], [4]]), k=1)
    assert answer.items[:, 0].tolist() == [3, 0, 5]


@both
def test_lists_do_not_depend_on_the_batch_and_leave_seen_items_out(tmp_path: Path, model: type[NextItemModel]) -> None:
    fitted = model(SMALL | {"training": {"epochs": 1}})
    fitted.fit(cycles(), context(tmp_path))
    rng = np.random.default_rng(0)
    rows = [[], [4], *(rng.integers(0, N_ITEMS, n).tolist() for n in (3, 6, 20))]
    asked = histories_of(rows, exclude_seen=True)
    together = fitted.recommend(asked, k=4)
    for query, row in enumerate(rows):
        alone = fitted.recommend(asked.batch(query, query + 1), k=4)
        np.testing.assert_array_equal(alone.items[0], together.items[query])
        np.testing.assert_allclose(alone.scores[0], together.scores[query], rtol=1e-5)
        assert not set(together.items[query].tolist()) & set(row)


@both
def test_lists_are_the_same_however_many_histories_are_read_at_a_time(
    tmp_path: Path, model: type[NextItemModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted = model(SMALL | {"training": {"epochs": 1}})
    fitted.fit(cycles(), context(tmp_path))
    asked = histories_of([[], [4], [3, 1, 4, 1, 5], [2, 7, 1], [8]])
    together = fitted.recommend(asked, k=9)
    read: list[int] = []
    fitted.network.register_forward_pre_hook(lambda _, inputs: read.append(len(inputs[0])))
    for events, steps in ((13, [2, 2, 1]), (1, [1] * 5)):  # the window of these models holds 6
        monkeypatch.setattr(next_item, "ANSWERED_EVENTS", events)
        apart = fitted.recommend(asked, k=9)
        assert read == steps
        read.clear()
        np.testing.assert_array_equal(apart.items, together.items)
        np.testing.assert_allclose(apart.scores, together.scores, rtol=1e-5)


@both
def test_events_before_the_window_do_not_count(tmp_path: Path, model: type[NextItemModel]) -> None:
    fitted = model(SMALL | {"training": {"epochs": 1}})
    fitted.fit(cycles(), context(tmp_path))
    recent = [3, 1, 4, 1, 5, 2]
    gaps = [7 * np.arange(len(recent), dtype=np.int64), np.array([0, *7 * np.arange(len(recent))], dtype=np.int64)]
    answers = [
        fitted.recommend(
            Histories(np.array(row, dtype=np.int32), times, np.array([0, len(row)]), N_ITEMS, exclude_seen=False), 9
        )
        for row, times in zip((recent, [8, *recent]), gaps, strict=True)
    ]
    np.testing.assert_array_equal(answers[0].scores, answers[1].scores)
    later = fitted.recommend(histories_of([[8, *recent[1:]]]), 9)
    assert not np.array_equal(later.scores, answers[0].scores), "the first event of the window does"


@both
def test_the_same_seed_gives_the_same_weights(tmp_path: Path, model: type[NextItemModel]) -> None:
    def weights(seed: int, loss: str) -> Tensor:
        fitted = model(SMALL | {"loss": loss, "training": {"epochs": 1}})
        fitted.fit(cycles(), context(tmp_path, seed))
        return torch.cat([p.detach().flatten() for p in fitted.network.parameters()])

    for loss in ("ce", "bce", "sampled"):
        assert torch.equal(weights(0, loss), weights(0, loss))
        assert not torch.equal(weights(0, loss), weights(1, loss))


@both
def test_parameters_are_counted_and_the_curve_is_filled(tmp_path: Path, model: type[NextItemModel]) -> None:
    fitted = model(SMALL | {"training": {"epochs": 3, "validate_every": 2}})
    assert fitted.parameter_count() == 0
    seen = context(tmp_path)
    fitted.fit(cycles(), seen)
    assert fitted.parameter_count() == sum(p.numel() for p in fitted.network.parameters())
    assert [point.epoch for point in seen.curve] == [2, 3]


@pytest.mark.parametrize(("variant", "plain", "loss"), [(SASRecBCE, SASRec, "bce"), (HSTULarge, HSTU, "sampled")])
def test_a_variant_by_name_is_the_plain_model_with_other_defaults(
    tmp_path: Path, variant: type[NextItemModel], plain: type[NextItemModel], loss: str
) -> None:
    assert variant({}).config.loss == loss != plain({}).config.loss
    training = {"epochs": 1, "batch_events": 36, "learning_rate": 1e-3, "weight_decay": 0.01, "warmup_steps": 3}
    same = SMALL | {"loss": loss, "training": training | {"average": 0.0, "validate_every": 1}, "heads": 2, "blocks": 1}
    answers = []
    for model in (variant, plain):
        fitted = model(same | ({"head_dim": 4} if plain is HSTU else {}))
        fitted.fit(cycles(), context(tmp_path))
        answers.append(fitted.recommend(histories_of([[0, 1, 2], [7, 8]]), k=9).scores)
    np.testing.assert_array_equal(*answers)
    of_the_loss = [
        [part for part in model.fidelity if part.name.startswith(("loss", "sampled softmax"))]
        for model in (variant, plain)
    ]
    assert [len(parts) for parts in of_the_loss] == [1, 1]
    assert of_the_loss[0] != of_the_loss[1], "the card tells the losses apart"
    assert len({part.name for part in variant.fidelity}) == len(variant.fidelity)


def test_hstu_large_is_the_official_size() -> None:
    config = HSTULarge({}).config
    assert (config.blocks, config.heads, config.dim, config.head_dim, config.length) == (8, 2, 50, 25, 200)
    assert (config.negatives, config.temperature, config.dropout, config.bias) == (128, 0.05, 0.2, "both")


@pytest.mark.parametrize("loss", ["ce", "bce", "sampled"])
@pytest.mark.parametrize("kept", [[[1, 2, 3], [1, 2, 3]], [[1, 1, 3], [1, 1, 1]]])
def test_a_loss_at_all_positions_of_a_padded_batch_is_that_at_the_targets(loss: str, kept: list[list[int]]) -> None:
    """What a GPU records has the shape of the batch, whatever is in it."""
    model = EchoModel({"loss": loss, "negatives": 400})
    model._n_items, network = N_ITEMS, Echo(N_ITEMS)
    wider = {
        name: F.pad(getattr(BATCH, name), (0, 1, 0, 2), value=value)
        for name, value in {"items": PAD, "timestamps": 0, "targets": PAD}.items()
    }
    rows = {name: F.pad(getattr(BATCH, name), (0, 2)) for name in ("users", "starts")}
    batch = replace(BATCH, kept=torch.tensor(kept))
    padded = replace(batch, **wider, **rows, kept=F.pad(batch.kept, (0, 1, 0, 2), value=1))
    draws = torch.Generator().manual_seed(0)

    def mean_loss(recorded: bool, windows: WindowBatch) -> float:
        model._recorded = recorded
        hidden = network(windows.items, windows.timestamps)
        return float(np.mean([model.window_loss(network, windows, hidden, draws).item() for _ in range(800)]))

    # Negatives are drawn anew for every loss, so that only their means agree.
    assert mean_loss(False, batch) == pytest.approx(mean_loss(True, padded), rel=1e-6 if loss == "ce" else 0.02)


@pytest.mark.parametrize("exclude_seen", [True, False])
def test_a_gpu_ranks_as_a_processor_does(monkeypatch: pytest.MonkeyPatch, exclude_seen: bool) -> None:
    """Parts of queries of some at a time, ranked where their scores lie and put together."""
    model = EchoModel({"length": 4})
    model._n_items, model._device, model.network = N_ITEMS, "cpu", Echo(N_ITEMS)
    monkeypatch.setattr(next_item, "ANSWERED_EVENTS", 8)
    rng = np.random.default_rng(0)
    offsets = np.array([0, 3, 3, 9, 10, 16])
    histories = Histories(rng.integers(0, N_ITEMS, 16).astype(np.int32), np.arange(16), offsets, N_ITEMS, exclude_seen)
    answer, expected = model._ranked_on_device(histories, 3), model.recommend(histories, 3)
    np.testing.assert_array_equal(answer.items, expected.items)
    np.testing.assert_array_equal(answer.scores, expected.scores)
