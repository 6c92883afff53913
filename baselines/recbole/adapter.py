"""RecBole 1.2.1 (Zhao et al., CIKM 2021, arXiv 2011.01731) behind our interface; the only module that imports it.

RecBole was written for NumPy 1, pandas 1 and its own command line. What it takes to call it from here:

- NumPy 1.24 and 2 dropped aliases that RecBole uses; they are put back before it is imported.
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
from collections.abc import Iterator, Mapping, Sequence
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
"""RecBole's item id of padding; items are numbered from 1."""

RECBOLE_CLASSES = ("recbole.model", "recbole.data.interaction")
"""Where the classes of RecBole's networks, their layers and their tables of items lie."""

BY_HAND = "pip install --no-deps recbole==1.2.1 && pip install colorlog colorama texttable tensorboard tqdm 'pandas<3'"
"""How to add what the imports below really need, where RecBole's own list of dependencies can't be installed."""

_DATASET = "benchmark"
_MODELS = ("BERT4Rec", "Caser", "FDSA", "GRU4Rec", "HGN", "LightSANs", "NARM", "SASRec", "STAMP")
_NUMPY_1_ALIASES = {"float_": np.float64, "complex_": np.complex128, "unicode_": np.str_, "long": np.int64}


@dataclass(frozen=True)
class RecBole:
    """The parts of RecBole that we use.

    Attributes:
        Config, Interaction, SequentialDataset, TrainDataLoader, Trainer: RecBole's classes, untouched.
        models: RecBole's model classes by name.
    """

    Config: Any
    Interaction: Any
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
                Interaction=import_module("recbole.data.interaction").Interaction,
                SequentialDataset=import_module("recbole.data.dataset").SequentialDataset,
                TrainDataLoader=import_module("recbole.data.dataloader").TrainDataLoader,
                Trainer=trainer.Trainer,
                models={
                    name: getattr(import_module(f"recbole.model.sequential_recommender.{name.lower()}"), name)
                    for name in _MODELS
                },
            )
    except ImportError as error:
        raise SkippedRun(f"RecBole can't be imported ({error}); add what it needs by hand: {BY_HAND}") from error
    finally:
        torch.autograd.set_detect_anomaly(anomaly_detection)
    vars(trainer)["get_tensorboard"] = lambda logger: _NoTensorBoard()
    return recbole


def make_config(
    model: str,
    settings: Mapping[str, Any],
    device: str = "cpu",
    seed: int = 0,
    folder: Path | None = None,
    features: Sequence[str] = (),
) -> Any:
    """A RecBole `Config`: our data and device, the model's settings, and RecBole's own defaults for the rest.

    Args:
        model: Name of RecBole's model class.
        settings: RecBole's own keys.
        device: "cpu" or "cuda".
        seed: Shuffles the examples.
        folder: Holds what `write_atomic_files` wrote, and RecBole's checkpoints. Not needed for a network alone.
        features: The fields of items that are read beside their ids.
    """
    recbole = load_recbole()
    files = {"data_path": str(folder), "checkpoint_dir": str(folder / "checkpoints")} if folder else {}
    fixed = {
        "load_col": {"inter": ["user_id", "item_id", "timestamp"], "item": ["item_id", *features]},
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


def write_atomic_files(
    interactions: Interactions, folder: Path, features: Mapping[str, Sequence[str]] | None = None
) -> None:
    """Writes training events as RecBole's `.inter` and the whole catalogue as its `.item`; tokens are our indices.

    Time is an event's place in its user's history. RecBole keeps time as float32, where seconds since 1970 collapse
    into steps of about a minute and would leave the order of close events to chance.

    Args:
        interactions: The training events.
        folder: Where the files go.
        features: By field, for each item words with blanks between them, "" where there are none.
    """
    target = folder / _DATASET
    target.mkdir(parents=True)
    users = np.repeat(np.arange(interactions.n_users), interactions.lengths)
    events = pd.DataFrame(
        {"user_id:token": users, "item_id:token": interactions.items, "timestamp:float": interactions.positions()}
    )
    events.to_csv(target / f"{_DATASET}.inter", sep="\t", index=False)
    words = {f"{field}:token_seq": list(column) for field, column in (features or {}).items()}
    catalogue = pd.DataFrame({"item_id:token": np.arange(interactions.n_items), **words})
    catalogue.to_csv(target / f"{_DATASET}.item", sep="\t", index=False)


@dataclass(frozen=True)
class RecBoleData:
    """Training data in RecBole's hands, and how RecBole renumbered them.

    Attributes:
        dataset: A `SequentialDataset`, which makes its examples when `training_loader` asks for them.
        item_ids: int64 `[n_items + 1]`, RecBole's id of each item. The last entry is `PADDING`, so that
            `item_ids[items]` is right for items padded with `PAD` = -1 too.
        user_ids: int64 `[n_users + 1]`, RecBole's id of each user. `PADDING` for users without training events, and as
            the last entry.
    """

    dataset: Any
    item_ids: NDArray[np.int64]
    user_ids: NDArray[np.int64]


def make_dataset(config: Any, interactions: Interactions, ends: NDArray[np.int32] | None = None) -> RecBoleData:
    """RecBole's dataset of the files in the config's folder.

    Args:
        config: From `make_config`.
        interactions: What `write_atomic_files` wrote.
        ends: int32 `[n_events]`, how many of its user's events the history of each event holds, 0 for events that are
            no targets (`TrainingData.history_ends`); such examples take the place of RecBole's. None: RecBole's own
            augmentation pairs every event of a user but the first with all that come before it.
    """
    sequential = load_recbole().SequentialDataset if ends is None else _with_examples(interactions, ends)
    with _quiet():
        dataset = sequential(config)
    return RecBoleData(dataset, *_renumbered(dataset, interactions))


def _with_examples(interactions: Interactions, ends: NDArray[np.int32]) -> Any:
    """RecBole's `SequentialDataset` with our examples in the place of its augmentation; see `make_dataset`."""
    recbole = load_recbole()

    class Dataset(recbole.SequentialDataset):  # type: ignore[name-defined]
        def data_augmentation(self) -> None:
            self._aug_presets()
            examples = _examples(interactions, ends, *_renumbered(self, interactions), self.max_item_list_len)
            fields = (
                self.uid_field,
                self.iid_field,
                self.time_field,
                self.item_id_list_field,
                self.item_list_length_field,
            )
            self.inter_feat = recbole.Interaction(dict(zip(fields, examples, strict=True)))

    return Dataset


def _renumbered(dataset: Any, interactions: Interactions) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """`item_ids` and `user_ids` of `RecBoleData`."""
    return _ids(dataset, dataset.iid_field, interactions.n_items), _ids(
        dataset, dataset.uid_field, interactions.n_users
    )


def _ids(dataset: Any, field: str, n: int) -> NDArray[np.int64]:
    tokens = dataset.field2id_token[field][1:].astype(np.int64)
    ids = np.full(n + 1, PADDING, dtype=np.int64)
    ids[tokens] = np.arange(1, len(tokens) + 1)
    return ids


def _examples(
    interactions: Interactions,
    ends: NDArray[np.int32],
    item_ids: NDArray[np.int64],
    user_ids: NDArray[np.int64],
    longest: int,
) -> tuple[torch.Tensor, ...]:
    """The events that have a history, with the last `longest` events of it.

    Returns:
        users `[n]`, targets `[n]`, places `[n]`, histories `[n, longest]` left-aligned, lengths `[n]`; RecBole's ids.
    """
    events = np.flatnonzero(ends)
    users = np.searchsorted(interactions.offsets, events, side="right") - 1
    until = interactions.offsets[users] + ends[events]
    lengths = np.minimum(ends[events], longest).astype(np.int64)
    column = np.arange(longest)
    filled = column < lengths[:, None]
    histories = np.full(filled.shape, PADDING, dtype=np.int64)
    histories[filled] = item_ids[interactions.items[((until - lengths)[:, None] + column)[filled]]]
    places = (events - interactions.offsets[users]).astype(np.float32)
    columns = user_ids[users], item_ids[interactions.items[events]], places, histories, lengths
    return tuple(torch.from_numpy(column) for column in columns)


def training_loader(config: Any, dataset: Any) -> Any:
    """RecBole's loader over the examples of a dataset, with the model's own transform where it has one."""
    with _quiet():
        examples, _, _ = dataset.build()
        return load_recbole().TrainDataLoader(config, examples, None, shuffle=config["shuffle"])


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
