"""Runs in this process and reports of one line, for tests of what a command runs and where it writes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from bench.execution.worker import execute
from bench.spec import RunResult, RunSpec, Suite


def be_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts both in the place of worker processes and of the report, which take seconds."""
    monkeypatch.setattr("bench.report.write_report", write_title)
    monkeypatch.setattr("bench.job.run_all", run_here)


def write_title(
    suite: Suite,
    planned: Sequence[RunSpec],
    results: object,
    results_dir: Path,
    reports_dir: Path,
    *_: object,
    **__: object,
) -> Path:
    """Writes where the report writes: its title, and one file of figures."""
    path = reports_dir / suite.name / "report.md"
    for file in (path, results_dir / suite.name / planned[0].dataset.label / "metrics.csv"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"# {suite.name}: {suite.description}\n{len(planned)} runs\n")
    return path


def run_here(
    todo: Sequence[RunSpec], results_dir: Path, backend: object, on_result: Callable[[RunResult], None], *_: object
) -> None:
    """Makes the runs one after the other."""
    for spec in todo:
        on_result(execute(spec, results_dir, "cpu", 1))
