"""The vectorised trie against one of nested dictionaries."""

from typing import Any

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.semantic_ids.semantic_ids import SemanticIds
from models.semantic_ids.trie import PrefixTrie

SIZES = (3, 4, 2)


@st.composite
def catalogues(draw: Any) -> tuple[np.ndarray, np.ndarray]:
    """Codes and popularity of up to 25 items, some of which share a semantic ID."""
    levels = draw(st.integers(1, 3))
    codes = draw(st.lists(st.tuples(*[st.integers(0, size - 1) for size in SIZES[:levels]]), min_size=1, max_size=25))
    popularity = draw(st.lists(st.integers(0, 3), min_size=len(codes), max_size=len(codes)))
    return np.array(codes), np.array(popularity)


def trie_of(codes: np.ndarray, popularity: np.ndarray | None = None) -> PrefixTrie:
    levels = codes.shape[1]
    popularity = np.zeros(len(codes), dtype=np.int64) if popularity is None else popularity
    return PrefixTrie(SemanticIds(codes, SIZES[:levels], levels), popularity, "cpu")


def prefixes(codes: np.ndarray, level: int) -> list[tuple[int, ...]]:
    """The nodes of a level in lexicographic order, the order of their numbers."""
    return sorted({tuple(row[:level]) for row in codes.tolist()})


@settings(deadline=None)
@given(catalogue=catalogues())
def test_the_children_are_those_of_a_dictionary(catalogue: tuple[np.ndarray, np.ndarray]) -> None:
    codes, _ = catalogue
    trie = trie_of(codes)
    assert trie.levels == codes.shape[1]
    for level in range(trie.levels):
        tree: dict[tuple[int, ...], dict[int, int]] = {prefix: {} for prefix in prefixes(codes, level)}
        for number, prefix in enumerate(prefixes(codes, level + 1)):
            tree[prefix[:-1]][prefix[-1]] = number
        assert trie.n_nodes(level) == len(tree)
        children = trie.children(level, torch.arange(len(tree)))
        assert children.valid.any(0).all(), "as wide as the widest family, no wider"
        for node, family in enumerate(tree.values()):
            valid = children.valid[node]
            assert dict(
                zip(children.codes[node][valid].tolist(), children.nodes[node][valid].tolist(), strict=True)
            ) == (family)
            assert (children.nodes[node] < trie.n_nodes(level + 1)).all(), "padding, too, can be looked up"
    assert trie.n_nodes(trie.levels) == len(prefixes(codes, trie.levels))


@settings(deadline=None)
@given(catalogue=catalogues())
def test_scores_are_kept_for_the_codes_that_lead_on_from_each_items_prefix(
    catalogue: tuple[np.ndarray, np.ndarray],
) -> None:
    codes, _ = catalogue
    trie = trie_of(codes)
    items = torch.arange(len(codes)).flip(0)
    nodes = trie.prefixes(items)
    assert len(nodes) == trie.levels
    for level in range(trie.levels):
        number = {prefix: place for place, prefix in enumerate(prefixes(codes, level))}
        assert nodes[level].tolist() == [number[tuple(codes[item, :level].tolist())] for item in items]
        scores = torch.arange(SIZES[level]).float().expand(len(items), -1)
        kept = trie.only_children(level, nodes[level], scores)
        for item, row in zip(items.tolist(), kept.tolist(), strict=True):
            alike = (codes[:, :level] == codes[item, :level]).all(1)
            lead_on = set(codes[alike, level].tolist())
            assert row == [float(code) if code in lead_on else -np.inf for code in range(SIZES[level])]


def test_children_keep_the_shape_of_what_is_asked() -> None:
    trie = trie_of(np.array([[0, 1], [0, 3], [2, 0]]))
    children = trie.children(1, torch.tensor([[[0, 1, 0]], [[1, 1, 1]]]))
    assert children.nodes.shape == children.codes.shape == children.valid.shape == (2, 1, 3, 2)
    assert children.codes[0, 0, 2].tolist() == [1, 3]
    assert children.valid[1, 0, 0].tolist() == [True, False]


@settings(deadline=None)
@given(catalogue=catalogues(), seed=st.integers(0, 2**31), share=st.sampled_from([0.0, 0.3, 0.7, 1.0]))
def test_a_node_is_open_where_an_item_under_it_is_unseen(
    catalogue: tuple[np.ndarray, np.ndarray], seed: int, share: float
) -> None:
    codes, _ = catalogue
    seen = np.random.default_rng(seed).random((3, len(codes))) < share
    answer = trie_of(codes).open_nodes(torch.from_numpy(seen))
    assert len(answer) == codes.shape[1]
    for level, found in enumerate(answer, start=1):
        for query in range(3):
            unseen = {tuple(row[:level]) for row, old in zip(codes.tolist(), seen[query], strict=True) if not old}
            assert found[query].tolist() == [prefix in unseen for prefix in prefixes(codes, level)]


@settings(deadline=None)
@given(catalogue=catalogues())
def test_each_leaf_holds_its_items_by_popularity_then_index(catalogue: tuple[np.ndarray, np.ndarray]) -> None:
    codes, popularity = catalogue
    trie = trie_of(codes, popularity)
    assert len(trie.first_item) == trie.n_nodes(trie.levels) + 1
    for leaf, sid in enumerate(prefixes(codes, trie.levels)):
        members = [item for item, row in enumerate(codes.tolist()) if tuple(row) == sid]
        expected = sorted(members, key=lambda item: (-popularity[item], item))
        assert trie.items[trie.first_item[leaf] : trie.first_item[leaf + 1]].tolist() == expected
        assert trie.leaf_of_item[members].tolist() == [leaf] * len(members)


def test_items_that_share_a_leaf_are_ordered_by_popularity() -> None:
    trie = trie_of(np.array([[1], [0], [1], [1]]), np.array([2, 9, 5, 2]))
    assert trie.items.tolist() == [1, 2, 0, 3]
    assert trie.first_item.tolist() == [0, 1, 4]
    assert trie.leaf_of_item.tolist() == [1, 0, 1, 1]
