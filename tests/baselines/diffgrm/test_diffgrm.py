"""DiffGRM against loops written from its source, and its promise: k items that exist for every user."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import naive_diffgrm as naive
import numpy as np
import pytest
import torch
from cycles_world import N_ITEMS, cycles
from pydantic import ValidationError
from torch import nn

from baselines.diffgrm.denoising import denoise, scores_of_all
from baselines.diffgrm.model import DiffGRM, DiffGRMConfig
from baselines.diffgrm.network import DiffGRMNetwork
from baselines.diffgrm.partial_ids import MASK, PartialIds
from bench.data.cache import ArtifactCache
from bench.data.interactions import PAD, Histories
from bench.recommender import FitContext
from models.semantic_ids.semantic_ids import SemanticIds

SOURCE_STD = 0.02
"""`_init_weights` in model.py."""

SIZES = (4, 3, 5)
CODES = np.random.default_rng(3).integers(0, SIZES, (12, 3))
CODES[7] = CODES[2]
IDS = SemanticIds(CODES, SIZES, 3)
SMALL: dict[str, Any] = {
    "short_term": 5,
    "dim": 8,
    "heads": 2,
    "feed_forward": 12,
    "encoder_layers": 1,
    "decoder_layers": 2,
    "label_smoothing": 0.2,
}
HISTORIES = [[3, 1, 4, 11, 5], [2, 6], [7]]


def network() -> DiffGRMNetwork:
    torch.manual_seed(0)
    made = DiffGRMNetwork(IDS, DiffGRMConfig.model_validate(SMALL)).eval()
    for parameter in made.parameters():
        nn.init.normal_(parameter, std=0.4)
    return made


def padded(rows: list[list[int]]) -> torch.Tensor:
    return torch.tensor([row + [PAD] * (5 - len(row)) for row in rows])


def known(codes: list[list[int]]) -> naive.Codes:
    return tuple(None if code == MASK else code for code in codes)  # type: ignore[misc]


def codes_of(item: int) -> naive.Codes:
    return tuple(CODES[item].tolist())


@torch.no_grad()
def test_the_encoder_is_that_of_the_source() -> None:
    made = network()
    for row, states in zip(HISTORIES, made.encode(padded(HISTORIES)), strict=True):
        np.testing.assert_allclose(states.numpy(), naive.encoded(made, row, 5), atol=1e-5)
        assert not states[len(row) :].any()


@torch.no_grad()
def test_without_a_history_the_decoder_reads_nothing() -> None:
    made = network()
    assert not made.encode(padded([[]])).any()


@torch.no_grad()
def test_the_decoder_is_that_of_the_source() -> None:
    made = network()
    memory = made.encode(padded(HISTORIES))
    views = torch.tensor([[[MASK, MASK, MASK], [2, MASK, MASK], [MASK, 0, 4], [3, 1, MASK]]])
    found = made.log_probs(memory, views.expand(3, -1, -1))
    for row, history in enumerate(HISTORIES):
        read = naive.encoded(made, history, 5)
        for view, codes in enumerate(views[0].tolist()):
            expected = np.concatenate(naive.log_probabilities(made, read, known(codes)))
            np.testing.assert_allclose(found[row, view].numpy(), expected, atol=1e-4)


@torch.no_grad()
def test_the_loss_is_that_of_the_source() -> None:
    made, targets = network(), [4, 0, 9]
    memories = [naive.encoded(made, history, 5) for history in HISTORIES]
    expected = naive.loss(made, memories, [codes_of(item) for item in targets], smoothing=0.2)
    assert made.loss(padded(HISTORIES), torch.tensor(targets)).item() == pytest.approx(expected, rel=1e-4)


def test_confidences_are_without_dropout_and_training_goes_on_with_it() -> None:
    made = network()
    memory = made.encode(padded(HISTORIES)).detach()
    judged = made.hardest_first(memory)
    made.train()
    made.dropout.p = 0.9
    assert torch.equal(made.hardest_first(memory), judged)
    assert all(module.training for module in made.modules())


@torch.no_grad()
@pytest.mark.parametrize("width", [1, 3, 30])
def test_denoising_keeps_the_best_partial_ids_of_the_catalogue(width: int) -> None:
    made, partial = network(), PartialIds(IDS, "cpu")
    memory = made.encode(padded(HISTORIES))
    found = denoise(lambda codes: made.log_probs(memory, codes), partial, 3, width)
    catalogue = {codes_of(item) for item in range(len(CODES))}
    for row, history in enumerate(HISTORIES):
        expected = naive.denoised(made, naive.encoded(made, history, 5), catalogue, width)
        reached = found.scores[row] > -torch.inf
        ids = [tuple(codes) for codes in partial.codes[found.ids[row][reached]].tolist()]
        assert ids == [codes for codes, _ in expected]
        np.testing.assert_allclose(found.scores[row][reached], [score for _, score in expected], atol=1e-4)
        assert len(set(ids)) == len(ids)


@torch.no_grad()
def test_behind_what_a_beam_reached_come_all_others_by_their_first_probabilities() -> None:
    made, partial = network(), PartialIds(IDS, "cpu")
    memory = made.encode(padded(HISTORIES))
    found = denoise(lambda codes: made.log_probs(memory, codes), partial, 3, 2)
    scores = scores_of_all(found, partial, made.offsets)
    for row, history in enumerate(HISTORIES):
        nothing = naive.log_probabilities(made, naive.encoded(made, history, 5), (None, None, None))
        reached = found.ids[row][found.scores[row] > -torch.inf].tolist()
        others = [number for number in range(len(partial.codes)) if number not in reached]
        by_first = {
            number: sum(nothing[digit][code] for digit, code in enumerate(partial.codes[number].tolist()))
            for number in others
        }
        expected = reached + sorted(others, key=lambda number: -by_first[number])
        assert scores[row].argsort(descending=True).tolist() == expected
        lowest, highest = scores[row, reached].min().item(), scores[row, others].max().item()
        assert highest <= lowest - 1 + 1e-4


def test_partial_ids_are_those_of_a_catalogue_in_loops() -> None:
    partial = PartialIds(IDS, "cpu")
    starts = np.cumsum([0, *SIZES[:-1]])
    for level in range(3):
        nodes = [tuple(codes) for codes in partial.known[level].tolist()]
        assert len(set(nodes)) == len(nodes)
        assert all(sum(code != MASK for code in codes) == level for codes in nodes)
        children = partial.children(level, torch.arange(len(nodes)))
        for node, codes in enumerate(nodes):
            valid = children.valid[node]
            longer = partial.known[level + 1][children.nodes[node][valid]].tolist()
            expected = set()
            for item in CODES.tolist():
                if all(code in (MASK, own) for code, own in zip(codes, item, strict=True)):
                    for digit in (digit for digit in range(3) if codes[digit] == MASK):
                        known_now = (*codes[:digit], item[digit], *codes[digit + 1 :])
                        expected.add((known_now, starts[digit] + item[digit]))
            given = list(zip(map(tuple, longer), children.codes[node][valid].tolist(), strict=True))
            assert set(given) == expected
            assert len(given) == len(expected)
    assert partial.codes[partial.id_of_item].tolist() == CODES.tolist()
    assert partial.id_of_item.tolist() == IDS.sid_of_item.tolist()
    assert torch.equal(partial.known[3], partial.codes)


def test_initial_weights_are_those_of_the_source() -> None:
    torch.manual_seed(0)
    ids = SemanticIds(CODES, (200, 200, 200), 3)
    made = DiffGRMNetwork(ids, DiffGRMConfig(dim=64, feed_forward=256))
    for module in made.modules():
        if isinstance(module, nn.Embedding | nn.Linear) and module.weight.numel() > 2000:
            assert module.weight.std().item() == pytest.approx(SOURCE_STD, rel=0.1)
        if isinstance(module, nn.Linear) and module.bias is not None:
            assert not module.bias.any()
        if isinstance(module, nn.LayerNorm):
            assert module.eps == naive.EPSILON
            assert (module.weight == 1).all()
    assert made.decoder[0].to_history.qkv.bias is None


FEW_CODES = {"codebooks": (4, 4), "features": {"text_dims": 4, "collaborative_dims": 0}}


def fitted(folder: Path, epochs: int = 1, **config: Any) -> DiffGRM:
    training = {"epochs": epochs, "warmup_steps": 0, "learning_rate": 0.01, "average": 0, "validate_every": epochs}
    sizes = {**SMALL, "dim": 16, "dropout": 0, "label_smoothing": 0, "batch_targets": 16, "targets_per_epoch": 1.0}
    recommender = DiffGRM({**sizes, "tokenizer": FEW_CODES, "training": training, **config})
    recommender.fit(cycles(), FitContext(0, "cpu", ArtifactCache(folder), validate=lambda _: 0.0))
    return recommender


def histories_of(rows: list[list[int]], exclude_seen: bool) -> Histories:
    items = np.array([item for row in rows for item in row], dtype=np.int32)
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    return Histories(items, np.zeros(len(items), dtype=np.int64), offsets, N_ITEMS, exclude_seen)


@pytest.mark.parametrize(("beam", "disambiguate"), [(1, False), (20, False), (1, True)])
@pytest.mark.parametrize("exclude_seen", [True, False])
def test_lists_hold_k_items_that_exist_whatever_the_beam_reaches(
    tmp_path: Path, exclude_seen: bool, beam: int, disambiguate: bool
) -> None:
    model = fitted(tmp_path, beam=beam, tokenizer={**FEW_CODES, "disambiguate": disambiguate})
    assert model.sid_of_item is not None
    rows = [[], [0, 1, 2, 3], [4, 5], [8] * 9, list(range(7))]
    asked = histories_of(rows, exclude_seen)
    for k in (1, 2, N_ITEMS):
        answer = model.recommend(asked, k)
        assert answer.sids is not None
        for items, sids, row in zip(answer.items, answer.sids, rows, strict=True):
            candidates = set(range(N_ITEMS)) - (set(row) if exclude_seen else set())
            given = items[items != PAD].tolist()
            assert len(given) == len(set(given)) == min(k, len(candidates))
            assert set(given) <= candidates
            met = list(dict.fromkeys(model.sid_of_item[given].tolist()))
            assert sids[: len(met)].tolist() == met
        for query in range(len(rows)):
            alone = model.recommend(asked.batch(query, query + 1), k)
            assert alone.items[0].tolist() == answer.items[query].tolist()


def test_a_search_reaches_no_semantic_id_all_of_whose_items_were_seen(tmp_path: Path) -> None:
    model = fitted(tmp_path, beam=1)
    answer = model.recommend(histories_of([list(range(8))], exclude_seen=True), k=1)
    assert answer.items.tolist() == [[8]]
    everything = model.recommend(histories_of([list(range(N_ITEMS))], exclude_seen=True), k=2)
    assert everything.items.tolist() == [[PAD, PAD]]


def test_a_cycle_is_learnt(tmp_path: Path) -> None:
    codes = {"codebooks": (9, 9), "method": "random", "seed": 4, "disambiguate": True}
    sizes = {"dim": 64, "feed_forward": 64, "decoder_layers": 1}
    training = {"epochs": 40, "warmup_steps": 20, "learning_rate": 0.005, "average": 0, "validate_every": 40}
    model = fitted(tmp_path, tokenizer=codes, training=training, **sizes)
    answer = model.recommend(histories_of([[0, 1, 2], [5, 6, 7, 8], [3, 4, 5, 6]], exclude_seen=False), k=3)
    assert answer.items[:, 0].tolist() == [3, 0, 7]


def test_of_items_that_tie_the_more_popular_comes_first(tmp_path: Path) -> None:
    model = fitted(tmp_path)
    assert model.sid_of_item is not None
    model.sid_of_item = model.sid_of_item.copy()
    before = model.recommend(histories_of([[4]], False), N_ITEMS).items[0].tolist()
    model._by_popularity = model._by_popularity[::-1].copy()
    after = model.recommend(histories_of([[4]], False), N_ITEMS).items[0].tolist()
    for sid in set(model.sid_of_item.tolist()):
        of_sid = [item for item in before if model.sid_of_item[item] == sid]
        assert [item for item in after if model.sid_of_item[item] == sid] == of_sid[::-1]


def test_heads_that_do_not_fit_and_too_many_digits_are_refused_in_a_line() -> None:
    with pytest.raises(ValidationError, match="dim 30 should be a multiple of heads 4"):
        DiffGRMConfig(dim=30)
    with pytest.raises(ValidationError, match="semantic IDs of 9 digits; at most 8 can be filled in in any order"):
        DiffGRM({"tokenizer": {"codebooks": [16] * 8, "disambiguate": True}})
