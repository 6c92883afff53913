from __future__ import annotations

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.errors import BenchError
from bench.search_space import Choice, LogUniform, SearchSpace, Uniform
from bench.spec import DatasetSpec, RunSpec
from bench.tuning.sampler import RANDOM_TRIALS, next_values, require_optuna
from bench.tuning.study import Study, Trial

SPACE: SearchSpace = {"rate": LogUniform(1e-4, 1e-1), "drop": Uniform(0.0, 0.5), "shape": Choice((1, 2), (4,), None)}
BASE = RunSpec(
    dataset=DatasetSpec(name="ml-100k"),
    data_hash="",
    model="m",
    revision=1,
    config={"rate": 1e-3, "drop": 0.1, "shape": None},
    seed=0,
    label="m",
)
require_optuna()


def searched(trials: int, study: Study | None = None) -> Study:
    """A search whose validation is best at a rate of 0.1 without dropout."""
    study = study or Study(base=BASE, space={}).with_trial(trial_of(0, BASE.config))
    for number in range(len(study.trials), trials):
        study = study.with_trial(trial_of(number, next_values(study, SPACE, number, [])))
    return study


def trial_of(number: int, values: dict[str, object]) -> Trial:
    score = float(values["rate"]) - float(values["drop"])  # type: ignore[arg-type]
    return Trial(number=number, state="complete", values=values, validations=(score,), validation=score)


def test_the_same_search_gives_the_same_trials_and_another_model_others() -> None:
    assert searched(14) == searched(14)
    other = Study(base=BASE.model_copy(update={"model": "n"}), space={}).with_trial(trial_of(0, BASE.config))
    assert searched(2).trials[1].values != searched(2, other).trials[1].values


def test_a_search_that_was_stored_goes_on_as_it_would_have_gone_on() -> None:
    stored = Study.model_validate_json(searched(10).model_dump_json())
    assert searched(14, stored) == searched(14)


def test_the_sampler_learns_from_the_trials() -> None:
    found = searched(40).trials
    early = [trial.validation or 0 for trial in found[1:RANDOM_TRIALS]]
    late = [trial.validation or 0 for trial in found[-10:]]
    assert sum(late) / len(late) > sum(early) / len(early) + 0.1


@given(number=st.integers(1, 10**6))
@settings(deadline=None, max_examples=30)
def test_what_is_tried_lies_in_the_space_with_three_digits(number: int) -> None:
    values = next_values(Study(base=BASE, space={}), SPACE, number, [])
    assert 1e-4 <= values["rate"] <= 1e-1
    assert 0 <= values["drop"] <= 0.5
    assert values["shape"] in ([1, 2], [4], None)
    assert values["rate"] == float(f"{values['rate']:.3g}")


def test_nothing_is_tried_twice_while_there_is_something_else() -> None:
    space: SearchSpace = {"shape": Choice(1, 2, 3)}
    study = Study(base=BASE, space={})
    for number in range(2):
        values = next_values(study, space, number, [{"shape": 3}])
        study = study.with_trial(Trial(number=number, state="failed", values=values))
    assert {trial.values["shape"] for trial in study.trials} == {1, 2}
    assert next_values(study, space, 2, [{"shape": 3}])["shape"] in (1, 2, 3)


def test_without_optuna_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(BenchError, match=r"needs the package 'optuna': pip install -e '.\[tune\]'"):
        require_optuna()
