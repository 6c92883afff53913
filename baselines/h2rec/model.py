"""H2Rec (Liu et al., KDD 2026, arXiv 2512.10388): semantic IDs and hash IDs in two branches that are aligned.

A re-implementation from the abstract, second-hand summaries and a reading of the authors' code as it stood in commit
e65eefb of github.com/ziwliu8/H2Rec (`models/DualTrisRec.py`; later commits hold a README alone). The paper's own
equations were not at hand; of the code, neither were `models/SASRec.py` and `models/BaseModel.py`, which were read in
github.com/liuqidong07/LLM-ESR, on which it is built. A hash ID is what other models here call the item id. It gives a
popular item a vector of its own; codes, which items share, speak for a rare one. Each branch reads the history through
the same SASRec backbone and scores items by its own vectors, and the scores add up.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from baselines.h2rec.network import H2RecConfig, H2RecNetwork
from baselines.next_item import NextItemModel
from bench.data.dataset import TrainingData
from bench.recommender import FitContext, Mechanism
from models.fidelity import features_line, optimiser_line, quantizer_line
from models.semantic_ids.item_features import item_features
from models.semantic_ids.semantic_ids import SemanticIds
from models.semantic_ids.tokenizer import record_health, tokenize

_TESTS = "tests/baselines/h2rec/"


class H2Rec(NextItemModel):
    """Recommends by a re-implementation of H2Rec, trained at every position in one pass.

    It ranks items and generates nothing.
    """

    Config = H2RecConfig
    config: H2RecConfig
    network: H2RecNetwork | None = None
    revision = 2
    divisible = False  # its branches are aligned within a batch
    _ids: SemanticIds | None = None
    _features: NDArray[np.float32] | None = None
    summary = "re-implementation: SASRec over item ids and over semantic IDs in two aligned branches"
    group = "semantic ID"
    paper = "Liu et al., KDD"
    year = 2026
    fidelity = (
        Mechanism(
            "dual branches over one backbone, scores of both added up",
            "faithful",
            "abstract; official code",
            test=_TESTS + "test_h2rec.py::test_hidden_states_and_scores_are_those_of_two_branches_written_out",
        ),
        Mechanism(
            "SID branch: fusion of granularities, weighted coarse to fine by a gate that sees the hash ID",
            "approximated",
            "official code, dynamic gate",
            "the gate sees each event's own hash vector, not the last event's, so that all positions train in one "
            "pass and an item has one vector; its hidden layer has d units and no dropout, there d/2 and 0.1, and it "
            "does not also read the prior that is added to its logits (1 to 0.2, as there). The branch reads and "
            "scores by the fused codes themselves, where the official code takes their mean and lets hash vectors ask "
            "it by attention",
            test=_TESTS + "test_h2rec.py::test_level_weights_come_from_the_hash_vector_and_favour_coarse_levels",
        ),
        Mechanism(
            "hash branch: cross-attention per level, codes asking for hash vectors, fused by the same weights",
            "approximated",
            "official code, path 1",
            "causal, since every position is trained, and added to the hash vectors instead of replacing them, from 0 "
            "at first; as many heads as the backbone has, there 4",
            test=_TESTS + "test_h2rec.py::test_no_position_sees_a_later_event_and_each_sees_all_earlier_ones",
        ),
        Mechanism(
            "code-guided item-level alignment: InfoNCE between both vectors with items of common codes as positives",
            "approximated",
            "abstract; official code, InfoNCE",
            "weight 0.1 and temperature 0.5 as there. Weight of a positive: the share of levels in the common prefix. "
            "The official code takes items of equal codes and items that occur together, filters them and has options "
            "for hard negatives (5) and debiasing (0.1 of the negatives)",
            test=_TESTS
            + "test_h2rec_alignment.py::test_item_alignment_is_the_weighted_loss_over_the_items_of_the_batch",
        ),
        Mechanism(
            "masked-sequence user-level alignment: the levels of least weight are masked by learned vectors",
            "approximated",
            "summaries; official code, view consistency",
            "InfoNCE over cosines at temperature 0.5, where the official code has inner products at temperature 1 and "
            "soft targets from similarities within each view; weight 0.1 and half of the levels as there, but none of "
            "a single level. Masks begin with deviation 1/sqrt(d), there 0.02",
            test=_TESTS + "test_h2rec_alignment.py::test_user_alignment_contrasts_windows_with_their_masked_versions",
        ),
        Mechanism(
            "SASRec as the backbone, the plain model without the SID branch and with `hash_init: random`",
            "approximated",
            "official code; LLM-ESR, models/SASRec.py",
            "that of `sasrec-ce`; the official one has no causal mask, normalises queries alone, adds to the "
            "normalised input, and has an epsilon of 1e-8, here 1e-5",
            test=_TESTS + "test_h2rec.py::test_without_the_sid_branch_it_is_sasrec_to_the_last_bit",
        ),
        Mechanism(
            "hash vectors that begin as principal components of text embeddings",
            "approximated",
            "official code, `_init_hash_embedding`; README, step 5",
            "of the item features behind the semantic IDs, neither whitened nor scaled, as there; dimensions beyond "
            "the features' are drawn. `hash_init: random` draws all",
            test=_TESTS
            + "test_h2rec_hash_vectors.py::test_hash_vectors_begin_as_principal_components_of_the_item_features",
        ),
        Mechanism(
            "code vectors that begin as the quantizer's codebooks",
            "omitted",
            "official code, models/RQVAEEmbedding.py",
            "drawn with deviation 1/sqrt(d): the centres of RQ-k-means have the features' width, not the network's",
        ),
        Mechanism(
            "embeddings multiplied by sqrt(d) before positions join them",
            "omitted",
            "official code, `_scaled_positional_dropout`",
            "item vectors here are about as long as position vectors, in `sasrec-ce` as in this model",
        ),
        Mechanism(
            "loss at every position",
            "approximated",
            "official code",
            "cross-entropy over the catalogue as in `sasrec-ce`; `loss: bce` is the official code's",
            test=_TESTS + "test_h2rec_alignment.py::test_the_loss_is_cross_entropy_plus_the_weighted_alignments",
        ),
        Mechanism(
            "sizes and initial weights",
            "approximated",
            "official code, main.py; LLM-ESR, models/BaseModel.py",
            "d 64 and 2 blocks as there, 2 heads and not 1, dropout 0.4 and not 0.5, length 100 and not 200; weights "
            "as PyTorch draws them, positions of deviation 1/sqrt(d), there Xavier-normal",
        ),
        features_line(
            "official code, data/yelp/get_item_embedding.ipynb",
            "text-embedding-ada-002 encodes a sentence of an item's attributes in 1,536 dimensions, for codes and hash "
            "vectors",
            H2RecConfig().tokenizer,
        ),
        quantizer_line(
            "official code, DualTrisRec.py, file of codes",
            "RQ-VAE with 4 codebooks of 128 (Yelp)",
            H2RecConfig().tokenizer,
        ),
        optimiser_line(
            "official code, main.py and trainers/semantic_trainer.py",
            "Adam at a constant 0.001, no decay, no clipping, 512 users a step, 100 epochs, the best by NDCG@10 among "
            "100 drawn negatives with a patience of 20",
            H2RecConfig().training,
        ),
    )

    def build(self, train: TrainingData) -> H2RecNetwork:
        return H2RecNetwork(train.n_items, self._ids, self.config, self._features)

    def fit(self, train: TrainingData, context: FitContext) -> None:
        config = self.config
        if config.sid_branch:
            self._ids = tokenize(train, config.tokenizer, context.cache, context.shared_seed)
            record_health(self._ids, config.tokenizer, context)
        if config.hash_branch and config.hash_init == "features":
            self._features = item_features(train, config.tokenizer.features, context.cache)
        super().fit(train, context)
