"""The mixture of a model's probabilities and a user's counts: its numbers by hand, and how it is chosen."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from baselines import count_mixture
from baselines.count_mixture import CountMixture
from baselines.full_ranking import rank_catalogue
from baselines.popularity import fill_with_popularity
from baselines.sasrec import SASRec
from bench.data.cache import ArtifactCache
from bench.data.dataset import ItemTable, TrainingData
from bench.data.interactions import Histories, Interactions
from bench.errors import BenchError
from bench.recommender import FitContext, Recommendations, Recommender
from models.history.count_prior import Mixture, decayed_counts

N_ITEMS = 5
TRAINING = [[0, 0, 1], [0, 2]]
"""Counts 3, 1, 1, 0, 0."""


class Fixed(Recommender):
    """Gives every query the same scores."""

    revision = 7
    scores = np.log([0.1, 0.2, 0.3, 0.2, 0.2])
    asked = 0

    def fit(self, train: TrainingData, context: FitContext) -> None:
        context.validate(self)

    def recommend(self, histories: Histories, k: int) -> Recommendations:
        type(self).asked += 1
        order = np.argsort(-self.scores, kind="stable")[:k]
        rows = (len(histories), 1)
        return Recommendations(
            np.tile(order.astype(np.int32), rows), np.tile(self.scores[order].astype(np.float32), rows)
        )


@pytest.fixture(autouse=True)
def fixed(monkeypatch: pytest.MonkeyPatch) -> type[Fixed]:
    """Registers `fixed` for these tests."""
    registered = count_mixture.model_class
    monkeypatch.setattr(count_mixture, "model_class", lambda name: Fixed if name == "fixed" else registered(name))
    monkeypatch.setattr(Fixed, "asked", 0)
    return Fixed


def ragged(rows: list[list[int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    items = np.array([item for row in rows for item in row], dtype=np.int32)
    return items, np.arange(len(items), dtype=np.int64), np.cumsum([0, *map(len, rows)]).astype(np.int64)


def histories_of(rows: list[list[int]], exclude_seen: bool = False) -> Histories:
    return Histories(*ragged(rows), n_items=N_ITEMS, exclude_seen=exclude_seen)


def fitted(
    config: dict[str, Any], folder: Path, validate: Callable[[Recommender], float] = lambda _: 0.0
) -> tuple[CountMixture, FitContext]:
    model = CountMixture({"base": "fixed", **config})
    train = TrainingData(
        Interactions(*ragged(TRAINING), n_items=N_ITEMS),
        ItemTable(pd.DataFrame(index=range(N_ITEMS)), (), None),
        False,
        "",
    )
    context = FitContext(0, "cpu", ArtifactCache(folder), validate=validate)
    model.fit(train, context)
    return model, context


def one(weight: float, half_life: float = 1.0, smoothing: float = 0.0) -> dict[str, Any]:
    return {"weights": [weight], "half_lives": [half_life], "smoothings": [smoothing]}


def test_the_mixture_is_the_weighted_sum_of_two_distributions(tmp_path: Path) -> None:
    model, _ = fitted(one(0.25, half_life=1.0, smoothing=5.0), tmp_path)
    answer = model.recommend(histories_of([[4, 3, 4]]), k=N_ITEMS)
    # Own events: item 4 weighs 1 + 1/4, item 3 weighs 1/2; five imagined events follow the counts 3, 1, 1 of five.
    counts = np.array([3, 1, 1, 0.5, 1.25]) / 6.75
    expected = 0.75 * np.array([0.1, 0.2, 0.3, 0.2, 0.2]) + 0.25 * counts
    order = np.argsort(-expected)
    assert answer.items[0].tolist() == order.tolist()
    np.testing.assert_allclose(answer.scores[0], expected[order], rtol=1e-6)


@pytest.mark.parametrize(("weight", "best"), [(0.0, [2, 1, 3]), (1.0, [4, 0, 1])])
def test_at_the_ends_of_the_scale_only_one_of_the_two_ranks(weight: float, best: list[int], tmp_path: Path) -> None:
    model, _ = fitted(one(weight), tmp_path)
    assert model.recommend(histories_of([[4]]), k=3).items.tolist() == [best]
    if weight == 1:
        asked = Fixed.asked
        model.recommend(histories_of([[4]]), k=3)
        assert Fixed.asked == asked


def test_weights_are_shares_and_items_off_the_list_get_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Fixed, "scores", np.array([-1.0, 6.0, 2.0, 0.0, 1.0]))
    model, _ = fitted({**one(0.0), "base_scores": "weights", "listed": 2}, tmp_path)
    answer = model.recommend(histories_of([[4]]), k=N_ITEMS)
    assert answer.items.tolist() == [[1, 2, 0, 3, 4]]  # then by popularity
    np.testing.assert_allclose(answer.scores[0, :2], [0.75, 0.25])


def test_the_choice_is_the_best_validation_and_sees_no_target(tmp_path: Path) -> None:
    """The validation prefers weight 0.5, and given that half-life 20, which counts alone would not take."""
    judged: list[Mixture] = []

    def validate(recommender: Recommender) -> float:
        if not isinstance(recommender, CountMixture):
            return 0.0
        recommender.recommend(histories_of([[1, 2]]), k=3)
        judged.append(recommender.mixture)
        return value_of(recommender.mixture)

    options = {"weights": [0.0, 0.5, 1.0], "half_lives": [2.0, 20.0], "smoothings": [0.0, 9.0]}
    model, context = fitted(options, tmp_path, validate)
    assert (model.mixture.weight, model.mixture.half_life) == (0.5, 20.0)
    assert len(set(judged)) == len(judged), "nothing is tried twice"
    assert Fixed.asked == 1, "the base model is asked once, however many mixtures are tried"
    chosen = context.diagnostics["mixture"]
    assert chosen["weight"] == 0.5
    assert [entry["validation"] for entry in chosen["tried"]] == [pytest.approx(v) for v in map(value_of, judged)]
    assert [point.validation for point in context.curve] == [pytest.approx(1.1)]


def value_of(mixture: Mixture) -> float:
    return (mixture.weight == 0.5) + 0.1 * (mixture.half_life == (20 if mixture.weight == 0.5 else 2))


def test_a_memory_that_is_full_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def validate(recommender: Recommender) -> float:
        return float(recommender.recommend(histories_of([[1, 2], [4]]), k=3).scores.sum())

    options = {"weights": [0.0, 0.5], "half_lives": [2.0], "smoothings": [0.0, 9.0]}
    _, remembering = fitted(options, tmp_path, validate)
    monkeypatch.setattr(count_mixture, "REMEMBERED_BYTES", 0)
    _, forgetting = fitted(options, tmp_path, validate)
    assert remembering.diagnostics["mixture"] == forgetting.diagnostics["mixture"]


def test_the_configuration_holds_all_of_the_base_models() -> None:
    config = CountMixture({"base_config": {"dim": 8, "training": {"epochs": 3}}}).config
    assert config.base_config == SASRec({"dim": 8, "training": {"epochs": 3}}).config.model_dump(mode="json")
    assert config.base_revision == SASRec.revision
    assert CountMixture(config).config == config
    assert CountMixture({"base": "fixed"}).config.base_revision == 7


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        ({"base": "sasrec"}, "did you mean esasrec or gsasrec or sasrec-ce"),
        ({"base_config": {"dims": 8}}, "dims"),
        ({"weights": [0.5, 1.5]}, "should lie in"),
        ({"half_lives": [0.0]}, "above 0"),
        ({"weights": []}, "at least 1"),
    ],
)
def test_what_can_not_be_mixed_is_said_before_anything_is_trained(config: dict[str, Any], complaint: str) -> None:
    with pytest.raises((BenchError, ValueError), match=complaint):
        CountMixture(config)


def test_seen_items_are_left_out_where_they_are_no_candidates(tmp_path: Path) -> None:
    model, _ = fitted(one(0.5), tmp_path)
    assert model.recommend(histories_of([[2, 1]], exclude_seen=True), k=N_ITEMS).items.tolist() == [[3, 4, 0, -1, -1]]


@pytest.mark.parametrize("exclude_seen", [True, False])
@pytest.mark.parametrize(
    "mixture", [(0.3, 5.0, 20.0), (0.3, 5.0, 0.0), (1.0, 3.0, 0.0), (1.0, 3.0, 9.0), (0.0, 5.0, 5.0)]
)
def test_lists_of_a_large_catalogue_are_those_of_the_whole_mixture_in_double_precision(
    mixture: tuple[float, float, float], exclude_seen: bool
) -> None:
    """Of 3,000 items; among the probabilities are ties, and differences that single precision can't tell apart."""
    n_items, rng = 3000, np.random.default_rng(0)
    rows = [rng.integers(0, n_items, length).tolist() for length in (0, 1, 40, 900)]
    items = np.array([item for row in rows for item in row], dtype=np.int32)
    offsets = np.cumsum([0, *map(len, rows)]).astype(np.int64)
    asked = Histories(items, np.arange(len(items), dtype=np.int64), offsets, n_items, exclude_seen)
    counts = rng.integers(0, 50, n_items)
    base = rng.dirichlet(np.full(n_items, 0.1), 4).astype(np.float32)
    base[0, :200] = 0.004
    base[1] = 1 / n_items
    model = CountMixture({})
    model._counts, model._popularity, model.mixture = counts, counts / counts.sum(), Mixture(*mixture)
    model._base_probabilities = lambda histories: base  # type: ignore[method-assign]
    weight, half_life, smoothing = mixture
    own = decayed_counts(asked, half_life).toarray() + smoothing * model._popularity
    total = np.maximum(own.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)
    whole = weight * own / total + (1 - weight) * base
    expected = rank_catalogue(fill_with_popularity(whole, counts), asked, 20)
    answer = model.recommend(asked, 20)
    np.testing.assert_allclose(answer.scores, expected.scores, rtol=1e-6)
    differs = answer.items != expected.items
    # The sums are made in another order: what differs is level to the last digits.
    assert (answer.scores[differs] == expected.scores[differs]).all()
    assert differs.mean() < 0.02


def test_scores_of_the_whole_catalogue_are_what_a_list_of_all_of_it_says(tmp_path: Path) -> None:
    sasrec = {"dim": 8, "heads": 1, "length": 4, "training": {"epochs": 1, "warmup_steps": 0}}
    model, _ = fitted({**one(0.0), "base": "sasrec-ce", "base_config": sasrec}, tmp_path)
    assert isinstance(model.base, SASRec)
    for exclude_seen in (False, True):
        asked = histories_of([[4, 3, 4], [1]], exclude_seen)
        found = model._asked(asked)
        model.base.catalogue_scores = lambda histories: None  # type: ignore[method-assign]
        np.testing.assert_allclose(found, model._asked(asked), rtol=1e-5)
        del model.base.catalogue_scores
