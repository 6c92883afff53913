"""The paired test against scipy, and what may be paired."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.stats import permutation_test

from bench.reporting.grid import Grid
from bench.reporting.significance import compare, holm, sign_flip_test
from bench.spec import RunResult


def test_equal_to_scipy_over_all_sign_assignments() -> None:
    random = np.random.default_rng(1)
    for shift in (0.0, 0.3, 0.6):
        first, second = random.random(11) + shift, random.random(11)
        exact = permutation_test(
            (first, second),
            lambda a, b, axis: (a - b).mean(axis=axis),
            permutation_type="samples",
            n_resamples=np.inf,
            vectorized=True,
        ).pvalue
        assert sign_flip_test(first - second) == pytest.approx(exact, abs=0.015)


def test_few_differences_have_the_exact_p_value() -> None:
    """Five equal differences: all signs agree in 2 of 32 assignments."""
    assert sign_flip_test(np.array([1.0] * 5 + [0.0] * 100)) == pytest.approx(2 / 32, abs=0.01)


def test_more_queries_than_a_block_of_signs() -> None:
    random = np.random.default_rng(2)
    differences = random.choice([-1.0, 1.0], 5_000, p=[0.47, 0.53])
    z = abs(differences.sum()) / np.sqrt(5_000)
    assert z > 3  # hence p < 0.003
    assert sign_flip_test(differences) < 0.003


def test_no_difference_at_all() -> None:
    assert sign_flip_test(np.zeros(50)) == 1.0


def test_is_uniform_where_nothing_differs() -> None:
    random = np.random.default_rng(4)
    p_values = [sign_flip_test(random.normal(size=60), resamples=499, seed=trial) for trial in range(200)]
    assert np.mean(np.array(p_values) < 0.05) < 0.11
    assert 0.4 < np.mean(p_values) < 0.6


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.9]) == pytest.approx([0.04, 0.09, 0.09, 0.9])
    assert holm([0.6, 0.7]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []


def test_compares_the_means_over_common_seeds(full_grid: Grid) -> None:
    glass, tiger = full_grid.of_model("glass"), full_grid.of_model("tiger")
    found = compare(glass, tiger[1:], "recall@10")
    assert found is not None
    assert found.seeds == (1, 2)
    hits = [[(r.queries["item_rank"].between(1, 10)).mean() for r in side] for side in (glass[1:], tiger[1:])]  # type: ignore[index]
    assert found.first == pytest.approx(np.mean(hits[0]))
    assert found.second == pytest.approx(np.mean(hits[1]))
    assert found.low < found.difference < found.high
    assert found.n_queries == 943


def test_is_antisymmetric(full_grid: Grid) -> None:
    glass, tiger = full_grid.of_model("glass"), full_grid.of_model("tiger")
    one, other = compare(glass, tiger, "ndcg@10"), compare(tiger, glass, "ndcg@10")
    assert one is not None
    assert other is not None
    assert one.difference == pytest.approx(-other.difference)
    assert one.p_value == other.p_value


def test_a_mask_limits_the_queries(full_grid: Grid) -> None:
    mask = np.arange(943) < 100
    found = compare(full_grid.of_model("glass"), full_grid.of_model("tiger"), "ndcg@10", mask)
    assert found is not None
    assert found.n_queries == 100


def test_nothing_to_pair(full_grid: Grid) -> None:
    glass, tiger = full_grid.of_model("glass"), full_grid.of_model("tiger")
    assert compare(glass[:1], tiger[1:], "ndcg@10") is None  # no common seed
    assert compare(glass, [], "ndcg@10") is None
    assert compare(glass, [_other_targets(result) for result in tiger], "ndcg@10") is None
    assert compare(glass, tiger, "ndcg@10", np.arange(943) < 1) is None


def _other_targets(result: RunResult) -> RunResult:
    assert result.queries is not None
    return dataclasses.replace(result, queries=result.queries.assign(target=result.queries["target"] + 1))
