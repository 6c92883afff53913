"""What a GPU recorded, by shape: when a shape of batch is worth a CUDA graph, and how many graphs are kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable
from functools import cached_property
from typing import Any, Generic, TypeVar

import torch

Recording = TypeVar("Recording")

MOST_GRAPHS = 32
"""Shapes of batches of which graphs are kept; batches of other shapes are computed kernel by kernel."""

SIGHTINGS = 2
"""A shape is recorded when it is seen so often: the time before it has made what is made lazily, and a shape that never
comes back isn't worth recording."""


class Recordings(Generic[Recording]):
    """Recordings of one piece of work, which are replayed one after the other."""

    def __init__(self) -> None:
        self._sightings: Counter[Hashable] = Counter()
        self._made: dict[Hashable, Recording] = {}

    @cached_property
    def pool(self) -> Any:
        """The memory that all of them share, since no two are replayed at once."""
        return torch.cuda.graph_pool_handle()

    def of(self, shape: Hashable, record: Callable[[], Recording]) -> Recording | None:
        """The recording of a shape, made by `record` if it is time; None where the work is done kernel by kernel."""
        made = self._made.get(shape)
        if made is None:
            self._sightings[shape] += 1
            if self._sightings[shape] < SIGHTINGS or len(self._made) >= MOST_GRAPHS:
                return None
            made = self._made[shape] = record()
        return made

    def clear(self) -> None:
        """Gives the recordings back."""
        self._made.clear()
