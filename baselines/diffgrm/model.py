"""DiffGRM (Liu et al., WWW 2026, arXiv 2510.21805): the digits of the next item, unmasked by a diffusion model.

Source: liuzhao09/DiffGRM at commit ad7b971, `genrec/models/DIFF_GRM/` and the commands of its README.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator
from torch import Tensor

from baselines.diffgrm.denoising import denoise, scores_of_all
from baselines.diffgrm.network import DiffGRMNetwork
from baselines.diffgrm.partial_ids import MOST_DIGITS, PartialIds
from baselines.full_ranking import rank_semantic_ids
from bench.config import Config
from bench.data.dataset import TrainingData
from bench.data.interactions import Histories
from bench.recommender import FitContext, Mechanism, Recommendations, Recommender
from bench.search_space import Choice, SearchSpace, Uniform
from models.fidelity import features_line, optimiser_line
from models.heads import heads_divide
from models.history.long_term import RaggedItems
from models.semantic_ids.tokenizer import TokenizerConfig, record_health, tokenize
from models.training.loop import TrainingConfig, fit_network, parameter_count
from models.training.sampled_targets import SampledTargets, TargetBatch
from models.training.windows import recent_window

ANSWERED_NUMBERS = 1 << 23
"""Numbers, log-probabilities and scores of partial IDs, that are held at a time when queries are answered."""


class DiffGRMConfig(Config):
    """Configuration of DiffGRM.

    Attributes:
        short_term: Most recent events that the encoder reads; 50 in the source.
        dim: Width.
        heads: Attention heads; 4 in the source.
        feed_forward: Inner width of the feed-forward layers.
        encoder_layers: 1 in the commands of the source.
        decoder_layers: 4 in the commands of the source.
        dropout: Of embeddings, attention weights and what layers add; 0.1 in the source.
        label_smoothing: Share of a digit's probability that is spread over all of its codes; 0.1, 0.15 or 0.2 in the
            commands of the source.
        beam: Partial IDs that are kept while digits are filled in; never fewer than the list to be recommended.
        tokenizer: How items become digits.
        batch_targets: Training targets of one step, each in as many views as there are digits; `training.batch_events`
            has no meaning here.
        targets_per_epoch: Share of all training targets that an epoch visits, drawn anew each time.
        training: Schedule and stopping.
    """

    short_term: int = Field(default=50, ge=1)
    dim: int = Field(default=128, ge=1)
    heads: int = Field(default=4, ge=1)
    feed_forward: int = Field(default=512, ge=1)
    encoder_layers: int = Field(default=1, ge=0)
    decoder_layers: int = Field(default=4, ge=1)
    dropout: float = Field(default=0.1, ge=0, lt=1)
    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    beam: int = Field(default=32, ge=1)
    tokenizer: TokenizerConfig = TokenizerConfig(method="opq", codebooks=(256,) * 4, disambiguate=False)
    batch_targets: int = Field(default=512, ge=1)
    targets_per_epoch: float = Field(default=0.5, gt=0, le=1)
    training: TrainingConfig = TrainingConfig(
        epochs=30, learning_rate=3e-3, warmup_steps=200, validate_every=3, average=0.99
    )

    @model_validator(mode="after")
    def _heads_of_one_width(self) -> DiffGRMConfig:
        heads_divide(self.dim, self.heads)
        return self

    @model_validator(mode="after")
    def _few_digits(self) -> DiffGRMConfig:
        digits = len(self.tokenizer.codebooks) + (self.tokenizer.disambiguate is True)
        if digits > MOST_DIGITS:
            raise ValueError(
                f"tokenizer: semantic IDs of {digits} digits; at most {MOST_DIGITS} can be filled in in any order"
            )
        return self


_TESTS = "tests/baselines/diffgrm/test_diffgrm.py::"
_SOURCE = "liuzhao09/DiffGRM @ad7b971"


class DiffGRM(Recommender):
    """Recommends by DiffGRM: the registered name `diffgrm`."""

    Config = DiffGRMConfig
    config: DiffGRMConfig
    network: DiffGRMNetwork | None = None
    divisible = True
    search_space: ClassVar[SearchSpace] = {
        "label_smoothing": Uniform(0.0, 0.2),
        "decoder_layers": Choice(1, 2, 4),
        "tokenizer.codebooks": Choice((64,) * 4, (256,) * 4, (256,) * 6),
    }
    summary = "fills in the digits of a semantic ID in whatever order it is sure of them: a masked diffusion model"
    role = "baseline"
    group = "semantic ID"
    paper = "Liu et al., WWW"
    year = 2026
    fidelity: ClassVar[tuple[Mechanism, ...]] = (
        Mechanism(
            "parallel semantic encoding: digits of an optimised product quantiser, none above the others",
            "approximated",
            f"abstract (PSE); {_SOURCE}, tokenizer.py, `_generate_semantic_id_opq`",
            "4 digits of 256 as there, of whitened features; vectors are not scaled to unit length after that, the "
            "rotation takes 20 turns (in faiss 50), and all items count, there those of training",
            test="tests/models/semantic_ids/test_opq.py::test_codes_are_the_nearest_centres_of_the_parts_of_whitened_and_"
            "rotated_features",
        ),
        Mechanism(
            "encoder: an event is its item's digit embeddings side by side through a small MLP, and a position",
            "faithful",
            f"{_SOURCE}, model.py, `DIFF_GRM.forward`",
            "padding is 0 in what the decoder reads and not hidden from it, as there",
            test=f"{_TESTS}test_the_encoder_is_that_of_the_source",
        ),
        Mechanism(
            "decoder over masked and known digits: bidirectional, a mask embedding for each digit, no positions, one "
            "norm with the encoder, output tied to the digit's embeddings",
            "faithful",
            f"{_SOURCE}, model.py, `forward_decoder_only`, `_compute_digit_logits`",
            test=f"{_TESTS}test_the_decoder_is_that_of_the_source",
        ),
        Mechanism(
            "on-policy coherent noising: the digits that the model is least sure of are masked first, in nested views",
            "faithful",
            f"abstract (OCN); {_SOURCE}, model.py, `forward`, `masking_strategy: guided`, `guided_select: least`",
            test=f"{_TESTS}test_the_loss_is_that_of_the_source",
        ),
        Mechanism(
            "loss: label-smoothed cross-entropy, the mean over masked digits of all views",
            "faithful",
            f"{_SOURCE}, model.py, `forward`",
            test=f"{_TESTS}test_the_loss_is_that_of_the_source",
        ),
        Mechanism(
            "confidence-guided parallel denoising: at each step all codes of all open digits compete",
            "approximated",
            f"abstract (CPD); {_SOURCE}, beam.py, `iterative_mask_decode`, mode `confidence`",
            "only ways to semantic IDs of the catalogue are entered, where the code drops others at the end; ways to "
            "the same digits count once at every step, there at the end; the last digit keeps the best of all ways, "
            "there the best code of each. So every list is full",
            test=f"{_TESTS}test_denoising_keeps_the_best_partial_ids_of_the_catalogue",
        ),
        Mechanism(
            "width of the beam",
            "approximated",
            f"{_SOURCE}, config.yaml, `vectorized_beam_search`",
            "32, and never less than the list is long; there 32 to validate and 256 to test",
        ),
        Mechanism(
            "items of one semantic ID, and what the beam has not reached",
            "approximated",
            f"{_SOURCE}, evaluator.py, `_expand_sid_list_to_items`",
            "lists are of items, the more popular of one semantic ID first; the paper counts semantic IDs. Behind the "
            "last one that the beam has reached, lists go on by the codes' probabilities while nothing was known",
            test=f"{_TESTS}test_lists_hold_k_items_that_exist_whatever_the_beam_reaches",
        ),
        Mechanism(
            "other noise and decoding: random orders, the surest digits first, entropy, an order refreshed at each "
            "step, fewer steps than digits",
            "omitted",
            f"{_SOURCE}, config.yaml, `masking_strategy`, `guided_refresh_each_step`, `ablate_decode`",
            "options of the code that the commands of its README leave alone",
        ),
        Mechanism(
            "initial weights",
            "faithful",
            f"{_SOURCE}, model.py, `_init_weights`",
            test=f"{_TESTS}test_initial_weights_are_those_of_the_source",
        ),
        Mechanism(
            "sizes",
            "approximated",
            f"{_SOURCE}, README",
            "d 128, feed-forward 512 by default, there 256 (Toys 1024) and 1024; 1 + 4 layers, 4 heads (Toys 8), "
            "dropout 0.1, label smoothing 0.1 (Beauty 0.2, Toys 0.15) and 50 events, as there",
        ),
        features_line(
            f"{_SOURCE}, README",
            "vectors of sentence-t5-base, which a PCA whitens to 256 dimensions, and nothing else is known of an item",
            DiffGRMConfig().tokenizer,
        ),
        optimiser_line(
            f"{_SOURCE}, trainer.py, config.yaml and README",
            "AdamW at 0.003 (Beauty 0.01) after 10,000 steps of warm-up and then along a cosine to 0, no decay, "
            "gradients clipped at 1, 1,024 targets a step, up to 200 epochs, the best by 0.8 NDCG@10 + 0.2 Recall@10 "
            "with a patience of 15",
            DiffGRMConfig().training,
            "512 targets, each in four views",
        ),
    )

    def fit(self, train: TrainingData, context: FitContext) -> None:
        config, self._device = self.config, context.device
        ids = tokenize(train, config.tokenizer, context.cache, context.shared_seed)
        record_health(ids, config.tokenizer, context)
        self.sid_of_item = ids.sid_of_item
        self._by_popularity = np.argsort(-train.interactions.item_counts(), kind="stable").astype(np.int32)
        self._partial = PartialIds(ids, context.device)
        torch.manual_seed(context.seed)
        network = self.network = DiffGRMNetwork(ids, config).to(context.device)
        events = RaggedItems.from_arrays(train.interactions.items, train.interactions.offsets, context.device)
        samples = SampledTargets.of(train, events, config)

        def loss(batch: TargetBatch) -> Tensor:
            return network.loss(batch.items, batch.targets)

        fit_network(self, network, samples.epoch, loss, config.training, context)

    def recommend(self, histories: Histories, k: int) -> Recommendations:
        assert self.sid_of_item is not None, "recommend before fit"
        width = max(k, self.config.beam)
        widest = max(map(self._partial.n_nodes, range(self._partial.digits + 1)))
        step = max(1, ANSWERED_NUMBERS // (width * sum(self.config.tokenizer.codebooks) + widest))
        parts = [self._scores(histories.batch(start, start + step), width) for start in range(0, len(histories), step)]
        scores = np.concatenate(parts) if parts else np.zeros((0, histories.n_items), dtype=np.float32)
        return rank_semantic_ids(scores, self.sid_of_item, self._by_popularity, histories, k)

    def _scores(self, histories: Histories, width: int) -> NDArray[np.float32]:
        """float32 `[n_queries, n_items]`: first what the search has reached, then all others."""
        network, partial = self.network, self._partial
        assert network is not None
        with torch.inference_mode():
            items, _, _ = recent_window(histories, self.config.short_term, self._device)
            memory = network.encode(items)
            open_ids = self._open_ids(histories) if histories.exclude_seen else None
            reached = denoise(lambda codes: network.log_probs(memory, codes), partial, len(histories), width, open_ids)
            return scores_of_all(reached, partial, network.offsets)[:, partial.id_of_item].cpu().numpy()

    def _open_ids(self, histories: Histories) -> Tensor:
        """Bool `[n_queries, n_ids]`: the semantic IDs some of whose items were not seen."""
        unseen = torch.from_numpy(~histories.seen()).to(self._device)
        counts = torch.zeros((len(unseen), len(self._partial.codes)), device=self._device)
        return counts.index_add_(1, self._partial.id_of_item, unseen.float()) > 0

    def parameter_count(self) -> int:
        return parameter_count(self.network)
