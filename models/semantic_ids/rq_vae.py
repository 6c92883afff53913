"""RQ-VAE (TIGER, arXiv 2305.05065, section 3.1): an autoencoder whose bottleneck is a residual quantizer.

The quantizer is `ResidualVQ` of vector-quantize-pytorch: k-means initialisation, moving-average codebooks, revival of
dead codes.
"""

from __future__ import annotations

import copy
import itertools

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from vector_quantize_pytorch import ResidualVQ

from bench.config import Config
from models.semantic_ids.semantic_ids import collision_rate


class RQVAEConfig(Config):
    """Says how wide the autoencoder is and how it is trained.

    Attributes:
        hidden: Widths of the encoder's hidden layers; the decoder mirrors them.
        latent: Width of the quantized vector.
        beta: Weight of the commitment loss.
        epochs: Passes over the catalogue.
        batch_size: Items per step.
        learning_rate: Of AdamW.
        check_every: Epochs between two counts of collisions.
    """

    hidden: tuple[int, ...] = (256, 128)
    latent: int = Field(default=32, ge=1)
    beta: float = Field(default=0.25, ge=0)
    epochs: int = Field(default=300, ge=1)
    batch_size: int = Field(default=1024, ge=1)
    learning_rate: float = Field(default=1e-3, gt=0)
    check_every: int = Field(default=10, ge=1)


class RQVAE(nn.Module):
    """Squeezes features through a residual quantizer and restores them: encoder, quantizer and decoder."""

    def __init__(self, dims: int, codebook_sizes: tuple[int, ...], config: RQVAEConfig) -> None:
        super().__init__()
        widths = (dims, *config.hidden, config.latent)
        self.encoder = mlp(widths)
        self.decoder = mlp(widths[::-1])
        self.quantizer = ResidualVQ(
            dim=config.latent,
            num_quantizers=len(codebook_sizes),
            codebook_size=codebook_sizes,
            kmeans_init=True,
            kmeans_iters=50,
            decay=0.95,
            threshold_ema_dead_code=0.5,
            commitment_weight=config.beta,
            rotation_trick=False,
        )

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Reconstruction plus commitment loss, and codes int64 `[n, levels]`, of features float32 `[n, dims]`."""
        quantized, codes, commitment = self.quantizer(self.encoder(features))
        return F.mse_loss(self.decoder(quantized), features) + commitment.sum(), codes


def rq_vae(
    features: NDArray[np.float32], codebook_sizes: tuple[int, ...], seed: int, config: RQVAEConfig
) -> NDArray[np.int64]:
    """Trains an RQ-VAE and returns the codes of the epoch with the fewest collisions (ties: the earlier epoch).

    Args:
        features: float32 `[n_items, dims]`; standardised here, so that the reconstruction loss weighs all alike.
        codebook_sizes: Codes per level.
        seed: Of weights, batches and k-means.
        config: Widths and training.

    Returns:
        int64 `[n_items, levels]`.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        data = standardised(features)
        model = RQVAE(features.shape[1], codebook_sizes, config)
        model.train()
        with torch.no_grad():  # the first batch sees the whole catalogue, so that k-means initialises from all of it
            model(data)
        return fewest_collisions(model, data, config)


def standardised(features: NDArray[np.float32]) -> Tensor:
    """Features of mean 0, dimension by dimension, and of variance 1, all dimensions together."""
    data = torch.from_numpy(features)
    return (data - data.mean(0)) / data.std().clamp(min=1e-6)


def fewest_collisions(model: nn.Module, data: Tensor, config: RQVAEConfig) -> NDArray[np.int64]:
    """Trains an autoencoder that returns a loss and codes; the codes `[n_items, levels]` of its best epoch."""
    model.train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=config.learning_rate)
    best_rate, best = 2.0, copy.deepcopy(model.state_dict())
    for epoch in range(1, config.epochs + 1):
        for batch in torch.randperm(len(data)).split(config.batch_size):
            loss, _ = model(data[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        if epoch % config.check_every == 0 or epoch == config.epochs:
            rate = collision_rate(_codes(model, data))
            if rate < best_rate:
                best_rate, best = rate, copy.deepcopy(model.state_dict())
    model.load_state_dict(best)
    return _codes(model, data)


@torch.no_grad()
def _codes(model: nn.Module, data: Tensor) -> NDArray[np.int64]:
    model.eval()
    _, codes = model(data)
    model.train()
    return codes.numpy().astype(np.int64)


def mlp(widths: tuple[int, ...]) -> nn.Sequential:
    """Linear layers of these widths with ReLU between them."""
    layers: list[nn.Module] = []
    for index, (inner, outer) in enumerate(itertools.pairwise(widths)):
        if index:
            layers.append(nn.ReLU())
        layers.append(nn.Linear(inner, outer))
    return nn.Sequential(*layers)
