"""Popularity, personal popularity and item kNN in worlds small enough to count by hand."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from baselines.item_knn import ItemKNN, cosine_neighbours
from baselines.personal_popularity import PersonalPopularity
from baselines.popularity import Popularity
from bench.data.cache import ArtifactCache
from bench.data.dataset import ItemTable, TrainingData
from bench.data.interactions import Histories, Interactions
from bench.recommender import FitContext, Recommender
from models.history.count_prior import decayed_counts

# Counts: item 0 three times, 1 twice, 2 twice, 3 once, 4 and 5 never.
TRAINING = [[0, 1, 2], [0, 1], [0, 2, 3], []]
N_ITEMS = 6


def ragged(rows: list[list[int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    items = np.array([item for row in rows for item in row], dtype=np.int32)
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    return items, np.arange(len(items), dtype=np.int64), offsets


def histories_of(rows: list[list[int]], exclude_seen: bool = False) -> Histories:
    return Histories(*ragged(rows), n_items=N_ITEMS, exclude_seen=exclude_seen)


def interactions_of(rows: list[list[int]]) -> Interactions:
    return Interactions(*ragged(rows), n_items=N_ITEMS)


def fitted(recommender: Recommender, tmp_path: Path) -> Recommender:
    table = ItemTable(pd.DataFrame(index=range(N_ITEMS)), (), None)
    train = TrainingData(interactions_of(TRAINING), table, exclude_seen=False, content_hash="")
    recommender.fit(train, FitContext(seed=0, device="cpu", cache=ArtifactCache(tmp_path), validate=lambda _: 0.0))
    return recommender


def test_popularity_ranks_by_training_counts(tmp_path: Path) -> None:
    answer = fitted(Popularity(), tmp_path).recommend(histories_of([[3], []]), k=6)
    assert answer.items.tolist() == [[0, 1, 2, 3, 4, 5]] * 2
    assert answer.scores.tolist() == [[3, 2, 2, 1, 0, 0]] * 2


def test_decayed_counts_halve_with_every_half_life() -> None:
    counts = decayed_counts(histories_of([[1, 2, 1], [], [5]]), half_life=1.0).toarray()
    expected = [[0, 1 + 1 / 4, 1 / 2, 0, 0, 0], [0] * 6, [0, 0, 0, 0, 0, 1]]
    np.testing.assert_allclose(counts, expected, rtol=1e-15)


def test_decayed_counts_never_vanish() -> None:
    counts = decayed_counts(histories_of([[3] + [1] * 3000]), half_life=1.0).toarray()
    assert counts[0, 3] > 0


def test_a_window_counts_the_last_events_of_each_history_only() -> None:
    counted = decayed_counts(histories_of([[4, 1, 2, 1], [], [5]]), half_life=2.0, window=2).toarray()
    np.testing.assert_array_equal(counted, decayed_counts(histories_of([[2, 1], [], [5]]), half_life=2.0).toarray())


def test_personal_popularity_ranks_own_items_first_and_fills_up_by_popularity(tmp_path: Path) -> None:
    model = fitted(PersonalPopularity({"half_life": 1.0}), tmp_path)
    answer = model.recommend(histories_of([[4, 4, 3], []]), k=6)
    # Item 3 weighs 1, item 4 weighs 1/2 + 1/4; the rest by popularity.
    assert answer.items.tolist() == [[3, 4, 0, 1, 2, 5], [0, 1, 2, 3, 4, 5]]


def test_a_long_half_life_counts_and_a_short_one_ranks_by_recency(tmp_path: Path) -> None:
    history = histories_of([[4, 4, 3]])
    assert fitted(PersonalPopularity({"half_life": 1000}), tmp_path).recommend(history, k=2).items.tolist() == [[4, 3]]
    assert fitted(PersonalPopularity({"half_life": 0.1}), tmp_path).recommend(history, k=2).items.tolist() == [[3, 4]]


def test_smoothing_adds_events_that_everybody_shares(tmp_path: Path) -> None:
    model = fitted(PersonalPopularity({"half_life": 1.0, "smoothing": 8}), tmp_path)
    answer = model.recommend(histories_of([[3, 3], []]), k=6)
    # Eight training events: the imagined ones are the training counts. Item 3 has 1 + 1/2 beside its one.
    assert answer.items.tolist() == [[0, 3, 1, 2, 4, 5], [0, 1, 2, 3, 4, 5]]
    np.testing.assert_allclose(answer.scores[0, :4], [3, 2.5, 2, 2])


@pytest.mark.parametrize("smoothing", [0, 5])
def test_personal_popularity_is_popularity_where_seen_items_are_excluded(tmp_path: Path, smoothing: float) -> None:
    history = histories_of([[4, 4, 3], [0], []], exclude_seen=True)
    personal = fitted(PersonalPopularity({"smoothing": smoothing}), tmp_path).recommend(history, k=6)
    popular = fitted(Popularity(), tmp_path).recommend(history, k=6)
    np.testing.assert_array_equal(personal.items, popular.items)


def test_cosine_by_hand() -> None:
    similarity = cosine_neighbours(interactions_of(TRAINING), neighbours=6, shrinkage=1.0).toarray()
    expected = np.zeros((6, 6))
    # users with each item: 0 -> 3, 1 -> 2, 2 -> 2, 3 -> 1
    pairs = {(0, 1): 2 / (6**0.5 + 1), (0, 2): 2 / (6**0.5 + 1), (0, 3): 1 / (3**0.5 + 1)}
    pairs |= {(1, 2): 1 / (2 + 1), (2, 3): 1 / (2**0.5 + 1)}
    for (i, j), value in pairs.items():
        expected[i, j] = expected[j, i] = value
    np.testing.assert_allclose(similarity, expected, rtol=1e-15)


def test_an_item_twice_in_a_history_counts_its_user_once() -> None:
    once = cosine_neighbours(interactions_of([[0, 1], [0]]), 6, 0.0).toarray()
    twice = cosine_neighbours(interactions_of([[0, 1, 0, 1], [0]]), 6, 0.0).toarray()
    np.testing.assert_array_equal(once, twice)


def test_only_the_nearest_neighbours_are_kept_and_ties_go_to_the_lower_index() -> None:
    similarity = cosine_neighbours(interactions_of(TRAINING), neighbours=1, shrinkage=0.0).toarray()
    assert [row.nonzero()[0].tolist() for row in similarity] == [[1], [0], [0], [2], [], []]


def test_item_knn_sums_similarities_over_the_decayed_history(tmp_path: Path) -> None:
    model = fitted(ItemKNN({"neighbours": 6, "shrinkage": 0.0, "half_life": 1.0}), tmp_path)
    answer = model.recommend(histories_of([[1, 3], [4], []]), k=6)
    scores = {0: 0.5 * 2 / 6**0.5 + 1 / 3**0.5, 2: 0.5 * 1 / 2 + 1 / 2**0.5}
    assert answer.items.tolist() == [[0, 2, 1, 3, 4, 5], [0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 5]]
    np.testing.assert_allclose(answer.scores[0, :2], [scores[0], scores[2]], rtol=1e-6)
    assert (answer.scores[1:] < 0).all(), "what is near nothing in the history ranks below all that is"


def test_item_knn_leaves_out_seen_items(tmp_path: Path) -> None:
    model = fitted(ItemKNN(), tmp_path)
    answer = model.recommend(histories_of([[1, 0]], exclude_seen=True), k=6)
    assert answer.items.tolist() == [[2, 3, 4, 5, -1, -1]]


def test_training_events_and_histories_stay_as_they_are(tmp_path: Path) -> None:
    rows = [[5, 1, 5, 0], [2]]
    interactions, histories = interactions_of(rows), histories_of(rows)
    cosine_neighbours(interactions, 2, 0.0)
    decayed_counts(histories, 1.0)
    for after in (interactions, histories):
        assert after.items.tolist() == [5, 1, 5, 0, 2]
        assert after.offsets.tolist() == [0, 4, 5]


@pytest.mark.parametrize("model", [Popularity, PersonalPopularity, ItemKNN])
@pytest.mark.parametrize("exclude_seen", [True, False])
def test_lists_do_not_depend_on_the_batch(model: type[Recommender], exclude_seen: bool, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [rng.integers(0, N_ITEMS, length).tolist() for length in (0, 1, 4, 9, 2)]
    histories = histories_of(rows, exclude_seen)
    together = fitted(model(), tmp_path).recommend(histories, k=5)
    for index in range(len(rows)):
        alone = fitted(model(), tmp_path).recommend(histories.batch(index, index + 1), k=5)
        np.testing.assert_array_equal(together.items[index], alone.items[0])
        np.testing.assert_array_equal(together.scores[index], alone.scores[0])
