"""Lines that many fidelity cards share: what items are known by, how they are quantized, sized and trained.

Numbers come from the default configurations, so that a card can't go stale.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.recommender import Mechanism

if TYPE_CHECKING:  # a model without semantic IDs need not load what makes them
    from models.generation.transformer import Seq2SeqConfig
    from models.semantic_ids.tokenizer import TokenizerConfig
    from models.training.loop import TrainingConfig


def features_line(source: str, theirs: str, config: TokenizerConfig) -> Mechanism:
    """Writes the line on what semantic IDs are made from; never "faithful" while the default knows co-occurrences.

    Args:
        source: Where the original says what it reads.
        theirs: What it reads, a clause.
        config: The model's default tokenizer.
    """
    features = config.features
    assert features.collaborative_dims, "a default that reads texts alone deserves another line"
    return Mechanism(
        "item features behind the semantic IDs",
        "approximated",
        source,
        f"{theirs}. By default features here also know which items occur together in training histories "
        f"(`tokenizer.features.collaborative_dims` {features.collaborative_dims}, weight "
        f"{features.collaborative_weight:g}; 0 leaves that out), which no text says; texts are TF-IDF and SVD to "
        f"{features.text_dims} dimensions, weight {features.text_weight:g}; vectors that ship with the data join them. "
        "Every part is scaled to unit length before it is weighted",
        test="tests/models/semantic_ids/test_tokenizer.py::test_default_codes_know_which_items_occur_together_and_text_alone_does_not",
    )


def quantizer_line(source: str, theirs: str, config: TokenizerConfig) -> Mechanism:
    """Writes the line on how features become codes.

    Args:
        source: Where the original says how it quantizes.
        theirs: Its quantizer and that one's constants, a clause.
        config: The model's default tokenizer.
    """
    vae, sizes = config.rq_vae, " x ".join(map(str, config.codebooks))
    hidden = "-".join(map(str, vae.hidden))
    return Mechanism(
        "quantizer behind the semantic IDs",
        "approximated",
        source,
        f"{theirs}. Here {config.method} is the default, {sizes} codes, k-means++ per level. "
        f"`tokenizer.method: rq-vae` is an autoencoder {hidden} to {vae.latent} of standardised features, whose "
        "codebooks are moving averages (decay 0.95, codes below 0.5 items a batch revived) and begin from k-means over "
        f"the catalogue (50 iterations), commitment {vae.beta:g}, AdamW {vae.learning_rate:g}, constant, {vae.epochs} "
        f"epochs of {vae.batch_size} items, fewest collisions kept",
    )


def network_line(source: str, config: Seq2SeqConfig) -> Mechanism:
    """Writes the line on sizes, constants and initial weights of the causal encoder-decoder."""
    return Mechanism(
        "sizes, constants and initial weights of the encoder-decoder",
        "approximated",
        source,
        f"d {config.dim}, {config.encoder_layers} + {config.decoder_layers} layers, {config.heads} heads, feed-forward "
        f"{config.feed_forward}, dropout {config.dropout:g} of embeddings and sub-layer outputs alone. Unlike T5: "
        "scores are divided by the root of the head's width; one learned bias for each distance, in no buckets, also "
        "in cross-attention and not between codes; a start token; RMSNorm's epsilon is float32's 1.2e-7 (T5: 1e-6); a "
        "table for each level, tied to an output that nothing scales and drawn with deviation 1/sqrt(d) (T5: 1, output "
        "divided by sqrt(d)); other weights as PyTorch draws them",
        test="tests/models/generation/test_generative.py::test_one_pass_over_all_positions_equals_each_target_on_its_own",
    )


def optimiser_line(source: str, theirs: str, config: TrainingConfig, batch: str | None = None) -> Mechanism:
    """Writes the line on training.

    Args:
        source: Where the original says how it is trained.
        theirs: How, a clause.
        config: The model's default training.
        batch: What one step sees; None where `config.batch_events` says it.
    """
    step = batch or f"{config.batch_events} events"
    average = f", moving average {config.average:g} of the weights" if config.average else ""
    return Mechanism(
        "optimiser, schedule and stopping",
        "approximated",
        source,
        f"{theirs}. Here, as for every model of this suite: AdamW (betas 0.9 and {config.beta2:g}, epsilon 1e-8), "
        f"weight decay {config.weight_decay:g} on matrices, rate {config.learning_rate:g} after {config.warmup_steps} "
        f"steps of warm-up and then along a cosine to a tenth, gradients clipped at {config.gradient_norm:g}{average}, "
        f"at most {config.epochs} epochs, {step} a step, the best of the validations by NDCG@10 with a patience of "
        f"{config.patience}",
        test="tests/models/training/test_training.py::test_the_learning_rate_warms_up_and_falls_to_a_tenth_along_a_cosine",
    )
