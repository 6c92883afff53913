"""Who beats whom: corrected over all pairs, the same from either side, and ranked over several data sets."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from as_text import cells_of

from bench.analysis.columns import PAIRS
from bench.analysis.dataset_tables import frames_of, write_frames
from bench.analysis.leaderboard import leaderboard, tidy_metrics
from bench.analysis.pairs import (
    best_baseline,
    pairs,
    verdicts,
)
from bench.analysis.runs import SuiteRuns
from bench.analysis.significance import compare, holm
from bench.reporting.figures import style
from bench.reporting.figures.pairs import pairwise_figure
from bench.reporting.table import Flagged
from bench.reporting.tables import pairs as pairwise
from bench.reporting.tables.pairs import beats_table
from bench.reporting.tables.results import FLAGS, flags_explained, main_table
from bench.spec import RunResult, RunSpec, Suite


@pytest.fixture(scope="module")
def wide(full_runs: SuiteRuns) -> pd.DataFrame:
    return leaderboard(tidy_metrics(full_runs)).assign(model=lambda wide: wide["row"])


@pytest.fixture(scope="module")
def compared(full_runs: SuiteRuns, wide: pd.DataFrame) -> pd.DataFrame:
    return pairs(full_runs, wide)


def table_of(*rows: tuple[str, str, float, float]) -> pd.DataFrame:
    """Pairs of which only these count: first, second, difference, corrected p-value."""
    table = pd.DataFrame(rows, columns=["first", "second", "difference", "p_holm"])
    return table.assign(dataset="d", n_queries=10)


def frames_with(compared: pd.DataFrame) -> Any:
    """Frames of which only these pairs count."""
    rows = list(dict.fromkeys([*compared["first"], *compared["second"]]))
    return SimpleNamespace(pairs=compared, leaderboard=pd.DataFrame({"row": rows, "warning": ""}))


def test_every_two_models_are_compared_and_corrected_together(
    compared: pd.DataFrame, full_runs: SuiteRuns, wide: pd.DataFrame
) -> None:
    n_models = len(full_runs.rows)
    assert list(compared.columns) == PAIRS.names
    assert len(compared) == n_models * (n_models - 1) // 2
    np.testing.assert_allclose(compared["p_holm"], holm(compared["p_value"].tolist()))
    assert compared["first"].iloc[0] == wide["model"].iloc[0]
    row = compared[(compared["first"] == "glass") & (compared["second"] == "popularity")].iloc[0]
    alone = compare(full_runs.of_row("glass"), full_runs.of_row("popularity"), "ndcg@10")
    assert alone is not None
    assert row["difference"] == pytest.approx(alone.difference)
    assert (row["low"], row["high"]) == pytest.approx((alone.low, alone.high))
    assert row["seeds"] == 3


def test_the_file_holds_the_comparisons(full_runs: SuiteRuns, tmp_path: Path) -> None:
    found = write_frames(full_runs, tmp_path)["ml-100k"].pairs
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "made-up" / "ml-100k" / "pairs.csv"), found)


def test_a_verdict_needs_significance_and_has_a_direction() -> None:
    compared = table_of(("a", "b", 0.1, 0.01), ("a", "c", 0.2, 0.01), ("b", "c", 0.1, 0.2), ("b", "d", -0.1, 0.04))
    assert verdicts(compared, "b") == {"a": 1, "c": 0, "d": 1}
    assert verdicts(compared, "d") == {"b": -1}
    assert verdicts(compared, "e") == {}


def test_the_matrix_says_the_same_from_either_side(compared: pd.DataFrame) -> None:
    table = beats_table(frames_with(compared))
    assert table is not None
    cells = [row[1:-2] for row in cells_of(table)]
    opposite = {">": "<", "<": ">", "=": "=", "": ""}
    for i, row in enumerate(cells):
        for j, cell in enumerate(row):
            assert cells[j][i] == opposite[cell]
    assert sum(row.count(">") for row in cells) == int((compared["p_holm"] < 0.05).sum()) > 5


def test_the_matrix_by_hand() -> None:
    table = beats_table(frames_with(table_of(("a", "b", 0.1, 0.2), ("a", "c", 0.2, 0.01))))
    assert table is not None
    assert table.rows == (
        (Flagged("1. a", ""), "", "=", ">", 1, 0),
        (Flagged("2. b", ""), "=", "", "?", 0, 0),
        (Flagged("3. c", ""), "<", "?", "", 0, 1),
    )
    assert beats_table(frames_with(table_of(("a", "b", 0.1, 0.2)))) is None
    assert beats_table(frames_with(table_of())) is None


def test_the_main_table_marks_what_differs_from_the_best_baseline(
    full_runs: SuiteRuns, wide: pd.DataFrame, compared: pd.DataFrame
) -> None:
    baseline = best_baseline(wide)
    assert baseline == "tiger"  # glass, ahead of it in this made-up world, is no baseline
    explained = "▲ ▼ NDCG@10 is significantly above or below that of tiger, the best baseline"
    frames = frames_of(full_runs)
    assert flags_explained(frames).startswith(explained)

    def flags(p_holm: float) -> dict[str, str]:
        table = main_table(dataclasses.replace(frames, pairs=compared.assign(p_holm=p_holm)))
        return {row[0].value: row[1].flag for row in table.rows if row[1].flag}

    assert flags(1.0) == {}
    index = wide["row"].tolist().index("tiger")
    others = [model for model in wide["row"] if model != "tiger"]
    assert flags(0.0) == {model: FLAGS[1 if others.index(model) < index else -1] for model in others}


def test_without_a_baseline_nothing_is_marked(full_runs: SuiteRuns) -> None:
    runs = SuiteRuns.of(
        full_runs.suite, [run.spec for run in full_runs.runs if run.spec.model == "glass"], full_runs.results
    )
    frames = frames_of(runs)
    assert best_baseline(frames.leaderboard) is None
    assert flags_explained(frames) == ""
    assert {row[1].flag for row in main_table(frames).rows} == {""}


def test_figures_show_every_model(compared: pd.DataFrame, full_runs: SuiteRuns) -> None:
    style.use_style()
    frames = frames_of(full_runs)
    figure = pairwise_figure(frames)
    assert figure is not None
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels[0].startswith("1. ")
    assert len(labels) == 11
    stars = sum(text.get_text().endswith("*") for text in figure.axes[0].texts)
    assert stars == 2 * (compared["p_holm"] < 0.05).sum()
    assert pairwise_figure(dataclasses.replace(frames, pairs=table_of(("a", "b", 0.1, 0.2)))) is None


def test_before_there_is_anything_to_compare(suite: Suite, planned: list[RunSpec], results: list[RunResult]) -> None:
    for ended in ([], results[:1], [dataclasses.replace(results[0], status="failed", queries=None)]):
        runs = SuiteRuns.of(suite, planned, ended)
        wide = leaderboard(tidy_metrics(runs))
        compared = pairs(runs, wide)
        assert compared.empty
        assert list(compared.columns) == PAIRS.names
        assert pairwise.against_best(frames_with(compared)) is None
        assert beats_table(frames_with(compared)) is None
        assert pairwise_figure(frames_of(runs)) is None
