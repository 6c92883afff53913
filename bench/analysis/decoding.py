"""What is measured of decoding: functions of one run's trace, and their means over seeds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bench.analysis import diagnostics
from bench.analysis.runs import SuiteRuns
from bench.evaluation.decoding import Levels
from bench.spec import RunResult


def traced(runs: SuiteRuns) -> SuiteRuns:
    """The runs that left a trace: what every function of decoding, its tables and figures is given."""
    some = tuple(run for run in runs.runs if run.result is not None and run.result.decoding is not None)
    return SuiteRuns(runs.suite, some)


def decoding_of(result: RunResult) -> pd.DataFrame:
    """The trace of a result that has one."""
    assert result.decoding is not None
    return result.decoding


def training_accuracy(result: RunResult) -> Levels | None:
    """Training accuracy per level before the validation whose weights were tested; None where it wasn't recorded."""
    noted = diagnostics.training_accuracy(result)
    validations = np.array([point["validation"] for point in result.curve])
    if not noted or len(noted) != len(validations) or np.isnan(validations).all():
        return None
    best = int(np.nanargmax(validations))
    return np.asarray(noted[best], dtype=np.float64)


def over_seeds(seeds: Sequence[Levels]) -> tuple[Levels, Levels]:
    """Mean and standard deviation over seeds, per level.

    Args:
        seeds: float64 `[levels]` each; seeds may have different numbers of levels.

    Returns:
        float64 `[levels]` each, without levels where there is no seed; the deviation (ddof=1) is NaN with one seed, and
        both are at levels that some seeds don't have.
    """
    if not seeds:
        return np.zeros(0), np.zeros(0)
    stacked = np.full((len(seeds), max(map(len, seeds))), np.nan)
    for row, values in zip(stacked, seeds, strict=True):
        row[: len(values)] = values
    return stacked.mean(axis=0), stacked.std(axis=0, ddof=1) if len(seeds) > 1 else np.full(stacked.shape[1], np.nan)


def gate_correlation(result: RunResult) -> Levels | None:
    """Spearman's rank correlation of gate and retrieved events over the queries for which some were found.

    Returns:
        float64 `[1]`; None where it is not defined: without a gate, or with a constant one.
    """
    trace = decoding_of(result)
    if "gate" not in trace or "retrieved" not in trace:
        return None
    some = trace[trace["retrieved"] > 0]
    if some["gate"].nunique() < 2 or some["retrieved"].nunique() < 2:
        return None
    return np.array([some["gate"].rank().corr(some["retrieved"].rank())])


def prefix_name(level: int) -> str:
    """The first codes as the paper writes them: "1", "12", "123"."""
    return "".join(str(code) for code in range(1, level + 1))
