"""What each row took: time, memory, size."""

from __future__ import annotations

from bench.analysis.frames import DatasetFrames
from bench.conventions import PRIMARY_NAME
from bench.reporting.kinds import COUNT, decimals, mean_std, numbers
from bench.reporting.table import Column, Table
from bench.reporting.tables.columns import measured, over_seeds

_COLUMNS = (
    Column("Model"),
    Column("Training, s", mean_std(1)),
    Column("Best epoch", decimals(1)),
    Column("ms per user", mean_std(2)),
    Column("Parameters", COUNT),
    Column("Peak memory, MiB", numbers(".0f")),
    Column(f"Validation {PRIMARY_NAME}", decimals()),
)


def cost_table(frames: DatasetFrames) -> Table:
    """Means over seeds, of the rows with complete runs."""
    complete = measured(frames.leaderboard)
    noted = ["best_epoch", "peak_memory_mib", "validation"]
    means = frames.runs.groupby("row", sort=False)[noted].mean().reindex(complete["row"])
    values = (
        complete["row"],
        over_seeds(complete, "fit_seconds"),
        means["best_epoch"],
        over_seeds(complete, "milliseconds_per_user"),
        complete["parameters.mean"],
        means["peak_memory_mib"],
        means["validation"],
    )
    return Table.of("cost", _COLUMNS, zip(*values, strict=True))
