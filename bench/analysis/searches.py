"""How the configuration of each row was found, as far as the searches kept beside the results tell."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from bench.analysis.report_columns import TUNING
from bench.analysis.runs import SuiteRuns
from bench.config import flattened, value_at, with_values
from bench.searched_as import SearchedAs
from bench.spec import RunSpec, Suite
from bench.tuning.study import Study

BEST_TRIAL, NOTHING_BETTER, A_BETTER_ONE, NO_SEARCH = "best trial", "nothing better", "a better one", "no search"
OTHER_EPOCHS, OTHER_VALUES = "other epochs", "other values"
"""Outcomes: the row has the configuration of the best trial; it has the one that the search began with, and nothing
better, or something better that it does not have, was found; nothing is known of a search. With other epochs, the row
has the configuration of the best trial but for how long it trains, as where the limit of time ended that trial; with
other values, the row was searched, and has a configuration that is not from the search."""

_EPOCHS, _LENGTH_OF_TRAINING = "training.epochs", ("training.epochs", "training.validate_every")

_BLANK = (None,) * 15


def tuning_frame(runs: SuiteRuns, results_dir: Path | None) -> pd.DataFrame:
    """One line a row, with the columns `bench.analysis.report_columns.TUNING`.

    Args:
        runs: Of one data set.
        results_dir: Where searches are kept; None: nowhere.

    Raises:
        BenchError: The file of a search is unreadable.
    """
    known = runs.identities()
    specs = {run.spec.label: run.spec for run in runs.runs}
    lines = []
    for label, own in specs.items():
        as_row, spec = _searched(own, specs, runs.suite.searched_as.get(label))
        outcome = _found(spec, runs.suite, results_dir) if spec and results_dir else ("", NO_SEARCH, *_BLANK)
        lines.append((*known[label], as_row, *outcome))
    return TUNING.frame(lines)


def _found(run: RunSpec, suite: Suite, results_dir: Path) -> tuple[object, ...]:
    """The cells from `searched_on` on: of the search on the run's own data, else of one on other data of the suite.

    A search on other data counts for a row that has just what was best there: whoever searches on one data set and
    judges on all of them has chosen nothing on the others. Searches with other code, or on this data set with other
    data, don't count.
    """
    for dataset in (run.dataset, *suite.datasets):
        is_own = dataset.label == run.dataset.label
        studies = [
            study
            for study in Study.all_of(results_dir, run.model_copy(update={"dataset": dataset}))
            if study.trials and study.base.revision == run.revision
            if not is_own or study.base.data_hash == run.data_hash
        ]
        outcome = _outcome(run, studies)
        if outcome[0] in (BEST_TRIAL, NOTHING_BETTER) or (is_own and outcome[0] != NO_SEARCH):
            return ("" if is_own else dataset.label, *outcome)
    return ("", NO_SEARCH, *_BLANK)


def _searched(run: RunSpec, runs: Mapping[str, RunSpec], how: SearchedAs | None) -> tuple[str, RunSpec | None]:
    """The label of the other row that was searched for a row, "" for none, and the run that was searched.

    A setting of the user's may have changed one of both, so that the row has no longer what was found for the other
    one. None: the other row is not among these runs.
    """
    if how is None or (how.row in runs and how.differences(run.config, runs[how.row].config)):
        return "", run
    return how.row, runs.get(how.row)


def _outcome(run: RunSpec, studies: Sequence[Study]) -> tuple[object, ...]:
    """The cells from `outcome` on, by searches that count for the run."""
    for study in studies:
        if study.changes and study.best and study.best_config == run.config:
            return (BEST_TRIAL, study.best.number, *_budget(study))
    for study in studies:
        if study.base.config == run.config:
            return (A_BETTER_ONE if study.changes else NOTHING_BETTER, None, *_budget(study))
    own = flattened(run.config)
    lengths = {key: value_at(run.config, key) for key in _LENGTH_OF_TRAINING if key in own}
    for study in studies if _EPOCHS in lengths else ():
        best = study.best_config
        if study.best and _EPOCHS in flattened(best) and with_values(best, lengths) == run.config:
            return (OTHER_EPOCHS, study.best.number, *_budget(study, value_at(best, _EPOCHS)))
    for study in studies:
        if study.base.label == run.label:
            return (OTHER_VALUES, None, *_budget(study))
    return (NO_SEARCH, *_BLANK)


def _budget(study: Study, best_epochs: int | None = None) -> tuple[object, ...]:
    """The cells from `trials` on; `best_epochs` where the row trains for others."""
    counts, default, best = study.counts, study.default, study.best
    seconds = sum(trial.seconds for trial in study.trials) + sum(made.seconds for made in study.confirmations)
    confirmed = study.confirmed.get(best.number) if best else None
    seeds = 1 + len({made.seed for made in study.confirmations}) if confirmed is not None else None
    return (
        *(len(study.trials), counts["complete"], study.n_cut_short),
        *(counts["pruned"], counts["failed"], study.seconds_per_trial, seconds),
        *(_best_so_far(study), confirmed, seeds),
        *(default.validation if default else None, best.validation if best else None),
        int(best.cut_short) if best else None,
        best_epochs,
    )


def _best_so_far(study: Study) -> str:
    """The curve of the search: the trials that were better than all before."""
    parts, best = [], -math.inf
    for trial in study.trials:
        if trial.validation is not None and trial.validation > best:
            best = trial.validation
            parts.append(f"{best:.4f} ({trial.number})")
    return ", ".join(parts)
