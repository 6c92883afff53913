"""The suite's first question on the first screen: does it help, for whom, at what cost, and on which data sets."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from as_text import text_of

from bench.analysis.dataset_tables import frames_of
from bench.analysis.leaderboard import MEAN
from bench.analysis.runs import SuiteRuns
from bench.report import write_report
from bench.reporting.overview import overview
from bench.reporting.summary import findings
from bench.reporting.tables.questions import for_whom_table
from bench.spec import RunResult, RunSpec, Suite

N_QUERIES = 943
GAPS = np.repeat(np.array([1, 50, 51, 0], dtype=np.int32), [200, 100, 300, 343])
"""300 targets among the last 50 events, 300 only before these, 343 never."""

Ranks = Callable[[RunResult], np.ndarray]


def ranked(results: Sequence[RunResult], ranks: Ranks, column: str = "item_gap") -> list[RunResult]:
    """The results with other ranks, on data where a target (or its category) may have occurred before."""
    changed = []
    for result in results:
        assert result.queries is not None
        gaps = {name: np.zeros(N_QUERIES, np.int32) for name in ("item_gap", "category_gap")} | {column: GAPS}
        found = ranks(result).astype(np.int16)
        changed.append(
            dataclasses.replace(result, queries=result.queries.assign(item_rank=found, sid_rank=found, **gaps))
        )
    return changed


def far_only(result: RunResult) -> np.ndarray:
    """TIGER finds every third target; GLASS also all that lie far back."""
    every_third = np.where(np.arange(N_QUERIES) % 3 == 0, 1, 0)
    return np.where((GAPS > 50) & (result.spec.label == "glass"), 1, every_third)


def said(runs: SuiteRuns, results: Sequence[RunResult]) -> list[str]:
    changed = SuiteRuns.of(runs.suite, [run.spec for run in runs.runs], results)
    return [*map(text_of, findings(frames_of(changed)))]


def test_the_first_question_comes_first_with_whom_and_cost(full_runs: SuiteRuns) -> None:
    sentences = said(full_runs, ranked(full_runs.results, far_only))
    assert [sentence.split("**")[1] for sentence in sentences[:2]] == ["glass against tiger", "At what cost"]


def for_whom(runs: SuiteRuns, results: Sequence[RunResult]) -> list[list[str]]:
    """The rows of the table, the cells of each."""
    frames = frames_of(SuiteRuns.of(runs.suite, [run.spec for run in runs.runs], results))
    text = text_of(for_whom_table([frames], ("glass", "tiger")))
    assert "NDCG@10 of glass against tiger; Holm's correction over all 3 parts of this kind." in text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[1:]]


@pytest.mark.parametrize(
    ("column", "names"),
    [
        (
            "item_gap",
            ["targets last seen more than 50 events ago", "targets seen in the last 50 events", "targets never seen"],
        ),
        (
            "category_gap",
            [
                "targets whose category was last seen more than 50 events ago",
                "targets whose category was seen in the last 50 events",
                "targets whose category was never seen",
            ],
        ),
    ],
)
def test_whom_it_helps_is_told_by_reach_in_three_rows(full_runs: SuiteRuns, column: str, names: list[str]) -> None:
    far, recent, never = for_whom(full_runs, ranked(full_runs.results, far_only, column))
    assert [row[0] for row in (far, recent, never)] == names
    assert far[1:5] == ["300", "1.0000", "0.3333", "+0.6667"]
    assert far[6:] == ["< 0.001", "< 0.001", "glass ⚠"]
    assert recent[1:5] == ["300", "0.3333", "0.3333", "+0.0000"]
    assert recent[6:] == ["1.000", "1.000", "neither ⚠"]
    assert (never[1], never[-1]) == ("343", "neither ⚠")


def test_whom_it_harms_is_told_too(full_runs: SuiteRuns) -> None:
    def worse(result: RunResult) -> np.ndarray:
        return np.where((GAPS == 0) & (result.spec.label == "glass"), 0, 1)

    *_, never = for_whom(full_runs, ranked(full_runs.results, worse))
    assert never[1:5] == ["343", "0.0000", "1.0000", "-1.0000"]
    assert never[6:] == ["< 0.001", "< 0.001", "tiger ⚠"]


def test_the_parts_are_tested_as_one_family(full_runs: SuiteRuns) -> None:
    """Six discordant queries in one part: significant alone (p = 0.03), not among three."""

    def slightly(result: RunResult) -> np.ndarray:
        found = np.zeros(N_QUERIES, int)
        found[np.flatnonzero(GAPS > 50)[:6]] = result.spec.label == "glass"
        return found

    far, *_ = for_whom(full_runs, ranked(full_runs.results, slightly))
    assert far[1:4] == ["300", "0.0200", "0.0000"]
    assert far[-1] == "neither ⚠"


def test_without_reach_there_is_no_word_on_it(full_runs: SuiteRuns) -> None:
    sentences = said(full_runs, full_runs.results)
    assert for_whom_table([frames_of(full_runs)], ("glass", "tiger")) is None
    assert "At what cost" in sentences[1]


def test_cost_is_told_in_seconds_and_as_a_ratio(full_runs: SuiteRuns) -> None:
    def timed(result: RunResult, **differing: Any) -> RunResult:
        glass = result.spec.label == "glass"
        return dataclasses.replace(
            result,
            fit_seconds=300.0 if glass else 200.0,
            milliseconds_per_user=1.0 if glass else 4.0,
            environment={**result.environment, **(differing if glass else {})},
        )

    sentence = said(full_runs, [timed(result) for result in full_runs.results])[1]
    assert "glass trains in 300.0 s against 200.0 s (1.5 x)" in sentence
    assert "answers in 1.00 ms per user against 4.00 ms per user (0.25 x)" in sentence
    assert "don't compare" not in sentence
    for differing, words in (
        ({"device_name": "gpu"}, "hardware"),
        ({"threads": 1_000}, "threads"),
        ({"commit": "another"}, "code"),
        ({"device": "cuda", "commit": "another"}, "hardware and code"),
    ):
        elsewhere = said(full_runs, [timed(result, **differing) for result in full_runs.results])[1]
        assert f"with different {words}: these times don't compare" in elsewhere
        assert "1.5 x" not in elsewhere


def test_models_that_the_figures_picked_are_tested_with_the_correction_over_all_pairs(full_runs: SuiteRuns) -> None:
    frames = frames_of(full_runs)
    for p_value, p_holm, verdict in ((0.01, 0.2, "no significant difference"), (0.01, 0.04, "significant")):
        pairs = frames.pairs.assign(p_value=p_value, p_holm=p_holm)
        sentences = [*map(text_of, findings(dataclasses.replace(frames, pairs=pairs)))]
        for start in ("** has the highest mean", "With semantic IDs"):
            (sentence,) = [sentence for sentence in sentences if start in sentence]
            assert verdict in sentence
            both = f"p = {p_value:.3f}; {p_holm:.3f} with Holm's correction over all 55 pairs of rows"
            assert both in sentence
            assert ("no significant" in sentence) == (p_holm > 0.05)


def test_what_stays_below_the_floor_is_said_to_be_so_by_a_test(full_runs: SuiteRuns) -> None:
    frames = frames_of(full_runs)
    for p_holm, words in ((0.2, "lower, not significantly: "), (0.01, "lower: ")):
        of_floor = frames.tests["kind"] == "floor"
        tests = frames.tests.assign(p_holm=frames.tests["p_holm"].mask(of_floor, p_holm))
        sentences = map(text_of, findings(dataclasses.replace(frames, tests=tests)))
        (sentence,) = [said for said in sentences if said.startswith("**Below popularity**")]
        assert f"personal-popularity ({frames.leaderboard.iloc[-1][MEAN]:.4f}, " in sentence
        (p_value,) = tests.loc[of_floor & (tests["first"] == "personal-popularity"), "p_value"]
        p_values = f"p = {p_value:.3f}, Holm {p_holm:.3f}"
        assert sentence.endswith(f"{words}{p_values}) (Holm's correction over all 10 rows against popularity).")


def test_several_data_sets_have_a_table_of_the_first_question(
    two_datasets: tuple[Suite, list[RunSpec], list[RunResult]], results: list[RunResult], tmp_path: Path
) -> None:
    suite, everything, _ = two_datasets
    planned = [spec for spec in everything if spec.label in ("tiger", "glass")]
    by_label = {result.spec.label: result for result in results if result.spec.seed == 0}
    complete = [dataclasses.replace(by_label[spec.label], spec=spec) for spec in planned]
    complete = ranked(complete, far_only)
    runs = SuiteRuns.of(suite, planned, complete)
    datasets = [frames_of(runs.on(dataset)) for dataset in runs.datasets]
    text = text_of(overview(datasets))
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    assert [line[0] for line in lines[2:4]] == ["ml-100k", "beauty"]
    whom = lines[4:]
    assert whom[0][:2] == ["For whom", "Data set"]
    assert [line[:2] for line in whom[2:]] == [
        [f"targets {kind}", dataset]
        for dataset in ("ml-100k", "beauty")
        for kind in ("last seen more than 50 events ago", "seen in the last 50 events", "never seen")
    ]
    row = dict(zip(lines[0], lines[2], strict=True))
    assert row["Significant"] == "yes"
    assert text.startswith("**glass against tiger**: significantly better on 2 of 2 data sets, ml-100k, beauty. ")
    assert row["On far targets"] == "+0.6667"
    assert (row["p"], row["p (Holm)"]) == ("< 0.001", "< 0.001")
    assert overview(datasets[:1]) == []
    page = write_report(suite, planned, complete, tmp_path, tmp_path, "command").read_text()
    assert page.index(text) < page.index("**ml-100k**")
    rest = page.partition(text)[2]
    assert "| For whom " not in rest, "what the overview tells is not told again"
    assert "**glass against tiger**, NDCG@10: " not in rest
