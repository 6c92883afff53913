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

from bench.config import Config, added_field
from models.semantic_ids.letter import CodeClusters, LetterConfig, collaborative_loss, diversity_loss
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
        letter: LETTER's losses, of method "rq-vae" only; `{}` has its weights. None: without them.
    """

    hidden: tuple[int, ...] = (256, 128)
    latent: int = Field(default=32, ge=1)
    beta: float = Field(default=0.25, ge=0)
    epochs: int = Field(default=300, ge=1)
    batch_size: int = Field(default=1024, ge=1)
    learning_rate: float = Field(default=1e-3, gt=0)
    check_every: int = Field(default=10, ge=1)
    letter: LetterConfig | None = added_field(None)


class Autoencoder(nn.Module):
    """What `fewest_collisions` trains: its forward pass gives the loss and the codes of features."""

    def begin_epoch(self) -> None:
        """Is called before each pass over the catalogue."""

    def loss(self, features: Tensor, items: Tensor) -> Tensor:
        """The loss of a batch of features float32 `[n, dims]`, those of `items` int64 `[n]`."""
        loss: Tensor = self(features)[0]
        return loss


class RQVAE(Autoencoder):
    """Squeezes features through a residual quantizer and restores them: encoder, quantizer and decoder."""

    def __init__(self, dims: int, codebook_sizes: tuple[int, ...], config: RQVAEConfig) -> None:
        super().__init__()
        from vector_quantize_pytorch import ResidualVQ  # a second of imports, which a run with IDs made before spares

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
        _, _, codes, loss = self.squeezed(features)
        return loss, codes

    def squeezed(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What becomes of features float32 `[n, dims]` on their way.

        Returns:
            Latent vectors float32 `[n, latent]`, the same quantized, codes int64 `[n, levels]`, and the loss:
            reconstruction plus commitment.
        """
        latent = self.encoder(features)
        quantized, codes, commitment = self.quantizer(latent)
        return latent, quantized, codes, F.mse_loss(self.decoder(quantized), features) + commitment.sum()

    def codebooks(self) -> list[Tensor]:
        """float32 `[codebook_size, latent]` per level."""
        return [level.codebook for level in self.quantizer.layers]


class LetterRQVAE(RQVAE):
    """Adds LETTER's two losses.

    Args:
        dims, codebook_sizes, config: As for `RQVAE`.
        letter: Weights and clusters.
        vectors: float32 `[n_items, latent]`, for the collaborative loss. None where it has no weight.
        seed: Of the clusters of codes.
    """

    def __init__(
        self,
        dims: int,
        codebook_sizes: tuple[int, ...],
        config: RQVAEConfig,
        letter: LetterConfig,
        vectors: NDArray[np.float32] | None,
        seed: int,
    ) -> None:
        super().__init__(dims, codebook_sizes, config)
        self.letter = letter
        self.vectors = None if vectors is None else torch.from_numpy(vectors)
        self.clusters = CodeClusters(letter.clusters, seed)

    def begin_epoch(self) -> None:
        if self.letter.diversity_weight > 0:
            self.clusters.renew(self.codebooks())

    def loss(self, features: Tensor, items: Tensor) -> Tensor:
        latent, quantized, codes, total = self.squeezed(features)
        if self.letter.collaborative_weight > 0:
            assert self.vectors is not None, "the collaborative loss needs vectors"
            total = total + self.letter.collaborative_weight * collaborative_loss(quantized, self.vectors[items])
        if self.letter.diversity_weight > 0:
            total = total + self.letter.diversity_weight * self._diversity(latent, codes)
        return total

    def _diversity(self, residual: Tensor, codes: Tensor) -> Tensor:
        """The mean over levels, given what the encoder made `[n, latent]` and codes int64 `[n, levels]`."""
        losses = []
        for level, codebook in enumerate(self.codebooks()):
            chosen = codebook[codes[:, level]]
            straight_through = residual + (chosen - residual).detach()
            positives = self.clusters.positives(level, codes[:, level])
            losses.append(diversity_loss(straight_through, codebook, codes[:, level], positives))
            residual = residual - chosen
        return torch.stack(losses).mean()


def rq_vae(
    features: NDArray[np.float32],
    codebook_sizes: tuple[int, ...],
    seed: int,
    config: RQVAEConfig,
    vectors: NDArray[np.float32] | None = None,
) -> NDArray[np.int64]:
    """Trains an RQ-VAE and returns the codes of the epoch with the fewest collisions (ties: the earlier epoch).

    Args:
        features: float32 `[n_items, dims]`; standardised here, so that the reconstruction loss weighs all alike.
        codebook_sizes: Codes per level.
        seed: Of weights, batches and k-means.
        config: Widths, training, and LETTER's losses if any.
        vectors: float32 `[n_items, latent]`, what LETTER's collaborative loss compares codes with.

    Returns:
        int64 `[n_items, levels]`.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        data = standardised(features)
        if config.letter is None:
            model = RQVAE(features.shape[1], codebook_sizes, config)
        else:
            model = LetterRQVAE(features.shape[1], codebook_sizes, config, config.letter, vectors, seed)
        model.train()
        with torch.no_grad():  # the first batch sees the whole catalogue, so that k-means initialises from all of it
            model(data)
        return fewest_collisions(model, data, config)


def standardised(features: NDArray[np.float32]) -> Tensor:
    """Features of mean 0, dimension by dimension, and of variance 1, all dimensions together."""
    data = torch.from_numpy(features)
    return (data - data.mean(0)) / data.std().clamp(min=1e-6)


def fewest_collisions(model: Autoencoder, data: Tensor, config: RQVAEConfig) -> NDArray[np.int64]:
    """Trains an autoencoder; the codes `[n_items, levels]` of its best epoch."""
    model.train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=config.learning_rate)
    best_rate, best = 2.0, copy.deepcopy(model.state_dict())
    for epoch in range(1, config.epochs + 1):
        model.begin_epoch()
        for batch in torch.randperm(len(data)).split(config.batch_size):
            loss = model.loss(data[batch], batch)
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
def _codes(model: Autoencoder, data: Tensor) -> NDArray[np.int64]:
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
