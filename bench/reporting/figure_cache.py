"""The figure cache: `bench run` refreshes its report while most results stay, and only what changed is drawn again."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from bench.analysis.frames import DatasetFrames
from bench.parentage import begun_in_worker_processes
from bench.reporting.blocks import Block


@dataclass
class FigureCache:
    """The sections of each data set as last drawn, by its label, with the frames that they were made from.

    Keep one for the reports of one plan in one folder, as long as nobody else writes there: the figures of a data set
    that has not changed are taken to be in place.
    """

    known: dict[str, tuple[DatasetFrames, list[Block]]] = field(default_factory=dict)

    def begun(
        self,
        datasets: Sequence[DatasetFrames],
        draw: Callable[..., list[Block]],
        arguments: tuple[Any, ...],
        processes: int,
        pieces: Callable[[DatasetFrames], int] = lambda frames: 1,
    ) -> Callable[[], list[list[Block]]]:
        """Has the data sets that have changed drawn, several sections at a time; the others are taken from memory.

        Args:
            datasets: The frames of each.
            draw: Makes one section of a data set; a function of a module, so that other processes find it.
            arguments: What `draw` gets after the frames and the number of the section, the same for all data sets and
                in every call.
            processes: Sections drawn at a time; 1 draws in this process.
            pieces: How many sections a data set has.

        Returns:
            What waits for them and returns the sections of each of `datasets`; the caller may do something else before.
        """
        changed = [frames for frames in datasets if self._changed(frames)]
        tasks = sum(map(pieces, changed))
        workers = max(1, min(processes, tasks))
        given = (_Here(frames) if workers == 1 else _Packed.of(frames) for frames in changed)
        calls = [
            (draw, frames, number, *arguments)
            for frames, known in zip(given, changed, strict=True)
            for number in range(pieces(known))
        ]
        wait = begun_in_worker_processes(_drawn, calls, workers)

        def wait_for_all() -> list[list[Block]]:
            drawn = iter(wait())
            for frames in changed:
                blocks = [block for _ in range(pieces(frames)) for block in next(drawn)]
                self.known[frames.dataset] = frames, blocks
            return [self.known[frames.dataset][1] for frames in datasets]

        return wait_for_all

    def _changed(self, frames: DatasetFrames) -> bool:
        return frames.dataset not in self.known or not self.known[frames.dataset][0].equals(frames)


@dataclass(frozen=True)
class _Here:
    """Frames for a section that is drawn in this process."""

    frames: DatasetFrames

    def get(self) -> DatasetFrames:
        return self.frames


@dataclass(frozen=True)
class _Packed:
    """Frames on their way to other processes: packed once for all sections, and unpacked once in a row of them."""

    pickled: bytes

    @classmethod
    def of(cls, frames: DatasetFrames) -> _Packed:
        return cls(pickle.dumps(frames, protocol=pickle.HIGHEST_PROTOCOL))

    def get(self) -> DatasetFrames:
        return _unpacked(self.pickled)


@lru_cache(maxsize=1)
def _unpacked(pickled: bytes) -> DatasetFrames:
    frames: DatasetFrames = pickle.loads(pickled)  # of this very program
    return frames


def _drawn(draw: Callable[..., list[Block]], frames: _Here | _Packed, number: int, *arguments: Any) -> list[Block]:
    return draw(frames.get(), number, *arguments)
