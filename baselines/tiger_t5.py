"""TIGER (arXiv 2305.05065) on the backbone of the official GLASS code: a bidirectional T5 over code tokens."""

from __future__ import annotations

from bench.recommender import Mechanism
from models.t5_generative import T5Recommender


class TigerT5(T5Recommender):
    """TIGER as `glass-official` without its long-term parts: the pair differs in nothing else.

    TIGER's own size is d 128, 4 + 4 layers, 6 heads of 64, d_ff 1024, dropout 0.1, codebooks 3 x 256 and a
    disambiguation token, history of 20 items; the defaults here are the sizes of the official GLASS code.
    """

    summary = "TIGER as in its paper: bidirectional T5 over code tokens, one target per example, invalid IDs filtered"
    fidelity = (
        Mechanism(
            "bidirectional T5 encoder-decoder over the code tokens of each item",
            "faithful",
            "section 3.2",
            test="tests/models/test_t5.py::test_encoder_and_teacher_forced_logits_are_those_of_transformers",
        ),
        Mechanism(
            "autoregressive decoder over codes, beam search",
            "faithful",
            "section 3.2",
            test="tests/models/test_t5.py::test_decoding_step_by_step_with_a_cache_is_that_of_transformers",
        ),
        Mechanism(
            "invalid IDs filtered",
            "faithful",
            "section 4.5",
            "after generation; `trie: true` never generates them",
            test="tests/models/test_glass_official.py::test_without_a_trie_invalid_ids_are_counted_and_dropped",
        ),
        Mechanism(
            "semantic IDs by residual quantization",
            "faithful",
            "section 3.1",
            "RQ-VAE (`tokenizer.method: rq-vae`) or RQ-k-means, which later studies found at least as good",
            test="tests/baselines/test_tiger_t5.py::test_a_cycle_is_learnt",
        ),
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
            "training: 200,000 steps with inverse square root decay",
            "approximated",
            "section 4",
            "AdamW with warm-up and cosine, as for every generative model here",
        ),
    )
