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
        ),
        Mechanism("disambiguation token", "faithful", "section 3.1"),
        Mechanism(
            "bidirectional T5 encoder over 4 tokens per item",
            "approximated",
            "section 3.2",
            "causal encoder with one token per item, the sum of its code embeddings, so that every position is a "
            "training target in one pass",
        ),
        Mechanism("autoregressive decoder over codes, beam search", "faithful", "section 3.2"),
        Mechanism("invalid IDs filtered", "approximated", "section 4.5", "a prefix trie never generates them"),
        Mechanism("hashed user token", "omitted", "section 3.2", "later studies (GRID, 2025) found it useless"),
    )
