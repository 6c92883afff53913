"""RecBole's GRU4Rec and SASRec as RecBole trains them: its model, its examples, its trainer."""

from __future__ import annotations

import tempfile
import time
import warnings
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import nn

from baselines.full_ranking import rank_catalogue
from baselines.recbole_adapter import (
    load_recbole,
    make_config,
    make_dataset,
    training_loader,
    write_atomic_files,
)
from bench.data.dataset import TrainingData
from bench.data.interactions import Histories
from bench.recommender import Config, CurvePoint, FitContext, Mechanism, Recommendations, Recommender
from models.training import parameter_count

_TESTS = "tests/baselines/test_recbole_models.py::"
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
        settings = self.model_dump()
        settings["MAX_ITEM_LIST_LENGTH"] = settings.pop("max_item_list_length")
        return settings


class RecBoleModel(Recommender):
    """A sequential model of RecBole with RecBole's trainer.

    RecBole gets our training events and nothing else. Its dataset class makes the examples (every prefix of a history
    on its own), its `Trainer.fit` runs the epochs, decides when to stop and keeps the best checkpoint. One
    hook is ours: where the trainer would judge its own validation split, it asks `FitContext.validate`, so that early
    stopping goes by NDCG@10 on the same queries as for every other model (RecBole's documented run: MRR@10).

    An empty history is given to the model as a single padding item.

    Attributes:
        network: RecBole's model, after `fit`.
        item_ids: RecBole's ids by item, see `recbole_adapter.make_dataset`.
    """

    Config = RecBoleConfig
    config: RecBoleConfig
    recbole_name: ClassVar[str]
    fidelity = (
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
    )
    network: nn.Module | None = None
    item_ids: NDArray[np.int64]

    def fit(self, train: TrainingData, context: FitContext) -> None:
        devices = [torch.cuda.current_device()] if context.device == "cuda" else []
        with (
            tempfile.TemporaryDirectory() as name,
            torch.random.fork_rng(devices=devices),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore", FutureWarning)
            self._fit_in(Path(name), train, context)

    def _fit_in(self, folder: Path, train: TrainingData, context: FitContext) -> None:
        recbole = load_recbole()
        config = make_config(self.recbole_name, self.config.settings(), context.device, context.seed, folder)
        write_atomic_files(train.interactions, folder)
        context.report_progress(0.0, "RecBole copies every prefix")
        dataset, self.item_ids = make_dataset(config)
        examples = training_loader(config, dataset)
        torch.manual_seed(context.seed)
        network = recbole.models[self.recbole_name](config, dataset).to(config["device"])
        self.network = network
        trainer = _validated_by(self, examples, context)(config, network)
        # The trainer only asks whether there is validation data; the data themselves stay behind the hook.
        trainer.fit(examples, valid_data=True, verbose=False, saved=True)
        best = torch.load(trainer.saved_model_file, map_location=config["device"], weights_only=False)
        network.load_state_dict(best["state_dict"])
        network.eval()

    def recommend(self, histories: Histories, k: int) -> Recommendations:
        items, _, lengths = histories.last(self.config.max_item_list_length)
        scores = full_sort_scores(self.network, self.item_ids[items], np.maximum(lengths, 1))
        return rank_catalogue(scores[:, self.item_ids[:-1]], histories, k)

    def parameter_count(self) -> int:
        return parameter_count(self.network)


def full_sort_scores(network: Any, item_ids: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.float32]:
    """Scores by a RecBole model's own `full_sort_predict`.

    Args:
        network: A sequential model of RecBole, in evaluation mode.
        item_ids: int64 `[batch, length]`, RecBole's ids, left-aligned, padded with 0.
        lengths: int64 `[batch]`, at least 1.

    Returns:
        float32 `[batch, vocabulary]`, a column for each of RecBole's ids, padding included.
    """
    device = next(network.parameters()).device
    query = {
        network.ITEM_SEQ: torch.from_numpy(item_ids).to(device),
        network.ITEM_SEQ_LEN: torch.from_numpy(lengths).to(device),
    }
    with torch.inference_mode():
        scores: NDArray[np.float32] = network.full_sort_predict(query).float().cpu().numpy()
    return scores


def _validated_by(recommender: RecBoleModel, examples: Any, context: FitContext) -> type[Any]:
    """RecBole's trainer, with the validation hook alone replaced."""
    trainer_class: Any = load_recbole().Trainer
    started = time.perf_counter()

    class Trainer(trainer_class):
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


class RecBoleGRU4RecConfig(RecBoleConfig):
    """RecBole's documented run of GRU4Rec on ML-100K (get_started/started/sequential.rst).

    Attributes:
        embedding_size: Width of the item embeddings.
        hidden_size: Width of the GRU.
        num_layers: Layers of the GRU.
        dropout_prob: Dropout of the embeddings.
    """

    epochs: int = Field(default=500, ge=1)
    train_batch_size: int = Field(default=4096, ge=1)
    embedding_size: int = Field(default=64, ge=1)
    hidden_size: int = Field(default=128, ge=1)
    num_layers: int = Field(default=1, ge=1)
    dropout_prob: float = Field(default=0.3, ge=0, lt=1)


class RecBoleGRU4Rec(RecBoleModel):
    """GRU4Rec (Tan et al., DLRS 2016) by RecBole."""

    Config = RecBoleGRU4RecConfig
    recbole_name = "GRU4Rec"
    summary = "RecBole's GRU4Rec with RecBole's trainer, as its documentation runs it"


class RecBoleSASRecConfig(RecBoleConfig):
    """RecBole's own defaults for SASRec.

    Attributes:
        n_layers: Transformer blocks.
        n_heads: Attention heads.
        hidden_size: Width.
        inner_size: Width of the feed-forward layers.
        hidden_dropout_prob: Dropout of embeddings and sub-layers.
        attn_dropout_prob: Dropout of attention weights.
    """

    n_layers: int = Field(default=2, ge=1)
    n_heads: int = Field(default=2, ge=1)
    hidden_size: int = Field(default=64, ge=1)
    inner_size: int = Field(default=256, ge=1)
    hidden_dropout_prob: float = Field(default=0.5, ge=0, lt=1)
    attn_dropout_prob: float = Field(default=0.5, ge=0, lt=1)


class RecBoleSASRec(RecBoleModel):
    """SASRec (Kang & McAuley, ICDM 2018) by RecBole, with cross-entropy."""

    Config = RecBoleSASRecConfig
    recbole_name = "SASRec"
    summary = "RecBole's SASRec with RecBole's trainer and defaults (cross-entropy)"
