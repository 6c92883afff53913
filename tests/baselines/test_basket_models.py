"""TIFU-KNN, UP-CF@r and GP-TopFreq beside walks over lists of baskets, written from their papers and official code."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from baselines.baskets import Baskets
from baselines.gp_topfreq import GPTopFreq
from baselines.tifuknn import TIFUKNN
from baselines.upcf import UPCF
from bench.data.cache import ArtifactCache
from bench.data.dataset import ItemTable, TrainingData
from bench.data.interactions import Histories, Interactions
from bench.recommender import FitContext, Recommender

N_ITEMS = 12
Sequence = list[list[int]]
"""A user's baskets, oldest first."""


def arrays(rows: list[Sequence]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    items = [item for row in rows for basket in row for item in basket]
    times = [1000 + number for row in rows for number, basket in enumerate(row) for _ in basket]
    offsets = np.cumsum([0, *(sum(map(len, row)) for row in rows)])
    return np.array(items, dtype=np.int32), np.array(times, dtype=np.int64), offsets.astype(np.int64)


def histories_of(rows: list[Sequence], exclude_seen: bool = False) -> Histories:
    return Histories(*arrays(rows), n_items=N_ITEMS, exclude_seen=exclude_seen)


def fitted(model: Recommender, rows: list[Sequence], folder: Path, baskets: bool = True) -> Recommender:
    table = ItemTable(pd.DataFrame(index=range(N_ITEMS)), (), None)
    train = TrainingData(Interactions(*arrays(rows), n_items=N_ITEMS), table, False, "", baskets=baskets)
    model.fit(train, FitContext(0, "cpu", ArtifactCache(folder), validate=lambda _: 0.0))
    return model


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def shoppers(rng: np.random.Generator, users: int, most: int = 11) -> list[Sequence]:
    """Users of 0 .. `most` baskets of one to four different items."""
    lengths = rng.integers(0, most + 1, users)
    lengths[0] = 0
    return [[rng.permutation(N_ITEMS)[: rng.integers(1, 5)].tolist() for _ in range(length)] for length in lengths]


def continued(rows: list[Sequence], rng: np.random.Generator) -> list[Sequence]:
    """Histories of the same users with up to two more baskets, and those of strangers."""
    more = [row + [rng.permutation(N_ITEMS)[:3].tolist() for _ in range(rng.integers(0, 3))] for row in rows]
    return [*more, [[1], [1, 2]], []]


def scores_by_item(model: Recommender, histories: Histories) -> np.ndarray:
    """The full ranking's scores as a matrix; 0 where an item only follows by popularity."""
    answer = model.recommend(histories, N_ITEMS)
    scores = np.zeros((len(histories), N_ITEMS))
    np.put_along_axis(scores, answer.items.astype(np.int64), answer.scores, axis=1)
    return scores.clip(min=0)


# --- TIFU-KNN: Hu et al. 2020; decay over all later baskets as in the official TIFUKNN.py, or inside the group. ---

TIFU = {"neighbours": 4, "within_decay": 0.9, "group_decay": 0.7, "own_weight": 0.6, "groups": 3}


def naive_groups(baskets: Sequence, most: int) -> Iterator[Sequence]:
    """Consecutive groups; the last ones have one basket more where the number is no multiple."""
    groups = min(most, len(baskets))
    size, larger = divmod(len(baskets), groups)
    start = 0
    for number in range(groups):
        stop = start + size + (number >= groups - larger)
        yield baskets[start:stop]
        start = stop


def naive_user_vector(baskets: Sequence, decay_within: str) -> np.ndarray:
    vector = np.zeros(N_ITEMS)
    if not baskets:
        return vector
    groups = list(naive_groups(baskets, TIFU["groups"]))
    later_in_history = len(baskets)
    for number, group in enumerate(groups):
        mean = np.zeros(N_ITEMS)
        for place, basket in enumerate(group):
            later_in_history -= 1
            later = later_in_history if decay_within == "history" else len(group) - 1 - place
            for item in basket:
                mean[item] += TIFU["within_decay"] ** later / len(group)
        vector += TIFU["group_decay"] ** (TIFU["groups"] - 1 - number) * mean / len(groups)
    return vector


def naive_tifu(train: list[Sequence], history: Sequence, user: int | None, decay_within: str) -> np.ndarray:
    own = naive_user_vector(history, decay_within)
    others = [
        (float(((own - vector) ** 2).sum()), other, vector)
        for other, row in enumerate(train)
        if row and other != user
        for vector in [naive_user_vector(row, decay_within)]
    ]
    nearest = sorted(others, key=lambda entry: (round(entry[0], 12), entry[1]))[: TIFU["neighbours"]]
    near = np.mean([vector for *_, vector in nearest], axis=0)
    return TIFU["own_weight"] * own + (1 - TIFU["own_weight"]) * near


@pytest.mark.parametrize("decay_within", ["history", "group"])
def test_tifu_knn_equals_the_naive_walk(decay_within: str, rng: np.random.Generator, tmp_path: Path) -> None:
    train = shoppers(rng, 15)
    asked = continued(train, rng)
    model = fitted(TIFUKNN({**TIFU, "decay_within": decay_within}), train, tmp_path)
    users = [user if row else None for user, row in enumerate(train)] + [None, None]
    expected = [naive_tifu(train, row, user, decay_within) for row, user in zip(asked, users, strict=True)]
    np.testing.assert_allclose(scores_by_item(model, histories_of(asked)), expected, atol=1e-7)


def test_tifu_knns_defaults_are_the_papers_for_ta_feng() -> None:
    config = TIFUKNN().config
    assert (config.neighbours, config.within_decay, config.group_decay, config.own_weight, config.groups) == (
        300,
        0.9,
        0.7,
        0.7,
        7,
    )


def test_a_basket_later_in_a_short_history_weighs_more(tmp_path: Path) -> None:
    model = fitted(TIFUKNN({**TIFU, "own_weight": 1.0}), [[[0]], [[1]]], tmp_path)
    scores = scores_by_item(model, histories_of([[[5], [6]]]))[0]
    # Two baskets in two of three groups, by hand: 0.9 * 0.7 ** 2 / 2 and 0.7 / 2.
    np.testing.assert_allclose(scores[[5, 6]], [0.9 * 0.49 / 2, 0.7 / 2], rtol=1e-6)


# --- UP-CF@r: Faggioli, Polato & Aiolli 2020. ---


def naive_popularity(baskets: Sequence, recency: int | None) -> dict[int, float]:
    last = baskets if recency is None else baskets[-recency:]
    shares: dict[int, float] = defaultdict(float)
    for basket in last:
        for item in set(basket):
            shares[item] += 1 / len(last)
    return shares


def naive_up_cf(
    train: list[Sequence], history: Sequence, user: int | None, config: dict[str, float | None]
) -> np.ndarray:
    scores = np.zeros(N_ITEMS)
    for item, share in naive_popularity(history, config["recency"]).items():
        scores[item] += share  # similarity of a user to themselves: 1
    own = {item for basket in history for item in basket}
    similar = []
    for other, row in enumerate(train):
        items = {item for basket in row for item in basket}
        if other != user and own & items:
            norm = len(own) ** config["asymmetry"] * len(items) ** (1 - config["asymmetry"])
            similar.append((len(own & items) / norm, -other))
    for similarity, negated in sorted(similar, reverse=True)[: config["neighbours"]]:
        for item, share in naive_popularity(train[-negated], config["recency"]).items():
            scores[item] += similarity ** config["locality"] * share
    return scores


@pytest.mark.parametrize(
    ("recency", "asymmetry", "locality", "neighbours"), [(3, 0.25, 5.0, None), (None, 0.9, 1.0, 2), (1, 0.0, 2.0, None)]
)
def test_up_cf_equals_the_naive_walk(
    recency: int | None,
    asymmetry: float,
    locality: float,
    neighbours: int | None,
    rng: np.random.Generator,
    tmp_path: Path,
) -> None:
    config = {"recency": recency, "asymmetry": asymmetry, "locality": locality, "neighbours": neighbours}
    train = shoppers(rng, 15)
    asked = continued(train, rng)
    model = fitted(UPCF(config), train, tmp_path)
    users = [user if row else None for user, row in enumerate(train)] + [None, None]
    expected = [naive_up_cf(train, row, user, config) for row, user in zip(asked, users, strict=True)]
    np.testing.assert_allclose(scores_by_item(model, histories_of(asked)), expected, atol=1e-6)


def test_a_high_locality_leaves_the_users_own_recent_baskets(tmp_path: Path) -> None:
    model = fitted(UPCF({"recency": 1, "locality": 200.0}), [[[0, 1]], [[2, 3]]], tmp_path)
    scores = scores_by_item(model, histories_of([[[0, 2], [4]]]))[0]
    assert scores[4] == 1
    assert scores[[0, 2]].max() < 1e-6


# --- GP-TopFreq ---


def test_own_items_by_baskets_then_popular_ones(tmp_path: Path) -> None:
    train: list[Sequence] = [[[0, 1], [0]], [[1], [1], [2]]]
    model = fitted(GPTopFreq(), train, tmp_path)
    answer = model.recommend(histories_of([[[5, 2], [5], [7, 1]], []]), k=6)
    # Own: item 5 in two baskets; 1, 2 and 7 in one, by popularity (3, 1, 0). Then 0, with two events, and 3.
    assert answer.items.tolist() == [[5, 1, 2, 7, 0, 3], [1, 0, 2, 3, 4, 5]]


def test_an_item_twice_in_a_basket_counts_once_and_without_baskets_twice(tmp_path: Path) -> None:
    history = histories_of([[[3, 3], [4], [4, 9]]])
    assert Baskets.of(history, grouped=True).frequencies().toarray()[0, [3, 4, 9]].tolist() == [1, 2, 1]
    assert Baskets.of(history, grouped=False).frequencies().toarray()[0, [3, 4, 9]].tolist() == [2, 2, 1]
    assert Baskets.of(history, grouped=True).sizes.tolist() == [3]
    assert Baskets.of(history, grouped=False).sizes.tolist() == [5]


@pytest.mark.parametrize("model", [TIFUKNN, UPCF, GPTopFreq])
def test_lists_depend_on_no_batch_and_leave_seen_items_out(
    model: type[Recommender], rng: np.random.Generator, tmp_path: Path
) -> None:
    train = shoppers(rng, 12)
    asked = histories_of(continued(train, rng), exclude_seen=True)
    recommender = fitted(model(), train, tmp_path, baskets=False)
    whole = recommender.recommend(asked, 5)
    parts = [recommender.recommend(asked.batch(query, query + 1), 5) for query in range(len(asked))]
    np.testing.assert_array_equal(whole.items, np.concatenate([part.items for part in parts]))
    seen = asked.seen()
    listed = whole.items >= 0
    assert not seen[np.nonzero(listed)[0], whole.items[listed]].any()
