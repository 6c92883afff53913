"""All combinations of codes as a tree, valid or not: what a beam search without a prefix trie expands."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.semantic_ids.semantic_ids import SemanticIds
from models.semantic_ids.trie import Children


def leaf_numbers(ids: SemanticIds) -> NDArray[np.int64]:
    """Returns the number in `EveryCode` of each leaf of the catalogue's `PrefixTrie`, ascending: int64 `[n_leaves]`."""
    number = np.zeros(ids.n_items, dtype=np.int64)
    for level, size in enumerate(ids.codebook_sizes):
        number = number * size + ids.codes[:, level]
    return np.unique(number)


class EveryCode:
    """Lets a beam search generate any combination of codes: a tree in which every code may follow every other.

    A node is numbered by its codes, read as the digits of one number whose bases are the codebook sizes. Leaves of the
    prefix trie are numbered in the order of their codes, so that a sorted list of their numbers here translates.

    Args:
        codebook_sizes: Codes per level.
        leaves: int64 `[n_leaves]`, from `leaf_numbers`.
        open_leaves: bool `[n, n_leaves]` or None. Per query, the leaves of the prefix trie that may be generated; what
            is no leaf of it may always be.
    """

    def __init__(self, codebook_sizes: tuple[int, ...], leaves: Tensor, open_leaves: Tensor | None = None) -> None:
        self.levels = len(codebook_sizes)
        self.device = leaves.device
        self._sizes = codebook_sizes
        self._leaves = leaves
        self._open = open_leaves

    def children(self, level: int, nodes: Tensor) -> Children:
        """Returns the children of `nodes` (int64 `[n, width]`, on `level`) on level `level + 1`."""
        size = self._sizes[level]
        codes = torch.arange(size, device=nodes.device).expand(*nodes.shape, size)
        child = nodes.unsqueeze(-1) * size + codes
        valid = torch.ones_like(child, dtype=torch.bool)
        if self._open is not None and level == self.levels - 1:
            leaf = self.leaf_of(child)
            valid = (leaf < 0) | self._open.gather(1, leaf.clamp(min=0).flatten(1)).view_as(leaf)
        return Children(child, codes, valid)

    def leaf_of(self, nodes: Tensor) -> Tensor:
        """Translates last-level nodes int64 `[...]` into leaves of the prefix trie; -1 where no item has the codes."""
        leaf = torch.searchsorted(self._leaves, nodes).clamp(max=len(self._leaves) - 1)
        return torch.where(self._leaves[leaf] == nodes, leaf, -1)
