"""The one training loop of every neural model: AdamW, warm-up, cosine decay, early stopping on validation NDCG@10."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from typing import Protocol, TypeVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from bench.config import Config
from bench.recommender import CurvePoint, FitContext, Recommender

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


def fit_network(
    recommender: Recommender,
    module: nn.Module,
    epoch: Callable[[np.random.Generator], Batches[Batch]],
    loss: Callable[[Batch], Tensor],
    config: TrainingConfig,
    context: FitContext,
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

    Raises:
        FloatingPointError: The loss is not finite.
        ValueError: There is no training target.
    """
    torch.manual_seed(context.seed)
    rng = np.random.default_rng(context.seed)
    decayed = [p for p in module.parameters() if p.ndim > 1]
    plain = [p for p in module.parameters() if p.ndim <= 1]
    optimiser = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": config.weight_decay}, {"params": plain, "weight_decay": 0.0}],
        lr=config.learning_rate,
        betas=(0.9, config.beta2),
        fused=context.device == "cuda",
    )
    averaged = _Average(module, config.average) if config.average else None
    started = time.perf_counter()
    best, best_state, waited, step = -math.inf, None, 0, 0
    running: list[Tensor] = []
    for number in range(1, config.epochs + 1):
        module.train()
        batches = epoch(rng)
        if not len(batches):
            raise ValueError("nothing to train on: no user has two training events")
        for index, batch in enumerate(batches):
            epochs_done = number - 1 + index / len(batches)
            rate = _schedule(step, epochs_done, config)
            for group in optimiser.param_groups:
                group["lr"] = rate
            value = loss(batch)
            optimiser.zero_grad(set_to_none=True)
            value.backward()
            nn.utils.clip_grad_norm_(module.parameters(), config.gradient_norm)
            optimiser.step()
            if averaged:
                averaged.update(module, step)
            running.append(value.detach())
            step += 1
            if step % 10 == 0:
                context.report_progress(epochs_done / config.epochs, f"epoch {number}/{config.epochs}")
        if number % config.validate_every and number != config.epochs:
            continue
        mean_loss = torch.stack(running).mean().item()
        running.clear()
        if not math.isfinite(mean_loss):
            raise FloatingPointError(f"training loss is {mean_loss} in epoch {number}; try a smaller learning_rate")
        trained = averaged.swap_in(module) if averaged else None
        module.eval()
        with torch.inference_mode():
            validation = context.validate(recommender)
        seconds = time.perf_counter() - started
        context.curve.append(CurvePoint(number, step, mean_loss, validation, seconds))
        waited += 1
        if validation > best:
            best, best_state, waited = validation, copy.deepcopy(module.state_dict()), 0
        if trained is not None:
            module.load_state_dict(trained)
        context.report_progress(number / config.epochs, f"epoch {number}/{config.epochs} NDCG@10 {validation:.4f}")
        if waited >= config.patience:
            break
    if best_state is not None:
        module.load_state_dict(best_state)
    module.eval()


class _Average:
    """Exponential moving average of a module's parameters; short memory at first, so that it needs no warm-up."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.values = [p.detach().clone() for p in module.parameters()]

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self.values, [p.detach() for p in module.parameters()], 1 - decay)

    @torch.no_grad()
    def swap_in(self, module: nn.Module) -> dict[str, Tensor]:
        """Puts the averages into the module; returns its own state for putting back."""
        own = copy.deepcopy(module.state_dict())
        for parameter, value in zip(module.parameters(), self.values, strict=True):
            parameter.copy_(value)
        return own


def _schedule(step: int, epoch: float, config: TrainingConfig) -> float:
    warmup = min(1.0, (step + 1) / (config.warmup_steps + 1))
    cosine = 0.55 + 0.45 * math.cos(math.pi * min(1.0, epoch / config.epochs))
    return config.learning_rate * warmup * cosine


def parameter_count(module: nn.Module | None) -> int:
    """Trainable parameters of a module; 0 before it is built."""
    return 0 if module is None else sum(p.numel() for p in module.parameters() if p.requires_grad)
