"""The alignments of H2Rec, written out pair by pair, and what they add to the loss."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from h2rec_world import (
    BRANCHES,
    ROWS,
    SMALL,
    TOKENIZER,
    USERS,
    array_of,
    backbone,
    batch_of,
    context,
    cycles,
    hidden_of,
    naive_fused,
    naive_weights,
    network_of,
    semantic_ids,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from baselines import next_item
from baselines.h2rec.alignment import alignment_loss, common_prefix, lightest_half
from baselines.h2rec.model import H2Rec
from bench.data.interactions import PAD


@torch.no_grad()
def test_item_alignment_is_the_weighted_loss_over_the_items_of_the_batch() -> None:
    network, codes, items, temperature = network_of(), semantic_ids().codes, [0, 1, 2, 5, 8, 9], 0.7
    hashed = [array_of(network.items.weight)[item] for item in items]
    fused = [naive_fused(network, item) for item in items]
    weights = [[prefix_share(codes[one], codes[other]) for other in items] for one in items]
    assert weights[2][4] == 1.0, "an item of the same codes is as good a positive as the item itself"
    assert any(0 < weight < 1 for row in weights for weight in row)
    loss = network.item_alignment(torch.tensor(items), temperature).item()
    assert loss == pytest.approx(naive_alignment(hashed, fused, weights, temperature), abs=1e-5)


@pytest.mark.parametrize("config", [BRANCHES["both"], BRANCHES["sid only"]], ids=["both", "sid only"])
@torch.no_grad()
def test_user_alignment_contrasts_windows_with_their_masked_versions(config: dict[str, Any]) -> None:
    network = network_of(**config)
    masked_views, full_views, choices = [], [], []
    for row in ROWS:
        mean = np.mean([naive_weights(network, item) for item in row], axis=0)
        choices.append(int(mean.argmin()))  # one of three levels is the half that is masked
        masked_views.append(backbone(network, [naive_fused(network, item, {choices[-1]}) for item in row])[-1])
        full_views.append(backbone(network, [naive_fused(network, item) for item in row])[-1])
    assert len(set(choices)) > 1 or network.items is None, "windows differ in what is masked"
    same_user = [[float(one == other) for other in USERS] for one in USERS]
    loss = network.user_alignment(batch_of(ROWS, USERS), hidden_of(network, ROWS), 0.7).item()
    assert loss == pytest.approx(naive_alignment(masked_views, full_views, same_user, 0.7), abs=1e-4)


ABLATIONS: dict[str, tuple[dict[str, Any], tuple[float, float]]] = {
    "all": ({"item_alignment": 0.3, "user_alignment": 0.2}, (0.3, 0.2)),
    "no item alignment": ({"item_alignment": 0.0, "user_alignment": 0.2}, (0.0, 0.2)),
    "no user alignment": ({"item_alignment": 0.3, "user_alignment": 0.0}, (0.3, 0.0)),
    "sid only": ({"item_alignment": 0.3, "user_alignment": 0.2, "hash_branch": False}, (0.0, 0.2)),
    "hash only": ({"item_alignment": 0.3, "user_alignment": 0.2, "sid_branch": False}, (0.0, 0.0)),
}


@pytest.mark.parametrize(("config", "weights"), ABLATIONS.values(), ids=ABLATIONS)
def test_the_loss_is_cross_entropy_plus_the_weighted_alignments(
    config: dict[str, Any], weights: tuple[float, float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed: list[Any] = []
    monkeypatch.setattr(next_item, "fit_network", lambda *args: handed.extend(args))
    H2Rec(SMALL | config | {"temperature": 0.7, "tokenizer": TOKENIZER}).fit(cycles(), context(tmp_path))
    network, loss, batch = handed[1], handed[3], batch_of(ROWS, USERS)
    hidden = hidden_of(network, ROWS)
    wanted = batch.targets != PAD
    expected = F.cross_entropy(network.scores(hidden[wanted]), batch.targets[wanted])
    if weights[0]:
        expected = expected + weights[0] * network.item_alignment(batch.targets[wanted].unique(), 0.7)
    if weights[1]:
        expected = expected + weights[1] * network.user_alignment(batch, hidden, 0.7)
    value = loss(batch)
    torch.testing.assert_close(value, expected)
    value.backward()
    idle = [name for name, parameter in network.named_parameters() if parameter.grad is None]
    assert not idle, "every parameter is trained"


@given(st.lists(st.tuples(*[st.integers(0, 2)] * 3), min_size=1, max_size=6))
@settings(deadline=None, max_examples=50)
def test_the_common_prefix_ends_at_the_first_difference(codes: list[tuple[int, ...]]) -> None:
    expected = [[prefix_share(one, other) for other in codes] for one in codes]
    np.testing.assert_allclose(common_prefix(torch.tensor(codes)).numpy(), expected, atol=1e-6)


def test_the_lightest_half_is_rounded_down_and_never_everything() -> None:
    assert lightest_half(torch.tensor([[0.2, 0.1, 0.4, 0.3]])).tolist() == [[True, True, False, False]]
    assert lightest_half(torch.tensor([[0.5, 0.1, 0.4]])).tolist() == [[False, True, False]]
    assert lightest_half(torch.tensor([[1.0]])).tolist() == [[False]]


@given(st.integers(1, 6), st.integers(0, 99), st.floats(0.005, 2.0))
@settings(deadline=None, max_examples=50)
def test_with_one_positive_a_row_the_alignment_is_info_nce(n: int, seed: int, temperature: float) -> None:
    first, second = torch.randn(2, n, 4, generator=torch.Generator().manual_seed(seed))
    logits = F.cosine_similarity(first.unsqueeze(1), second, dim=-1) / temperature
    own = torch.arange(n)
    expected = (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2
    torch.testing.assert_close(alignment_loss(first, second, torch.eye(n), temperature), expected)


@pytest.mark.parametrize("temperature", [0.001, 0.0249, 0.025, 0.05, 0.5])
def test_the_alignment_and_its_gradient_are_finite_where_a_view_is_the_opposite_of_its_own(temperature: float) -> None:
    first = torch.eye(3).requires_grad_()
    second = torch.cat([-torch.eye(3)[:1], torch.eye(3)[1:]])  # the first has a cosine of -1, the others one of 1
    loss = alignment_loss(first, second, torch.eye(3), temperature)
    loss.backward()
    cosines = [[-1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    shares = [math.log(sum(math.exp((c - row[i]) / temperature) for c in row)) for i, row in enumerate(cosines[1:], 1)]
    # Of the first row and column, two cosines of 0 beside the positive's of -1, all relative to 0.
    shares.append(1 / temperature + math.log(2 + math.exp(-1 / temperature)))
    assert loss.item() == pytest.approx(sum(shares) / 3, rel=1e-5)
    assert first.grad is not None
    assert bool(first.grad.isfinite().all())


def test_the_alignment_of_two_rows_by_hand() -> None:
    one, positives = torch.eye(2), torch.tensor([[1.0, 0.5], [0.5, 1.0]])
    e = np.e  # cosines of 1 and 0 at temperature 1
    expected = -np.log((e + 0.5) / (e + 1))
    assert alignment_loss(one, 3 * one, positives, 1.0).item() == pytest.approx(expected, abs=1e-6)
    assert alignment_loss(one, one, torch.ones(2, 2), 1.0).item() == pytest.approx(0.0, abs=1e-6)


def prefix_share(one: Any, other: Any) -> float:
    same = 0
    while same < len(one) and one[same] == other[same]:
        same += 1
    return same / len(one)


def naive_alignment(
    first: list[np.ndarray], second: list[np.ndarray], weights: list[list[float]], temperature: float
) -> float:
    def similarity(one: np.ndarray, other: np.ndarray) -> float:
        return float(np.exp(one @ other / np.linalg.norm(one) / np.linalg.norm(other) / temperature))

    terms = []
    for anchors, others in ((first, second), (second, first)):
        for anchor, row in zip(anchors, weights, strict=True):
            shares = [similarity(anchor, other) for other in others]
            terms.append(-np.log(sum(w * s for w, s in zip(row, shares, strict=True)) / sum(shares)))
    return float(np.mean(terms))
