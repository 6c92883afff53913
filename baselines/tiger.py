"""TIGER (Rajput et al., NeurIPS 2023, arXiv 2305.05065): generative retrieval over semantic IDs."""

from __future__ import annotations

from bench.recommender import Mechanism
from models.generative import GenerativeRecommender


class Tiger(GenerativeRecommender):
    """TIGER on the shared encoder-decoder: short-term history only."""

    summary = "generates semantic IDs from the short-term history: encoder-decoder, beam search through a prefix trie"
    fidelity = (
        Mechanism(
            "semantic IDs by residual quantization",
            "faithful",
            "section 3.1",
            "RQ-VAE (`tokenizer.method: rq-vae`) or RQ-k-means, which later studies found at least as good",
            test="tests/baselines/test_tiger.py::test_a_cycle_is_learnt_over_semantic_ids_of_any_tokenizer",
        ),
        Mechanism(
            "disambiguation token",
            "faithful",
            "section 3.1",
            test="tests/models/test_semantic_ids.py::test_disambiguated_ids_are_unique_and_keep_their_semantic_codes",
        ),
        Mechanism(
            "bidirectional T5 encoder over 4 tokens per item",
            "approximated",
            "section 3.2",
            "causal encoder with one token per item, the sum of its code embeddings, so that every position is a "
            "training target in one pass",
            test="tests/models/test_generative.py::test_one_pass_over_all_positions_equals_each_target_on_its_own",
        ),
        Mechanism(
            "autoregressive decoder over codes, beam search",
            "faithful",
            "section 3.2",
            "a level's probability is shared by its whole codebook; `normalise: catalogue`, off by default, shares it "
            "among the codes that lead on to an item, `copying`, off by default, with copying codes of the history",
            test="tests/models/test_generative.py::test_step_by_step_generation_equals_teacher_forcing",
        ),
        Mechanism(
            "invalid IDs filtered",
            "approximated",
            "section 4.5",
            "a prefix trie never generates them",
            test="tests/models/test_beam_search.py::test_beams_are_valid_distinct_open_and_best_first",
        ),
        Mechanism(
            "hashed user token",
            "omitted",
            "section 3.2",
            "later studies (GRID, 2025) found it useless",
            test="tests/baselines/test_tiger.py::test_no_part_of_the_network_knows_the_user",
        ),
    )
