"""Pages and tables as markdown: CommonMark with pipe tables. Knows nothing of models or metrics."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import groupby

from tabulate import tabulate

from bench.reporting.blocks import Block, Page
from bench.reporting.table import Table
from bench.reporting.templates import environment
from bench.reporting.words import Span, Text, lines, words

_MARKUP = re.compile(r"[\\`*\[\]~$]|(?<![^\W_])_|_(?![^\W_])")
"""What means something within a line of markdown; "_" only at the edge of a word."""

_TAG = re.compile(r"<(?![=\d]*(?:[\s),;:.]|$))|&(?=[#\w])")
"""What may begin a tag, a link or an entity: "< 0.001" and "<=50" don't."""

_STARTS_A_BLOCK = re.compile(r"^(?:[-+=#>]|\d+(?=[.)]))")
_LONGEST_LINE = 120
"""Characters of a line up to which a table is lined up for readers of the text, too."""

_MARKS = {"": "{}", "strong": "**{}**", "underlined": "<u>{}</u>"}


def page(content: Page) -> str:
    """The text of a page, in which nothing but line breaks controls how it is shown."""
    text = environment(autoescape=False, filters=_FILTERS).get_template("report.md.j2").render(page=content)
    return lines(text.strip()) + "\n"


def blocks(*content: Block) -> str:
    """The text of a few blocks, with a blank line between any two."""
    return page(Page(content)).strip()


def line(text: Text) -> str:
    """Text within a line."""
    groups = groupby(words(text).spans, lambda span: span.mark)
    return "".join(_MARKS[mark].format("".join(map(_span, spans))) for mark, spans in groups).strip()


def paragraph(text: Text) -> str:
    """Text on a line by itself, where it is no heading, list, quotation or rule either."""
    return _STARTS_A_BLOCK.sub(lambda match: f"&#{ord(match[0][0])};{match[0][1:]}", line(text))


def cell(text: Text) -> str:
    """Text that can't break out of the cell of a table."""
    return line(text).replace("|", "\\|")


def table(content: Table) -> str:
    """A pipe table, its columns lined up where a line isn't too long to be read as text.

    In a longer one the blanks that line up its columns would be half of a report.
    """
    headings = [cell(column.name) for column in content.columns]
    rows = [[cell(value.text) for value in row] for row in content.cells]
    sides = [column.side for column in content.columns] if rows else None
    lined_up = tabulate(rows, headings, tablefmt="pipe", disable_numparse=True, colalign=sides)
    if lined_up.find("\n") <= _LONGEST_LINE:
        return lined_up
    marks = ["---:" if column.side == "right" else ":---" for column in content.columns]
    first, *others = (f"| {' | '.join(row)} |" for row in (headings, *rows))
    return "\n".join([first, f"|{'|'.join(marks)}|", *others])


def fenced(text: str) -> str:
    """A block of code."""
    longest = max((len(match) for match in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"


def _span(span: Span) -> str:
    return f"`{span.text}`" if span.code else _TAG.sub(_entity, _MARKUP.sub(r"\\\g<0>", span.text))


def _entity(match: re.Match[str]) -> str:
    return {"<": "&lt;", "&": "&amp;"}[match[0]]


_FILTERS: dict[str, Callable[..., str]] = {"line": line, "paragraph": paragraph, "table": table, "fenced": fenced}
