"""RecBole's GRU4Rec network, trained at all positions: a GRU is causal, so no prefix needs a pass of its own."""

from __future__ import annotations

from typing import Any

from pydantic import Field
from torch import Tensor

from baselines.next_item import NextItemConfig, NextItemModel, NextItemNetwork
from baselines.recbole.adapter import RECBOLE_CLASSES, build_network, load_recbole
from bench.data.dataset import TrainingData
from bench.recommender import Mechanism
from models.fidelity import optimiser_line
from models.training.loop import TrainingConfig


class GRU4RecConfig(NextItemConfig):
    """Configures GRU4Rec; widths, dropout and length are RecBole's, by RecBole's names.

    Attributes:
        embedding_size: Width of the item embeddings.
        hidden_size: Width of the GRU.
        num_layers: Layers of the GRU.
        dropout_prob: Dropout of the embeddings.
    """

    length: int = Field(default=50, ge=1)
    embedding_size: int = Field(default=64, ge=1)
    hidden_size: int = Field(default=128, ge=1)
    num_layers: int = Field(default=1, ge=1)
    dropout_prob: float = Field(default=0.3, ge=0, lt=1)
    training: TrainingConfig = TrainingConfig(epochs=60, batch_events=4096, learning_rate=3e-3)


class GRU4RecNetwork(NextItemNetwork):
    """Runs RecBole's layers in RecBole's order, with an output at every position instead of the last one only."""

    def __init__(self, n_items: int, config: GRU4RecConfig) -> None:
        super().__init__()
        widths = {"embedding_size", "hidden_size", "num_layers", "dropout_prob"}
        self.recbole: Any = build_network("GRU4Rec", config.model_dump(include=widths), n_items)

    def forward(self, items: Tensor, timestamps: Tensor) -> Tensor:
        layers = self.recbole
        embedded = layers.emb_dropout(layers.item_embedding(items + 1))  # PAD becomes 0, RecBole's padding
        hidden, _ = layers.gru_layers(embedded)
        output: Tensor = layers.dense(hidden)
        return output

    def compared(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        return hidden, self.recbole.item_embedding.weight[1:]


class GRU4Rec(NextItemModel):
    """GRU4Rec (Hidasi et al., ICLR 2016; Tan et al., DLRS 2016) in RecBole's architecture."""

    Config = GRU4RecConfig
    config: GRU4RecConfig
    summary = "RecBole's GRU4Rec network, trained at all positions by our loop"
    group = "sequence"
    paper = "Tan et al., DLRS"
    year = 2016
    fidelity = (
        Mechanism(
            "layers and initialisation",
            "faithful",
            "RecBole 1.2.1, model/sequential_recommender/gru4rec.py",
            test="tests/baselines/test_gru4rec.py::test_the_network_is_recboles",
        ),
        Mechanism(
            "training examples",
            "approximated",
            "RecBole 1.2.1, data/dataset/sequential_dataset.py",
            "all positions of a window in one pass; RecBole trains every prefix as an example of its own",
        ),
        Mechanism(
            "loss",
            "approximated",
            "Hidasi et al., ICLR 2016, section 3.1.3; RecBole 1.2.1",
            "cross-entropy over the whole catalogue as in RecBole; the paper ranks against the other items of a "
            "mini-batch, by BPR or TOP1",
            test="tests/baselines/test_next_item.py::test_cross_entropy_is_the_mean_over_targets_without_padding",
        ),
        optimiser_line(
            "RecBole 1.2.1, properties/overall.yaml and documented run",
            "Adam at a constant 0.001, no decay, no clipping, 4,096 prefixes a step, 500 epochs, the best by MRR@10",
            GRU4RecConfig().training,
        ),
    )

    @classmethod
    def packages_of_state(cls) -> tuple[str, ...]:
        load_recbole()
        return RECBOLE_CLASSES

    def build(self, train: TrainingData) -> NextItemNetwork:
        return GRU4RecNetwork(train.n_items, self.config)
