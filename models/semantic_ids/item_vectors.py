"""Frozen item vectors of a recommender that was trained beforehand, for tokenizers that should know who uses what."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator

from bench.config import Config
from bench.data.cache import ArtifactCache, content_key
from bench.data.dataset import TrainingData
from bench.errors import BenchError, SkippedRun
from bench.recommender import FitContext
from bench.registry import model_class

VERSION = 1
"""Raise it whenever a change of code changes item vectors."""

TEACHER = "sasrec-ce"
"""LETTER takes its vectors from a SASRec."""

TEACHER_CONFIG: Mapping[str, Any] = {"dim": 32}
"""As wide as LETTER's, and otherwise this suite's defaults."""


class ItemVectorsConfig(Config):
    """Says which model the vectors come from.

    Attributes:
        model: Registered model with `item_vectors`, a network that scores items by inner products.
        config: Its configuration, where it differs from that model's defaults (of the default model: from those at a
            width of 32); completed by these, so that another default is another artifact.
        revision: Filled in: the model's `revision`.
    """

    model: str = TEACHER
    config: dict[str, Any] = Field(default_factory=dict)
    revision: int = 0

    @model_validator(mode="before")
    @classmethod
    def _with_all_of_the_model(cls, written: Any) -> Any:
        if not isinstance(written, Mapping):
            return written
        name = written.get("model", TEACHER)
        try:
            model = model_class(name)
        except SkippedRun:  # the run becomes a row with that reason
            return written
        base = TEACHER_CONFIG if name == TEACHER else {}
        config = model.Config.model_validate({**base, **written.get("config", {})}).model_dump(mode="json")
        return {**written, "config": config, "revision": model.revision}


def vectors_source(train: TrainingData, config: ItemVectorsConfig) -> dict[str, Any]:
    """All that vectors are made from, but for the seed: part of the key of whatever depends on them."""
    events, ends = train.interactions, train.history_ends()
    arrays = [events.items, events.timestamps, events.offsets, *([] if ends is None else [ends])]
    return {
        "events": content_key([train.n_items, train.exclude_seen], *arrays),
        "config": config.model_dump(mode="json"),
        "version": VERSION,
    }


def item_vectors(
    train: TrainingData, config: ItemVectorsConfig, seed: int, cache: ArtifactCache
) -> tuple[NDArray[np.float32], float]:
    """Trains the model on the training data alone, to its last epoch, and returns its items' vectors.

    No validation chooses among its weights: semantic IDs are shared by runs and must not know what any of them is
    judged by. It is trained on the CPU, so that every machine gets the same vectors.

    Returns:
        float32 `[n_items, width]`, and how many seconds the training took, whenever that was.

    Raises:
        BenchError: The model has no item vectors.
    """

    def make() -> dict[str, NDArray[Any]]:
        started = time.perf_counter()
        model = model_class(config.model)(config.config)
        vectors_of = getattr(model, "item_vectors", None)
        if vectors_of is None:
            raise BenchError(
                f"item_vectors.model: '{config.model}' scores items by no vectors of theirs; name a sequence model, "
                f"such as '{TEACHER}'"
            )
        later = itertools.count()  # every validation is the best so far: the last weights stay
        with torch.random.fork_rng(devices=[]):
            model.fit(train, FitContext(seed, "cpu", cache, lambda _: float(next(later)), shared_seed=seed))
        return {"vectors": vectors_of(), "seconds": np.array(time.perf_counter() - started)}

    made = cache.get("item_vectors", {**vectors_source(train, config), "seed": seed}, make)
    return made["vectors"], float(made["seconds"])
