"""The report of a suite: leaderboards, figures, and one page as markdown and as HTML, rebuilt while runs end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.analysis.dataset_tables import write_tables
from bench.analysis.grid import Grid
from bench.files import replaced
from bench.reporting import html, markdown
from bench.reporting.blocks import Block, Page
from bench.reporting.figure_cache import FigureCache
from bench.reporting.figures import style
from bench.reporting.section import DatasetFrames
from bench.reporting.sections import registry, whole
from bench.reporting.sections.whole import SuiteFrames
from bench.spec import RunResult, RunSpec, Suite


def write_report(
    suite: Suite,
    planned: Sequence[RunSpec],
    results: Sequence[RunResult],
    results_dir: Path,
    reports_dir: Path,
    command: str,
    processes: int = 1,
    cache: FigureCache | None = None,
) -> Path:
    """Writes all that can be said so far; runs without a result are shown as pending.

    Args:
        suite: What was asked for.
        planned: Every run of it, in order.
        results: Those that have ended, in any order, failed and skipped ones included.
        results_dir: The CSV files go in here, see `bench.analysis.dataset_tables.write_tables`.
        reports_dir: `SUITE/report.md`, `SUITE/report.html` and `SUITE/figures/` go in here.
        command: How to run it again.
        processes: Data sets whose figures are drawn at a time.
        cache: What earlier calls for the same plan and folders have drawn; changed data sets alone are drawn again.

    Returns:
        The path of `report.md`.
    """
    grid = Grid.of(suite, planned, results)
    tables = write_tables(grid, results_dir)
    looks = style.model_styles(grid.models)
    datasets = {label: DatasetFrames(grid.on(label), tables[label], looks) for label in grid.datasets}
    path = reports_dir / suite.name / "report.md"
    frames = SuiteFrames(grid, datasets, results_dir, path.parent / "figures", command)
    page = report_page(frames, processes, cache or FigureCache())
    with replaced(path) as temporary:
        temporary.write_text(markdown.page(page), encoding="utf-8")
    html.write_page(page, path.with_suffix(".html"))
    return path


def report_page(frames: SuiteFrames, processes: int, cache: FigureCache) -> Page:
    """The page of a suite; its figures are drawn.

    Args:
        frames: All numbers.
        processes: Data sets whose figures are drawn at a time.
        cache: What is drawn already.
    """
    grids = [dataset.grid for dataset in frames.datasets.values()]
    arguments = [(dataset, frames.figures) for dataset in frames.datasets.values()]
    drawn = cache.sections(grids, dataset_sections, arguments, processes)
    before = [block for section in whole.BEFORE for block in section(frames)]
    after = [block for section in whole.AFTER for block in section(frames)]
    return Page((*before, *(block for sections in drawn for block in sections), *after))


def dataset_sections(frames: DatasetFrames, folder: Path) -> list[Block]:
    """All sections of one data set, possibly in a process of its own; its figures go into the folder."""
    style.use_style()
    following = registry.OF_A_DATASET if frames.grid.results else ()
    return [block for section in (registry.FIRST, *following) for block in section.blocks(frames, folder)]
