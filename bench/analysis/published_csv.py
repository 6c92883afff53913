"""What others published of a suite's rows, beside what was measured, as one table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bench.analysis.grid import Grid
from bench.analysis.leaderboard import SCHEMA
from bench.analysis.published import TREND, Replication

PUBLISHED_COLUMNS = {
    "schema": "version of these columns, that of `metrics.csv`",
    "suite": "name of the suite",
    "dataset": "label of the data set here",
    "model": "label of the row",
    "metric": "as in `metrics.csv`; of decoding 'acc@D', 'p@D', 'crp@D' or 'gate', see `bench.spec.PaperFinding`",
    "level": "'item' or 'sid'; 'decoding' for what is compared with `decoding.csv`",
    "published": "the published value",
    "tolerance": "largest relative difference that counts as reproduced; blank for a trend",
    "mean": "measured here, mean over seeds; blank without a complete run, and of decoding",
    "std": "standard deviation over seeds (ddof=1)",
    "seeds": "number of seeds behind the mean",
    "difference": "mean / published - 1",
    "verdict": "'reproduced', 'above', 'below', 'trend only', or why there is none",
    "source": "where it was published",
}
"""Columns of `published.csv`, one row a published figure."""


def published_frame(grid: Grid, found: Sequence[Replication]) -> pd.DataFrame:
    """Every published figure of one data set, with the columns `PUBLISHED_COLUMNS`.

    Args:
        grid: Runs on one data set.
        found: Its `bench.analysis.published.replications`.
    """
    place = (SCHEMA, grid.suite.name, grid.datasets[0])
    rows: list[tuple[object, ...]] = [
        (
            *(*place, line.row, line.figure.metric, line.figure.level, line.figure.value, line.figure.tolerance),
            *(line.mean, line.deviation, len(line.seeds), line.difference, line.verdict, line.figure.source),
        )
        for line in found
    ]
    for finding in grid.suite.paper:
        if finding.row in grid.models:
            seeds = len(grid.of_model(finding.row))
            rows.append(
                (
                    *(*place, finding.row, finding.metric, "decoding", finding.value, None),
                    *(np.nan, np.nan, seeds, np.nan, TREND if seeds else "not measured"),
                    f"{finding.system} on {finding.dataset}: {finding.source}",
                )
            )
    return pd.DataFrame(rows, columns=list(PUBLISHED_COLUMNS))
