"""The figure cache: `bench run` refreshes its report while most results stay, and only what changed is drawn again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from joblib import Parallel, delayed

from bench.analysis.grid import Grid, Run
from bench.reporting.blocks import Block
from bench.spec import RunResult


@dataclass
class FigureCache:
    """The sections of each data set as last drawn, by its label, with the runs that they show.

    Keep one for the reports of one plan in one folder, as long as nobody else writes there: the figures of a data set
    that has not changed are taken to be in place.
    """

    known: dict[str, tuple[Grid, list[Block]]] = field(default_factory=dict)

    def sections(
        self,
        grids: Sequence[Grid],
        draw: Callable[..., list[Block]],
        arguments: Iterable[tuple[Any, ...]],
        processes: int,
    ) -> list[list[Block]]:
        """Draws the data sets that have changed, several at a time, and takes the others from memory.

        Args:
            grids: Runs of one data set each.
            draw: Makes the sections of one data set; a function of a module, so that other processes find it.
            arguments: What `draw` gets for each of `grids`.
            processes: Data sets drawn at a time; 1 draws in this process.

        Returns:
            The sections of each of `grids`.
        """
        changed = [
            (grid, given)
            for grid, given in zip(grids, arguments, strict=True)
            if grid.datasets[0] not in self.known or not _same(self.known[grid.datasets[0]][0], grid)
        ]
        workers = max(1, min(processes, len(changed)))
        drawn = Parallel(n_jobs=workers)(delayed(draw)(*given) for _, given in changed)
        for (grid, _), sections in zip(changed, drawn, strict=True):
            self.known[grid.datasets[0]] = grid, sections
        return [self.known[grid.datasets[0]][1] for grid in grids]


def _same(first: Grid, second: Grid) -> bool:
    """Whether two grids show the very same results; a run that was made again counts as another one."""
    return len(first.runs) == len(second.runs) and all(map(_same_run, first.runs, second.runs))


def _same_run(first: Run, second: Run) -> bool:
    if first.spec != second.spec or first.result is None or second.result is None:
        return first.spec == second.spec and first.result is second.result
    # `Grid.of` copies a result to relabel it, but not what it holds.
    held = [f.name for f in fields(RunResult) if f.name != "spec"]
    return all(_same_value(getattr(first.result, name), getattr(second.result, name)) for name in held)


def _same_value(first: Any, second: Any) -> bool:
    return first is second or (isinstance(first, str | int | float) and first == second)
