"""Beam search over semantic IDs, through a prefix trie or without one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from models.semantic_ids.trie import Children


class DecoderStep(Protocol):
    """One step of an autoregressive decoder for all beams of a batch."""

    def __call__(self, level: int, codes: Tensor, parents: Tensor) -> Tensor:
        """Log-probabilities of the codes of a level.

        Args:
            level: The level that is being generated, from 0.
            codes: int64 `[n, width, level]`, the codes of each beam so far.
            parents: int64 `[n, width]`, the beam of the step before that each beam continues; lets the decoder
                reorder what it keeps. All zero at level 0, where there is one beam.

        Returns:
            float32 `[n, width, codebook_size]`.
        """


class CodeTree(Protocol):
    """What may be generated: `PrefixTrie`, the catalogue's semantic IDs, or `EveryCode`, all combinations of codes."""

    levels: int
    device: torch.device

    def children(self, level: int, nodes: Tensor) -> Children:
        """The children of `nodes` (int64 `[n, width]`, on `level`, where 0 is the root's) on level `level + 1`."""


@dataclass(frozen=True)
class Beams:
    """Generated semantic IDs, best first.

    Attributes:
        leaves: int64 `[n, width]`, leaf of the tree; of a prefix trie, once resolved, with -1 where no item has the
            codes.
        codes: int64 `[n, width, levels]`.
        scores: float32 `[n, width]`, log-probability; -inf where fewer semantic IDs than `width` could be reached.
    """

    leaves: Tensor
    codes: Tensor
    scores: Tensor


@dataclass(frozen=True)
class BeamStep:
    """One level of a beam search, for observers.

    Attributes:
        level: The level, from 0.
        totals: float32 `[n, beams, family]`, score of each continuation of each beam; -inf where it may not be entered.
        codes: int64 `[n, beams, family]`, the code that each continuation adds.
        chosen: int64 `[n, next beams]`, the continuations that become beams of the next level, best first, as indices
            of `totals[query].flatten()`.
    """

    level: int
    totals: Tensor
    codes: Tensor
    chosen: Tensor


def beam_search(
    step: DecoderStep,
    tree: CodeTree,
    n_queries: int,
    width: int,
    open_nodes: list[Tensor] | None = None,
    observe: Callable[[BeamStep], None] | None = None,
    renormalise: bool = False,
) -> Beams:
    """The `width` most probable semantic IDs that a beam of that width finds.

    Every level expands only children in the tree; scores are sums of the decoder's log-probabilities.

    Args:
        step: The decoder.
        tree: What may be generated.
        n_queries: Queries in the batch.
        width: Beams per query.
        open_nodes: Per level `1 .. levels` a bool tensor `[n_queries, n_nodes]`; closed nodes are not entered
            (`PrefixTrie.open_nodes`).
        observe: Is called with every level once its beams are chosen; can't change them.
        renormalise: Whether the children of a beam, closed ones too, share all of its probability, for a decoder that
            was trained so.

    Three items over two levels, and a decoder whose probabilities depend on the level alone. The most probable pair of
    codes, (0, 0), belongs to no item; the two best of the three that do:

    >>> import numpy as np
    >>> from models.semantic_ids.semantic_ids import SemanticIds
    >>> from models.semantic_ids.trie import PrefixTrie
    >>> ids = SemanticIds(np.array([[0, 1], [1, 0], [1, 1]]), codebook_sizes=(2, 2), semantic_levels=2)
    >>> trie = PrefixTrie(ids, popularity=np.zeros(3, dtype=np.int64), device="cpu")
    >>> def decoder(level, codes, parents):
    ...     return torch.tensor([[0.7, 0.3], [0.6, 0.4]][level]).log().expand(*parents.shape, 2)
    >>> beams = beam_search(decoder, trie, n_queries=1, width=2)
    >>> beams.codes.tolist()
    [[[0, 1], [1, 0]]]
    >>> beams.scores.exp()
    tensor([[0.2800, 0.1800]])
    """
    device = tree.device
    nodes = torch.zeros((n_queries, 1), dtype=torch.long, device=device)
    parents = torch.zeros_like(nodes)
    codes = nodes.new_empty((n_queries, 1, 0))
    scores = torch.zeros((n_queries, 1), device=device)
    for level in range(tree.levels):
        log_probs = step(level, codes, parents)
        children = tree.children(level, nodes)
        gained = log_probs.gather(-1, children.codes)
        if renormalise:
            gained = gained.masked_fill(~children.valid, -torch.inf).log_softmax(-1)
        total = scores.unsqueeze(-1) + gained
        reachable = children.valid
        if open_nodes is not None:
            allowed = open_nodes[level].gather(1, children.nodes.flatten(1)).view_as(reachable)
            reachable = reachable & allowed
        total = total.masked_fill(~reachable, -torch.inf).flatten(1)
        scores, chosen = total.topk(min(width, total.shape[1]), dim=1)
        if observe is not None:
            observe(BeamStep(level, total.view_as(children.codes), children.codes, chosen))
        parents = chosen // children.nodes.shape[-1]
        nodes = children.nodes.flatten(1).gather(1, chosen)
        code = children.codes.flatten(1).gather(1, chosen)
        prefix = codes.gather(1, parents.unsqueeze(-1).expand(-1, -1, level))
        codes = torch.cat([prefix, code.unsqueeze(-1)], dim=-1)
    return Beams(nodes, codes, scores)
