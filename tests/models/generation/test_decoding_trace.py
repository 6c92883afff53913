"""A trace against a beam search over lists that reads every probability from `naive_network`."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import naive_network
import numpy as np
import pandas as pd
import pytest
import torch
from naive_network import (
    code_logits,
    log_likelihood,
    long_term_of,
    naive_search,
    only_continuing,
    randomise,
    searchable,
)

from baselines.tiger import Tiger
from bench.data.cache import ArtifactCache
from bench.data.dataset import ItemTable, TrainingData
from bench.data.interactions import PAD, Histories, Interactions
from bench.recommender import DecodingTrace, FitContext
from models.generation.beam_search import BeamStep
from models.generation.causal_network import CausalNetwork
from models.generation.decoding_trace import TargetTracker, best_other_code, code_ranks
from models.generation.level_accuracy import LevelAccuracy
from models.generation.recommender import GenerativeRecommender
from models.glass.glass import Glass, GlassNetwork

N_ITEMS, SHORT_TERM, WIDTH = 15, 4, 3
SMALL: dict[str, Any] = {
    "short_term": SHORT_TERM,
    "beam": WIDTH,
    "network": {"dim": 8, "heads": 2, "feed_forward": 12, "encoder_layers": 1, "decoder_layers": 2, "dropout": 0.0},
    "tokenizer": {"method": "random", "codebooks": (4, 3), "seed": 2025},
    "training": {"epochs": 2, "validate_every": 1, "batch_events": 40, "warmup_steps": 0},
}
MODELS: dict[str, tuple[type[GenerativeRecommender], dict[str, Any]]] = {
    "tiger": (Tiger, {}),
    "tiger, copying": (Tiger, {"copying": True}),
    "glass": (Glass, {}),
    "glass, neighbours": (Glass, {"search": {"neighbours": 2, "threshold": 3, "limit": 4}}),
    "glass, recent events, too": (Glass, {"search": {"recent": True, "age_bias": True, "limit": 3}}),
    "glass, copying": (Glass, {"copying": True, "search": {"prefix_bias": True, "limit": 3}}),
    "glass, normalised over the catalogue": (Glass, {"normalise": "catalogue"}),
    "glass, search alone": (Glass, {"sid_tier": {"enabled": False}, "search": {"limit": 2}}),
    "glass, SID-Tier alone": (Glass, {"search": {"enabled": False}}),
    "glass, a fixed gate": (Glass, {"fixed_gate": 0.5}),
}
each_model = pytest.mark.parametrize("name", MODELS)


def training_data() -> TrainingData:
    rng = np.random.default_rng(0)
    lengths = rng.integers(2, 25, 12)
    items = rng.integers(0, N_ITEMS, lengths.sum()).astype(np.int32)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    interactions = Interactions(items, np.arange(len(items), dtype=np.int64), offsets, N_ITEMS)
    return TrainingData(interactions, ItemTable(pd.DataFrame(index=range(N_ITEMS)), (), None), False, "random")


def context(tmp_path: Path) -> FitContext:
    return FitContext(3, "cpu", ArtifactCache(tmp_path), lambda _: 0.0)


def recommender_of(name: str, tmp_path: Path) -> GenerativeRecommender:
    """Fitted, then with weights far from both where they began and where they were trained to."""
    model, config = MODELS[name]
    recommender = model(SMALL | config)
    recommender.fit(training_data(), context(tmp_path))
    assert recommender.network is not None
    randomise(recommender.network)
    return recommender


def histories(exclude_seen: bool = False) -> Histories:
    lengths = [0, 1, 3, 4, 5, 9, 12]
    items = np.random.default_rng(7).integers(0, N_ITEMS, sum(lengths)).astype(np.int32)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Histories(items, np.arange(len(items), dtype=np.int64), offsets, N_ITEMS, exclude_seen)


def unseen_targets(asked: Histories) -> np.ndarray:
    """One target a query, and never one of its history."""
    rng = np.random.default_rng(1)
    return np.array([rng.choice(np.flatnonzero(~row)) for row in asked.seen()], dtype=np.int32)


class Reference:
    """What should be traced of one query, from `naive_network` alone."""

    def __init__(self, network: CausalNetwork, history: list[int], target: int, exclude_seen: bool) -> None:
        self.network = network
        cut = max(0, len(history) - SHORT_TERM)
        self.long_term, self.recent = history[:cut], history[cut:]
        self.codes = [tuple(row) for row in network.codes.tolist()]
        self.target = self.codes[target]
        self.valid = {self.codes[item] for item in range(N_ITEMS) if not (exclude_seen and item in history)}
        self.scores: dict[tuple[int, ...], float] = {}
        for item, sid in enumerate(self.codes):
            totals = np.cumsum(log_likelihood(network, self.recent, self.long_term, item))
            self.scores |= {sid[:level]: total for level, total in enumerate(totals, start=1)}

    def search(self) -> tuple[list[int], list[bool], tuple[int, ...]]:
        """Path ranks, survival, and the best ID."""
        beams: list[tuple[int, ...]] = [()]
        ranks, kept = [], []
        for level in range(1, len(self.target) + 1):
            grown = sorted(
                {sid[:level] for sid in self.valid if sid[: level - 1] in beams}, key=lambda p: -self.scores[p]
            )
            path = self.target[:level]
            ranks.append(grown.index(path) if path in grown else -1)
            beams = grown[:WIDTH]
            kept.append(path in beams)
        return ranks, kept, beams[0]

    def forced_ranks(self, codes: tuple[int, ...]) -> list[int]:
        logits = code_logits(self.network, self.recent, self.long_term, codes)
        if self.network.over_catalogue:
            logits = [
                values + only_continuing(self.network, codes[:level], len(values))
                for level, values in enumerate(logits)
            ]
        return [int((values > values[code]).sum()) for values, code in zip(logits, codes, strict=True)]

    def best_other(self) -> int:
        first = code_logits(self.network, self.recent, self.long_term, self.target)[0]
        others = {sid[0] for sid in self.codes} - {self.target[0]}
        return max(others, key=lambda code: float(first[code]))


def assert_equal_traces(left: DecodingTrace, right: DecodingTrace) -> None:
    for name in ("path_rank", "in_beam", "best_prefix", "forced_rank", "after_wrong", "retrieved"):
        np.testing.assert_array_equal(getattr(left, name), getattr(right, name), err_msg=name)
    if left.gate is not None:
        assert right.gate is not None
        np.testing.assert_allclose(left.gate, right.gate, atol=1e-5)


@each_model
@pytest.mark.parametrize("exclude_seen", [False, True])
def test_a_trace_is_that_of_a_search_over_every_path(name: str, exclude_seen: bool, tmp_path: Path) -> None:
    recommender, asked = recommender_of(name, tmp_path), histories(exclude_seen)
    targets = unseen_targets(asked)
    trace = recommender.trace(asked, targets, k=WIDTH)
    network = recommender.network
    assert isinstance(network, CausalNetwork)
    for query, (first, last) in enumerate(pairwise(asked.offsets)):
        expected = Reference(network, asked.items[first:last].tolist(), int(targets[query]), exclude_seen)
        ranks, kept, best = expected.search()
        levels = range(1, len(ranks) + 1)
        assert trace.path_rank[query].tolist() == ranks
        assert trace.in_beam[query].tolist() == kept
        assert trace.best_prefix[query].tolist() == [best[:d] == expected.target[:d] for d in levels]
        assert trace.forced_rank[query].tolist() == expected.forced_ranks(expected.target)
        if network.over_catalogue:
            assert trace.after_wrong[query].tolist() == [-1] * len(levels[1:])
        else:
            misled = expected.forced_ranks((expected.best_other(), *expected.target[1:]))
            assert trace.after_wrong[query].tolist() == misled[1:]
        if isinstance(network, GlassNetwork):
            assert trace.retrieved is not None
            findable = searchable(network, expected.recent, expected.long_term)
            assert trace.retrieved[query] == len(naive_search(network, findable, expected.target[0]))
    assert not trace.in_beam[:, -1].all()
    assert trace.in_beam[:, -1].any(), "some targets are lost and some are found"
    assert (trace.path_rank == -1).any()


@pytest.mark.parametrize("name", ["glass", "glass, neighbours", "glass, recent events, too", "glass, a fixed gate"])
def test_the_gate_is_the_mean_over_layers_tokens_and_dimensions(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recommender, asked = recommender_of(name, tmp_path), histories()
    targets = unseen_targets(asked)
    trace = recommender.trace(asked, targets, k=WIDTH)
    opened: list[float] = []
    naive_gate = naive_network._gate

    def noted(*args: Any) -> np.ndarray:
        value = naive_gate(*args)
        opened.append(float(value.mean()))
        return value

    monkeypatch.setattr(naive_network, "_gate", noted)
    network = recommender.network
    assert isinstance(network, CausalNetwork)
    assert trace.gate is not None
    assert trace.retrieved is not None
    for query, (first, last) in enumerate(pairwise(asked.offsets)):
        history = asked.items[first:last].tolist()
        cut = max(0, len(history) - SHORT_TERM)
        opened.clear()
        code_logits(network, history[cut:], history[:cut], network.codes[int(targets[query])].tolist())
        expected = sum(opened) / (2 * (network.levels - 1))  # two decoder layers; nothing found: no gate, so 0
        assert trace.gate[query] == pytest.approx(expected, abs=1e-5)
    np.testing.assert_array_equal(trace.gate > 0, trace.retrieved > 0)
    assert 0 < (trace.retrieved > 0).sum() < len(targets)


def test_models_that_retrieve_nothing_say_so(tmp_path: Path) -> None:
    for name in ("tiger", "glass, SID-Tier alone"):
        trace = recommender_of(name, tmp_path).trace(histories(), unseen_targets(histories()), k=WIDTH)
        assert trace.retrieved is None
        assert trace.gate is None


@each_model
def test_no_row_depends_on_its_batch(name: str, tmp_path: Path) -> None:
    recommender, asked = recommender_of(name, tmp_path), histories()
    targets = unseen_targets(asked)
    together = recommender.trace(asked, targets, k=WIDTH)
    for query in range(len(asked)):
        alone = recommender.trace(asked.batch(query, query + 1), targets[query : query + 1], k=WIDTH)
        row = {field: None if values is None else values[query : query + 1] for field, values in vars(together).items()}
        assert_equal_traces(alone, DecodingTrace(**row))


@each_model
def test_tracing_changes_no_ranking_and_no_count_of_valid_ids(name: str, tmp_path: Path) -> None:
    model, config = MODELS[name]
    recommender, told = model(SMALL | config), context(tmp_path)
    recommender.fit(training_data(), told)
    asked = histories()
    before, counted = recommender.recommend(asked, 5), dict(told.diagnostics["decoding"])
    recommender.trace(asked, unseen_targets(asked), k=5)
    assert told.diagnostics["decoding"] == counted
    after = recommender.recommend(asked, 5)
    for field in ("items", "scores", "sids"):
        assert getattr(before, field).tobytes() == getattr(after, field).tobytes()
    assert recommender.network is not None
    assert all(gate.observe is None for gate in recommender.network.gates())


def test_the_beam_is_as_wide_as_in_the_test(tmp_path: Path) -> None:
    recommender, asked = recommender_of("glass", tmp_path), histories()
    targets = unseen_targets(asked)
    narrow, wide = (recommender.trace(asked, targets, k).in_beam[:, -1].sum() for k in (1, N_ITEMS))
    assert narrow < wide == len(targets)
    answer = recommender.recommend(asked, 5)
    found = (answer.items == targets[:, None]).any(1)
    np.testing.assert_array_equal(found, recommender.trace(asked, targets, 5).in_beam[:, -1])


def test_a_tracker_follows_its_own_path_among_equal_codes() -> None:
    tracker = TargetTracker(torch.tensor([[1, 0], [2, 0], [0, 1]]))
    tracker(
        BeamStep(
            level=0,
            totals=torch.tensor([[[-1.0, -2, -3]], [[-1, -2, -3]], [[-torch.inf, -2, -3]]]),
            codes=torch.tensor([[[0, 1, 2]]] * 3),
            chosen=torch.tensor([[0, 1], [0, 1], [1, 2]]),
        )
    )
    tracker(
        BeamStep(
            level=1,
            totals=torch.tensor([[[-5.0, -2], [-4, -4]], [[-2, -3], [-4, -5]], [[-2, -3], [-4, -5]]]),
            codes=torch.tensor([[[0, 1], [0, 1]]] * 3),
            chosen=torch.tensor([[1, 2], [0, 1], [0, 1]]),
        )
    )
    assert tracker.path_rank.tolist() == [[1, 1], [2, -1], [-1, -1]], "equal totals share the better place"
    assert tracker.in_beam.tolist() == [[True, True], [False, False], [False, False]]


def test_ranks_of_codes_by_hand() -> None:
    logits = [torch.tensor([[0.1, 0.3, 0.2]]), torch.tensor([[5.0, 5.0]])]
    assert code_ranks(logits, torch.tensor([[2, 1]])).tolist() == [[1, 0]]


def test_the_wrong_first_code_is_the_best_other_one_with_items() -> None:
    logits = torch.tensor([[3.0, 2.0, 1.0, 9.0]]).repeat(2, 1)
    code, exists = best_other_code(logits, torch.tensor([0, 1]), used=torch.tensor([0, 1, 1, 2]))
    assert code.tolist() == [1, 0], "code 3 belongs to no item"
    assert exists.all()
    _, exists = best_other_code(logits, torch.tensor([1, 0]), used=torch.tensor([1, 1]))
    assert exists.tolist() == [False, True]


def test_training_accuracy_is_counted_level_by_level_until_it_is_read(tmp_path: Path) -> None:
    network = recommender_of("glass", tmp_path).network
    assert isinstance(network, CausalNetwork)
    items, targets = (
        torch.tensor([[3, 1, 2, PAD], [5, PAD, PAD, PAD]]),
        torch.tensor([[1, 2, 8, PAD], [4, PAD, PAD, PAD]]),
    )
    rows = [[9, 9, 0, 2], []]
    network.eval()
    network.loss(items, targets, long_term_of(rows))
    assert network.accuracy.read() == [0.0] * network.levels, "evaluation is not counted"
    network.train()
    network.loss(items, targets, long_term_of(rows))
    hits = np.zeros(network.levels)
    for row, column in ((0, 0), (0, 1), (0, 2), (1, 0)):
        codes = network.codes[targets[row, column]].tolist()
        logits = code_logits(network, items[row, : column + 1].tolist(), rows[row], codes)
        hits += [values.argmax() == code for values, code in zip(logits, codes, strict=True)]
    assert 0 < hits.sum() < 4 * network.levels
    assert network.accuracy.read() == pytest.approx((hits / 4).tolist())
    assert network.accuracy.read() == [0.0] * network.levels


def test_counting_is_no_part_of_the_weights() -> None:
    accuracy = LevelAccuracy(3)
    assert list(accuracy.state_dict()) == []
    assert list(accuracy.parameters()) == []


def test_every_validation_notes_the_training_accuracy_before_it(tmp_path: Path) -> None:
    model, config = MODELS["glass"]
    recommender, told = model(SMALL | config), context(tmp_path)
    recommender.fit(training_data(), told)
    noted = told.diagnostics["training_accuracy"]
    assert len(noted) == len(told.curve) == 2
    assert np.array(noted).shape == (2, 3)
    assert (np.array(noted) > 0).all()
    assert (np.array(noted) < 1).any()
