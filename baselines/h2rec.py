"""H2Rec (Liu et al., KDD 2026, arXiv 2512.10388): semantic IDs and hash IDs in two branches that are aligned.

A re-implementation from the abstract, second-hand summaries and a reading of the authors' released code
(github.com/ziwliu8/H2Rec, `models/DualTrisRec.py`); the paper's own equations were not at hand. A hash ID is what other
models here call the item id. It gives a popular item a vector of its own; codes, which items share, speak for a rare
one. Each branch reads the history through the same SASRec backbone and scores items by its own vectors, and the scores
add up.
"""

from __future__ import annotations

from baselines.h2rec_network import H2RecConfig, H2RecNetwork
from baselines.next_item import NextItemModel
from bench.data.dataset import TrainingData
from bench.recommender import FitContext, Mechanism
from models.semantic_ids.semantic_ids import SemanticIds
from models.semantic_ids.tokenizer import record_health, tokenize


class H2Rec(NextItemModel):
    """H2Rec, a re-implementation, trained at every position in one pass; it ranks items and generates nothing."""

    Config = H2RecConfig
    config: H2RecConfig
    network: H2RecNetwork | None = None
    _ids: SemanticIds | None = None
    summary = "re-implementation: SASRec over item ids and over semantic IDs in two aligned branches"
    fidelity = (
        Mechanism(
            "dual branches over one backbone, scores of both added up",
            "faithful",
            "abstract; official code",
            test="tests/baselines/test_h2rec.py::test_hidden_states_and_scores_are_those_of_two_branches_written_out",
        ),
        Mechanism(
            "SID branch: fusion of granularities, weighted coarse to fine by a gate that sees the hash ID",
            "approximated",
            "official code, dynamic gate",
            "the gate sees each event's own hash vector, not the last event's, so that all positions train in one pass "
            "and an item has one vector; the branch reads the fused codes themselves, without an attention in between",
            test="tests/baselines/test_h2rec.py::test_level_weights_come_from_the_hash_vector_and_favour_coarse_levels",
        ),
        Mechanism(
            "hash branch: cross-attention per level, codes asking for hash vectors, fused by the same weights",
            "approximated",
            "official code, path 1",
            "causal, since every position is trained, and added to the hash vectors instead of replacing them",
            test="tests/baselines/test_h2rec.py::test_no_position_sees_a_later_event_and_each_sees_all_earlier_ones",
        ),
        Mechanism(
            "code-guided item-level alignment: InfoNCE between both vectors with items of common codes as positives",
            "approximated",
            "abstract; official code, InfoNCE",
            "weight of a positive: the share of levels in the common prefix. The official code takes items of equal "
            "codes and items that occur together, filters them and has options for hard negatives and debiasing",
            test="tests/baselines/test_h2rec.py::test_item_alignment_is_the_weighted_loss_over_the_items_of_the_batch",
        ),
        Mechanism(
            "masked-sequence user-level alignment: the levels of least weight are masked by learned vectors",
            "approximated",
            "summaries; official code, view consistency",
            "InfoNCE over cosines, where the official code has soft targets from similarities within each view",
            test="tests/baselines/test_h2rec.py::test_user_alignment_contrasts_windows_with_their_masked_versions",
        ),
        Mechanism(
            "SASRec as the backbone, the plain model without the SID branch",
            "faithful",
            "official code",
            test="tests/baselines/test_h2rec.py::test_without_the_sid_branch_it_is_sasrec_to_the_last_bit",
        ),
        Mechanism(
            "loss at every position",
            "approximated",
            "official code",
            "cross-entropy over the catalogue as in `sasrec-ce`; `loss: bce` is the official code's",
            test="tests/baselines/test_h2rec.py::test_the_loss_is_cross_entropy_plus_the_weighted_alignments",
        ),
        Mechanism(
            "item vectors that begin as text embeddings, code vectors that begin as the quantizer's codebooks",
            "omitted",
            "official code",
            "all begin at random, as for every model here, so that what differs between rows is the use of the IDs",
        ),
    )

    def build(self, train: TrainingData) -> H2RecNetwork:
        return H2RecNetwork(train.n_items, self._ids, self.config)

    def fit(self, train: TrainingData, context: FitContext) -> None:
        if self.config.sid_branch:
            self._ids = tokenize(train, self.config.tokenizer, context.cache, context.shared_seed)
            record_health(self._ids, self.config.tokenizer, context)
        super().fit(train, context)
