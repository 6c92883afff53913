"""Official weights make `glass-official` the official function, and what doesn't fit is refused."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_network import trie_of
from naive_official import random_state
from official_cases import N_ITEMS, SIZES, SMALL, Case, double_precision, item_vectors, queries, semantic_ids
from torch import Tensor

from bench.errors import BenchError
from models.glass.official import GlassOfficialConfig, GlassOfficialNetwork
from models.glass.official_weights import load_official, official_name

HISTORIES = st.lists(st.lists(st.integers(0, N_ITEMS - 1), max_size=12), min_size=1, max_size=3)
State = dict[str, Tensor]


DEVIATIONS = st.floats(0.05, 4.0)
"""Standard deviations of random weights, up to attention that is nearly hard."""
QUERIES = [[], [3], [1, 2, 3], list(range(14)), [7] * 12]


@settings(deadline=None, max_examples=25)
@given(histories=HISTORIES, seed=st.integers(0, 2**31))
def test_with_official_weights_logits_are_those_of_the_official_function(histories: list[list[int]], seed: int) -> None:
    with double_precision():
        ours, official = both_logits(histories, seed)
        np.testing.assert_allclose(ours, official, atol=1e-8, rtol=0)


@pytest.mark.slow
@settings(deadline=None, max_examples=100, derandomize=True)
@given(histories=HISTORIES, seed=st.integers(0, 2**31), deviation=DEVIATIONS)
def test_in_double_precision_that_holds_for_weights_of_any_size(
    histories: list[list[int]], seed: int, deviation: float
) -> None:
    with double_precision():
        ours, official = both_logits(histories, seed, deviation)
        np.testing.assert_allclose(ours, official, atol=1e-8, rtol=0)


@pytest.mark.parametrize("seed", range(5))
def test_in_single_precision_logits_differ_by_less_than_one_in_ten_thousand(seed: int) -> None:
    ours, official = both_logits(QUERIES, seed)
    np.testing.assert_allclose(ours, official, atol=1e-4, rtol=0)


@pytest.mark.slow
@settings(deadline=None, max_examples=150, derandomize=True)
@given(histories=HISTORIES, seed=st.integers(0, 2**31), deviation=DEVIATIONS)
def test_in_single_precision_the_bound_holds_wherever_logits_are_of_unit_scale(
    histories: list[list[int]], seed: int, deviation: float
) -> None:
    ours, official = both_logits(histories, seed, deviation)
    if np.sqrt((official**2).mean()) <= 2:
        np.testing.assert_allclose(ours, official, atol=1e-4, rtol=0)


def test_the_bound_is_not_one_for_any_weights() -> None:
    """Why `load_official` names the scale: nearly hard attention turns rounding into another answer."""
    worst = 0.0
    for seed in (9, 11, 25, 30, 39):
        ours, official = both_logits(QUERIES, seed, deviation=2.0)
        assert np.sqrt((official**2).mean()) > 10
        worst = max(worst, np.abs(ours - official).max())
    assert 1e-4 < worst < 0.1


def both_logits(histories: list[list[int]], seed: int, deviation: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Ours and the official function's under teacher forcing, `[n, levels, vocabulary]`."""
    case = Case.of("official", seed, deviation)
    targets = np.random.default_rng(seed).integers(0, N_ITEMS, len(histories)).tolist()
    asked = queries(histories)
    with torch.no_grad():
        ours = case.network.forced(asked.items, case.network.codes[targets], asked.long_term).numpy()
    official = [
        np.stack(case.naive_logits(history, case.codes(target)[:-1]))
        for history, target in zip(histories, targets, strict=True)
    ]
    return ours, np.stack(official)


def network() -> GlassOfficialNetwork:
    return GlassOfficialNetwork(
        trie_of(semantic_ids()), item_vectors(), GlassOfficialConfig.model_validate(SMALL)
    ).eval()


def state() -> State:
    return random_state(1, vocabulary=20, tier_inputs=4 * SIZES[0])


def test_every_parameter_has_an_official_name_of_its_own() -> None:
    ours = [name for name, _ in network().named_parameters() if name != "begin"]
    theirs = [official_name(name) for name in ours]
    tied = {"lm_head.weight", "sim_embedding.weight"}
    assert len(set(theirs)) == len(ours)
    assert set(theirs) == state().keys() - tied


def test_weights_saved_by_data_parallel_are_the_same_weights() -> None:
    plain, parallel = network(), network()
    load_official(plain, state())
    load_official(parallel, {f"module.{name}": value for name, value in state().items()})
    for left, right in zip(plain.parameters(), parallel.parameters(), strict=True):
        assert torch.equal(left, right)


def test_decoding_begins_with_the_row_of_the_begin_token() -> None:
    loaded = network()
    load_official(loaded, state())
    assert torch.equal(loaded.begin, state()["shared.weight"][15]), "three levels of at most 5 codes"
    load_official(loaded, state(), begin_token=17)
    assert torch.equal(loaded.begin, state()["shared.weight"][17])


def without(name: str) -> Callable[[State], State]:
    return lambda given: {key: value for key, value in given.items() if key != name}


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (without("encoder_norm.weight"), "lack 'encoder_norm.weight'"),
        (lambda given: given | {"shared.weight": given["shared.weight"][:-1]}, r"'shared.weight' has shape \(19, 8\)"),
        (lambda given: given | {"decoder_blocks.2.ff_in.weight": torch.ones(1)}, "'decoder_blocks.2.ff_in.weight' has"),
        (lambda given: given | {"lm_head.weight": torch.ones(20, 8)}, "'lm_head.weight' has no place"),
    ],
)
def test_weights_of_another_network_are_refused(spoil: Callable[[State], State], message: str) -> None:
    with pytest.raises(BenchError, match=message):
        load_official(network(), spoil(state()))


def test_the_official_configuration_has_the_official_size() -> None:
    codes = np.random.default_rng(0).integers(0, (64, 128, 128), (200, 3))
    ids = type(semantic_ids())(codes, (64, 128, 128), 3)
    official = GlassOfficialNetwork(trie_of(ids), np.ones((200, 2), dtype=np.float32), GlassOfficialConfig())
    begin = 96  # tied to a row of the token table in the official code
    assert sum(p.numel() for p in official.parameters()) == 2_968_416 + begin
