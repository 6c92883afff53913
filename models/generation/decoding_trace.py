"""What happens to the targets while a model generates: the parts of a `bench.recommender.DecodingTrace`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import Tensor

from models.generation.beam_search import BeamStep
from models.generation.causal_transformer import Retrieved


class TargetTracker:
    """Follows the targets' codes through a beam search, as its observer.

    Args:
        codes: int64 `[n, levels]`, the target of each query.
    """

    def __init__(self, codes: Tensor) -> None:
        self._codes = codes
        self._beam = torch.zeros(len(codes), dtype=torch.long, device=codes.device)
        self._ranks: list[Tensor] = []
        self._survived: list[Tensor] = []

    def __call__(self, step: BeamStep) -> None:
        beam = torch.arange(step.totals.shape[1], device=step.totals.device)
        own = (beam == self._beam[:, None]).unsqueeze(-1) & (step.codes == self._codes[:, step.level, None, None])
        own = (own & (step.totals > -torch.inf)).flatten(1)
        index, considered = own.int().argmax(1, keepdim=True), own.any(1)
        totals = step.totals.flatten(1)
        rank = (totals > totals.gather(1, index)).sum(1)
        goes_on = (step.chosen == index) & considered.unsqueeze(1)
        survived = goes_on.any(1)
        self._ranks.append(rank.masked_fill(~considered, -1))
        self._survived.append(survived)
        self._beam = goes_on.int().argmax(1).masked_fill(~survived, -1)

    @property
    def path_rank(self) -> Tensor:
        """int64 `[n, levels]`, see `DecodingTrace`."""
        return torch.stack(self._ranks, dim=1)

    @property
    def in_beam(self) -> Tensor:
        """Bool `[n, levels]`, see `DecodingTrace`."""
        return torch.stack(self._survived, dim=1)


class Gate(Protocol):
    """A module that shows its gate to an observer, when there is one."""

    observe: Callable[[Tensor], None] | None
    """Called with gate values float32 `[batch, ...]` in every forward pass."""


@contextmanager
def watched(gates: Sequence[Gate]) -> Iterator[list[Tensor]]:
    """Collects the values of some gates, in the order in which they are computed, until the block ends."""
    values: list[Tensor] = []
    for gate in gates:
        gate.observe = values.append
    try:
        yield values
    finally:
        for gate in gates:
            gate.observe = None


def mean_gate(values: Sequence[Tensor]) -> Tensor | None:
    """float32 `[n]`, the mean of gate values `[n, ...]` over everything but the query; None without any."""
    sizes = [value.flatten(1) for value in values if value.numel()]
    return torch.cat(sizes, dim=1).mean(1) if sizes else None


def code_ranks(logits: Sequence[Tensor], codes: Tensor) -> Tensor:
    """Rank of each code among all codes of its level, 0 is best; of equal logits each has the best rank.

    Args:
        logits: Per level float32 `[n, codebook_size]`.
        codes: int64 `[n, levels]`.

    Returns:
        int64 `[n, levels]`.
    """
    own = [level.gather(1, codes[:, number : number + 1]) for number, level in enumerate(logits)]
    return torch.stack([(level > mine).sum(1) for level, mine in zip(logits, own, strict=True)], dim=1)


def best_other_code(logits: Tensor, codes: Tensor, used: Tensor) -> tuple[Tensor, Tensor]:
    """The most probable code that is not the given one.

    Args:
        logits: float32 `[n, codebook_size]`.
        codes: int64 `[n]`, the codes to be left out.
        used: int64 `[n_items]`, the code of each item; a code without items is not chosen.

    Returns:
        int64 `[n]` and whether there is such a code, bool `[n]`.
    """
    unused = torch.ones(logits.shape[1], dtype=torch.bool, device=logits.device).index_fill(0, used, False)
    score, code = logits.masked_fill(unused, -torch.inf).scatter(1, codes.unsqueeze(1), -torch.inf).max(1)
    return code, score > -torch.inf


def events_read(retrieved: Sequence[Retrieved] | None) -> Tensor | None:
    """int64 `[n]`, how many retrieved events one position of each query reads; None where nothing is ever retrieved."""
    if not retrieved:
        return None
    one_row = retrieved[0].bias[:, :, :1, :1]
    visible = (one_row > -torch.inf) & retrieved[0].present.unsqueeze(-1)
    return visible.flatten(1).sum(1)
