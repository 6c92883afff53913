"""LETTER (CIKM 2024, arXiv 2405.07314): an RQ-VAE whose codes also follow who uses what, and spread over the codebook.

Losses and constants are those of github.com/HonghuiBao2000/LETTER at commit 0d4a115 (`RQ-VAE/models`, `trainer.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import Field, model_validator
from torch import Tensor

from bench.config import Config
from models.semantic_ids.gaoq import balanced_k_means
from models.semantic_ids.item_vectors import ItemVectorsConfig


class LetterConfig(Config):
    """Says what LETTER adds to the RQ-VAE's loss.

    The two losses move the encoder, and codebooks follow as moving averages of what it makes; in the official code they
    move the codebooks, too, which are learned by gradient there.

    Attributes:
        collaborative_weight: Of the collaborative loss (alpha; the paper's best is about 0.02). 0 leaves it out.
        diversity_weight: Of the diversity loss (beta). 0 leaves it out.
        clusters: Clusters of codes for the diversity loss. They are of equal size here, up to one code; the official
            ones hold 10 to 60 of 256 codes.
        item_vectors: Where the collaborative loss's vectors come from; their width must be the autoencoder's `latent`.
    """

    collaborative_weight: float = Field(default=0.02, ge=0)
    diversity_weight: float = Field(default=1e-4, ge=0)
    clusters: int = Field(default=10, ge=1)
    item_vectors: ItemVectorsConfig

    @model_validator(mode="before")
    @classmethod
    def _with_item_vectors(cls, written: Any) -> Any:
        """A default of the field itself would lay the configuration of its model under that of another one."""
        return {"item_vectors": {}, **written} if isinstance(written, Mapping) else written


def collaborative_loss(quantized: Tensor, vectors: Tensor) -> Tensor:
    """Cross-entropy that finds each item's own vector among those of the batch, by inner product with its codes' sum.

    Args:
        quantized: float32 `[batch, latent]`, the sum of an item's code vectors.
        vectors: float32 `[batch, latent]`, frozen.

    Source: `CF_loss` of `rqvae.py`.

    >>> round(collaborative_loss(torch.eye(2), torch.eye(2)).item(), 4)  # log(1 + exp(-1))
    0.3133
    """
    return F.cross_entropy(quantized @ vectors.T, torch.arange(len(vectors), device=vectors.device))


def diversity_loss(quantized: Tensor, codebook: Tensor, codes: Tensor, positives: Tensor) -> Tensor:
    """Cross-entropy that finds another code of the same cluster among all codes but an item's own, by inner product.

    Args:
        quantized: float32 `[batch, latent]`, the item's code vector of one level.
        codebook: float32 `[codebook_size, latent]`.
        codes: int64 `[batch]`, the items' codes.
        positives: int64 `[batch]`, another code each; -1 where there is none, and nothing to learn.

    Source: `diversity_loss` of `vq.py`.

    >>> codebook = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    >>> code, other = torch.tensor([0]), torch.tensor([1])
    >>> round(diversity_loss(codebook[code], codebook, code, other).item(), 4)  # codes 1 and 2 score 1 and 0
    0.3133
    """
    scores = (quantized @ codebook.T).scatter(1, codes.unsqueeze(1), -torch.inf)
    known = positives >= 0
    if not known.any():
        return scores.new_zeros(())
    return F.cross_entropy(scores[known], positives[known])


class CodeClusters:
    """Clusters of the codes of each level, and another code of the same cluster for each of a batch.

    Args:
        clusters: How many a level.
        seed: Of clusters and draws, which leave the global generators alone.
    """

    def __init__(self, clusters: int, seed: int) -> None:
        self.clusters = clusters
        self._rng = np.random.default_rng(seed)
        self._members: list[list[NDArray[np.int64]]] = []
        self._labels: list[NDArray[np.int64]] = []

    def renew(self, codebooks: list[Tensor]) -> None:
        """Clusters the codes of all levels anew, as the source does every epoch: float32 `[codebook_size, latent]`."""
        points = [codebook.detach().double().numpy() for codebook in codebooks]
        self._labels = [balanced_k_means(level, self.clusters, self._rng) for level in points]
        self._members = [
            [np.flatnonzero(labels == cluster) for cluster in range(labels.max() + 1)] for labels in self._labels
        ]

    def positives(self, level: int, codes: Tensor) -> Tensor:
        """Draws another code of the cluster of each of `codes` int64 `[n]`; -1 where a code is alone in its own."""
        drawn = np.full(len(codes), -1)
        for row, code in enumerate(codes.tolist()):
            members = self._members[level][self._labels[level][code]]
            others = members[members != code]
            if len(others):
                drawn[row] = others[self._rng.integers(len(others))]
        return torch.from_numpy(drawn)
