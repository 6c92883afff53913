"""RQ-k-means: each level clusters what the levels before left over (at least as good as RQ-VAE in GRID, CIKM 2025)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans, MiniBatchKMeans

LARGE = 50_000
"""From this many items on, mini-batch k-means takes the place of k-means."""

FIT_SAMPLE = 200_000
"""Clusters are fitted to at most this many items by default."""

_CHUNK_ITEMS = 1 << 16
"""Items that are assigned to clusters at a time."""


def rq_kmeans(
    features: NDArray[np.float32], codebook_sizes: tuple[int, ...], seed: int, fit_sample: int = FIT_SAMPLE
) -> NDArray[np.int64]:
    """Quantizes features by residual k-means with k-means++ initialisation.

    A level has no more clusters than there are distinct residuals; its remaining codes stay unused and show in the
    health table. scikit-learn moves the centre of an empty cluster to the worst-fitted point, which is the dead-code
    revival of this tokenizer.

    A catalogue of more than `fit_sample` items is clustered by a random sample of that size; all its items are then
    assigned to the nearest centres, chunk by chunk.

    Args:
        features: float32 `[n_items, dims]`.
        codebook_sizes: Clusters per level.
        seed: Of the initialisation and the sample.
        fit_sample: Largest number of items that clusters are fitted to.

    Returns:
        int64 `[n_items, levels]`.
    """
    if len(features) <= fit_sample:
        return _fit(features, codebook_sizes, seed)[0]
    chosen = np.sort(np.random.default_rng(seed).choice(len(features), fit_sample, replace=False))
    _, centres = _fit(features[chosen], codebook_sizes, seed)
    codes = np.empty((len(features), len(codebook_sizes)), dtype=np.int64)
    for start in range(0, len(features), _CHUNK_ITEMS):
        codes[start : start + _CHUNK_ITEMS] = assign(features[start : start + _CHUNK_ITEMS], centres)
    return codes


def assign(features: NDArray[np.float32], centres: Sequence[NDArray[np.float32]]) -> NDArray[np.int64]:
    """Returns the nearest centre of each level for what the levels before left over.

    Args:
        features: float32 `[n, dims]`.
        centres: Per level float32 `[clusters, dims]`.

    Returns:
        int64 `[n, levels]`.
    """
    residual = features
    codes = np.empty((len(features), len(centres)), dtype=np.int64)
    for level, centre in enumerate(centres):
        # |x - c|^2 without |x|^2, which is the same for all centres.
        codes[:, level] = ((centre**2).sum(axis=1) - 2 * residual @ centre.T).argmin(axis=1)
        residual = residual - centre[codes[:, level]]
    return codes


def _fit(
    features: NDArray[np.float32], codebook_sizes: tuple[int, ...], seed: int
) -> tuple[NDArray[np.int64], list[NDArray[np.float32]]]:
    """Clusters level by level: codes of the items `[n, levels]`, and the centres of each level."""
    residual = features.astype(np.float64)
    codes = np.empty((len(features), len(codebook_sizes)), dtype=np.int64)
    centres = []
    for level, size in enumerate(codebook_sizes):
        clusters = min(size, _distinct(residual, size))
        method = MiniBatchKMeans if len(features) >= LARGE else KMeans
        fitted = method(n_clusters=clusters, n_init=1 if level else 3, random_state=seed + level).fit(residual)
        codes[:, level] = fitted.labels_
        residual = residual - fitted.cluster_centers_[fitted.labels_]
        centres.append(fitted.cluster_centers_.astype(np.float32))
    return codes, centres


def _distinct(rows: NDArray[np.float64], enough: int) -> int:
    """Counts distinct rows up to rounding; any number from `enough` on may stand for a larger one."""
    for looked_at in (8 * enough, len(rows)):  # sorting all rows of a large catalogue takes longer than clustering them
        distinct = len(np.unique(rows[:looked_at].round(9), axis=0))
        if distinct >= enough:
            break
    return distinct
