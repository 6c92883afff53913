"""A model that does to its process, its inputs and the shared cache whatever a stranger's model may do."""

from __future__ import annotations

import builtins
import contextlib
import decimal
import gc
import io
import locale
import logging
import os
import random
import resource
import signal
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from types import ModuleType

import numpy as np
import pandas as pd
import torch
from outside_models import Outside

import baselines.full_ranking
import baselines.item_knn
import bench.evaluation.evaluator
import bench.evaluation.rank_metrics
import models.semantic_ids.item_features
import models.semantic_ids.tokenizer
import models.training.loop
from bench.config import Config
from bench.data import catalog
from bench.data.dataset import TrainingData
from bench.data.interactions import Histories, Interactions
from bench.recommender import DecodingTrace, FitContext, Recommendations, Recommender
from models.semantic_ids.item_features import FeatureConfig, item_features

Deed = Callable[[TrainingData, FitContext], object]
TOKENIZER = models.semantic_ids.tokenizer.TokenizerConfig(codebooks=(4, 4))
_kept: list[object] = []


def _shared(train: TrainingData) -> torch.Tensor:
    """The events of the kept data set, in a tensor that shares their memory."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.from_numpy(catalog.load_dataset("ml-100k").interactions.items)


def _overwrite(owner: object, name: str, value: object) -> None:
    setattr(owner, name, value)


def _under(owner: object, name: str, value: object, train: TrainingData, context: FitContext) -> None:
    """Makes the semantic IDs that others ask for while something is not as it should be."""
    setattr(owner, name, value)
    models.semantic_ids.tokenizer.tokenize(train, TOKENIZER, context.cache)


def _in_double(train: TrainingData, context: FitContext) -> None:
    torch.set_default_dtype(torch.float64)
    np.seterr(all="raise")
    models.semantic_ids.tokenizer.tokenize(train, TOKENIZER, context.cache)


def _of_shuffled_items(train: TrainingData, context: FitContext) -> None:
    """Semantic IDs of other items, in training data that claim to be the same."""
    columns = train.item_table.columns.iloc[::-1].reset_index(drop=True)
    other = replace(train, item_table=replace(train.item_table, columns=columns))
    item_features(other, FeatureConfig(text_weight=0.4), context.cache)
    models.semantic_ids.tokenizer.tokenize(other, TOKENIZER, context.cache)


def _of_shuffled_events(train: TrainingData, context: FitContext) -> None:
    train.interactions.items[:] = train.interactions.items[::-1].copy()
    models.semantic_ids.tokenizer.tokenize(train, TOKENIZER, context.cache)


def _own_code_under_a_known_name(train: TrainingData, context: FitContext) -> None:
    """What comes of copying the tokenizer's code and changing it."""

    def make() -> dict[str, np.ndarray]:
        return {"codes": np.zeros((train.n_items, 2), dtype=np.int64) + np.arange(2)}

    features = models.semantic_ids.item_features.features_source(train, TOKENIZER.features)
    key = {
        "data": features,
        "config": TOKENIZER.model_dump(mode="json", exclude={"disambiguate", "utilisation_floor"}),
        "version": models.semantic_ids.tokenizer.VERSION,
        "features_version": models.semantic_ids.item_features.FEATURES_VERSION,
    }
    context.cache.get("semantic_ids", key, make)


def _permuted_files(train: TrainingData, context: FitContext) -> None:
    models.semantic_ids.tokenizer.tokenize(train, TOKENIZER, context.cache)
    for path in context.cache.folder.rglob("*.npz"):
        with np.load(path) as stored:
            arrays = {name: values[::-1] if values.ndim == 2 else values for name, values in stored.items()}
        np.savez(path, **arrays)


def _alarm(train: TrainingData, context: FitContext) -> None:
    signal.signal(signal.SIGALRM, lambda *_: sys.exit("alarm"))
    signal.setitimer(signal.ITIMER_REAL, 0.2)


def _imposter(train: TrainingData, context: FitContext) -> None:
    fake = ModuleType("baselines.item_knn")
    fake.ItemKNN = Outside  # type: ignore[attr-defined]
    sys.modules["baselines.item_knn"] = fake


def _write_table(train: TrainingData, context: FitContext) -> None:
    columns = train.item_table.columns
    columns.iloc[:, 0] = "x"
    columns["genres"] = "Drama"
    columns.drop(columns=[columns.columns[1]], inplace=True)


DEEDS: dict[str, Deed] = {
    # the process
    "default dtype": lambda *_: torch.set_default_dtype(torch.float64),
    "default device": lambda *_: torch.set_default_device("meta"),
    "no determinism": lambda *_: torch.use_deterministic_algorithms(False),
    "no gradients": lambda *_: torch.set_grad_enabled(False),
    "inference": lambda *_: _kept.append(torch.inference_mode().__enter__()),
    "threads": lambda *_: torch.set_num_threads(2),
    "matmul": lambda *_: torch.set_float32_matmul_precision("medium"),
    "autocast": lambda *_: torch.set_autocast_enabled("cpu", True),
    "anomalies": lambda *_: torch.autograd.set_detect_anomaly(True),
    "denormals": lambda *_: torch.set_flush_denormal(True),
    "torch seed": lambda *_: torch.manual_seed(1),
    "torch hook": lambda *_: torch.nn.modules.module.register_module_forward_hook(lambda m, i, o: None),
    "numpy errors": lambda *_: np.seterr(all="raise"),
    "numpy seed": lambda *_: np.random.seed(1),  # noqa: NPY002
    "numpy print": lambda *_: np.set_printoptions(precision=1, threshold=2),
    "seed": lambda *_: random.seed(1),
    "warnings": lambda *_: warnings.simplefilter("error"),
    "environment": lambda *_: os.environ.update(GLASS_BENCH_DATA="/nowhere", GLASS_BENCH_COMMIT="x", TZ="Asia/Tokyo"),
    "no environment": lambda *_: os.environ.clear(),
    "folder": lambda *_: os.chdir("/"),
    "mask": lambda *_: os.umask(0o777),
    "file size": lambda *_: resource.setrlimit(resource.RLIMIT_FSIZE, (10, resource.RLIM_INFINITY)),
    "locale": lambda *_: locale.setlocale(locale.LC_ALL, "C"),
    "alarm": _alarm,
    "logging": lambda *_: (logging.disable(logging.CRITICAL), logging.root.handlers.clear()),
    "path": lambda *_: sys.path.clear(),
    "output": lambda *_: _overwrite(sys, "stdout", io.StringIO()),
    "recursion": lambda *_: sys.setrecursionlimit(150),
    "garbage": lambda *_: gc.disable(),
    "pandas": lambda *_: pd.set_option("mode.string_storage", "python"),
    "decimal": lambda *_: decimal.setcontext(decimal.Context(prec=2)),
    "tempdir": lambda *_: _overwrite(tempfile, "tempdir", "/nowhere"),
    "thread": lambda *_: threading.Thread(target=time.sleep, args=(20.0,), daemon=True).start(),
    # functions and classes
    "argsort": lambda *_: _overwrite(np, "argsort", lambda a, *b, **c: np.zeros(np.shape(a), dtype=np.int64)),
    "cross entropy": lambda *_: _overwrite(torch.nn.functional, "cross_entropy", lambda a, *b, **c: (a * 0).sum()),
    "tensor": lambda *_: _overwrite(torch.Tensor, "softmax", lambda a, *b, **c: a),
    "module": lambda *_: _overwrite(torch.nn.Linear, "forward", lambda self, x: x),
    "optimiser": lambda *_: _overwrite(torch.optim.AdamW, "step", lambda *a, **k: None),
    "sorted": lambda *_: _overwrite(builtins, "sorted", lambda values, **_: list(values)),
    "ranks": lambda *_: _overwrite(bench.evaluation.evaluator, "target_ranks", lambda a, b: np.ones(len(b), np.int16)),
    "ndcg": lambda *_: _overwrite(bench.evaluation.rank_metrics, "ndcg", lambda ranks, k: ranks * 0.0),
    "histories": lambda *_: _overwrite(Histories, "seen", lambda self: np.zeros((len(self), self.n_items), bool)),
    "counts": lambda *_: _overwrite(Interactions, "item_counts", lambda self: np.zeros(self.n_items, np.int64)),
    "full ranking": lambda *_: _overwrite(baselines.full_ranking, "rank_catalogue", None),
    "no such attribute": lambda *_: delattr(baselines.item_knn, "ItemKNN"),
    "added": lambda *_: _overwrite(Histories, "__getattr__", lambda self, name: 0),
    "catalogue": lambda *_: catalog.CATALOG.clear(),
    "loader": lambda *_: _overwrite(catalog, "load_dataset", lambda *_: None),
    "base class": lambda *_: _overwrite(Recommender, "sid_of_item", np.zeros(40, np.int32)),
    "lost module": lambda *_: sys.modules.pop("bench.evaluation.metrics"),
    "imposter": _imposter,
    # the data
    "events": lambda train, _: train.interactions.items.fill(0),
    "times": lambda train, _: train.interactions.timestamps.fill(0),
    "offsets": lambda train, _: train.interactions.offsets.fill(0),
    "item table": _write_table,
    "column names": lambda train, _: train.item_table.columns.columns.values.__setitem__(0, "x"),
    "category": lambda train, _: train.item_table.category.fill(1),  # type: ignore[union-attr]
    "kept data": lambda train, _: catalog.load_dataset("ml-100k").interactions.items.fill(0),
    "kept data by a tensor": lambda train, _: _shared(train).fill_(3),
    "kept table": lambda train, _: catalog.load_dataset("ml-100k").item_table.columns.drop(
        columns="genres", inplace=True
    ),
    "kept objects": lambda train, _: object.__setattr__(catalog.load_dataset("ml-100k"), "seen_items", "keep"),
    # the cache
    "double": _in_double,
    "other clusters": lambda t, c: _under(
        models.semantic_ids.tokenizer, "rq_kmeans", lambda f, *_: np.arange(2 * len(f)).reshape(-1, 2) % 4, t, c
    ),
    "other features": lambda t, c: _under(
        models.semantic_ids.item_features, "_unit_rows", lambda rows: np.ones(rows.shape), t, c
    ),
    "shuffled items": _of_shuffled_items,
    "shuffled events": _of_shuffled_events,
    "own code": _own_code_under_a_known_name,
    "permuted files": _permuted_files,
}


class DirtyConfig(Config):
    deeds: tuple[str, ...] = ()
    late: bool = False


class Dirty(Outside):
    """`Outside`, which does all deeds before it trains, or while it answers."""

    Config = DirtyConfig
    config: DirtyConfig  # type: ignore[assignment]

    def fit(self, train: TrainingData, context: FitContext) -> None:
        print("process", os.getpid())
        self._train, self._context = train, context
        self._scores = np.random.default_rng(context.seed).random(train.n_items).astype(np.float32)
        if not self.config.late:
            self._do()

    def recommend(self, histories: Histories, k: int) -> Recommendations:
        answer = super().recommend(histories, k)
        histories.items[:] = 1
        if self.config.late:
            self._do()
        return answer

    def trace(self, histories: Histories, targets: np.ndarray, k: int) -> DecodingTrace | None:
        targets[:] = 0
        return None

    def _do(self) -> None:
        for name in self.config.deeds:
            with contextlib.suppress(Exception):  # most of them make the next ones impossible
                DEEDS[name](self._train, self._context)
