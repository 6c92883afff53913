"""DualGR: one function in one pass, target by target and step by step; its router, its two branches, its search."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from dualgr_world import (
    CODEBOOK,
    CONFIGS,
    LONG_TERM,
    N_ITEMS,
    POSITIONS,
    RECENT,
    SHORT_TERM,
    SMALL,
    TARGETS,
    WORLDS,
    network_of,
    one_target,
    padded,
    semantic_ids,
    training_long_term,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_dualgr import FREQUENCIES, bucket, log_likelihood, long_codes
from naive_network import long_term_of, ragged, read_of, trie_of
from pydantic import ValidationError
from torch import Tensor

from baselines.dualgr import BranchRouter, DualGR, DualGRConfig, code_counts
from baselines.tiger import Tiger
from bench.data.cache import ArtifactCache
from bench.data.dataset import ItemTable, TrainingData
from bench.data.interactions import Histories, Interactions
from bench.recommender import FitContext
from models.generation import recommender as generative
from models.generation.causal_network import CausalNetwork
from models.generation.query_batch import QueryBatch
from models.generation.recommender import GenerativeRecommender
from models.history.long_term import LongTerm, RaggedItems
from models.semantic_ids.semantic_ids import with_disambiguation

each_config = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
each_world = pytest.mark.parametrize("world", WORLDS)


@each_world
@each_config
@torch.no_grad()
def test_one_pass_equals_each_target_computed_alone(config: dict[str, Any], world: str) -> None:
    network = network_of(semantic_ids(world), **config)
    items, long_term = padded(RECENT), training_long_term()
    expected, shares = [], []
    for row, column in POSITIONS:
        alone, chosen = log_likelihood(network, RECENT[row][: column + 1], LONG_TERM[row], TARGETS[row][column])
        expected.append(sum(alone))
        shares += np.concatenate(chosen).tolist() if row == 0 else []
        one_pass = -network.loss(items, one_target((row, column)), long_term).item()
        assert one_pass == pytest.approx(expected[-1], abs=1e-4), f"row {row}, position {column}"
    assert np.std(expected) > 0.1, "the targets can be told apart"
    assert min(shares) < 0.5 < max(shares), "either branch is preferred somewhere"
    mean = network.loss(items, padded(TARGETS), long_term).item()
    assert mean == pytest.approx(-np.mean(expected), abs=1e-4)


@each_world
@each_config
@pytest.mark.parametrize("copying", [False, True])
@torch.no_grad()
def test_step_by_step_generation_equals_teacher_forcing(config: dict[str, Any], world: str, copying: bool) -> None:
    network = network_of(semantic_ids(world), **config, copying=copying)
    items, long_term = padded(RECENT), training_long_term()
    for kept in range(1, SHORT_TERM + 1):
        columns = [min(kept, len(row)) - 1 for row in RECENT]
        recent = [row[: column + 1] for row, column in zip(RECENT, columns, strict=True)]
        n_events = torch.tensor([len(row) for row in recent])
        generated = network.generate(QueryBatch(padded(recent), n_events, long_term), N_ITEMS)
        for row, column in enumerate(columns):
            scores = dict(zip(generated.leaves[row].tolist(), generated.scores[row].tolist(), strict=True))
            for item in range(N_ITEMS):
                forced = -network.loss(items, one_target((row, column), item), long_term).item()
                assert scores[int(network.trie.leaf_of_item[item])] == pytest.approx(forced, abs=1e-4)


@each_config
@torch.no_grad()
def test_each_beam_of_a_narrow_search_has_its_own_bucket(config: dict[str, Any]) -> None:
    network = network_of(**config)
    recent, long_terms = [*RECENT, []], [*LONG_TERM, []]
    n_events = torch.tensor([len(row) for row in recent])
    beams = network.generate(QueryBatch(padded(recent), n_events, long_term_of(long_terms)), 7)
    for row in range(3):
        assert len(set(beams.codes[row, :, 0].tolist())) > 1, "beams of several buckets"
        for codes, leaf, score in zip(beams.codes[row], beams.leaves[row], beams.scores[row], strict=True):
            item = int(network.trie.items[network.trie.first_item[leaf]])
            assert network.codes[item].tolist() == codes.tolist()
            expected, _ = log_likelihood(network, recent[row], long_terms[row], item)
            assert score.item() == pytest.approx(sum(expected), abs=1e-4), "an empty history, too, has its answer"


@each_config
@pytest.mark.parametrize("copying", [False, True])
@torch.no_grad()
def test_nothing_inside_or_after_the_window_is_long_term(config: dict[str, Any], copying: bool) -> None:
    network, long_term = network_of(**config, copying=copying), training_long_term()
    before = network.loss(padded(RECENT), padded(TARGETS), long_term).item()

    def with_events_changed(first: int, last: int) -> float:
        events = long_term.events.items.clone()
        start = int(long_term.events.offsets[1])
        events[start + first : start + last] = (events[start + first : start + last] + 5) % N_ITEMS
        changed = LongTerm(
            RaggedItems(events, long_term.events.offsets, long_term.events.longest), long_term.rows, long_term.ends
        )
        return network.loss(padded(RECENT), padded(TARGETS), changed).item()

    n = len(LONG_TERM[0])
    assert with_events_changed(n, n + 8) == before
    assert abs(with_events_changed(0, n) - before) > 1e-3


@each_config
@torch.no_grad()
def test_later_events_of_the_window_change_nothing_and_earlier_ones_do(config: dict[str, Any]) -> None:
    network, long_term = network_of(**config), training_long_term()
    for column in range(SHORT_TERM - 1):
        target = one_target((0, column))
        before = network.loss(padded(RECENT), target, long_term).item()
        later, earlier = padded(RECENT), padded(RECENT)
        later[0, column + 1 :] = (later[0, column + 1 :] + 5) % N_ITEMS
        earlier[0, : column + 1] = (earlier[0, : column + 1] + 5) % N_ITEMS
        assert network.loss(later, target, long_term).item() == pytest.approx(before, abs=1e-5)
        assert abs(network.loss(earlier, target, long_term).item() - before) > 1e-3


@each_config
@torch.no_grad()
def test_without_a_long_term_history_dualgr_is_tiger(config: dict[str, Any]) -> None:
    network = network_of(**config)
    tiger = CausalNetwork(trie_of(semantic_ids()), DualGRConfig.model_validate(SMALL)).eval()
    tiger.load_state_dict({name: value for name, value in network.state_dict().items() if name in tiger.state_dict()})
    items, targets, nothing = padded(RECENT), padded(TARGETS), long_term_of([[], []])
    assert network.loss(items, targets, nothing).item() == tiger.loss(items, targets, nothing).item()
    assert abs(network.loss(items, targets, long_term_of([[1, 2], [3]])) - tiger.loss(items, targets, nothing)) > 1e-3


def test_dualgr_adds_few_parameters_to_tiger() -> None:
    def size(network: torch.nn.Module) -> int:
        return sum(parameter.numel() for parameter in network.parameters())

    # dim 8: a projector d^2 + d, the frequencies, and per decoder layer a query d^2 and a scale.
    tiger = CausalNetwork(trie_of(semantic_ids()), DualGRConfig.model_validate(SMALL))
    assert size(network_of()) - size(tiger) == 64 + 8 + FREQUENCIES * 8 + 2 * (64 + 1)


def test_code_counts_of_a_hand_made_world() -> None:
    first_codes = torch.tensor([0, 0, 2, 1])
    events = ragged([[3, 3], [], [0, 1, 2, 0, 3, 3]])
    long_term = LongTerm(events, torch.tensor([2, 0, 1, 2]), torch.tensor([4, 1, 0, 0]))
    assert code_counts(first_codes, 4, long_term).tolist() == [[3, 0, 1, 0], [0, 1, 0, 0], [0] * 4, [0] * 4]
    nothing = LongTerm(ragged([[], []]), torch.tensor([0, 1]), torch.tensor([0, 0]))
    assert code_counts(first_codes, 4, nothing).tolist() == [[0] * 4, [0] * 4]


@settings(deadline=None, max_examples=50)
@given(st.data())
def test_code_counts_are_those_of_a_loop(data: st.DataObject) -> None:
    first_codes = data.draw(st.lists(st.integers(0, 4), min_size=1, max_size=6))
    rows = data.draw(st.lists(st.lists(st.integers(0, len(first_codes) - 1), max_size=8), min_size=1, max_size=4))
    asked = data.draw(st.lists(st.integers(0, len(rows) - 1), min_size=1, max_size=5))
    ends = [data.draw(st.integers(0, len(rows[row]))) for row in asked]
    counts = code_counts(torch.tensor(first_codes), 5, LongTerm(ragged(rows), torch.tensor(asked), torch.tensor(ends)))
    for row, end, counted in zip(asked, ends, counts.tolist(), strict=True):
        seen = [first_codes[item] for item in rows[row][:end]]
        assert counted == [seen.count(code) for code in range(5)]


@torch.no_grad()
def test_the_long_branch_holds_one_row_per_code_that_occurs() -> None:
    network = network_of()
    by_code = [(network.codes[:, 0] == code).nonzero().flatten().tolist() for code in range(CODEBOOK)]
    assert by_code[3] == [], "a code without items"
    often = [by_code[0][0]] * 3 + by_code[2][:1] * 4096
    rows = network.long_term_codes(long_term_of([often, [], by_code[1][:1]]))
    occurs = [[True, False, True, False], [False] * 4, [False, True, False, False]]
    assert (rows != 0).any(-1).tolist() == occurs
    np.testing.assert_allclose(rows[0, [0, 2]], long_codes(network, often), atol=1e-5)
    more = network.long_term_codes(long_term_of([often + by_code[2][:1] * 5000]))
    assert torch.equal(rows[0], more[0]), "the last bucket of frequencies is open"
    other = network.long_term_codes(long_term_of([often + by_code[0][-1:]]))
    assert not torch.equal(rows[0, 0], other[0, 0])


@torch.no_grad()
def test_finer_codes_read_the_bucket_of_the_first_code_and_nothing_else() -> None:
    """With one layer the later tokens don't see what the first one read."""
    network = network_of(network=SMALL["network"] | {"decoder_layers": 1}, router="soft")
    target = 4
    first = network.codes[:, 0]
    own = [item for item in range(N_ITEMS) if first[item] == first[target]]
    others = [item for item in range(N_ITEMS) if first[item] != first[target]]

    def states(long_term: list[int]) -> Tensor:
        codes = network.codes[torch.tensor([[target]])]
        hidden, _ = network._forced(padded(RECENT[:1]), torch.tensor([[5]]), codes, long_term_of([long_term]))
        return hidden[0, 0]

    before = states([own[0], others[0], own[1]])
    elsewhere = states([own[0], next(item for item in others if first[item] != first[others[0]]), own[1]])
    inside = states([own[0], others[0], own[0]])
    assert not torch.equal(before[0], elsewhere[0])
    assert torch.equal(before[1:], elsewhere[1:]), "events of another bucket say nothing to finer codes"
    assert torch.equal(before[0], inside[0]), "the first code sees codes, not items"
    assert (before[1:] - inside[1:]).abs().amax(1).min() > 1e-3


@torch.no_grad()
def test_the_bucket_is_limited_to_its_most_recent_events() -> None:
    network = network_of(bucket_limit=2)
    long_term = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8]
    found = network.retrieve(long_term_of([long_term]), torch.arange(CODEBOOK)[None, :, None], first_token=0).layers
    for layer, prepared in zip(network.decoder.layers, found, strict=True):
        for code in range(CODEBOOK):
            expected = bucket(network, long_term, code)
            assert (prepared.bias[0, code] == 0).sum().item() == len(expected) or not expected
            assert bool(prepared.present[0, code]) == bool(expected)
            if expected:
                vectors = torch.from_numpy(np.stack(expected)).float()
                key, _ = layer.cross_attention.prepare(vectors)
                torch.testing.assert_close(read_of(prepared, 0, code)[0][:, : len(expected)], key)


def test_the_router_takes_the_branch_that_is_nearer() -> None:
    state, along, across = torch.tensor([1.0, 0.0]), torch.tensor([3.0, 0.0]), torch.tensor([0.0, 2.0])
    shares = {}
    for kind in ("hard", "soft"):
        router = BranchRouter(2, kind)
        with torch.no_grad():
            router.query.weight.copy_(torch.eye(2))
            router.scale.fill_(2.0)
        found = torch.tensor([True])
        shares[kind] = [
            router(state, across, along, found).item(),
            router(state, along, across, found).item(),
            router(state, across, along, ~found).item(),
        ]
    assert shares["hard"] == [1.0, 0.0, 0.0]
    assert shares["soft"] == pytest.approx([1 / (1 + np.exp(-2)), 1 / (1 + np.exp(2)), 0.0], abs=1e-6)


def test_a_hard_router_learns_by_the_gradient_of_a_soft_one() -> None:
    torch.manual_seed(0)
    state, short, long = torch.randn(3, 7, 4)
    found = torch.ones(7, 1, dtype=torch.bool)
    gradients = []
    for kind in ("hard", "soft"):
        torch.manual_seed(1)
        router = BranchRouter(4, kind)
        (router(state, short, long, found).squeeze(-1) * torch.arange(7)).sum().backward()
        gradients.append(torch.cat([parameter.grad.flatten() for parameter in router.parameters()]))
    assert gradients[0].abs().max() > 1e-3
    torch.testing.assert_close(gradients[0], gradients[1])


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.sampled_from(["hard", "soft"]), st.floats(0.0, 100.0))
def test_a_share_lies_between_0_and_1(seed: int, kind: Any, size: float) -> None:
    torch.manual_seed(seed)
    state, short, long = size * torch.randn(3, 50, 6)
    found = torch.rand(50, 1) < 0.8
    share = BranchRouter(6, kind)(state, short, long, found)
    assert torch.isfinite(share).all()
    assert ((share >= 0) & (share <= 1)).all()
    assert (share[~found] == 0).all()
    if kind == "hard":
        assert set(share.flatten().tolist()) <= {0.0, 1.0}


def test_a_training_step_reaches_every_parameter_and_stays_finite() -> None:
    network = network_of(router="soft").train()
    network.loss(padded(RECENT), padded(TARGETS), long_term_of([[*range(N_ITEMS), 1, 1], []])).backward()
    without = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert without == []
    assert all(torch.isfinite(parameter.grad).all() for parameter in network.parameters())


def training_data(rows: list[list[int]], n_items: int) -> TrainingData:
    items = np.array([item for row in rows for item in row], dtype=np.int32)
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    interactions = Interactions(items, np.arange(len(items), dtype=np.int64), offsets, n_items)
    return TrainingData(interactions, ItemTable(pd.DataFrame(index=range(n_items)), (), None), False, "planted")


def histories_of(rows: list[list[int]], n_items: int) -> Histories:
    data = training_data(rows, n_items).interactions
    return Histories(data.items, data.timestamps, data.offsets, n_items, exclude_seen=False)


def fitted(
    tmp_path: Path, model: type[GenerativeRecommender], data: TrainingData, seed: int = 3, **config: Any
) -> GenerativeRecommender:
    settings = SMALL | {"beam": 4, "tokenizer": {"method": "random", "codebooks": (2, 3)}, "training": {"epochs": 2}}
    recommender = model(settings | config)
    recommender.fit(data, FitContext(seed, "cpu", ArtifactCache(tmp_path), lambda _: 0.0))
    return recommender


def random_rows() -> list[list[int]]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, N_ITEMS, n).tolist() for n in (0, 1, 2, 4, 5, 6, 12, 30)]


def test_a_history_within_the_window_is_all_short_term(tmp_path: Path) -> None:
    recommender = fitted(tmp_path, DualGR, training_data(random_rows(), N_ITEMS))
    answer = recommender.recommend(histories_of(random_rows(), N_ITEMS), k=N_ITEMS)
    for row, items, scores in zip(random_rows(), answer.items, answer.scores, strict=True):
        for item, score in list(zip(items, scores, strict=True))[::4]:
            expected, shares = log_likelihood(recommender.network, row[-SHORT_TERM:], row[:-SHORT_TERM], int(item))
            assert score == pytest.approx(sum(expected), abs=1e-4)
            assert len(row) > SHORT_TERM or not np.any(shares)


def test_lists_do_not_depend_on_the_batch(tmp_path: Path) -> None:
    recommender = fitted(tmp_path, DualGR, training_data(random_rows(), N_ITEMS))
    asked = histories_of(random_rows(), N_ITEMS)
    together = recommender.recommend(asked, k=5)
    for query in range(len(asked)):
        alone = recommender.recommend(asked.batch(query, query + 1), k=5)
        np.testing.assert_array_equal(alone.items[0], together.items[query])
        np.testing.assert_allclose(alone.scores[0], together.scores[query], atol=1e-5)


def test_the_same_seed_gives_the_same_model_and_another_seed_another(tmp_path: Path) -> None:
    def weights(seed: int) -> Tensor:
        network = fitted(tmp_path, DualGR, training_data(random_rows(), N_ITEMS), seed).network
        return torch.cat([parameter.detach().flatten() for parameter in network.parameters()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


def test_the_router_shows_the_shares_of_the_tokens_that_read_a_bucket() -> None:
    network, shown = network_of(router="soft"), []
    for layer in network.gates():
        layer.observe = shown.append
    network.loss(padded(RECENT), one_target((0, 4)), training_long_term())
    _, expected = log_likelihood(network, RECENT[0], LONG_TERM[0], TARGETS[0][4])
    for share, layer in zip(shown, expected, strict=True):
        assert share[0, 4].flatten().tolist() == pytest.approx(layer[1:], abs=1e-4)


@pytest.mark.parametrize("told_by", ["the first code", "a finer code of one bucket"])
def test_dualgr_learns_a_long_cycle_that_tiger_cannot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told_by: str
) -> None:
    """Every third item is the user's own; the two between are everyone's, and fill the window.

    Two decoder layers: a hard router reads one branch a layer, and where in the cycle we are is in the short one.
    """
    n_own, fillers, n_items = 4, [4, 5], 6
    each, none = np.arange(n_items), np.zeros(n_items, dtype=np.int64)
    codes = np.stack([each, none] if told_by == "the first code" else [none, each], axis=1)
    ids = with_disambiguation(codes, tuple(int(size) for size in codes.max(0) + 1))
    monkeypatch.setattr(generative, "tokenize", lambda *_: ids)
    data = training_data([[user % n_own, *fillers] * 6 for user in range(12)], n_items)
    training = {"batch_events": 24, "warmup_steps": 0, "learning_rate": 0.01, "average": 0.0}
    config = {
        "short_term": 2,
        "network": {"dim": 16, "heads": 2, "feed_forward": 32, "encoder_layers": 1, "decoder_layers": 2, "dropout": 0},
        "training": training | {"epochs": 40, "validate_every": 40},
    }
    asked = histories_of([[own, *fillers] * 3 for own in range(n_own)], n_items)
    hits = {}
    for model in (Tiger, DualGR):
        answer = fitted(tmp_path, model, data, **config).recommend(asked, k=1)
        hits[model] = (answer.items[:, 0] == np.arange(n_own)).sum()
    assert hits[DualGR] == n_own, hits
    assert hits[Tiger] <= 1, "the four windows are one and the same"


@pytest.mark.parametrize("wrong", [{"router": "both"}, {"bucket_limit": 0}, {"sid_tier": {}}])
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        DualGRConfig.model_validate(wrong)


def test_the_card_calls_the_exposure_loss_omitted_and_explains_what_is_not_faithful() -> None:
    status = {mechanism.name.partition(":")[0]: mechanism.status for mechanism in DualGR.fidelity}
    assert status["exposure-aware loss"] == "omitted"
    assert all(mechanism.note for mechanism in DualGR.fidelity if mechanism.status != "faithful")
