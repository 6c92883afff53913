"""Beam search against enumeration of every semantic ID and against a beam search over Python lists."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from models.generation.beam_search import Beams, beam_search
from models.semantic_ids.every_code import EveryCode, leaf_numbers
from models.semantic_ids.semantic_ids import SemanticIds
from models.semantic_ids.trie import PrefixTrie

SIZES = (4, 3, 3)


@dataclass
class World:
    """A catalogue and a decoder that looks log-probabilities up: `tables[level][query, code 1, ..., code level]`."""

    codes: np.ndarray
    tables: list[Tensor]
    n_queries: int = 2
    before: Tensor | None = None

    @classmethod
    def random(cls, seed: int) -> "World":
        rng = np.random.default_rng(seed)
        levels = int(rng.integers(1, 4))
        n_items = int(rng.integers(1, 20))
        codes = np.column_stack([rng.integers(0, size, n_items) for size in SIZES[:levels]])
        tables = [
            torch.from_numpy(rng.normal(0, 2, (2, *SIZES[: level + 1])).astype(np.float32)).log_softmax(-1)
            for level in range(levels)
        ]
        return cls(codes, tables)

    @property
    def ids(self) -> SemanticIds:
        levels = self.codes.shape[1]
        return SemanticIds(self.codes, SIZES[:levels], levels)

    @property
    def trie(self) -> PrefixTrie:
        return PrefixTrie(self.ids, np.zeros(len(self.codes), dtype=np.int64), "cpu")

    def every_code(self, seen: np.ndarray | None = None) -> EveryCode:
        leaves = torch.from_numpy(leaf_numbers(self.ids))
        closed = None if seen is None else self.trie.open_nodes(torch.from_numpy(seen))[-1]
        return EveryCode(self.ids.codebook_sizes, leaves, closed)

    def step(self, level: int, codes: Tensor, parents: Tensor) -> Tensor:
        """The decoder; also holds the search to what it promises a decoder that keeps a cache."""
        assert codes.shape == (*parents.shape, level)
        if level == 0:
            assert parents.shape == (self.n_queries, 1)
            assert (parents == 0).all()
        else:
            assert self.before is not None
            for query in range(self.n_queries):
                assert torch.equal(codes[query, :, :-1], self.before[query, parents[query]])
        self.before = codes
        rows = torch.arange(self.n_queries)[:, None].expand_as(parents)
        return self.tables[level][(rows, *codes.unbind(-1))]

    def search(self, width: int, seen: np.ndarray | None = None) -> Beams:
        trie = self.trie
        closed = None if seen is None else trie.open_nodes(torch.from_numpy(seen))
        return beam_search(self.step, trie, self.n_queries, width, closed)

    def score(self, query: int, prefix: tuple[int, ...]) -> float:
        total = np.float32(0)
        for level in range(len(prefix)):
            total += np.float32(self.tables[level][(query, *prefix[: level + 1])].item())
        return float(total)

    def sids(self, seen: np.ndarray | None = None) -> list[tuple[int, ...]]:
        unseen = np.ones(len(self.codes), dtype=bool) if seen is None else ~seen
        return sorted({tuple(row) for row in self.codes[unseen].tolist()})

    def naive_beams(self, query: int, width: int, seen: np.ndarray | None = None) -> list[tuple[int, ...]]:
        valid, beams = self.sids(seen), [()]
        for level in range(self.codes.shape[1]):
            grown = sorted({sid[: level + 1] for sid in valid if sid[:level] in beams})
            beams = sorted(grown, key=lambda prefix: -self.score(query, prefix))[:width]
        return beams


def reached(beams: Beams, query: int) -> list[tuple[int, ...]]:
    found = beams.scores[query] > -torch.inf
    return [tuple(row) for row in beams.codes[query][found].tolist()]


@settings(deadline=None)
@given(seed=st.integers(0, 2**31))
def test_a_beam_as_wide_as_the_catalogue_enumerates_it(seed: int) -> None:
    world = World.random(seed)
    beams = world.search(width=len(world.codes))
    for query in range(2):
        expected = sorted(world.sids(), key=lambda sid: -world.score(query, sid))
        assert reached(beams, query) == expected
        scores = beams.scores[query, : len(expected)].tolist()
        assert scores == pytest.approx([world.score(query, sid) for sid in expected], abs=1e-5)


@settings(deadline=None)
@given(seed=st.integers(0, 2**31), width=st.integers(1, 8), share=st.sampled_from([0.0, 0.4, 1.0]))
def test_any_beam_is_that_of_a_search_over_lists(seed: int, width: int, share: float) -> None:
    world = World.random(seed)
    seen = np.random.default_rng(seed).random((2, len(world.codes))) < share
    beams = world.search(width, seen)
    for query in range(2):
        assert reached(beams, query) == world.naive_beams(query, width, seen[query])


@settings(deadline=None)
@given(seed=st.integers(0, 2**31), width=st.integers(1, 8), share=st.sampled_from([0.0, 0.4, 0.8]))
def test_beams_are_valid_distinct_open_and_best_first(seed: int, width: int, share: float) -> None:
    world = World.random(seed)
    seen = np.random.default_rng(seed).random((2, len(world.codes))) < share
    beams = world.search(width, seen)
    assert beams.scores.shape[1] <= width
    sids = world.sids()
    for query in range(2):
        found = reached(beams, query)
        assert set(found) <= set(world.sids(seen[query]))
        assert len(set(found)) == len(found)
        leaves = beams.leaves[query, : len(found)].tolist()
        assert [sids[leaf] for leaf in leaves] == found, "leaves and codes name the same semantic ID"
        scores = beams.scores[query].tolist()
        assert scores == sorted(scores, reverse=True), "what is not reached stands at the end"


def test_a_greedy_beam_can_miss_the_most_probable_sid() -> None:
    first = torch.tensor([[0.6, 0.4]]).log()
    second = torch.tensor([[[0.5, 0.5], [0.9, 0.1]]]).log()
    world = World(np.array([[0, 0], [0, 1], [1, 0]]), [first, second], n_queries=1)
    assert reached(world.search(1), 0) in ([(0, 0)], [(0, 1)])
    wide = world.search(2)
    assert reached(wide, 0)[0] == (1, 0)
    assert wide.scores[0, 0].exp().item() == pytest.approx(0.36)


def test_scores_are_not_renormalised_over_the_children() -> None:
    world = World(np.array([[2, 1]]), [torch.tensor([[0.5, 0.3, 0.2]]).log(), torch.full((1, 3, 2), 0.5).log()], 1)
    beams = world.search(4)
    assert reached(beams, 0) == [(2, 1)]
    assert beams.scores[0, 0].exp().item() == pytest.approx(0.1)


def test_nothing_is_reached_where_everything_is_seen() -> None:
    world = World.random(3)
    seen = np.ones((2, len(world.codes)), dtype=bool)
    seen[1, 0] = False
    beams = world.search(4, seen)
    assert reached(beams, 0) == []
    assert reached(beams, 1) == [tuple(world.codes[0].tolist())]


def test_a_decoder_that_loves_an_invalid_code_is_not_followed() -> None:
    first = torch.tensor([[0.98, 0.01, 0.01]]).log()
    second = torch.tensor([[[0.0, 1.0], [0.99, 0.01], [0.99, 0.01]]]).log()
    world = World(np.array([[1, 1], [2, 1]]), [first, second], n_queries=1)
    assert set(reached(world.search(5), 0)) == {(1, 1), (2, 1)}


@settings(deadline=None)
@given(seed=st.integers(0, 2**31), width=st.integers(1, 8))
def test_without_a_trie_every_code_may_follow_every_other(seed: int, width: int) -> None:
    world = World.random(seed)
    tree = world.every_code()
    beams = beam_search(world.step, tree, world.n_queries, width)
    levels = world.codes.shape[1]
    for query in range(2):
        expected: list[tuple[int, ...]] = [()]
        for level in range(levels):
            grown = [(*prefix, code) for prefix in expected for code in range(SIZES[level])]
            expected = sorted(grown, key=lambda prefix: -world.score(query, prefix))[:width]
        assert reached(beams, query) == expected
        leaves = tree.leaf_of(beams.leaves)[query].tolist()
        sids = world.sids()
        assert [sids[leaf] if leaf >= 0 else None for leaf in leaves] == [
            sid if sid in sids else None for sid in expected
        ]


@settings(deadline=None)
@given(seed=st.integers(0, 2**31), share=st.sampled_from([0.0, 0.4, 1.0]))
def test_without_a_trie_seen_ids_are_closed_and_ids_of_no_item_stay_open(seed: int, share: float) -> None:
    world = World.random(seed)
    seen = np.random.default_rng(seed).random((2, len(world.codes))) < share
    everything = int(np.prod(SIZES[: world.codes.shape[1]]))
    beams = beam_search(world.step, world.every_code(seen), world.n_queries, everything)
    for query in range(2):
        closed = set(world.sids()) - set(world.sids(seen[query]))
        found = reached(beams, query)
        assert len(found) == everything - len(closed)
        assert not closed & set(found)
