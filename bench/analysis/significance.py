"""Is the difference between two models larger than chance? Tests paired over queries, for one pair or for all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from bench.evaluation.evaluator import K_MAX
from bench.evaluation.metrics import compute
from bench.spec import RunResult

ALPHA = 0.05
"""A p-value at or above this is reported as no significant difference."""

RESAMPLES = 9_999
_CHUNK = 1_024  # queries per block of random signs, so that memory stays below 100 MB whatever the data set


@dataclass(frozen=True)
class PairedComparison:
    """Two models on the same queries.

    A query's value is its mean over the seeds that both models have completed. Two chances can make equal models look
    different: which users are asked, and which seeds were drawn. A permutation test over queries covers the first; from
    two seeds on a t-test, whose variance is that of queries plus that of seeds, covers both, and the larger p-value
    counts. With one seed nothing can be known about seeds, and the permutation test stands alone; with two or three,
    models whose seeds differ by more than the noise of the queries still look different too often.

    Attributes:
        metric: E.g. "recall@10".
        first, second: Mean of each model.
        difference: `first - second`.
        low, high: 95 % interval of the difference (Student's t, over queries and seeds).
        effect_size: The difference in standard deviations of the queries' differences (Cohen's d for pairs); 0 where
            none differs.
        p_value: Two-sided.
        n_queries: Number of queries.
        seeds: The seeds that both models have completed.
    """

    metric: str
    first: float
    second: float
    difference: float
    low: float
    high: float
    effect_size: float
    p_value: float
    n_queries: int
    seeds: tuple[int, ...]

    @property
    def significant(self) -> bool:
        """Of this test alone, as if it were the only one."""
        return self.p_value < ALPHA

    @property
    def reversed(self) -> PairedComparison:
        """The same test, of the second against the first."""
        return replace(
            self,
            first=self.second,
            second=self.first,
            difference=0.0 - self.difference,  # no difference is +0, from either side
            low=0.0 - self.high,
            high=0.0 - self.low,
            effect_size=0.0 - self.effect_size,
        )


Tested = Mapping[tuple[str, str], PairedComparison]
"""(first, second) -> the test of a pair of rows on all queries; each pair in one order only."""


def pair_test(tested: Tested, first: str, second: str) -> PairedComparison | None:
    """The test of `first` against `second`, in whichever order it was made. None where the two can't be paired."""
    if (first, second) in tested:
        return tested[first, second]
    return tested[second, first].reversed if (second, first) in tested else None


def compare(
    first: Sequence[RunResult],
    second: Sequence[RunResult],
    metric: str,
    mask: NDArray[np.bool_] | None = None,
) -> PairedComparison | None:
    """Compares two models at item level, paired over queries.

    Args:
        first, second: Complete results of each model on one data set, one per seed.
        metric: E.g. "recall@10".
        mask: bool `[n_queries]`, the part of the queries to compare on. None: all.

    Returns:
        The comparison, or None where there is nothing to pair: no seed in common, other queries, or fewer than two.
    """
    pair = _paired(first, second, metric, mask)
    return _comparison(metric, pair, sign_flip_test(pair.differences)) if pair else None


def compare_all(results: Mapping[str, Sequence[RunResult]], metric: str) -> dict[tuple[str, str], PairedComparison]:
    """`compare` for every two of several models, with all permutation tests made in one go.

    Args:
        results: Complete results of each model on one data set, one per seed.
        metric: E.g. "ndcg@10".

    Returns:
        (first, second) -> comparison, in the order of `results`; without pairs that can't be paired.
    """
    paired = {(a, b): _paired(results[a], results[b], metric, None) for a, b in combinations(results, 2)}
    pairable = {names: pair for names, pair in paired.items() if pair}
    p_values: dict[tuple[str, str], float] = {}
    for size in {len(pair.differences) for pair in pairable.values()}:
        alike = [names for names, pair in pairable.items() if len(pair.differences) == size]
        tests = sign_flip_tests(np.column_stack([pairable[names].differences for names in alike]))
        p_values |= dict(zip(alike, tests.tolist(), strict=True))
    return {names: _comparison(metric, pair, p_values[names]) for names, pair in pairable.items()}


Interval = tuple[float, float, float, float, float, int, int]
"""Both means, their difference, the ends of its 95 % interval, queries and seeds."""


def difference_intervals(
    first: Sequence[RunResult], second: Sequence[RunResult], metric: str, masks: Iterable[NDArray[np.bool_]]
) -> list[Interval | None]:
    """`compare` without a test on each of several parts of the queries.

    For figures with hundreds of intervals, where nothing is concluded from a single one. None likewise.
    """
    whole = _paired(first, second, metric, None)
    if whole is None:
        return [None for _ in masks]
    parts = (_Pair(whole.first[:, mask], whole.second[:, mask], whole.seeds) for mask in masks)
    return [_interval(part) if part.first.shape[1] > 1 else None for part in parts]


def _interval(pair: _Pair) -> Interval:
    means, difference, margin = (float(pair.first.mean()), float(pair.second.mean())), pair.differences, pair.margin
    middle = float(difference.mean())
    return (*means, middle, middle - margin, middle + margin, len(difference), len(pair.seeds))


def common_means(
    first: Sequence[RunResult],
    second: Sequence[RunResult],
    metric: str,
    mask: NDArray[np.bool_] | None = None,
) -> tuple[float, float] | None:
    """Means of two models over the seeds and queries that `compare` would pair, without a test. None likewise."""
    pair = _paired(first, second, metric, mask)
    return (float(pair.first.mean()), float(pair.second.mean())) if pair else None


def sign_flip_test(differences: NDArray[np.float64], resamples: int = RESAMPLES, seed: int = 0) -> float:
    """`sign_flip_tests` of one vector of differences, float64 `[n]`."""
    return float(sign_flip_tests(differences[:, None], resamples, seed)[0])


def sign_flip_tests(differences: NDArray[np.float64], resamples: int = RESAMPLES, seed: int = 0) -> NDArray[np.float64]:
    """Two-sided p-values of paired permutation tests of a mean difference of zero.

    If two models were exchangeable, the sign of each query's difference would be a coin toss. The same test as
    `scipy.stats.permutation_test(permutation_type="samples")`, with the tosses drawn as bits and shared by all columns:
    more than ten times faster, which matters as the report is rebuilt after every run.

    Args:
        differences: float64 `[n, n_tests]`, first minus second, per query.
        resamples: Random assignments of signs.
        seed: Of the tosses, so that a report is reproducible.

    Returns:
        float64 `[n_tests]`, `(1 + extreme) / (1 + resamples)`, hence never 0; 1 where all differences are 0.
    """
    sizes = np.abs(differences[(differences != 0).any(axis=1)])  # a zero has no sign to flip
    observed = np.abs(differences.sum(axis=0))
    random = np.random.default_rng(seed)
    sums = np.zeros((resamples, differences.shape[1]))
    for start in range(0, len(sizes), _CHUNK):
        chunk = sizes[start : start + _CHUNK]
        bits = random.integers(0, 256, size=(resamples, -(-len(chunk) // 8)), dtype=np.uint8)
        heads = np.unpackbits(bits, axis=1, count=len(chunk)).astype(np.float64)
        sums += 2.0 * (heads @ chunk) - chunk.sum(axis=0)
    tolerance = 1e-9 * np.maximum(observed, 1.0)  # equal sums, added in another order, must count as equal
    return (1 + (np.abs(sums) >= observed - tolerance).sum(axis=0)) / (1 + resamples)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction for several tests of one family.

    The smallest p-value is multiplied by the number of tests, the next one by one less, and so on; none is corrected to
    less than the one before it, nor to more than 1. Whoever sees an effect wherever the corrected p-value is under 0.05
    is wrong about any of the tests in at most one family of twenty (Holm, Scandinavian Journal of Statistics, 1979).

    Args:
        p_values: Of the tests, in any order.

    Returns:
        The corrected p-values, in the order given.

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
        >>> holm([0.2])
        [0.2]
    """
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for smaller, index in enumerate(np.argsort(p_values, kind="stable")):
        largest = max(largest, min(1.0, (len(p_values) - smaller) * p_values[index]))
        adjusted[index] = largest
    return adjusted


@dataclass(frozen=True)
class _Pair:
    """Values of two models on the same queries, float64 `[n_seeds, n_queries]` each."""

    first: NDArray[np.float64]
    second: NDArray[np.float64]
    seeds: tuple[int, ...]

    @property
    def differences(self) -> NDArray[np.float64]:
        """float64 `[n_queries]`, mean over seeds."""
        return (self.first - self.second).mean(axis=0)

    @property
    def margin(self) -> float:
        """Half the width of the 95 % interval of the mean difference."""
        error, freedom = self._error
        return float(student.ppf(0.975, freedom)) * error

    @property
    def p_value(self) -> float:
        """Two-sided, of the t-test over queries and seeds; 0, and so without effect, where seeds can't be judged."""
        error, freedom = self._error
        if len(self.seeds) < 2 or error == 0:
            return 0.0
        return 2 * float(student.sf(abs(self.differences.mean()) / error, freedom))

    @property
    def _error(self) -> tuple[float, float]:
        """Standard error of the mean difference, and its degrees of freedom (Welch and Satterthwaite).

        Queries and seeds are crossed random effects, and the variances of the mean over either are added. Chance within
        a query and seed is in both sums, so the error is on the safe side; for the degrees of freedom only what seeds
        vary beyond that chance counts as theirs, or three seeds alike would make a thousand queries worth two.
        """
        gaps = self.first - self.second
        n_seeds, n_queries = gaps.shape
        by_query, by_seed = gaps.mean(axis=0), gaps.mean(axis=1)
        queries = float(by_query.var(ddof=1)) / n_queries
        if n_seeds == 1:
            return float(np.sqrt(queries)), n_queries - 1
        seeds = float(by_seed.var(ddof=1)) / n_seeds
        rest = gaps - by_query - by_seed[:, None] + gaps.mean()
        chance = float((rest**2).sum()) / ((n_queries - 1) * (n_seeds - 1) * gaps.size)
        excess = max(0.0, seeds - chance)
        squares = queries**2 / (n_queries - 1) + excess**2 / (n_seeds - 1)
        freedom = (queries + excess) ** 2 / squares if squares else n_queries - 1
        return float(np.sqrt(queries + seeds)), freedom


def _paired(
    first: Sequence[RunResult], second: Sequence[RunResult], metric: str, mask: NDArray[np.bool_] | None
) -> _Pair | None:
    """The seeds and queries that two models share. None where there is nothing to pair."""
    by_seed = {result.spec.seed: result for result in second}
    pairs = [(result, by_seed[result.spec.seed]) for result in first if result.spec.seed in by_seed]
    if not pairs or not all(_same_queries(pairs[0][0], result) for pair in pairs for result in pair):
        return None
    left, right = (np.stack([per_query(result, metric) for result in side]) for side in zip(*pairs, strict=True))
    if mask is not None:
        left, right = left[:, mask], right[:, mask]
    return _Pair(left, right, tuple(result.spec.seed for result, _ in pairs)) if left.shape[1] > 1 else None


def _comparison(metric: str, pair: _Pair, permuted: float) -> PairedComparison:
    """Args: the metric, the values, and the p-value of the permutation test."""
    differences = pair.differences
    difference, deviation = float(differences.mean()), float(differences.std(ddof=1))
    margin = pair.margin
    return PairedComparison(
        metric=metric,
        first=float(pair.first.mean()),
        second=float(pair.second.mean()),
        difference=difference,
        low=difference - margin,
        high=difference + margin,
        effect_size=difference / deviation if deviation else 0.0,
        p_value=max(permuted, pair.p_value),
        n_queries=len(differences),
        seeds=pair.seeds,
    )


def per_query(result: RunResult, metric: str) -> NDArray[np.float64]:
    """A metric at item level, one value a query, float64 `[n_queries]`."""
    assert result.queries is not None  # a complete result has its queries
    return compute(metric, result.queries["item_rank"].to_numpy(), K_MAX)


def _same_queries(first: RunResult, second: RunResult) -> bool:
    if first.queries is None or second.queries is None:
        return False
    if first.queries is second.queries:
        return True
    return all(
        np.array_equal(first.queries[name].to_numpy(), second.queries[name].to_numpy()) for name in ("user", "target")
    )
