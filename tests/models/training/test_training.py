"""The training loop against hand-computed schedules, averages and stopping."""

import math
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bench.data.cache import ArtifactCache
from bench.recommender import FitContext, Recommendations, Recommender
from models.training import loop
from models.training.loop import TrainingConfig, fit_network, parameter_count
from models.training.step import in_bfloat16


class Unused(Recommender):
    """`fit_network` hands it to the validation and does nothing else with it."""

    def fit(self, *_: Any) -> None: ...

    def recommend(self, *_: Any) -> Recommendations:
        raise NotImplementedError


class Weights(nn.Module):
    """A vector (plain) and a matrix (decayed)."""

    def __init__(self) -> None:
        super().__init__()
        self.vector = nn.Parameter(torch.tensor([1.0]))
        self.matrix = nn.Parameter(torch.tensor([[2.0]]))


class Run:
    """Trains `Weights` and keeps what the loss and the validation saw."""

    def __init__(self, tmp_path: Path, scores: Iterator[float] | None = None, seed: int = 0, steps: int = 3) -> None:
        self.module = Weights()
        self.trained: list[float] = []
        self.judged: list[float] = []
        self.modes: list[tuple[str, bool]] = []
        self.progress: list[float] = []
        self.steps = steps
        self.scores = scores
        self.context = FitContext(
            seed, "cpu", ArtifactCache(tmp_path), self.validate, lambda fraction, _: self.progress.append(fraction)
        )

    def validate(self, recommender: Recommender) -> float:
        assert isinstance(recommender, Unused)
        self.judged.append(self.module.vector.item())
        self.modes.append(("validate", self.module.training))
        return next(self.scores) if self.scores else float(len(self.judged))

    def constant_gradient(self, batch: int) -> Tensor:
        """With a gradient of 1 at every step, AdamW moves the vector by exactly the learning rate."""
        self.trained.append(self.module.vector.item())
        self.modes.append(("train", self.module.training))
        return self.module.vector.sum()

    def fit(self, loss: Any = None, **config: Any) -> None:
        fit_network(
            Unused(),
            self.module,
            lambda rng: list(range(self.steps)),
            loss or self.constant_gradient,
            TrainingConfig(**config),
            self.context,
        )


@pytest.mark.parametrize("beta2", [0.9, 0.98])
def test_beta2_is_the_memory_of_squared_gradients(tmp_path: Path, beta2: float) -> None:
    """Gradients 1 and 2 by hand (Kingma & Ba 2015, algorithm 1), at a learning rate of 1."""
    run = Run(tmp_path, steps=2)
    factors = iter([1.0, 2.0])
    run.fit(
        lambda batch: next(factors) * run.module.vector.sum(),
        epochs=1, learning_rate=1.0, warmup_steps=0, weight_decay=0.0, gradient_norm=100.0, beta2=beta2,
    )  # fmt: skip
    mean = (0.9 * 0.1 * 1 + 0.1 * 2) / (1 - 0.9**2)
    square = (beta2 * (1 - beta2) * 1 + (1 - beta2) * 4) / (1 - beta2**2)
    rate = 0.55 + 0.45 * math.cos(math.pi * 0.5)  # of the second step, half through the only epoch
    assert run.module.vector.item() == pytest.approx(1.0 - 1.0 - rate * mean / math.sqrt(square), abs=1e-5)


def test_training_stops_early_and_restores_the_weights_of_the_best_validation(tmp_path: Path) -> None:
    run = Run(tmp_path, iter([0.1, 0.5, 0.4, 0.5, 0.9]))
    run.fit(epochs=9, validate_every=1, patience=2, learning_rate=0.01)
    assert len(run.judged) == 4, "an equal score is no new best, so two validations after the second training stops"
    assert run.module.vector.item() == run.judged[1]
    assert len(set(run.judged)) == 4
    assert not run.module.training


def test_a_new_best_starts_the_patience_anew(tmp_path: Path) -> None:
    run = Run(tmp_path, iter([0.1, 0.0, 0.2, 0.1, 0.3, 0.0, 0.0]))
    run.fit(epochs=20, validate_every=1, patience=2)
    assert len(run.judged) == 7
    assert run.module.vector.item() == run.judged[4]


def test_the_last_epoch_is_judged_and_the_learning_curve_is_filled(tmp_path: Path) -> None:
    run = Run(tmp_path, iter([0.1, 0.2, 0.3]))
    run.fit(epochs=5, validate_every=2, learning_rate=0.01)
    curve = run.context.curve
    assert [(point.epoch, point.step, point.validation) for point in curve] == [(2, 6, 0.1), (4, 12, 0.2), (5, 15, 0.3)]
    means = [np.mean(run.trained[:6]), np.mean(run.trained[6:12]), np.mean(run.trained[12:])]
    assert [point.loss for point in curve] == pytest.approx(means), "the mean since the last point"
    seconds = [point.seconds for point in curve]
    assert 0 < seconds[0] < seconds[1] < seconds[2]


def test_the_module_trains_in_training_mode_and_is_judged_in_evaluation_mode(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.fit(epochs=2, validate_every=1)
    assert set(run.modes) == {("train", True), ("validate", False)}


def test_progress_rises_from_epoch_to_epoch_and_ends_at_one(tmp_path: Path) -> None:
    run = Run(tmp_path, steps=25)
    run.fit(epochs=4, validate_every=2)
    assert run.progress == sorted(run.progress)
    assert run.progress[-1] == 1.0
    assert len(run.progress) > 4


def test_the_learning_rate_warms_up_and_falls_to_a_tenth_along_a_cosine(tmp_path: Path) -> None:
    run = Run(tmp_path, steps=4)
    run.fit(epochs=2, validate_every=2, learning_rate=0.1, warmup_steps=3)
    weights = [*run.trained, run.module.vector.item()]
    warmup = [1 / 4, 2 / 4, 3 / 4, 1, 1, 1, 1, 1]
    # Epochs done: 0, 1/4, ... of 2. The cosine falls from 1 over 0.55 in the middle to 0.1 at the end.
    cosine = [0.1 + 0.9 * (1 + math.cos(math.pi * done / 8)) / 2 for done in range(8)]
    expected = [0.1 * w * c for w, c in zip(warmup, cosine, strict=True)]
    assert cosine[4] == pytest.approx(0.55)
    np.testing.assert_allclose(-np.diff(weights), expected, rtol=1e-4)


def test_only_matrices_decay(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.fit(
        lambda _: 0 * (run.module.vector.sum() + run.module.matrix.sum()),
        epochs=1,
        learning_rate=0.1,
        weight_decay=0.5,
        warmup_steps=0,
    )
    factors = [1 - 0.5 * 0.1 * (0.55 + 0.45 * math.cos(math.pi * step / 3)) for step in range(3)]
    assert run.module.matrix.item() == pytest.approx(2 * math.prod(factors))
    assert run.module.vector.item() == 1.0


def test_gradients_are_clipped_to_the_norm(tmp_path: Path) -> None:
    run = Run(tmp_path)
    seen: list[float] = []

    def steep(_: int) -> Tensor:
        gradients = [p.grad for p in run.module.parameters() if p.grad is not None]
        if gradients:  # what the step before left
            seen.append(math.sqrt(sum(float(g.square().sum()) for g in gradients)))
        return 300 * run.module.vector.sum() + 400 * run.module.matrix.sum()

    run.fit(steep, epochs=1, gradient_norm=0.25)
    assert seen == pytest.approx([0.25, 0.25])


def test_the_moving_average_is_judged_and_kept_while_training_goes_on_from_the_weights_themselves(
    tmp_path: Path,
) -> None:
    plain, averaged = Run(tmp_path), Run(tmp_path)
    plain.fit(epochs=6, validate_every=1, learning_rate=0.05, warmup_steps=2)
    averaged.fit(epochs=6, validate_every=1, learning_rate=0.05, warmup_steps=2, average=0.3)
    assert averaged.trained == plain.trained, "judging the average leaves the trajectory as it is"
    after = [*plain.trained[1:], plain.judged[-1]]
    value, values = plain.trained[0], []
    for step, weight in enumerate(after):
        decay = min(0.3, (1 + step) / (10 + step))
        value = decay * value + (1 - decay) * weight
        values.append(value)
    assert averaged.judged == pytest.approx(values[2::3])
    assert abs(averaged.judged[-1] - plain.judged[-1]) > 1e-3
    assert averaged.module.vector.item() == averaged.judged[-1]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_raises_and_is_never_judged(tmp_path: Path, value: float) -> None:
    run = Run(tmp_path)

    def diverging(step: int) -> Tensor:
        return run.module.vector.sum() * (value if step == 1 else 1.0)

    with pytest.raises(FloatingPointError, match=r"epoch 1.*learning_rate"):
        run.fit(diverging, epochs=3, validate_every=1)
    assert run.judged == []
    assert run.context.curve == []


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(tmp_path: Path) -> None:
    def trained(seed: int) -> Tensor:
        torch.manual_seed(99)
        module = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 1))
        torch.manual_seed(int(np.random.default_rng().integers(1000)))  # whatever happened before
        context = FitContext(seed, "cpu", ArtifactCache(tmp_path), lambda _: 0.0)

        def epoch(rng: np.random.Generator) -> list[Tensor]:
            return [torch.from_numpy(rng.normal(size=(6, 4)).astype(np.float32)) for _ in range(3)]

        config = TrainingConfig(epochs=2, warmup_steps=0)
        fit_network(Unused(), module, epoch, lambda batch: module(batch).square().mean(), config, context)
        return torch.cat([p.detach().flatten() for p in module.parameters()])

    assert torch.equal(trained(1), trained(1))
    assert not torch.equal(trained(1), trained(2))


def test_only_trainable_parameters_are_counted() -> None:
    module = nn.Linear(3, 2)
    assert parameter_count(module) == 8
    module.bias.requires_grad_(False)
    assert parameter_count(module) == 6
    assert parameter_count(None) == 0


def test_bfloat16_is_part_of_a_configuration_only_where_it_is_chosen() -> None:
    assert "precision" not in TrainingConfig().model_dump()
    assert TrainingConfig(precision="bf16").model_dump()["precision"] == "bf16"


def test_in_bfloat16_a_loss_is_nearly_that_of_float32_and_parameters_stay_float32() -> None:
    torch.manual_seed(0)
    layer = torch.nn.Linear(64, 64)
    batch = torch.randn(32, 64)

    def loss(states: torch.Tensor) -> torch.Tensor:
        assert layer.weight.dtype == torch.float32
        made = layer(states)
        types.append(made.dtype)
        return made.square().mean()

    types: list[torch.dtype] = []
    full, half = loss(batch), in_bfloat16(loss, "cpu")(batch)
    assert types == [torch.float32, torch.bfloat16]
    assert half.dtype == torch.float32
    assert full != half
    assert torch.isclose(full, half, rtol=1e-2)
    half.backward()
    assert layer.weight.grad is not None
    assert layer.weight.grad.dtype == torch.float32


def test_a_training_that_is_given_up_on_a_gpu_waits_for_its_steps(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    waited: list[str] = []

    class Stream:
        def wait_stream(self, other: object) -> None: ...

        def synchronize(self) -> None:
            waited.append("for its own stream")

    class GivenUp:
        def __init__(self, *arguments: Any) -> None: ...

        def run(self) -> None:
            raise TimeoutError("time limit")

    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "current_stream", Stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: nullcontext())
    monkeypatch.setattr(loop, "Trainer", GivenUp)
    context = FitContext(0, "cuda", ArtifactCache(tmp_path), lambda _: 0.0)
    with pytest.raises(TimeoutError):
        fit_network(Unused(), nn.Linear(1, 1), lambda _: [], lambda _: torch.zeros(()), TrainingConfig(), context, [])
    assert waited == ["for its own stream"]
