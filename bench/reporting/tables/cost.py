"""What each row took: time, memory, size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bench.analysis.grid import Grid
from bench.conventions import PRIMARY_NAME
from bench.reporting.kinds import COUNT, decimals, mean_std, numbers
from bench.reporting.table import Column, Table
from bench.reporting.tables.results import measured, over_seeds

_COLUMNS = (
    Column("Model"),
    Column("Training, s", mean_std(1)),
    Column("Best epoch", decimals(1)),
    Column("ms per user", mean_std(2)),
    Column("Parameters", COUNT),
    Column("Peak memory, MiB", numbers(".0f")),
    Column(f"Validation {PRIMARY_NAME}", decimals()),
)


def cost_table(grid: Grid, wide: pd.DataFrame) -> Table:
    """Means over seeds, of the rows with complete runs."""
    complete = measured(wide)
    results = [grid.of_model(model) for model in complete["model"]]
    values = (
        complete["model"],
        over_seeds(complete, "fit_seconds"),
        [_mean([result.best_epoch for result in row]) for row in results],
        over_seeds(complete, "milliseconds_per_user"),
        complete["parameters.mean"],
        [_mean([result.environment.get("peak_memory_mib") for result in row]) for row in results],
        [_mean([result.validation for result in row]) for row in results],
    )
    return Table.of("cost", _COLUMNS, zip(*values, strict=True))


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
