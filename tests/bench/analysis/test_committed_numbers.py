"""The committed runs of suite `long` still give the numbers that an earlier version wrote of them, digit by digit."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from bench.analysis.columns import DECODING, LEADERBOARD, METRICS, PAIRS, TESTS
from bench.analysis.dataset_tables import write_frames
from bench.analysis.declared import FrameColumns
from bench.analysis.old_files import read_frame
from bench.analysis.runs import SuiteRuns
from bench.execution.store import stored_results
from bench.plan import Plan

ROOT = Path(__file__).parents[3]
OLD = Path(__file__).with_name("old_csv") / "schema-4"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The CSV files that today's code makes of the committed runs."""
    plan = Plan.read(ROOT / "results", "long")
    results = stored_results(plan.runs, ROOT / "results", Console(quiet=True), for_report=True)
    out = tmp_path_factory.mktemp("long")
    write_frames(SuiteRuns.of(plan.suite, plan.runs, results), out)
    return out / "long" / "complete-journey"


@pytest.mark.parametrize("declared", [METRICS, LEADERBOARD, PAIRS, TESTS, DECODING], ids=lambda declared: declared.name)
def test_the_committed_runs_give_the_numbers_of_the_old_files(declared: FrameColumns, folder: Path) -> None:
    keys = {
        "metrics": ["row", "seed", "level", "slice", "metric"],
        "leaderboard": ["row"],
        "pairs": ["first", "second"],
        "tests": ["kind", "title", "partition", "part", "first"],
        "decoding": ["row", "seed", "metric", "part"],
    }[declared.name]
    added = {"schema", "model", "role", "first_model", "first_role", "second_model", "second_role"}
    old, new = (
        read_frame(place / declared.file, declared).set_index(keys).drop(columns=added, errors="ignore")
        for place in (OLD, folder)
    )
    pd.testing.assert_frame_equal(new.loc[old.index], old, check_dtype=False, check_exact=True)
