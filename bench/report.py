"""The report of a suite from stored results: numbers, CSV files, and the page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.analysis.dataset_tables import write_frames
from bench.analysis.runs import SuiteRuns
from bench.parentage import common_workers
from bench.reporting.figure_cache import FigureCache
from bench.reporting.report import write_page
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
        results_dir: The CSV files go in here, see `bench.analysis.frames.DatasetFrames.write`.
        reports_dir: `SUITE/report.md`, `SUITE/report.html` and `SUITE/figures/` go in here.
        command: How to run it again.
        processes: Data sets that are measured, and sections that are drawn, at a time.
        cache: What earlier calls for the same plan and folders have drawn; changed data sets alone are drawn again.

    Returns:
        The path of `report.md`.
    """
    path = reports_dir / suite.name / "report.md"
    with common_workers(processes):
        datasets = write_frames(SuiteRuns.of(suite, planned, results), results_dir, processes)
        frames = SuiteFrames(suite.name, suite.description, command, datasets, path.parent / "figures")
        write_page(frames, path, processes, cache)
    return path
