"""Numbers and tables as markdown text. Knows nothing of models or metrics."""

from __future__ import annotations

import html
from collections.abc import Sequence

import numpy as np
from tabulate import tabulate

NONE = "-"
"""Stands where there is no value."""


def table(headers: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """A pipe table.

    Args:
        headers: Column names.
        rows: Cells as text.
        left: Number of leading columns that are aligned left; numbers follow, aligned right.
    """
    align = ["left" if column < left else "right" for column in range(len(headers))]
    escaped = [[escape(cell) for cell in row] for row in rows]
    return tabulate(escaped, headers, tablefmt="pipe", disable_numparse=True, colalign=align if rows else None)


def escape(text: str) -> str:
    """Text that can't break out of a table cell."""
    return " ".join(text.replace("|", "\\|").split())


def escape_html(text: str) -> str:
    """Foreign text, such as an error message, whose "<" must not start a tag."""
    return html.escape(text, quote=False)


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


def marked(texts: Sequence[str], values: Sequence[float], digits: int = 4, highest: bool = True) -> list[str]:
    """The texts with the best value bold and the second best underlined.

    Values are compared as printed, so equal numbers are marked equally. Nothing is marked unless two values differ.

    Args:
        texts: Cells of one column.
        values: The value behind each; NaN is never marked.
        digits: Decimals in print.
        highest: Whether high values are good.
    """
    printed = [round(float(value), digits) for value in values]
    order = sorted({value for value in printed if np.isfinite(value)}, reverse=highest)
    if len(order) < 2:
        return list(texts)
    result = []
    for text, value in zip(texts, printed, strict=True):
        if value == order[0]:
            result.append(f"**{text}**")
        elif value == order[1]:
            result.append(f"<u>{text}</u>")
        else:
            result.append(text)
    return result
