"""The tables hold every planned run, and the wide one follows from the tidy one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.analysis.columns import LEADERBOARD, METRICS, SCHEMA
from bench.analysis.dataset_tables import write_frames
from bench.analysis.leaderboard import (
    leaderboard,
    slices,
    tidy_metrics,
)
from bench.analysis.runs import SuiteRuns
from bench.spec import RunResult, RunSpec, Suite

Failing = Callable[..., RunResult]


@pytest.fixture(scope="module")
def grid(suite: Suite, planned: list[RunSpec], results: list[RunResult]) -> SuiteRuns:
    return SuiteRuns.of(suite, planned, results)


def row(wide: pd.DataFrame, model: str) -> pd.Series:
    return wide.set_index("row").loc[model]


def test_values_recomputed_from_the_ranks(grid: SuiteRuns) -> None:
    wide = leaderboard(tidy_metrics(grid))
    per_seed = []
    for result in grid.of_row("tiger"):
        queries = result.queries
        assert queries is not None
        tail = queries[queries["target_quantile"] >= 0.2]
        per_seed.append(((tail["sid_rank"] >= 1) & (tail["sid_rank"] <= 10)).mean())
    tiger = row(wide, "tiger")
    assert tiger["sid.tail.recall@10.mean"] == pytest.approx(np.mean(per_seed), abs=1e-12)
    assert tiger["sid.tail.recall@10.std"] == pytest.approx(np.std(per_seed, ddof=1), abs=1e-12)
    assert tiger["item.tail.recall@10.mean"] < tiger["sid.tail.recall@10.mean"]


def test_repeated_and_found_targets_have_columns_of_their_own(grid: SuiteRuns) -> None:
    gaps = np.random.default_rng(0).integers(0, 3, 943)
    results = [
        dataclasses.replace(r, queries=r.queries.assign(item_gap=gaps))
        for r in (*grid.of_model("glass"), *grid.of_model("sasrec-ce"))
    ]
    wide = leaderboard(tidy_metrics(SuiteRuns.of(grid.suite, [result.spec for result in results], results)))
    queries = [result.queries for result in results if result.spec.label == "glass"]
    for part, mask in (
        ("repeat", lambda table: table["item_gap"] > 0),
        ("explore", lambda table: table["item_gap"] == 0),
    ):
        hits = [table["item_rank"].between(1, 10)[mask(table)].mean() for table in queries if table is not None]
        assert row(wide, "glass")[f"item.{part}.recall@10.mean"] == pytest.approx(np.mean(hits))
        assert row(wide, "glass")[f"item.{part}.recall@10.std"] == pytest.approx(np.std(hits, ddof=1))
        assert 0 < row(wide, "glass")[f"sid.{part}.ndcg@10.mean"] < 1
        assert np.isnan(row(wide, "sasrec-ce")[f"sid.{part}.ndcg@10.mean"])


def test_a_hit_on_a_shared_semantic_id_is_divided_among_its_items(grid: SuiteRuns) -> None:
    sizes = np.random.default_rng(0).integers(1, 4, 943)
    results = [dataclasses.replace(r, queries=r.queries.assign(sid_group=sizes)) for r in grid.of_model("tiger")]
    wide = leaderboard(tidy_metrics(SuiteRuns.of(grid.suite, [result.spec for result in results], results)))
    expected = [(r.queries["sid_rank"].between(1, 10) / sizes).mean() for r in results]
    assert row(wide, "tiger")["item.overall.cce-recall@10.mean"] == pytest.approx(np.mean(expected))
    assert row(wide, "tiger")["item.overall.cce-ndcg@10.mean"] < row(wide, "tiger")["sid.overall.ndcg@10.mean"]


def test_results_stored_without_the_newer_columns_have_blank_cells(grid: SuiteRuns) -> None:
    newer = ["item_gap", "category_gap", "transition", "sid_group"]
    results = [
        dataclasses.replace(r, queries=r.queries.drop(columns=newer, errors="ignore")) for r in grid.of_model("tiger")
    ]
    tidy = tidy_metrics(SuiteRuns.of(grid.suite, [result.spec for result in results], results))
    blank = [name for name in LEADERBOARD.names if ".repeat." in name or ".explore." in name or ".cce-" in name]
    assert len(blank) == 2 * 2 * 2 * 2 + 2 * 2
    assert row(leaderboard(tidy), "tiger")[blank].isna().all()
    assert row(leaderboard(tidy), "tiger")["item.overall.ndcg@10.mean"] > 0
    assert not tidy["slice"].str.startswith(("repetition", "transition")).any()


def test_sid_level_is_blank_without_semantic_ids(grid: SuiteRuns) -> None:
    wide = leaderboard(tidy_metrics(grid))
    later = (".repeat.", ".explore.")  # the made-up tables are from before what tells these apart
    sid_columns = [name for name in wide.columns if name.startswith("sid.") and not any(part in name for part in later)]
    assert row(wide, "sasrec-ce")[sid_columns].isna().all()
    assert row(wide, "glass")[sid_columns].notna().all()


def test_best_first(grid: SuiteRuns) -> None:
    ranked = leaderboard(tidy_metrics(grid))["item.overall.ndcg@10.mean"].tolist()
    assert ranked == sorted(ranked, reverse=True)


def test_files_hold_the_tables_and_the_wide_follows_from_the_tidy(grid: SuiteRuns, tmp_path: Path) -> None:
    frames = write_frames(grid, tmp_path)["ml-100k"]
    folder = tmp_path / "made-up" / "ml-100k"
    names = ["leaderboard", "metrics", "pairs", "published", "tests"]
    assert sorted(path.name for path in folder.iterdir()) == [f"{name}.csv" for name in names]  # nothing temporary
    tidy = pd.read_csv(folder / "metrics.csv")
    wide = pd.read_csv(folder / "leaderboard.csv")
    assert list(tidy.columns) == METRICS.names
    assert set(tidy["schema"]) == set(wide["schema"]) == {SCHEMA}
    assert list(wide.columns) == LEADERBOARD.names
    pd.testing.assert_frame_equal(
        leaderboard(tidy).drop(columns="warning"),
        frames.leaderboard.drop(columns="warning"),
        check_exact=False,
        rtol=1e-12,
    )
    for column in set(LEADERBOARD.names) - {"row", "model", "role", "status", "reason", "warning"}:
        np.testing.assert_allclose(wide[column], frames.leaderboard[column], rtol=1e-9, err_msg=column)


def test_failed_skipped_and_pending_runs_are_rows(
    suite: Suite, planned: list[RunSpec], results: list[RunResult], failed_result: Failing
) -> None:
    kept = [r for r in results if r.spec.label not in {"hstu", "sim", "glass"} or r.spec.seed == 2]
    failed = [failed_result(spec) for spec in planned if spec.label == "hstu" and spec.seed == 0]
    skipped = [
        failed_result(spec, "skipped", "no RecBole") for spec in planned if spec.label == "sim" and spec.seed < 2
    ]
    ended = [result for result in kept if result.spec.label != "sim"] + failed + skipped
    tidy = tidy_metrics(SuiteRuns.of(suite, planned, ended))

    runs = tidy[tidy["metric"] == "complete"]
    assert len(runs) == len(planned)
    assert runs.groupby("status").size().to_dict() == {"complete": 26, "failed": 1, "pending": 4, "skipped": 2}
    only_failed = tidy[tidy["status"] == "failed"]
    assert only_failed["reason"].tolist() == ["ValueError: loss is NaN | step 12"]
    assert only_failed["value"].tolist() == [0.0]

    wide = leaderboard(tidy)
    assert len(wide) == len(suite.models)
    assert row(wide, "hstu")[["status", "complete", "failed", "pending"]].tolist() == ["partial", 1, 1, 1]
    assert row(wide, "sim")[["status", "reason", "skipped"]].tolist() == ["skipped", "no RecBole", 2]
    assert wide["row"].iloc[-1] == "sim"  # no value sorts last


def test_one_seed_has_no_deviation(suite: Suite, planned: list[RunSpec], results: list[RunResult]) -> None:
    grid = SuiteRuns.of(suite, planned, [result for result in results if result.spec.seed == 0])
    wide = leaderboard(tidy_metrics(grid))
    assert wide["item.overall.ndcg@10.mean"].notna().all()
    assert wide["item.overall.ndcg@10.std"].isna().all()


def test_the_plan_names_the_rows(suite: Suite, planned: list[RunSpec], results: list[RunResult]) -> None:
    """A run shared with another suite carries that suite's label; results that nobody planned are left out."""
    renamed = [
        dataclasses.replace(result, spec=result.spec.model_copy(update={"label": "other"})) for result in results
    ]
    only_tiger = [spec for spec in planned if spec.label == "tiger"]
    grid = SuiteRuns.of(suite, only_tiger, renamed)
    assert grid.complete_rows == ["tiger"]
    assert len(grid.results) == 3


def test_slices_count_queries_and_seeds(grid: SuiteRuns) -> None:
    tidy = tidy_metrics(grid)
    scores = slices(tidy).set_index(["row", "part"])
    queries = grid.of_row("glass")[0].queries
    assert queries is not None
    assert scores.loc[("glass", "head"), "queries"] == int((queries["target_quantile"] < np.float32(0.2)).sum())
    assert scores.loc[("glass", "overall"), ["queries", "seeds"]].tolist() == [943, 3]
    wide = leaderboard(tidy)
    assert scores.loc[("glass", "tail"), "mean"] == pytest.approx(row(wide, "glass")["item.tail.ndcg@10.mean"])


@pytest.mark.parametrize(("name", "part"), [("reach:far", ("reach", "far")), ("tail", ("head-tail", "tail"))])
def test_the_name_of_a_slice_tells_its_family(grid: SuiteRuns, name: str, part: tuple[str, str]) -> None:
    tidy = tidy_metrics(grid)
    only = tidy[tidy["slice"] == "tail"].assign(slice=name)
    assert {tuple(pair) for pair in slices(only)[["family", "part"]].to_numpy().tolist()} == {part}


def test_a_column_and_its_values_may_hold_colons(grid: SuiteRuns) -> None:
    tidy = tidy_metrics(grid)
    only = tidy[tidy["slice"] == "tail"].assign(slice="item.a:b:c: d")
    found = slices(only, columns=("a", "a:b"))
    assert {tuple(pair) for pair in found[["family", "part"]].to_numpy().tolist()} == {("item.a:b", "c: d")}
