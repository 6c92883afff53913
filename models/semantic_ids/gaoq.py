"""Globally aligned orthogonal quantisation (ReSID, arXiv 2602.02338): codes that mean the same under every parent.

Balanced k-means splits the items of every prefix, and the parts are numbered by direction: global anchors, orthogonal
to one another, each get the part that lies most in their direction from the parent's centre. In the last level every
item is a part of its own, so semantic IDs are unique without a token that carries no meaning. Written from the paper's
text.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from bench.errors import BenchError

STEPS = 20
"""Most steps of balanced k-means."""


def gaoq(features: NDArray[np.float32], codebook_sizes: tuple[int, ...], seed: int) -> NDArray[np.int64]:
    """Codes of all items, different for each.

    Args:
        features: float32 `[n_items, dims]`.
        codebook_sizes: Parts of each prefix, level by level; their product must leave room for every item.
        seed: Of first centres and anchors.

    Returns:
        int64 `[n_items, levels]`.

    Raises:
        BenchError: A prefix has more items than the last level has codes.
    """
    points, rng = features.astype(np.float64), np.random.default_rng(seed)
    codes = np.zeros((len(points), len(codebook_sizes)), dtype=np.int64)
    for level, size in enumerate(codebook_sizes):
        anchors = orthogonal_anchors(size, points.shape[1], rng)
        last = level == len(codebook_sizes) - 1
        for members in _groups(codes[:, :level]):
            if last and len(members) > size:
                raise BenchError(
                    f"tokenizer.codebooks: {len(members)} items share the codes before the last level, which has "
                    f"{size}: make a codebook larger (gaoq gives every item codes of its own)"
                )
            inside = points[members]
            parts = np.arange(len(members)) if last else balanced_k_means(inside, size, rng)
            codes[members, level] = aligned(inside, parts, anchors)[parts] if level else parts
    return codes


def aligned(points: NDArray[np.float64], parts: NDArray[np.int64], anchors: NDArray[np.float64]) -> NDArray[np.int64]:
    """The anchor of each part: the matching with the greatest sum of cosines between anchors and the parts' directions.

    Args:
        points: float64 `[n, dims]`, of one parent.
        parts: int64 `[n]`, numbered from 0.
        anchors: float64 `[at least as many, dims]`, unit vectors.

    Returns:
        int64 `[n_parts]`, different numbers.
    """
    centres = np.array([points[parts == part].mean(axis=0) for part in range(parts.max() + 1)])
    directions = centres - points.mean(axis=0)
    lengths = np.linalg.norm(directions, axis=1, keepdims=True)
    return linear_sum_assignment(-(directions / np.maximum(lengths, 1e-12)) @ anchors.T)[1]


def orthogonal_anchors(size: int, dims: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Unit vectors `[size, dims]`, orthogonal to one another as far as there are dimensions."""
    blocks = [np.linalg.qr(rng.normal(size=(dims, dims)))[0] for _ in range(-(-size // dims))]
    return np.vstack(blocks)[:size]


def balanced_k_means(points: NDArray[np.float64], clusters: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Clusters of nearly equal sizes: none has more than its share of the points, rounded up.

    Args:
        points: float64 `[n, dims]`.
        clusters: At most that many; as many as there are points where these are fewer.
        rng: Chooses the first centres.

    Returns:
        int64 `[n]`, numbered from 0 without gaps.
    """
    clusters = min(clusters, len(points))
    centres = points[rng.choice(len(points), clusters, replace=False)]
    labels = np.full(len(points), -1)
    for _ in range(STEPS):
        before, labels = labels, _balanced(points, centres)
        if np.array_equal(before, labels):
            break
        used = np.unique(labels)
        centres[used] = [points[labels == cluster].mean(axis=0) for cluster in used]
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)


def _balanced(points: NDArray[np.float64], centres: NDArray[np.float64]) -> NDArray[np.int64]:
    """Pairs of a point and a centre, nearest first, are taken as long as the point is free and the centre has room."""
    distance = (centres**2).sum(axis=1) - 2 * points @ centres.T + (points**2).sum(axis=1, keepdims=True)
    room = np.full(len(centres), -(-len(points) // len(centres)))
    labels = np.full(len(points), -1)
    unplaced = len(points)
    for pair in np.argsort(distance, axis=None, kind="stable"):
        point, centre = divmod(int(pair), len(centres))
        if labels[point] < 0 and room[centre]:
            labels[point] = centre
            room[centre] -= 1
            unplaced -= 1
            if not unplaced:
                break
    return labels


def _groups(prefixes: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """The items of each prefix, in the order of the prefixes."""
    _, prefix = np.unique(prefixes, axis=0, return_inverse=True)
    order = np.argsort(prefix.ravel(), kind="stable")
    return np.split(order, np.flatnonzero(np.diff(prefix.ravel()[order])) + 1)
