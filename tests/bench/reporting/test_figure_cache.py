"""A report draws a data set again when, and only when, something of it has changed."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from bench.analysis.grid import Grid
from bench.reporting import report
from bench.reporting.blocks import Block, Paragraph
from bench.reporting.figure_cache import FigureCache
from bench.spec import RunResult, RunSpec, Suite


def label_of(grid: Grid, times: list[str]) -> list[Block]:
    times.append(grid.datasets[0])
    return number_of(grid)


def number_of(grid: Grid) -> list[Block]:
    return [Paragraph(f"{grid.datasets[0]}: {len(grid.results)}")]


def drawn_again(cache: FigureCache, grid: Grid) -> list[str]:
    """The data sets that a report of `grid` draws."""
    times: list[str] = []
    grids = [grid.on(dataset) for dataset in grid.datasets]
    sections = cache.sections(grids, label_of, [(part, times) for part in grids], processes=1)
    assert sections == [number_of(part) for part in grids]
    return times


def test_only_data_sets_with_news_are_drawn(two_datasets: tuple[Suite, list[RunSpec], list[RunResult]]) -> None:
    suite, planned, results = two_datasets
    cache = FigureCache()
    assert drawn_again(cache, Grid.of(suite, planned, results[:-1])) == ["ml-100k", "beauty"]
    assert drawn_again(cache, Grid.of(suite, planned, results[:-1])) == []
    assert drawn_again(cache, Grid.of(suite, planned, results)) == ["beauty"]
    assert drawn_again(cache, Grid.of(suite, planned, list(reversed(results)))) == []


@pytest.mark.parametrize(
    "change",
    [
        lambda result: dataclasses.replace(result, queries=result.queries.copy()),
        lambda result: dataclasses.replace(result, status="failed", queries=None),
        lambda result: dataclasses.replace(result, fit_seconds=result.fit_seconds + 1),
        lambda result: dataclasses.replace(result, curve=list(result.curve)),
        lambda result: dataclasses.replace(result, diagnostics={**result.diagnostics, "new": 1}),
    ],
)
def test_a_run_made_again_is_news(change: object, two_datasets: tuple[Suite, list[RunSpec], list[RunResult]]) -> None:
    suite, planned, results = two_datasets
    cache = FigureCache()
    drawn_again(cache, Grid.of(suite, planned, results))
    changed = [change(results[0]), *results[1:]]  # type: ignore[operator]
    assert drawn_again(cache, Grid.of(suite, planned, changed)) == ["ml-100k"]


def test_another_process_draws_the_same(two_datasets: tuple[Suite, list[RunSpec], list[RunResult]]) -> None:
    suite, planned, results = two_datasets
    grid = Grid.of(suite, planned, results)
    grids = [grid.on(dataset) for dataset in grid.datasets]
    alone, together = (FigureCache().sections(grids, number_of, [(part,) for part in grids], n) for n in (1, 2))
    assert alone == together == [[Paragraph("ml-100k: 11")], [Paragraph("beauty: 1")]]


def test_a_report_with_and_without_memory_is_the_same(
    two_datasets: tuple[Suite, list[RunSpec], list[RunResult]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite, everything, complete = two_datasets
    planned = [spec for spec in everything if spec.label == "popularity"]
    results = [result for result in complete if result.spec.label == "popularity"]
    cache, pages, times = FigureCache(), {}, []
    original = report.dataset_sections
    monkeypatch.setattr(report, "dataset_sections", lambda *given: times.append(given[0].dataset) or original(*given))
    for name, found, memory in (("a", results[:1], cache), ("a", results, cache), ("b", results, None)):
        pages[name] = report.write_report(suite, planned, found, tmp_path, tmp_path / name, "command", cache=memory)
    assert times == ["ml-100k", "beauty", "beauty", "ml-100k", "beauty"]
    for suffix in (".md", ".html"):
        first, second = (page.with_suffix(suffix).read_bytes() for page in pages.values())
        assert first == second
