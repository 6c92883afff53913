"""What every tool for tracking experiments is told of a run: names, final values, points of its learning curve."""

from __future__ import annotations

import errno
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from bench.analysis.columns import SLICES
from bench.analysis.leaderboard import tidy_metrics
from bench.analysis.runs import Run, SuiteRuns
from bench.config import flattened
from bench.errors import BenchError
from bench.spec import RunResult, RunSpec

INSTALL = "pip install 'glass-bench[export]'"
"""How the packages of the tools are installed."""

_AXES = ("epoch", "step", "seconds")


@dataclass(frozen=True)
class Point:
    """A value of a learning curve.

    Attributes:
        name: "loss", "validation".
        value: Finite.
        step: Optimiser steps so far.
        time: When it was measured, in seconds since the epoch of Unix; that of the start where it isn't known.
    """

    name: str
    value: float
    step: int
    time: float


def ended(planned: SuiteRuns) -> list[Run]:
    """The complete and failed runs of a suite: what there is to hand over.

    Raises:
        BenchError: None is complete.
    """
    if not planned.results:
        raise BenchError(f"suite '{planned.suite.name}' has no complete run yet: nothing to export")
    return [run for run in planned.runs if run.status in ("complete", "failed")]


def final_values(planned: SuiteRuns, run: Run) -> dict[str, float]:
    """The values of a run that the leaderboard averages, by "LEVEL/SLICE/METRIC"; what isn't finite is left out.

    The many other slices of `metrics.csv` would bury these in a tool's list of charts.
    """
    tidy = tidy_metrics(SuiteRuns(planned.suite, (run,)))
    tidy = tidy[tidy["slice"].isin(SLICES)]
    names = tidy["level"] + "/" + tidy["slice"] + "/" + tidy["metric"]
    return {name: float(value) for name, value in zip(names, tidy["value"], strict=True) if math.isfinite(value)}


def curve(result: RunResult) -> Iterator[Point]:
    """The learning curve of a run, point by point."""
    began = started(result)
    for number, point in enumerate(result.curve, start=1):
        for name, value in point.items():
            if name not in _AXES and math.isfinite(value):
                yield Point(name, float(value), int(point.get("step", number)), began + point.get("seconds", 0.0))


def started(result: RunResult) -> float:
    """When a run began, in seconds since the epoch of Unix; 0 where that isn't known."""
    try:
        return datetime.fromisoformat(str(result.environment.get("started"))).timestamp()
    except ValueError:
        return 0.0


def configuration_of(spec: RunSpec) -> dict[str, str]:
    """Data set, model, seed and the flat configuration of a run."""
    facts = {"data_hash": spec.data_hash, "model": spec.model, "revision": spec.revision, "seed": spec.seed}
    dataset = spec.dataset.model_dump(mode="json")
    return flattened(facts) | flattened(dataset, "dataset.") | flattened(spec.config, "config.")


def name_of(run: Run) -> str:
    """E.g. "glass on ml-100k, seed 0"."""
    return f"{run.spec.label} on {run.spec.dataset.label}, seed {run.spec.seed}"


def folder_of(run: Run) -> Path:
    """`DATASET/ROW/s{seed}`, each a legal name of a folder, and different for different rows."""
    spec = run.spec
    return Path(quote(spec.dataset.label, safe="@+ "), quote(spec.label, safe="@+ "), f"s{spec.seed}")


def made_folder(path: Path) -> Path:
    """The folder, made where it is missing.

    Raises:
        BenchError: It can't be made or written to.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        if not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise BenchError(f"can't write to '{path}': {error.strerror}: choose another --output") from None
    return path
