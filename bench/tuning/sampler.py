"""What to try next: Optuna's TPE sampler over the trials of a study.

Optuna's own study is rebuilt from ours for each question, and its sampler is seeded by the number of the trial. So a
search that was interrupted goes on just as it would have gone on, and nothing but `study.json` has to be stored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bench.errors import BenchError
from bench.search_space import Choice, LogUniform, SearchSpace
from bench.seeds import seed_for
from bench.tuning.study import Study, Trial

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution

RANDOM_TRIALS = 6
"""Trials drawn at random, the row as it is among them, before the sampler learns from them."""
_DIGITS = 3
_ATTEMPTS = 50


def require_optuna() -> None:
    """Raises BenchError where the optional package is not installed."""
    try:
        import optuna
    except ImportError:
        raise BenchError("bench tune needs the package 'optuna': pip install -e '.[tune]'") from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def next_values(
    study: Study, space: SearchSpace, number: int, under_way: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Tells what trial `number` tries.

    Equal studies give equal values, in whatever process, with one version of Optuna. What was tried before is not tried
    again, unless the space seems to hold nothing else.

    Args:
        study: With the trials that have ended.
        space: What may be tried.
        number: Of the trial; 0 is the row as it is and asks nobody.
        under_way: What the trials that have not ended try.
    """
    tried = [*(trial.values for trial in study.trials), *under_way]
    known = [{key: values[key] for key in space} for values in tried]
    values: dict[str, Any] = {}
    for attempt in range(_ATTEMPTS):
        values = _sampled(study, space, seed_for("tune", study.base.model, study.base.dataset.label, number, attempt))
        if values not in known:
            break
    return values


def _sampled(study: Study, space: SearchSpace, seed: int) -> dict[str, Any]:
    import optuna

    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=RANDOM_TRIALS)
    optuna_study = optuna.create_study(direction="maximize", sampler=sampler)
    distributions = {key: _distribution(dimension) for key, dimension in space.items()}
    for trial in study.trials:
        optuna_study.add_trial(_as_optuna(trial, space, distributions))
    sampled = optuna_study.ask(distributions).params
    return {key: _value(dimension, sampled[key]) for key, dimension in space.items()}


def _as_optuna(
    trial: Trial, space: SearchSpace, distributions: dict[str, BaseDistribution]
) -> optuna.trial.FrozenTrial:
    import optuna

    states = {
        "complete": optuna.trial.TrialState.COMPLETE,
        "pruned": optuna.trial.TrialState.PRUNED,
        "failed": optuna.trial.TrialState.FAIL,
    }
    params = {
        key: dimension.options.index(trial.values[key]) if isinstance(dimension, Choice) else trial.values[key]
        for key, dimension in space.items()
    }
    return optuna.trial.create_trial(
        state=states[trial.state],
        value=trial.validation,
        params=params,
        distributions=distributions,
        intermediate_values=dict(enumerate(trial.validations)),
    )


def _distribution(dimension: Any) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    if isinstance(dimension, Choice):
        return CategoricalDistribution(range(len(dimension.options)))  # options may be lists, which Optuna won't take
    return FloatDistribution(dimension.low, dimension.high, log=isinstance(dimension, LogUniform))


def _value(dimension: Any, sampled: Any) -> Any:
    """A sampled value as it is tried: floats with three digits, since more of them only look exact."""
    if isinstance(dimension, Choice):
        return dimension.options[sampled]
    return min(max(float(f"{sampled:.{_DIGITS}g}"), dimension.low), dimension.high)
