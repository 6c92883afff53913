"""Cross-entropy over the catalogue, made a few targets at a time, against the plain one in float64."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from models.training import catalogue_loss
from models.training.catalogue_loss import catalogue_cross_entropy


def made_up(n: int, n_items: int, scale: float = 1.0, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    states, catalogue = (torch.randn(rows, 5, generator=random, dtype=torch.double) for rows in (n, n_items))
    return scale * states, catalogue, torch.randint(n_items, (n,), generator=random)


def results(loss: Tensor, *inputs: Tensor) -> list[Tensor]:
    return [loss.detach(), *torch.autograd.grad(3 * loss, inputs)]


@settings(deadline=None, max_examples=40)
@given(n=st.integers(1, 40), n_items=st.integers(1, 30), rows=st.integers(1, 12), seed=st.integers(0, 2**31))
def test_loss_and_gradients_are_those_of_plain_cross_entropy(n: int, n_items: int, rows: int, seed: int) -> None:
    states, catalogue, targets = made_up(n, n_items, seed=seed)
    states.requires_grad_()
    catalogue.requires_grad_()
    expected = results(F.cross_entropy(states @ catalogue.T, targets), states, catalogue)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalogue_loss, "MOST_ROWS", rows)
        found = results(catalogue_cross_entropy(states, catalogue, targets), states, catalogue)
    for ours, plain in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, plain, atol=1e-12, rtol=1e-10)


def test_a_target_of_vanishing_probability_has_a_finite_loss() -> None:
    states, catalogue, targets = (part.float() if part.is_floating_point() else part for part in made_up(9, 7, 1e3))
    found, expected = (
        catalogue_cross_entropy(states, catalogue, targets),
        F.cross_entropy(states @ catalogue.T, targets),
    )
    assert expected > 200
    torch.testing.assert_close(found, expected)


def test_a_score_that_is_no_number_is_seen_in_the_loss() -> None:
    states, catalogue, targets = made_up(9, 7)
    states[4, 0] = torch.nan
    assert catalogue_cross_entropy(states, catalogue, targets).isnan()


def test_a_large_catalogue_has_fewer_scores_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue_loss, "SCORES_AT_A_TIME", 70)
    monkeypatch.setattr(catalogue_loss, "LEAST_ROWS", 2)
    states, catalogue, targets = made_up(25, 7)
    shapes = []
    plain = torch.mm

    def seen(*args: Tensor, out: Tensor) -> Tensor:
        shapes.append(tuple(out.shape))
        return plain(*args, out=out)

    monkeypatch.setattr(torch, "mm", seen)
    found = catalogue_cross_entropy(states, catalogue, targets)
    assert shapes == [(10, 7), (10, 7), (5, 7)]
    torch.testing.assert_close(found, F.cross_entropy(states @ catalogue.T, targets))


def test_in_an_autocast_region_numbers_are_those_of_autocast() -> None:
    states, catalogue, targets = (part.float() if part.is_floating_point() else part for part in made_up(9, 7))
    with torch.autocast("cpu", torch.bfloat16):
        found, expected = (
            catalogue_cross_entropy(states, catalogue, targets),
            F.cross_entropy(states @ catalogue.T, targets),
        )
    assert found == expected
