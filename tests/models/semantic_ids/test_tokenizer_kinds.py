"""Tokenizers behind the one interface: digits and reassignment; what is written of the default stays as it was."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from bench.data.cache import ArtifactCache
from bench.data.dataset import ItemTable, TrainingData
from bench.data.interactions import Interactions
from models.semantic_ids.tokenizer import TokenizerConfig, tokenize


def training_data() -> TrainingData:
    """Forty items of which pairs have equal texts, and what is known of them besides."""
    items = np.random.default_rng(1).integers(0, 40, 400).astype(np.int32)
    interactions = Interactions(items, np.arange(400, dtype=np.int64), np.arange(0, 401, 20, dtype=np.int64), 40)
    titles = pd.DataFrame(
        {"title": [f"word{item // 2 % 5} other{item // 2 % 4} name{item // 2}" for item in range(40)]}
    )
    return TrainingData(interactions, ItemTable(titles, ("title",), None), False, "pairs")


def config(**changed: Any) -> TokenizerConfig:
    features = {"text_dims": 8, "collaborative_dims": 0}
    return TokenizerConfig.model_validate({"codebooks": (4, 40), "features": features} | changed)


def test_the_default_configuration_reads_as_it_always_did() -> None:
    """Keys of runs hash it: a field more, or another default, and every stored run would have to be made again."""
    written = TokenizerConfig().model_dump(mode="json")
    assert list(written) == [
        *("method", "codebooks", "disambiguate", "features", "fit_sample", "rq_vae", "utilisation_floor", "seed"),
    ]
    assert (written["method"], written["disambiguate"], written["codebooks"]) == ("rq-kmeans", True, [64, 128, 128])
    assert written["disambiguate"] is True


def test_reassigned_ids_are_unique_without_a_token(tmp_path: Path) -> None:
    train, cache = training_data(), ArtifactCache(tmp_path)
    shared = tokenize(train, config(disambiguate=False), cache)
    assert len(np.unique(shared.codes, axis=0)) == 20, "items of equal texts share codes"
    unique = tokenize(train, config(disambiguate="reassign"), cache)
    assert unique.codes.shape == (40, 2)
    assert len(np.unique(unique.codes, axis=0)) == 40
    assert (unique.codebook_sizes, unique.semantic_levels) == ((4, 40), 2)
    assert np.array_equal(unique.codes[:, 0], shared.codes[:, 0])
    assert np.array_equal(tokenize(train, config(disambiguate="reassign"), cache).codes, unique.codes)
    assert np.array_equal(tokenize(train, config(disambiguate=False), cache).codes, shared.codes)


def test_digits_come_through_the_same_door(tmp_path: Path) -> None:
    ids = tokenize(
        training_data(), config(method="opq", codebooks=(8,) * 4, disambiguate=False), ArtifactCache(tmp_path)
    )
    assert (ids.codes.shape, ids.codebook_sizes, ids.semantic_levels) == ((40, 4), (8,) * 4, 4)
    assert np.array_equal(ids.codes[::2], ids.codes[1::2]), "items of equal texts have equal digits"
    assert len(np.unique(ids.codes, axis=0)) == 20


def test_finite_scalar_codes_come_through_the_same_door(tmp_path: Path) -> None:
    fsq = config(method="fsq", codebooks=(8, 15), rq_vae={"hidden": (16,), "epochs": 5, "check_every": 5})
    ids = tokenize(training_data(), fsq, ArtifactCache(tmp_path))
    assert (ids.codes.shape, ids.codebook_sizes[:2], ids.semantic_levels) == ((40, 3), (8, 15), 2)
    assert np.array_equal(ids.codes[::2, :2], ids.codes[1::2, :2]), "items of equal texts have equal codes"
    assert len(np.unique(ids.codes, axis=0)) == 40, "which a token tells apart"


def test_aligned_ids_are_unique_without_a_token(tmp_path: Path) -> None:
    gaoq = config(method="gaoq", codebooks=(3, 4, 4), disambiguate=False)
    ids = tokenize(training_data(), gaoq, ArtifactCache(tmp_path))
    assert (ids.codes.shape, ids.codebook_sizes, ids.semantic_levels) == ((40, 3), (3, 4, 4), 3)
    assert len(np.unique(ids.codes, axis=0)) == 40


@pytest.mark.parametrize("method", ["gaoq", "opq", "fsq", "random"])
def test_only_levels_that_leave_residuals_are_reassigned(method: str) -> None:
    with pytest.raises(ValidationError, match=f"reassign needs levels that leave residuals, which {method} has not"):
        config(method=method, disambiguate="reassign")
