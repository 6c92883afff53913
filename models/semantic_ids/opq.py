"""Optimised product quantisation: digits that say different things, so that all of them can be predicted at once.

Whitened features are rotated and cut into as many parts as there are digits; k-means quantizes each part by itself. The
rotation is the one that quantizes best (Ge et al., CVPR 2013). Used as in RPG (arXiv 2506.05781), whose code asks faiss
for `OPQm,IVF1,PQmx8` of features that a PCA has whitened (genrec/models/RPG/tokenizer.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

ROTATIONS = 20
"""Turns of rotation and k-means; 50 in faiss (`OPQMatrix::niter`), where the error hardly falls any more."""

FIRST_STEPS, STEPS, LAST_STEPS = 40, 4, 25
"""Steps of k-means in the first turn and in the others (`niter_pq_0` and `niter_pq` of `OPQMatrix`), and at the end
(`niter` of `Clustering`)."""

CHUNK_ITEMS = 1 << 14
"""Items whose distances to all centres of a digit are held at a time."""

LEAST_VARIANCE = 1e-8
"""Directions with less than this share of the largest variance are noise of rounding, and left out."""


@dataclass(frozen=True)
class ProductQuantizer:
    """What turns features into digits.

    Attributes:
        mean: float64 `[dims]`.
        rotation: float64 `[dims, digits * width]`, whitening and rotation in one.
        centres: Per digit float64 `[codes, width]`.
    """

    mean: NDArray[np.float64]
    rotation: NDArray[np.float64]
    centres: list[NDArray[np.float64]]

    def codes(self, features: NDArray[np.float32]) -> NDArray[np.int64]:
        """int64 `[n, digits]`: for each part of each row of features the nearest centre."""
        codes = np.empty((len(features), len(self.centres)), dtype=np.int64)
        for start in range(0, len(features), CHUNK_ITEMS):
            rotated = (features[start : start + CHUNK_ITEMS] - self.mean) @ self.rotation
            codes[start : start + CHUNK_ITEMS] = _assigned(_parts(rotated, len(self.centres)), self.centres)
        return codes


def opq(
    features: NDArray[np.float32], codebook_sizes: tuple[int, ...], seed: int, fit_sample: int
) -> NDArray[np.int64]:
    """The digits of all items.

    Args:
        features: float32 `[n_items, dims]`.
        codebook_sizes: Codes per digit; a digit uses no more of them than there are distinct values of its part.
        seed: Of the first rotation, the first centres and the sample.
        fit_sample: A larger catalogue is quantized by a sample of this many items.

    Returns:
        int64 `[n_items, digits]`.
    """
    rng = np.random.default_rng(seed)
    sample = features
    if len(features) > fit_sample:
        sample = features[np.sort(rng.choice(len(features), fit_sample, replace=False))]
    # The order of sums in BLAS depends on its number of threads, and with it the last bits of the result.
    with threadpool_limits(limits=1, user_api="blas"):
        return fit_product_quantizer(sample, codebook_sizes, rng).codes(features)


def fit_product_quantizer(
    features: NDArray[np.float32], codebook_sizes: tuple[int, ...], rng: np.random.Generator
) -> ProductQuantizer:
    """Alternates between k-means in every part and the rotation that brings features nearest to their centres.

    For given centres that rotation is orthogonal Procrustes: with the singular vectors `U S V'` of features' times
    reconstructions it is `U V'` (`OPQMatrix::train`).
    """
    digits = len(codebook_sizes)
    mean, whitening = _whitening(features)
    white = (features - mean) @ whitening
    padded = np.pad(white, ((0, 0), (0, -white.shape[1] % digits)))
    rotation = np.linalg.qr(rng.normal(size=(padded.shape[1], padded.shape[1])))[0]
    parts = _parts(padded @ rotation, digits)
    centres = [_first_centres(part, size, rng) for part, size in zip(parts, codebook_sizes, strict=True)]
    for turn in range(ROTATIONS):
        parts = _parts(padded @ rotation, digits)
        centres = _k_means(parts, centres, STEPS if turn else FIRST_STEPS)
        codes = _assigned(parts, centres)
        reconstructed = np.hstack([centre[codes[:, digit]] for digit, centre in enumerate(centres)])
        left, _, right = np.linalg.svd(padded.T @ reconstructed)
        rotation = left @ right
    centres = _k_means(_parts(padded @ rotation, digits), centres, LAST_STEPS)
    return ProductQuantizer(mean, whitening @ rotation[: whitening.shape[1]], centres)


def _whitening(features: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean `[dims]` and directions `[dims, kept]` along which features have variance 1."""
    mean = features.mean(axis=0, dtype=np.float64)
    variances, directions = np.linalg.eigh((features - mean).T @ (features - mean) / len(features))
    kept = variances > LEAST_VARIANCE * max(variances[-1], np.finfo(np.float64).tiny)
    return mean, directions[:, kept] / np.sqrt(variances[kept])


def _parts(rotated: NDArray[np.float64], digits: int) -> list[NDArray[np.float64]]:
    return np.hsplit(rotated, digits)


def _first_centres(part: NDArray[np.float64], size: int, rng: np.random.Generator) -> NDArray[np.float64]:
    distinct = np.unique(part, axis=0)
    return distinct[rng.choice(len(distinct), min(size, len(distinct)), replace=False)]


def _k_means(
    parts: list[NDArray[np.float64]], centres: list[NDArray[np.float64]], steps: int
) -> list[NDArray[np.float64]]:
    """Centres after some steps; one that no item is nearest to stays where it is."""
    for _ in range(steps):
        codes = _assigned(parts, centres)
        centres = [_means(part, codes[:, digit], centres[digit]) for digit, part in enumerate(parts)]
    return centres


def _means(part: NDArray[np.float64], codes: NDArray[np.int64], centres: NDArray[np.float64]) -> NDArray[np.float64]:
    count = np.bincount(codes, minlength=len(centres))
    members = sp.csr_matrix((np.ones(len(codes)), (codes, np.arange(len(codes)))), (len(centres), len(codes)))
    return np.where(count[:, None] > 0, members @ part / np.maximum(count, 1)[:, None], centres)


def _assigned(parts: list[NDArray[np.float64]], centres: list[NDArray[np.float64]]) -> NDArray[np.int64]:
    """int64 `[n, digits]`: |x - c|^2 without |x|^2, which is the same for all centres."""
    distances = ((centre**2).sum(axis=1) - 2 * part @ centre.T for part, centre in zip(parts, centres, strict=True))
    return np.stack([distance.argmin(axis=1) for distance in distances], axis=1)
