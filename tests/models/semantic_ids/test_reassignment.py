"""Reassignment: no two items share codes, at the least cost that trying everything finds, and nothing else moves."""

import itertools

import numpy as np
import pytest

from bench.errors import BenchError
from models.semantic_ids.reassignment import without_collisions
from models.semantic_ids.rq_kmeans import rq_kmeans


def residual_and_centres(codes: np.ndarray, features: np.ndarray, sizes: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    residual = features.astype(float)
    for level in range(codes.shape[1] - 1):
        means = {code: residual[codes[:, level] == code].mean(0) for code in set(codes[:, level].tolist())}
        residual = residual - np.array([means[code] for code in codes[:, level]])
    last = codes[:, -1]
    centres = [
        residual[last == code].mean(0) if (last == code).any() else residual.mean(0) for code in range(sizes[-1])
    ]
    return residual, np.array(centres)


def test_items_of_a_prefix_get_the_cheapest_codes_that_differ() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(9, 3)).astype(np.float32)
    codes = np.array([[0, 1], [0, 1], [0, 1], [0, 2], [1, 0], [1, 0], [1, 3], [2, 1], [2, 2]])
    sizes = (3, 4)
    unique = without_collisions(codes, features, sizes)
    residual, centres = residual_and_centres(codes, features, sizes)
    for members in ([0, 1, 2, 3], [4, 5, 6]):
        costs = {
            chosen: sum(
                ((residual[item] - centres[code]) ** 2).sum() for item, code in zip(members, chosen, strict=True)
            )
            for chosen in itertools.permutations(range(4), len(members))
        }
        assert tuple(unique[members, 1]) == min(costs, key=costs.__getitem__)
    assert np.array_equal(unique[:, 0], codes[:, 0])
    assert np.array_equal(unique[7:], codes[7:]), "a prefix without a collision keeps its codes"
    assert len(np.unique(unique, axis=0)) == 9


def test_a_clustered_catalogue_has_no_collisions_afterwards() -> None:
    features = np.random.default_rng(1).normal(size=(200, 5)).astype(np.float32)
    codes = rq_kmeans(features, (8, 40), seed=0)
    assert len(np.unique(codes, axis=0)) < 200
    unique = without_collisions(codes, features, (8, 40))
    assert len(np.unique(unique, axis=0)) == 200
    assert unique.max() < 40
    assert np.array_equal(unique[:, 0], codes[:, 0])


def test_too_small_a_last_codebook_is_said() -> None:
    codes, features = np.zeros((5, 2), dtype=np.int64), np.zeros((5, 2), dtype=np.float32)
    with pytest.raises(BenchError, match=r"5 items have the same codes before the last level, which has 4: make the"):
        without_collisions(codes, features, (3, 4))
