"""The oracle's ranking and its exact scores, against hand computation, Monte Carlo and every other ranking."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from baselines.oracle import Oracle, exact_scores, expected_scores, next_item_probabilities
from baselines.popularity import Popularity
from bench.data.cache import ArtifactCache
from bench.data.interactions import Histories
from bench.data.protocols import Split, split
from bench.data.sources.synthetic import WorldConfig, planted_dataset
from bench.errors import SkippedRun
from bench.evaluation.evaluator import judge
from bench.evaluation.metrics import compute
from bench.evaluation.rank_metrics import ndcg, recall
from bench.execution.worker import execute
from bench.plan import expand
from bench.recommender import FitContext, Recommender
from bench.spec import DatasetSpec, Entry, RunResult, Suite

CONFIG = WorldConfig(topics=4, subtopics=2, items=4, users=600, events=30, reach=6)


class FixedWorld:
    """Always the same distribution."""

    def __init__(self, shares: list[float]) -> None:
        self.shares = np.array(shares)

    def probabilities(self, histories: Histories) -> np.ndarray:
        return np.tile(self.shares, (len(histories), 1))


def one_history(items: list[int], n_items: int, exclude_seen: bool) -> Histories:
    times = np.arange(len(items))
    return Histories(np.array(items, dtype=np.int32), times, np.array([0, len(items)]), n_items, exclude_seen)


def context_in(folder: Path) -> FitContext:
    return FitContext(seed=0, device="cpu", cache=ArtifactCache(folder), validate=lambda _: 0.0)


@pytest.fixture(scope="module")
def small() -> Split:
    return split(planted_dataset("small", CONFIG), "leave-one-out")


def test_expected_scores_of_three_items_are_those_of_a_hand() -> None:
    scores = expected_scores(np.array([[0.2, 0.5, 0.3]]), ks=(1, 2, 5))
    assert scores["recall@1"] == pytest.approx(0.5)
    assert scores["recall@2"] == pytest.approx(0.8)
    assert scores["recall@5"] == pytest.approx(1.0)
    assert scores["ndcg@2"] == pytest.approx(0.5 + 0.3 / np.log2(3))
    assert scores["ndcg@5"] == pytest.approx(0.5 + 0.3 / np.log2(3) + 0.2 / 2)


def test_expected_scores_are_the_mean_of_many_drawn_targets() -> None:
    rng = np.random.default_rng(0)
    likely = rng.dirichlet(np.full(12, 0.4))
    place = np.empty(12, dtype=np.int64)
    place[np.argsort(-likely)] = np.arange(1, 13)
    ranks = place[rng.choice(12, size=1_000_000, p=likely)]
    exact = expected_scores(likely[None], ks=(3,))
    for name, drawn in (("recall@3", recall(ranks, 3)), ("ndcg@3", ndcg(ranks, 3))):
        assert abs(drawn.mean() - exact[name][0]) < 3 * drawn.std() / np.sqrt(len(drawn))


@settings(deadline=None, max_examples=50)
@given(arrays(np.float64, 6, elements=st.floats(0.01, 1)), st.permutations(range(6)), st.integers(1, 6))
def test_no_other_ranking_is_better_in_expectation(weights: np.ndarray, ranking: list[int], k: int) -> None:
    likely = weights / weights.sum()
    ranks = np.argsort(ranking) + 1
    best = expected_scores(likely[None], ks=(k,))
    assert likely @ recall(ranks, k) <= best[f"recall@{k}"][0] + 1e-12
    assert likely @ ndcg(ranks, k) <= best[f"ndcg@{k}"][0] + 1e-12


def test_where_seen_items_are_no_candidates_the_distribution_is_that_of_the_others() -> None:
    world = FixedWorld([0.5, 0.3, 0.1, 0.1])
    likely = next_item_probabilities(world, one_history([0, 2], 4, exclude_seen=True))
    np.testing.assert_allclose(likely, [[0, 0.75, 0, 0.25]])
    assert next_item_probabilities(world, one_history([0, 2], 4, exclude_seen=False)).tolist() == [[0.5, 0.3, 0.1, 0.1]]
    everything = next_item_probabilities(world, one_history([0, 1, 2, 3], 4, exclude_seen=True))
    assert everything.tolist() == [[0, 0, 0, 0]]


def test_the_oracle_ranks_by_the_true_distribution(small: Split, tmp_path: Path) -> None:
    oracle = Oracle()
    oracle.fit(small.train, context_in(tmp_path))
    histories = small.test.histories(0, 50)
    answer = oracle.recommend(histories, 10)
    assert small.train.world is not None
    likely = small.train.world.probabilities(histories)
    np.testing.assert_allclose(answer.scores, -np.sort(-likely, axis=1)[:, :10], rtol=1e-6)
    np.testing.assert_allclose(answer.scores, np.take_along_axis(likely, answer.items, axis=1), rtol=1e-6)


def test_measured_scores_lie_within_three_standard_errors_of_the_exact_ones(small: Split, tmp_path: Path) -> None:
    def fitted(recommender: Recommender) -> Recommender:
        recommender.fit(small.train, context_in(tmp_path))
        return recommender

    assert small.train.world is not None
    exact = exact_scores(small.train.world, small.test)
    ranks = judge(fitted(Oracle()), small.test)["item_rank"].to_numpy()
    popular = judge(fitted(Popularity()), small.test)["item_rank"].to_numpy()
    for name, bound in exact.items():
        measured = compute(name, ranks, 20)
        assert abs(measured.mean() - bound.mean()) < 3 * measured.std(ddof=1) / np.sqrt(len(measured)), name
        assert compute(name, popular, 20).mean() < bound.mean(), name


def test_exact_scores_depend_on_no_batch_and_stand_in_the_diagnostics(small: Split, tmp_path: Path) -> None:
    assert small.train.world is not None
    exact = exact_scores(small.train.world, small.test)
    for name, scores in exact_scores(small.train.world, small.test, batch_size=7).items():
        np.testing.assert_array_equal(scores, exact[name])
    oracle, context = Oracle(), context_in(tmp_path)
    oracle.fit(small.train, context)
    judge(oracle, small.test, batch_size=100)
    assert context.diagnostics["exact"] == pytest.approx({name: scores.mean() for name, scores in exact.items()})


def run_on(dataset: str, folder: Path) -> RunResult:
    suite = Suite(
        name="one",
        description="",
        datasets=(DatasetSpec(name=dataset),),
        models=(Entry(model="oracle"),),
        seeds=(0,),
    )
    return execute(expand(suite)[0], folder, "cpu", threads=1)


def test_a_run_on_a_generated_world_keeps_the_exact_scores(tmp_path: Path) -> None:
    result = run_on("planted-recent", tmp_path)
    assert result.status == "complete", result.reason
    assert result.diagnostics["exact"]["ndcg@10"] == pytest.approx(0.6496, abs=1e-3)


def test_a_run_on_data_without_a_world_is_skipped_with_the_reason(tiny_ml_100k: None, tmp_path: Path) -> None:
    result = run_on("ml-100k", tmp_path)
    assert result.status == "skipped"
    assert "generated data only" in result.reason


def test_without_a_world_there_is_nothing_to_know(small: Split, tmp_path: Path) -> None:
    with pytest.raises(SkippedRun, match="choose planted-long"):
        Oracle().fit(replace(small.train, world=None), context_in(tmp_path))
