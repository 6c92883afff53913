"""All that can be known of a catalogue's semantic IDs while their digits are filled in, in whatever order."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.semantic_ids.semantic_ids import SemanticIds
from models.semantic_ids.trie import Children

MASK = -1
"""The code of a digit that is not known."""

MOST_DIGITS = 8
"""A semantic ID of n digits has 2^n partial IDs, all of which are held."""


class PartialIds:
    """Knows which digits and codes may be filled in next, so that only semantic IDs of the catalogue are reached.

    A partial ID is a semantic ID some of whose digits are masked. Those with `n` known digits are numbered on level
    `n`; level 0 has one, with nothing known, and the last level the semantic IDs themselves in lexicographic order.
    A prefix trie is the part of this in which digits become known from left to right.

    Args:
        ids: Semantic IDs of the catalogue; every level is a digit.
        device: Where the arrays live.

    Two semantic IDs, (0, 1) and (0, 2), in codebooks of 1 and 3 codes, which are numbered 0 and 1, 2, 3. What
    may come first is the code of the first digit, or one of two of the second; after the former, only the latter are
    left:

    >>> partial = PartialIds(SemanticIds(np.array([[0, 1], [0, 2]]), (1, 3), 2), device="cpu")
    >>> [partial.n_nodes(level) for level in (0, 1, 2)]
    [1, 3, 2]
    >>> root = torch.zeros(1, dtype=torch.long)
    >>> first = partial.children(0, root)
    >>> sorted(first.codes[first.valid].tolist())
    [0, 2, 3]
    >>> knows_first_digit = (partial.known[1][:, 0] == 0).nonzero()[0]
    >>> after = partial.children(1, knows_first_digit)
    >>> after.codes[after.valid].tolist(), partial.known[2][after.nodes[after.valid]].tolist()
    ([2, 3], [[0, 1], [0, 2]])
    """

    def __init__(self, ids: SemanticIds, device: str) -> None:
        self.digits = ids.levels
        first, id_of_item = _numbered(ids.codes)
        unique = ids.codes[first]
        self.codes = torch.from_numpy(unique).to(device)
        """int64 `[n_ids, digits]`, each semantic ID once."""
        self.id_of_item = torch.from_numpy(id_of_item).to(device)
        """int64 `[n_items]`, rows of `codes`."""
        node_of: dict[tuple[int, ...], NDArray[np.int64]] = {}
        self.known: list[Tensor] = []
        """Per level int64 `[n_nodes, digits]`, the codes of each partial ID, `MASK` where one is not known."""
        self._of_ids: list[Tensor] = []
        for level in range(self.digits + 1):
            subsets = list(combinations(range(self.digits), level))
            masked = np.full((len(subsets), *unique.shape), MASK)
            for place, subset in enumerate(subsets):
                masked[place][:, subset] = unique[:, subset]
            first, node = _numbered(masked.reshape(-1, self.digits))
            node = node.reshape(len(subsets), -1)
            node_of |= zip(subsets, node, strict=True)
            self.known.append(torch.from_numpy(masked.reshape(-1, self.digits)[first]).to(device))
            self._of_ids.append(torch.from_numpy(node).to(device))
        offsets = np.concatenate([[0], np.cumsum(ids.codebook_sizes)[:-1]])
        self._families = [self._family(level, node_of, unique + offsets, device) for level in range(self.digits)]

    def _family(
        self, level: int, node_of: dict[tuple[int, ...], NDArray[np.int64]], codes: NDArray[np.int64], device: str
    ) -> tuple[Tensor, Tensor, Tensor, int]:
        """Of the partial IDs of a level: where each one's children begin, the children, their codes, most of one."""
        n_children = self.n_nodes(level + 1)
        pairs, added = [], []
        for subset in combinations(range(self.digits), level):
            for digit in set(range(self.digits)) - set(subset):
                longer = node_of[tuple(sorted((*subset, digit)))]
                pairs.append(node_of[subset] * n_children + longer)
                added.append(codes[:, digit])
        pair, first = np.unique(np.concatenate(pairs), return_index=True)
        sizes = np.bincount(pair // n_children, minlength=self.n_nodes(level))
        arrays = (np.concatenate([[0], np.cumsum(sizes)]), pair % n_children, np.concatenate(added)[first])
        begin, child, code = (torch.from_numpy(one).to(device) for one in arrays)
        return begin, child, code, int(sizes.max())

    def n_nodes(self, level: int) -> int:
        """How many partial IDs have `level` known digits."""
        return len(self.known[level])

    def children(self, level: int, nodes: Tensor) -> Children:
        """What partial IDs `nodes` (int64 `[...]`, of `level`) become by one more code.

        Codes are numbered through the codebooks of all digits: one of the second digit comes after all of the first's.
        """
        begin, child, code, width = self._families[level]
        index = begin[nodes].unsqueeze(-1) + torch.arange(width, device=nodes.device)
        valid = index < begin[nodes + 1].unsqueeze(-1)
        index = index.clamp(max=len(child) - 1)
        return Children(child[index], code[index], valid)

    def open_nodes(self, level: int, open_ids: Tensor) -> Tensor:
        """Which partial IDs of a level lead on to a semantic ID that is open, bool `[n, n_nodes(level)]`.

        Args:
            level: Which one.
            open_ids: bool `[n, n_ids]`.
        """
        counts = torch.zeros((len(open_ids), self.n_nodes(level)), device=open_ids.device)
        for nodes in self._of_ids[level]:
            counts.index_add_(1, nodes, open_ids.float())
        return counts > 0


def _numbered(rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The first row of each group of equal rows, and each row's group; groups in lexicographic order."""
    number = np.zeros(len(rows), dtype=np.int64)
    first = number[:1]
    for column in rows.T:  # one column at a time: sorting integers is many times faster than sorting rows
        distinct = number * (column.max(initial=0) + 2) + column + 1
        _, first, number = np.unique(distinct, return_index=True, return_inverse=True)
    return first, number
