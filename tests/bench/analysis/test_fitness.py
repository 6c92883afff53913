"""Rows that are no evidence are warned of, wherever something is concluded from them; counters and oracles are not."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_suites import N_ITEMS, grid_of, plan, suite_of

from bench.analysis.dataset_tables import frames_of, write_frames
from bench.analysis.fitness import UNFIT
from bench.analysis.frames import DatasetFrames
from bench.analysis.runs import SuiteRuns, role_of
from bench.analysis.significance import holm
from bench.report import write_report
from bench.reporting.figures import style
from bench.spec import Comparison

N = 120
ROWS = ("popularity", "tiger", "hstu", "hstu-wide")
GOOD, FLOOR, POOR = np.ones(N), np.resize([1, 0, 0], N), np.resize([1, 0, 0, 0, 0, 0], N)
RANKS = {"popularity": FLOOR, "tiger": GOOD, "hstu": GOOD, "hstu-wide": GOOD}


def warned(runs: SuiteRuns) -> dict[str, str]:
    wide = frames_of(runs).leaderboard
    return {row["row"]: row["warning"] for row in wide.to_dict("records") if row["warning"]}


def against_floor(frames: DatasetFrames) -> pd.DataFrame:
    return frames.tests[frames.tests["kind"] == "floor"].set_index("first")


def grid_with(
    ranks: dict[str, np.ndarray] | None = None, floor: str | None = "popularity", **changes: object
) -> SuiteRuns:
    told = {**RANKS, **(ranks or {})}
    comparison = Comparison(title="Width", question="?", rows=("hstu", "hstu-wide", "tiger"), against="hstu")
    asked = {"questions": (("tiger", "hstu"), ("hstu", "hstu-wide")), "comparisons": (comparison,)}
    suite = suite_of(ROWS, floor=floor, **asked)
    return grid_of(suite, lambda dataset, row, seed: told[row], **changes)


def test_rows_that_are_fit_carry_no_warning() -> None:
    assert warned(grid_with()) == {}


@pytest.mark.parametrize(("items", "fit"), [(19, False), (20, True)])
def test_lists_should_hold_two_hundredths_of_the_catalogue(items: int, fit: bool) -> None:
    found = warned(grid_with(items_in_lists={"hstu": items}))
    if fit:
        assert found == {}
    else:
        assert found == {"hstu": f"{UNFIT}: its lists of 10 hold 1.9 % of the catalogue, under 2 %"}


@pytest.mark.parametrize(("items", "fit"), [(119, False), (120, True)])
def test_of_a_catalogue_too_large_for_the_queries_a_tenth_of_what_lists_can_hold(items: int, fit: bool) -> None:
    """120 lists of ten hold 1,200 of 100,000 items at most, 1.2 %."""
    found = warned(grid_with(n_items=dict.fromkeys(ROWS, 100_000), items_in_lists=dict.fromkeys(ROWS, items)))
    assert set(found) == (set() if fit else {"tiger", "hstu", "hstu-wide"})
    assert all(text.endswith("hold 0.119 % of the catalogue, under 0.12 %") for text in found.values())


def test_a_row_must_be_significantly_above_the_floor() -> None:
    """Hstu is equal to the floor, hstu-wide far below it, tiger far above."""
    runs = grid_with({"hstu": FLOOR, "hstu-wide": POOR})
    frames = frames_of(runs)
    tests = against_floor(frames)
    assert tests.loc["hstu", "p_value"] == 1.0
    assert tests["p_holm"].tolist() == holm(tests["p_value"].tolist())
    assert frames.doubts["row"].tolist() == ["hstu", "hstu-wide"]
    family = "with Holm's correction over all 3 rows against popularity"
    assert warned(runs) == {
        "hstu": f"{UNFIT}: its NDCG@10 is not significantly above popularity: p = 1.000; 1.000 {family}",
        "hstu-wide": f"{UNFIT}: its NDCG@10 is significantly below popularity: p < 0.001; < 0.001 {family}",
    }


def test_a_lead_over_the_floor_that_chance_explains_is_none() -> None:
    """Six more hits: p = 2 / 2**6 alone, 0.06 among three rows of which another has the like."""
    slightly = FLOOR.copy()
    slightly[np.flatnonzero(FLOOR == 0)[:6]] = 1
    frames = frames_of(grid_with({"hstu": slightly, "hstu-wide": slightly}))
    test = against_floor(frames).loc["hstu"]
    assert test["p_value"] == pytest.approx(2 / 2**6, abs=0.006)
    assert test["p_holm"] == pytest.approx(2 * test["p_value"])
    assert frames.doubts["row"].tolist() == ["hstu", "hstu-wide"]


def test_rows_that_do_not_contend_are_not_doubted() -> None:
    """By the role that their models declare, whatever their names and parameters."""
    for role, doubted in (("reference", set()), ("oracle", set()), ("contestant", {"hstu-wide"})):
        roles = {"hstu-wide": {"role": role}}
        runs = grid_with({"hstu-wide": POOR}, diagnostics=roles, parameters={"hstu-wide": 0})
        assert set(warned(runs)) == doubted


def test_results_from_before_roles_tell_them_by_what_they_left() -> None:
    (result, *_) = grid_with().results
    old = dataclasses.replace(result, diagnostics={}, parameters=0)
    assert role_of(old) == "reference"
    assert role_of(dataclasses.replace(old, diagnostics={"exact": {"ndcg@10": 0.5}})) == "oracle"
    for label, role in (("hstu", "baseline"), ("glass", "contestant")):
        spec = old.spec.model_copy(update={"model": label})
        for told in (
            {"parameters": 5},
            {"diagnostics": {"role": "contestant"}},
            {"parameters": 5, "diagnostics": {"role": 3}},
        ):
            assert role_of(dataclasses.replace(old, spec=spec, **told)) == role


def test_without_a_floor_only_lists_are_judged_and_the_table_says_so(tmp_path: Path) -> None:
    bare = grid_with({"hstu": POOR}, floor=None, items_in_lists={"tiger": 3})
    assert set(warned(bare)) == {"tiger"}
    assert "No row was tested against a floor: the suite names no floor." in page(bare, tmp_path)
    runs = grid_with({"hstu": POOR})
    pending = [result for result in runs.results if result.spec.label != "popularity"]
    without = SuiteRuns.of(runs.suite, plan(runs.suite), pending)
    assert warned(without) == {}
    assert "No row was tested against a floor: popularity has no complete run." in page(without, tmp_path)


def test_a_row_that_cannot_be_paired_with_the_floor_is_doubted() -> None:
    runs = grid_with()
    moved = [
        dataclasses.replace(r, queries=r.queries.assign(target=r.queries["target"] + 1))
        if r.spec.label == "hstu" and r.queries is not None
        else r
        for r in runs.results
    ]
    found = warned(SuiteRuns.of(runs.suite, plan(runs.suite), moved))
    assert found == {"hstu": f"{UNFIT}: no test against popularity was possible"}


def test_where_coverage_was_not_stored_it_is_not_judged() -> None:
    runs = grid_with(items_in_lists={"hstu": 1})
    old = [
        dataclasses.replace(r, queries=r.queries.drop(columns="new_items"))
        for r in runs.results
        if r.queries is not None
    ]
    assert warned(SuiteRuns.of(runs.suite, plan(runs.suite), old)) == {}


def test_the_warning_stands_in_the_leaderboard_file(tmp_path: Path) -> None:
    write_frames(grid_with({"hstu": POOR}), tmp_path)
    wide = pd.read_csv(tmp_path / "small" / "d" / "leaderboard.csv").set_index("row")
    assert wide["warning"].notna().to_dict() == {"tiger": False, "hstu-wide": False, "popularity": False, "hstu": True}
    assert wide.loc["hstu", "warning"].startswith(
        "under-trained or unfit, not evidence: its NDCG@10 is significantly below"
    )
    tests = pd.read_csv(tmp_path / "small" / "d" / "tests.csv")
    floor = tests[tests["kind"] == "floor"]
    assert set(floor["first"]) == set(ROWS) - {"popularity"}
    assert set(floor["second"]) == {"popularity"}


def page(runs: SuiteRuns, folder: Path) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(style, "save", lambda figure, stem: None)
        path = write_report(runs.suite, plan(runs.suite), runs.results, folder, folder, "command")
    return path.read_text()


def test_whatever_the_report_concludes_from_such_a_row_says_so(tmp_path: Path) -> None:
    text = page(grid_with({"hstu": POOR}, items_in_lists={"hstu": 5}), tmp_path)
    summary = text.partition("## What was run")[0].splitlines()
    (question,) = [line for line in summary if line.startswith("- **tiger against hstu**")]
    assert (
        "tiger is significantly better than hstu (one seed). **Not evidence**: hstu is under-trained or unfit."
        in question
    )
    (width,) = [line for line in summary if line.startswith("- **Width**")]
    assert "**Not evidence**: hstu is under-trained or unfit." in width
    (warning,) = [line for line in summary if "**Warning, " in line]
    assert warning.startswith(
        f"- **Warning, {UNFIT}**: hstu (its lists of 10 hold 0.5 % of the catalogue, under 2 %; its"
    )
    results = text.partition("## d: results")[2].partition("\n## ")[0]
    row = next(line for line in results.splitlines() if line.startswith("| hstu "))
    assert row.startswith("| hstu ⚠ ")
    assert "⚠" not in next(line for line in results.splitlines() if line.startswith("| tiger "))
    assert f"- **hstu**: {UNFIT}: its lists of 10 hold 0.5 % of the catalogue, under 2 %; its NDCG@10" in results
    parts = text.partition("### tiger against hstu, part by part (d)")[2].partition("\n##")[0]
    assert "**Not evidence**: hstu is under-trained or unfit." in parts
    compared = text.partition("## d: Width")[2].partition("\n## ")[0]
    assert "| hstu ⚠ " in compared
    assert f"⚠ {UNFIT}: see the table of results." in compared
    assert ". hstu ⚠ " in text.partition("### Who beats whom (d)")[2].partition("\n##")[0]
    html = (tmp_path / "small" / "report.html").read_text()
    assert f"⚠ {UNFIT}" in html


def test_a_report_without_such_rows_has_no_word_of_them_but_the_rule(tmp_path: Path) -> None:
    text = page(grid_with(), tmp_path)
    assert text.count(UNFIT) == 1
    assert "⚠" not in text
    assert "Not evidence" not in text
    tested = text.partition("## How differences are tested")[2].partition("\n## ")[0]
    assert "the tokenizer, so that the share of the IDs is in it" in tested
    assert text.count("The spread over seeds") == 1


def test_over_several_data_sets_an_unfit_row_wins_nowhere(tmp_path: Path) -> None:
    suite = suite_of(ROWS, datasets=("a", "b"), floor="popularity", questions=(("tiger", "hstu"),))

    def ranks(dataset: str, row: str, seed: int) -> np.ndarray:
        if row == "hstu":
            return POOR if dataset == "a" else np.resize([1, 1, 0], N)
        return RANKS[row]

    text = page(grid_of(suite, ranks), tmp_path)
    verdict = "**tiger against hstu**: significantly better on 1 of 2 data sets, b; "
    assert f"{verdict}{UNFIT} on a (hstu). NDCG@10 on each data set." in text
    assert N_ITEMS == 1_000
    row = next(line for line in text.splitlines() if line.startswith("| a "))
    assert "yes ⚠" in row
