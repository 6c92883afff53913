"""The suite's questions on the users who were set aside, as far as a look has opened their ranks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from bench.analysis.columns import CONFIRMED, SCHEMA
from bench.analysis.pairs import test_cells
from bench.analysis.questions import PartTest, overall_tests
from bench.analysis.report_columns import LOOKS
from bench.analysis.runs import Run, SuiteRuns
from bench.execution.confirmation import Look, folder_of, looks_at, ranks_of
from bench.spec import RunResult


def confirmed_frames(runs: SuiteRuns, results_dir: Path | None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What has been confirmed on one data set.

    Args:
        runs: Of one data set.
        results_dir: Where the records of looks are kept; None: nowhere.

    Returns:
        The tests of the suite's questions, with the columns `bench.analysis.columns.CONFIRMED`, and the looks, with the
        columns `bench.analysis.report_columns.LOOKS`. A question is there once ranks of both rows, as they are planned
        now, have been opened; Holm's correction is over these questions.
    """
    dataset = runs.runs[0].spec.dataset
    if results_dir is None or dataset.confirm is None:
        return CONFIRMED.frame(()), LOOKS.frame(())
    folder = folder_of(results_dir, dataset)
    looks = looks_at(folder)
    ranks = ranks_of(looks, folder)
    opened = [
        Run(run.spec, RunResult(run.spec, "complete", queries=ranks[run.spec.key]))
        for run in runs.runs
        if run.spec.key in ranks
    ]
    tests = overall_tests(SuiteRuns(runs.suite, tuple(opened)))
    return CONFIRMED.frame(_line(runs, test, looks) for test in tests), _looks_frame(looks)


def _line(runs: SuiteRuns, test: PartTest, looks: Sequence[Look]) -> tuple[object, ...]:
    known = runs.identities()
    keys = {run.spec.key for run in runs.runs if run.spec.label in test.labels}
    look = [look for look in looks if keys & {run.key for run in look.runs}][-1]
    identities = known[test.labels[0]], known[test.labels[1]]
    cells = test_cells(identities, test.test, test.p_holm, test.family)
    head = (SCHEMA, runs.suite.name, runs.dataset)
    return (*head, look.number, look.opened, " against ".join(test.labels), *cells)


def _looks_frame(looks: Sequence[Look]) -> pd.DataFrame:
    return LOOKS.frame(
        (
            *(look.number, look.suite, look.opened, look.commit, look.machine, look.queries, ", ".join(look.rows)),
            ", ".join(dict.fromkeys(run.commit or "unknown" for run in look.runs)),
        )
        for look in looks
    )
