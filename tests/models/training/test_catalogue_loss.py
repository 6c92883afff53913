"""Cross-entropy over the catalogue, made a few targets at a time, against the plain one in float64."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from bench.data.interactions import PAD
from models.training import catalogue_loss
from models.training.catalogue_loss import catalogue_cross_entropy


def made_up(n: int, n_items: int, scale: float = 1.0, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    states, catalogue = (torch.randn(rows, 5, generator=random, dtype=torch.double) for rows in (n, n_items))
    return scale * states, catalogue, torch.randint(n_items, (n,), generator=random)


def results(loss: Tensor, *inputs: Tensor) -> list[Tensor]:
    return [loss.detach(), *torch.autograd.grad(3 * loss, inputs)]


def plain(states: Tensor, catalogue: Tensor, targets: Tensor) -> Tensor:
    scores = states @ catalogue.T
    wanted = targets != PAD
    return (scores.exp().sum(1).log() - scores.gather(1, targets.clamp(min=0)[:, None])[:, 0])[wanted].mean()


@settings(deadline=None, max_examples=60)
@given(
    n=st.integers(1, 40),
    n_items=st.integers(1, 30),
    rows=st.integers(1, 12),
    multiple=st.sampled_from([None, 1, 8, 64]),
    seed=st.integers(0, 2**31),
    absent=st.sets(st.integers(0, 39)),
)
def test_loss_and_gradients_are_those_of_plain_cross_entropy(
    n: int, n_items: int, rows: int, multiple: int | None, seed: int, absent: set[int]
) -> None:
    """Of a CPU (no multiple), and as a GPU makes them, with rows of scores that are filled up."""
    states, catalogue, targets = made_up(n, n_items, seed=seed)
    targets[[row for row in absent if row < n and len(absent) < n]] = PAD
    states.requires_grad_()
    catalogue.requires_grad_()
    expected = results(plain(states, catalogue, targets), states, catalogue)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalogue_loss, "LEAST_ROWS", 1)
        patch.setattr(catalogue_loss, "MOST_ROWS", rows)
        patch.setattr(catalogue_loss, "SCORES_ON_GPU", rows * n_items)
        patch.setattr(catalogue_loss, "ROW_MULTIPLE", multiple)
        loss_of = catalogue_cross_entropy if multiple is None else catalogue_loss._on_gpu
        found = results(loss_of(states, catalogue, targets), states, catalogue)
    for ours, naive in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, naive, atol=1e-12, rtol=1e-10)


@pytest.mark.parametrize("n_items", [7, 8])
def test_rows_that_are_filled_up_change_nothing_of_pytorch_s_loss(n_items: int) -> None:
    states, catalogue, targets = made_up(9, n_items)
    targets[3] = PAD
    states.requires_grad_()
    catalogue.requires_grad_()
    expected = results(plain(states, catalogue, targets), states, catalogue)
    found = results(catalogue_loss._by_pytorch(states, catalogue, targets, 8), states, catalogue)
    for ours, naive in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, naive, atol=1e-12, rtol=1e-10)


@pytest.fixture
def shapes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Gets the shape of each product that is made from now on."""
    seen: list[tuple[int, ...]] = []
    mm = torch.mm

    def told(*args: Tensor, out: Tensor) -> Tensor:
        seen.append(tuple(out.shape))
        return mm(*args, out=out)

    monkeypatch.setattr(torch, "mm", told)
    return seen


def test_products_on_a_gpu_have_rows_of_whole_lines_of_memory(shapes: list[tuple[int, ...]]) -> None:
    states, catalogue, targets = made_up(9, 65)
    catalogue_loss._on_gpu(states.requires_grad_(), catalogue, targets)
    assert shapes == [(9, 128), (9, 5)]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("half", [False, True])
def test_it_is_recorded_as_a_graph(half: bool) -> None:
    made = [side.float().cuda() if side.is_floating_point() else side.cuda() for side in made_up(90, 65)]
    states, catalogue, targets = made[0].requires_grad_(), made[1].requires_grad_(), made[2]
    targets[3] = PAD

    def step() -> list[Tensor]:
        with torch.autocast("cuda", torch.bfloat16, enabled=half):
            loss = catalogue_cross_entropy(states, catalogue, targets)
        return results(loss, states, catalogue)

    aside = torch.cuda.Stream()
    with torch.cuda.stream(aside):
        step()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        found = step()
    with torch.no_grad():
        states.mul_(2)
    graph.replay()
    doubles = [states.detach().double().requires_grad_(), catalogue.detach().double().requires_grad_()]
    for ours, naive in zip(found, results(plain(*doubles, targets), *doubles), strict=True):
        assert (ours.double() - naive).norm() < (0.02 if half else 1e-3) * naive.norm()


@pytest.mark.parametrize("loss_of", [catalogue_cross_entropy, catalogue_loss._on_gpu])
def test_a_target_of_vanishing_probability_has_a_finite_loss(loss_of: Callable[..., Tensor]) -> None:
    states, catalogue, targets = (part.float() if part.is_floating_point() else part for part in made_up(9, 7, 1e3))
    found, expected = loss_of(states, catalogue, targets), F.cross_entropy(states @ catalogue.T, targets)
    assert expected > 200
    torch.testing.assert_close(found, expected)


def test_a_score_that_is_no_number_is_seen_in_the_loss() -> None:
    states, catalogue, targets = made_up(9, 7)
    states[4, 0] = torch.nan
    assert catalogue_cross_entropy(states, catalogue, targets).isnan()


def test_a_large_catalogue_has_fewer_scores_at_a_time(
    shapes: list[tuple[int, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue_loss, "SCORES_AT_A_TIME", 70)
    monkeypatch.setattr(catalogue_loss, "LEAST_ROWS", 2)
    states, catalogue, targets = made_up(25, 7)
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
