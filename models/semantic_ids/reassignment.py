"""Zero-collision reassignment: other codes of the last level instead of a token that carries no meaning.

Proposed in "How Reliable Are Semantic-ID Tokenizer Comparisons in Generative Recommendation?" (arXiv 2605.25330) so
that tokenizers can be compared at item level without help from outside; written from its summary.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from bench.errors import BenchError


def without_collisions(
    codes: NDArray[np.int64], features: NDArray[np.float32], codebook_sizes: tuple[int, ...]
) -> NDArray[np.int64]:
    """Gives the items of a common prefix codes of the last level that differ, at the least total cost.

    The cost of a code is the squared distance between its centre and what the levels before leave over of the item's
    features. Centres are the means of the items of a code, whatever quantized them; those of codes without items lie at
    the mean of all. Only prefixes with a collision are touched (Hungarian algorithm).

    Args:
        codes: int64 `[n_items, levels]`.
        features: float32 `[n_items, dims]`.
        codebook_sizes: Codes per level.

    Returns:
        int64 `[n_items, levels]`, all rows different.

    Raises:
        BenchError: A prefix has more items than the last level has codes.
    """
    residual = features.astype(np.float64)
    for level, size in enumerate(codebook_sizes[:-1]):
        residual = residual - _centres(residual, codes[:, level], size)[codes[:, level]]
    centres = _centres(residual, codes[:, -1], codebook_sizes[-1])
    unique = codes.copy()
    for members in _prefixes_with_collisions(codes):
        if len(members) > codebook_sizes[-1]:
            raise BenchError(
                f"tokenizer.disambiguate: {len(members)} items have the same codes before the last level, which has "
                f"{codebook_sizes[-1]}: make the last of tokenizer.codebooks at least {len(members)}, or set "
                "disambiguate: true"
            )
        cost = ((residual[members, None] - centres) ** 2).sum(axis=2)
        unique[members, -1] = linear_sum_assignment(cost)[1]
    return unique


def _centres(residual: NDArray[np.float64], codes: NDArray[np.int64], size: int) -> NDArray[np.float64]:
    """float64 `[size, dims]`."""
    centres = np.tile(residual.mean(axis=0), (size, 1))
    for code in np.unique(codes):
        centres[code] = residual[codes == code].mean(axis=0)
    return centres


def _prefixes_with_collisions(codes: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """The items of each prefix in which two have equal last codes, in the order of the prefixes."""
    _, prefix = np.unique(codes[:, :-1], axis=0, return_inverse=True)
    order = np.argsort(prefix.ravel(), kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(prefix.ravel()[order])) + 1)
    return [members for members in groups if len(np.unique(codes[members, -1])) < len(members)]
