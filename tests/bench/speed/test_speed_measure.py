"""What is timed and counted of a row: the right epochs, answers of the right size, products by hand."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from bench.config import Config
from bench.data.dataset import TrainingData
from bench.data.interactions import Histories
from bench.plan import complete_config
from bench.recommender import CurvePoint, FitContext, Recommendations, Recommender
from bench.registry import model_class
from bench.speed import generated
from bench.speed import measure as module
from bench.speed.machine import Machine
from bench.speed.measure import NOT_TIMED, Task, measure
from bench.speed.setting import Setting, Sweep, sizes


class Steps(Config):
    epochs: int = 1
    batch_events: int = 1
    validate_every: int = 7
    patience: int = 1


class TimedConfig(Config):
    beam: int = 20
    training: Steps = Steps()


class Timed(Recommender):
    """Epoch `n` takes `n` seconds of two steps; notes what it is asked."""

    Config = TimedConfig
    config: TimedConfig
    seen: ClassVar[list[tuple[int, ...]]] = []

    def fit(self, train: TrainingData, context: FitContext) -> None:
        training = self.config.training
        self.seen.append((train.interactions.n_users, training.epochs, training.batch_events, self.config.beam))
        assert training.validate_every == 1
        assert training.patience >= training.epochs
        for n in range(1, training.epochs + 1):
            assert context.validate(self) == 0.0
            torch.ones(2, 3) @ torch.ones(3, 5)
            torch.ones(2, 3) @ torch.ones(3, 5)
            context.curve.append(CurvePoint(n, 2 * n, 1.0, 0.0, n * (n + 1) / 2))

    def recommend(self, histories: Histories, k: int) -> Recommendations:
        self.seen.append((len(histories), *histories.lengths.tolist()))
        with torch.inference_mode():
            F.linear(torch.ones(len(histories), 4), torch.ones(6, 4), torch.ones(6))
        ranked = np.tile(np.arange(k), (len(histories), 1))
        return Recommendations(ranked.astype(np.int32), -ranked.astype(np.float32))


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> type[Timed]:
    monkeypatch.setattr(module, "model_class", lambda name: Timed)
    Timed.seen.clear()
    return Timed


def task(setting: Setting, config: dict[str, object], count: bool = True) -> Task:
    return Task("row", "timed", config, setting, "cpu", 1, 3, count)


def test_the_last_epochs_are_timed_and_every_answer(timed: type[Timed]) -> None:
    config = TimedConfig().model_dump(mode="json")
    found = measure(task(Setting(length=10, items=50, events=20, beam=7, queries=(2, 3)), config))
    assert found["step"] == [1.5, 2.0, 2.5]  # epochs 3 to 5, of two steps each
    assert NOT_TIMED["cpu"] == 2
    assert {n: len(answer["seconds"]) for n, answer in found["answers"].items()} == {"2": 3, "3": 3}
    assert found["answers"]["3"]["mib"] > 1
    trained, *asked = timed.seen
    assert trained == (16, 5, 20, 7)  # enough users for eight steps
    assert asked[:4] == [(2, 10, 10)] * 4  # one answer before those that count
    assert asked[4:8] == [(3, 10, 10, 10)] * 4


@pytest.mark.usefixtures("timed")
def test_products_are_counted_of_a_step_and_of_an_answer() -> None:
    config = TimedConfig().model_dump(mode="json")
    found = measure(task(Setting(10, 50, 20, None, (2,)), config))
    assert found["step_flops"] == 2 * 2 * 3 * 5
    assert found["answers"]["2"]["flops"] == 2 * 2 * 4 * 6
    uncounted = measure(task(Setting(10, 50, 20, None, (2,)), config, count=False))
    assert uncounted["step_flops"] is None
    assert uncounted["answers"]["2"]["flops"] is None


def test_a_model_without_a_training_has_answers_alone() -> None:
    found = measure(Task("row", "popularity", {}, Setting(10, 50, 20, None, (2,)), "cpu", 1, 2, True))
    assert found["step"] is None
    assert found["preparation"][0] > 0
    assert len(found["answers"]["2"]["seconds"]) == 2


def test_a_network_is_counted_forwards_and_backwards() -> None:
    """A step of SASRec with full softmax has at least three products of all states with the catalogue."""
    model = model_class("sasrec-ce")
    config = complete_config(model, {"dim": 16, "blocks": 1, "length": 20}, "")
    setting = Setting(length=20, items=200, events=100, beam=None, queries=(1,))
    found = measure(Task("row", "sasrec-ce", config, setting, "cpu", 1, 2, True))
    assert found["step_flops"] > 3 * 2 * (5 * 19) * 16 * 200
    assert found["answers"]["1"]["flops"] > 2 * 16 * 200
    assert found["parameters"] > 200 * 16


def test_generated_histories_are_of_one_length_and_popular_items_come_first() -> None:
    train = generated.training_data(users=30, length=40, items=100)
    assert train.interactions.lengths.tolist() == [40] * 30
    counts = train.interactions.item_counts()
    assert counts[:10].sum() > 2 * counts[-10:].sum()
    assert train.item_table.columns["title"].nunique() > 90
    asked = generated.queries(number=3, length=7, items=100)
    assert asked.lengths.tolist() == [7, 7, 7]
    assert asked.items.max() < 100
    large = generated.training_data(users=2, length=3, items=100_000)
    assert large.item_table.embeddings is not None
    assert large.item_table.embeddings.shape == (100_000, 32)


def test_one_size_is_varied_at_a_time() -> None:
    settings = Sweep((100, 200), (10, 20), (64, 128), (None, 5), (8, 1)).settings()
    assert settings == [
        Setting(100, 10, 64, None, (8, 1)),
        Setting(200, 10, 64, None, (8,)),
        Setting(100, 20, 64, None, (8,)),
        Setting(100, 10, 128, None, ()),
        Setting(100, 10, 64, 5, (8,)),
    ]


def test_several_devices_train_alone() -> None:
    settings = Sweep((100,), (10,), (64, 128), (None,), (8, 1), (1, 2)).settings()
    assert settings[1:] == [Setting(100, 10, 128, None, ()), Setting(100, 10, 64, None, (), 2)]
    assert "devices" not in settings[0].sizes, "points of one device keep their names"
    assert settings[2].sizes["devices"] == 2
    assert Sweep((100,), (10,), (64,), (None,), (8, 1), (2,)).settings() == [Setting(100, 10, 64, None, (), 2)]


def test_two_processes_take_the_steps_of_one() -> None:
    config = complete_config(model_class("sasrec-ce"), {"dim": 16, "blocks": 1, "length": 20}, "")
    alone, two = (
        measure(Task("row", "sasrec-ce", config, Setting(20, 200, 200, None, (), n), "cpu", 1, 2, True)) for n in (1, 2)
    )
    assert len(two["step"]) == len(alone["step"]) == 2
    assert two["parameters"] == alone["parameters"]
    assert two["step_flops"] == alone["step_flops"], "floating-point operations are those of the whole batch"


def test_sizes_are_positive_whole_numbers() -> None:
    assert sizes("1024, 16_384,1024", ()) == (1024, 16384)
    assert sizes(None, (3,)) == (3,)
    for text in ("", "0", "-1", "1.5", "many", "9" * 30):
        with pytest.raises(ValueError, match="positive whole numbers"):
            sizes(text, (1,))


def test_the_floor_is_the_larger_of_products_and_bytes() -> None:
    machine = Machine("cpu", "some", 1, 1e9, 1e10, 1e9, "float32", {}, "", "")
    step = machine.floor_of_step(flops=1e9, parameters=1_000)
    assert (step.seconds, step.bound) == (0.1, "arithmetic")
    answer = machine.floor_of_answer(flops=1e3, parameters=1_000_000)
    assert (answer.seconds, answer.bound) == (0.004, "bandwidth")
    assert machine.floor_of_step(flops=None, parameters=1_000_000).seconds == pytest.approx(0.028)
