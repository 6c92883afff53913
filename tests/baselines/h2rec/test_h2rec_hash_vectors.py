"""What the hash vectors of H2Rec are before training: principal components of the item features, or drawn."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from h2rec_world import DIM, LENGTH, N_ITEMS, ROWS, SMALL, TOKENIZER, context, cycles, padded, semantic_ids
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA

from baselines import next_item
from baselines.h2rec.model import H2Rec
from baselines.h2rec.network import H2RecConfig, H2RecNetwork, principal_components
from baselines.sasrec import SASRecConfig, SASRecNetwork
from bench.data.cache import ArtifactCache
from bench.data.dataset import ItemTable, TrainingData
from models.semantic_ids.item_features import item_features


def unfitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **config: Any) -> H2RecNetwork:
    """The network as `fit` hands it to training."""
    handed: list[Any] = []
    monkeypatch.setattr(next_item, "fit_network", lambda *args: handed.extend(args))
    H2Rec(SMALL | {"tokenizer": TOKENIZER} | config).fit(titled(), context(tmp_path))
    return handed[1]


def naive_components(features: np.ndarray, dims: int) -> np.ndarray:
    """What the official code calls (data/pca.ipynb): scikit-learn's PCA with no other argument. Signs are free."""
    return PCA(n_components=dims, svd_solver="full").fit_transform(features.astype(np.float64))


@pytest.mark.parametrize("branches", [{}, {"sid_branch": False}], ids=["both", "hash only"])
def test_hash_vectors_begin_as_principal_components_of_the_item_features(
    branches: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Source: `_init_hash_embedding` of the official code reads what PCA(128).fit_transform made of text embeddings."""
    features = {"collaborative_dims": 0, "text_weight": 0.7}
    tokenizer = TOKENIZER | {"features": features}
    network = unfitted(tmp_path, monkeypatch, tokenizer=tokenizer, dim=4, **branches)
    settings = H2RecConfig.model_validate({"tokenizer": tokenizer}).tokenizer.features
    own = item_features(titled(), settings, ArtifactCache(tmp_path))
    assert own.shape[1] > 4
    expected = naive_components(own, 4)
    begun = network.items.weight.detach().numpy()
    np.testing.assert_allclose(np.abs(begun), np.abs(expected), atol=1e-5)
    np.testing.assert_allclose(begun @ begun.T, expected @ expected.T, atol=1e-5)
    assert network.items.weight.requires_grad, "trained further, as in the official code"


def test_dimensions_that_the_features_lack_are_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = TOKENIZER | {"features": {"collaborative_dims": 0, "text_dims": 3}}
    begun = unfitted(tmp_path, monkeypatch, tokenizer=tokenizer).items.weight.detach()
    drawn = unfitted(tmp_path, monkeypatch, tokenizer=tokenizer, hash_init="random").items.weight.detach()
    assert begun.shape == drawn.shape == (N_ITEMS, DIM)
    assert torch.equal(begun[:, 3:], drawn[:, 3:])
    assert not torch.isclose(begun[:, :3], drawn[:, :3]).any()


@pytest.mark.parametrize("weight", [0.1, 3.0])
def test_components_are_neither_whitened_nor_scaled(weight: float) -> None:
    features = weight * np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    components = principal_components(features, 4)
    assert components.dtype == np.float32
    np.testing.assert_allclose(np.abs(components), np.abs(naive_components(features, 4)), atol=1e-4)
    assert np.array_equal(components, principal_components(features, 4))
    assert principal_components(features[:3], 9).shape == (3, 3), "no more axes than items"


@given(
    shape=st.tuples(st.integers(1, 12), st.integers(1, 9)),
    dims=st.integers(1, 10),
    rank=st.integers(0, 3),
    seed=st.integers(0, 999),
)
@settings(deadline=None, max_examples=60, derandomize=True)
def test_components_of_any_features_are_uncorrelated_and_keep_what_pca_keeps(
    shape: tuple[int, int], dims: int, rank: int, seed: int
) -> None:
    """Also of items that are all alike, of fewer items than dimensions, and of features of low rank."""
    rng = np.random.default_rng(seed)
    features = (rng.normal(size=(shape[0], rank)) @ rng.normal(size=(rank, shape[1])) + 1).astype(np.float32)
    components = principal_components(features, dims)
    assert components.shape == (shape[0], min(dims, *shape[::-1]))
    assert np.isfinite(components).all()
    moments = components.T.astype(np.float64) @ components
    singular = np.linalg.svd(features - features.mean(0), compute_uv=False)
    expected = np.zeros(components.shape[1])
    expected[: len(singular)] = singular[: len(expected)] ** 2
    np.testing.assert_allclose(moments, np.diag(expected), atol=1e-3)


def test_a_catalogue_without_texts_begins_from_what_occurs_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed: list[Any] = []
    monkeypatch.setattr(next_item, "fit_network", lambda *args: handed.extend(args))
    config = SMALL | {"tokenizer": TOKENIZER}
    H2Rec(config).fit(cycles(), context(tmp_path))
    own = item_features(cycles(), H2RecConfig.model_validate(config).tokenizer.features, ArtifactCache(tmp_path))
    width = min(own.shape[1], DIM)
    begun = handed[1].items.weight.detach().numpy()[:, :width]
    expected = naive_components(own, width)
    np.testing.assert_allclose(begun @ begun.T, expected @ expected.T, atol=1e-5)


def test_the_hash_branch_begins_as_sasrec() -> None:
    torch.manual_seed(4)
    plain = SASRecNetwork(N_ITEMS, SASRecConfig.model_validate(SMALL)).eval()
    torch.manual_seed(4)
    ours = H2RecNetwork(N_ITEMS, semantic_ids(), H2RecConfig.model_validate(SMALL)).eval()
    times = torch.zeros(len(ROWS), LENGTH, dtype=torch.long)
    assert torch.equal(ours(padded(ROWS), times)[..., :DIM], plain(padded(ROWS), times))


def titled() -> TrainingData:
    """The cycles, of items with names."""
    plain = cycles()
    titles = pd.DataFrame({"title": [f"part{item // 3} kind{item % 4} number{item}" for item in range(N_ITEMS)]})
    return TrainingData(plain.interactions, ItemTable(titles, ("title",), None), False, "titled cycles")
