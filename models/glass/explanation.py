"""What GLASS read of one history on the way to its list: the search per level and beam, the gate, SID-Tier's tiers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.data.interactions import PAD
from bench.recommender import Explanation, SearchedLevel
from models.generation.beam_search import BeamStep
from models.generation.decoding_trace import watched
from models.generation.query_batch import QueryBatch
from models.generation.sid_generator import SIDGenerator


class SearchingNetwork(SIDGenerator):
    """What `explained` sees in a network that tells of each search, where somebody wants to know.

    Attributes:
        observe_search: Called with the indices int64 `[batch, positions, limit]` of what was found, when set.
    """

    observe_search: Callable[[Tensor], None] | None


class _Beams:
    """Follows the beams of one query: their codes and scores after each level."""

    def __init__(self) -> None:
        self.prefixes = [torch.zeros((1, 1, 0), dtype=torch.long)]
        self.scores = [torch.zeros((1, 1))]

    def __call__(self, step: BeamStep) -> None:
        parent = step.chosen // step.codes.shape[-1]
        code = step.codes.flatten(1).gather(1, step.chosen)
        before = self.prefixes[-1].to(code.device)
        before = before.gather(1, parent.unsqueeze(-1).expand(-1, -1, before.shape[-1]))
        self.prefixes.append(torch.cat([before, code.unsqueeze(-1)], dim=-1))
        self.scores.append(step.totals.flatten(1).gather(1, step.chosen))


@contextmanager
def _searches(network: SIDGenerator) -> Iterator[list[Tensor]]:
    """Collects what a network finds in its searches; nothing where it has none."""
    found: list[Tensor] = []
    if not hasattr(network, "observe_search"):
        yield found
        return
    searching = cast(SearchingNetwork, network)
    searching.observe_search = found.append
    try:
        yield found
    finally:
        searching.observe_search = None


def explained(
    network: SIDGenerator, query: QueryBatch, width: int, short_term: int, edges: NDArray[np.float64]
) -> Explanation:
    """Generates the list of one query once more, and watches.

    Args:
        network: Trained.
        query: One.
        width: Of the beam.
        short_term: Events that the network reads one by one.
        edges: Inner edges of the tiers.
    """
    beams = _Beams()
    gates = network.gates()
    with torch.inference_mode(), _searches(network) as found, watched(gates) as values:
        network.generate(query, width, beams)
        shares = network.summarise(query.long_term)
    levels = [
        _level(place + 1, beams, read, values[place * len(gates) : (place + 1) * len(gates)])
        for place, read in enumerate(found)
    ]
    return Explanation(
        short_term=short_term,
        codes=network.codes.cpu().numpy(),
        searched=tuple(levels),
        tiers=None if shares is None else shares[0].float().cpu().numpy(),
        tier_edges=tuple(float(edge) for edge in edges) if shares is not None else (),
    )


def _level(known: int, beams: _Beams, read: Tensor, gates: Sequence[Tensor]) -> SearchedLevel:
    """One level, of which `known` codes were known; `read` int64 `[1, beams, limit]`, gates `[1, beams, 1, dim]`."""
    alive = beams.scores[known][0] > -torch.inf
    means = [gate[0].flatten(1).mean(1) for gate in gates]
    gate = torch.stack(means, dim=1) if means else torch.zeros((len(alive), 0))
    index = read[0].masked_fill(~alive.unsqueeze(1), PAD)
    return SearchedLevel(
        level=known + 1,
        prefixes=beams.prefixes[known][0].cpu().numpy(),
        scores=beams.scores[known][0].float().cpu().numpy(),
        read=index.cpu().numpy(),
        gate=gate.float().cpu().numpy(),
    )
