"""What others published of a suite's rows, beside what was measured, as one table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bench.analysis.columns import PUBLISHED, SCHEMA
from bench.analysis.published import TREND, Replication
from bench.analysis.runs import RowIdentity, SuiteRuns


def published_frame(runs: SuiteRuns, measured: Sequence[Replication]) -> pd.DataFrame:
    """Every published figure of one data set, with the columns `bench.analysis.columns.PUBLISHED`.

    Args:
        runs: Of one data set.
        measured: Its `bench.analysis.published.replications`.
    """
    head = (SCHEMA, runs.suite.name, runs.dataset)
    # A row that a selection left out is in no plan, and its figures are "not measured".
    known = {entry.row: RowIdentity(entry.row, entry.model, "") for entry in runs.suite.models} | runs.identities()
    rows: list[tuple[object, ...]] = [
        (
            *(*head, *known[line.row], line.figure.metric, line.figure.level, line.figure.value),
            *(line.figure.tolerance, line.mean, line.deviation, len(line.seeds), line.difference, line.verdict),
            *(line.figure.source, line.figure.why),
        )
        for line in measured
    ]
    for finding in runs.suite.paper:
        if finding.row in runs.rows:
            seeds = len(runs.of_row(finding.row))
            rows.append(
                (
                    *(*head, *known[finding.row], finding.metric, "decoding", finding.value),
                    *(None, np.nan, np.nan, seeds, np.nan, TREND if seeds else "not measured"),
                    *(f"{finding.system} on {finding.dataset}: {finding.source}", ""),
                )
            )
    return PUBLISHED.frame(rows)
