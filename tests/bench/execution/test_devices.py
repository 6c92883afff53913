"""One training on two devices, which are processes here, against the same on one."""

from __future__ import annotations

import os
import signal
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bench.errors import BenchError
from bench.execution import devices
from bench.execution.checkpoints import Checkpointing
from bench.execution.devices import DeviceLostError, Place, together
from bench.execution.scheduler import Workers
from bench.execution.worker import execute
from bench.plan import expand
from bench.spec import DatasetSpec, Entry, RunResult, Suite
from models.training.divided import DividedStep
from models.training.step import OptimiserStep

ALIKE = 1e-4
TRAINING = {"epochs": 4, "validate_every": 1, "patience": 10, "warmup_steps": 2}
NETWORK = {"dim": 16, "heads": 2, "encoder_layers": 1, "decoder_layers": 1, "dropout": 0.0}
CONFIGS: dict[str, dict[str, Any]] = {
    "glass": {
        "network": NETWORK,
        "short_term": 8,
        "tokenizer": {"codebooks": [8, 8]},
        "training": {**TRAINING, "batch_events": 16},
    },
    "hstu": {"dim": 16, "length": 16, "dropout": 0.0, "training": {**TRAINING, "batch_events": 16}},
    "sasrec-ce": {"dim": 16, "length": 16, "dropout": 0.0, "training": {**TRAINING, "batch_events": 16}},
    "popularity": {},
}


def made(model: str, folder: Path, n_devices: int, **changes: Any) -> RunResult:
    config = CONFIGS[model] | changes
    entry = Entry(model=model, config=config)
    suite = Suite(name="mine", description="", datasets=(DatasetSpec(name="ml-100k"),), models=(entry,), seeds=(0,))
    (spec,) = expand(suite)
    checkpointing = Checkpointing(0.0, keep=True)
    return execute(spec, folder / str(n_devices), "cpu", 1, checkpointing, n_devices)


@pytest.mark.usefixtures("tiny_ml_100k")
@pytest.mark.parametrize("model", [pytest.param("glass", marks=pytest.mark.slow), "hstu", "sasrec-ce"])
def test_two_devices_train_as_one_does(model: str, tmp_path: Path) -> None:
    alone, divided = (made(model, tmp_path, n_devices) for n_devices in (1, 2))
    assert alone.reason == divided.reason == ""
    assert divided.environment["devices"] == 2
    assert alone.environment["devices"] == 1
    assert alone.spec.key == divided.spec.key
    assert divided.left_behind == []
    assert len(divided.curve) == TRAINING["epochs"]
    for column in ("loss", "validation"):
        curves = [[point[column] for point in result.curve] for result in (alone, divided)]
        np.testing.assert_allclose(curves[1], curves[0], rtol=0, atol=ALIKE if column == "loss" else 0.02)
    assert [point["step"] for point in alone.curve] == [point["step"] for point in divided.curve]
    assert alone.curve[-1]["step"] >= 50
    assert divided.queries is not None
    assert alone.queries is not None
    assert len(divided.queries) == len(alone.queries)


@pytest.mark.usefixtures("tiny_ml_100k")
def test_a_model_that_cannot_be_divided_takes_one_device(tmp_path: Path) -> None:
    result = made("popularity", tmp_path, 2)
    assert result.status == "complete"
    assert result.environment["devices"] == 1


@pytest.mark.usefixtures("tiny_ml_100k")
def test_a_loss_that_is_no_number_ends_all_with_one_line(tmp_path: Path) -> None:
    rate = {"training": {**TRAINING, "batch_events": 16, "learning_rate": 1e30, "gradient_norm": 1e30}}
    result = made("sasrec-ce", tmp_path, 2, **rate)
    assert result.status == "failed"
    assert result.reason.startswith("FloatingPointError: training loss is ")
    assert "\n" not in result.reason


def _raising(place: Place) -> int:
    with place.joined("cpu"):
        if place.number == 1:
            raise ValueError("no more bits")
        return int(place.told_by_the_first(lambda: 1.0, "cpu"))


def _dying(place: Place) -> None:
    with place.joined("cpu"):
        if place.number == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        place.told_by_the_first(lambda: 1.0, "cpu")
        place.told_by_the_first(lambda: 1.0, "cpu")


def _telling(place: Place, shift: float) -> float:
    with place.joined("cpu"):
        return place.told_by_the_first(lambda: place.number + shift, "cpu")


def test_all_are_told_what_the_first_finds() -> None:
    assert together(partial(_telling, shift=0.5), 2, "cpu") == 0.5


def test_the_failure_of_one_is_that_of_all() -> None:
    with pytest.raises(ValueError, match="no more bits"):
        together(_raising, 2, "cpu")
    with pytest.raises(DeviceLostError, match="the process of device 2 of 2 died"):
        together(_dying, 2, "cpu")


def test_runs_get_gpus_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[dict[str, str]]] = []
    monkeypatch.setattr("bench.execution.environment.gpus", lambda: ("0", "1", "2", "3"))
    monkeypatch.setattr("loky.cpu_count", lambda: 16)
    monkeypatch.setattr("bench.execution.scheduler.LocalEngine", lambda given, *_: seen.append(given))
    for jobs, n_devices in ((4, 1), (None, 2), (6, 1)):
        Workers.for_machine("cuda", jobs, 10, devices=n_devices).start()
    cards = [[one["CUDA_VISIBLE_DEVICES"] for one in given] for given in seen]
    assert cards == [["0", "1", "2", "3"], ["0,1", "2,3"], ["0", "1", "2", "3", "0", "1"]]
    with pytest.raises(BenchError, match="--devices 8: this machine has 4 GPUs"):
        Workers.for_machine("cuda", None, 10, devices=8)
    assert [one["CUDA_VISIBLE_DEVICES"] for one in devices._variables(2, "cuda")] == ["0", "1"]
    with pytest.raises(BenchError, match="--devices 5: this process sees 4 GPUs"):
        devices._variables(5, "cuda")


@pytest.mark.usefixtures("tiny_ml_100k")
@pytest.mark.parametrize("model", ["hstu", pytest.param("glass", marks=pytest.mark.slow)])
def test_a_training_that_memory_does_not_suffice_for_is_made_in_halves(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = made(model, tmp_path / "whole", 1)
    assert whole.environment["batch_pieces"] == 1

    def too_large(self: OptimiserStep[Any], batch: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(OptimiserStep, "_step", too_large)  # that of whole batches; `DividedStep` has its own
    halves = made(model, tmp_path / "halves", 1)
    assert halves.reason == ""
    assert halves.environment["batch_pieces"] == 2
    assert halves.left_behind == []
    assert whole.curve[-1]["step"] == halves.curve[-1]["step"]
    losses = [[point["loss"] for point in result.curve] for result in (whole, halves)]
    np.testing.assert_allclose(losses[1], losses[0], rtol=0, atol=ALIKE)
    log = next((tmp_path / "halves").glob("1/runs/*/*/*/log.txt")).read_text()
    assert "CUDA out of memory" in log
    assert "made again, each batch in two halves" in log
    monkeypatch.setattr(DividedStep, "_step", too_large)
    hopeless = made(model, tmp_path / "hopeless", 1)
    assert hopeless.status == "failed"
    assert hopeless.reason == "OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB."
