"""One training pass, one target at a time and step-by-step generation are the same model.

Every network is held to `naive_network`, which computes one target at a time from nothing but what it may see.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from naive_network import log_likelihood, long_term_of, naive_search, ragged, randomise
from torch import Tensor

from baselines.tiger import Tiger
from bench.data.cache import ArtifactCache
from bench.data.dataset import ItemTable, TrainingData
from bench.data.interactions import PAD, Histories, Interactions
from bench.recommender import FitContext, Recommendations
from models.beam_search import Beams
from models.generative import GenerativeConfig, GenerativeNetwork, GenerativeRecommender
from models.glass.glass import Glass, GlassConfig, GlassNetwork
from models.long_term import LongTerm
from models.semantic_ids.semantic_ids import SemanticIds, with_disambiguation
from models.semantic_ids.trie import PrefixTrie

N_ITEMS, SHORT_TERM, CODEBOOK = 12, 5, 4
SMALL: dict[str, Any] = {
    "short_term": SHORT_TERM,
    "network": {"dim": 8, "heads": 2, "feed_forward": 12, "encoder_layers": 2, "decoder_layers": 2, "dropout": 0.0},
}
NETWORKS: dict[str, dict[str, Any]] = {
    "tiger": {},
    "tiger, normalised over the catalogue": {"normalise": "catalogue"},
    "glass": {},
    "glass, gate on Z_short": {"gate_input": "short"},
    "glass, neighbours": {"search": {"neighbours": 2, "threshold": 3, "limit": 4}},
    "glass, age bias": {"search": {"age_bias": True}},
    "glass, recent events, too": {"search": {"recent": True, "age_bias": True, "limit": 3}},
    "glass, normalised over the catalogue": {"normalise": "catalogue", "search": {"recent": True}},
    "glass, search alone": {"sid_tier": {"enabled": False}, "search": {"limit": 2}},
    "glass, SID-Tier alone": {"search": {"enabled": False}},
    "glass, given tiers and a fixed gate": {"sid_tier": {"tiers": (-0.1, 0.0, 0.1)}, "fixed_gate": 0.5},
}
# Two windows of training: their items, their targets, and the long-term history before each.
RECENT = [[3, 7, 3, 1, 9], [8, 2, 11]]
TARGETS = [[7, 3, 1, 9, 4], [2, 11, 0]]
LONG_TERM = [[0, 5, 6, 10, 4, 4, 2, 1], []]


def semantic_ids() -> SemanticIds:
    codes = np.random.default_rng(3).integers(0, (CODEBOOK, 3), (N_ITEMS, 2))
    codes[codes[:, 0] == CODEBOOK - 1, 0] = 0  # one first code without items
    return with_disambiguation(codes, (CODEBOOK, 3))


def network_of(name: str) -> GenerativeNetwork:
    torch.manual_seed(0)
    config = NETWORKS[name]
    if name.startswith("tiger"):
        network = GenerativeNetwork(semantic_ids(), GenerativeConfig.model_validate(SMALL | config))
    else:
        features = np.random.default_rng(4).normal(size=(N_ITEMS, 6)).astype(np.float32)
        network = GlassNetwork(semantic_ids(), features, GlassConfig.model_validate(SMALL | config))
    randomise(network)
    return network.eval()


def loss(
    network: GenerativeNetwork, items: Tensor, targets: Tensor, long_term: LongTerm, kept: Tensor | None = None
) -> Tensor:
    """As the training of the network computes it."""
    trie = PrefixTrie(semantic_ids(), np.zeros(N_ITEMS, dtype=np.int64), "cpu") if network.renormalise else None
    return network.loss(items, targets, long_term, kept, trie)


def padded(rows: list[list[int]], width: int = SHORT_TERM) -> Tensor:
    return torch.tensor([row + [PAD] * (width - len(row)) for row in rows])


def training_long_term() -> LongTerm:
    """The long-term histories as training has them: the starts of rows that go on with the window itself."""
    rows = [
        [9, 9],
        LONG_TERM[0] + RECENT[0] + TARGETS[0][-1:] + [5, 0],
        LONG_TERM[1] + RECENT[1] + TARGETS[1][-1:],
    ]
    return LongTerm(ragged(rows), torch.tensor([1, 2]), torch.tensor([len(row) for row in LONG_TERM]))


def one_target(position: tuple[int, int], item: int | None = None) -> Tensor:
    """The targets with all but one left out; `item` stands in its place."""
    row, column = position
    targets = torch.full((2, SHORT_TERM), PAD)
    targets[row, column] = TARGETS[row][column] if item is None else item
    return targets


POSITIONS = [(row, column) for row in range(2) for column in range(len(RECENT[row]))]
each_network = pytest.mark.parametrize("name", NETWORKS)


@each_network
@torch.no_grad()
def test_one_pass_over_all_positions_equals_each_target_on_its_own(name: str) -> None:
    network = network_of(name)
    items, long_term = padded(RECENT), training_long_term()
    expected = []
    for row, column in POSITIONS:
        alone = log_likelihood(network, RECENT[row][: column + 1], LONG_TERM[row], TARGETS[row][column])
        expected.append(sum(alone))
        one_pass = -loss(network, items, one_target((row, column)), long_term).item()
        assert one_pass == pytest.approx(expected[-1], abs=1e-4), f"row {row}, position {column}"
    assert np.std(expected) > 0.1, "the targets can be told apart"
    mean = loss(network, items, padded(TARGETS), long_term).item()
    assert mean == pytest.approx(-np.mean(expected), abs=1e-4)


@each_network
@torch.no_grad()
def test_a_target_may_be_told_that_its_history_ends_earlier(name: str) -> None:
    network = network_of(name)
    items, long_term = padded(RECENT), training_long_term()
    for row, column in POSITIONS:
        for kept in range(1, column + 2):
            alone = log_likelihood(network, RECENT[row][:kept], LONG_TERM[row], TARGETS[row][column])
            ends = torch.full_like(items, kept)
            one_pass = -loss(network, items, one_target((row, column)), long_term, ends).item()
            assert one_pass == pytest.approx(sum(alone), abs=1e-4), f"row {row}, position {column}, {kept} events"


@each_network
@torch.no_grad()
def test_step_by_step_generation_equals_teacher_forcing(name: str) -> None:
    network = network_of(name)
    trie = PrefixTrie(semantic_ids(), np.zeros(N_ITEMS, dtype=np.int64), "cpu")
    items, long_term = padded(RECENT), training_long_term()
    for kept in range(1, SHORT_TERM + 1):
        columns = [min(kept, len(row)) - 1 for row in RECENT]
        recent = [row[: column + 1] for row, column in zip(RECENT, columns, strict=True)]
        generated = network.generate(
            padded(recent), torch.tensor([len(r) for r in recent]), long_term, trie, N_ITEMS, None
        )
        for row, column in enumerate(columns):
            scores = dict(zip(generated.leaves[row].tolist(), generated.scores[row].tolist(), strict=True))
            for item in range(N_ITEMS):
                forced = -loss(network, items, one_target((row, column), item), long_term).item()
                assert scores[int(trie.leaf_of_item[item])] == pytest.approx(forced, abs=1e-4)


@each_network
@torch.no_grad()
def test_a_narrow_beams_scores_are_sums_of_log_probabilities(name: str) -> None:
    network = network_of(name)
    trie = PrefixTrie(semantic_ids(), np.zeros(N_ITEMS, dtype=np.int64), "cpu")
    recent = [*RECENT, []]
    long_terms = [*LONG_TERM, []]
    kept = torch.tensor([len(row) for row in recent])
    whole = [before + after for before, after in zip(long_terms, recent, strict=True)]
    long_term = LongTerm(ragged(whole), torch.arange(3), torch.tensor([len(row) for row in long_terms]))
    beams = network.generate(padded(recent), kept, long_term, trie, 3, None)
    for row in range(3):
        assert len(set(beams.leaves[row].tolist())) == 3
        for leaf, codes, score in zip(beams.leaves[row], beams.codes[row], beams.scores[row], strict=True):
            item = int(trie.items[trie.first_item[leaf]])
            assert network.codes[item].tolist() == codes.tolist()
            expected = log_likelihood(network, recent[row], long_terms[row], item)
            assert score.item() == pytest.approx(sum(expected), abs=1e-4), "an empty history, too, has its answer"


@each_network
@torch.no_grad()
def test_later_events_change_nothing_and_earlier_ones_do(name: str) -> None:
    network = network_of(name)
    long_term = training_long_term()
    for column in range(SHORT_TERM - 1):
        target = one_target((0, column))
        before = loss(network, padded(RECENT), target, long_term).item()
        later = padded(RECENT)
        later[0, column + 1 :] = (later[0, column + 1 :] + 5) % N_ITEMS
        assert loss(network, later, target, long_term).item() == pytest.approx(before, abs=1e-5)
        earlier = padded(RECENT)
        earlier[0, column] = (earlier[0, column] + 5) % N_ITEMS
        assert abs(loss(network, earlier, target, long_term).item() - before) > 1e-3


@each_network
@torch.no_grad()
def test_the_long_term_history_ends_where_the_window_begins(name: str) -> None:
    network = network_of(name)
    long_term = training_long_term()
    targets = padded(TARGETS)
    before = loss(network, padded(RECENT), targets, long_term).item()

    def with_events_changed(first: int, last: int) -> float:
        events = long_term.events.items.clone()
        start = int(long_term.events.offsets[1])
        events[start + first : start + last] = (events[start + first : start + last] + 5) % N_ITEMS
        changed = LongTerm(type(long_term.events)(events, long_term.events.offsets), long_term.rows, long_term.ends)
        return loss(network, padded(RECENT), targets, changed).item()

    n, end = len(LONG_TERM[0]), int(long_term.events.offsets[1:3].diff())
    reads_it = not name.startswith("tiger")
    assert (abs(with_events_changed(0, n) - before) > 1e-3) == reads_it
    if isinstance(network, GlassNetwork) and network.search.recent:
        assert abs(with_events_changed(n, n + 3) - before) > 1e-3, "a search goes on to the target"
        n += len(RECENT[0])
    assert n < end
    assert with_events_changed(n, end) == before


@torch.no_grad()
def test_the_first_code_is_generated_without_retrieved_items() -> None:
    network = network_of("glass, search alone")
    first, others = [], []
    for long_term in (LONG_TERM[0], []):
        items = padded(RECENT[:1])
        memory = network.decoder.read(network.encode(items, long_term_of([long_term])), torch.tensor([[SHORT_TERM]]))
        codes = network.codes[4]
        tokens = [network.decoder.begin, *(network.embedding.code(level, codes[level]) for level in range(2))]
        retrieved = network.retrieve(long_term_of([long_term]), codes[None, None, 0], first_token=1)
        hidden = network.decoder(torch.stack(tokens)[None, None], memory, retrieved)[0, 0]
        first.append(hidden[0])
        others.append(hidden[1:])
    assert naive_search(network, LONG_TERM[0], int(network.codes[4, 0])), "there is something to read"
    assert torch.equal(first[0], first[1])
    assert (others[0] - others[1]).abs().min(0).values.max() > 1e-3


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


def test_invalid_codes_would_show_in_the_diagnostics(tmp_path: Path) -> None:
    recommender, context = fitted(tmp_path, Tiger)
    before = dict(context.diagnostics["decoding"])
    codes = recommender.network.codes[:4].clone()
    leaves = recommender._trie.leaf_of_item[:4]
    codes[1, 0] = 1 - codes[1, 0]
    scores = torch.tensor([[-1.0, -2.0, -3.0, -torch.inf]])
    recommender._count_valid(Beams(leaves[None], codes[None], scores))
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
