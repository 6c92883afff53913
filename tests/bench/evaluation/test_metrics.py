"""Metrics against hand-computed values and against two independent implementations."""

from __future__ import annotations

import numpy as np
import pytest

from bench.errors import BenchError
from bench.evaluation.metrics import METRICS, compute, hit, mrr, ndcg, recall

DEPTH = 20
CUTOFFS = (1, 3, 5, 10, 20)


@pytest.fixture(scope="module")
def ranks() -> np.ndarray:
    """1,000 random rankings; about a third miss the target."""
    random = np.random.default_rng(7)
    return np.where(random.random(1000) < 0.35, 0, random.integers(1, DEPTH + 1, 1000)).astype(np.int16)


def test_values_computed_by_hand() -> None:
    ranks = np.array([1, 3, 10, 11, 0], dtype=np.int16)
    np.testing.assert_array_equal(hit(ranks, 10), [1, 1, 1, 0, 0])
    np.testing.assert_array_equal(recall(ranks, 3), [1, 1, 0, 0, 0])
    np.testing.assert_allclose(ndcg(ranks, 10), [1, 0.5, 1 / np.log2(11), 0, 0], rtol=1e-15)
    np.testing.assert_allclose(mrr(ranks, 10), [1, 1 / 3, 0.1, 0, 0], rtol=1e-15)


def test_no_queries_give_no_values() -> None:
    for metric in METRICS.values():
        assert metric(np.zeros(0, np.int16), 10).shape == (0,)


def test_equal_to_recbole(ranks: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = pytest.importorskip("recbole.evaluator.metrics", reason="RecBole isn't installed")
    monkeypatch.setattr(np, "float", float, raising=False)  # RecBole 1.2.1 still uses the alias that NumPy dropped
    config = {"metric_decimal_place": 15, "topk": list(CUTOFFS)}
    found = np.arange(1, DEPTH + 1) == ranks[:, None]
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
def test_equal_to_ranx(ranks: np.ndarray) -> None:
    ranx = pytest.importorskip("ranx", reason="ranx isn't installed")
    truth = ranx.Qrels({str(query): {"target": 1} for query in range(len(ranks))})
    lists = ranx.Run(
        {
            str(query): {("target" if place == rank else f"other{place}"): 1.0 / place for place in range(1, DEPTH + 1)}
            for query, rank in enumerate(ranks)
        }
    )
    for name, theirs in (("hit", "hit_rate"), ("recall", "recall"), ("ndcg", "ndcg"), ("mrr", "mrr")):
        for k in CUTOFFS:
            value = ranx.evaluate(truth, lists, f"{theirs}@{k}")
            assert METRICS[name](ranks, k).mean() == pytest.approx(value, abs=1e-9), f"{name}@{k}"


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
