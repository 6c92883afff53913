"""Rows of `peers.py`: our models, and small adapters of other libraries' models that do the same.

An adapter trains on a `Contest`, tells a `Clock` of every epoch's end, and returns what can be asked. One more peer is
one more function and its line in `PEERS`.
"""

from __future__ import annotations

import itertools
import logging
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from bench.data.cache import ArtifactCache
from bench.data.dataset import TrainingData
from bench.data.interactions import PAD, Histories, Interactions
from bench.data.protocols import Queries
from bench.errors import SkippedRun
from bench.recommender import FitContext, Recommendations, Recommender
from bench.registry import model_class

HEADS = 2
DROPOUT = 0.2
"""Of our rows, as RecTools has it by default."""

SCHEDULE = {"learning_rate": 4e-3, "average": 0.99}
"""Of our rows: with it, and this dropout, both rank validation queries better after 20 epochs than with the defaults,
which are for small data and more epochs. A peer has its own."""

TEMPERATURE = 0.05
"""Of HSTU's softmax over cosines, on both sides; RecTools' own is 1, with which cosines tell little apart."""


@dataclass(frozen=True)
class Contest:
    """What is the same for all.

    Attributes:
        train: Training data, no longer than what is read.
        test: Queries.
        length: Most events that a network reads.
        dim, blocks: Size of a network.
        sequences: Windows of a training step.
        epochs: Passes over the training targets.
        seed: Of the fit.
    """

    train: TrainingData
    test: Queries
    length: int = 100
    dim: int = 64
    blocks: int = 2
    sequences: int = 16
    epochs: int = 10
    seed: int = 0


@dataclass
class Clock:
    """When epochs ended, by the clock and in processor seconds."""

    marks: list[tuple[float, float]] = field(default_factory=list)

    def epoch_ended(self) -> None:
        self.marks.append((time.perf_counter(), time.process_time()))

    def epochs(self, kind: int) -> list[float]:
        """Seconds of every epoch but the first, by the clock (0) or of the processor (1)."""
        ends = [mark[kind] for mark in self.marks]
        return [after - before for before, after in itertools.pairwise(ends)]


Fitted = Callable[[Contest, Clock], Recommender]
"""A side of the contest: trains, tells the clock of every epoch's end, and returns what can be asked.

Raises SkippedRun where it isn't installed.
"""


def ours(name: str, contest: Contest, clock: Clock, **further: Any) -> Recommender:
    """A registered next-item model."""
    model = model_class(name)
    training = {
        **model.Config().model_dump()["training"],
        **SCHEDULE,
        "epochs": contest.epochs,
        "batch_events": contest.sequences * contest.length,
        "validate_every": 1,
        "patience": contest.epochs,
    }
    sizes = {"length": contest.length, "dim": contest.dim, "blocks": contest.blocks, "heads": HEADS, "dropout": DROPOUT}
    return _trained(model({**sizes, **further, "training": training}), contest, clock)


def recbole(name: str, contest: Contest, clock: Clock) -> Recommender:
    """A registered model of RecBole, with RecBole's own examples, trainer and answers."""
    settings = {
        "epochs": contest.epochs,
        "stopping_step": contest.epochs,
        "train_batch_size": contest.sequences * contest.length,
        "max_item_list_length": contest.length,
        "hidden_size": contest.dim,
        "inner_size": contest.dim,
        "n_layers": contest.blocks,
        "n_heads": HEADS,
    }
    return _trained(model_class(name)(settings), contest, clock)


def _trained(recommender: Recommender, contest: Contest, clock: Clock) -> Recommender:
    """Fits one of our recommenders: what it asks at the end of each epoch is told to the clock."""

    def validate(_: Recommender) -> float:
        clock.epoch_ended()
        return float(len(clock.marks))  # always a new best: the last weights are kept

    with tempfile.TemporaryDirectory() as folder:
        recommender.fit(contest.train, FitContext(contest.seed, "cpu", ArtifactCache(Path(folder)), validate))
    return recommender


class RecTools(Recommender):
    """A transformer of RecTools, called as its documentation calls it."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self._model = model

    def fit(self, train: TrainingData, context: FitContext) -> None:
        torch.manual_seed(context.seed)
        self._model.fit(self._dataset(train.interactions))

    def recommend(self, histories: Histories, k: int) -> Recommendations:
        items = np.full((len(histories), k), PAD, dtype=np.int32)
        scores = np.full((len(histories), k), -np.inf, dtype=np.float32)
        asked = np.flatnonzero(histories.lengths)
        # A query is a user of its own. Who has no event that was trained on gets no list.
        last = pd.to_datetime(histories.timestamps[histories.offsets[asked + 1] - 1], unit="s").astype("datetime64[ns]")
        context = pd.DataFrame({"user_id": asked, "datetime": last}) if self._model.require_recommend_context else None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            table = self._model.recommend(
                users=asked,
                dataset=self._dataset(histories),
                k=k,
                filter_viewed=histories.exclude_seen,
                on_unsupported_targets="ignore",
                context=context,
            )
        rows, ranks = table["user_id"].to_numpy(), table["rank"].to_numpy() - 1
        items[rows, ranks], scores[rows, ranks] = table["item_id"], table["score"]
        return Recommendations(items, scores)

    @staticmethod
    def _dataset(events: Interactions | Histories) -> Any:
        from rectools import Columns
        from rectools.dataset import Dataset as RecToolsDataset

        table = pd.DataFrame(
            {
                Columns.User: np.repeat(np.arange(len(events.offsets) - 1), events.lengths),
                Columns.Item: events.items,
                Columns.Weight: 1.0,
                Columns.Datetime: pd.to_datetime(events.timestamps, unit="s").astype("datetime64[ns]"),
            }
        )
        return RecToolsDataset.construct(table)


def rectools(name: str, contest: Contest, clock: Clock) -> Recommender:
    """A model of `rectools.models`, with its own batches, trainer and answers."""
    try:
        import rectools.models as models
        from pytorch_lightning import Callback, Trainer
    except ImportError as error:
        raise SkippedRun(f"RecTools is not installed ({error}): pip install 'rectools[torch]'") from error

    logging.getLogger("pytorch_lightning.utilities.rank_zero").setLevel(logging.ERROR)

    class Told(Callback):  # type: ignore[misc]  # of a package that may be absent
        def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
            clock.epoch_ended()

    def trainer() -> Any:
        quiet = {"enable_progress_bar": False, "enable_model_summary": False, "logger": False}
        return Trainer(
            max_epochs=contest.epochs,
            accelerator="cpu",
            devices=1,
            enable_checkpointing=False,
            callbacks=[Told()],
            **quiet,
        )

    model = getattr(models, name)(
        n_factors=contest.dim,
        n_blocks=contest.blocks,
        n_heads=HEADS,
        session_max_len=contest.length,
        batch_size=contest.sequences,
        loss="softmax",
        get_trainer_func=trainer,
        recommend_torch_device="cpu",
        **({"lightning_module_kwargs": {"logits_t": TEMPERATURE}} if name == "HSTUModel" else {}),
    )
    recommender = RecTools(model)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        recommender.fit(contest.train, FitContext(contest.seed, "cpu", ArtifactCache(Path(folder)), lambda _: 0.0))
    return recommender


OURS: dict[str, Fitted] = {
    "sasrec-ce": partial(ours, "sasrec-ce"),
    "hstu": partial(ours, "hstu", head_dim=32, temperature=TEMPERATURE),
}
PEERS: dict[str, Fitted] = {
    "peer:rectools-sasrec": partial(rectools, "SASRecModel"),
    "peer:rectools-hstu": partial(rectools, "HSTUModel"),
    "peer:recbole-sasrec": partial(recbole, "sasrec-recbole"),
}
ROWS = {**OURS, **PEERS}
COMPARED = {
    "peer:rectools-sasrec": "sasrec-ce",
    "peer:rectools-hstu": "hstu",
    "peer:recbole-sasrec": "sasrec-ce",
}
"""The row of ours that a peer is compared with."""
