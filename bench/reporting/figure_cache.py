"""The figure cache: `bench run` refreshes its report while most results stay, and only what changed is drawn again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.analysis.frames import DatasetFrames
from bench.parentage import in_worker_processes
from bench.reporting.blocks import Block


@dataclass
class FigureCache:
    """The sections of each data set as last drawn, by its label, with the frames that they were made from.

    Keep one for the reports of one plan in one folder, as long as nobody else writes there: the figures of a data set
    that has not changed are taken to be in place.
    """

    known: dict[str, tuple[DatasetFrames, list[Block]]] = field(default_factory=dict)

    def sections(
        self,
        datasets: Sequence[DatasetFrames],
        draw: Callable[..., list[Block]],
        arguments: tuple[Any, ...],
        processes: int,
        pieces: Callable[[DatasetFrames], int] = lambda frames: 1,
    ) -> list[list[Block]]:
        """Draws the data sets that have changed, several sections at a time, and takes the others from memory.

        Args:
            datasets: The frames of each.
            draw: Makes one section of a data set; a function of a module, so that other processes find it.
            arguments: What `draw` gets after the frames and the number of the section, the same for all data sets and
                in every call.
            processes: Sections drawn at a time; 1 draws in this process.
            pieces: How many sections a data set has.

        Returns:
            The sections of each of `datasets`.
        """
        changed = [frames for frames in datasets if self._changed(frames)]
        tasks = [(frames, number) for frames in changed for number in range(pieces(frames))]
        workers = max(1, min(processes, len(tasks)))
        drawn = iter(in_worker_processes(draw, [(*task, *arguments) for task in tasks], workers))
        for frames in changed:
            blocks = [block for _ in range(pieces(frames)) for block in next(drawn)]
            self.known[frames.dataset] = frames, blocks
        return [self.known[frames.dataset][1] for frames in datasets]

    def _changed(self, frames: DatasetFrames) -> bool:
        return frames.dataset not in self.known or not self.known[frames.dataset][0].equals(frames)
