"""The report as one HTML file: the markdown page with its figures inside, tables to sort and filter, and no server.

The page loads nothing: style, script and figures are in the file, and its content security policy forbids the rest.
Text from data and configurations is shown as text. Of HTML tags in the markdown only `<u>` counts, which marks the
second best value; every other one is escaped.
"""

from __future__ import annotations

import base64
import html
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import groupby, pairwise
from pathlib import Path
from string import Template
from urllib.parse import quote

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

from bench.files import replaced
from bench.number_text import NONE

LARGEST_SVG = 300_000
"""Bytes above which a figure is embedded as PNG: one with thousands of marks is smaller and quicker to show so."""

FEWEST_ROWS_TO_FILTER = 8

_NUMBER = re.compile(r"(?:x |([<>])\s*)?([+-]?\d[\d,]*(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![\w.-])")
_PLAIN_IN_URL = " !$&'()*+,/:;<=>?@[]^{|}"
"""Beside letters and digits, what a data URL in double quotes may hold as it is."""
_TYPES = {".svg": "image/svg+xml", ".png": "image/png"}


@dataclass(frozen=True)
class Heading:
    """A second-level heading: its text, and the id that links lead to."""

    text: str
    anchor: str


def write_page(markdown: str, path: Path) -> None:
    """Writes a markdown page as HTML, atomically.

    Args:
        markdown: The page; its figures are PNG files, written relative to the folder of `path`.
        path: The HTML file.
    """
    text = page(markdown, path.parent)
    with replaced(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def page(markdown: str, folder: Path) -> str:
    """A markdown page as one HTML document.

    Args:
        markdown: CommonMark with pipe tables.
        folder: What the paths of figures are relative to. A figure that is not in there is named by its text.
    """
    parser = _parser()
    tokens = parser.parse(markdown)
    headings = _anchor(tokens)
    for table in _tables(tokens):
        _prepare(table)
    first = next((tokens[i + 1] for i, token in enumerate(tokens) if token.tag == "h1" and token.nesting == 1), None)
    return Template(_resource("template.html")).substitute(
        title=html.escape(_plain(first) if first else "Report"),
        css=_resource("page.css"),
        js=_resource("page.js"),
        contents=_contents(headings),
        body=parser.renderer.render(tokens, parser.options, {"folder": folder}),
    )


def sort_number(text: str) -> float | None:
    """The number by which a cell is sorted: its first one, e.g. 0.1226 of "0.1226 ± 0.0022".

    "< 0.001" comes just before 0.001, "> 99.9 %" just after 99.9 %, and the ratio "x 1.5" is 1.5.

    Returns:
        None where the cell does not begin with a number.
    """
    found = _NUMBER.match(text.strip())
    if not found:
        return None
    value = float(found[2].replace(",", ""))
    return math.nextafter(value, {"<": -math.inf, ">": math.inf}[found[1]]) if found[1] else value


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    parser.inline.ruler.before("autolink", "underline", _underline)
    for rule in (_image, _paragraph_open, _paragraph_close, _table_open, _table_close, _th_open, _th_close):
        parser.add_render_rule(rule.__name__.lstrip("_"), rule)
    return parser


def _underline(state: StateInline, silent: bool) -> bool:
    """Reads `<u>` and `</u>`, the one pair of tags that the report writes; a lone one is text."""
    opened = next((token.type for token in reversed(state.tokens) if token.nesting), "") == "u_open"
    paired = "</u>" in state.src[state.pos : state.posMax]
    for tag, nesting, counts in (("<u>", 1, paired), ("</u>", -1, opened)):
        if counts and state.src.startswith(tag, state.pos):
            if not silent:
                state.push("u_open" if nesting == 1 else "u_close", "u", nesting)  # type: ignore[arg-type]
            state.pos += len(tag)
            return True
    return False


def _anchor(tokens: Sequence[Token]) -> list[Heading]:
    """Gives every heading an id of its own, and returns the second-level ones."""
    taken: dict[str, int] = {}
    headings = []
    for token, content in pairwise(tokens):
        if token.type == "heading_open":
            text = _plain(content)
            slug = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "section"
            taken[slug] = taken.get(slug, 0) + 1
            anchor = slug if taken[slug] == 1 else f"{slug}-{taken[slug]}"
            token.attrSet("id", anchor)
            if token.tag == "h2":
                headings.append(Heading(text, anchor))
    return headings


def _contents(headings: Sequence[Heading]) -> str:
    """The table of contents; headings that begin alike ("ml-100k: cost") stand together below what they share."""

    def link(heading: Heading, text: str) -> str:
        return f'<li><a href="#{heading.anchor}">{html.escape(text)}</a></li>'

    lines = []
    for shared, group in groupby(headings, lambda heading: heading.text.partition(": ")[::2][0]):
        members = list(group)
        if len(members) == 1:
            lines.append(link(members[0], members[0].text))
        else:
            inner = "".join(link(heading, heading.text.removeprefix(f"{shared}: ")) for heading in members)
            lines.append(f"<li><strong>{html.escape(shared)}</strong><ol>{inner}</ol></li>")
    return f"<ol>{''.join(lines)}</ol>"


def _tables(tokens: Sequence[Token]) -> Iterator[list[Token]]:
    """The tokens of each table, from `table_open` to `table_close`."""
    start = 0
    for index, token in enumerate(tokens):
        if token.type == "table_open":
            start = index
        elif token.type == "table_close":
            yield list(tokens[start : index + 1])


def _prepare(table: Sequence[Token]) -> None:
    """Notes on a table's tokens what sorting, filtering and layout need."""
    heads = [(token, after) for token, after in pairwise(table) if token.type == "th_open"]
    cells = [(token, after) for token, after in pairwise(table) if token.type == "td_open"]
    rows = [cells[start : start + len(heads)] for start in range(0, len(cells), len(heads))]
    facts = not _plain(heads[-1][1])  # names and values side by side: nothing to sort
    table[0].meta = {"facts": facts, "filter": not facts and len(rows) >= FEWEST_ROWS_TO_FILTER}
    for token, _ in heads + cells:
        if "right" in str(token.attrs.pop("style", "")):
            token.attrSet("class", "right")
    for token, _ in heads:
        token.meta = {"sort": not facts and len(rows) > 1}
        if token.meta["sort"]:
            token.attrSet("aria-sort", "none")
    for column, (head, _) in enumerate(heads):
        texts = [_plain(row[column][1]) for row in rows]
        numbers = [sort_number(text) for text in texts]
        missing = [text in ("", NONE) for text in texts]
        if facts or all(missing) or any(n is None and not m for n, m in zip(numbers, missing, strict=True)):
            continue
        head.attrSet("data-kind", "number")
        for row, number in zip(rows, numbers, strict=True):
            row[column][0].attrSet("data-number", "" if number is None else repr(number))


def _plain(inline: Token) -> str:
    """The text of a heading or cell, without marks."""
    return "".join(child.content for child in inline.children or ()).strip()


def _image(renderer: object, tokens: Sequence[Token], index: int, options: object, env: dict[str, Path]) -> str:
    """A figure as part of the page."""
    token = tokens[index]
    text, source = token.content, env["folder"] / str(token.attrs["src"])
    svg = source.with_suffix(".svg")
    file = svg if svg.is_file() and svg.stat().st_size <= LARGEST_SVG else source
    if file.suffix not in _TYPES or not file.resolve().is_relative_to(env["folder"].resolve()) or not file.is_file():
        return f"<em>{html.escape(text)}</em>"
    return f'<figure><img alt="{html.escape(text)}" src="{_data_url(file)}"></figure>'


def _data_url(file: Path) -> str:
    """A figure as the value of an attribute. Drawings stay text, which takes a quarter less space than base64."""
    kind = _TYPES[file.suffix]
    if file.suffix == ".svg":
        drawing = quote(file.read_text(encoding="utf-8").replace("'", "&apos;").replace('"', "'"), safe=_PLAIN_IN_URL)
        return f"data:{kind},{html.escape(drawing, quote=False)}"
    return f"data:{kind};base64,{base64.b64encode(file.read_bytes()).decode()}"


def _paragraph_open(renderer: object, tokens: Sequence[Token], index: int, options: object, env: object) -> str:
    return "" if tokens[index].hidden or _is_figure(tokens[index + 1]) else "<p>"


def _paragraph_close(renderer: object, tokens: Sequence[Token], index: int, options: object, env: object) -> str:
    return "\n" if tokens[index].hidden or _is_figure(tokens[index - 1]) else "</p>\n"


def _is_figure(inline: Token) -> bool:
    """Whether a paragraph holds an image and nothing else; HTML allows no `<figure>` in a `<p>`."""
    return [child.type for child in inline.children or ()] == ["image"]


def _table_open(renderer: object, tokens: Sequence[Token], index: int, options: object, env: object) -> str:
    meta = tokens[index].meta
    box = '<input type="search" placeholder="Filter rows" aria-label="Filter rows" hidden>' if meta["filter"] else ""
    kind = ' class="facts"' if meta["facts"] else ""
    return f'<div class="table">{box}<div class="scroll"><table{kind}>\n'


def _table_close(renderer: object, tokens: Sequence[Token], index: int, options: object, env: object) -> str:
    return "</table></div></div>\n"


def _th_open(renderer: object, tokens: Sequence[Token], index: int, options: object, env: object) -> str:
    token = tokens[index]
    attributes = "".join(f' {name}="{html.escape(str(value))}"' for name, value in token.attrs.items())
    return f"<th{attributes}>" + ('<button type="button">' if token.meta["sort"] else "")


def _th_close(renderer: object, tokens: Sequence[Token], index: int, options: object, env: object) -> str:
    return ("</button>" if tokens[index - 2].meta["sort"] else "") + "</th>"


def _resource(name: str) -> str:
    return (files("bench.reporting") / "page" / name).read_text(encoding="utf-8").strip()
