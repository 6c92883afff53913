"""The trials of searches as a frame, as `trials.csv` holds it."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pandas as pd

from bench.conventions import PRIMARY_METRIC
from bench.tuning.study import Study

SCHEMA = 1

TRIAL_COLUMNS = (
    *("schema", "dataset", "model", "trial", "state", f"validation_{PRIMARY_METRIC}", "validations", "seconds"),
    *("seconds_per_trial", "values", "reason"),
)
"""Of `trials.csv`, one row a trial: `validations` counts them, `values` is JSON by dotted key."""


def trials_table(studies: Sequence[Study]) -> pd.DataFrame:
    """All trials, with the columns `TRIAL_COLUMNS`."""
    rows = [
        (
            *(SCHEMA, study.base.dataset.label, study.base.label, trial.number, trial.state, trial.validation),
            *(len(trial.validations), trial.seconds, study.seconds_per_trial, json.dumps(trial.values), trial.reason),
        )
        for study in studies
        for trial in study.trials
    ]
    return pd.DataFrame(rows, columns=list(TRIAL_COLUMNS))
