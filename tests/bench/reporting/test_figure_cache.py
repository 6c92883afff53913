"""A report draws a data set again when, and only when, something of it has changed."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from bench.analysis.dataset_tables import frames_of, write_frames
from bench.analysis.frames import DatasetFrames
from bench.analysis.runs import SuiteRuns
from bench.report import write_report
from bench.reporting import report
from bench.reporting.blocks import Block, Paragraph
from bench.reporting.figure_cache import FigureCache
from bench.spec import RunResult, RunSpec, Suite


def size_of(frames: DatasetFrames, number: int = 0) -> list[Block]:
    return [Paragraph(f"{frames.dataset}: {sum(frames.seeds.values())}")]


def noted(frames: DatasetFrames, number: int, times: list[str]) -> list[Block]:
    times.append(frames.dataset)
    return size_of(frames)


def drawn_again(cache: FigureCache, runs: SuiteRuns) -> list[str]:
    """The data sets that a report of these runs draws."""
    times: list[str] = []
    datasets = [frames_of(runs.on(dataset)) for dataset in runs.datasets]
    assert cache.begun(datasets, noted, (times,), processes=1)() == [size_of(frames) for frames in datasets]
    return times


def test_only_data_sets_with_news_are_drawn(two_datasets: tuple[Suite, list[RunSpec], list[RunResult]]) -> None:
    suite, planned, results = two_datasets
    cache = FigureCache()
    assert drawn_again(cache, SuiteRuns.of(suite, planned, results[:-1])) == ["ml-100k", "beauty"]
    assert drawn_again(cache, SuiteRuns.of(suite, planned, results[:-1])) == []
    assert drawn_again(cache, SuiteRuns.of(suite, planned, results)) == ["beauty"]
    assert drawn_again(cache, SuiteRuns.of(suite, planned, list(reversed(results)))) == []


@pytest.mark.parametrize(
    ("change", "news"),
    [
        (lambda result: dataclasses.replace(result, queries=result.queries.assign(item_rank=1)), True),
        (lambda result: dataclasses.replace(result, status="failed", queries=None), True),
        (lambda result: dataclasses.replace(result, fit_seconds=result.fit_seconds + 1), True),
        (lambda result: dataclasses.replace(result, environment={**result.environment, "commit": "new"}), True),
        (lambda result: dataclasses.replace(result, queries=result.queries.copy()), False),
        (lambda result: dataclasses.replace(result, diagnostics={**result.diagnostics, "nobody reads this": 1}), False),
    ],
)
def test_only_what_a_report_shows_is_news(
    change: object, news: bool, two_datasets: tuple[Suite, list[RunSpec], list[RunResult]]
) -> None:
    suite, planned, results = two_datasets
    cache = FigureCache()
    drawn_again(cache, SuiteRuns.of(suite, planned, results))
    changed = [change(results[0]), *results[1:]]  # type: ignore[operator]
    assert drawn_again(cache, SuiteRuns.of(suite, planned, changed)) == (["ml-100k"] if news else [])


def numbered(frames: DatasetFrames, number: int) -> list[Block]:
    return [Paragraph(f"{frames.dataset} {number}")] * number


def test_sections_stand_in_their_order_whoever_draws_them(
    two_datasets: tuple[Suite, list[RunSpec], list[RunResult]],
) -> None:
    suite, planned, results = two_datasets
    datasets = [frames_of(SuiteRuns.of(suite, planned, results).on(dataset)) for dataset in ("ml-100k", "beauty")]
    drawn = FigureCache().begun(datasets, numbered, (), 2, pieces=lambda frames: 3 if frames is datasets[0] else 2)()
    assert drawn == [[Paragraph(f"ml-100k {n}") for n in (1, 2, 2)], [Paragraph("beauty 1")]]


def test_another_process_draws_the_same(two_datasets: tuple[Suite, list[RunSpec], list[RunResult]]) -> None:
    suite, planned, results = two_datasets
    runs = SuiteRuns.of(suite, planned, results)
    datasets = [frames_of(runs.on(dataset)) for dataset in runs.datasets]
    alone, together = (FigureCache().begun(datasets, size_of, (), n)() for n in (1, 2))
    assert alone == together == [[Paragraph("ml-100k: 11")], [Paragraph("beauty: 1")]]


def test_another_process_measures_the_same(
    two_datasets: tuple[Suite, list[RunSpec], list[RunResult]], tmp_path: Path
) -> None:
    runs = SuiteRuns.of(*two_datasets)
    alone, together = (write_frames(runs, tmp_path / str(processes), processes) for processes in (1, 2))
    assert list(alone) == list(together) == ["ml-100k", "beauty"]
    assert all(alone[name].equals(together[name]) for name in alone)


def test_a_report_with_and_without_memory_is_the_same(
    two_datasets: tuple[Suite, list[RunSpec], list[RunResult]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite, everything, complete = two_datasets
    planned = [spec for spec in everything if spec.label == "popularity"]
    results = [result for result in complete if result.spec.label == "popularity"]
    cache, pages, times = FigureCache(), {}, []
    original = report.dataset_section

    def noted(frames: DatasetFrames, number: int, *given: object) -> list[Block]:
        times.extend([frames.dataset] * (number == 0))
        return original(frames, number, *given)

    monkeypatch.setattr(report, "dataset_section", noted)
    for name, ended, memory in (("a", results[:1], cache), ("a", results, cache), ("b", results, None)):
        pages[name] = write_report(suite, planned, ended, tmp_path, tmp_path / name, "command", cache=memory)
    assert times == ["ml-100k", "beauty", "beauty", "ml-100k", "beauty"]
    for suffix in (".md", ".html"):
        first, second = (page.with_suffix(suffix).read_bytes() for page in pages.values())
        assert first == second


def test_a_report_is_the_same_however_many_processes_make_it(
    two_datasets: tuple[Suite, list[RunSpec], list[RunResult]], tmp_path: Path
) -> None:
    suite, everything, complete = two_datasets
    rows = ("popularity", "tiger")
    planned = [spec for spec in everything if spec.label in rows]
    results = [result for result in complete if result.spec.label in rows]
    for processes in (1, 2):
        own = tmp_path / str(processes)
        write_report(suite, planned, results, own / "results", own / "reports", "command", processes)
    alone, together = (
        {path.relative_to(own): path.read_bytes() for path in own.rglob("*") if path.is_file()}
        for own in (tmp_path / "1", tmp_path / "2")
    )
    assert {path.suffix for path in alone} >= {".csv", ".md", ".html", ".png", ".svg"}
    assert alone == together
