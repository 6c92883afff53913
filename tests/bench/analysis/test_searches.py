"""A search on one data set of a suite counts for the others, where a row has just what was best there."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.analysis.searches import BEST_TRIAL, NO_SEARCH, NOTHING_BETTER, OTHER_EPOCHS, OTHER_VALUES, _found
from bench.spec import DatasetSpec, Entry, RunSpec, Suite
from bench.tuning.study import Study, Trial

HERE, THERE = DatasetSpec(name="ml-100k"), DatasetSpec(name="complete-journey-compact")
SUITE = Suite(
    name="two", description="Two data sets.", datasets=(THERE, HERE), models=(Entry(model="popularity"),), seeds=(0,)
)


def run(dataset: DatasetSpec, revision: int = 1, **config: float) -> RunSpec:
    return RunSpec(
        dataset=dataset, data_hash=dataset.name, model="m", revision=revision, config=config, seed=0, label="m"
    )


def search(folder: Path, *tried: tuple[float, float]) -> None:
    """Keeps a search on the other data set: what was tried, and the validation of each; the first is the row itself."""
    trials = tuple(
        Trial(number=number, state="complete", values={"rate": rate}, validation=validation)
        for number, (rate, validation) in enumerate(tried)
    )
    Study(base=run(THERE, rate=tried[0][0]), space={"rate": "any"}, trials=trials).write(folder)


@pytest.mark.parametrize(
    ("tried", "rate", "expected"),
    [
        ([(1.0, 0.1), (2.0, 0.3), (3.0, 0.2)], 2.0, (THERE.label, BEST_TRIAL, 1, 3)),
        ([(1.0, 0.1), (2.0, 0.3), (3.0, 0.2)], 3.0, ("", NO_SEARCH, None, None)),
        ([(1.0, 0.1), (2.0, 0.3)], 1.0, ("", NO_SEARCH, None, None)),
        ([(1.0, 0.4), (2.0, 0.3)], 1.0, (THERE.label, NOTHING_BETTER, None, 2)),
        ([(1.0, 0.4), (2.0, 0.3)], 2.0, ("", NO_SEARCH, None, None)),
    ],
)
def test_what_was_best_elsewhere(
    tmp_path: Path, tried: list[tuple[float, float]], rate: float, expected: tuple[object, ...]
) -> None:
    search(tmp_path, *tried)
    assert _found(run(HERE, rate=rate), SUITE, tmp_path)[:4] == expected


def test_a_search_with_other_code_counts_nowhere(tmp_path: Path) -> None:
    search(tmp_path, (1.0, 0.1), (2.0, 0.3))
    assert _found(run(HERE, revision=2, rate=2.0), SUITE, tmp_path)[1] == NO_SEARCH


@pytest.mark.parametrize(
    ("best", "epochs", "rate", "expected"),
    [
        (1, 12, 2.0, ("", OTHER_EPOCHS, 1)),
        (1, 6, 2.0, ("", BEST_TRIAL, 1)),
        (1, 12, 1.0, ("", OTHER_VALUES, None)),
        (1, 6, 3.0, ("", OTHER_VALUES, None)),
        (0, 12, 1.0, ("", OTHER_EPOCHS, 0)),
        (0, 6, 1.0, ("", NOTHING_BETTER, None)),
    ],
)
def test_a_row_that_trains_longer_than_its_best_trial_did(
    tmp_path: Path, best: int, epochs: int, rate: float, expected: tuple[object, ...]
) -> None:
    def own(rate: float, epochs: int) -> RunSpec:
        training = {"epochs": epochs, "validate_every": 1 + epochs // 8}
        return run(HERE).model_copy(update={"config": {"rate": rate, "training": training}})

    trials = tuple(
        Trial(number=number, state="complete", values={"rate": rate}, validation=0.3 if number == best else 0.1)
        for number, rate in enumerate((1.0, 2.0))
    )
    Study(base=own(1.0, 6), space={"rate": "any"}, trials=trials).write(tmp_path)
    found = _found(own(rate, epochs), SUITE, tmp_path)
    assert found[:3] == expected
    assert found[-1] == (6 if expected[1] == OTHER_EPOCHS else None)


def test_the_search_of_another_row_of_the_model_is_not_its_own(tmp_path: Path) -> None:
    trial = Trial(number=0, state="complete", values={"rate": 2.0}, validation=0.1)
    Study(base=run(HERE, rate=2.0), space={"rate": "any"}, trials=(trial,)).write(tmp_path)
    assert _found(run(HERE, rate=3.0), SUITE, tmp_path)[1] == OTHER_VALUES
    other = run(HERE, rate=3.0).model_copy(update={"label": "m-beside"})
    assert _found(other, SUITE, tmp_path)[1] == NO_SEARCH


def test_the_search_on_the_runs_own_data_goes_before(tmp_path: Path) -> None:
    search(tmp_path, (1.0, 0.1), (2.0, 0.3))
    own = run(HERE, rate=2.0)
    worse, better = (
        Trial(number=number, state="complete", values={"rate": rate}, validation=validation)
        for number, rate, validation in ((0, 2.0, 0.1), (1, 5.0, 0.3))
    )
    Study(base=own, space={"rate": "any"}, trials=(worse, better)).write(tmp_path)
    assert _found(own, SUITE, tmp_path)[:2] == ("", "a better one")
