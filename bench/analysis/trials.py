"""The trials of searches as a frame, as `trials.csv` holds it."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pandas as pd

from bench.analysis.columns import TRIALS, TRIALS_SCHEMA
from bench.analysis.runs import RowIdentity
from bench.errors import BenchError, SkippedRun
from bench.registry import class_of
from bench.spec import RunSpec
from bench.tuning.study import Study


def trials_table(studies: Sequence[Study]) -> pd.DataFrame:
    """All trials, with the columns `bench.analysis.columns.TRIALS`."""
    return TRIALS.frame(
        (
            *(
                TRIALS_SCHEMA,
                study.base.dataset.label,
                *_identity(study.base),
                trial.number,
                trial.state,
                trial.validation,
            ),
            *(len(trial.validations), trial.seconds, study.seconds_per_trial, json.dumps(trial.values), trial.reason),
        )
        for study in studies
        for trial in study.trials
    )


def _identity(run: RunSpec) -> RowIdentity:
    """A study keeps no result that could tell the role, so the model itself is asked, where it is here."""
    try:
        return RowIdentity(run.label, run.model, class_of(run).role)
    except (BenchError, SkippedRun):
        return RowIdentity(run.label, run.model, "")
