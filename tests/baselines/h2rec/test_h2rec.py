"""H2Rec: its two branches written out in loops, its ablations, and the way to SASRec and back."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from h2rec_world import (
    BRANCHES,
    DIM,
    LENGTH,
    N_ITEMS,
    ROWS,
    SMALL,
    TOKENIZER,
    USERS,
    array_of,
    backbone,
    batch_of,
    context,
    cycles,
    each_branch,
    hidden_of,
    naive_fused,
    naive_weights,
    network_of,
    semantic_ids,
)
from pydantic import ValidationError

from baselines import next_item
from baselines.h2rec.model import H2Rec
from baselines.h2rec.network import H2RecConfig, H2RecNetwork
from baselines.sasrec import SASRec
from bench.data.interactions import Histories


def naive_injection(network: H2RecNetwork, row: list[int], place: int) -> np.ndarray:
    """What the event at `place` reads: attention over a Python list of the hash vectors so far, level by level."""
    positions, hashed = array_of(network.positions.weight), array_of(network.items.weight)
    weights, total = naive_weights(network, row[place]), np.zeros(DIM)
    for level, attention in enumerate(network.injection):
        code = semantic_ids().codes[row[place], level]
        query = array_of(attention.query.weight) @ (
            array_of(network.semantic.embedding.tables[level])[code] + positions[place]
        )
        sides = [array_of(attention.key_value.weight) @ (hashed[row[p]] + positions[p]) for p in range(place + 1)]
        read = []
        for head in range(2):
            part = slice(head * DIM // 2, (head + 1) * DIM // 2)
            scores = np.array([query[part] @ side[:DIM][part] for side in sides]) / np.sqrt(DIM // 2)
            share = np.exp(scores) / np.exp(scores).sum()
            read.append(sum(s * side[DIM:][part] for s, side in zip(share, sides, strict=True)))
        out = array_of(attention.out.weight) @ np.concatenate(read) + array_of(attention.out.bias)
        total += weights[level] * out
    return total


@each_branch
@torch.no_grad()
def test_hidden_states_and_scores_are_those_of_two_branches_written_out(config: dict[str, Any]) -> None:
    network = network_of(**config)
    for row, states in zip(ROWS, hidden_of(network, ROWS), strict=True):
        branches, tables = [], []
        if network.items is not None:
            hashed = array_of(network.items.weight)
            injected = [naive_injection(network, row, p) if network.semantic else 0.0 for p in range(len(row))]
            branches.append(
                backbone(network, [hashed[item] + extra for item, extra in zip(row, injected, strict=True)])
            )
            tables.append(hashed)
        if network.semantic is not None:
            branches.append(backbone(network, [naive_fused(network, item) for item in row]))
            tables.append(np.array([naive_fused(network, item) for item in range(N_ITEMS)]))
        np.testing.assert_allclose(states[: len(row)].numpy(), np.concatenate(branches, axis=1), atol=2e-5)
        scores = sum(branch[-1] @ table.T for branch, table in zip(branches, tables, strict=True))
        np.testing.assert_allclose(network.scores(states[len(row) - 1]).numpy(), scores, atol=1e-4)


@torch.no_grad()
def test_level_weights_come_from_the_hash_vector_and_favour_coarse_levels() -> None:
    network = network_of()
    every = torch.arange(N_ITEMS)
    expected = [naive_weights(network, item) for item in range(N_ITEMS)]
    weights = network.semantic.weights(every, network.items)
    np.testing.assert_allclose(weights.numpy(), expected, atol=1e-6)
    assert not torch.allclose(weights[2], weights[8]), "items of equal codes differ by their hash vectors"
    for parameter in network.semantic.gate.parameters():
        parameter.zero_()
    ungated = network.semantic.weights(every, network.items)
    assert (ungated.diff(dim=1) < 0).all()
    torch.testing.assert_close(ungated, ungated[:1].expand_as(ungated))


@each_branch
@torch.no_grad()
def test_no_position_sees_a_later_event_and_each_sees_all_earlier_ones(config: dict[str, Any]) -> None:
    network = network_of(**config)
    before = hidden_of(network, ROWS[:1])[0]
    for place in range(LENGTH):
        changed = [*ROWS[0]]
        changed[place] = 0
        moved = (hidden_of(network, [changed])[0] - before).unflatten(1, (-1, DIM)).abs().amax(-1) > 1e-5
        for branch in moved.T:
            assert branch.tolist() == [False] * place + [True] * (LENGTH - place)


@each_branch
@torch.no_grad()
def test_padding_and_company_do_not_matter(config: dict[str, Any]) -> None:
    network = network_of(**config)
    together = hidden_of(network, ROWS)
    for row, states in zip(ROWS, together, strict=True):
        alone = network(torch.tensor([row]), torch.zeros(1, len(row), dtype=torch.long))[0]
        torch.testing.assert_close(alone, states[: len(row)], rtol=0, atol=1e-5)


@torch.no_grad()
def test_items_of_one_semantic_id_are_told_apart_by_the_hash_branch_alone() -> None:
    alike = [(2, 8), (1, 9)]
    for config, equal in ((BRANCHES["sid only"], True), (BRANCHES["both"], False)):
        network = network_of(**config)
        scores = network.scores(hidden_of(network, ROWS[:1])[0, -1])
        for one, other in alike:
            # How a product is divided among threads decides the last bit.
            assert torch.allclose(scores[one], scores[other], rtol=0, atol=1e-5) == equal


def test_without_the_sid_branch_it_is_sasrec_to_the_last_bit(tmp_path: Path) -> None:
    config = {**SMALL, "dropout": 0.2, "training": {"epochs": 3, "batch_events": 30, "warmup_steps": 2}}
    plain, ours = SASRec(config), H2Rec(config | {"sid_branch": False, "hash_init": "random"})
    told = context(tmp_path)
    for model in (plain, ours):
        model.fit(cycles(), told if model is ours else context(tmp_path))
    assert plain.network.state_dict().keys() == ours.network.state_dict().keys()
    for name, value in plain.network.state_dict().items():
        assert torch.equal(value, ours.network.state_dict()[name]), name
    answers = [model.recommend(histories_of([[1, 2], [8, 7, 6, 5, 4], []]), k=4) for model in (plain, ours)]
    assert np.array_equal(answers[0].items, answers[1].items)
    assert np.array_equal(answers[0].scores, answers[1].scores)
    assert not told.diagnostics, "nothing was tokenized"


def test_the_state_before_a_targets_basket_predicts_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    handed: list[Any] = []
    monkeypatch.setattr(next_item, "fit_network", lambda *args: handed.extend(args))
    config = {"item_alignment": 0.0, "user_alignment": 0.0, "tokenizer": TOKENIZER}
    H2Rec(SMALL | config).fit(cycles(), context(tmp_path))
    network, loss, batch = handed[1], handed[3], batch_of(ROWS[:1], USERS[:1])
    batch.kept[:] = torch.tensor([1, 2, 2, 2, 5, 6])
    states = hidden_of(network, ROWS[:1])[0, [0, 1, 1, 1, 4, 5]]
    torch.testing.assert_close(loss(batch), F.cross_entropy(network.scores(states), batch.targets[0]))


@each_branch
def test_a_cycle_is_learnt_by_either_branch_and_by_both(config: dict[str, Any], tmp_path: Path) -> None:
    training = {"epochs": 15, "batch_events": 48, "warmup_steps": 0, "learning_rate": 0.02, "average": 0.0}
    model = H2Rec({**SMALL, **config, "tokenizer": TOKENIZER | {"codebooks": (20, 20)}, "training": training})
    told = context(tmp_path)
    model.fit(cycles(), told)
    answer = model.recommend(histories_of([[0, 1, 2], [8, 9], [4, 5, 6, 7, 8]]), k=1)
    assert answer.items[:, 0].tolist() == [3, 0, 9]
    assert answer.sids is None
    assert model.sid_of_item is None
    assert ("sid_health" in told.diagnostics) == model.config.sid_branch
    assert "decoding" not in told.diagnostics, "it generates no semantic IDs"


def test_the_constants_that_the_card_calls_the_official_ones() -> None:
    """Official code: `_setup_infonce` and `_setup_view_consistency` in models/DualTrisRec.py, options in main.py."""
    config = H2RecConfig()
    assert (config.item_alignment, config.user_alignment, config.temperature) == (0.1, 0.1, 0.5)
    assert (config.dim, config.blocks, config.hash_init) == (64, 2, "features")
    prior = H2RecNetwork(N_ITEMS, semantic_ids(), config).semantic.prior
    np.testing.assert_allclose(prior, [1.0, 0.6, 0.2], atol=1e-6)


def test_what_does_not_fit_together_is_refused() -> None:
    with pytest.raises(ValidationError, match="leave one of them on"):
        H2Rec({"sid_branch": False, "hash_branch": False})


def histories_of(rows: list[list[int]]) -> Histories:
    items = np.array([item for row in rows for item in row], dtype=np.int32)
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    return Histories(items, np.arange(len(items), dtype=np.int64), offsets, N_ITEMS, False)
