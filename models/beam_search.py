"""Beam search over semantic IDs through a prefix trie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from models.semantic_ids.trie import PrefixTrie


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


@dataclass(frozen=True)
class Beams:
    """Generated semantic IDs, best first.

    Attributes:
        leaves: int64 `[n, width]`, leaf of the trie.
        codes: int64 `[n, width, levels]`.
        scores: float32 `[n, width]`, log-probability; -inf where fewer semantic IDs than `width` could be reached.
    """

    leaves: Tensor
    codes: Tensor
    scores: Tensor


def beam_search(
    step: DecoderStep, trie: PrefixTrie, n_queries: int, width: int, open_nodes: list[Tensor] | None = None
) -> Beams:
    """The `width` most probable semantic IDs that a beam of that width finds.

    Every level expands only children in the trie; scores are sums of the decoder's log-probabilities, not renormalised
    over the children.

    Args:
        step: The decoder.
        trie: Valid semantic IDs.
        n_queries: Queries in the batch.
        width: Beams per query.
        open_nodes: Per level `1 .. levels` a bool tensor `[n_queries, n_nodes]`; closed nodes are not entered
            (`PrefixTrie.open_nodes`).
    """
    device = trie.items.device
    nodes = torch.zeros((n_queries, 1), dtype=torch.long, device=device)
    parents = torch.zeros_like(nodes)
    codes = nodes.new_empty((n_queries, 1, 0))
    scores = torch.zeros((n_queries, 1), device=device)
    for level in range(trie.levels):
        log_probs = step(level, codes, parents)
        children = trie.children(level, nodes)
        total = scores.unsqueeze(-1) + log_probs.gather(-1, children.codes)
        reachable = children.valid
        if open_nodes is not None:
            allowed = open_nodes[level].gather(1, children.nodes.flatten(1)).view_as(reachable)
            reachable = reachable & allowed
        total = total.masked_fill(~reachable, -torch.inf).flatten(1)
        scores, chosen = total.topk(min(width, total.shape[1]), dim=1)
        parents = chosen // children.nodes.shape[-1]
        nodes = children.nodes.flatten(1).gather(1, chosen)
        code = children.codes.flatten(1).gather(1, chosen)
        kept = codes.gather(1, parents.unsqueeze(-1).expand(-1, -1, level))
        codes = torch.cat([kept, code.unsqueeze(-1)], dim=-1)
    return Beams(nodes, codes, scores)
