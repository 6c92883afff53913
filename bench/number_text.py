"""Numbers as readers see them, in sentences and in cells."""

from __future__ import annotations

import numpy as np

NONE = "-"
"""Stands where there is no value."""


def number(value: float | None, digits: int = 4) -> str:
    """Writes a number with a fixed count of decimals, or `NONE` where there is none."""
    return NONE if value is None or not np.isfinite(value) else f"{value:.{digits}f}"


def percent(share: float | None, digits: int = 1) -> str:
    """Writes a share as a percentage; 100 % only where it is exactly that.

    >>> percent(0.1234), percent(0.99996), percent(1.0), percent(None)
    ('12.3 %', '> 99.9 %', '100 %', '-')
    """
    if share is None or not np.isfinite(share):
        return NONE
    text = f"{100 * share:.{digits}f}"
    return f"> {100 - 10.0**-digits:.{digits}f} %" if share < 1 and float(text) == 100 else f"{float(text):g} %"


def ratio(value: float | None) -> str:
    """Writes how many times as large something is, with two significant digits.

    >>> ratio(331.6), ratio(1.52), ratio(0.0452), ratio(12345.0), ratio(float("nan"))
    ('330 x', '1.5 x', '0.045 x', '12,000 x', '-')
    """
    return NONE if value is None or not np.isfinite(value) else f"{float(f'{value:.2g}'):,.10g} x"


def plus_minus(mean: float, std: float, digits: int = 4) -> str:
    """Writes mean ± standard deviation; the mean alone where one seed leaves no deviation.

    >>> plus_minus(0.0967, 0.0025), plus_minus(0.0967, float("nan"))
    ('0.0967 ± 0.0025', '0.0967')
    """
    return number(mean, digits) + (f" ± {std:.{digits}f}" if np.isfinite(mean) and np.isfinite(std) else "")


def p_value(p: float) -> str:
    """Writes a p-value within a sentence.

    >>> p_value(0.012), p_value(0.0002)
    ('p = 0.012', 'p < 0.001')
    """
    cell = p_cell(p)
    return f"p {cell}" if cell.startswith("<") else f"p = {cell}"


def p_cell(p: float) -> str:
    """Writes a p-value without its name, for a column that has it as the heading.

    Three decimals, and more where these would hide on which side of 0.05 it lies.

    >>> p_cell(0.25), p_cell(0.04996), p_cell(1e-9)
    ('0.250', '0.04996', '< 0.001')
    """
    if p < 0.001:
        return "< 0.001"
    digits = next((digits for digits in range(3, 9) if (float(f"{p:.{digits}f}") < 0.05) == (p < 0.05)), None)
    return "< 0.05" if digits is None else number(p, digits)


def significant(value: float | None, digits: int = 3) -> str:
    """Writes a number with so many digits that tell something, and without an exponent, however large or small it is.

    >>> significant(328.2, 2), significant(0.00123456), significant(2.0), significant(1234567.0), significant(0.0)
    ('330', '0.00123', '2', '1,230,000', '0')
    """
    if value is None or not np.isfinite(value):
        return NONE
    if value == 0:
        return "0"
    decimals = digits - 1 - int(np.floor(np.log10(abs(value))))
    rounded = round(float(value), decimals)
    text = f"{rounded:,.{max(0, decimals)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
