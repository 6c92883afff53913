"""The prefix trie of a catalogue's semantic IDs, vectorised: only valid semantic IDs can be generated from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.semantic_ids.semantic_ids import SemanticIds


@dataclass(frozen=True)
class Children:
    """Holds the children of some nodes, padded to the widest family of the level.

    Attributes:
        nodes: int64 `[..., width]`, node numbers on the next level.
        codes: int64 `[..., width]`, the code that leads to each.
        valid: bool `[..., width]`.
    """

    nodes: Tensor
    codes: Tensor
    valid: Tensor


class PrefixTrie:
    """Knows which codes may follow a prefix, so that only semantic IDs of the catalogue are generated.

    Its nodes are the prefixes of all semantic IDs, numbered per level in lexicographic order.

    The children of a node have consecutive numbers, so that one offset array per level (CSR) holds the whole tree:
    memory grows with the number of prefixes and not with codebook size. Level 0 is the root; the leaves lie on level
    `levels`.

    Args:
        ids: Semantic IDs of the catalogue.
        popularity: int64 `[n_items]`; items that share a leaf are ordered by it (most first, ties by item index),
            which looks at no target.
        device: Where the arrays live.

    Four items, two of which share the semantic ID (1, 1); of these the more popular comes first:

    >>> ids = SemanticIds(np.array([[0, 2], [1, 1], [1, 1], [1, 0]]), codebook_sizes=(2, 3), semantic_levels=2)
    >>> trie = PrefixTrie(ids, popularity=np.array([5, 1, 9, 2]), device="cpu")
    >>> [trie.n_nodes(level) for level in (0, 1, 2)]
    [1, 2, 3]
    >>> trie.leaf_of_item.tolist(), trie.items.tolist()
    ([0, 2, 2, 1], [0, 3, 2, 1])

    After the code 1, which is node 1 of level 1, only the codes 0 and 1 lead on to an item; code 2 never does there:

    >>> children = trie.children(1, torch.tensor([1]))
    >>> children.codes[children.valid].tolist()
    [0, 1]
    >>> trie.only_children(1, torch.tensor([1]), torch.zeros(1, 3)).tolist()
    [[0.0, 0.0, -inf]]
    """

    def __init__(self, ids: SemanticIds, popularity: NDArray[np.int64], device: str) -> None:
        self.ids = ids
        self.levels = ids.levels
        self.device = torch.device(device)
        order = np.lexsort((-popularity, *ids.codes.T[::-1]))
        codes = ids.codes[order]
        node = np.zeros(len(codes), dtype=np.int64)
        self._first_child: list[Tensor] = []
        self._code: list[Tensor] = []
        self._parent: list[Tensor] = []
        self._width: list[int] = []
        for level in range(ids.levels):
            is_new = np.ones(len(codes), dtype=bool)
            is_new[1:] = (codes[1:, : level + 1] != codes[:-1, : level + 1]).any(axis=1)
            child = np.cumsum(is_new) - 1
            parent = node[is_new]
            family = np.bincount(parent, minlength=int(node.max()) + 1)
            self._first_child.append(_tensor(np.concatenate([[0], np.cumsum(family)]), device))
            self._code.append(_tensor(codes[is_new, level], device))
            self._parent.append(_tensor(parent, device))
            self._width.append(int(family.max()))
            node = child
        self.items = _tensor(order, device)
        """int64 `[n_items]`, the items leaf by leaf."""
        self.first_item = _tensor(np.concatenate([[0], np.cumsum(np.bincount(node))]), device)
        """int64 `[n_leaves + 1]`, where each leaf's items begin in `items`."""
        self.largest_leaf = int(np.bincount(node).max())
        """Most items of a leaf."""
        leaf_of_item = np.empty(len(order), dtype=np.int64)
        leaf_of_item[order] = node
        self.leaf_of_item = _tensor(leaf_of_item, device)
        """int64 `[n_items]`."""

    def n_nodes(self, level: int) -> int:
        """How many nodes lie on a level; 1 on level 0, the root."""
        return 1 if level == 0 else len(self._code[level - 1])

    def children(self, level: int, nodes: Tensor) -> Children:
        """Returns the children of `nodes` (int64 `[...]`, on `level`) on level `level + 1`."""
        first = self._first_child[level]
        child = first[nodes].unsqueeze(-1) + torch.arange(self._width[level], device=nodes.device)
        valid = child < first[nodes + 1].unsqueeze(-1)
        child = child.clamp(max=len(self._code[level]) - 1)
        return Children(child, self._code[level][child], valid)

    def prefixes(self, items: Tensor) -> list[Tensor]:
        """Returns the nodes on the way to items int64 `[n]`: one int64 `[n]` for each level `0 .. levels - 1`."""
        nodes = [self.leaf_of_item[items]]
        for parent in reversed(self._parent):
            nodes.insert(0, parent[nodes[0]])
        return nodes[:-1]

    def only_children(self, level: int, nodes: Tensor, scores: Tensor) -> Tensor:
        """Puts -inf into scores `[n, codebook_size]` of codes that lead nowhere from `nodes` int64 `[n]` on `level`."""
        children = self.children(level, nodes)
        leads = torch.zeros(scores.shape, dtype=torch.int8, device=scores.device)
        leads.scatter_add_(1, children.codes, children.valid.to(torch.int8))  # padding repeats codes, and adds 0
        return scores.masked_fill(leads == 0, -torch.inf)

    def open_nodes(self, seen: Tensor) -> list[Tensor]:
        """Finds, for each query and level, the nodes under which some item has not been seen.

        Args:
            seen: bool `[n_queries, n_items]`.

        Returns:
            One bool tensor `[n_queries, n_nodes(level)]` per level `1 .. levels`.
        """
        unseen = torch.zeros((len(seen), self.n_nodes(self.levels)), device=seen.device)
        unseen.index_add_(1, self.leaf_of_item, (~seen).float())
        is_open = [unseen > 0]
        for level in range(self.levels - 1, 0, -1):
            above = torch.zeros((len(seen), self.n_nodes(level)), device=seen.device)
            above.index_add_(1, self._parent[level], is_open[0].float())
            is_open.insert(0, above > 0)
        return is_open


def _tensor(array: NDArray[np.int64], device: str) -> Tensor:
    return torch.from_numpy(array.astype(np.int64)).to(device)
