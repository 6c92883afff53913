"""Numbers and tables as markdown text. Knows nothing of models or metrics."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

import numpy as np
from tabulate import tabulate

from bench.plain_text import printable

_MARKUP = re.compile(r"[\\`*\[\]~$]|(?<![^\W_])_|_(?![^\W_])")
"""What means something within a line of markdown; "_" only at the edge of a word."""

_CODE = re.compile("(`[^`]+`)")


def table(headers: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """A pipe table.

    Args:
        headers: Column names.
        rows: Cells as text.
        left: Number of leading columns that are aligned left; numbers follow, aligned right.
    """
    align = ["left" if column < left else "right" for column in range(len(headers))]
    escaped = [[escape(cell) for cell in row] for row in rows]
    return tabulate(
        escaped, [*map(escape, headers)], tablefmt="pipe", disable_numparse=True, colalign=align if rows else None
    )


def escape(text: str) -> str:
    """Text that can't break out of a table cell."""
    return " ".join(printable(text.replace("|", "\\|")).split())


def escape_html(text: str) -> str:
    """Foreign text whose "<" must not start a tag."""
    return html.escape(text, quote=False)


def foreign(text: object) -> str:
    """Text that a suite, a file or an exception brings: no markup but `code`, no tag, no link, no line of its own."""
    line = " ".join(printable(str(text)).split())
    parts = [line] if "``" in line else _CODE.split(line)
    return "".join(part if number % 2 else _as_shown(part) for number, part in enumerate(parts))


def paragraph(text: object) -> str:
    """Foreign text that stands on a line by itself, where it is no heading, list or rule either."""
    return re.sub(r"^([-+=#]|\d+(?=[.)]))", lambda found: f"&#{ord(found[0][0])};{found[0][1:]}", foreign(text))


def code(text: object) -> str:
    """Foreign text as code within a line."""
    line = " ".join(printable(str(text)).split())
    return f"`{line}`" if "`" not in line else foreign(line)


def fenced(text: str) -> str:
    """Foreign text as a block of code."""
    longest = max((len(found) for found in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{page_text(text)}\n{fence}"


def _as_shown(text: str) -> str:
    return escape_html(_MARKUP.sub(r"\\\g<0>", text))


def page_text(text: str) -> str:
    """A page in which nothing but line breaks controls how it is shown."""
    return "\n".join(map(printable, text.split("\n")))


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
