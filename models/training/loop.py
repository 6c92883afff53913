"""The one training loop of every neural model: AdamW, warm-up, cosine decay, early stopping on validation NDCG@10."""

from __future__ import annotations

import copy
import itertools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, Literal, Protocol, TypeVar, cast

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from bench.config import Config, added_field
from bench.recommender import CurvePoint, FitContext, Recommender
from models.training import divided
from models.training.average import WeightAverage
from models.training.divergence import DivergenceWatch
from models.training.state import ChangingParts
from models.training.step import OptimiserStep, RecordedStep, in_bfloat16

Batch = TypeVar("Batch")
Batch_co = TypeVar("Batch_co", covariant=True)


class Batches(Protocol[Batch_co]):
    """The batches of one epoch: made as they are asked for, their number known beforehand."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Batch_co]: ...


class TrainingConfig(Config):
    """How a model is trained; the tuned values differ by model, the rules don't.

    Attributes:
        epochs: Most passes over the training targets.
        batch_events: Padded input events of one optimiser step.
        learning_rate: Peak of the schedule: linear warm-up, then cosine to a tenth at the last epoch.
        weight_decay: Of AdamW, on matrices only.
        beta2: Of AdamW: decay of the mean of squared gradients. PyTorch's default; HSTU's official code has 0.98.
        warmup_steps: Optimiser steps of the warm-up.
        gradient_norm: Gradients are clipped to this norm.
        average: Decay of the moving average of the weights that is judged and kept. 0 keeps the weights themselves.
        validate_every: Epochs between two validations.
        patience: Validations without a new best after which training stops.
        precision: float32, or bf16: losses are computed in bfloat16 wherever that is safe (PyTorch's autocast), while
            parameters, gradients, optimiser and answers stay in float32. It changes numbers, so it belongs to the
            configuration; the default is left out of it, as it was before there was a choice.
    """

    epochs: int = Field(default=100, ge=1)
    batch_events: int = Field(default=2048, ge=1)
    learning_rate: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=0.01, ge=0)
    beta2: float = Field(default=0.999, gt=0, lt=1)
    warmup_steps: int = Field(default=100, ge=0)
    gradient_norm: float = Field(default=1.0, gt=0)
    average: float = Field(default=0.0, ge=0, lt=1)
    validate_every: int = Field(default=5, ge=1)
    patience: int = Field(default=5, ge=1)
    precision: Literal["float32", "bf16"] = added_field("float32")


def fit_network(
    recommender: Recommender,
    module: nn.Module,
    epoch: Callable[[np.random.Generator], Batches[Batch]],
    loss: Callable[[Batch], Tensor],
    config: TrainingConfig,
    context: FitContext,
    generators: Sequence[torch.Generator] | None = None,
    draws: Sequence[torch.Generator] = (),
) -> None:
    """Trains `module` and leaves it in evaluation mode with the weights of the best validation.

    Args:
        recommender: What `context.validate` judges; answers queries with `module`.
        module: Holds all trained parameters.
        epoch: Batches of one epoch, given a generator of random numbers.
        loss: Mean loss of a batch. Must leave nothing to global random state but dropout, which
            is seeded from `context.seed` here.
        config: Schedule and stopping.
        context: Seed, progress, validation, learning curve.
        generators: The generators that `loss` draws from, of a loss that a GPU may record and replay (see
            `RecordedStep`); None for a loss that has to be stepped through in Python.
        draws: The generators that `loss` draws from wherever it is made: a checkpoint keeps their states.

    Raises:
        FloatingPointError: The loss is not finite.
        ValueError: There is no training target.
    """
    torch.manual_seed(context.seed)
    if context.device != "cuda":
        Trainer(recommender, module, epoch, loss, config, context, None, draws).run()
        return
    # Steps are recorded on a stream that is not the default one.
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        try:
            Trainer(recommender, module, epoch, loss, config, context, generators, draws).run()
        finally:  # steps under way read memory that is freed with the training, also where that is given up
            stream.synchronize()


class Trainer(Generic[Batch]):
    """A training in progress; arguments as for `fit_network`."""

    def __init__(
        self,
        recommender: Recommender,
        module: nn.Module,
        epoch: Callable[[np.random.Generator], Batches[Batch]],
        loss: Callable[[Batch], Tensor],
        config: TrainingConfig,
        context: FitContext,
        generators: Sequence[torch.Generator] | None = None,
        draws: Sequence[torch.Generator] = (),
    ) -> None:
        self.recommender = recommender
        self.module = module
        self.config = config
        self.context = context
        self._batches_of = epoch
        self._rng = np.random.default_rng(context.seed)
        optimiser = adamw(module, config, context.device)
        if config.precision == "bf16":
            loss = in_bfloat16(loss, context.device)
        self._is_divided = divided.processes() * context.pieces > 1
        divided.alike_everywhere(module)
        how: tuple[Any, ...] = (module, loss, optimiser, config.gradient_norm)
        kind: Callable[..., OptimiserStep[Any]] = divided.DividedStep if self._is_divided else OptimiserStep
        if context.device == "cuda" and generators is not None and context.pieces == 1:
            kind = divided.RecordedDividedStep if self._is_divided else RecordedStep
            how = (*how, generators)
        self._take_step = kind(*how)
        self._average = WeightAverage(module, config.average)
        self._parts = ChangingParts(module, optimiser, self._average, draws or generators or (), context.device)
        divided.part_ways(context.seed, self._parts.generators)
        self._divergence = DivergenceWatch()
        self._started = time.perf_counter()
        self._step = 0
        self._losses: list[Tensor] = []
        self._best, self._waited = -math.inf, 0
        self._best_state: dict[str, Tensor] | None = None
        self._checkpoint = context.new_checkpoint(context)
        self._resumed: dict[str, Any] | None = None

    def run(self) -> None:
        """Trains until the last epoch, or until validations no longer improve; then puts the best weights in place."""
        try:
            self._train()
        finally:  # recorded exchanges have to go before the group of processes does
            self._take_step.forget()
        if self._best_state is not None:
            self.module.load_state_dict(self._best_state)
        self.module.eval()

    def _train(self) -> None:
        for number in range(self._first_epoch(), self.config.epochs + 1):
            self._run_epoch(number)
            if number % self.config.validate_every and number != self.config.epochs:
                continue
            self._validate(number)
            if self._waited >= self.config.patience:
                break

    def _run_epoch(self, number: int) -> None:
        self.module.train()
        self._rng_of_epoch = self._rng.bit_generator.state
        batches: Batches[Any] = self._batches_of(self._rng)
        if self._is_divided:
            batches = divided.Portions(cast(divided.DivisibleBatches[Batch], batches), self.context.pieces)
        if not len(batches):
            raise ValueError("nothing to train on: no user has two training events")
        for index, batch in self._still_to_do(batches):
            epochs_done = number - 1 + index / len(batches)
            loss = self._take_step(batch, _schedule(self._step, epochs_done, self.config))
            self._divergence.see(self._step, number, loss)
            self._average.update(self._step)
            self._losses.append(loss)
            self._step += 1
            if self._step % 10 == 0:
                self._report(epochs_done, number)
            if self._checkpoint.due():
                self._divergence.finish()
                self._checkpoint.save(self._state(number, index + 1))
        if self._losses:  # none where a run goes on that was broken off at the end of an epoch
            mean_loss = torch.stack(self._losses[-len(batches) :]).mean().item()
            self.context.measured(self._step, {"epoch/number": number, "epoch/loss": mean_loss})

    def _validate(self, number: int) -> None:
        """Judges the weights, or their average, and keeps them if they are the best so far."""
        self._divergence.finish()
        mean_loss = torch.stack(self._losses).mean().item()
        self._losses.clear()
        with self._average.in_place():
            self.module.eval()
            with torch.inference_mode():
                validation = self.context.validate(self.recommender)
            self._waited += 1
            if validation > self._best:
                self._best, self._waited = validation, 0
                self._best_state = copy.deepcopy(self.module.state_dict())
        seconds = time.perf_counter() - self._started
        self.context.curve.append(CurvePoint(number, self._step, mean_loss, validation, seconds))
        self._report(number, number, f" NDCG@10 {validation:.4f}")

    def _state(self, number: int, n_batches: int) -> dict[str, Any]:
        """All that a training goes on from, after so many batches of an epoch."""
        return {
            "epoch": number,
            "n_batches": n_batches,
            "rng": self._rng_of_epoch,
            "parts": self._parts.state(),
            "seconds": time.perf_counter() - self._started,
            "step": self._step,
            "losses": torch.stack(self._losses),
            "best": self._best,
            "waited": self._waited,
            "best_state": self._best_state,
        }

    def _first_epoch(self) -> int:
        """The epoch to begin with: the first, or that of the checkpoint, whose state is taken over."""
        state = self._resumed = self._checkpoint.load()
        if state is None:
            return 1
        self._rng.bit_generator.state = state["rng"]
        self._parts.restore(state["parts"])
        self._started = time.perf_counter() - state["seconds"]
        self._step = state["step"]
        self._losses = list(state["losses"].to(self.context.device))
        self._best, self._waited, self._best_state = state["best"], state["waited"], state["best_state"]
        return int(state["epoch"])

    def _still_to_do(self, batches: Batches[Any]) -> Iterator[tuple[int, Any]]:
        """The batches of an epoch, numbered; without those before the checkpoint that the training goes on from."""
        todo = enumerate(batches)
        if self._resumed is not None:
            for _ in itertools.islice(todo, self._resumed["n_batches"]):
                pass
            self._parts.restore_random(self._resumed["parts"])
            divided.part_ways(self.context.seed + self._step, self._parts.generators)
            self._resumed = None
        return todo

    def _report(self, epochs_done: float, number: int, outcome: str = "") -> None:
        epochs = self.config.epochs
        self.context.report_progress(epochs_done / epochs, f"epoch {number}/{epochs}{outcome}")


def adamw(module: nn.Module, config: TrainingConfig, device: str) -> torch.optim.AdamW:
    """AdamW over a module's parameters, with weight decay on matrices only, updated in one pass over each of them.

    On a GPU the learning rate lies in the GPU's memory, where a recorded step can read it.
    """
    on_gpu = device == "cuda"
    decayed = [p for p in module.parameters() if p.ndim > 1]
    plain = [p for p in module.parameters() if p.ndim <= 1]

    def rate() -> float | Tensor:
        return torch.tensor(config.learning_rate, device=device) if on_gpu else config.learning_rate

    return torch.optim.AdamW(
        [
            {"params": decayed, "weight_decay": config.weight_decay, "lr": rate()},
            {"params": plain, "weight_decay": 0.0, "lr": rate()},
        ],
        betas=(0.9, config.beta2),
        fused=True,
        capturable=on_gpu,
    )


def _schedule(step: int, epoch: float, config: TrainingConfig) -> float:
    warmup = min(1.0, (step + 1) / (config.warmup_steps + 1))
    cosine = 0.55 + 0.45 * math.cos(math.pi * min(1.0, epoch / config.epochs))
    return config.learning_rate * warmup * cosine


def parameter_count(module: nn.Module | None) -> int:
    """Trainable parameters of a module; 0 before it is built."""
    return 0 if module is None else sum(p.numel() for p in module.parameters() if p.requires_grad)
