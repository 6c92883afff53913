"""`glass-official`: every variant against the naive function, in training and at each step of generation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_network import long_term_of
from official_cases import N_ITEMS, SHORT_TERM, SMALL, VARIANTS, Case, double_precision, queries
from pydantic import ValidationError
from torch import Tensor

import models.generation.t5_network
from baselines.tiger_t5 import TigerT5
from bench.data.cache import ArtifactCache
from bench.data.dataset import ItemTable, TrainingData
from bench.data.interactions import Histories, Interactions
from bench.evaluation.contract import checked
from bench.recommender import FitContext
from models.generation.beam_search import Beams, beam_search
from models.generation.query_batch import QueryBatch
from models.generation.t5_recommender import T5Recommender
from models.glass.official import GlassOfficial, GlassOfficialConfig, OfficialSIDTier, dot_tiers
from models.glass.sid_tier import MOST_TIERS, tier_edges

HISTORIES = st.lists(st.lists(st.integers(0, N_ITEMS - 1), max_size=12), min_size=1, max_size=3)
each_variant = pytest.mark.parametrize("variant", VARIANTS)


def generated(case: Case, histories: list[list[int]], width: int, seen: Tensor | None = None) -> Beams:
    with torch.no_grad():
        return case.network.generate(queries(histories, seen), width)


def log_softmax(logits: np.ndarray) -> np.ndarray:
    return logits - logits.max() - np.log(np.exp(logits - logits.max()).sum())


@each_variant
@settings(deadline=None, max_examples=8)
@given(histories=HISTORIES, seed=st.integers(0, 2**31))
def test_teacher_forced_logits_are_those_of_the_naive_forward(
    variant: str, histories: list[list[int]], seed: int
) -> None:
    with double_precision():
        case = Case.of(variant, seed)
        targets = np.random.default_rng(seed).integers(0, N_ITEMS, len(histories)).tolist()
        asked = queries(histories)
        with torch.no_grad():
            logits = case.network.forced(asked.items, case.network.codes[targets], asked.long_term)
            loss = case.network.loss(asked.items, torch.tensor(targets), asked.long_term)
            ranked = case.network.forced_logits(asked, case.network.codes[targets])
    expected_loss = 0.0
    for query, (history, target) in enumerate(zip(histories, targets, strict=True)):
        expected = case.naive_logits(history, case.codes(target)[:-1])
        np.testing.assert_allclose(logits[query], np.stack(expected), atol=1e-8, rtol=0)
        tokens = case.network.tokens[target].tolist()
        nats = -sum(log_softmax(row)[token] for row, token in zip(expected, tokens, strict=True))
        expected_loss += nats / len(targets)
        for level, size in enumerate(case.network.codebook_sizes):
            first = 1 + level * case.official.stride
            np.testing.assert_allclose(ranked[level][query], expected[level][first : first + size], atol=1e-8, rtol=0)
    assert float(loss) == pytest.approx(expected_loss, abs=1e-8)


@each_variant
@pytest.mark.parametrize(
    "histories",
    [
        [[], [5], [1, 2, 3], list(range(14))],
        [[7] * 12, [3, 3, 8, 1, 0, 13, 5, 5, 9, 2], [4, 4, 4, 4, 4]],
    ],
    ids=["empty, short, long", "one item only, many, one long-term event"],
)
def test_every_step_of_generation_equals_the_naive_forward(
    variant: str, histories: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    case, steps = Case.of(variant, seed=5), []

    def spied(step: Any, *args: Any, **options: Any) -> Beams:
        def noting(level: int, codes: Tensor, parents: Tensor) -> Tensor:
            answer = step(level, codes, parents)
            steps.append((codes, answer))
            return answer

        return beam_search(noting, *args, **options)

    monkeypatch.setattr(models.generation.t5_network, "beam_search", spied)
    generated(case, histories, width=4)
    assert [codes.shape[2] for codes, _ in steps] == list(range(case.network.levels))
    for level, (codes, answer) in enumerate(steps):
        first = 1 + level * case.official.stride
        for query, history in enumerate(histories):
            for beam, known in enumerate(codes[query].tolist()):
                logits = case.naive_logits(history, known)[-1]
                expected = log_softmax(logits)[first : first + case.network.codebook_sizes[level]]
                np.testing.assert_allclose(answer[query, beam], expected, atol=1e-4, rtol=0)


@settings(deadline=None, max_examples=30)
@given(history=st.lists(st.integers(0, N_ITEMS - 1), max_size=20), variant=st.sampled_from(sorted(VARIANTS)[:6]))
def test_tier_shares_are_those_of_a_histogram_per_code(history: list[int], variant: str) -> None:
    case = Case.of(variant)
    if case.network.sid_tier is None:
        return
    seen: list[Tensor] = []
    case.network.sid_tier.mlp.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    case.network.sid_tier(long_term_of([history]))
    np.testing.assert_allclose(seen[0][0], case.tier_shares(history), atol=1e-6)


def test_inner_products_outside_minus_one_to_one_count_nowhere() -> None:
    features = np.array([[1, 0], [0, 2], [-1, 0], [-3, 1]], dtype=np.float32)
    prototypes = np.array([[1, 0], [0.1, 0.6]], dtype=np.float32)
    # Inner products: (1, 0.1), (0, 1.2), (-1, -0.1), (-3, 0.3).
    tiers = dot_tiers(features, prototypes, np.array([-0.1, 0.0, 0.1]))
    expected = [np.searchsorted([-0.1, 0, 0.1], features[0] @ prototypes[1], side="right")]
    assert tiers[:, 0].tolist() == [3, 2, 0, 4]
    assert tiers[:, 1].tolist() == [expected[0], 4, tiers[2, 1], 3]


def test_the_most_tiers_leave_a_value_for_what_counts_nowhere() -> None:
    features, prototypes = np.array([[-3], [-1], [1], [3]], dtype=np.float32), np.ones((1, 1), dtype=np.float32)
    tiers = dot_tiers(features, prototypes, tier_edges(MOST_TIERS))
    assert tiers[:, 0].tolist() == [MOST_TIERS, 0, MOST_TIERS - 1, MOST_TIERS]
    module = OfficialSIDTier(tiers, MOST_TIERS, dim=2, dropout=0.0)
    seen: list[Tensor] = []
    module.mlp.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    module(long_term_of([[0, 1, 2, 3]]))
    assert seen[0].flatten().nonzero().flatten().tolist() == [0, MOST_TIERS - 1]
    assert seen[0].sum() == pytest.approx(0.5)  # two of four events


def test_a_user_whose_every_item_has_one_code_finds_the_most_recent_of_them() -> None:
    case = Case.of("official")
    item = 0
    code = case.codes(item)[0]
    asked = queries([[item] * 12])
    network = case.network
    retrieved = network.retrieve(asked.long_term, torch.tensor([[code, (code + 1) % 3]]), first_token=0)
    assert retrieved is not None
    counts = retrieved[0].bias[0].exp()
    tokens = network.tokens[item].tolist()
    assert counts[0].nonzero().flatten().tolist() == sorted(tokens), "three tokens of the same item"
    assert counts[0, tokens].tolist() == pytest.approx([3, 3, 3]), "as often as the limit allows"
    assert counts[1].nonzero().flatten().tolist() == [0], "nothing of another code: padding"
    assert network.events_read(asked, torch.tensor([code])).tolist() == [3]
    assert network.events_read(asked, torch.tensor([(code + 1) % 3])).tolist() == [0]
    assert asked.items.shape == (1, SHORT_TERM)


def test_a_code_without_items_reads_padding_only() -> None:
    case = Case.of("official")
    long_term = queries([list(range(14)), []]).long_term
    retrieved = case.network.retrieve(long_term, torch.tensor([[3], [3]]), first_token=0)
    assert retrieved is not None
    assert retrieved[0].bias[:, 0].exp().nonzero().tolist() == [[0, 0], [1, 0]]


@torch.no_grad()
def test_the_gate_is_shut_at_the_begin_token_only() -> None:
    case = Case.of("official")
    asked = queries([list(range(14)), [1]])
    gates: list[Tensor] = []
    for gate in case.network.gates():
        gate.observe = gates.append
    targets = case.network.codes[[3, 4]]
    before = case.network.forced(asked.items, targets, asked.long_term)
    assert [gate.shape for gate in gates] == [(2, 1, 2, 8)] * 2, "two tokens after the begin token"
    assert all(((gate > 0) & (gate < 1)).all() for gate in gates), "open even where nothing was retrieved"
    for layer in case.network.decoder.layers:
        layer.retrieved_attention.out.weight.mul_(-3)
    after = case.network.forced(asked.items, targets, asked.long_term)
    changed = (before - after).abs().amax(-1) > 1e-4
    assert changed.tolist() == [[False, True, True]] * 2


def test_retrieved_tokens_leave_the_token_table_untouched_in_training() -> None:
    gradients = {}
    for stop in (True, False):
        config = SMALL | {"search": {"limit": 3, "stop_gradient": stop}}
        case = Case.of("official")
        case.network.search = GlassOfficialConfig.model_validate(config).search
        long_term = queries([list(range(14))]).long_term
        retrieved = case.network.retrieve(long_term, torch.tensor([[0]]), first_token=0)
        assert retrieved is not None
        retrieved[0].key_value[0].sum().backward()
        gradients[stop] = case.network.embedding.weight.grad
        assert case.network.project.weight.grad is not None
    assert gradients[True] is None
    assert gradients[False] is not None


def test_accuracy_is_counted_over_the_whole_vocabulary_while_training() -> None:
    case = Case.of("official")
    asked = queries([list(range(14)), [3, 4], [9]])
    targets = torch.tensor([1, 2, 3])
    case.network.train()
    for module in case.network.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    case.network.loss(asked.items, targets, asked.long_term)
    measured = case.network.accuracy.read()
    assert len(measured) == 3
    assert all(0 <= share <= 1 for share in measured)


def training_data(exclude_seen: bool = False) -> TrainingData:
    rng = np.random.default_rng(0)
    lengths = rng.integers(2, 15, 10)
    items = rng.integers(0, N_ITEMS, lengths.sum()).astype(np.int32)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    interactions = Interactions(items, np.arange(len(items), dtype=np.int64), offsets, N_ITEMS)
    return TrainingData(interactions, ItemTable(pd.DataFrame(index=range(N_ITEMS)), (), None), exclude_seen, "random")


def fitted(tmp_path: Path, model: type[T5Recommender], **config: Any) -> tuple[T5Recommender, FitContext]:
    asked = {key: value for key, value in SMALL.items() if model is GlassOfficial or key != "search"}
    asked |= {"tokenizer": {"method": "random", "codebooks": (3, 2, 3)}, "beam": 6, "batch_targets": 16}
    asked |= {"training": {"epochs": 2, "validate_every": 1, "warmup_steps": 0}} | config
    recommender = model(asked)
    context = FitContext(3, "cpu", ArtifactCache(tmp_path), lambda _: 0.0)
    recommender.fit(training_data(), context)
    return recommender, context


def asked_histories(exclude_seen: bool = False) -> Histories:
    lengths = [0, 1, 3, 4, 5, 13]
    items = np.random.default_rng(7).integers(0, N_ITEMS, sum(lengths)).astype(np.int32)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Histories(items, np.arange(len(items), dtype=np.int64), offsets, N_ITEMS, exclude_seen)


def test_without_its_parts_it_is_tiger_t5(tmp_path: Path) -> None:
    tiger, _ = fitted(tmp_path, TigerT5)
    bare, _ = fitted(tmp_path, GlassOfficial, sid_tier={"enabled": False}, search={"enabled": False})
    left, right = tiger.network.state_dict(), bare.network.state_dict()
    assert list(left) == list(right)
    assert all(torch.equal(left[name], right[name]) for name in left), "trained alike from the same seed"
    ours, theirs = tiger.recommend(asked_histories(), 5), bare.recommend(asked_histories(), 5)
    np.testing.assert_array_equal(ours.items, theirs.items)
    np.testing.assert_array_equal(ours.scores, theirs.scores)


@pytest.mark.parametrize("model", [TigerT5, GlassOfficial])
@pytest.mark.parametrize("trie", [False, True])
@pytest.mark.parametrize("exclude_seen", [False, True])
@pytest.mark.parametrize("disambiguate", [False, True])
def test_lists_keep_the_contract(
    tmp_path: Path, model: type[T5Recommender], trie: bool, exclude_seen: bool, disambiguate: bool
) -> None:
    tokenizer = {"method": "random", "codebooks": (3, 2, 3), "disambiguate": disambiguate}
    recommender, _ = fitted(tmp_path, model, trie=trie, tokenizer=tokenizer)
    histories = asked_histories(exclude_seen)
    for k in (1, 8, 30):
        answer = recommender.recommend(histories, k)
        checked(answer, histories, k, recommender.sid_of_item)
        assert (np.diff(np.where(answer.items >= 0, answer.scores, -1e9), axis=1) <= 0).all()
        if trie:
            assert (answer.items[:, 0] >= 0).all()
        one_by_one = [recommender.recommend(histories.batch(i, i + 1), k).items[0] for i in range(len(histories))]
        np.testing.assert_array_equal(answer.items, np.stack(one_by_one))


def test_without_a_trie_invalid_ids_are_counted_and_dropped(tmp_path: Path) -> None:
    free, context = fitted(tmp_path, GlassOfficial)
    histories = asked_histories()
    before = dict(context.diagnostics["decoding"])
    answer = free.recommend(histories, 18)
    after = context.diagnostics["decoding"]
    generated, valid = after["generated"] - before["generated"], after["valid"] - before["valid"]
    assert generated == 18 * len(histories), "a beam as wide as all combinations of codes generates each"
    distinct = len(np.unique(free.network.codes, axis=0))
    assert valid == distinct * len(histories) < generated
    assert ((answer.sids >= 0).sum(1) == distinct).all()
    assert after["valid_share"] == after["valid"] / after["generated"] < 1
    confined, context = fitted(tmp_path, GlassOfficial, trie=True)
    confined.network.load_state_dict(free.network.state_dict())
    other = confined.recommend(histories, 18)
    np.testing.assert_array_equal(answer.items, other.items)
    np.testing.assert_array_equal(answer.sids, other.sids)
    assert context.diagnostics["decoding"]["valid_share"] == 1.0


@pytest.mark.parametrize("trie", [False, True])
def test_a_seen_id_takes_no_place_in_the_last_beam(trie: bool) -> None:
    case = Case.of("with a trie" if trie else "official")
    seen = torch.zeros(1, N_ITEMS, dtype=torch.bool)
    first = generated(case, [[1, 2]], width=60)
    resolved = first.codes[0][first.leaves[0] >= 0]
    seen[0, (case.network.codes == resolved[0]).all(1)] = True
    again = generated(case, [[1, 2]], width=60, seen=seen)
    reached = again.codes[0][again.scores[0] > -torch.inf].tolist()
    assert resolved[0].tolist() not in reached
    assert resolved[1].tolist() in reached


def test_a_trace_follows_the_targets(tmp_path: Path) -> None:
    recommender, context = fitted(tmp_path, GlassOfficial, beam=18)
    histories, targets = asked_histories(), np.array([0, 1, 2, 3, 4, 5], dtype=np.int32)
    before = recommender.recommend(histories, 5)
    trace = recommender.trace(histories, targets, 5)
    assert trace is not None
    assert trace.in_beam.all(), "the beam holds every combination of codes"
    assert trace.retrieved is not None
    assert trace.gate is not None
    long_term = [
        histories.items[a : max(a, b - SHORT_TERM)]
        for a, b in zip(histories.offsets, histories.offsets[1:], strict=False)
    ]
    first = recommender.network.codes[:, 0].numpy()
    expected = [
        min(3, int((first[row] == first[target]).sum())) for row, target in zip(long_term, targets, strict=True)
    ]
    assert trace.retrieved.tolist() == expected
    assert ((trace.gate > 0) & (trace.gate < 1)).all()
    queries = QueryBatch.of(histories, SHORT_TERM, "cpu")
    with torch.inference_mode():
        logits = recommender.network.forced_logits(queries, recommender.network.codes[targets])
    for level, scores in enumerate(logits):
        own = scores.gather(1, recommender.network.codes[targets][:, level : level + 1])
        assert trace.forced_rank[:, level].tolist() == (scores > own).sum(1).tolist()
    np.testing.assert_array_equal(before.items, recommender.recommend(histories, 5).items)
    assert len(context.diagnostics["training_accuracy"]) == 2


@torch.no_grad()
def test_padding_of_the_history_is_read_by_nobody() -> None:
    case = Case.of("SID-Tier alone")
    asked = queries([[1, 2], []])
    targets = case.network.codes[[5, 6]]
    before = case.network.forced(asked.items, targets, asked.long_term)
    case.network.embedding.weight[0] += 5
    after = case.network.forced(asked.items, targets, asked.long_term)
    assert torch.equal(before[..., 1:], after[..., 1:])
    assert not torch.equal(before[..., 0], after[..., 0]), "its logit is all that depends on it"


@pytest.mark.parametrize(
    "wrong",
    [
        {"gate_input": "long"},
        {"normalise": "catalogue"},
        {"copying": True},
        {"search": {"recent": True}},
        {"search": {"age_bias": True}},
        {"search": {"prefix_bias": True}},
        {"sid_tier": {"place": "middle"}},
        {"sid_tier": {"similarity": "euclidean"}},
        {"sid_tier": {"tiers": (0.1, -0.1)}},
        {"sid_tier": {"tiers": MOST_TIERS + 1}},
        {"sid_tier": {"tiers": tuple(tier_edges(MOST_TIERS + 1).tolist())}},
        {"targets_per_epoch": 0},
        {"batch_targets": 0},
        {"network": {"head_dim": 0}},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        GlassOfficialConfig.model_validate(wrong)


def test_the_defaults_are_the_official_ones() -> None:
    config = GlassOfficialConfig()
    assert (config.short_term, config.beam, config.vocabulary, config.trie) == (50, 20, 1000, False)
    assert config.tokenizer.codebooks == (64, 128, 128)
    assert not config.tokenizer.disambiguate
    assert config.sid_tier.tiers == (-0.1, 0.0, 0.1)
    assert (config.search.limit, config.search.neighbours, config.search.stop_gradient) == (30, 0, True)
    size = config.network
    assert (size.dim, size.heads, size.head_dim, size.feed_forward, size.dropout) == (96, 6, 32, 1024, 0.1)
    assert (size.encoder_layers, size.decoder_layers, size.buckets, size.max_distance) == (4, 4, 32, 128)
