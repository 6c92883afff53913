"""From a catalogue to its semantic IDs: features, quantizer, collision policy; made once and shared by all runs."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from bench.config import Config
from bench.data.cache import ArtifactCache
from bench.data.dataset import TrainingData
from bench.errors import BenchError
from bench.recommender import FitContext
from models.semantic_ids.fsq import fsq
from models.semantic_ids.gaoq import gaoq
from models.semantic_ids.item_features import FEATURES_VERSION, FeatureConfig, features_source, item_features
from models.semantic_ids.item_vectors import item_vectors, vectors_source
from models.semantic_ids.letter import LetterConfig
from models.semantic_ids.opq import opq
from models.semantic_ids.reassignment import without_collisions
from models.semantic_ids.rq_kmeans import FIT_SAMPLE, rq_kmeans
from models.semantic_ids.rq_vae import RQVAEConfig, rq_vae
from models.semantic_ids.semantic_ids import SemanticIds, collision_rate, level_health, with_disambiguation

VERSION = 1
"""Raise it whenever a change of code changes semantic IDs."""


class TokenizerConfig(Config):
    """Says how items become semantic IDs.

    Attributes:
        method: The quantizer. "opq" and "fsq" make digits that are independent of one another, for models that predict
            all of them at once; the others make levels, coarse to fine. "random" draws codes at random, the control
            that shows what meaning is worth. "gaoq" gives every item codes of its own, so that it needs no token
            (`disambiguate: false`).
        codebooks: Codes per level. A smaller first codebook (the paper's codebook resizing) gives fuller buckets.
        disambiguate: Append a token that makes every semantic ID unique; otherwise items may share one. "reassign": no
            token, but the items of a common prefix get last codes that differ, at the least cost.
        features: What the quantizer reads.
        fit_sample: Used by the methods "rq-kmeans" and "opq" only: a larger catalogue is clustered by a sample of this
            many items.
        rq_vae: Used by method "rq-vae", and, but for `latent` and `beta`, by "fsq". With `letter` the former is
            LETTER's.
        utilisation_floor: Least share of used codes of the first level; below it the codebook has collapsed.
        seed: Of the quantizer. None: the seed that all models of one replicate share. So the spread over seeds holds
            the share of the semantic IDs, while models of one seed read the same ones.
    """

    method: Literal["rq-kmeans", "rq-vae", "gaoq", "opq", "fsq", "random"] = "rq-kmeans"
    codebooks: tuple[int, ...] = Field(default=(64, 128, 128), min_length=1)
    disambiguate: bool | Literal["reassign"] = True
    features: FeatureConfig = FeatureConfig(text_weight=0.4)
    fit_sample: int = Field(default=FIT_SAMPLE, ge=1)
    rq_vae: RQVAEConfig = RQVAEConfig()
    utilisation_floor: float = Field(default=0.2, ge=0, le=1)
    seed: int | None = None

    @model_validator(mode="after")
    def _reassigned_codes_have_residuals(self) -> TokenizerConfig:
        if self.disambiguate == "reassign" and self.method not in ("rq-kmeans", "rq-vae"):
            raise ValueError(f"disambiguate: reassign needs levels that leave residuals, which {self.method} has not")
        return self

    @model_validator(mode="after")
    def _letter_is_an_rq_vae(self) -> TokenizerConfig:
        if self.rq_vae.letter is not None and self.method != "rq-vae":
            raise ValueError(f"rq_vae.letter adds losses to method rq-vae, and {self.method} has none")
        return self

    @property
    def guided(self) -> LetterConfig | None:
        """LETTER's losses, where item vectors of a trained model have a part in them."""
        letter = self.rq_vae.letter
        return letter if letter is not None and letter.collaborative_weight > 0 else None


def tokenize(train: TrainingData, config: TokenizerConfig, cache: ArtifactCache, shared_seed: int = 0) -> SemanticIds:
    """Gives the items of a catalogue their semantic IDs, from the cache where they were made before.

    Args:
        train: Training data; features are made of nothing else.
        config: How items become semantic IDs.
        cache: Shared by all runs.
        shared_seed: Of the quantizer where `config` names none: `FitContext.shared_seed`.

    Raises:
        ValueError: The first codebook collapsed (utilisation under the floor).
    """
    seed = shared_seed if config.seed is None else config.seed
    key: dict[str, Any] = {
        "data": train.n_items if config.method == "random" else features_source(train, config.features),
        "config": config.model_dump(mode="json", exclude={"disambiguate", "utilisation_floor", "seed"}),
        "seed": seed,
        "version": VERSION,
        "features_version": FEATURES_VERSION,
    }
    if config.guided is not None:
        key["item_vectors"] = vectors_source(train, config.guided.item_vectors)

    made = cache.get("semantic_ids", key, lambda: _quantized(train, config, seed, cache))
    codes, seconds = made["codes"], _seconds(made)
    used = len(np.unique(codes[:, 0])) / min(config.codebooks[0], train.n_items)
    if used < config.utilisation_floor:
        raise ValueError(
            f"the first codebook collapsed: {used:.0%} of its codes are used (floor {config.utilisation_floor:.0%}); "
            "try rq-kmeans, other features or a smaller codebook"
        )
    if config.disambiguate == "reassign":

        def reassign() -> dict[str, np.ndarray]:
            features = item_features(train, config.features, cache)
            started = time.perf_counter()
            unique = without_collisions(codes, features, config.codebooks)
            return {"codes": unique, "seconds": np.array(time.perf_counter() - started)}

        again = cache.get("reassigned_semantic_ids", key, reassign)
        return SemanticIds(again["codes"], config.codebooks, codes.shape[1], _seconds(made, again))
    if config.disambiguate:
        return replace(with_disambiguation(codes, config.codebooks), seconds=seconds)
    return SemanticIds(codes, config.codebooks, codes.shape[1], seconds)


def _seconds(*made: dict[str, NDArray[Any]]) -> float | None:
    """How long artifacts took together; None where one was stored before that was noted."""
    return sum(float(one["seconds"]) for one in made) if all("seconds" in one for one in made) else None


def _quantized(
    train: TrainingData, config: TokenizerConfig, seed: int, cache: ArtifactCache
) -> dict[str, NDArray[Any]]:
    """`codes` int64 `[n_items, levels]`, and `seconds`, how long they took once their features were there."""
    sizes = config.codebooks
    if config.method == "random":
        codes = np.random.default_rng(seed).integers(0, sizes, (train.n_items, len(sizes)))
        return {"codes": codes, "seconds": np.array(0.0)}
    features = item_features(train, config.features, cache)
    vectors, waited = _guiding_vectors(train, config, seed, cache)
    started = time.perf_counter()
    if config.method == "gaoq":
        codes = gaoq(features, sizes, seed)
    elif config.method == "fsq":
        codes = fsq(features, sizes, seed, config.rq_vae)
    elif config.method == "opq":
        codes = opq(features, sizes, seed, config.fit_sample)
    elif config.method == "rq-vae":
        codes = rq_vae(features, sizes, seed, config.rq_vae, vectors)
    else:
        codes = rq_kmeans(features, sizes, seed, config.fit_sample)
    return {"codes": codes, "seconds": np.array(time.perf_counter() - started + waited)}


def _guiding_vectors(
    train: TrainingData, config: TokenizerConfig, seed: int, cache: ArtifactCache
) -> tuple[NDArray[np.float32] | None, float]:
    """What LETTER's collaborative loss compares codes with, float32 `[n_items, latent]`, None where it has no weight.

    The second value says how many seconds these vectors took, whenever they were made.

    Raises:
        BenchError: The vectors are not as wide as the autoencoder's latent.
    """
    if config.guided is None:
        return None, 0.0
    latent = config.rq_vae.latent
    vectors, seconds = item_vectors(train, config.guided.item_vectors, seed, cache)
    if vectors.shape[1] != latent:
        raise BenchError(
            f"tokenizer.rq_vae.letter.item_vectors: vectors of width {vectors.shape[1]} meet a latent of {latent}: "
            "make tokenizer.rq_vae.latent as wide as they are, or their model's width (config.dim) the latent's"
        )
    return vectors, seconds


def record_health(ids: SemanticIds, config: TokenizerConfig, context: FitContext) -> None:
    """Writes the health table, the collision rate and the cost of the codes into the run's diagnostics."""
    context.diagnostics["sid_health"] = level_health(ids)
    context.diagnostics["sid"] = {
        "tokenizer": config.method if config.rq_vae.letter is None else "letter",
        "n_items": ids.n_items,
        "unique_sids": int(ids.sid_of_item.max()) + 1,
        "collision_rate": collision_rate(ids.codes[:, : ids.semantic_levels]),
        "seconds": ids.seconds,
    }
