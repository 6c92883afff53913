"""Numbers as readers see them, in sentences and in cells."""

from __future__ import annotations

import numpy as np

NONE = "-"
"""Stands where there is no value."""


def number(value: float | None, digits: int = 4) -> str:
    return NONE if value is None or not np.isfinite(value) else f"{value:.{digits}f}"


def percent(share: float | None, digits: int = 1) -> str:
    """A share as a percentage; 100 % only where it is exactly that."""
    if share is None or not np.isfinite(share):
        return NONE
    text = f"{100 * share:.{digits}f}"
    return f"> {100 - 10.0**-digits:.{digits}f} %" if share < 1 and float(text) == 100 else f"{float(text):g} %"


def plus_minus(mean: float, std: float, digits: int = 4) -> str:
    """Mean ± standard deviation; the mean alone where one seed leaves no deviation."""
    return number(mean, digits) + (f" ± {std:.{digits}f}" if np.isfinite(mean) and np.isfinite(std) else "")


def p_value(p: float) -> str:
    """E.g. "p = 0.012", "p < 0.001"."""
    cell = p_cell(p)
    return f"p {cell}" if cell.startswith("<") else f"p = {cell}"


def p_cell(p: float) -> str:
    """A p-value without its name, for a column that has it as the heading.

    Three decimals, and more where these would hide on which side of 0.05 it lies.
    """
    if p < 0.001:
        return "< 0.001"
    digits = next((digits for digits in range(3, 9) if (float(f"{p:.{digits}f}") < 0.05) == (p < 0.05)), None)
    return "< 0.05" if digits is None else number(p, digits)
