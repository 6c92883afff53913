"""COBRA: its loss and its scores written out, and its promise: k items that exist for every user."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from baselines.cobra import Cobra, CobraConfig, CobraNetwork
from bench.data.cache import ArtifactCache
from bench.data.dataset import ItemTable, TrainingData
from bench.data.interactions import PAD, Histories, Interactions
from bench.recommender import FitContext
from models.semantic_ids.semantic_ids import SemanticIds
from models.semantic_ids.trie import PrefixTrie

N_ITEMS, LENGTH, DIM = 10, 5, 8
SIZES = (3, 2)
CODES = np.array([[0, 0], [0, 0], [0, 0], [0, 1], [1, 0], [1, 1], [1, 1], [2, 0], [2, 0], [2, 1]])
IDS = SemanticIds(CODES, SIZES, 2)
FEATURES = np.random.default_rng(0).normal(size=(N_ITEMS, 4)).astype(np.float32)
TEMPERATURE = 0.2
"""`temperature=0.2` of `Cobra.__init__` in genrec/models/cobra.py."""


def network() -> CobraNetwork:
    torch.manual_seed(0)
    return CobraNetwork(IDS, FEATURES, CobraConfig(length=LENGTH, dim=DIM, dropout=0.3)).eval()


def naive_states(ours: CobraNetwork, state: Tensor, codes: list[int]) -> list[Tensor]:
    """The state before each level, and the one after the last, which is the dense vector."""
    states = [state]
    for level, code in enumerate(codes):
        states.append(states[-1] + ours.cascade.steps[level](states[-1] + ours.tables[level][code]))
    return states


def log_probability(ours: CobraNetwork, state: Tensor, codes: list[int]) -> float:
    states = naive_states(ours, state, codes)
    levels = [ours.cascade.heads[level](states[level]).log_softmax(-1)[code] for level, code in enumerate(codes)]
    return float(sum(levels))


def cosine(left: Tensor, right: Tensor) -> float:
    return float(left @ right / left.norm() / right.norm())


@torch.no_grad()
def test_the_loss_is_that_of_codes_and_of_vectors_among_the_targets_of_the_step() -> None:
    """genrec: `loss_sparse / C` plus in-batch InfoNCE over cosines at temperature 0.2, weights 1."""
    ours, hidden, targets = network(), torch.randn(4, DIM), [4, 1, 4, 8]
    sparse, dense = [], []
    for row, target in enumerate(targets):
        codes = CODES[target].tolist()
        sparse.append(-log_probability(ours, hidden[row], codes) / 2)
        vector = naive_states(ours, hidden[row], codes)[-1]
        others = [target, *(other for other in targets if other != target)]
        logits = [cosine(vector, ours.dense(torch.tensor(other))) / TEMPERATURE for other in others]
        dense.append(np.log(np.exp(logits).sum()) - logits[0])
    assert ours.loss(hidden, torch.tensor(targets)).item() == pytest.approx(np.mean(sparse) + np.mean(dense), rel=1e-5)


@torch.no_grad()
def test_an_event_is_the_sum_of_its_codes_and_its_dense_vector() -> None:
    ours = network()
    ours.blocks, ours.norm = torch.nn.ModuleList(), torch.nn.Identity()
    states = ours(torch.tensor([[6, 3, PAD]]), torch.zeros(1, 3, dtype=torch.long))[0]
    for place, item in enumerate((6, 3)):
        first, second = CODES[item]
        standard = (FEATURES[item] - FEATURES.mean(0)) / FEATURES.std(0)
        encoded = ours.item_encoder(torch.from_numpy(standard))
        expected = ours.tables[0][first] + ours.tables[1][second] + encoded + ours.positions.weight[place]
        torch.testing.assert_close(states[place], expected)
    assert not states[2].any()


@torch.no_grad()
def test_no_position_sees_a_later_event_and_each_sees_all_earlier_ones() -> None:
    ours, items, times = network(), torch.tensor([[3, 1, 4, 8, 5]]), torch.zeros(1, LENGTH, dtype=torch.long)
    before = ours(items, times)
    for place in range(LENGTH):
        changed = items.clone()
        changed[0, place] = 9
        moved = (ours(changed, times) - before).abs().amax(-1)[0] > 1e-6
        assert moved.tolist() == [False] * place + [True] * (LENGTH - place)


@torch.no_grad()
def test_a_wide_beam_finds_every_id_with_its_probability_and_the_vector_after_it() -> None:
    ours, hidden = network(), torch.randn(2, DIM)
    beams, dense = ours.generate(hidden, PrefixTrie(IDS, np.ones(N_ITEMS, dtype=np.int64), "cpu"), width=9)
    for row in range(2):
        reached = [b for b in range(beams.codes.shape[1]) if beams.scores[row, b] > -torch.inf]
        found = [beams.codes[row, beam].tolist() for beam in reached]
        assert sorted(found) == [[a, b] for a in range(3) for b in range(2)], "all IDs of the catalogue"
        for beam, codes in zip(reached, found, strict=True):
            assert beams.scores[row, beam].item() == pytest.approx(log_probability(ours, hidden[row], codes), abs=1e-5)
            torch.testing.assert_close(dense[row, beam], naive_states(ours, hidden[row], codes)[-1])


def fitted(folder: Path, epochs: int = 1, beam: int = 50) -> Cobra:
    """A circle of twelve items in four groups of three that share codes, told apart by the second word."""
    items = np.concatenate([(start + np.arange(14)) % 12 for start in range(12)]).astype(np.int32)
    offsets = np.arange(13, dtype=np.int64) * 14
    titles = pd.DataFrame(
        {"title": [f"group{item % 4} group{item % 4} group{item % 4} one{item}" for item in range(12)]}
    )
    interactions = Interactions(items, np.arange(len(items), dtype=np.int64), offsets, 12)
    tokenizer = {"codebooks": (4, 1), "features": {"collaborative_dims": 0}}
    training = {
        "epochs": epochs,
        "batch_events": 64,
        "validate_every": epochs,
        "learning_rate": 0.01,
        "average": 0,
        "warmup_steps": 0,
    }
    model = Cobra({"length": 5, "dim": 16, "dropout": 0, "tokenizer": tokenizer, "training": training, "beam": beam})
    train = TrainingData(interactions, ItemTable(titles, ("title",), None), False, "")
    model.fit(train, FitContext(5, "cpu", ArtifactCache(folder), validate=lambda _: 0.0))
    assert len(np.unique(model.sid_of_item)) == 4
    return model


def histories_of(rows: list[list[int]], exclude_seen: bool = False) -> Histories:
    items = np.array([item for row in rows for item in row], dtype=np.int32)
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    return Histories(items, np.zeros(len(items), dtype=np.int64), offsets, 12, exclude_seen)


ASKED = [[], [0, 1, 2, 3], [4, 5], [11, 3, 7]]


def test_items_of_a_generated_id_are_ranked_by_its_probability_and_their_cosine(tmp_path: Path) -> None:
    model = fitted(tmp_path)
    ours, histories = model.network, histories_of(ASKED)
    answer = model.recommend(histories, k=12)
    with torch.no_grad():
        hidden, n_events = model.read_histories(histories)
        states = hidden[torch.arange(len(ASKED)), (n_events - 1).clamp(min=0)]
        for state, items, scores in zip(states, answer.items, answer.scores, strict=True):
            expected = []
            for item in range(12):
                codes = ours.codes[item].tolist()
                vector = naive_states(ours, state, codes)[-1]
                near = cosine(vector, ours.dense(torch.tensor(item))) / TEMPERATURE
                expected.append(log_probability(ours, state, codes) + near)
            assert sorted(items.tolist()) == list(range(12))
            np.testing.assert_allclose(scores, np.array(expected)[items], rtol=1e-4)
            assert (np.diff(scores) <= 0).all()


@pytest.mark.parametrize("exclude_seen", [True, False])
def test_lists_hold_k_items_that_exist_and_ids_in_the_order_of_their_items(tmp_path: Path, exclude_seen: bool) -> None:
    model = fitted(tmp_path, beam=1)
    asked = histories_of(ASKED, exclude_seen)
    for k in (2, 8):
        answer = model.recommend(asked, k)
        for query, (items, sids, row) in enumerate(zip(answer.items, answer.sids, ASKED, strict=True)):
            assert len(set(items.tolist())) == k
            assert all(0 <= item < 12 for item in items)
            assert not exclude_seen or not set(items.tolist()) & set(row)
            met = list(dict.fromkeys(model.sid_of_item[items].tolist()))
            assert sids[: len(met)].tolist() == met
            alone = model.recommend(asked.batch(query, query + 1), k)
            assert alone.items[0].tolist() == items.tolist()
            np.testing.assert_allclose(alone.scores[0], answer.scores[query], rtol=1e-4)


def test_an_id_whose_items_were_all_seen_is_not_listed(tmp_path: Path) -> None:
    model = fitted(tmp_path)
    answer = model.recommend(histories_of([[0, 4, 8]], exclude_seen=True), k=10)
    assert sorted(answer.items[0].tolist()) == [-1, 1, 2, 3, 5, 6, 7, 9, 10, 11]
    assert int(model.sid_of_item[0]) not in answer.sids[0].tolist()
    assert (answer.sids[0] >= 0).sum() == 3


def test_the_dense_vector_learns_what_the_codes_cannot_say(tmp_path: Path) -> None:
    """Items 4 and 8 have the codes of item 0: only their vectors know which of them follows 3, 7 and 11."""
    answer = fitted(tmp_path, epochs=30).recommend(histories_of([[1, 2, 3], [5, 6, 7], [9, 10, 11]]), k=1)
    assert answer.items[:, 0].tolist() == [4, 8, 0]


def test_what_it_is_not_is_refused() -> None:
    with pytest.raises(ValidationError, match="loss bce: only ce"):
        Cobra({"loss": "bce"})
    with pytest.raises(ValidationError, match="the dense vector tells items apart; false or reassign"):
        Cobra({"tokenizer": {"disambiguate": True}})
