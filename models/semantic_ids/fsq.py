"""Finite scalar quantisation (Mentzer et al., ICLR 2024, arXiv 2309.15505): codes without a codebook to learn.

An encoder writes a few numbers for each code; each is bounded and rounded to one of a few levels, and their combination
is the code. Nothing can collapse, since no codebook has to be trained. RecGPT (2025) makes its four tokens so. The
quantizer is `FSQ` of vector-quantize-pytorch, the autoencoder around it the one of RQ-VAE.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.errors import BenchError
from models.semantic_ids.rq_vae import Autoencoder, RQVAEConfig, fewest_collisions, mlp, standardised

MOST_LEVELS, FEWEST_LEVELS = 8, 3
"""Of one number; the paper uses 5 to 8, and more numbers rather than more levels (section 3, table 1)."""


def levels_of(size: int) -> tuple[int, ...]:
    """Levels whose product is a codebook's size, as few numbers as can be, large ones first.

    Raises:
        BenchError: The size is no product of numbers from 3 to 8.
    """
    found = _factors(size, MOST_LEVELS)
    if not found:
        raise BenchError(
            f"tokenizer.codebooks: {size} is no product of numbers from {FEWEST_LEVELS} to {MOST_LEVELS}, of which fsq "
            "makes its codes; try 64, 240, 256 or 1000"
        )
    return found


def _factors(size: int, most: int) -> tuple[int, ...]:
    """The fewest non-increasing factors of a number from `FEWEST_LEVELS` to `most`; empty where there are none."""
    if FEWEST_LEVELS <= size <= most:
        return (size,)
    ways = [
        (level, *rest)
        for level in range(most, FEWEST_LEVELS - 1, -1)
        if size % level == 0 and (rest := _factors(size // level, level))
    ]
    return min(ways, key=len, default=())


class FSQAutoencoder(Autoencoder):
    """Encoder, one finite scalar quantizer a code, and decoder."""

    def __init__(self, dims: int, codebook_sizes: tuple[int, ...], config: RQVAEConfig) -> None:
        from vector_quantize_pytorch import FSQ  # as late as in `rq_vae`

        super().__init__()
        self.quantizers = nn.ModuleList(FSQ(list(levels_of(size))) for size in codebook_sizes)
        self.widths = [len(levels_of(size)) for size in codebook_sizes]
        widths = (dims, *config.hidden, sum(self.widths))
        self.encoder = mlp(widths)
        self.decoder = mlp(widths[::-1])

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Reconstruction loss, and codes int64 `[n, codes]`, of features float32 `[n, dims]`."""
        parts = self.encoder(features).unsqueeze(1).split(self.widths, -1)
        pairs = [quantizer(part) for quantizer, part in zip(self.quantizers, parts, strict=True)]
        quantized = torch.cat([values for values, _ in pairs], -1).squeeze(1)
        codes = torch.cat([indices for _, indices in pairs], -1)
        return F.mse_loss(self.decoder(quantized), features), codes


def fsq(
    features: NDArray[np.float32], codebook_sizes: tuple[int, ...], seed: int, config: RQVAEConfig
) -> NDArray[np.int64]:
    """Trains the autoencoder and returns the codes of the epoch with the fewest collisions (ties: the earlier epoch).

    Args:
        features: float32 `[n_items, dims]`; standardised here.
        codebook_sizes: Codes at each place.
        seed: Of weights and batches.
        config: Hidden widths and training; its latent width and commitment are not asked for.

    Returns:
        int64 `[n_items, codes]`.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return fewest_collisions(
            FSQAutoencoder(features.shape[1], codebook_sizes, config), standardised(features), config
        )
