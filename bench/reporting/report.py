"""The report of a suite: one page as markdown and as HTML, and its figures, from nothing but frames."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.analysis.frames import DatasetFrames
from bench.files import replaced
from bench.reporting import html, markdown
from bench.reporting.blocks import Block, Page
from bench.reporting.figure_cache import FigureCache
from bench.reporting.figures import style
from bench.reporting.figures.looks import Styles, row_styles
from bench.reporting.section import Section
from bench.reporting.sections import registry, whole
from bench.reporting.sections.whole import SuiteFrames

_NEW_OBJECTS = 50_000


def write_page(suite: SuiteFrames, path: Path, processes: int = 1, cache: FigureCache | None = None) -> None:
    """Writes the page, and the same as HTML beside it; runs without a result are shown as pending.

    Args:
        suite: All numbers.
        path: Of the markdown file.
        processes: Sections that are drawn at a time.
        cache: What earlier calls for the same plan and folders have drawn; changed data sets alone are drawn again.
    """
    page = report_page(suite, processes, cache or FigureCache())
    with replaced(path) as temporary:
        temporary.write_text(markdown.page(page), encoding="utf-8")
    html.write_page(page, path.with_suffix(".html"))


def report_page(suite: SuiteFrames, processes: int, cache: FigureCache) -> Page:
    """The page of a suite, with its figures drawn; `processes` and `cache` as for `write_page`."""
    styles = row_styles(suite.models)
    drawn = cache.begun(suite.all, dataset_section, (styles, suite.figures), processes, n_sections)
    before = [block for section in whole.BEFORE for block in section(suite)]
    after = [block for section in whole.AFTER for block in section(suite)]
    return Page((*before, *(block for sections in drawn() for block in sections), *after))


def n_sections(frames: DatasetFrames) -> int:
    """Sections on a data set, those that turn out to be empty included."""
    return len(list(_sections(frames)))


def dataset_section(frames: DatasetFrames, number: int, styles: Styles, folder: Path) -> list[Block]:
    """One section of a data set, possibly in a process of its own; its figures go into the folder."""
    style.use_style()
    with _rare_collections():
        return list(_sections(frames))[number].blocks(frames, styles, folder)


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Looks for garbage after so many new objects: a figure has tens of thousands, which all live until it is drawn."""
    usual = gc.get_threshold()
    gc.set_threshold(_NEW_OBJECTS, *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)


def _sections(frames: DatasetFrames) -> Iterator[Section]:
    return registry.sections(complete=frames.n_queries > 0)
