from __future__ import annotations

import pytest

from bench.spec import DatasetSpec, RunSpec
from bench.tuning.pruning import LEAST_PEERS, NEVER, RUNGS, best_at, pruner_for
from bench.tuning.study import State, Study, Trial

BASE = RunSpec(dataset=DatasetSpec(name="ml-100k"), data_hash="", model="m", revision=1, config={}, seed=0, label="m")
QUARTERS = (0.25, 0.5, 0.75, 1.0)


def trial_of(number: int, validations: tuple[float, ...], state: State = "complete") -> Trial:
    best = max(validations) if state == "complete" else None
    shares = QUARTERS[: len(validations)]
    return Trial(number=number, state=state, values={}, validations=validations, shares=shares, validation=best)


def study_of(*trials: Trial) -> Study:
    return Study(base=BASE, space={}, trials=trials)


PEERS = [trial_of(number, (0.1 * number, 0.1 * number + 0.05, 0.9, 0.9)) for number in range(1, 5)]


def test_the_thresholds_are_medians_at_the_rungs() -> None:
    assert RUNGS == (0.25, 0.5)
    assert len(PEERS) == LEAST_PEERS
    assert pruner_for(study_of(*PEERS)).thresholds == pytest.approx((0.25, 0.3))
    assert pruner_for(study_of(*PEERS[1:])) == NEVER


@pytest.mark.parametrize(
    ("validations", "shares", "given_up"),
    [
        ((0.2,), (0.1,), False),  # no rung yet
        ((0.2,), (0.25,), True),
        ((0.2,), (0.2496,), True),  # a share is known to three digits
        ((0.26,), (0.25,), False),
        ((0.26, 0.26), (0.25, 0.4), False),  # between the rungs
        ((0.26, 0.26), (0.25, 0.5), True),
        ((0.31, 0.1), (0.25, 0.5), False),  # the best so far counts
        ((0.29,), (0.6,), True),  # both at once: the second one decides here
        ((0.26, 0.31, 0.0), (0.25, 0.5, 1.0), False),
    ],
)
def test_a_trial_is_given_up_where_its_best_is_below_the_median_of_a_rung_that_it_reaches(
    validations: tuple[float, ...], shares: tuple[float, ...], given_up: bool
) -> None:
    assert pruner_for(study_of(*PEERS)).gives_up(validations, shares) is given_up
    assert not NEVER.gives_up(validations, shares)


def test_trials_that_were_given_up_count_at_the_rungs_that_they_reached_and_failed_ones_nowhere() -> None:
    given_up = trial_of(5, (0.0,), "pruned")
    failed = trial_of(6, (9.0, 9.0), "failed")
    assert pruner_for(study_of(*PEERS, given_up, failed)).thresholds == pytest.approx((0.2, 0.3))


def test_a_trial_that_stopped_early_counts_with_its_best_at_later_rungs() -> None:
    assert best_at(0.5, (0.1, 0.3), (0.1, 0.2), complete=True) == 0.3
    assert best_at(0.5, (0.1, 0.3), (0.1, 0.2), complete=False) is None
    assert best_at(0.25, (0.1, 0.3), (0.3, 0.6), complete=False) == 0.1


def test_about_half_of_many_trials_pass_each_rung() -> None:
    study, passed = study_of(), [0, 0]
    for number in range(64):
        value = (number * 37 % 64) / 64
        pruner, reached = pruner_for(study), 0
        while reached < len(QUARTERS):
            reached += 1
            if pruner.gives_up((value,) * reached, QUARTERS[:reached]):
                break
        passed[0] += reached > 1
        passed[1] += reached > 2
        state: State = "complete" if reached == len(QUARTERS) else "pruned"
        study = study.with_trial(trial_of(number, (value,) * reached, state))
    assert 24 <= passed[0] <= 44
    assert 12 <= passed[1] <= 28
