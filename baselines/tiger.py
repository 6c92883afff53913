"""TIGER (Rajput et al., NeurIPS 2023, arXiv 2305.05065): generative retrieval over semantic IDs."""

from __future__ import annotations

from bench.recommender import Mechanism
from models.fidelity import features_line, network_line, optimiser_line, quantizer_line
from models.generation.causal_recommender import CausalRecommender
from models.generation.config import GenerativeConfig

TEXTS = "Sentence-T5 encodes title, price, brand and categories in 768 dimensions, and nothing else is known of an item"
"""What TIGER knows of items (section 4)."""

RQ_VAE = (
    "RQ-VAE with hidden layers 512-256-128 and a latent of 32, three codebooks of 256 learned by gradient, k-means on "
    "the first batch, commitment 0.25, Adagrad 0.4, 20,000 epochs of 1,024 items"
)
"""How TIGER quantizes (section 4)."""

TRAINING = "200,000 steps of 256 targets at rate 0.01, after 10,000 steps along an inverse square root"
"""How TIGER is trained (section 4); the optimiser isn't named."""


class Tiger(CausalRecommender):
    """Recommends by TIGER on the shared encoder-decoder, from the short-term history only."""

    summary = "generates semantic IDs from the short-term history: encoder-decoder, beam search through a prefix trie"
    role = "baseline"
    group = "semantic ID"
    paper = "Rajput et al., NeurIPS"
    year = 2023
    fidelity = (
        features_line("section 4", TEXTS, GenerativeConfig().tokenizer),
        quantizer_line("section 3.1; section 4", RQ_VAE, GenerativeConfig().tokenizer),
        Mechanism(
            "disambiguation token",
            "faithful",
            "section 3.1",
            test="tests/models/semantic_ids/test_semantic_ids.py::test_disambiguated_ids_are_unique_and_keep_their_semantic_codes",
        ),
        Mechanism(
            "bidirectional T5 encoder over 4 tokens per item",
            "approximated",
            "section 3.2",
            "causal encoder with one token per item, the sum of its code embeddings, so that every position is a "
            "training target in one pass; it reads the last 50 items, where the paper reads 20",
            test="tests/models/generation/test_generative.py::test_one_pass_over_all_positions_equals_each_target_on_its_own",
        ),
        network_line("section 4: d 128, 4 + 4 layers, 6 heads of 64, feed-forward 1024", GenerativeConfig().network),
        Mechanism(
            "autoregressive decoder over codes, beam search",
            "faithful",
            "section 3.2",
            "a level's probability is shared by its whole codebook; `normalise: catalogue`, off by default, shares it "
            "among the codes that lead on to an item, `copying`, off by default, with copying codes of the history",
            test="tests/models/generation/test_generative.py::test_step_by_step_generation_equals_teacher_forcing",
        ),
        Mechanism(
            "invalid IDs filtered",
            "approximated",
            "section 4.5",
            "a prefix trie never generates them",
            test="tests/models/generation/test_beam_search.py::test_beams_are_valid_distinct_open_and_best_first",
        ),
        Mechanism(
            "hashed user token",
            "omitted",
            "section 3.2",
            "later studies (GRID, 2025) found it useless",
            test="tests/baselines/test_tiger.py::test_no_part_of_the_network_knows_the_user",
        ),
        optimiser_line("section 4", TRAINING, GenerativeConfig().training),
    )
