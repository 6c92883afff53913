"""What GLASS adds to TIGER's backbone: configuration, gradients, and equal retrieval in training and inference.

That its likelihoods are right is shown in `test_generative`.
"""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from naive_network import long_term_of, naive_search, ragged, randomise, read_of, trie_of
from pydantic import ValidationError
from torch import Tensor

from baselines.tiger import Tiger
from bench.data.cache import ArtifactCache
from bench.data.dataset import ItemTable, TrainingData
from bench.data.interactions import PAD, Histories, Interactions
from bench.recommender import FitContext
from models.generation.recommender import GenerativeRecommender
from models.glass.glass import Glass, GlassConfig, SIDTierNetwork, glass_network
from models.glass.sid_tier import code_prototypes, similarity_tiers
from models.history.age_bias import AgeBias
from models.history.long_term import LongTerm
from models.semantic_ids.item_features import item_features
from models.semantic_ids.semantic_ids import with_disambiguation
from models.training.windows import TrainingWindows

N_ITEMS, SHORT_TERM = 15, 4
COPYING = 2 * 8 * 32 + 3 + 25
SMALL: dict[str, Any] = {
    "short_term": SHORT_TERM,
    "beam": 5,
    "network": {"dim": 8, "heads": 2, "feed_forward": 12, "encoder_layers": 1, "decoder_layers": 2, "dropout": 0.1},
    "tokenizer": {"method": "random", "codebooks": (3, 3)},
    "training": {"epochs": 2, "batch_events": 40, "warmup_steps": 0, "learning_rate": 0.01},
}
FEATURES = np.random.default_rng(4).normal(size=(N_ITEMS, 6)).astype(np.float32)


def network_of(**config: Any) -> SIDTierNetwork:
    torch.manual_seed(0)
    ids = with_disambiguation(np.random.default_rng(1).integers(0, 3, (N_ITEMS, 2)), (3, 3))
    network = glass_network(trie_of(ids), FEATURES, GlassConfig.model_validate(SMALL | config))
    randomise(network)
    return network.eval()


def training_data() -> TrainingData:
    rng = np.random.default_rng(0)
    lengths = rng.integers(2, 25, 12)
    items = rng.integers(0, N_ITEMS, lengths.sum()).astype(np.int32)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    interactions = Interactions(items, np.arange(len(items), dtype=np.int64), offsets, N_ITEMS)
    return TrainingData(interactions, ItemTable(pd.DataFrame(index=range(N_ITEMS)), (), None), False, "random")


def fitted(tmp_path: Path, model: type[GenerativeRecommender], **config: Any) -> GenerativeRecommender:
    recommender = model(SMALL | config)
    recommender.fit(training_data(), FitContext(3, "cpu", ArtifactCache(tmp_path), lambda _: 0.0))
    return recommender


def histories() -> Histories:
    lengths = [0, 1, 4, 5, 9, 30]
    items = np.random.default_rng(7).integers(0, N_ITEMS, sum(lengths)).astype(np.int32)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Histories(items, np.arange(len(items), dtype=np.int64), offsets, N_ITEMS, exclude_seen=False)


def test_without_its_parts_glass_is_tiger(tmp_path: Path) -> None:
    tiger = fitted(tmp_path, Tiger)
    bare = fitted(tmp_path, Glass, sid_tier={"enabled": False}, search={"enabled": False})
    whole = fitted(tmp_path, Glass)
    assert bare.parameter_count() == tiger.parameter_count() < whole.parameter_count()
    expected, ours = tiger.network.state_dict(), bare.network.state_dict()
    assert list(expected) == list(ours)
    assert all(torch.equal(expected[name], ours[name]) for name in expected), "trained alike from the same seed"
    left, right = tiger.recommend(histories(), 5), bare.recommend(histories(), 5)
    np.testing.assert_array_equal(left.items, right.items)
    np.testing.assert_array_equal(left.scores, right.scores)
    bare.network.load_state_dict({name: 1.3 * value for name, value in expected.items()})
    tiger.network.load_state_dict({name: 1.3 * value for name, value in expected.items()})
    assert not np.array_equal(bare.recommend(histories(), 5).scores, right.scores), "with other weights other scores"
    np.testing.assert_array_equal(bare.recommend(histories(), 5).scores, tiger.recommend(histories(), 5).scores)


@pytest.mark.parametrize(
    ("config", "extra"),
    [
        # dim 8, 3 first codes; two decoder layers with 4 d^2 of attention and a gate of 2 d^2 + d; projector d^2 + d.
        # The encoder's token: Linear(3 * tiers, d), Linear(d, d); each bias table (2 heads) gets one distance more.
        ({"sid_tier": {"enabled": False}}, 2 * (4 * 64 + 2 * 64 + 8) + 64 + 8),
        ({"sid_tier": {"enabled": False}, "fixed_gate": 0.5}, 2 * 4 * 64 + 64 + 8),
        # Two heads' bias for 25 buckets of ages, in both layers.
        (
            {"sid_tier": {"enabled": False}, "search": {"age_bias": True, "recent": True}},
            2 * (4 * 64 + 2 * 64 + 8) + 64 + 8 + 2 * 2 * 25,
        ),
        # Two heads' bias in both layers: after one code, and after two, for the agreement of each.
        (
            {"sid_tier": {"enabled": False}, "search": {"prefix_bias": True}},
            2 * (4 * 64 + 2 * 64 + 8) + 64 + 8 + 2 * 2 * 2 * 2,
        ),
        # Copying: queries and keys from 8 to 32, three levels and 25 buckets of ages; for short term and search each.
        ({"sid_tier": {"enabled": False}, "copying": True}, COPYING + 2 * (4 * 64 + 2 * 64 + 8) + 64 + 8 + COPYING),
        ({"sid_tier": {"enabled": False}, "search": {"enabled": False}, "copying": True}, COPYING),
        ({"search": {"enabled": False}}, (3 * 20 * 8 + 8) + (64 + 8) + 2 * 2),
        ({"search": {"enabled": False}, "sid_tier": {"tiers": (-0.1, 0.0, 0.1)}}, (3 * 4 * 8 + 8) + (64 + 8) + 2 * 2),
    ],
)
def test_each_part_adds_the_parameters_of_the_paper_and_no_others(config: dict[str, Any], extra: int) -> None:
    def size(**config: Any) -> int:
        return sum(p.numel() for p in network_of(**config).parameters())

    assert size(**config) - size(sid_tier={"enabled": False}, search={"enabled": False}) == extra


def test_tiers_are_cut_from_cosines_with_the_prototypes_of_first_codes() -> None:
    for tiers, edges in ((4, [-0.5, 0.0, 0.5]), ((-0.2, 0.1), [-0.2, 0.1])):
        network = network_of(sid_tier={"tiers": tiers})
        prototypes = code_prototypes(FEATURES, network.codes[:, 0].numpy(), 3)
        expected = similarity_tiers(FEATURES, prototypes, np.array(edges))
        assert network.sid_tier.n_tiers == len(edges) + 1
        assert network.sid_tier.tiers.tolist() == expected.tolist()
        assert len(np.unique(expected)) == len(edges) + 1


def test_the_sid_tier_token_stands_between_the_start_token_and_the_events() -> None:
    network = network_of()
    seen: dict[str, Tensor] = {}
    network.encoder.register_forward_pre_hook(lambda _, args: seen.update(events=args[0], prefix=args[1]))
    items = torch.tensor([[3, 1, 2, PAD]])
    long_term = long_term_of([[5, 6, 6]])
    encoded = network.encode(items, long_term)
    assert encoded.shape == (1, 2 + SHORT_TERM, 8)
    torch.testing.assert_close(seen["prefix"], network.sid_tier(long_term))
    other = network.encode(items, long_term_of([[1, 0, 2]]))
    changed = (encoded - other).abs().amax(-1)[0] > 1e-4
    assert changed.tolist() == [False, True, True, True, True, True], "the start token stands in front of it"


def test_search_settings_reach_the_search() -> None:
    long_term = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 14, 13, 12, 11, 10, 0]
    lengths = set()
    for search in (
        {"limit": 2},
        {"limit": 20},
        {"limit": 20, "neighbours": 1, "threshold": 20},
        {"limit": 20, "neighbours": 2, "threshold": 20},
        {"limit": 20, "neighbours": 2, "threshold": 0},
    ):
        network = network_of(search=search)
        codes = torch.tensor([[[0], [1], [2]]])
        found = network.retrieve(long_term_of([long_term]), codes, first_token=0).layers
        visible = (found[0].bias == 0)[0, :, 0, 0].sum(-1).tolist()
        expected = [[long_term[place] for place in naive_search(network, long_term, code)] for code in range(3)]
        assert visible == [len(items) for items in expected]
        for code, items in enumerate(expected):
            vectors = network.project(network.embedding.item(network.codes[items]))
            for layer, prepared in zip(network.decoder.layers, found, strict=True):
                assert bool(prepared.present[0, code]) == bool(items)
                if items:
                    own = layer.retrieved_attention.prepare(vectors)
                    for read, side in zip(read_of(prepared, 0, code), own, strict=True):
                        torch.testing.assert_close(read[:, : len(items)], side)
        lengths.add(tuple(visible))
    assert len(lengths) == 4, "threshold 0 finds what no neighbours find; all else differs"


def test_ages_are_told_apart_by_half_powers_of_two() -> None:
    bias = AgeBias(heads=1)
    with torch.no_grad():
        bias.table[:] = torch.arange(len(bias.table))[:, None]
    ages = [1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 15, 16, 5792, 5793, 100_000]
    told = bias(torch.tensor([[ages]]))
    assert told.shape == (1, 1, 1, 1, len(ages))
    assert told.flatten().tolist() == [0, 1, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 23, 24, 24]
    assert AgeBias(heads=3)(torch.tensor([[ages]])).abs().max() == 0, "before training all ages count alike"


def test_neighbours_are_the_nearest_prototypes() -> None:
    network = network_of(search={"neighbours": 2})
    unit = code_prototypes(FEATURES, network.codes[:, 0].numpy(), 3)
    unit = unit / np.linalg.norm(unit, axis=1, keepdims=True)
    for code in range(3):
        others = sorted(set(range(3)) - {code}, key=lambda other: -float(unit[code] @ unit[other]))
        assert network.neighbours[code].tolist() == others
    assert network_of().neighbours is None


@pytest.mark.parametrize("stop", [False, True])
def test_stop_gradient_keeps_retrieved_items_from_the_code_tables_only(stop: bool) -> None:
    network = network_of(search={"stop_gradient": stop})
    found = network.retrieve(
        long_term_of([[3, 1, 4, 1, 5, 9, 2, 6]]), torch.tensor([[[0], [1], [2]]]), first_token=1
    ).layers
    sum(part.square().sum() for prepared in found for part in prepared.key_value).backward()
    assert [table.grad is None for table in network.embedding.tables] == [stop] * 3
    assert network.project.weight.grad.abs().sum() > 0
    assert all(layer.retrieved_attention.key_value.weight.grad.abs().sum() > 0 for layer in network.decoder.layers)


def test_stop_gradient_changes_no_likelihood() -> None:
    items, targets = torch.tensor([[3, 1, 2, 8]]), torch.tensor([[1, 2, 8, 5]])
    long_term = long_term_of([[5, 6, 6, 1, 0, 2]])
    losses = [network_of(search={"stop_gradient": stop}).loss(items, targets, long_term) for stop in (False, True)]
    assert losses[0].item() == losses[1].item()


@pytest.mark.parametrize("copying", [False, True])
def test_every_parameter_gets_a_gradient_from_a_training_step(copying: bool) -> None:
    search = {"neighbours": 1, "threshold": 20, "age_bias": True, "prefix_bias": True}
    network = network_of(search=search, copying=copying).train()
    items, targets = torch.tensor([[3, 1, 2, 8]]), torch.tensor([[1, 2, 8, 5]])
    network.loss(items, targets, long_term_of([list(range(N_ITEMS))])).backward()
    without = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert without == []


@pytest.mark.parametrize("copying", [False, True])
def test_an_empty_long_term_history_is_no_source_of_nan(copying: bool) -> None:
    network = network_of(search={"neighbours": 1, "age_bias": True, "prefix_bias": True}, copying=copying)
    items, targets = torch.tensor([[3, PAD, PAD, PAD]]), torch.tensor([[1, PAD, PAD, PAD]])
    loss = network.loss(items, targets, long_term_of([[]]))
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)


def test_inference_retrieves_what_training_retrieved_for_the_same_split() -> None:
    network = network_of(search={"neighbours": 1, "threshold": 2, "limit": 3})
    interactions = training_data().interactions
    events = ragged([interactions.items[interactions.row(user)].tolist() for user in range(interactions.n_users)])
    codes = torch.arange(3)
    compared = 0
    for batch in TrainingWindows(interactions, SHORT_TERM, 40, "cpu").epoch(np.random.default_rng(0)):
        trained_on = LongTerm(events, batch.users, batch.starts)
        asked = codes[:, None].expand(len(batch.users), -1, -1)
        training = network.retrieve(trained_on, asked, first_token=1).layers
        for row, (user, start) in enumerate(zip(batch.users.tolist(), batch.starts.tolist(), strict=True)):
            n = int((batch.items[row] != PAD).sum())
            history = interactions.items[interactions.row(user)][: start + n].tolist()
            if n < SHORT_TERM and start:
                continue  # the random cut left a short window: inference would read more events as short-term
            at_inference = LongTerm(ragged([history]), torch.tensor([0]), torch.tensor([len(history) - n]))
            inference = network.retrieve(at_inference, codes[None, :, None], first_token=0).layers
            for ours, theirs in zip(training, inference, strict=True):
                assert torch.equal(ours.bias[row], theirs.bias[0])
                assert torch.equal(ours.present[row], theirs.present[0])
                visible = theirs.bias[0, :, 0, 0] == 0
                found = theirs.present[0, :, 0, 0]
                for code in codes[found]:
                    both = read_of(ours, row, int(code)), read_of(theirs, 0, int(code))
                    for trained, inferred in zip(*both, strict=True):
                        torch.testing.assert_close(trained[:, visible[code]], inferred[:, visible[code]])
                compared += int(found.sum())
            token = network.sid_tier(LongTerm(events, batch.users[row : row + 1], batch.starts[row : row + 1]))
            torch.testing.assert_close(network.sid_tier(at_inference), token)
    assert compared > 50


def test_recommend_takes_everything_before_the_short_term_for_long_term(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recommender = fitted(tmp_path, Glass)
    given: list[LongTerm] = []
    retrieve = recommender.network.retrieve

    def spied(long_term: LongTerm, known: Tensor, first_token: int) -> Any:
        given.append(long_term)
        return retrieve(long_term, known, first_token)

    monkeypatch.setattr(recommender.network, "retrieve", spied)
    asked = histories()
    recommender.recommend(asked, k=3)
    assert len(given) == 2, "at every level but the first"
    for long_term in given:
        for query, (first, last) in enumerate(pairwise(asked.offsets)):
            start = int(long_term.events.offsets[long_term.rows[query]])
            seen = long_term.events.items[start : start + int(long_term.ends[query])].tolist()
            assert seen == asked.items[first : max(first, last - SHORT_TERM)].tolist()


def test_each_beam_searches_for_its_own_first_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recommender = fitted(tmp_path, Glass)
    asked_for: list[Tensor] = []
    retrieve = recommender.network.retrieve

    def spied(long_term: LongTerm, known: Tensor, first_token: int) -> Any:
        asked_for.append(known)
        assert first_token == 0
        return retrieve(long_term, known, first_token)

    monkeypatch.setattr(recommender.network, "retrieve", spied)
    recommender.recommend(histories(), k=3)
    assert [known.shape[1:] for known in asked_for] == [(3, 1), (5, 2)], "beams, and the codes that each knows"
    assert all(sorted(row) == [[0], [1], [2]] for row in asked_for[0].tolist())


def test_the_search_index_of_a_training_is_built_once_and_never_mistaken_for_another() -> None:
    network = network_of()
    first, second = ragged([[0, 1, 2]]), ragged([[2, 1, 0, 3]])
    index = network._index_of(first)
    assert network._index_of(first) is index
    assert network._index_of(second) is not index
    assert len(network._index_of(second)._key) == 4


def test_prototypes_come_from_the_tokenizers_own_features(tmp_path: Path) -> None:
    recommender = fitted(tmp_path, Glass, tokenizer=SMALL["tokenizer"] | {"features": {"collaborative_dims": 5}})
    config = recommender.config.tokenizer
    features = item_features(training_data(), config.features, ArtifactCache(tmp_path))
    assert features.shape == (N_ITEMS, 5)
    prototypes = code_prototypes(features, recommender.network.codes[:, 0].numpy(), 3)
    expected = similarity_tiers(features, prototypes, np.linspace(-1, 1, 21)[1:-1])
    assert recommender.network.sid_tier.tiers.tolist() == expected.tolist()


@pytest.mark.parametrize(
    "wrong", [{"gate_input": "long"}, {"fixed_gate": 1.5}, {"search": {"limit": 0}}, {"search": {"neighbours": -1}}]
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        GlassConfig.model_validate(wrong)
