"""The paired test against scipy, and what may be paired."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy.stats import permutation_test, ttest_1samp

from bench.analysis.runs import SuiteRuns
from bench.analysis.significance import compare, compare_all, holm, sign_flip_test, sign_flip_tests
from bench.spec import DatasetSpec, RunResult, RunSpec

Simulated = dict[str, list[RunResult]]


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


def test_compares_the_means_over_common_seeds(full_runs: SuiteRuns) -> None:
    glass, tiger = full_runs.of_row("glass"), full_runs.of_row("tiger")
    found = compare(glass, tiger[1:], "recall@10")
    assert found is not None
    assert found.seeds == (1, 2)
    hits = [[(r.queries["item_rank"].between(1, 10)).mean() for r in side] for side in (glass[1:], tiger[1:])]  # type: ignore[index]
    assert found.first == pytest.approx(np.mean(hits[0]))
    assert found.second == pytest.approx(np.mean(hits[1]))
    assert found.low < found.difference < found.high
    assert found.n_queries == 943


def test_is_antisymmetric(full_runs: SuiteRuns) -> None:
    glass, tiger = full_runs.of_row("glass"), full_runs.of_row("tiger")
    one, other = compare(glass, tiger, "ndcg@10"), compare(tiger, glass, "ndcg@10")
    assert one is not None
    assert other is not None
    assert one.difference == pytest.approx(-other.difference)
    assert one.p_value == other.p_value


def test_a_mask_limits_the_queries(full_runs: SuiteRuns) -> None:
    mask = np.arange(943) < 100
    found = compare(full_runs.of_row("glass"), full_runs.of_row("tiger"), "ndcg@10", mask)
    assert found is not None
    assert found.n_queries == 100


def test_nothing_to_pair(full_runs: SuiteRuns) -> None:
    glass, tiger = full_runs.of_row("glass"), full_runs.of_row("tiger")
    assert compare(glass[:1], tiger[1:], "ndcg@10") is None  # no common seed
    assert compare(glass, [], "ndcg@10") is None
    assert compare(glass, [_other_targets(result) for result in tiger], "ndcg@10") is None
    assert compare(glass, tiger, "ndcg@10", np.arange(943) < 1) is None


def test_tests_made_together_are_those_made_alone() -> None:
    random = np.random.default_rng(5)
    differences = random.normal([0.0, 0.1, 0.3], 1.0, size=(1500, 3))
    alone = [sign_flip_test(column) for column in differences.T]
    np.testing.assert_allclose(sign_flip_tests(differences), alone)
    np.testing.assert_allclose(sign_flip_tests(np.column_stack([differences, np.zeros(1500)]))[3], 1.0)


def test_all_pairs_are_compared_as_one_by_one(full_runs: SuiteRuns) -> None:
    results = {model: full_runs.of_row(model) for model in ("glass", "tiger", "sim")}
    found = compare_all(results, "ndcg@10")
    assert list(found) == [("glass", "tiger"), ("glass", "sim"), ("tiger", "sim")]
    for (first, second), comparison in found.items():
        alone = compare(results[first], results[second], "ndcg@10")
        assert alone is not None
        assert dataclasses.replace(comparison, p_value=0.0) == dataclasses.replace(alone, p_value=0.0)
        assert comparison.p_value == pytest.approx(alone.p_value, abs=0.02)  # other tosses
    results["tiger"] = [_other_targets(result) for result in results["tiger"]]
    assert list(compare_all(results, "ndcg@10")) == [("glass", "sim")]


def test_effect_size_is_the_difference_in_standard_deviations(full_runs: SuiteRuns) -> None:
    glass, tiger = full_runs.of_row("glass")[:1], full_runs.of_row("tiger")[:1]
    hits = [side[0].queries["item_rank"].between(1, 10).to_numpy(float) for side in (glass, tiger)]  # type: ignore[index]
    gaps = hits[0] - hits[1]
    found = compare(glass, tiger, "recall@10")
    assert found is not None
    assert found.effect_size == pytest.approx(gaps.mean() / gaps.std(ddof=1))
    interval = ttest_1samp(gaps, 0.0).confidence_interval(0.95)  # one seed: that of queries alone
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    same = compare(glass, glass, "recall@10")
    assert same is not None
    assert (same.effect_size, same.p_value, same.low, same.high) == (0.0, 1.0, 0.0, 0.0)


def test_a_difference_that_changes_with_the_seed_is_not_significant() -> None:
    """Seed 0 finds everything and seed 1 nothing: over queries alone the mean would be a sure thing."""
    always, never = np.ones(400, np.int16), np.zeros(400, np.int16)
    half = np.where(np.arange(400) % 4 == 0, 1, 0).astype(np.int16)
    moody, steady = [_result(0, always), _result(1, never)], [_result(seed, half) for seed in (0, 1)]
    found = compare(moody, steady, "recall@10")
    assert found is not None
    assert found.difference == pytest.approx(0.25)
    assert sign_flip_test(np.where(half == 1, -0.5, 0.5)) < 0.001
    assert found.p_value > 0.3
    assert found.low < 0 < found.high


@pytest.mark.slow
@pytest.mark.parametrize(("n_seeds", "spread"), [(1, 0.0), (3, 0.0), (3, 0.1)])
def test_identical_models_are_rarely_told_apart(n_seeds: int, spread: float) -> None:
    """Six models of one quality: some pair is called significant in at most 5 % of 200 simulated suites."""
    random = np.random.default_rng(17)
    wrong = 0
    for _ in range(200):
        found = compare_all(_simulated(random, [0.0] * 6, n_seeds, spread), "ndcg@10")
        wrong += min(holm([comparison.p_value for comparison in found.values()])) < 0.05
    assert wrong / 200 <= 0.05


@pytest.mark.slow
def test_a_planted_difference_is_found() -> None:
    """One of six models has better odds: it is told apart from all the others, and these not from each other."""
    random = np.random.default_rng(18)
    found_all = wrong = 0
    for _ in range(20):
        found = compare_all(_simulated(random, [0.9, 0, 0, 0, 0, 0], 5, 0.05), "ndcg@10")
        significant = [p < 0.05 for p in holm([comparison.p_value for comparison in found.values()])]
        planted = ["0" in names for names in found]
        found_all += all(s for s, is_planted in zip(significant, planted, strict=True) if is_planted)
        wrong += any(s for s, is_planted in zip(significant, planted, strict=True) if not is_planted)
    assert found_all >= 19
    assert wrong <= 1


def _simulated(random: np.random.Generator, skills: list[float], n_seeds: int, spread: float) -> Simulated:
    """Models on 500 users, some easy for everybody; `spread` is what a seed does to the log-odds of a whole run."""
    users = random.normal(-1.8, 1.2, 500)
    results: Simulated = {}
    for model, skill in enumerate(skills):
        for seed in range(n_seeds):
            hits = random.random(500) < 1 / (1 + np.exp(-(users + skill + spread * random.normal())))
            ranks = np.where(hits, random.integers(1, 11, 500), 0).astype(np.int16)
            results.setdefault(str(model), []).append(_result(seed, ranks))
    return results


def _result(seed: int, ranks: np.ndarray) -> RunResult:
    spec = RunSpec(dataset=DatasetSpec(name="d"), data_hash="0", model="m", revision=1, config={}, seed=seed, label="m")
    users = np.arange(len(ranks), dtype=np.int32)
    queries = pd.DataFrame({"user": users, "target": users, "item_rank": ranks})
    return RunResult(spec=spec, status="complete", queries=queries)


def _other_targets(result: RunResult) -> RunResult:
    assert result.queries is not None
    return dataclasses.replace(result, queries=result.queries.assign(target=result.queries["target"] + 1))
