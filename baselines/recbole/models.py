"""RecBole's sequential models as RecBole trains them: its networks, its examples, its trainer, its defaults."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import torch
from pydantic import Field, model_validator

from baselines.recbole.base import RecBoleConfig, RecBoleModel
from bench.data.dataset import ItemTable
from bench.errors import BenchError, SkippedRun, unknown_name
from bench.recommender import Mechanism
from models.heads import heads_divide

_TESTS = "tests/baselines/test_recbole_models.py::"
_EXAMPLES = "tests/baselines/test_recbole_examples.py::"
_USERS = Mechanism(
    "vector of each user",
    "approximated",
    "RecBole 1.2.1, USER_ID of a query",
    "a query's user is recognised by the training events that its history begins with; a stranger gets the vector of "
    "RecBole's padding user",
    test="tests/baselines/test_known_users.py::test_a_user_is_recognised_by_all_training_events",
)

Share = Annotated[float, Field(ge=0, lt=1)]
"""A dropout rate."""


def _cross_entropy(source: str, theirs: str) -> Mechanism:
    """The line of a paper whose loss is not RecBole's default."""
    note = f"RecBole's default is cross-entropy over the whole catalogue; the paper's {theirs}"
    return Mechanism("loss", "approximated", source, note)


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
    dropout_prob: Share = 0.3


class RecBoleGRU4Rec(RecBoleModel):
    """GRU4Rec (Tan et al., DLRS 2016) by RecBole."""

    Config = RecBoleGRU4RecConfig
    recbole_name = "GRU4Rec"
    summary = "RecBole's GRU4Rec with RecBole's trainer, as its documentation runs it"
    group = "sequence"
    paper = "Tan et al., DLRS"
    year = 2016
    fidelity = (
        *RecBoleModel.fidelity,
        _cross_entropy("Hidasi et al., ICLR 2016, section 3.1.3", "is BPR or TOP1 against a mini-batch"),
    )


class RecBoleTransformerConfig(RecBoleConfig):
    """RecBole's own defaults for its Transformers.

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
    hidden_dropout_prob: Share = 0.5
    attn_dropout_prob: Share = 0.5

    @model_validator(mode="after")
    def _heads_of_one_width(self) -> RecBoleTransformerConfig:
        heads_divide(self.hidden_size, self.n_heads, "hidden_size", "n_heads")
        return self


class RecBoleSASRec(RecBoleModel):
    """SASRec (Kang & McAuley, ICDM 2018) by RecBole, with cross-entropy."""

    Config = RecBoleTransformerConfig
    recbole_name = "SASRec"
    summary = "RecBole's SASRec with RecBole's trainer and defaults (cross-entropy)"
    group = "sequence"
    paper = "Kang & McAuley, ICDM"
    year = 2018
    fidelity = (
        *RecBoleModel.fidelity,
        _cross_entropy("Kang & McAuley, ICDM 2018, eq. 7", "is binary cross-entropy with one negative a target"),
        Mechanism(
            "network",
            "approximated",
            "recbole/model/sequential_recommender/sasrec.py",
            "RecBole normalises after sub-layers (epsilon 1e-12) and takes GELU, two heads, four times the width in "
            "its feed-forward layers and dropout 0.5; the paper normalises before (1e-8) and takes ReLU, one head and "
            "one width. Embeddings are not multiplied by sqrt(d); all weights begin with deviation 0.02",
        ),
    )


class RecBoleLightSANsConfig(RecBoleTransformerConfig):
    """RecBole's own defaults for LightSANs.

    Attributes:
        k_interests: Latent interests that the items of a history are pooled into; RecBole suggests a tenth of
            `max_item_list_length`.
    """

    k_interests: int = Field(default=5, ge=1)


class RecBoleLightSANs(RecBoleModel):
    """LightSANs (Fan et al., SIGIR 2021) by RecBole, whose authors are the paper's."""

    Config = RecBoleLightSANsConfig
    recbole_name = "LightSANs"
    summary = "RecBole's LightSANs with RecBole's trainer and defaults: self-attention over a few pooled interests"
    group = "sequence"
    paper = "Fan et al., SIGIR"
    year = 2021


class RecBoleBERT4RecConfig(RecBoleTransformerConfig):
    """RecBole's own defaults for BERT4Rec.

    Attributes:
        mask_ratio: Probability that an event of a history is hidden and to be found.
        ft_ratio: Share of the batches in which the last event alone is hidden, as when the model is asked.
    """

    hidden_dropout_prob: Share = 0.2
    attn_dropout_prob: Share = 0.2
    mask_ratio: float = Field(default=0.2, gt=0, lt=1)
    ft_ratio: float = Field(default=0.5, ge=0, le=1)

    @model_validator(mode="after")
    def _hides_an_event(self) -> RecBoleBERT4RecConfig:
        if int(self.mask_ratio * self.max_item_list_length) == 0:
            raise ValueError("mask_ratio times max_item_list_length is below 1: no event would ever be hidden")
        return self


class RecBoleBERT4Rec(RecBoleModel):
    """BERT4Rec (Sun et al., CIKM 2019) by RecBole.

    Asked for the next event, RecBole's `full_sort_predict` appends the hidden event itself, and drops the oldest of the
    `max_item_list_length` places for it, even where that was not needed.
    """

    Config = RecBoleBERT4RecConfig
    recbole_name = "BERT4Rec"
    learns_targets = False
    summary = "RecBole's BERT4Rec with RecBole's trainer and defaults: hidden events found from both sides"
    group = "sequence"
    paper = "Sun et al., CIKM"
    year = 2019
    fidelity = (
        *RecBoleModel.fidelity,
        Mechanism(
            "batches in which no event is hidden",
            "approximated",
            "recbole/model/sequential_recommender/bert4rec.py",
            "they teach nothing; RecBole divides by their number of hidden events, 0, and gives up",
            test=_TESTS + "test_a_batch_in_which_no_event_is_hidden_teaches_nothing",
        ),
        Mechanism(
            "histories in training",
            "approximated",
            "Sun et al., CIKM 2019, model learning",
            "RecBole hides events of every prefix of a history; the paper of the whole history, several times over",
        ),
    )

    def loss(self, examples: Any) -> torch.Tensor:
        network: Any = self.network
        if not (examples[network.MASK_INDEX] > 0).any():  # RecBole counts no event in the first place of a history
            nothing: torch.Tensor = 0 * network.output_bias.sum()
            return nothing
        return super().loss(examples)


class RecBoleCaserConfig(RecBoleConfig):
    """RecBole's own defaults for Caser, with the short histories that its code asks for.

    Attributes:
        embedding_size: Width of the vectors of items and users.
        nv: Vertical filters.
        nh: Horizontal filters of each height.
        dropout_prob: Dropout of what the filters give.
        reg_weight: Weight of the L2 norms of the parameters in the loss.
    """

    max_item_list_length: int = Field(default=10, ge=1)
    embedding_size: int = Field(default=64, ge=1)
    nv: int = Field(default=4, ge=1)
    nh: int = Field(default=8, ge=1)
    dropout_prob: Share = 0.4
    reg_weight: float = Field(default=1e-4, ge=0)


class RecBoleCaser(RecBoleModel):
    """Caser (Tang & Wang, WSDM 2018) by RecBole."""

    Config = RecBoleCaserConfig
    recbole_name = "Caser"
    reads_users = True
    summary = "RecBole's Caser with RecBole's trainer and defaults: convolutions over the last ten events"
    group = "sequence"
    paper = "Tang & Wang, WSDM"
    year = 2018
    fidelity = (
        *RecBoleModel.fidelity,
        _USERS,
        Mechanism(
            "training examples",
            "approximated",
            "recbole/model/sequential_recommender/caser.py",
            "RecBole asks for the next event alone (the paper's T = 1), with cross-entropy over the whole catalogue; "
            "histories of 10 events, as its code asks for, where RecBole's default is 50",
        ),
    )


class RecBoleHGNConfig(RecBoleConfig):
    """RecBole's own defaults for HGN.

    Attributes:
        embedding_size: Width of the vectors of items and users.
        pooling_type: How the events that pass the gates become one vector.
        reg_weight: Weights of the L2 norms of the gates and of the vectors in the loss.
    """

    embedding_size: int = Field(default=64, ge=1)
    pooling_type: Literal["average", "max"] = "average"
    reg_weight: tuple[float, float] = (0.0, 0.0)


class RecBoleHGN(RecBoleModel):
    """HGN (Ma et al., KDD 2019) by RecBole."""

    Config = RecBoleHGNConfig
    recbole_name = "HGN"
    reads_users = True
    summary = "RecBole's HGN with RecBole's trainer and defaults: gates over features and over events"
    group = "sequence"
    paper = "Ma et al., KDD"
    year = 2019
    fidelity = (
        *RecBoleModel.fidelity,
        _USERS,
        _cross_entropy("Ma et al., KDD 2019, objective", "is BPR"),
    )


class RecBoleNARMConfig(RecBoleConfig):
    """RecBole's own defaults for NARM.

    Attributes:
        embedding_size: Width of the item embeddings.
        hidden_size: Width of the GRU.
        n_layers: Layers of the GRU.
        dropout_probs: Dropout of the embeddings, and of what the two encoders give.
    """

    embedding_size: int = Field(default=64, ge=1)
    hidden_size: int = Field(default=128, ge=1)
    n_layers: int = Field(default=1, ge=1)
    dropout_probs: tuple[Share, Share] = (0.25, 0.5)


class RecBoleNARM(RecBoleModel):
    """NARM (Li et al., CIKM 2017) by RecBole."""

    Config = RecBoleNARMConfig
    recbole_name = "NARM"
    summary = "RecBole's NARM with RecBole's trainer and defaults: a GRU, and attention over its states"
    group = "sequence"
    paper = "Li et al., CIKM"
    year = 2017


class RecBoleSTAMPConfig(RecBoleConfig):
    """RecBole's own defaults for STAMP.

    Attributes:
        embedding_size: Width of the item embeddings.
    """

    embedding_size: int = Field(default=64, ge=1)


class RecBoleSTAMP(RecBoleModel):
    """STAMP (Liu et al., KDD 2018) by RecBole."""

    Config = RecBoleSTAMPConfig
    recbole_name = "STAMP"
    summary = "RecBole's STAMP with RecBole's trainer and defaults: attention led by the last event"
    group = "sequence"
    paper = "Liu et al., KDD"
    year = 2018
    fidelity = (
        *RecBoleModel.fidelity,
        Mechanism(
            "score",
            "approximated",
            "recbole/model/sequential_recommender/stamp.py",
            "RecBole leaves out the paper's sigmoid in front of the softmax",
        ),
    )


class RecBoleFDSAConfig(RecBoleTransformerConfig):
    """RecBole's own defaults for FDSA.

    Attributes:
        features: Columns of the item table that are read, word by word. None: all that describe an item in words, or
            its category where there are none.
        feature_words: Most words of a column that are read; their vectors take memory for every event of a history.
        pooling_mode: How the words of a column become one vector.
    """

    features: tuple[str, ...] | None = None
    feature_words: int = Field(default=16, ge=1)
    pooling_mode: Literal["mean", "max", "sum"] = "mean"

    def settings(self) -> dict[str, object]:
        return {name: value for name, value in super().settings().items() if name not in ("features", "feature_words")}


class RecBoleFDSA(RecBoleModel):
    """FDSA (Zhang et al., IJCAI 2019) by RecBole."""

    Config = RecBoleFDSAConfig
    config: RecBoleFDSAConfig
    recbole_name = "FDSA"
    summary = "RecBole's FDSA with RecBole's trainer and defaults: self-attention over items and over their words"
    group = "sequence"
    paper = "Zhang et al., IJCAI"
    year = 2019
    fidelity = (
        *RecBoleModel.fidelity,
        Mechanism(
            "features of items",
            "approximated",
            "Zhang et al., IJCAI 2019, features",
            "the first 16 words of every text column (`feature_words`), where RecBole's default is one column named "
            "class; the paper reads categories, brands and topics of the text",
            test=_EXAMPLES + "test_fdsa_reads_the_words_of_the_text_columns",
        ),
        _cross_entropy("Zhang et al., IJCAI 2019, objective", "is binary cross-entropy with one negative a target"),
    )

    def item_features(self, items: ItemTable) -> Mapping[str, Sequence[str]]:
        """Words by field `feature_<number>`, since a column's own name may be anything.

        Raises:
            BenchError: A feature of the configuration is no column of the item table.
            SkippedRun: The items have neither words nor categories.
        """
        wanted = items.text_columns if self.config.features is None else self.config.features
        for name in wanted:
            if name not in items.columns:
                raise _unknown_feature(name, items)
        columns = [[self._words(text) for text in items.columns[name]] for name in wanted]
        if not wanted and items.category is not None:
            columns = [["" if category < 0 else str(category) for category in items.category]]
        columns = [column for column in columns if any(column)]
        if not columns:
            raise SkippedRun(
                "FDSA reads about items, and these data have neither text nor categories: choose another model"
            )
        return {f"feature_{number}": column for number, column in enumerate(columns)}

    def _words(self, text: object) -> str:
        return " ".join(re.findall(r"\w+", str(text).lower())[: self.config.feature_words])


def _unknown_feature(name: str, items: ItemTable) -> BenchError:
    if not len(items.columns.columns):
        return BenchError(f"features: these items have no columns, so none is called '{name}'; leave it out")
    return unknown_name("column of the item table, in features,", name, items.columns.columns)
