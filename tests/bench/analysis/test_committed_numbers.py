"""Runs of suite `long` of long ago, kept beside the test, still give the numbers that were written of them then."""

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

OLD = Path(__file__).with_name("old_csv") / "schema-4"
OLD_RESULTS = OLD.with_name("results")
COMMIT = "d6b3418"
"""The code of the runs that there were when the old files were written; the suite has more rows by now."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The CSV files that today's code makes of those of the committed runs that there were then."""
    plan = Plan.read(OLD_RESULTS, "long")
    results = stored_results(plan.runs, OLD_RESULTS, Console(quiet=True), for_report=True)
    then = [
        result
        for result in results
        if result.environment["commit"].startswith(COMMIT) and result.spec.label != "tiger-extended"
    ]
    assert len(then) == 24
    runs = tuple(result.spec for result in then)
    out = tmp_path_factory.mktemp("long")
    write_frames(SuiteRuns.of(plan.suite, runs, then), out)
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
    told = old.columns[old.notna().any()]  # columns that are younger than the files are blank there
    # Another version of SciPy, as Python 3.10 has it, differs in the last digits of what it sums up.
    pd.testing.assert_frame_equal(new.loc[old.index, told], old[told], check_dtype=False, rtol=1e-9, atol=1e-12)
