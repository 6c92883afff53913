"""Metrics against hand-computed values and against two independent implementations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from sklearn.metrics import ndcg_score

from bench.analysis.columns import RANKING_METRICS
from bench.errors import BenchError
from bench.evaluation.evaluator import target_ranks
from bench.evaluation.lists import tied_places
from bench.evaluation.metrics import METRICS, REPORTED, compute, expected
from bench.evaluation.rank_metrics import hit, mrr, ndcg, recall

DEPTH = 20
CUTOFFS = (1, 3, 5, 10, 20)
N_ITEMS = 60


@dataclass(frozen=True)
class Rankings:
    """Ranked lists as a model may give them, and the one target of each.

    Attributes:
        lists: int32 `[n, DEPTH]`, padded with -1: empty lists and lists shorter than every cut-off are among them.
        scores: float32 `[n, DEPTH]`, with many ties.
        targets: int32 `[n]`, many of them asked for again and again.
    """

    lists: np.ndarray
    scores: np.ndarray
    targets: np.ndarray

    @property
    def ranks(self) -> np.ndarray:
        return target_ranks(self.lists, self.targets)


@pytest.fixture(scope="module")
def rankings() -> Rankings:
    """1,000 random ones; the target is missing in about every second."""
    random = np.random.default_rng(7)
    lists = random.permuted(np.tile(np.arange(N_ITEMS, dtype=np.int32), (1000, 1)), axis=1)[:, :DEPTH]
    lengths = np.where(random.random(1000) < 0.5, DEPTH, random.integers(0, DEPTH, 1000))
    scores = -np.sort(-random.integers(0, 8, lists.shape), axis=1).astype(np.float32)
    absent = np.arange(DEPTH) >= lengths[:, None]
    targets = np.minimum(random.geometric(0.05, 1000) - 1, N_ITEMS - 1).astype(np.int32)
    listed = random.random(1000) < 0.4
    targets[listed] = lists[listed, random.integers(0, DEPTH, listed.sum())]
    return Rankings(np.where(absent, -1, lists), np.where(absent, -np.inf, scores), targets)


@pytest.fixture(scope="module")
def ranks(rankings: Rankings) -> np.ndarray:
    ranks = rankings.ranks
    assert (rankings.lists[:, 0] < 0).sum() > 10  # empty
    assert 300 < (ranks > 0).sum() < 700
    assert len(np.unique(rankings.targets)) < N_ITEMS + 1
    return ranks


def test_values_computed_by_hand() -> None:
    ranks = np.array([1, 3, 10, 11, 0], dtype=np.int16)
    np.testing.assert_array_equal(hit(ranks, 10), [1, 1, 1, 0, 0])
    np.testing.assert_array_equal(recall(ranks, 3), [1, 1, 0, 0, 0])
    np.testing.assert_allclose(ndcg(ranks, 10), [1, 0.5, 1 / np.log2(11), 0, 0], rtol=1e-15)
    np.testing.assert_allclose(mrr(ranks, 10), [1, 1 / 3, 0.1, 0, 0], rtol=1e-15)


def test_no_queries_give_no_values() -> None:
    for metric in METRICS.values():
        assert metric(np.zeros(0, np.int16), 10).shape == (0,)


def test_equal_to_recbole(rankings: Rankings, ranks: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = pytest.importorskip("recbole.evaluator.metrics", reason="RecBole isn't installed")
    monkeypatch.setattr(np, "float", float, raising=False)  # RecBole 1.2.1 still uses the alias that NumPy dropped
    config = {"metric_decimal_place": 15, "topk": list(CUTOFFS)}
    found = rankings.lists == rankings.targets[:, None]
    one_target = np.ones(len(ranks), dtype=int)
    values = {
        "hit": theirs.Hit(config).metric_info(found),
        "recall": theirs.Recall(config).metric_info(found, one_target),
        "ndcg": theirs.NDCG(config).metric_info(found, one_target),
        "mrr": theirs.MRR(config).metric_info(found),
    }
    for name, per_query in values.items():
        for k in CUTOFFS:
            np.testing.assert_allclose(METRICS[name](ranks, k), per_query[:, k - 1], rtol=0, atol=1e-9, err_msg=name)


@pytest.mark.slow  # ranx compiles its metrics at first use
def test_equal_to_ranx(rankings: Rankings, ranks: np.ndarray) -> None:
    ranx = pytest.importorskip("ranx", reason="ranx isn't installed; it weighs 200 MB, so it is no dependency")
    truth = ranx.Qrels({str(query): {str(target): 1} for query, target in enumerate(rankings.targets)})
    ranked = [
        {str(item): 1.0 / place for place, item in enumerate(row, start=1) if item >= 0} for row in rankings.lists
    ]
    lists = ranx.Run({str(query): items or {"nothing": 0.0} for query, items in enumerate(ranked)})
    for name, theirs in (("hit", "hit_rate"), ("recall", "recall"), ("ndcg", "ndcg"), ("mrr", "mrr")):
        for k in CUTOFFS:
            value = ranx.evaluate(truth, lists, f"{theirs}@{k}")
            assert METRICS[name](ranks, k).mean() == pytest.approx(value, abs=1e-9), f"{name}@{k}"


@pytest.mark.parametrize("k", CUTOFFS)
def test_ties_in_expectation_are_scikit_learn_s(rankings: Rankings, ranks: np.ndarray, k: int) -> None:
    """It averages the gains of equal scores; so does an expectation over all their orders."""
    first, last = tied_places(rankings.lists, rankings.scores, ranks)
    assert (last > first).sum() > 200
    relevant = (rankings.lists == rankings.targets[:, None]).astype(float)
    found = ranks > 0
    theirs = np.zeros(len(ranks))
    scores = np.where(rankings.lists < 0, -1, rankings.scores)  # scikit-learn knows no infinity
    theirs[found] = [ndcg_score(relevant[[query]], scores[[query]], k=k) for query in np.flatnonzero(found)]
    np.testing.assert_allclose(expected(f"ndcg@{k}", first, last, DEPTH), theirs, rtol=0, atol=1e-12)


def test_expected_values_computed_by_hand() -> None:
    first, last = np.array([1, 2, 10, 3, 0]), np.array([1, 4, 13, 3, 0])
    np.testing.assert_allclose(expected("recall@10", first, last, DEPTH), [1, 1, 0.25, 1, 0])
    np.testing.assert_allclose(expected("recall@3", first, last, DEPTH), [1, 2 / 3, 0, 1, 0])
    np.testing.assert_allclose(expected("mrr@3", first, last, DEPTH), [1, (1 / 2 + 1 / 3) / 3, 0, 1 / 3, 0])


def test_without_ties_the_expectation_is_the_metric(ranks: np.ndarray) -> None:
    for name in METRICS:
        np.testing.assert_allclose(expected(f"{name}@10", ranks, ranks, DEPTH), METRICS[name](ranks, 10), atol=1e-12)


def test_metric_by_name(ranks: np.ndarray) -> None:
    np.testing.assert_array_equal(compute("ndcg@5", ranks, DEPTH), ndcg(ranks, 5))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ndgc@10", "unknown metric 'ndgc': did you mean ndcg"),
        ("recall", "metric 'recall'"),
        ("recall@50", "whole number from 1 to 20"),  # stored ranks end at 20: a larger K would be a silent lie
        ("recall@0", "whole number from 1 to 20"),
        ("recall@ten", "whole number from 1 to 20"),
    ],
)
def test_wrong_names_are_told_in_one_line(name: str, message: str, ranks: np.ndarray) -> None:
    with pytest.raises(BenchError) as error:
        compute(name, ranks, DEPTH)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_the_leaderboard_has_the_cut_offs_that_metrics_are_reported_at() -> None:
    """In this order: columns of stored leaderboards follow it."""
    assert REPORTED == ("hit@1", "recall@5", "recall@10", "recall@20", "ndcg@5", "ndcg@10", "ndcg@20")
    assert RANKING_METRICS == REPORTED
