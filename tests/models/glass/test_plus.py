"""glass-plus: its lists beside a mixture that is computed item by item, and how weight and counts are chosen."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from naive_network import log_likelihood, randomise

from bench.data.cache import ArtifactCache
from bench.data.dataset import ItemTable, TrainingData
from bench.data.interactions import PAD, Histories, Interactions
from bench.recommender import FitContext, Recommender
from models.generation.query_batch import QueryBatch
from models.glass.glass import Glass
from models.glass.plus import GlassPlus
from models.history.count_prior import Mixture, best_of, chosen_in_turn

N_ITEMS, SHORT_TERM = 12, 4
SMALL: dict[str, Any] = {
    "short_term": SHORT_TERM,
    "beam": 3,
    "network": {"dim": 8, "heads": 2, "feed_forward": 12, "encoder_layers": 1, "decoder_layers": 2, "dropout": 0.0},
    "tokenizer": {"method": "random", "codebooks": (3, 3)},
    "training": {"epochs": 2, "batch_events": 40, "warmup_steps": 0, "learning_rate": 0.01},
}


def training_data() -> TrainingData:
    rng = np.random.default_rng(0)
    lengths = rng.integers(2, 25, 12)
    items = np.minimum(rng.geometric(0.2, lengths.sum()) - 1, N_ITEMS - 1).astype(np.int32)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    interactions = Interactions(items, np.arange(len(items), dtype=np.int64), offsets, N_ITEMS)
    return TrainingData(interactions, ItemTable(pd.DataFrame(index=range(N_ITEMS)), (), None), False, "random")


def fitted(
    folder: Path, validate: Callable[[Recommender], float] = lambda _: 0.0, **config: Any
) -> tuple[GlassPlus, FitContext]:
    model = GlassPlus(SMALL | config)
    context = FitContext(3, "cpu", ArtifactCache(folder), validate)
    model.fit(training_data(), context)
    assert model.network is not None
    randomise(model.network)
    model.network.eval()
    return model, context


def one(weight: float, half_life: float = 3.0, smoothing: float = 0.0, candidates: int = N_ITEMS) -> dict[str, Any]:
    options = {"weights": [weight], "half_lives": [half_life], "smoothings": [smoothing]}
    return {"counts": {**options, "candidates": candidates}}


ROWS = [[], [4], [1, 1, 2, 9], [3, 7, 7, 0, 5, 5, 8, 11, 5], list(range(N_ITEMS)) * 2]


def histories(exclude_seen: bool = False, rows: list[list[int]] = ROWS) -> Histories:
    items = np.array([item for row in rows for item in row], dtype=np.int32)
    offsets = np.cumsum([0, *map(len, rows)]).astype(np.int64)
    return Histories(items, np.arange(len(items), dtype=np.int64), offsets, N_ITEMS, exclude_seen)


def popularity() -> np.ndarray:
    counts = np.bincount(training_data().interactions.items, minlength=N_ITEMS)
    return counts / counts.sum()


@pytest.mark.parametrize("disambiguate", [True, False])
@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_lists_are_those_of_the_mixture_over_the_whole_catalogue(
    tmp_path: Path, weight: float, disambiguate: bool
) -> None:
    """With lists as long as the catalogue every item is a candidate; each is scored in plain loops here."""
    tokenizer = {**SMALL["tokenizer"], "disambiguate": disambiguate}
    model, _ = fitted(tmp_path, **one(weight, smoothing=2.5), tokenizer=tokenizer)
    answer = model.recommend(histories(), N_ITEMS)
    assert model.network is not None
    assert model.sid_of_item is not None
    for query, row in enumerate(ROWS):
        generated, counted = np.zeros(N_ITEMS), 2.5 * popularity()
        for item in range(N_ITEMS):
            parts = log_likelihood(model.network, row[-SHORT_TERM:], row[:-SHORT_TERM], item)
            sharing = sum(model.sid_of_item == model.sid_of_item[item])
            generated[item] = np.exp(sum(parts)) / sharing
        for age, item in enumerate(reversed(row)):
            counted[item] += 0.5 ** (age / 3.0)
        expected = (1 - weight) * generated + weight * counted / counted.sum()
        shown = answer.items[query]
        assert sorted(shown) == list(range(N_ITEMS))
        np.testing.assert_allclose(np.exp(answer.scores[query]), expected[shown], rtol=1e-4)
        assert (np.diff(answer.scores[query]) <= 0).all()


def test_likelihoods_of_candidates_are_those_of_the_beam_search(tmp_path: Path) -> None:
    model, _ = fitted(tmp_path, **one(0.0))
    network = model.network
    assert network is not None
    queries = QueryBatch.of(histories(), SHORT_TERM, "cpu")
    with torch.inference_mode():
        beams = network.generate(queries, 6)
        items = network.trie.items[network.trie.first_item[beams.leaves.clamp(min=0)]]
        scored = network.log_likelihoods(queries, items)  # type: ignore[operator]
    found = beams.scores > -torch.inf
    torch.testing.assert_close(scored[found], beams.scores[found], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("exclude_seen", [True, False])
def test_candidates_are_distinct_and_hold_what_the_beams_find(tmp_path: Path, exclude_seen: bool) -> None:
    model, _ = fitted(tmp_path, **one(0.5, candidates=2))
    asked = histories(exclude_seen)
    found = model.candidates(asked, 2)
    beams = Glass.recommend(model, asked, 3).items
    popular = np.argsort(-popularity(), kind="stable")
    for query, row in enumerate(ROWS):
        items = found[query][found[query] != PAD].tolist()
        assert items == sorted(set(items))
        assert set(beams[query][beams[query] != PAD]) <= set(items)
        allowed = [item for item in popular if not (exclude_seen and item in row)]
        assert set(allowed[:2]) <= set(items)
        if exclude_seen:
            assert not set(items) & set(row)
        else:
            assert len(set(row) & set(items)) >= min(2, len(set(row)))
            weights = {item: sum(0.5 ** (age / 3) for age, i in enumerate(reversed(row)) if i == item) for item in row}
            assert set(sorted(weights, key=lambda item: (-weights[item], item))[:2]) <= set(items)


def test_an_item_that_no_beam_finds_is_found_by_its_counts(tmp_path: Path) -> None:
    row = [6] * 30 + [0, 1, 2, 3]
    model, _ = fitted(tmp_path, **one(0.95, half_life=1000.0, candidates=1))
    assert model.recommend(histories(rows=[row]), 1).items.tolist() == [[6]]
    without, _ = fitted(tmp_path, **one(0.0, half_life=1000.0, candidates=0))
    only_beams = Glass.recommend(without, histories(rows=[row]), 3)
    assert without.recommend(histories(rows=[row]), 1).items[0, 0] in only_beams.items[0]


def test_lists_do_not_depend_on_the_batch(tmp_path: Path) -> None:
    model, _ = fitted(tmp_path, **one(0.4, smoothing=1.0))
    together = model.recommend(histories(), 5)
    for query, row in enumerate(ROWS):
        alone = model.recommend(histories(rows=[row]), 5)
        np.testing.assert_array_equal(alone.items[0], together.items[query])


def test_semantic_ids_are_the_distinct_ones_of_the_list_in_its_order(tmp_path: Path) -> None:
    tokenizer = {**SMALL["tokenizer"], "disambiguate": False}
    model, _ = fitted(tmp_path, **one(0.4, smoothing=1.0), tokenizer=tokenizer)
    answer = model.recommend(histories(), 8)
    assert model.sid_of_item is not None
    assert answer.sids is not None
    for items, sids in zip(answer.items, answer.sids, strict=True):
        expected = list(dict.fromkeys(model.sid_of_item[items[items != PAD]].tolist()))
        assert sids[sids != PAD].tolist() == expected


def test_the_mixture_is_the_one_of_the_best_validation(tmp_path: Path) -> None:
    """While the network is trained, the middle of all options holds; afterwards each is chosen in turn."""
    asked: list[Mixture] = []

    def validate(model: Recommender) -> float:
        assert isinstance(model, GlassPlus)
        model.recommend(histories(), 3)
        asked.append(model.mixture)
        return -abs(model.mixture.weight - 0.2) - abs(model.mixture.half_life - 9) / 100

    counts = {"weights": [0.0, 0.2, 0.9], "half_lives": [3.0, 9.0], "smoothings": [0.0]}
    training = {**SMALL["training"], "validate_every": 1}
    model, context = fitted(tmp_path, validate, counts=counts, training=training)
    assert asked[:2] == [Mixture(0.2, 9.0, 0.0)] * 2
    assert model.mixture == Mixture(0.2, 9.0, 0.0)
    assert len(set(asked)) == len(asked[2:]), "after the training nothing is tried twice"
    assert [point.validation for point in context.curve] == [0.0, 0.0]
    tried = context.diagnostics["mixture"]["tried"]
    assert {entry["weight"] for entry in tried} == {0.0, 0.2, 0.9}


def test_a_choice_in_turn_is_made_given_the_best_of_the_others() -> None:
    options = {"half_life": (1.0, 2.0), "smoothing": (0.0, 5.0), "weight": (0.1, 0.2)}
    judged: list[tuple[str, Mixture]] = []

    def judge(name: str, mixture: Mixture) -> float:
        judged.append((name, mixture))
        return mixture.half_life + mixture.smoothing - mixture.weight

    tried = chosen_in_turn(options, Mixture(0.2, 1.0, 0.0), judge)
    assert best_of(tried) == Mixture(0.1, 2.0, 5.0)
    assert [name for name, _ in judged[:5]] == ["half_life", "half_life", "smoothing", "weight", "half_life"]
    assert len({mixture for _, mixture in judged}) == len(judged)


@pytest.mark.parametrize("counts", [{"weights": [1.5]}, {"half_lives": [0.0]}, {"smoothings": [-1.0]}])
def test_what_no_count_can_weigh_is_refused(counts: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="should"):
        GlassPlus({"counts": counts})
