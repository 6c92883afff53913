"""Product quantisation finds planted digits, beats a random rotation, and gives the same codes again."""

import itertools

import numpy as np
import pytest

from models.semantic_ids import opq as module
from models.semantic_ids.opq import ProductQuantizer, fit_product_quantizer, opq


def planted() -> tuple[np.ndarray, np.ndarray]:
    """All combinations of three digits of four values each, mixed by a rotation and a scale; and the digits."""
    digits = np.array(list(itertools.product(range(4), repeat=3)))
    rng = np.random.default_rng(0)
    corners = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]])
    parts = np.hstack([corners[digits[:, digit]] for digit in range(3)])
    mixed = parts @ np.linalg.qr(rng.normal(size=(6, 6)))[0] * 3 + rng.normal(0, 0.01, (64, 6))
    return mixed.astype(np.float32), digits


def same_partition(left: np.ndarray, right: np.ndarray) -> bool:
    pairs = set(zip(left.tolist(), right.tolist(), strict=True))
    return len(pairs) == len(set(left.tolist())) == len(set(right.tolist()))


def error(quantizer: ProductQuantizer, features: np.ndarray) -> float:
    rotated = (features - quantizer.mean) @ quantizer.rotation
    codes = quantizer.codes(features)
    reconstructed = np.hstack([centre[codes[:, digit]] for digit, centre in enumerate(quantizer.centres)])
    return float(((rotated - reconstructed) ** 2).sum(axis=1).mean())


def test_codes_are_the_nearest_centres_of_the_parts_of_whitened_and_rotated_features() -> None:
    rng = np.random.default_rng(0)
    features = (rng.normal(size=(60, 5)) @ rng.normal(size=(5, 5)) + 3).astype(np.float32)
    quantizer = fit_product_quantizer(features, (4, 3), np.random.default_rng(0))
    assert quantizer.rotation.shape == (5, 6), "padded to two parts of three"
    rotated = (features - quantizer.mean) @ quantizer.rotation
    np.testing.assert_allclose(quantizer.rotation @ quantizer.rotation.T, np.linalg.inv(np.cov(features.T, bias=True)))
    for row, codes in zip(rotated, quantizer.codes(features), strict=True):
        for part, centres, code in zip((row[:3], row[3:]), quantizer.centres, codes, strict=True):
            assert code == np.argmin([((part - centre) ** 2).sum() for centre in centres])


def test_rotation_makes_the_quantizer_better(monkeypatch: pytest.MonkeyPatch) -> None:
    features, _ = planted()
    turned = error(fit_product_quantizer(features, (4, 4, 4), np.random.default_rng(1)), features)
    monkeypatch.setattr(module, "ROTATIONS", 0)
    unturned = error(fit_product_quantizer(features, (4, 4, 4), np.random.default_rng(1)), features)
    assert turned < 0.8 * unturned


def test_it_is_deterministic_and_its_seed_matters() -> None:
    noise = np.random.default_rng(0).normal(size=(120, 6)).astype(np.float32)
    first = opq(noise, (8, 8, 8), 0, 1000)
    assert first.dtype == np.int64
    assert first.shape == (120, 3)
    assert np.array_equal(first, opq(noise, (8, 8, 8), 0, 1000))
    assert not np.array_equal(first, opq(noise, (8, 8, 8), 1, 1000))


def test_more_codes_than_values_and_more_digits_than_dimensions_are_no_matter() -> None:
    features = np.repeat(np.eye(3, dtype=np.float32), 4, axis=0)
    codes = opq(features, (8,) * 5, 0, 1000)
    assert codes.shape == (12, 5)
    assert codes.max() < 3
    assert same_partition(np.unique(codes, axis=0, return_inverse=True)[1].ravel(), np.repeat(np.arange(3), 4))
    assert not opq(np.ones((5, 3), dtype=np.float32), (4, 4), 0, 1000).any(), "equal items have equal codes"


def test_a_large_catalogue_is_quantized_by_a_sample_and_all_of_it_has_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK_ITEMS", 7)
    features, _ = planted()
    codes = opq(features, (4, 4, 4), 0, fit_sample=40)
    assert codes.shape == (64, 3)
    assert len(np.unique(codes, axis=0)) > 30
    assert np.array_equal(opq(features, (4, 4, 4), 0, 64), opq(features, (4, 4, 4), 0, 1000))
