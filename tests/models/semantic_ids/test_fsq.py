"""Finite scalar quantisation: levels, codes within their books, planted structure, and the same codes again."""

import numpy as np
import pytest
import torch

from bench.errors import BenchError
from models.semantic_ids.fsq import FSQAutoencoder, fsq, levels_of
from models.semantic_ids.rq_vae import RQVAEConfig

CONFIG = RQVAEConfig(hidden=(32,), epochs=60, batch_size=64, learning_rate=5e-3)


@pytest.mark.parametrize(
    ("size", "levels"),
    [(8, (8,)), (64, (8, 8)), (128, (8, 4, 4)), (240, (8, 6, 5)), (256, (8, 8, 4)), (15_360, (8, 8, 8, 6, 5))],
)
def test_levels_are_the_fewest_numbers_whose_product_is_the_size(size: int, levels: tuple[int, ...]) -> None:
    """240 and 15,360 are sizes of the paper (table 1) and of RecGPT."""
    assert levels_of(size) == levels


@pytest.mark.parametrize("size", [2, 11, 26])
def test_a_size_that_is_no_product_is_said(size: int) -> None:
    with pytest.raises(BenchError, match=f"{size} is no product of numbers from 3 to 8"):
        levels_of(size)


@torch.no_grad()
def test_a_code_is_the_combination_of_rounded_bounded_numbers() -> None:
    """Equation 1: z -> round(bound(z)), odd levels symmetric around 0; the code counts through all combinations."""
    torch.manual_seed(0)
    model = FSQAutoencoder(6, (15,), CONFIG).eval()  # 5 x 3 levels
    features = 3 * torch.randn(200, 6)
    written = model.encoder(features)
    halves = torch.tensor([2.0, 1.0])
    rounded = (torch.tanh(written) * halves * 1.001).round() + halves
    expected = rounded[:, 0] + 5 * rounded[:, 1]
    assert model(features)[1][:, 0].tolist() == expected.long().tolist()


def test_codes_tell_planted_points_apart_and_are_the_same_again() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(40, 6)).astype(np.float32)
    features = np.repeat(points, 3, axis=0)
    codes = fsq(features, (8, 64), 0, CONFIG)
    assert codes.shape == (120, 2)
    assert codes.dtype == np.int64
    assert (codes.max(axis=0) < (8, 64)).all()
    assert np.array_equal(codes[::3], codes[1::3])
    assert len(np.unique(codes, axis=0)) >= 30
    assert np.array_equal(codes, fsq(features, (8, 64), 0, CONFIG))
