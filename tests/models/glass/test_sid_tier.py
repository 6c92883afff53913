"""SID-Tier against counting in three nested loops."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_network import long_term_of, ragged

from models.glass.sid_tier import (
    SIDTier,
    _counted_at_once,
    _counted_by_history,
    _counted_by_item,
    code_prototypes,
    similarity_tiers,
    tier_counts,
    tier_edges,
)
from models.history.long_term import LongTerm

COUNTED = (_counted_at_once, _counted_by_history, _counted_by_item)


@settings(deadline=None)
@given(
    rows=st.lists(st.lists(st.integers(0, 6), max_size=9), min_size=1, max_size=5),
    chosen=st.lists(st.integers(0, 99), min_size=1, max_size=6),
    codebook_size=st.integers(1, 4),
    n_tiers=st.integers(1, 5),
    seed=st.integers(0, 2**31),
)
def test_tier_counts_are_those_of_three_loops(
    rows: list[list[int]], chosen: list[int], codebook_size: int, n_tiers: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    tiers = rng.integers(0, n_tiers, (7, codebook_size)).astype(np.uint8)
    asked = [row % len(rows) for row in chosen]  # rows repeat and come in any order, as windows do
    ends = [int(rng.integers(0, len(rows[row]) + 1)) for row in asked]
    expected = np.zeros((len(asked), codebook_size, n_tiers))
    for number, (row, end) in enumerate(zip(asked, ends, strict=True)):
        for item in rows[row][:end]:
            for code in range(codebook_size):
                expected[number, code, tiers[item, code]] += 1 / end
    long_term = LongTerm(ragged(rows), torch.tensor(asked), torch.tensor(ends))
    counts = tier_counts(torch.from_numpy(tiers), n_tiers, long_term)
    assert counts.shape == expected.shape
    np.testing.assert_allclose(counts.numpy(), expected, atol=1e-6)
    for horizon in (None, 2):  # the ways of counting: a GPU's, and a CPU's for short histories and for long ones
        seen = replace(long_term, horizon=horizon)
        for block in ((64, 4096), (2, 3)):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("models.glass.sid_tier._BLOCK", block)
                ways = [count(torch.from_numpy(tiers), n_tiers, seen).flatten().tolist() for count in COUNTED]
            assert ways == ways[:1] * 3


def test_each_codes_row_sums_to_one_and_an_empty_history_to_zero() -> None:
    tiers = torch.tensor([[0, 2], [1, 1]], dtype=torch.uint8)
    counts = tier_counts(tiers, 3, long_term_of([[0, 0, 1, 0], [], [1]]))
    assert counts.tolist() == [
        [[0.75, 0.25, 0], [0, 0.25, 0.75]],
        [[0, 0, 0], [0, 0, 0]],
        [[0, 1, 0], [0, 1, 0]],
    ]


def test_a_batch_of_empty_histories_is_all_zero() -> None:
    counts = tier_counts(torch.zeros((3, 2), dtype=torch.uint8), 4, long_term_of([[], []]))
    assert counts.tolist() == torch.zeros(2, 2, 4).tolist()
    assert counts.dtype == torch.float32


def test_a_user_of_one_code_has_all_mass_in_the_top_tier_of_that_code() -> None:
    features = np.array([[1, 0], [1, 0], [-1, 0], [-1, 0]], dtype=np.float32)
    prototypes = code_prototypes(features, np.array([0, 0, 1, 1]), 2)
    tiers = similarity_tiers(features, prototypes, tier_edges(4))
    counts = tier_counts(torch.from_numpy(tiers), 4, long_term_of([[0, 1, 1]]))
    assert counts.tolist() == [[[0, 0, 0, 1], [1, 0, 0, 0]]]


def test_a_prototype_is_the_mean_of_its_items_and_of_all_items_where_a_code_has_none() -> None:
    features = np.array([[1, 0], [3, 2], [5, 10]], dtype=np.float32)
    prototypes = code_prototypes(features, np.array([2, 2, 0]), 4)
    assert prototypes.tolist() == [[5, 10], [3, 4], [2, 1], [3, 4]]
    assert prototypes.dtype == np.float32


def test_a_cosine_on_an_edge_belongs_to_the_tier_above() -> None:
    features = np.array([[1, 0], [0, 1], [-2, 0], [0, 0]], dtype=np.float32)
    prototypes = np.array([[3, 0], [0, 0.5]], dtype=np.float32)
    tiers = similarity_tiers(features, prototypes, np.array([-1.0, 0.0, 1.0]))
    # Cosines with the prototypes: (1, 0), (0, 1), (-1, 0), and (0, 0) for an item without features.
    assert tiers.tolist() == [[3, 2], [2, 3], [1, 2], [2, 2]]
    assert tiers.dtype == np.uint8


def test_similarity_ignores_length() -> None:
    rng = np.random.default_rng(0)
    features, prototypes = (rng.normal(size=(n, 4)).astype(np.float32) for n in (30, 5))
    scaled = features * rng.uniform(0.1, 9, (30, 1)).astype(np.float32)
    edges = tier_edges(7)
    expected = [
        [sum(edge <= f @ p / np.linalg.norm(f) / np.linalg.norm(p) for edge in edges) for p in prototypes]
        for f in features.astype(np.float64)
    ]
    assert similarity_tiers(features, prototypes, edges).tolist() == expected
    assert similarity_tiers(scaled, prototypes, edges).tolist() == expected


def test_chunks_of_items_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    features, codes = rng.normal(size=(40, 5)).astype(np.float32), rng.integers(0, 6, 40)
    prototypes = code_prototypes(features, codes, 7)
    tiers = similarity_tiers(features, prototypes, tier_edges(9))
    monkeypatch.setattr("models.glass.sid_tier.CHUNK_ITEMS", 9)
    np.testing.assert_allclose(code_prototypes(features, codes, 7), prototypes, rtol=1e-6)
    assert similarity_tiers(features, prototypes, tier_edges(9)).tolist() == tiers.tolist()


def test_equal_tiers_cut_minus_one_to_one() -> None:
    assert tier_edges(4).tolist() == [-0.5, 0, 0.5]
    assert tier_edges(1).tolist() == []
    np.testing.assert_allclose(np.diff(tier_edges(20)), 0.1)
    assert len(tier_edges(20)) == 19


def test_the_token_is_an_mlp_of_the_counts() -> None:
    torch.manual_seed(0)
    module = SIDTier(np.array([[0, 1], [1, 1]], dtype=np.uint8), n_tiers=2, dim=3, dropout=0.9).eval()
    token = module(long_term_of([[0, 1, 1, 1], []]))
    first, second = module.mlp[0], module.mlp[-1]
    flat = torch.tensor([[0.25, 0.75, 0, 1], [0, 0, 0, 0]])
    expected = second(torch.relu(first(flat)))
    assert token.shape == (2, 1, 3)
    torch.testing.assert_close(token[:, 0], expected)
    assert sum(p.numel() for p in module.parameters()) == (4 * 3 + 3) + (3 * 3 + 3)


@pytest.mark.parametrize("length", [1, 2, 50])
def test_the_token_depends_on_shares_and_not_on_length(length: int) -> None:
    torch.manual_seed(0)
    module = SIDTier(np.array([[0, 1], [1, 0]], dtype=np.uint8), n_tiers=2, dim=4, dropout=0.0).eval()
    torch.testing.assert_close(module(long_term_of([[0, 1] * length])), module(long_term_of([[1, 0]])))
