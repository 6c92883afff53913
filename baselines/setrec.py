"""SETRec (Lin et al., SIGIR 2025, arXiv 2502.10833): an item is a set of vectors, those of the next one come together.

Source: Linxyhaha/SETRec at commit 50109bd (`code/model_t5.py`, `code/Q_t5.py`, `code/AE/`). One vector of an item comes
from what users did (a frozen vector of a SASRec, projected), the others from what it is (an autoencoder of its
features, trained along). Nothing is quantised and nothing is searched by beams: learned queries read the history, each
is compared with one vector of every item, and an item's score is a weighted sum. So lists hold `k` items that exist.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from baselines.full_ranking import rank_catalogue
from bench.config import Config
from bench.data.dataset import TrainingData
from bench.data.interactions import PAD, Histories
from bench.recommender import FitContext, Mechanism, Recommendations, Recommender
from bench.search_space import Choice, SearchSpace, Uniform
from models.fidelity import optimiser_line
from models.generation.t5_transformer import T5Config, T5Decoder, T5DecoderLayer, T5Encoder, hide
from models.history.long_term import RaggedItems
from models.semantic_ids.item_features import FeatureConfig, item_features
from models.semantic_ids.item_vectors import ItemVectorsConfig, item_vectors
from models.semantic_ids.rq_vae import mlp
from models.training.loop import TrainingConfig, fit_network, parameter_count
from models.training.sampled_targets import SampledTargets, TargetBatch
from models.training.windows import recent_window

QUERY_STD = 0.02
"""`nn.init.normal_(self.t5_model.decoder.query_emb.weight.data, mean=0, std=0.02)`."""

ANSWERED_EVENTS = 1 << 13
"""Events that are read at a time when queries are answered; each is several tokens."""


class SETRecConfig(Config):
    """Configuration of SETRec.

    Attributes:
        short_term: Most recent events that the encoder reads; 50 in the source.
        semantic_tokens: Vectors of an item that come from its features; 4 in the commands of the source.
        hidden: Widths of the autoencoder between features and vectors, 512, 256 and 128 in the source.
        reconstruction: What the autoencoder's loss weighs beside the ranking loss (alpha; 0.7 for Toys in the source).
        semantic_weights: Those that validation chooses from, after the training (beta): each vector of the features
            counts so much, that of the users 1 less it.
        network: Size of the T5.
        vectors: Which model's item vectors stand for what users did; a SASRec of width 64, as in the source.
        features: What an item is.
        batch_targets: Training targets of one step; `training.batch_events` has no meaning here.
        targets_per_epoch: Share of all training targets that an epoch visits, drawn anew each time.
        training: Schedule and stopping.
    """

    short_term: int = Field(default=50, ge=1)
    semantic_tokens: int = Field(default=4, ge=1)
    hidden: tuple[int, ...] = (512, 256, 128)
    reconstruction: float = Field(default=0.7, ge=0)
    semantic_weights: tuple[float, ...] = Field(
        default=(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0), min_length=1
    )
    network: T5Config = T5Config()
    vectors: ItemVectorsConfig = ItemVectorsConfig(config={"dim": 64})
    features: FeatureConfig = FeatureConfig()
    batch_targets: int = Field(default=512, ge=1)
    targets_per_epoch: float = Field(default=0.5, gt=0, le=1)
    training: TrainingConfig = TrainingConfig(epochs=30, warmup_steps=100, validate_every=3, average=0.99)


class SETRecNetwork(nn.Module):
    """Makes the vectors of items, and from a history the vectors that the next item should have.

    Args:
        vectors: float32 `[n_items, e]`, frozen.
        features: float32 `[n_items, f]`, frozen.
        config: Configuration.
    """

    vectors: Tensor
    features: Tensor

    def __init__(self, vectors: Tensor, features: Tensor, config: SETRecConfig) -> None:
        super().__init__()
        dim, n_semantic = config.network.dim, config.semantic_tokens
        self.reconstruction = config.reconstruction
        self.n_tokens = 1 + n_semantic
        self.register_buffer("vectors", vectors, persistent=False)
        self.register_buffer("features", features, persistent=False)
        self.project = nn.Linear(vectors.shape[1], dim)
        widths = (features.shape[1], *config.hidden, dim * n_semantic)
        self.to_tokens = _coder(widths)
        self.to_features = _coder(widths[::-1])
        self.queries = nn.Parameter(torch.randn(self.n_tokens, dim) * QUERY_STD)
        self.encoder = T5Encoder(config.network, config.short_term * self.n_tokens, sharing=self.n_tokens)
        layers = [T5DecoderLayer(config.network) for _ in range(config.network.decoder_layers)]
        self.decoder = T5Decoder(config.network, 1, layers)

    def item_tokens(self) -> tuple[Tensor, Tensor]:
        """The vectors float32 `[n_items, n_tokens, dim]` of all items, users' first, and their features restored."""
        semantic = self.to_tokens(self.features)
        by_item = semantic.unflatten(1, (self.n_tokens - 1, -1))
        return torch.cat([self.project(self.vectors).unsqueeze(1), by_item], dim=1), self.to_features(semantic)

    def wanted(self, items: Tensor, tokens: Tensor) -> Tensor:
        """What the next item's vectors should be, float32 `[batch, n_tokens, dim]`.

        Each query sees the history and itself, no other query: it is the first token of a beam of its own.

        Args:
            items: int64 `[batch, n]`, recent events, left-aligned and padded with `PAD`.
            tokens: Of all items, from `item_tokens`.
        """
        visible = (items != PAD).repeat_interleave(self.n_tokens, dim=1)
        hidden_keys = hide(visible)
        encoded = self.encoder(tokens[items.clamp(min=0)].flatten(1, 2), hidden_keys)
        queries = self.queries.expand(len(items), -1, -1).unsqueeze(2)
        return self.decoder(queries, self.decoder.read(encoded, hidden_keys), None).squeeze(2)

    def scores(self, items: Tensor, tokens: Tensor) -> Tensor:
        """How near each wanted vector is to each item's: float32 `[n_tokens, batch, n_items]`, inner products."""
        return self.wanted(items, tokens).transpose(0, 1) @ tokens.permute(1, 2, 0)

    def loss(self, items: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy over the catalogue, the mean over queries, and the error of restoring the items read."""
        tokens, restored = self.item_tokens()
        ranking = F.cross_entropy(self.scores(items, tokens).flatten(0, 1), targets.repeat(self.n_tokens))
        read = items[items != PAD]
        return ranking + self.reconstruction * F.mse_loss(restored[read], self.features[read])


def _coder(widths: tuple[int, ...]) -> nn.Sequential:
    """Linear layers with ReLUs between them, Xavier-normal and without biases at first (`AE/models/layers.py`)."""
    layers = mlp(widths)
    for layer in layers:
        if isinstance(layer, nn.Linear):
            nn.init.xavier_normal_(layer.weight)
            nn.init.zeros_(layer.bias)
    return layers


_TESTS = "tests/baselines/test_setrec.py::"
_SOURCE = "Linxyhaha/SETRec @50109bd"


class SETRec(Recommender):
    """Recommends by SETRec: the registered name `setrec`.

    Attributes:
        semantic_weight: What each vector of the features counts; 0.5 while the network is trained.
    """

    Config = SETRecConfig
    config: SETRecConfig
    network: SETRecNetwork | None = None
    semantic_weight: float
    divisible = True
    search_space: ClassVar[SearchSpace] = {
        "network.dim": Choice(48, 96, 192),  # multiples of its six heads
        "semantic_tokens": Choice(1, 2, 4, 6),
        "reconstruction": Uniform(0.1, 1.0),
    }
    summary = "an item is a set of vectors, of users and of features; a T5 asks for all of the next one's at once"
    role = "baseline"
    group = "sequence"
    paper = "Lin et al., SIGIR"
    year = 2025
    fidelity: ClassVar[tuple[Mechanism, ...]] = (
        Mechanism(
            "item as a set: a projected vector of a SASRec and vectors of an autoencoder trained along",
            "faithful",
            f"{_SOURCE}, `T54Rec.tokenize_all`, `AE`",
            test=f"{_TESTS}test_tokens_scores_and_loss_are_those_of_the_source",
        ),
        Mechanism(
            "tokens of an item share a position",
            "faithful",
            f"{_SOURCE}, `generate_position_ids`",
            "among events; there is no instruction before them here and no answer text behind",
            test=f"{_TESTS}test_the_order_of_the_vectors_of_an_item_does_not_matter",
        ),
        Mechanism(
            "queries that see the history and not one another",
            "approximated",
            "section 3.3 (query-guided simultaneous decoding)",
            "as the paper says; the code adds 1 to a query's own score and 0 to others', which hardly hides them",
            test=f"{_TESTS}test_queries_do_not_see_one_another",
        ),
        Mechanism(
            "loss: cross-entropy over the catalogue for every query, and the reconstruction of the items read",
            "faithful",
            f"{_SOURCE}, `T54Rec.forward`; eq. 8",
            test=f"{_TESTS}test_tokens_scores_and_loss_are_those_of_the_source",
        ),
        Mechanism(
            "weight of the features' vectors",
            "approximated",
            f"{_SOURCE}, `inference_t5.py`",
            "by validation NDCG@10 after the training; the code takes the one with the best Recall@5 on the test",
            test=f"{_TESTS}test_the_weight_is_the_one_of_the_best_validation",
        ),
        Mechanism(
            "pretrained T5-small with a prompt: d 512, 6 + 6 layers, 8 heads, feed-forward 2048",
            "omitted",
            f"{_SOURCE}, `scripts/train_t5.sh`",
            "a T5 of the official GLASS code's size (d 96, 4 + 4 layers, 6 heads of 32), trained from the beginning; "
            "it reads items alone",
        ),
        Mechanism(
            "item features",
            "approximated",
            f"{_SOURCE}, `data/extract_item_semantic_rep_t5.py`",
            "vectors of a T5 encoder there. By default features here also know which items occur together in training "
            "histories; `features.collaborative_dims: 0` leaves TF-IDF of texts alone",
        ),
        optimiser_line(
            f"{_SOURCE}, `scripts/train_t5.sh`",
            "AdamW at 0.001 after 100 steps of warm-up and then along a cosine, 30 epochs of 512 targets, stopped by "
            "the validation loss",
            SETRecConfig().training,
            "512 targets",
        ),
    )

    def fit(self, train: TrainingData, context: FitContext) -> None:
        config, self._device = self.config, context.device
        vectors, _ = item_vectors(train, config.vectors, context.shared_seed, context.cache)
        features = item_features(train, config.features, context.cache)
        torch.manual_seed(context.seed)
        network = SETRecNetwork(torch.tensor(vectors), torch.tensor(features), config)
        self.network = network = network.to(context.device)
        self.semantic_weight = 0.5
        events = RaggedItems.from_arrays(train.interactions.items, train.interactions.offsets, context.device)
        samples = SampledTargets.of(train, events, config)

        def loss(batch: TargetBatch) -> Tensor:
            return network.loss(batch.items, batch.targets)

        fit_network(self, network, samples.epoch, loss, config.training, context)
        self._choose_weight(context)

    def _choose_weight(self, context: FitContext) -> None:
        tried: dict[float, float] = {}
        for weight in self.config.semantic_weights:
            self.semantic_weight = weight
            context.report_progress(1.0, "choosing semantic_weight")
            tried[weight] = context.validate(self)
        self.semantic_weight = max(tried, key=lambda weight: tried[weight])
        context.diagnostics["semantic_weight"] = {
            "chosen": self.semantic_weight,
            "validation_before": context.revise(tried[self.semantic_weight]),
            "tried": [{"weight": weight, "validation": value} for weight, value in tried.items()],
        }

    def recommend(self, histories: Histories, k: int) -> Recommendations:
        return rank_catalogue(self.catalogue_scores(histories), histories, k)

    def catalogue_scores(self, histories: Histories) -> NDArray[np.float32]:
        network, config = self.network, self.config
        assert network is not None, "recommend before fit"
        scores = np.empty((len(histories), histories.n_items), dtype=np.float32)
        step = max(1, ANSWERED_EVENTS // config.short_term)
        weights = torch.full((network.n_tokens, 1, 1), self.semantic_weight, device=self._device)
        weights[0] = 1 - self.semantic_weight
        with torch.inference_mode():
            tokens, _ = network.item_tokens()
            for start in range(0, len(histories), step):
                items, _, _ = recent_window(histories.batch(start, start + step), config.short_term, self._device)
                scores[start : start + step] = (network.scores(items, tokens) * weights).sum(0).cpu().numpy()
        return scores

    def parameter_count(self) -> int:
        return parameter_count(self.network)
