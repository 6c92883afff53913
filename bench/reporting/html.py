"""A page as one HTML file: its figures inside, tables to sort and filter, and no server.

The page loads nothing: style, script and figures are in the file, and its content security policy forbids the rest.
Text is escaped by the template, whatever it holds.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from io import BytesIO
from itertools import groupby
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape
from PIL import Image, UnidentifiedImageError, features

from bench.files import replaced
from bench.reporting.blocks import Heading, Page, Picture
from bench.reporting.templates import environment, resource
from bench.reporting.words import Span, Text, lines, words

FEWEST_ROWS_TO_FILTER = 8

_MARKS = {"": "{}", "strong": "<strong>{}</strong>", "underlined": "<u>{}</u>"}
_WEBP = {"lossless": True, "quality": 50, "method": 2}
"""Half the size of the PNG file in a thirtieth of a second; more effort gains a hundredth."""


_PIXELS_PER_PIXEL = 1.5
"""Of a figure, which has 144 pixels an inch, for one of the page, which has 96."""


@dataclass(frozen=True)
class Entry:
    """A line of the table of contents, with the lines below it: the sections of one data set."""

    text: str
    anchor: str = ""
    below: tuple[Entry, ...] = ()


def write_page(content: Page, path: Path) -> None:
    """Writes a page, atomically.

    Args:
        content: Its figures are named relative to the folder of `path`.
        path: The HTML file.
    """
    text = page(content, path.parent)
    with replaced(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def page(content: Page, folder: Path) -> str:
    """A page as one HTML document.

    Args:
        content: The page.
        folder: What the paths of figures are relative to. A figure that is not in there is named by its text.
    """
    anchors = _anchors(content)
    with ThreadPoolExecutor(os.cpu_count()) as threads:  # the library packs pixels outside of Python's lock
        list(threads.map(partial(data_url, folder=folder), _pictures(content)))
    filters: dict[str, Callable[..., Any]] = {
        "words": line,
        "data_url": partial(data_url, folder=folder),
        "css_width": partial(css_width, folder=folder),
    }
    template = environment(autoescape=True, filters=filters).get_template("report.html.j2")
    text = template.render(
        title=words(content.title).plain,
        css=Markup(resource("page.css")),
        js=Markup(resource("page.js")),
        contents=_contents(content, anchors),
        blocks=list(zip(content.blocks, anchors, strict=True)),
        fewest_rows_to_filter=FEWEST_ROWS_TO_FILTER,
    )
    return lines(text) + "\n"


def _pictures(content: Page) -> list[Picture]:
    return [block for block in content.blocks if isinstance(block, Picture)]


def line(text: Text) -> Markup:
    """Text within a line; nothing in it is an element but the marks of `Words`."""
    groups = groupby(words(text).spans, lambda span: span.mark)
    return Markup("").join(Markup(_MARKS[mark]).format(Markup("").join(map(_span, spans))) for mark, spans in groups)


def data_url(picture: Picture, folder: Path) -> str:
    """A figure as the value of an attribute, "" where it is not a picture in the folder.

    It is embedded without loss in the format that takes the least space. The drawing beside it takes three to five
    times as much, since each one brings the outlines of its letters.
    """
    file = folder / picture.file
    if not file.resolve().is_relative_to(folder.resolve()) or not file.is_file():
        return ""
    return _encoded(file, file.stat().st_mtime_ns)


def css_width(picture: Picture, folder: Path) -> int:
    """How many pixels of the page a figure is wide, so that letters are as large in all figures."""
    with Image.open(folder / picture.file) as image:
        return round(image.width / _PIXELS_PER_PIXEL)


@lru_cache(maxsize=1_000)
def _encoded(file: Path, changed: int) -> str:
    """The figure as text. A page is refreshed while most of its figures stay: `changed` tells those that did not."""
    pixels, kind = BytesIO(), "webp" if features.check("webp") else "png"
    try:
        with Image.open(file) as image:
            image.convert("RGB").save(pixels, kind, **(_WEBP if kind == "webp" else {"optimize": True}))
    except UnidentifiedImageError:
        return ""
    return f"data:image/{kind};base64,{base64.b64encode(pixels.getvalue()).decode()}"


def _span(span: Span) -> Markup:
    return Markup("<code>{}</code>").format(span.text) if span.code else escape(span.text)


def _anchors(content: Page) -> list[str]:
    """For every block the id that links lead to: of each heading another one, of all else none."""
    taken: dict[str, int] = {}
    anchors = []
    for block in content.blocks:
        slug = ""
        if isinstance(block, Heading):
            slug = re.sub(r"[^a-z0-9]+", "-", words(block.text).plain.lower()).strip("-") or "section"
            taken[slug] = taken.get(slug, 0) + 1
            slug = slug if taken[slug] == 1 else f"{slug}-{taken[slug]}"
        anchors.append(slug)
    return anchors


def _contents(content: Page, anchors: Sequence[str]) -> list[Entry]:
    """The sections of the page; headings that begin alike ("ml-100k: cost") stand together below what they share."""
    sections = [
        Entry(words(block.text).plain, anchor)
        for block, anchor in zip(content.blocks, anchors, strict=True)
        if isinstance(block, Heading) and block.level == 2
    ]
    entries = []
    for shared, group in groupby(sections, lambda entry: entry.text.partition(": ")[::2][0]):
        members = list(group)
        if len(members) == 1:
            entries += members
        else:
            below = tuple(Entry(entry.text.removeprefix(f"{shared}: "), entry.anchor) for entry in members)
            entries.append(Entry(shared, below=below))
    return entries
