"""Aligned quantisation: balanced parts, the same index in the same direction under every parent, unique IDs."""

import itertools

import numpy as np
import pytest

from bench.errors import BenchError
from models.semantic_ids.gaoq import aligned, balanced_k_means, gaoq, orthogonal_anchors


def test_clusters_are_balanced_and_find_equal_ones() -> None:
    rng = np.random.default_rng(0)
    points = np.repeat(10 * np.eye(3), 4, axis=0) + rng.normal(0, 0.01, (12, 3))
    labels = balanced_k_means(points, 3, np.random.default_rng(4))
    assert [len(set(labels[start : start + 4].tolist())) for start in (0, 4, 8)] == [1, 1, 1]
    crowd = np.vstack([np.zeros((9, 2)), [[5.0, 5.0]]]) + rng.normal(0, 0.01, (10, 2))
    assert sorted(np.bincount(balanced_k_means(crowd, 2, rng)).tolist()) == [5, 5], "no cluster has more than its share"
    assert sorted(balanced_k_means(points[:2], 5, rng).tolist()) == [0, 1]


def test_parts_are_matched_to_the_anchors_of_the_greatest_sum_of_cosines() -> None:
    rng = np.random.default_rng(1)
    points, parts = rng.normal(size=(12, 4)), np.arange(12) % 3
    anchors = orthogonal_anchors(4, 4, rng)
    directions = np.array([points[parts == part].mean(0) for part in range(3)]) - points.mean(0)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    sums = {
        chosen: sum(directions[part] @ anchors[anchor] for part, anchor in enumerate(chosen))
        for chosen in itertools.permutations(range(4), 3)
    }
    assert tuple(aligned(points, parts, anchors)) == max(sums, key=sums.__getitem__)


def test_anchors_are_orthogonal() -> None:
    anchors = orthogonal_anchors(3, 5, np.random.default_rng(0))
    np.testing.assert_allclose(anchors @ anchors.T, np.eye(3), atol=1e-12)
    assert orthogonal_anchors(7, 5, np.random.default_rng(0)).shape == (7, 5)


def test_an_index_means_the_same_direction_under_every_parent() -> None:
    """Two far parents, each with three parts in the same directions: the parts get the same codes under both."""
    rng = np.random.default_rng(0)
    parents, directions = np.array([[50.0, 0, 0, 0], [-50.0, 0, 0, 0]]), np.eye(4)[1:]
    which = [(p, d) for p in range(2) for d in range(3) for _ in range(4)]
    points = np.array([parents[p] + 3 * directions[d] for p, d in which]) + rng.normal(0, 0.01, (24, 4))
    codes = gaoq(points.astype(np.float32), (2, 3, 4), seed=2)
    means: dict[int, set[int]] = {}
    for (_, direction), code in zip(which, codes[:, 1].tolist(), strict=True):
        means.setdefault(code, set()).add(direction)
    assert [len(found) for found in means.values()] == [1, 1, 1]
    assert len(np.unique(codes, axis=0)) == 24


def test_ids_are_unique_reproducible_and_need_room() -> None:
    features = np.random.default_rng(0).normal(size=(90, 6)).astype(np.float32)
    codes = gaoq(features, (4, 5, 6), seed=0)
    assert len(np.unique(codes, axis=0)) == 90
    assert (codes.max(axis=0) < (4, 5, 6)).all()
    assert np.array_equal(codes, gaoq(features, (4, 5, 6), seed=0))
    with pytest.raises(BenchError, match=r"5 items share the codes before the last level, which has 4: make"):
        gaoq(features, (4, 5, 4), seed=0)
