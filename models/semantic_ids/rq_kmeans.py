"""RQ-k-means: each level clusters what the levels before left over (at least as good as RQ-VAE in GRID, CIKM 2025)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans, MiniBatchKMeans

LARGE = 50_000
"""From this many items on, mini-batch k-means takes the place of k-means."""


def rq_kmeans(features: NDArray[np.float32], codebook_sizes: tuple[int, ...], seed: int) -> NDArray[np.int64]:
    """Residual k-means with k-means++ initialisation.

    A level has no more clusters than there are distinct residuals; its remaining codes stay unused and show in the
    health table. scikit-learn moves the centre of an empty cluster to the worst-fitted point, which is the dead-code
    revival of this tokenizer.

    Args:
        features: float32 `[n_items, dims]`.
        codebook_sizes: Clusters per level.
        seed: Of the initialisation.

    Returns:
        int64 `[n_items, levels]`.
    """
    residual = features.astype(np.float64)
    codes = np.empty((len(features), len(codebook_sizes)), dtype=np.int64)
    for level, size in enumerate(codebook_sizes):
        clusters = min(size, len(np.unique(residual.round(9), axis=0)))
        method = MiniBatchKMeans if len(features) >= LARGE else KMeans
        fitted = method(n_clusters=clusters, n_init=1 if level else 3, random_state=seed + level).fit(residual)
        codes[:, level] = fitted.labels_
        residual = residual - fitted.cluster_centers_[fitted.labels_]
    return codes
