"""What several tables have in common: columns, and the values of frames that stand in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from bench.reporting.kinds import DIFFERENCE, INTERVAL, P_VALUE, Interval, MeanStd
from bench.reporting.table import Column


def tested_columns(difference: str) -> tuple[Column, ...]:
    """A difference under this heading, its interval, and both p-values."""
    return (
        Column(difference, DIFFERENCE),
        Column("95 % interval", INTERVAL),
        Column("p", P_VALUE),
        Column("p (Holm)", P_VALUE),
    )


def values_of_test(row: Mapping[Any, Any]) -> tuple[Any, ...]:
    """The values of `tested_columns` from a line of a frame with tests; None of a line without one."""
    if np.isnan(row["difference"]):
        return (None,) * 4
    return row["difference"], Interval(row["low"], row["high"]), row["p_value"], row["p_holm"]


def over_seeds(leaderboard: pd.DataFrame, score: str) -> list[MeanStd]:
    """Mean and standard deviation of a score, line by line of a leaderboard."""
    return list(map(MeanStd, leaderboard[f"{score}.mean"], leaderboard[f"{score}.std"]))


def measured(leaderboard: pd.DataFrame) -> pd.DataFrame:
    """The lines of rows with a complete run."""
    return leaderboard[leaderboard["complete"] > 0]
