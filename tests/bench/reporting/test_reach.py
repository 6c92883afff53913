"""How far back the target last occurred: in the report where the data tell it, and silently absent where they don't."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from as_text import text_of

from bench.analysis.columns import LEADERBOARD
from bench.analysis.dataset_tables import frames_of
from bench.analysis.leaderboard import leaderboard, tidy_metrics
from bench.analysis.runs import SuiteRuns
from bench.evaluation.evaluator import K_MAX
from bench.evaluation.metrics import compute
from bench.report import write_report
from bench.reporting.figures import quality, style
from bench.reporting.figures.looks import row_styles
from bench.reporting.tables.parts import reach_table
from bench.reporting.tables.questions import question_table
from bench.spec import RunResult

N_QUERIES = 943
GAPS = np.repeat(np.array([1, 50, 51, 0], dtype=np.int32), [200, 100, 300, 343])
"""300 targets among the last 50 events, 300 only before these, 343 never."""


def with_gaps(results: Sequence[RunResult], category: np.ndarray | None = None) -> list[RunResult]:
    """The results as if the data had repeats; the category of every target was the last event's unless given."""
    category_gap = np.ones(N_QUERIES, dtype=np.int32) if category is None else category
    return [
        dataclasses.replace(result, queries=result.queries.assign(item_gap=GAPS, category_gap=category_gap))
        for result in results
        if result.queries is not None
    ]


@pytest.fixture(scope="module")
def runs(full_runs: SuiteRuns) -> SuiteRuns:
    return SuiteRuns.of(full_runs.suite, [run.spec for run in full_runs.runs], with_gaps(full_runs.results))


def test_the_table_tells_the_parts_and_their_values(runs: SuiteRuns) -> None:
    text = text_of(reach_table(frames_of(runs), "item"))
    heading, _, *lines = text.splitlines()
    for part in ("last 50 events (n = 300)", "only before the last 50 (n = 300)", "never (n = 343)"):
        assert part in heading
    glass = next(line for line in lines if line.startswith("| glass "))
    recent = [
        compute("ndcg@10", r.queries["item_rank"].to_numpy()[:300], K_MAX).mean()
        for r in runs.of_row("glass")
        if r.queries is not None
    ]
    assert f"{np.mean(recent):.4f} ± {np.std(recent, ddof=1):.4f}" in glass
    assert len(lines) == len(runs.rows)


def test_a_cut_that_tells_no_queries_apart_has_no_table_and_no_figure(runs: SuiteRuns) -> None:
    assert reach_table(frames_of(runs), "category") is None
    assert quality.reach(frames_of(runs), row_styles(frames_of(runs).models), "category") is None


def test_the_figure_has_a_panel_a_part_with_every_model(runs: SuiteRuns) -> None:
    style.use_style()
    figure = quality.reach(frames_of(runs), row_styles(frames_of(runs).models), "item")
    assert figure is not None
    assert not isinstance(figure, str)
    frames = frames_of(runs)
    assert [axes.get_title(loc="left").partition("; ")[0] for axes in figure.axes] == [
        "last 50 events\nn = 300",
        "only before the last 50\nn = 300",
        "never\nn = 343",
    ]
    rows = frames.leaderboard["row"].tolist()
    rows.remove(frames.mark)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == rows


def test_questions_are_answered_part_by_part(runs: SuiteRuns, full_runs: SuiteRuns) -> None:
    text = text_of(question_table(frames_of(runs), ("glass", "tiger")))
    assert "target in the history: only before the last 50" in text
    assert "its category" not in text
    assert "in the history" not in text_of(question_table(frames_of(full_runs), ("glass", "tiger")))


def test_the_tidy_table_has_the_parts_and_the_wide_one_does_not(runs: SuiteRuns, full_runs: SuiteRuns) -> None:
    tidy = tidy_metrics(runs)
    found = tidy[tidy["slice"].str.startswith("reach:")]
    assert set(found["slice"]) == {"reach:recent", "reach:far", "reach:never"}
    assert set(found[found["row"] == "sasrec-ce"]["level"]) == {"item"}
    result = runs.of_row("tiger")[0]
    assert result.queries is not None
    value = found.query("row == 'tiger' and seed == 0 and level == 'sid' and slice == 'reach:far'")
    expected = result.queries["sid_rank"][300:600].between(1, 20).mean()
    assert value.set_index("metric")["value"]["recall@20"] == pytest.approx(expected)
    assert list(leaderboard(tidy).columns) == LEADERBOARD.names
    assert not tidy_metrics(full_runs)["slice"].str.contains("reach").any()


def test_the_report_has_a_reach_section_also_where_some_results_are_older_than_the_columns(
    runs: SuiteRuns, full_runs: SuiteRuns, tmp_path: Path
) -> None:
    planned = [run.spec for run in runs.runs if run.spec.label in {"tiger", "glass"}]
    category = np.where(np.arange(N_QUERIES) < 500, 60, 0).astype(np.int32)
    results = [*full_runs.of_row("tiger"), *with_gaps(full_runs.of_row("glass"), category)]
    page = write_report(runs.suite, planned, results, tmp_path / "results", tmp_path / "reports", "command")
    text = page.read_text()
    section = text.partition("## ml-100k: reach")[2].partition("\n## ")[0]
    for of in ("item", "category"):
        assert f"figures/ml-100k-reach-{of}.png" in section
        assert (page.parent / f"figures/ml-100k-reach-{of}.png").exists()
    assert "only before the last 50 (n = 500)" in section
    assert "| glass " in section
    assert "| tiger " not in section
    assert "nan" not in text
