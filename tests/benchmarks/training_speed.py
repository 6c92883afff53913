"""What recording training steps as CUDA graphs gains: the same steps replayed, and launched one by one (`--eager`).

    python tests/benchmarks/training_speed.py --device cuda --models tiger,glass,dualgr --events 1024,16384
    python tests/benchmarks/training_speed.py --device cpu --models sasrec-ce --users 100 --events 2048 --eager

Steps, answers and memory of a model beside what the machine can do are measured by `python -m bench speed`, which
records wherever a run would. Items are drawn with probabilities that fall as a power of their rank; lengths of
histories lie within a half and three halves of `--length`. The time of a step is that of the last of three epochs,
divided by its steps: what is made once, such as semantic IDs, search indexes and recorded graphs, lies before it.
Semantic IDs come from text alone.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
import torch

from bench.data.cache import ArtifactCache
from bench.data.dataset import ItemTable, TrainingData
from bench.data.interactions import Interactions
from bench.recommender import FitContext
from bench.registry import model_class
from models.training import loop
from models.training.step import RecordedStep


def main() -> None:
    parser = argparse.ArgumentParser(description="Milliseconds of training steps.")
    parser.add_argument("--models", default="tiger,glass,dualgr,sasrec-ce,hstu")
    parser.add_argument("--events", default="1024,16384", help="padded events of a step, comma-separated")
    parser.add_argument("--users", type=int, default=2_000)
    parser.add_argument("--length", type=int, default=700, help="mean events of a user")
    parser.add_argument("--items", type=int, default=28_165)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--eager", action="store_true", help="launch every kernel from Python")
    arguments = parser.parse_args()
    torch.set_float32_matmul_precision("high" if arguments.device == "cuda" else "highest")
    train = made_up(arguments.users, arguments.length, arguments.items)
    with tempfile.TemporaryDirectory() as temporary:
        for name in arguments.models.split(","):
            for n_events in map(int, arguments.events.split(",")):
                trained(name, n_events, train, arguments.device, Path(temporary), arguments.eager)


def made_up(users: int, length: int, items: int, seed: int = 0) -> TrainingData:
    """Histories drawn at random, and a title for every item."""
    random = np.random.default_rng(seed)
    lengths = random.integers(max(2, length // 2), max(3, length * 3 // 2), users)
    weights = 1 / np.arange(1, items + 1) ** 0.9
    events = random.choice(items, int(lengths.sum()), p=weights / weights.sum()).astype(np.int32)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    interactions = Interactions(events, np.arange(len(events), dtype=np.int64) * 3600, offsets, items)
    titles = [f"product {item % 97} kind {item % 1013} brand {item % 31}" for item in range(items)]
    table = ItemTable(pd.DataFrame({"title": titles}), ("title",), None)
    return TrainingData(interactions, table, False, "generated")


def trained(name: str, n_events: int, train: TrainingData, device: str, cache: Path, eager: bool) -> None:
    """Trains for three epochs and prints what a step of the last one took."""
    configuration: dict[str, Any] = {
        "training": {"epochs": 3, "batch_events": n_events, "validate_every": 1, "average": 0.99}
    }
    model = model_class(name)
    if "tokenizer" in model.Config.model_fields:
        configuration["tokenizer"] = {"codebooks": [64, 256, 256], "features": {"collaborative_dims": 0}}
    recommender = model(configuration)
    context = FitContext(1, device, ArtifactCache(cache), validate=lambda _: _settled(device))
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    with _launched_one_by_one() if eager else nullcontext():
        recommender.fit(train, context)
    before, last = context.curve[-2:]
    seconds = (last.seconds - before.seconds) / (last.step - before.step)
    memory = f", peak {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB" if device == "cuda" else ""
    rate = train.interactions.n_events / (last.seconds - before.seconds)
    print(f"{name}: {1e3 * seconds:.2f} ms a step of {n_events} events, {rate:,.0f} events/s{memory}", flush=True)


def _settled(device: str) -> float:
    """Waits until a GPU has done all that it was told to; stands in for a validation, too."""
    if device == "cuda":
        torch.cuda.synchronize()
    return 0.0


class _LaunchedStep(RecordedStep[Any]):
    """A step that is never recorded."""

    def __call__(self, batch: Any, rate: float) -> torch.Tensor:
        for group_rate in self._rates:
            group_rate.fill_(rate)
        return self._step(batch)


@contextmanager
def _launched_one_by_one() -> Iterator[None]:
    with mock.patch.object(loop, "RecordedStep", _LaunchedStep):
        yield


if __name__ == "__main__":
    main()
