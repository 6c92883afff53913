"""Columns that several tables have."""

from __future__ import annotations

from bench.reporting.kinds import DIFFERENCE, INTERVAL, P_VALUE
from bench.reporting.table import Column


def tested_columns(difference: str) -> tuple[Column, ...]:
    """A difference under this heading, its interval, and both p-values."""
    return (
        Column(difference, DIFFERENCE),
        Column("95 % interval", INTERVAL),
        Column("p", P_VALUE),
        Column("p (Holm)", P_VALUE),
    )
