"""RecBole 1.2.1 (Zhao et al., CIKM 2021, arXiv 2011.01731) behind our interface; the only module that imports it.

RecBole was written for NumPy 1, pandas 1 and its own command line. What it takes to call it from here:

- NumPy 2 dropped aliases that RecBole uses; they are put back before it is imported.
- `recbole.quick_start` is never imported: it imports ray, which has no wheel for Python 3.12 and newer.
- pandas 3 is refused: there RecBole's `column.fillna(inplace=True)` silently does nothing.
- Its `Config` reads `sys.argv` and sets CUDA_VISIBLE_DEVICES; both are shielded.
- Its `Trainer` writes TensorBoard files into the working directory; that is turned off.
- One of its modules (`sine.py`) turns on autograd's anomaly detection, for the whole process and several times slower,
  as soon as any sequential model is imported; it is turned off again.
- Its checkpoints pickle a `Config`, so they are read with `weights_only=False`; we read none but our own.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn

from bench.data.interactions import Interactions
from bench.errors import SkippedRun

PADDING = 0
"""RecBole's item id for an empty place; items are numbered from 1."""

BY_HAND = "pip install --no-deps recbole==1.2.1 && pip install colorlog colorama texttable tensorboard tqdm 'pandas<3'"
"""How to add what the imports below really need, where RecBole's own list of dependencies can't be installed."""

_DATASET = "benchmark"
_NUMPY_1_ALIASES = {"float_": np.float64, "complex_": np.complex128, "unicode_": np.str_}


@dataclass(frozen=True)
class RecBole:
    """The parts of RecBole that we use.

    Attributes:
        Config, SequentialDataset, TrainDataLoader, Trainer: RecBole's classes, untouched.
        models: RecBole's model classes by name.
    """

    Config: Any
    SequentialDataset: Any
    TrainDataLoader: Any
    Trainer: Any
    models: Mapping[str, Any]


@cache
def load_recbole() -> RecBole:
    """Imports RecBole.

    Raises:
        SkippedRun: RecBole or something that it needs is missing, or pandas is too new for it.
    """
    if find_spec("recbole") is None:
        raise SkippedRun(f"RecBole is not installed; add it by hand: {BY_HAND}")
    if int(pd.__version__.split(".")[0]) >= 3:
        raise SkippedRun(f"RecBole 1.2.1 needs pandas<3, and this is pandas {pd.__version__}; pip install 'pandas<3'")
    for name, alias in _NUMPY_1_ALIASES.items():
        if name not in vars(np):
            setattr(np, name, alias)
    anomaly_detection = torch.is_anomaly_enabled()
    try:
        with _quiet():
            trainer = import_module("recbole.trainer.trainer")
            recbole = RecBole(
                Config=import_module("recbole.config").Config,
                SequentialDataset=import_module("recbole.data.dataset").SequentialDataset,
                TrainDataLoader=import_module("recbole.data.dataloader").TrainDataLoader,
                Trainer=trainer.Trainer,
                models={
                    "GRU4Rec": import_module("recbole.model.sequential_recommender.gru4rec").GRU4Rec,
                    "SASRec": import_module("recbole.model.sequential_recommender.sasrec").SASRec,
                },
            )
    except ImportError as error:
        raise SkippedRun(f"RecBole can't be imported ({error}); add what it needs by hand: {BY_HAND}") from error
    finally:
        torch.autograd.set_detect_anomaly(anomaly_detection)
    vars(trainer)["get_tensorboard"] = lambda logger: _NoTensorBoard()
    return recbole


def make_config(
    model: str, settings: Mapping[str, Any], device: str = "cpu", seed: int = 0, folder: Path | None = None
) -> Any:
    """A RecBole `Config`: our data and device, the model's settings, and RecBole's own defaults for the rest.

    Args:
        model: Name of RecBole's model class.
        settings: RecBole's own keys.
        device: "cpu" or "cuda".
        seed: Shuffles the examples.
        folder: Holds what `write_atomic_files` wrote, and RecBole's checkpoints. Not needed for a network alone.
    """
    recbole = load_recbole()
    files = {"data_path": str(folder), "checkpoint_dir": str(folder / "checkpoints")} if folder else {}
    fixed = {
        "load_col": {"inter": ["user_id", "item_id", "timestamp"], "item": ["item_id"]},
        # The split is made before RecBole sees the data, so all that it gets is training data.
        "eval_args": {"split": {"RS": [1.0, 0.0, 0.0]}, "group_by": "user", "order": "TO", "mode": "full"},
        "loss_type": "CE",
        "train_neg_sample_args": None,
        "seed": seed,
        "show_progress": False,
        "gpu_id": os.environ.get("CUDA_VISIBLE_DEVICES", "0") if device == "cuda" else "",
    }
    with _shielded_process():
        config = recbole.Config(
            model=recbole.models[model], dataset=_DATASET, config_dict={**files, **fixed, **settings}
        )
    if config["device"].type != device:
        raise ValueError(f"RecBole chose the device {config['device']}, not {device}")
    return config


def write_atomic_files(interactions: Interactions, folder: Path) -> None:
    """Writes training events as RecBole's `.inter` and the whole catalogue as its `.item`; tokens are our indices.

    Time is an event's place in its user's history. RecBole keeps time as float32, where seconds since 1970 collapse
    into steps of about a minute and would leave the order of close events to chance.
    """
    target = folder / _DATASET
    target.mkdir(parents=True)
    users = np.repeat(np.arange(interactions.n_users), interactions.lengths)
    events = pd.DataFrame(
        {
            "user_id:token": users,
            "item_id:token": interactions.items,
            "timestamp:float": np.arange(interactions.n_events) - interactions.offsets[users],
        }
    )
    events.to_csv(target / f"{_DATASET}.inter", sep="\t", index=False)
    catalogue = pd.DataFrame({"item_id:token": np.arange(interactions.n_items)})
    catalogue.to_csv(target / f"{_DATASET}.item", sep="\t", index=False)


def make_dataset(config: Any) -> tuple[Any, NDArray[np.int64]]:
    """RecBole's dataset of the files in the config's folder, and how it renumbered the items.

    Returns:
        A `SequentialDataset` before augmentation, and int64 `[n_items + 1]`: RecBole's id of each item. The
        last entry is `PADDING`, so that `ids[items]` is right for items padded with `PAD` = -1 too.
    """
    with _quiet():
        dataset = load_recbole().SequentialDataset(config)
    tokens = dataset.field2id_token[dataset.iid_field][1:].astype(np.int64)
    ids = np.full(len(tokens) + 1, PADDING, dtype=np.int64)
    ids[tokens] = np.arange(1, len(tokens) + 1)
    return dataset, ids


def training_loader(config: Any, dataset: Any) -> Any:
    """RecBole's loader over its own augmentation: every prefix of a history with the event after it."""
    with _quiet():
        augmented, _, _ = dataset.build()
        return load_recbole().TrainDataLoader(config, augmented, None, shuffle=config["shuffle"])


def build_network(model: str, settings: Mapping[str, Any], n_items: int) -> nn.Module:
    """RecBole's model as a plain module, without RecBole's data: item `i` has the id `i + 1`.

    Args:
        model: Name of RecBole's model class.
        settings: RecBole's own keys, over RecBole's own defaults.
        n_items: Size of the catalogue.

    Raises:
        SkippedRun: RecBole is missing.
    """
    config = make_config(model, settings)
    network: nn.Module = load_recbole().models[model](config, _Vocabulary(n_items + 1))
    return network


@dataclass(frozen=True)
class _Vocabulary:
    """All that a sequential model asks of its dataset."""

    size: int

    def num(self, field: str) -> int:
        return self.size


class _NoTensorBoard:
    """Stands in for the writer with which RecBole's trainer would leave files in the working directory."""

    def add_scalar(self, *args: Any) -> None: ...

    def add_hparams(self, *args: Any) -> None: ...


@contextmanager
def _shielded_process() -> Iterator[None]:
    """Keeps our command line from RecBole, and RecBole's choice of GPUs from later runs of this process."""
    arguments, visible = sys.argv, os.environ.get("CUDA_VISIBLE_DEVICES")
    sys.argv = sys.argv[:1]
    try:
        yield
    finally:
        sys.argv = arguments
        if visible is None:
            os.environ.pop("CUDA_VISIBLE_DEVICES", None)
        else:
            os.environ["CUDA_VISIBLE_DEVICES"] = visible


@contextmanager
def _quiet() -> Iterator[None]:
    """Hides the warnings of newer libraries about RecBole's older style."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        yield
