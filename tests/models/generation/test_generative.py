"""One training pass, one target at a time and step-by-step generation are the same model.

Every network is held to `naive_network`, which computes one target at a time from nothing but what it may see.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from naive_network import log_likelihood, long_term_of, naive_search, ragged, randomise, trie_of
from torch import Tensor

from bench.data.interactions import PAD
from models.generation.causal_network import CausalNetwork
from models.generation.config import GenerativeConfig
from models.generation.query_batch import QueryBatch
from models.glass.glass import GlassConfig, GlassNetwork, glass_network
from models.history.long_term import LongTerm
from models.semantic_ids.semantic_ids import SemanticIds, with_disambiguation

N_ITEMS, SHORT_TERM, CODEBOOK = 12, 5, 4
SMALL: dict[str, Any] = {
    "short_term": SHORT_TERM,
    "network": {"dim": 8, "heads": 2, "feed_forward": 12, "encoder_layers": 2, "decoder_layers": 2, "dropout": 0.0},
}
NETWORKS: dict[str, dict[str, Any]] = {
    "tiger": {},
    "tiger, normalised over the catalogue": {"normalise": "catalogue"},
    "tiger, copying over the catalogue": {"copying": True, "normalise": "catalogue"},
    "glass": {},
    "glass, gate on Z_short": {"gate_input": "short"},
    "glass, neighbours": {"search": {"neighbours": 2, "threshold": 3, "limit": 4}},
    "glass, age bias": {"search": {"age_bias": True}},
    "glass, prefix bias": {"search": {"prefix_bias": True, "neighbours": 2, "threshold": 3, "limit": 4}},
    "glass, recent events, too": {"search": {"recent": True, "age_bias": True, "limit": 3}},
    "glass, normalised over the catalogue": {"normalise": "catalogue", "search": {"recent": True}},
    "glass, copying": {"copying": True, "search": {"limit": 3}},
    "glass, copying with all else": {
        "copying": True,
        "normalise": "catalogue",
        "search": {
            "recent": True,
            "age_bias": True,
            "prefix_bias": True,
            "neighbours": 2,
            "threshold": 3,
            "limit": 4,
        },
    },
    "glass, horizon": {"horizon": 5, "search": {"neighbours": 1, "threshold": 3, "limit": 4}},
    "glass, horizon of recent events": {"horizon": 4, "search": {"recent": True, "age_bias": True, "limit": 3}},
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


def network_of(name: str) -> CausalNetwork:
    torch.manual_seed(0)
    config = NETWORKS[name]
    if name.startswith("tiger"):
        network = CausalNetwork(trie_of(semantic_ids()), GenerativeConfig.model_validate(SMALL | config))
    else:
        features = np.random.default_rng(4).normal(size=(N_ITEMS, 6)).astype(np.float32)
        network = glass_network(trie_of(semantic_ids()), features, GlassConfig.model_validate(SMALL | config))
    randomise(network)
    return network.eval()


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
        one_pass = -network.loss(items, one_target((row, column)), long_term).item()
        assert one_pass == pytest.approx(expected[-1], abs=1e-4), f"row {row}, position {column}"
    assert np.std(expected) > 0.1, "the targets can be told apart"
    mean = network.loss(items, padded(TARGETS), long_term).item()
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
            one_pass = -network.loss(items, one_target((row, column)), long_term, ends).item()
            assert one_pass == pytest.approx(sum(alone), abs=1e-4), f"row {row}, position {column}, {kept} events"


@each_network
@torch.no_grad()
def test_step_by_step_generation_equals_teacher_forcing(name: str) -> None:
    network = network_of(name)
    items, long_term = padded(RECENT), training_long_term()
    for kept in range(1, SHORT_TERM + 1):
        columns = [min(kept, len(row)) - 1 for row in RECENT]
        recent = [row[: column + 1] for row, column in zip(RECENT, columns, strict=True)]
        queries = QueryBatch(padded(recent), torch.tensor([len(row) for row in recent]), long_term)
        generated = network.generate(queries, N_ITEMS)
        for row, column in enumerate(columns):
            scores = dict(zip(generated.leaves[row].tolist(), generated.scores[row].tolist(), strict=True))
            for item in range(N_ITEMS):
                forced = -network.loss(items, one_target((row, column), item), long_term).item()
                assert scores[int(network.trie.leaf_of_item[item])] == pytest.approx(forced, abs=1e-4)


@each_network
@torch.no_grad()
def test_a_narrow_beams_scores_are_sums_of_log_probabilities(name: str) -> None:
    network = network_of(name)
    recent = [*RECENT, []]
    long_terms = [*LONG_TERM, []]
    kept = torch.tensor([len(row) for row in recent])
    whole = [before + after for before, after in zip(long_terms, recent, strict=True)]
    long_term = LongTerm(ragged(whole), torch.arange(3), torch.tensor([len(row) for row in long_terms]))
    beams = network.generate(QueryBatch(padded(recent), kept, long_term), 3)
    for row in range(3):
        assert len(set(beams.leaves[row].tolist())) == 3
        for leaf, codes, score in zip(beams.leaves[row], beams.codes[row], beams.scores[row], strict=True):
            item = int(network.trie.items[network.trie.first_item[leaf]])
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
        before = network.loss(padded(RECENT), target, long_term).item()
        later = padded(RECENT)
        later[0, column + 1 :] = (later[0, column + 1 :] + 5) % N_ITEMS
        assert network.loss(later, target, long_term).item() == pytest.approx(before, abs=1e-5)
        earlier = padded(RECENT)
        earlier[0, column] = (earlier[0, column] + 5) % N_ITEMS
        assert abs(network.loss(earlier, target, long_term).item() - before) > 1e-3


@each_network
@torch.no_grad()
def test_the_long_term_history_ends_where_the_window_begins(name: str) -> None:
    network = network_of(name)
    long_term = training_long_term()
    targets = padded(TARGETS)
    before = network.loss(padded(RECENT), targets, long_term).item()

    def with_events_changed(first: int, last: int) -> float:
        events = long_term.events.items.clone()
        start = int(long_term.events.offsets[1])
        events[start + first : start + last] = (events[start + first : start + last] + 5) % N_ITEMS
        changed = LongTerm(replace(long_term.events, items=events), long_term.rows, long_term.ends)
        return network.loss(padded(RECENT), targets, changed).item()

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
        retrieved = network.retrieve(long_term_of([long_term]), codes[None, None, :-1], first_token=1)
        hidden = network.decoder(torch.stack(tokens)[None, None], memory, retrieved.layers)[0, 0]
        first.append(hidden[0])
        others.append(hidden[1:])
    assert naive_search(network, LONG_TERM[0], int(network.codes[4, 0])), "there is something to read"
    assert torch.equal(first[0], first[1])
    assert (others[0] - others[1]).abs().min(0).values.max() > 1e-3


@torch.no_grad()
def test_the_loss_is_the_cross_entropy_of_scores_over_the_temperature_and_generation_knows_none() -> None:
    """LETTER's `ranking_loss` (modeling_letter.py): logits / temperature, then the mean over targets."""
    plain, cold = network_of("glass, copying"), network_of("glass, copying")
    cold.temperature = 0.7
    items, long_term, targets = padded(RECENT), training_long_term(), padded(TARGETS)
    queries = QueryBatch(items[:1], torch.tensor([len(RECENT[0])]), LongTerm(*_first(long_term)))
    codes = plain.codes[targets[:1, len(RECENT[0]) - 1]]
    scores = cold.forced_logits(queries, codes)
    expected = sum(
        float((level / 0.7).exp().sum().log() - level[0, code] / 0.7)
        for level, code in zip(scores, codes[0].tolist(), strict=True)
    )
    only = one_target((0, len(RECENT[0]) - 1))
    assert cold.loss(items, only, long_term).item() == pytest.approx(expected, abs=1e-4)
    assert plain.loss(items, only, long_term).item() != pytest.approx(expected, abs=1e-2)
    assert torch.equal(cold.loss(items, targets, long_term), cold.loss(items, targets, long_term, everywhere=True))
    for one, other in zip(plain.forced_logits(queries, codes), scores, strict=True):
        assert torch.equal(one, other)


def _first(long_term: LongTerm) -> tuple[Any, Tensor, Tensor]:
    return long_term.events, long_term.rows[:1], long_term.ends[:1]
