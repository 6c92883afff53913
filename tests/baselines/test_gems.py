"""GEMs: three streams beside a naive walk, and three switches with which it is GLASS."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from naive_network import code_logits, log_likelihood, long_term_of, naive_indexer, ragged, randomise, trie_of
from pydantic import ValidationError

from baselines.gems import Gems, GemsConfig, GemsNetwork
from bench.data.cache import ArtifactCache
from bench.data.dataset import ItemTable, TrainingData
from bench.data.interactions import PAD, Histories, Interactions
from bench.recommender import FitContext
from models.generation.query_batch import QueryBatch
from models.glass.glass import Glass, GlassConfig, GlassNetwork
from models.history.long_term import LongTerm
from models.semantic_ids.semantic_ids import SemanticIds, with_disambiguation

N_ITEMS, SHORT_TERM = 12, 4
SMALL: dict[str, Any] = {
    "short_term": SHORT_TERM,
    "network": {"dim": 8, "heads": 2, "feed_forward": 12, "encoder_layers": 1, "decoder_layers": 2, "dropout": 0.0},
    "tokenizer": {"method": "random", "codebooks": (3, 3)},
    "training": {"epochs": 3, "batch_events": 40, "warmup_steps": 0, "learning_rate": 0.02, "average": 0.0},
    "search": {"limit": 3},
}
GEMS = {"middle": 5, "indexer_dim": 6, "clusters": 3}
OF_GLASS = {"reading": "bucket", "joined": "gate", "lifecycle": "sid-tier"}
FEATURES = np.random.default_rng(4).normal(size=(N_ITEMS, 6)).astype(np.float32)
CLUSTERS = np.arange(N_ITEMS) % 3
LONG = [0, 5, 6, 10, 4, 4, 2, 1, 9]
RECENT, TARGET = [3, 7, 3, 1], 8


def ids() -> SemanticIds:
    return with_disambiguation(np.random.default_rng(1).integers(0, 3, (N_ITEMS, 2)), (3, 3))


def network_of(**config: Any) -> GemsNetwork:
    torch.manual_seed(0)
    network = GemsNetwork(trie_of(ids()), FEATURES, GemsConfig.model_validate(SMALL | GEMS | config), CLUSTERS)
    randomise(network)
    return network.eval()


@pytest.mark.parametrize(
    "switches",
    [
        dict(zip(OF_GLASS, s, strict=True))
        for s in product(("learned", "bucket"), ("sum", "gate"), ("summary", "sid-tier"))
    ],
    ids=lambda switches: "-".join(switches.values()),
)
@torch.no_grad()
def test_scores_are_those_of_the_naive_network(switches: dict[str, str]) -> None:
    """Training's one pass, and generation's forced scores, against one target at a time in loops."""
    network = network_of(**switches)
    items, targets = torch.tensor([RECENT]), torch.full((1, SHORT_TERM), PAD)
    targets[0, -1] = TARGET
    history = LongTerm(ragged([[*LONG, *RECENT, TARGET, 2]]), torch.tensor([0]), torch.tensor([len(LONG)]))
    expected = -sum(log_likelihood(network, RECENT, LONG, TARGET))
    assert network.loss(items, targets, history).item() == pytest.approx(expected, abs=1e-4)
    queries = QueryBatch(items, torch.tensor([SHORT_TERM]), long_term_of([LONG]))
    codes = network.codes[TARGET]
    naive = code_logits(network, RECENT, LONG, codes.tolist())
    for level, scores in enumerate(network.forced_logits(queries, codes.unsqueeze(0))):
        np.testing.assert_allclose(scores[0].numpy(), naive[level], atol=1e-4)


def fitted(folder: Path, model: type[Glass] | type[Gems], **config: Any) -> Glass | Gems:
    rng = np.random.default_rng(0)
    items = rng.integers(0, N_ITEMS, 10 * 25).astype(np.int32)
    interactions = Interactions(items, np.arange(250), np.arange(11) * 25, N_ITEMS)
    titles = pd.DataFrame({"title": [f"word{item % 4} name{item}" for item in range(N_ITEMS)]})
    recommender = model(SMALL | config)
    context = FitContext(3, "cpu", ArtifactCache(folder), lambda _: 0.0)
    recommender.fit(TrainingData(interactions, ItemTable(titles, ("title",), None), False, ""), context)
    return recommender


def test_with_all_three_switches_on_its_side_it_is_glass(tmp_path: Path) -> None:
    items = np.random.default_rng(7).integers(0, N_ITEMS, 60).astype(np.int32)
    histories = Histories(items, np.arange(60), np.array([0, 0, 3, 20, 60]), N_ITEMS, exclude_seen=False)
    glass, ours = fitted(tmp_path, Glass), fitted(tmp_path, Gems, **GEMS, **OF_GLASS)
    expected = glass.recommend(histories, N_ITEMS)
    assert np.array_equal(ours.recommend(histories, N_ITEMS).scores, expected.scores)
    for switch, ours_is in (("reading", "learned"), ("joined", "sum"), ("lifecycle", "summary")):
        other = fitted(tmp_path, Gems, **GEMS, **(OF_GLASS | {switch: ours_is}))
        assert not np.array_equal(other.recommend(histories, N_ITEMS).scores, expected.scores), switch


def test_the_last_of_some_users_may_have_no_history(tmp_path: Path) -> None:
    recommender = fitted(tmp_path, Gems, **GEMS)
    alone = Histories(np.array([], np.int32), np.array([]), np.array([0, 0]), N_ITEMS, exclude_seen=False)
    items = np.array([3, 1, 4], np.int32)
    last = Histories(items, np.arange(3), np.array([0, 3, 3]), N_ITEMS, exclude_seen=False)
    np.testing.assert_allclose(
        recommender.recommend(last, N_ITEMS).scores[1], recommender.recommend(alone, N_ITEMS).scores[0], atol=1e-5
    )


@torch.no_grad()
def test_the_indexer_reads_the_best_of_the_middle_events() -> None:
    network = network_of()
    rows = [LONG, [], [4, 4], [*LONG, *LONG]]
    for code in range(3):
        known = torch.full((len(rows), 1, 1), code)
        found, scores = network.find(long_term_of(rows), known)
        assert scores is not None
        start = 0
        for row, events in enumerate(rows):
            places, naive = naive_indexer(network, events, code)
            kept = [int(place) - start for place in found[row, 0] if place != PAD]
            assert kept == places
            assert all(place >= len(events) - GEMS["middle"] for place in kept), "older events belong to the lifecycle"
            np.testing.assert_allclose(scores[row, 0, 0, 0, : len(kept)].numpy(), naive, atol=1e-4)
            start += len(events)


def test_the_indexer_learns_and_moves_no_embedding() -> None:
    network = network_of().train()
    found, scores = network.find(long_term_of([LONG]), torch.zeros(1, 1, 1, dtype=torch.long))
    assert scores is not None
    assert (found != PAD).all()
    (scores**2).sum().backward()
    moved = {name for name, parameter in network.named_parameters() if parameter.grad is not None}
    assert moved == {"indexer.query.weight", "indexer.query.bias", "indexer.key.weight", "indexer.key.bias"}
    network.zero_grad()
    targets = torch.tensor([[PAD, PAD, PAD, TARGET]])
    history = LongTerm(ragged([[*LONG, *RECENT]]), torch.tensor([0]), torch.tensor([len(LONG)]))
    network.loss(torch.tensor([RECENT]), targets, history).backward()
    assert network.indexer is not None
    assert all(float(parameter.grad.abs().sum()) > 0 for parameter in network.indexer.key.parameters())  # type: ignore[union-attr]


@torch.no_grad()
def test_the_summary_is_made_of_shares_of_clusters() -> None:
    network = network_of()
    shares = network.summarise(long_term_of([LONG, []]))
    assert shares is not None
    own = np.bincount(CLUSTERS[LONG], minlength=3) / len(LONG)
    np.testing.assert_allclose(shares[0].numpy(), np.column_stack([1 - own, own]), atol=1e-6)
    assert shares[1].abs().sum() == 0


def test_parameters_are_those_of_glass_but_for_the_streams() -> None:
    def size(network: torch.nn.Module) -> int:
        return sum(parameter.numel() for parameter in network.parameters())

    torch.manual_seed(0)
    glass = size(GlassNetwork(trie_of(ids()), FEATURES, GlassConfig.model_validate(SMALL)))
    assert size(network_of(**OF_GLASS)) == glass
    assert size(network_of(**(OF_GLASS | {"joined": "sum"}))) == glass - 2 * (2 * 64 + 8)
    assert size(network_of(**(OF_GLASS | {"reading": "learned"}))) == glass + 2 * (8 * 6 + 6)
    assert size(network_of(**(OF_GLASS | {"lifecycle": "summary"}))) == glass + (3 * 2 - 3 * 20) * 8


@pytest.mark.parametrize(
    "wrong",
    [
        {"search": {"enabled": False}},
        {"sid_tier": {"enabled": False}},
        {"search": {"neighbours": 2}},
        {"fixed_gate": 0.5},
    ],
)
def test_switches_without_a_meaning_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        GemsConfig.model_validate(wrong)
    GemsConfig.model_validate({"fixed_gate": 0.5, "joined": "gate", "search": {"neighbours": 2}, "reading": "bucket"})
