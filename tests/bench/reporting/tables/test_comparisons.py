"""A comparison tests each row against the one it varies, claims what the test carries, and lives with missing rows."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from as_text import text_of
from drawn_files import is_drawn

from bench.analysis.comparisons import ComparisonResult, comparison_results
from bench.analysis.dataset_tables import frames_of
from bench.analysis.leaderboard import leaderboard, tidy_metrics
from bench.analysis.pairs import pair_tests
from bench.analysis.runs import SuiteRuns
from bench.analysis.significance import compare, holm
from bench.number_text import ratio
from bench.report import write_report
from bench.reporting.figures import style
from bench.reporting.figures.comparison import comparison
from bench.reporting.figures.looks import row_styles
from bench.reporting.tables.comparisons import (
    HOW_TO_READ,
    Compared,
    comparison_table,
    comparisons_of,
    findings,
    sentence,
)
from bench.spec import Comparison, RunResult, RunSpec, Suite

PARTS = Comparison(
    title="Parts of GLASS",
    question="What is each part worth?",
    rows=("tiger", "glass-no-sid-tier", "glass"),
    against="glass",
    paper="All parts help (Table 9).",
)
LABELS = list(PARTS.rows)


@pytest.fixture
def runs(full_runs: SuiteRuns) -> SuiteRuns:
    """The made-up suite, asking one question."""
    return asking(full_runs)


def asking(runs: SuiteRuns, comparison: Comparison = PARTS, results: Sequence[RunResult] | None = None) -> SuiteRuns:
    suite = runs.suite.model_copy(update={"comparisons": (comparison,)})
    kept = runs.results if results is None else results
    return SuiteRuns.of(suite, [run.spec for run in runs.runs], kept)


def answered(runs: SuiteRuns) -> list[ComparisonResult]:
    return comparison_results(runs, leaderboard(tidy_metrics(runs)))


def only(runs: SuiteRuns) -> ComparisonResult:
    (answer,) = answered(runs)
    return answer


def shown(runs: SuiteRuns) -> Compared:
    """The one comparison, as the report has it."""
    (compared,) = comparisons_of(frames_of(runs))
    return compared


def with_ranks_of(results: Sequence[RunResult], other: Sequence[RunResult]) -> list[RunResult]:
    """The results with somebody else's ranks."""
    return [dataclasses.replace(one, queries=two.queries) for one, two in zip(results, other, strict=True)]


def cells(text: str) -> list[list[str]]:
    """The cells of a markdown table, its heading first."""
    lines = [line for line in text.splitlines() if line.startswith("|") and not line.startswith("|:")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_each_row_is_tested_against_the_one_it_varies_with_holms_correction(runs: SuiteRuns) -> None:
    answer = only(runs)
    assert [row.label for row in answer.rows] == LABELS
    assert answer.rows[2].test is None
    assert [row.complete for row in answer.rows] == [3, 3, 3]
    tested = pair_tests(runs, leaderboard(tidy_metrics(runs)))
    tests = [tested["glass", label].reversed for label in LABELS[:2]]  # glass is the better one in this made-up world
    assert [row.test for row in answer.rows] == [*tests, None]
    for label, test in zip(LABELS[:2], tests, strict=True):
        alone = compare(runs.of_row(label), runs.of_row("glass"), "ndcg@10")
        assert alone is not None
        assert alone.p_value == pytest.approx(test.p_value, abs=0.02)  # other tosses
        assert dataclasses.replace(alone, p_value=0.0) == dataclasses.replace(test, p_value=0.0)
    corrected = holm([test.p_value for test in tests])
    assert [row.p_holm for row in answer.rows[:2]] == corrected
    assert corrected != [test.p_value for test in tests]  # or the correction was not seen at work
    assert (answer.family.name, answer.family.size) == ("comparison: Parts of GLASS", 2)


def test_the_table_holds_the_leaderboards_values_and_the_tests(runs: SuiteRuns) -> None:
    answer = only(runs)
    header, tiger, _, glass = cells(text_of(comparison_table(shown(runs))))
    assert header[4] == "NDCG@10 - glass"
    scores = scores_of(runs, "tiger")
    assert tiger[1] == f"{scores['item.overall.ndcg@10.mean']:.4f} ± {scores['item.overall.ndcg@10.std']:.4f}"
    assert tiger[2].startswith(f"{scores['sid.overall.ndcg@10.mean']:.4f}")
    test = answer.rows[0].test
    assert test is not None
    assert tiger[4] == f"{scores['item.overall.ndcg@10.mean'] - glass_mean(runs):+.4f}"
    assert tiger[5] == f"{test.low:+.4f} .. {test.high:+.4f}"
    assert tiger[6:8] == [f"{test.p_value:.3f}", f"{answer.rows[0].p_holm:.3f}"]
    assert glass[4:8] == ["-"] * 4
    assert header[3] == "Recall@10 (secondary)"
    assert tiger[3].startswith(f"{scores['item.overall.recall@10.mean']:.4f}")
    assert tiger[-1] == "1,400,000"


def scores_of(runs: SuiteRuns, row: str) -> pd.Series:
    return leaderboard(tidy_metrics(runs)).set_index("row").loc[row]


def glass_mean(runs: SuiteRuns) -> float:
    return float(scores_of(runs, "glass")["item.overall.ndcg@10.mean"])


def test_rows_without_semantic_ids_have_no_column_for_them(full_runs: SuiteRuns) -> None:
    plain = PARTS.model_copy(update={"rows": ("sasrec-ce", "hstu"), "against": "hstu"})
    assert "NDCG@10 SID" not in text_of(comparison_table(shown(asking(full_runs, plain))))


def test_the_sentence_claims_only_what_the_test_supports(full_runs: SuiteRuns) -> None:
    """One row with the ranks of the full model, one that finds every target first."""
    glass = full_runs.of_row("glass")
    same = with_ranks_of(full_runs.of_row("glass-no-sid-tier"), glass)
    perfect = [
        dataclasses.replace(r, queries=r.queries.assign(item_rank=np.int16(1), sid_rank=np.int16(1)))
        for r in full_runs.of_row("tiger")
        if r.queries is not None
    ]
    said = sentence(shown(asking(full_runs, results=[*glass, *same, *perfect]))).plain
    assert said.startswith("Against glass (NDCG@10 0.")
    assert "significantly higher: tiger (+0.9511, p < 0.001, Holm < 0.001)" in said
    assert "no significant difference: glass-no-sid-tier (+0.0000, p = 1.000, Holm 1.000)" in said
    assert "lower" not in said
    basis = "Holm's correction over both rows of this comparison; paired over 943 queries, mean of 3 seeds"
    assert said.endswith(f"({basis}).")


def test_one_seed_is_told(full_runs: SuiteRuns) -> None:
    first = [result for result in full_runs.results if result.spec.seed == 0]
    assert "one seed" in sentence(shown(asking(full_runs, results=first))).plain


def test_rows_that_are_pending_are_named_and_rows_outside_the_plan_passed_over(full_runs: SuiteRuns) -> None:
    kept = [result for result in full_runs.results if result.spec.label != "tiger"]
    pending = shown(asking(full_runs, results=kept))
    assert pending.rows["row"].tolist() == LABELS[1:]
    assert sentence(pending).plain.endswith("Not complete yet: tiger.")
    planned = [run.spec for run in full_runs.runs if run.spec.label != "tiger"]
    suite = full_runs.suite.model_copy(update={"comparisons": (PARTS,)})
    narrowed = shown(SuiteRuns.of(suite, planned, kept))
    assert narrowed.pending == ()
    assert "Not complete" not in sentence(narrowed).plain


def test_without_the_full_model_there_is_a_table_and_no_claim(full_runs: SuiteRuns) -> None:
    style.use_style()
    runs = asking(full_runs, results=[r for r in full_runs.results if r.spec.label != "glass"])
    assert [row.label for row in only(runs).rows] == LABELS[:2]
    assert sentence(shown(runs)).plain == "glass has no complete run yet, so nothing could be tested."
    assert [row[4:7] for row in cells(text_of(comparison_table(shown(runs))))[1:]] == [["-"] * 3] * 2
    assert comparison(frames_of(runs), PARTS.title, row_styles(frames_of(runs).models)) is None


def test_a_single_row_is_no_comparison(full_runs: SuiteRuns) -> None:
    assert answered(asking(full_runs, results=full_runs.of_row("glass"))) == []
    assert answered(asking(full_runs, results=[])) == []


def test_rows_that_answered_other_queries_are_not_tested(full_runs: SuiteRuns) -> None:
    def moved(queries: pd.DataFrame | None) -> pd.DataFrame:
        assert queries is not None
        return queries.assign(target=queries["target"] + 1)

    others = [dataclasses.replace(r, queries=moved(r.queries)) for r in full_runs.of_row("tiger")]
    runs = asking(full_runs, results=[*others, *full_runs.of_row("glass")])
    assert only(runs).tested == []
    assert sentence(shown(runs)).plain == "No row could be compared with glass query by query."


def test_the_papers_finding_stands_beside_the_measured_one(runs: SuiteRuns) -> None:
    assert (
        text_of(findings(shown(runs)))
        == f"- Here: {text_of(sentence(shown(runs)))}\n- In the paper: All parts help (Table 9)."
    )
    unknown = asking(runs, PARTS.model_copy(update={"paper": ""}))
    assert "paper" not in text_of(findings(shown(unknown)))


@pytest.mark.parametrize("cost", [False, True])
def test_the_figure_marks_what_is_significant(full_runs: SuiteRuns, cost: bool) -> None:
    style.use_style()
    runs = asking(full_runs, PARTS.model_copy(update={"cost": cost}))
    frames = frames_of(runs)
    changed = frames.comparisons.assign(p_holm=[0.01, 0.4, np.nan])
    looks = row_styles(frames_of(runs).models)
    figure = comparison(dataclasses.replace(frames, comparisons=changed), PARTS.title, looks)
    assert figure is not None
    assert len(figure.axes) == (3 if cost else 1)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == LABELS[:2]
    (notes,) = figure.axes[0].child_axes
    texts = notes.get_yticklabels()
    assert [text.get_text().endswith("*") for text in texts] == [True, False]
    assert [text.get_fontweight() for text in texts] == ["bold", "normal"]
    assert figure.axes[0].get_xlabel() == f"NDCG@10 minus that of glass, which is {glass_mean(runs):.4f}"
    (intervals,) = figure.axes[0].collections
    drawn = [sorted(segment[:, 0]) for segment in intervals.get_segments()]
    tested = changed[changed["row"] != "glass"]
    np.testing.assert_allclose(drawn, tested[["low", "high"]].to_numpy())
    if cost:
        seconds = frames.leaderboard.set_index("row")["fit_seconds.mean"]
        ratios = [text.get_text() for text in figure.axes[1].texts]
        assert ratios == [ratio(seconds[row] / seconds["glass"]) for row in LABELS[:2]]


def test_the_report_has_a_section_and_a_figure_for_each(
    suite: Suite, planned: list[RunSpec], results: list[RunResult], tmp_path: Path
) -> None:
    second = Comparison(title="ID-based: SASRec / HSTU", question="Which?", rows=("sasrec-ce", "hstu"), against="hstu")
    asked = suite.model_copy(update={"comparisons": (PARTS, second)})
    chosen = [spec for spec in planned if spec.label in {*PARTS.rows, *second.rows}]
    page = write_report(asked, chosen, results, tmp_path / "results", tmp_path / "reports", "command")
    text = page.read_text()
    headings = re.findall(r"^## ml-100k: (.+)$", text, flags=re.MULTILINE)
    assert headings[:3] == ["results", "Parts of GLASS", "ID-based: SASRec / HSTU"]
    for name in ("parts-of-glass", "id-based-sasrec-hstu"):
        assert f"figures/ml-100k-comparison-{name}.png" in text
        assert is_drawn(page.parent / f"figures/ml-100k-comparison-{name}.png")
    assert text.count(HOW_TO_READ) == 1
    assert "- **Parts of GLASS**: Against glass" in text  # the answers are part of the summary
    assert "nan" not in text


def test_a_report_with_failures_still_answers_what_it_can(
    suite: Suite,
    planned: list[RunSpec],
    results: list[RunResult],
    failed_result: Callable[..., RunResult],
    tmp_path: Path,
) -> None:
    asked = suite.model_copy(update={"comparisons": (PARTS,)})
    chosen = [spec for spec in planned if spec.label in PARTS.rows]
    ended = [r if r.spec.label != "tiger" else failed_result(r.spec) for r in results]
    text = write_report(asked, chosen, ended, tmp_path / "results", tmp_path / "reports", "command").read_text()
    assert "## ml-100k: Parts of GLASS" in text
    assert "Not complete yet: tiger." in text
