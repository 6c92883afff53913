"""What RecBole's sequential models share here: RecBole's examples, RecBole's trainer, and how they are asked."""

from __future__ import annotations

import random
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import nn

from baselines.full_ranking import rank_catalogue
from baselines.known_users import KnownUsers
from baselines.recbole.adapter import (
    PADDING,
    RECBOLE_CLASSES,
    RecBoleData,
    load_recbole,
    make_config,
    make_dataset,
    training_loader,
    write_atomic_files,
)
from bench.config import Config
from bench.data.dataset import ItemTable, TrainingData
from bench.data.interactions import Histories
from bench.errors import SkippedRun
from bench.recommender import CurvePoint, FitContext, Mechanism, Recommendations, Recommender
from models.training.loop import parameter_count

_TESTS = "tests/baselines/test_recbole_models.py::"
_EXAMPLES = "tests/baselines/test_recbole_examples.py::"
_PARITY = _TESTS + "test_rankings_and_metrics_equal_recboles_own_evaluation"
_STOPPING = _TESTS + "test_recboles_trainer_stops_by_our_validation_and_keeps_the_best_weights"


class RecBoleConfig(Config):
    """RecBole's settings by RecBole's names (`max_item_list_length` is its MAX_ITEM_LIST_LENGTH).

    Attributes:
        epochs: Most epochs.
        train_batch_size: Prefixes of one optimiser step.
        learning_rate: Of Adam, constant.
        stopping_step: Validations in a row below the best that are forgiven; the next one stops training.
        max_item_list_length: Most recent events that the model reads.
    """

    epochs: int = Field(default=300, ge=1)
    train_batch_size: int = Field(default=2048, ge=1)
    learning_rate: float = Field(default=1e-3, gt=0)
    stopping_step: int = Field(default=10, ge=0)
    max_item_list_length: int = Field(default=50, ge=1)

    def settings(self) -> dict[str, Any]:
        """The keys of a RecBole configuration."""
        settings = self.model_dump(mode="json")
        settings["MAX_ITEM_LIST_LENGTH"] = settings.pop("max_item_list_length")
        return settings


class RecBoleModel(Recommender):
    """A sequential model of RecBole with RecBole's trainer.

    RecBole gets our training events and nothing else. Its dataset class makes the examples (every prefix of a history
    on its own), its `Trainer.fit` runs the epochs, decides when to stop and keeps the best checkpoint. One
    hook is ours: where the trainer would judge its own validation split, it asks `FitContext.validate`, so that early
    stopping goes by NDCG@10 on the same queries as for every other model (RecBole's documented run: MRR@10).

    Where baskets or a shipped split say what the history of a training target is (`TrainingData.history_ends`), the
    examples follow that rule. An empty history is given to the model as a single padding item.

    Attributes:
        recbole_name: RecBole's name of the model.
        reads_users: Whether the model learns a vector of each user.
        learns_targets: Whether the event after a history is what an example teaches.
        network: RecBole's model, after `fit`.
        data: How RecBole numbers items and users, after `fit`.
    """

    Config = RecBoleConfig
    config: RecBoleConfig
    revision = 2
    role = "baseline"
    recbole_name: ClassVar[str]
    reads_users: ClassVar[bool] = False
    learns_targets: ClassVar[bool] = True
    fidelity: ClassVar[tuple[Mechanism, ...]] = (
        Mechanism(
            "model, examples, trainer, early-stopping rule",
            "faithful",
            "RecBole 1.2.1, imported as it is",
            test=_PARITY,
        ),
        Mechanism(
            "validation metric",
            "approximated",
            "RecBole documentation, sequential.rst",
            "NDCG@10 on our validation queries; RecBole's documented run uses MRR@10",
            test=_STOPPING,
        ),
        Mechanism(
            "order of a history",
            "approximated",
            "recbole/data/dataset/sequential_dataset.py",
            "exact order of events; RecBole sorts by float32 seconds, which tie within about a minute",
        ),
        Mechanism(
            "examples where the data have baskets or a split of their own",
            "approximated",
            "recbole/data/dataset/sequential_dataset.py",
            "a target's history ends before its basket, and only the targets of the split are learned; RecBole knows "
            "neither",
            test=_EXAMPLES + "test_examples_honour_baskets_and_the_targets_of_a_shipped_split",
        ),
    )
    network: nn.Module | None = None
    data: RecBoleData
    _users: KnownUsers

    def item_features(self, items: ItemTable) -> Mapping[str, Sequence[str]]:
        """Words of each item by field, for models that read more than ids."""
        return {}

    def fit(self, train: TrainingData, context: FitContext) -> None:
        ends = train.history_ends()
        self._refuse(train, ends)
        with (
            tempfile.TemporaryDirectory() as name,
            _own_randomness(context.seed, context.device),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore", FutureWarning)
            self._fit_in(Path(name), train, ends, context)

    def _refuse(self, train: TrainingData, ends: NDArray[np.int32] | None) -> None:
        """Raises SkippedRun where the model can't keep to the training targets of the data."""
        if train.targets is not None and self.reads_users:
            raise SkippedRun(
                f"RecBole's {self.recbole_name} learns a vector of each user, but rows of a shipped split are no "
                "users: choose another protocol or model"
            )
        if ends is not None and not self.learns_targets:
            raise SkippedRun(
                f"RecBole's {self.recbole_name} learns hidden events from both sides, so it can keep neither baskets "
                "nor the targets of a shipped split apart: choose another data set or model"
            )

    def _fit_in(self, folder: Path, train: TrainingData, ends: NDArray[np.int32] | None, context: FitContext) -> None:
        recbole = load_recbole()
        features = self.item_features(train.item_table)
        settings = self.config.settings() | ({"selected_features": list(features)} if features else {})
        config = make_config(self.recbole_name, settings, context.device, context.seed, folder, list(features))
        write_atomic_files(train.interactions, folder, features)
        context.report_progress(0.0, "RecBole copies every prefix")
        self.data = make_dataset(config, train.interactions, ends)
        examples = training_loader(config, self.data.dataset)
        network = recbole.models[self.recbole_name](config, self.data.dataset).to(config["device"])
        # FDSA would put the whole data set into each checkpoint; what it has learned is in its `state_dict` anyway.
        network.other_parameter_name = []
        self.network = network
        if self.reads_users:
            self._users = KnownUsers(train.interactions)
        trainer = _validated_by(self, examples, context)(config, network)
        # The trainer only asks whether there is validation data; the data themselves stay behind the hook.
        trainer.fit(examples, valid_data=True, verbose=False, saved=True)
        best = torch.load(trainer.saved_model_file, map_location=config["device"], weights_only=False)
        network.load_state_dict(best["state_dict"])
        network.eval()
        for layer in network.modules():
            if "dataset" in vars(layer):  # FDSA asks it for its fields while it is built, and never again
                layer.dataset = None

    def state(self) -> dict[str, Any]:
        """Leaves RecBole's dataset out, of which answers need the numbering only."""
        return {**super().state(), "data": replace(self.data, dataset=None)}

    @classmethod
    def packages_of_state(cls) -> tuple[str, ...]:
        load_recbole()
        return RECBOLE_CLASSES

    def loss(self, examples: Any) -> torch.Tensor:
        """RecBole's loss of a batch from `training_loader`."""
        network: Any = self.network
        loss: torch.Tensor = network.calculate_loss(examples)
        return loss

    def recommend(self, histories: Histories, k: int) -> Recommendations:
        items, _, lengths = histories.last(self.config.max_item_list_length)
        users = self.data.user_ids[self._users.of(histories)] if self.reads_users else np.full(len(histories), PADDING)
        scores = full_sort_scores(self.network, users, self.data.item_ids[items], np.maximum(lengths, 1))
        return rank_catalogue(scores[:, self.data.item_ids[:-1]], histories, k)

    def parameter_count(self) -> int:
        return parameter_count(self.network)


def full_sort_scores(
    network: Any, user_ids: NDArray[np.int64], item_ids: NDArray[np.int64], lengths: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Scores by a RecBole model's own `full_sort_predict`.

    Args:
        network: A sequential model of RecBole, in evaluation mode.
        user_ids: int64 `[batch]`, RecBole's ids.
        item_ids: int64 `[batch, length]`, RecBole's ids, left-aligned, padded with 0. As long as the model's longest
            history, since some models look at the padding.
        lengths: int64 `[batch]`, at least 1.

    Returns:
        float32 `[batch, vocabulary]`, a column for each of RecBole's ids, padding included.
    """
    device = next(network.parameters()).device
    query = {
        network.USER_ID: torch.from_numpy(user_ids).to(device),
        network.ITEM_SEQ: torch.from_numpy(item_ids).to(device),
        network.ITEM_SEQ_LEN: torch.from_numpy(lengths).to(device),
    }
    with torch.inference_mode():
        scores: NDArray[np.float32] = network.full_sort_predict(query).float().cpu().numpy()
    return scores


@contextmanager
def _own_randomness(seed: int, device: str) -> Iterator[None]:
    """Seeds the global generators that RecBole draws from, and gives them back as they were."""
    devices = [torch.cuda.current_device()] if device == "cuda" else []
    before = random.getstate()
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        random.seed(seed)
        try:
            yield
        finally:
            random.setstate(before)


def _validated_by(recommender: RecBoleModel, examples: Any, context: FitContext) -> type[Any]:
    """RecBole's trainer, with the validation hook replaced, and with the recommender's say on the loss of a batch."""
    trainer_class: Any = load_recbole().Trainer
    started = time.perf_counter()

    class Trainer(trainer_class):
        def _train_epoch(
            self, train_data: Any, epoch_idx: int, loss_func: Any = None, show_progress: Any = False
        ) -> Any:
            return super()._train_epoch(train_data, epoch_idx, loss_func or recommender.loss, show_progress)

        def _valid_epoch(self, valid_data: Any, show_progress: bool = False) -> tuple[float, dict[str, float]]:
            self.model.eval()
            validation = context.validate(recommender)
            epoch = len(self.train_loss_dict)
            loss = self.train_loss_dict[epoch - 1] / len(examples)
            seconds = time.perf_counter() - started
            context.curve.append(CurvePoint(epoch, epoch * len(examples), loss, validation, seconds))
            context.report_progress(epoch / self.epochs, f"epoch {epoch}/{self.epochs} NDCG@10 {validation:.4f}")
            return validation, {"ndcg@10": validation}

    return Trainer
