"""gSASRec: its loss against the official code's steps, and against plain binary cross-entropy where they meet."""

import numpy as np
import pytest
import torch

from baselines.gsasrec import GSASRec, GSASRecConfig, GSASRecNetwork, gbce, positive_exponent
from baselines.next_item import _bce


def official_loss(scores: np.ndarray, n_items: int, negatives: int, t: float) -> float:
    """train_gsasrec.py: the target's logit becomes that of its probability to the power beta, then BCE, then means."""
    alpha = negatives / (n_items - 1)
    beta = alpha * ((1 - 1 / alpha) * t + 1 / alpha)
    losses = []
    for row in scores.astype(np.float64):
        probability = np.clip(1 / (1 + np.exp(-row[0])), 1e-10, 1 - 1e-10)
        odds = 1 / (np.clip(probability**-beta, 1 + 1e-10, None) - 1)
        logit = np.log(np.clip(odds, 1e-10, None))
        terms = [np.log1p(np.exp(-logit)), *(np.log1p(np.exp(score)) for score in row[1:])]
        losses.append(np.mean(terms))
    return float(np.mean(losses))


@pytest.mark.parametrize("t", [0.0, 0.75, 1.0])
def test_the_loss_is_that_of_the_official_code(t: float) -> None:
    torch.manual_seed(0)
    scores = 3 * torch.randn(7, 1 + 5)
    none_repeated = torch.zeros(7, 5, dtype=torch.bool)
    value = gbce(scores, none_repeated, positive_exponent(40, 5, t)).mean()
    assert value.item() == pytest.approx(official_loss(scores.numpy(), 40, 5, t), rel=1e-5)


def test_without_calibration_it_is_binary_cross_entropy_repeated_negatives_left_out() -> None:
    torch.manual_seed(0)
    scores, repeated = torch.randn(6, 4), torch.rand(6, 3) < 0.4
    assert positive_exponent(50, 3, 0.0) == pytest.approx(1.0)
    assert gbce(scores, repeated, 1.0).mean().item() == pytest.approx(_bce(scores, repeated, "mean").item(), rel=1e-5)


def test_full_calibration_has_the_sampling_rate_as_its_exponent_and_it_never_exceeds_one() -> None:
    assert positive_exponent(101, 25, 1.0) == pytest.approx(0.25)
    assert positive_exponent(3417, 256, 0.75) == pytest.approx(0.75 * 256 / 3416 + 0.25)
    assert positive_exponent(10, 256, 1.0) == 1.0


def test_items_are_scored_by_a_table_of_their_own_unless_it_is_shared() -> None:
    own, shared = (GSASRecNetwork(9, GSASRecConfig(dim=8, shared_table=shared)) for shared in (False, True))
    hidden = torch.randn(2, 8)
    assert own.compared(hidden)[1] is own.outputs.weight is not own.items.weight
    assert shared.compared(hidden)[1] is shared.items.weight
    tables = [sum(p.shape[0] == 9 for p in network.parameters()) for network in (own, shared)]
    assert tables == [2, 1]


def test_the_configuration_is_the_official_one_where_it_is_not_a_size() -> None:
    """config_ml1m.py: 256 negatives, t 0.75, one head, two blocks; config.py: two item tables."""
    config = GSASRec().config
    assert (config.negatives, config.calibration, config.heads, config.blocks) == (256, 0.75, 1, 2)
    assert not config.shared_table
