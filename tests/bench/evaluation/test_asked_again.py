"""Models whose answers depend on chance, or on which queries come together, and those that only round."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.data.dataset import TrainingData
from bench.data.interactions import Histories, Interactions
from bench.data.protocols import Queries
from bench.evaluation.asked_again import MOST_ASKED, check_asked_again
from bench.evaluation.contract import ContractError
from bench.recommender import FitContext, Recommendations, Recommender

N_ITEMS, K = 60, 10
Scoring = Callable[[Histories], NDArray[np.float64]]


class Scored(Recommender):
    """Ranks the catalogue by scores `[n, n_items]`, and notes how many it was asked."""

    def __init__(self, scoring: Scoring) -> None:
        super().__init__()
        self.scoring = scoring
        self.asked: list[int] = []

    def fit(self, train: TrainingData, context: FitContext) -> None:
        """There is nothing to learn."""

    def recommend(self, histories: Histories, k: int) -> Recommendations:
        self.asked.append(len(histories))
        scores = self.scoring(histories)
        items = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        return Recommendations(items.astype(np.int32), np.take_along_axis(scores, items, 1).astype(np.float32))


def queries(n: int) -> Queries:
    items = np.random.default_rng(1).integers(0, N_ITEMS, 4 * n).astype(np.int32)
    interactions = Interactions(items, np.arange(4 * n), np.arange(n + 1) * 4, N_ITEMS)
    ends = np.full(n, 3)
    return Queries(interactions, np.arange(n), ends, items[3::4], np.ones(n, np.int64), np.zeros(n), exclude_seen=False)


def of_history(histories: Histories) -> NDArray[np.float64]:
    """Scores that belong to the last item alone."""
    return np.stack([np.random.default_rng(int(item)).random(N_ITEMS) for item in histories.items[2::3]])


def by_chance(histories: Histories) -> NDArray[np.float64]:
    return np.random.default_rng().random((len(histories), N_ITEMS))


def rolled(histories: Histories) -> NDArray[np.float64]:
    return np.roll(of_history(histories), len(histories), axis=1)


def of_place(histories: Histories) -> NDArray[np.float64]:
    """Those of the query that stands one further on."""
    return np.roll(of_history(histories), 1, axis=0)


def of_the_batch(histories: Histories) -> NDArray[np.float64]:
    return of_history(histories) - 3 * of_history(histories).mean(0)


def rounding(histories: Histories) -> NDArray[np.float64]:
    return of_history(histories) * (1 + 1e-7 * np.random.default_rng().standard_normal((len(histories), N_ITEMS)))


@pytest.mark.parametrize("scoring", [by_chance, rolled, of_place, of_the_batch])
def test_answers_that_change_are_told(scoring: Scoring) -> None:
    with pytest.raises(ContractError, match=r"answered 32 of the queries anew with other items: \d+% of them"):
        check_asked_again(Scored(scoring), queries(40), K)


@pytest.mark.parametrize("scoring", [of_history, rounding])
@pytest.mark.parametrize("n", [1, 2, 3, 40])
def test_answers_that_stay_pass(scoring: Scoring, n: int) -> None:
    check_asked_again(Scored(scoring), queries(n), K)


def test_chance_shows_with_a_single_query() -> None:
    with pytest.raises(ContractError, match="1 of the queries"):
        check_asked_again(Scored(by_chance), queries(1), K)


def test_few_are_asked_at_once_and_in_two_parts() -> None:
    model = Scored(of_history)
    check_asked_again(model, queries(1000), K)
    assert model.asked == [MOST_ASKED, MOST_ASKED // 3, MOST_ASKED - MOST_ASKED // 3]


def test_lists_without_an_item_are_alike() -> None:
    check_asked_again(Scored(lambda histories: np.full((len(histories), N_ITEMS), -np.inf)), queries(3), 0)
