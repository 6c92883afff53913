"""What a model notes in a form that nobody expects costs its own cells, and the report says whose they were."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from as_text import text_of
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.analysis.dataset_tables import frames_of
from bench.analysis.decoding import over_seeds, training_accuracy
from bench.analysis.diagnostics import malformed
from bench.analysis.leaderboard import tidy_metrics
from bench.analysis.runs import SuiteRuns
from bench.report import write_report
from bench.reporting.tables import decoding, results, semantic_ids
from bench.reporting.tables.provenance import runs_of, unreadable_diagnostics
from bench.spec import RunResult, RunSpec, Suite

KEYS = ("sid", "sid_health", "decoding", "exact", "training_accuracy", "fidelity")
ODD = (None, True, 3, "text", [], {}, [1], [None], {"level": 1}, [{"level": "x"}], {"collision_rate": "0.5"})
ODD_TOO = ({"valid_share": float("nan")}, {"ndcg@10": None}, [[0.1], "x"], [{"name": 1}], {"tokenizer": 5}, [[[]]])


def odd(result: RunResult, **noted: Any) -> RunResult:
    return replace(result, diagnostics={**result.diagnostics, **noted})


def read_by_all(grid: SuiteRuns) -> pd.DataFrame:
    """Whatever reads diagnostics; returns the metrics of single runs."""
    tidy = tidy_metrics(grid)
    frames = frames_of(grid)
    semantic_ids.level_table(frames)
    semantic_ids.sid_health_table(frames)
    results.best_possible_table(frames)
    decoding.accuracy_table(frames)
    unreadable_diagnostics(runs_of([frames]))
    return tidy


def others(tidy: pd.DataFrame) -> pd.DataFrame:
    """The values that no diagnosis is needed for."""
    columns = ["model", "seed", "level", "slice", "metric", "value"]
    return tidy.loc[tidy["level"] != "run", columns].reset_index(drop=True)


def test_a_report_is_written_whatever_a_model_notes(
    suite: Suite, planned: list[RunSpec], results: list[RunResult], tmp_path: Path
) -> None:
    small = suite.model_copy(update={"seeds": (0,)})
    first = [run for run in planned if run.seed == 0]
    given = [result for result in results if result.spec.seed == 0]
    noted: dict[str, Any] = {key: [1] for key in KEYS}
    spoilt = [odd(result, **noted) if result.spec.label == "glass" else result for result in given]
    page = write_report(small, first, spoilt, tmp_path / "results", tmp_path / "reports", "bench run").read_text()
    (line,) = [line for line in page.splitlines() if line.startswith("- glass on ml-100k, seed 0: ")]
    assert all(f"{key}: Input should be" in line or f"{key}.0: Input should be" in line for key in KEYS)
    assert "- tiger on ml-100k" not in page
    tidy = pd.read_csv(tmp_path / "results" / "made-up" / "ml-100k" / "metrics.csv")
    right = tidy_metrics(SuiteRuns.of(small, first, given))
    pd.testing.assert_frame_equal(others(tidy), others(right), check_dtype=False)


@pytest.mark.slow
@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.fixed_dictionaries({}, optional=dict.fromkeys(KEYS, st.sampled_from(ODD + ODD_TOO))))
def test_no_section_stumbles_over_diagnostics(full_runs: SuiteRuns, noted: dict[str, Any]) -> None:
    glass = SuiteRuns(full_runs.suite, tuple(run for run in full_runs.runs if run.spec.label in ("glass", "tiger")))
    runs = [run.spec for run in glass.runs]
    spoilt = [odd(result, **noted) if result.spec.label == "glass" else result for result in glass.results]
    grid = SuiteRuns.of(full_runs.suite, runs, spoilt)
    read_by_all(grid)
    told = text_of(unreadable_diagnostics(runs_of([frames_of(grid)])))
    assert told.count("- glass on") == 3 * bool(malformed(spoilt[0]) or malformed(spoilt[1]))
    assert "- tiger on" not in told


def test_seeds_that_differ_in_their_levels_are_read(full_runs: SuiteRuns) -> None:
    results = full_runs.of_row("glass")
    accuracies = [[[0.5] * (2 + number)] * len(result.curve) for number, result in enumerate(results)]
    spoilt = [odd(result, training_accuracy=noted) for result, noted in zip(results, accuracies, strict=True)]
    measured = [accuracy for result in spoilt if (accuracy := training_accuracy(result)) is not None]
    assert len(measured) == 3
    mean, _ = over_seeds(measured)
    assert mean[:2].tolist() == [0.5, 0.5]
    assert pd.isna(mean[2:]).all()
