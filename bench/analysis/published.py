"""Published figures beside the measured ones, and how far apart the two are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from bench.analysis.runs import SuiteRuns
from bench.errors import BenchError
from bench.evaluation.evaluator import K_MAX
from bench.evaluation.metrics import compute
from bench.spec import Published, RunResult

REPRODUCED, ABOVE, BELOW, TREND = "reproduced", "above", "below", "trend only"


@dataclass(frozen=True)
class Replication:
    """A published figure, and what was measured of it.

    Attributes:
        row: Label of the row that should reproduce it.
        figure: As the suite has it.
        seeds: The measured metric, one value per complete run.
        problem: Why nothing could be measured. "": nothing stands in the way, but there may be no complete run yet.
    """

    row: str
    figure: Published
    seeds: tuple[float, ...]
    problem: str = ""

    @property
    def metric(self) -> str:
        """The metric's name, with its level where that is not the usual one."""
        return self.figure.metric + (" (SID level)" if self.figure.level == "sid" else "")

    @property
    def mean(self) -> float:
        return float(np.mean(self.seeds)) if self.seeds else np.nan

    @property
    def deviation(self) -> float:
        """Standard deviation over seeds, NaN with fewer than two."""
        return float(np.std(self.seeds, ddof=1)) if len(self.seeds) > 1 else np.nan

    @property
    def difference(self) -> float:
        """Relative to the published value."""
        return self.mean / self.figure.value - 1

    @property
    def verdict(self) -> str:
        """`REPRODUCED`, `ABOVE`, `BELOW` or `TREND`; else why there is none."""
        if self.problem or not self.seeds:
            return self.problem or "not measured"
        if self.figure.tolerance is None:
            return TREND
        if abs(self.difference) <= self.figure.tolerance:
            return REPRODUCED
        return ABOVE if self.difference > 0 else BELOW


def replications(runs: SuiteRuns, dataset: str) -> list[Replication]:
    """Every figure that the suite names for a data set, in its order."""
    return [
        _compared(entry.row, figure, runs.of_row(entry.row))
        for entry in runs.suite.models
        for figure in entry.published.get(dataset, ())
    ]


def _compared(row: str, figure: Published, results: Iterable[RunResult]) -> Replication:
    try:
        seeds = [float(compute(figure.metric, _ranks(result, figure.level), K_MAX).mean()) for result in results]
    except BenchError as error:
        return Replication(row, figure, (), f"can't be computed: {error}")
    return Replication(row, figure, tuple(seeds))


def _ranks(result: RunResult, level: str) -> np.ndarray:
    assert result.queries is not None  # a complete result has its queries
    return result.queries[f"{level}_rank"].to_numpy()
