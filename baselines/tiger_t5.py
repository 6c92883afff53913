"""TIGER (arXiv 2305.05065) on the backbone of the official GLASS code: a bidirectional T5 over code tokens."""

from __future__ import annotations

from baselines.tiger import RQ_VAE, TEXTS, TRAINING
from bench.recommender import Mechanism
from models.fidelity import features_line, optimiser_line, quantizer_line
from models.generation.t5_network import T5GenerativeConfig
from models.generation.t5_recommender import T5Recommender


class TigerT5(T5Recommender):
    """Recommends by TIGER as `glass-official` without its long-term parts: the pair differs in nothing else.

    TIGER's own size is d 128, 4 + 4 layers, 6 heads of 64, d_ff 1024, dropout 0.1, codebooks 3 x 256 and a
    disambiguation token, history of 20 items; the defaults here are the sizes of the official GLASS code.
    """

    summary = "TIGER on the official GLASS code's T5: bidirectional over code tokens, one target per example, no trie"
    role = "baseline"
    group = "semantic ID"
    paper = "Rajput et al., NeurIPS"
    year = 2023
    fidelity = (
        Mechanism(
            "bidirectional T5 encoder-decoder over the code tokens of each item",
            "faithful",
            "section 3.2",
            test="tests/models/generation/test_t5.py::test_encoder_and_teacher_forced_logits_are_those_of_transformers",
        ),
        Mechanism(
            "autoregressive decoder over codes, beam search",
            "faithful",
            "section 3.2",
            test="tests/models/generation/test_t5.py::test_decoding_step_by_step_with_a_cache_is_that_of_transformers",
        ),
        Mechanism(
            "invalid IDs filtered",
            "faithful",
            "section 4.5",
            "after generation; `trie: true` never generates them",
            test="tests/models/glass/test_glass_official.py::test_without_a_trie_invalid_ids_are_counted_and_dropped",
        ),
        features_line("section 4", TEXTS, T5GenerativeConfig().tokenizer),
        quantizer_line("section 3.1; section 4", RQ_VAE, T5GenerativeConfig().tokenizer),
        Mechanism(
            "disambiguation token",
            "approximated",
            "section 3.1",
            "off by default as in the official GLASS code, so that colliding items share an ID; "
            "`tokenizer.disambiguate: true` is TIGER's way, 4 tokens per item",
            test="tests/baselines/test_tiger_t5.py::test_disambiguation_gives_every_item_one_more_token",
        ),
        Mechanism(
            "hashed user token",
            "omitted",
            "section 3.2",
            "later studies (GRID, 2025) found it useless",
        ),
        Mechanism(
            "sizes, initial weights and scale of the output",
            "approximated",
            "section 4: d 128, 4 + 4 layers, 6 heads of 64, feed-forward 1024; T5X's T5",
            "the official GLASS code's: d 96, heads of 32, the last 50 items and not 20, logits that nothing scales (a "
            "T5 with tied embeddings divides by sqrt(d)), weights as PyTorch draws them but for token embeddings of "
            "deviation 0.1 (T5: 1). Between codes distances fall into two-sided buckets, the same up to 8 levels",
            test="tests/models/generation/test_t5.py::test_initial_weights_are_those_that_the_cards_name",
        ),
        optimiser_line("section 4", TRAINING, T5GenerativeConfig().training, "512 targets"),
    )
