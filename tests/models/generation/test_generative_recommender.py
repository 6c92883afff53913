"""The generative recommenders end to end: lists, scores, ties and diagnostics of what was trained.

That the networks compute what they should is shown in `test_generative`.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from naive_network import log_likelihood
from torch import Tensor

from baselines.tiger import Tiger
from bench.data.cache import ArtifactCache
from bench.data.dataset import ItemTable, TrainingData
from bench.data.interactions import PAD, Histories, Interactions
from bench.recommender import FitContext, Recommendations
from models.generation.beam_search import Beams
from models.generation.recommender import GenerativeRecommender
from models.glass.glass import Glass

N_ITEMS, SHORT_TERM = 12, 5
SMALL: dict[str, Any] = {
    "short_term": SHORT_TERM,
    "network": {"dim": 8, "heads": 2, "feed_forward": 12, "encoder_layers": 2, "decoder_layers": 2, "dropout": 0.0},
}


def training_data(n_users: int = 14, seed: int = 0) -> TrainingData:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 20, n_users)
    lengths[0] = 0
    items = np.minimum(rng.geometric(0.2, lengths.sum()) - 1, N_ITEMS - 1).astype(np.int32)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    interactions = Interactions(items, np.arange(len(items), dtype=np.int64), offsets, N_ITEMS)
    return TrainingData(interactions, ItemTable(pd.DataFrame(index=range(N_ITEMS)), (), None), False, f"random {seed}")


def fitted(
    tmp_path: Path, model: type[GenerativeRecommender], disambiguate: bool = True, **config: Any
) -> tuple[GenerativeRecommender, FitContext]:
    settings = SMALL | {
        "beam": 4,
        "tokenizer": {"method": "random", "codebooks": (2, 3), "disambiguate": disambiguate},
        "training": {"epochs": 2, "batch_events": 40, "warmup_steps": 0, "learning_rate": 0.01},
    }
    recommender = model(settings | config)
    context = FitContext(3, "cpu", ArtifactCache(tmp_path), lambda _: 0.0)
    recommender.fit(training_data(), context)
    return recommender, context


def histories(exclude_seen: bool = False) -> Histories:
    """An empty history, one event, long ones, and one that has seen everything but item 6."""
    rng = np.random.default_rng(8)
    rows = [[], [4], *(rng.integers(0, N_ITEMS, n).tolist() for n in (3, 5, 6, 17, 30))]
    rows.append([item for item in range(N_ITEMS) if item != 6] * 2)
    items = np.array([item for row in rows for item in row], dtype=np.int32)
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    return Histories(items, np.arange(len(items), dtype=np.int64), offsets, N_ITEMS, exclude_seen)


each_model = pytest.mark.parametrize("model", [Tiger, Glass])
both_policies = pytest.mark.parametrize("disambiguate", [True, False], ids=["unique SIDs", "shared SIDs"])
seen_or_not = pytest.mark.parametrize("exclude_seen", [True, False], ids=["seen excluded", "seen kept"])


def lists_of(answer: Recommendations) -> list[list[int]]:
    return [row[row != PAD].tolist() for row in answer.items]


@each_model
@both_policies
@seen_or_not
def test_lists_keep_the_contract(
    tmp_path: Path, model: type[GenerativeRecommender], disambiguate: bool, exclude_seen: bool
) -> None:
    recommender, context = fitted(tmp_path, model, disambiguate)
    asked = histories(exclude_seen)
    answer = recommender.recommend(asked, k=N_ITEMS)
    assert answer.items.shape == answer.scores.shape == answer.sids.shape == (len(asked), N_ITEMS)
    assert (answer.items.dtype, answer.scores.dtype, answer.sids.dtype) == (np.int32, np.float32, np.int32)
    for query in range(len(asked)):
        items = answer.items[query]
        n = int((items != PAD).sum())
        history = set(asked.items[asked.offsets[query] : asked.offsets[query + 1]].tolist())
        allowed = set(range(N_ITEMS)) - history if exclude_seen else set(range(N_ITEMS))
        assert set(items[:n].tolist()) == allowed, "a beam as wide as the catalogue reaches every candidate"
        assert n == len(allowed), "and none of them twice"
        assert (items[n:] == PAD).all()
        assert np.isneginf(answer.scores[query, n:]).all()
        assert np.isfinite(answer.scores[query, :n]).all()
        assert (np.diff(answer.scores[query, :n]) <= 0).all()
    decoding = context.diagnostics["decoding"]
    assert decoding["generated"] > 0
    assert decoding["valid"] == decoding["generated"]
    assert decoding["valid_share"] == 1.0


@each_model
@both_policies
@seen_or_not
@pytest.mark.parametrize("k", [1, 3, 7])
def test_an_item_hit_implies_a_sid_hit_at_every_cut(
    tmp_path: Path, model: type[GenerativeRecommender], disambiguate: bool, exclude_seen: bool, k: int
) -> None:
    recommender, _ = fitted(tmp_path, model, disambiguate)
    answer = recommender.recommend(histories(exclude_seen), k)
    assert answer.items.shape == answer.sids.shape == (len(histories()), k)
    for items, sids in zip(answer.items, answer.sids, strict=True):
        generated = sids[sids != PAD].tolist()
        assert len(set(generated)) == len(generated)
        assert (sids[len(generated) :] == PAD).all()
        for cut in range(1, k + 1):
            hit = {int(recommender.sid_of_item[item]) for item in items[:cut] if item != PAD}
            assert hit <= set(sids[:cut].tolist())


@each_model
@seen_or_not
def test_lists_do_not_depend_on_the_batch(
    tmp_path: Path, model: type[GenerativeRecommender], exclude_seen: bool
) -> None:
    recommender, _ = fitted(tmp_path, model)
    asked = histories(exclude_seen)
    together = recommender.recommend(asked, k=5)
    for query in range(len(asked)):
        alone = recommender.recommend(asked.batch(query, query + 1), k=5)
        np.testing.assert_array_equal(alone.items[0], together.items[query])
        np.testing.assert_array_equal(alone.sids[0], together.sids[query])
        np.testing.assert_allclose(alone.scores[0], together.scores[query], atol=1e-5)


@each_model
def test_scores_are_the_likelihoods_of_the_naive_network(tmp_path: Path, model: type[GenerativeRecommender]) -> None:
    recommender, _ = fitted(tmp_path, model)
    asked = histories()
    answer = recommender.recommend(asked, k=N_ITEMS)
    for query in (0, 1, 4, 6):
        row = asked.items[asked.offsets[query] : asked.offsets[query + 1]].tolist()
        for item, score in zip(answer.items[query], answer.scores[query], strict=True):
            expected = log_likelihood(recommender.network, row[-SHORT_TERM:], row[:-SHORT_TERM], int(item))
            assert score == pytest.approx(sum(expected), abs=1e-4), "the last events are short-term, those before long"


@each_model
def test_items_that_share_a_sid_share_its_score_and_are_ordered_by_training_popularity(
    tmp_path: Path, model: type[GenerativeRecommender]
) -> None:
    recommender, _ = fitted(tmp_path, model, disambiguate=False)
    popularity = training_data().interactions.item_counts()
    answer = recommender.recommend(histories(), k=N_ITEMS)
    sid = recommender.sid_of_item
    assert len(set(sid.tolist())) <= N_ITEMS / 2
    for items, scores, sids in zip(answer.items, answer.scores, answer.sids, strict=True):
        expected = []
        for number in sids[sids != PAD]:
            members = np.flatnonzero(sid == number).tolist()
            expected += sorted(members, key=lambda item: (-popularity[item], item))
        assert items.tolist() == expected
        for number in set(sid.tolist()):
            assert len(set(scores[sid[items] == number].tolist())) == 1


def test_a_list_longer_than_the_beam_widens_the_beam(tmp_path: Path) -> None:
    recommender, _ = fitted(tmp_path, Tiger, beam=1)
    assert [len(row) for row in lists_of(recommender.recommend(histories(), k=8))] == [8] * len(histories())


def test_invalid_codes_would_show_in_the_diagnostics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recommender, context = fitted(tmp_path, Tiger)
    before = dict(context.diagnostics["decoding"])
    codes = recommender.network.codes[:4].clone()
    leaves = recommender.network.trie.leaf_of_item[:4]
    codes[1, 0] = 1 - codes[1, 0]
    scores = torch.tensor([[-1.0, -2.0, -3.0, -torch.inf]])
    wrong = Beams(leaves[None], codes[None], scores)
    monkeypatch.setattr(recommender.network, "generate", lambda queries, width: wrong)
    one = Histories(np.array([4], np.int32), np.array([0]), np.array([0, 1]), N_ITEMS, exclude_seen=False)
    recommender.recommend(one, k=4)
    decoding = context.diagnostics["decoding"]
    assert decoding["generated"] == before["generated"] + 3, "what was not reached doesn't count"
    assert decoding["valid"] == before["valid"] + 2
    assert decoding["valid_share"] == pytest.approx(decoding["valid"] / decoding["generated"])


@each_model
def test_the_same_seed_gives_the_same_model_and_another_seed_another(
    tmp_path: Path, model: type[GenerativeRecommender]
) -> None:
    def weights(seed: int) -> Tensor:
        recommender = model(SMALL | {"tokenizer": {"method": "random", "codebooks": (2, 3)}, "training": {"epochs": 1}})
        recommender.fit(training_data(), FitContext(seed, "cpu", ArtifactCache(tmp_path), lambda _: 0.0))
        return torch.cat([p.detach().flatten() for p in recommender.network.parameters()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


@each_model
def test_fit_fills_curve_diagnostics_and_sids(tmp_path: Path, model: type[GenerativeRecommender]) -> None:
    recommender, context = fitted(tmp_path, model)
    assert [point.epoch for point in context.curve] == [2]
    assert len(context.diagnostics["sid_health"]) == 3
    assert context.diagnostics["sid"]["n_items"] == len(recommender.sid_of_item) == N_ITEMS
    assert recommender.parameter_count() == sum(p.numel() for p in recommender.network.parameters()) > 0
