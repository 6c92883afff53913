"""What the suite `planted` claims, on one seed and as few epochs as show it; the suite itself has three and sixteen."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.analysis.significance import PairedComparison, compare
from bench.execution.worker import execute
from bench.plan import expand
from bench.spec import RunResult
from bench.suite_files import load_suite

pytestmark = pytest.mark.slow(minutes=6)


def results_on(dataset: str, rows: tuple[str, ...], epochs: int, folder: Path) -> list[RunResult]:
    """One run of each row, seed 0, in the order of `rows`."""
    training = (f"training.epochs={epochs}", f"training.validate_every={epochs}")
    runs = [run for run in expand(load_suite("planted"), training) if run.dataset.name == dataset and run.seed == 0]
    run_of = {run.label: run for run in runs}
    results = [execute(run_of[row], folder, "cpu", threads=1) for row in rows]
    assert [result.reason for result in results] == [""] * len(rows)
    return results


def compared(first: RunResult, second: RunResult) -> PairedComparison:
    comparison = compare([first], [second], "ndcg@10")
    assert comparison is not None
    return comparison


def test_where_the_cause_lies_far_back_glass_needs_its_search(tmp_path: Path) -> None:
    rows = ("oracle", "glass", "tiger", "glass-sid-tier-only")
    oracle, glass, *without = results_on("planted-long", rows, 3, tmp_path)
    for other in without:
        comparison = compared(glass, other)
        assert comparison.significant, other.spec.label
        assert comparison.difference > 0, other.spec.label
        assert comparison.first < oracle.diagnostics["exact"]["ndcg@10"]


def test_where_the_cause_lies_far_back_glass_needs_sid_tier(tmp_path: Path) -> None:
    # What the shares of topics say is learnt slowly: with six epochs the difference is not significant yet.
    glass, without = results_on("planted-long", ("glass", "glass-search-only"), 12, tmp_path)
    assert compared(glass, without).significant
    assert compared(glass, without).difference > 0


def test_where_the_cause_is_recent_glass_ties_with_tiger(tmp_path: Path) -> None:
    glass, tiger = results_on("planted-recent", ("glass", "tiger"), 5, tmp_path)
    assert not compared(glass, tiger).significant
