from __future__ import annotations

import io
import time
from pathlib import Path

import pytest
import searched_models
from rich.console import Console
from searching import base_of

from bench.data import catalog
from bench.data.interactions import Histories
from bench.errors import BenchError, SkippedRun
from bench.evaluation.evaluator import validation_ndcg
from bench.execution import worker
from bench.execution.scheduler import DIED
from bench.recommender import FitContext, Recommender
from bench.registry import class_of
from bench.spec import RunResult, RunSpec
from bench.tuning import search, trial, tuner
from bench.tuning.search import Search
from bench.tuning.study import Confirmation, Study, Trial
from bench.tuning.tuner import Budget, Means

pytestmark = pytest.mark.usefixtures("searched")


def tune(
    results: Path, *bases: RunSpec, trials: int = 6, seconds: float | None = None, **more: float
) -> tuple[list[Study], str]:
    """The studies, and what was printed on the way."""
    printed = io.StringIO()
    budget = Budget(trials, seconds, **more)  # type: ignore[arg-type]
    return tuner.tune(bases, budget, Means(results, Console(file=printed), "cpu", 1)), printed.getvalue()


def test_trial_0_is_the_row_as_it_is_and_no_row_is_better_than_its_best(tmp_path: Path) -> None:
    base = base_of("searched", quality=0.7)
    (study,), said = tune(tmp_path, base)
    assert [trial.number for trial in study.trials] == list(range(6))
    first = study.trials[0]
    assert first.values == {"quality": 0.7, "shape": [1, 2]}
    assert first.validations == pytest.approx((0.07, 0.14, 0.21, 0.28))
    assert study.default == first
    assert study.best is not None
    assert study.best.validation == max(max(trial.validations) for trial in study.trials)
    assert study.best_config == {**base.config, **study.best.values}
    assert "searched on ml-100k, trial 0: validation NDCG@10 0.2800 (best 0.2800)" in said
    assert "(6 of 6)" in said
    assert Study.read(tmp_path, base) == study


def test_the_best_of_equals_is_the_row_as_it_is(tmp_path: Path) -> None:
    (study,), _ = tune(tmp_path, base_of("searched", quality=1.0), trials=3)
    assert study.best is not None
    assert (study.best.number, study.changes, study.as_settings()) == (0, {}, [])


def test_the_same_search_twice_is_the_same(tmp_path: Path) -> None:
    found = [tune(tmp_path / name, base_of("searched"), trials=8)[0][0] for name in ("a", "b")]
    tried = [[(trial.state, trial.values, trial.validations) for trial in study.trials] for study in found]
    assert tried[0] == tried[1]


def test_an_interrupted_search_goes_on_as_if_nothing_had_happened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tune(tmp_path / "a", base_of("searched"))[0][0]
    record, fit = Search.record, searched_models.Searched.fit

    def interrupted(of_row: Search, result: RunResult) -> None:
        record(of_row, result)
        if result.spec.seed == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(Search, "record", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tune(tmp_path / "b", base_of("searched"))
    monkeypatch.setattr(Search, "record", record)
    fits = []
    monkeypatch.setattr(searched_models.Searched, "fit", lambda *given: (fits.append(1), fit(*given)))
    (study,), said = tune(tmp_path / "b", base_of("searched"))
    assert "3 of 6 trials to do" in said
    assert len(fits) == 3
    assert [trial.values for trial in study.trials] == [trial.values for trial in whole.trials]


def test_hopeless_trials_end_early_but_never_the_row_as_it_is(tmp_path: Path) -> None:
    (study,), said = tune(tmp_path, base_of("searched", quality=0.01), trials=20)
    pruned = [trial for trial in study.trials if trial.state == "pruned"]
    assert pruned
    assert {trial.shares for trial in pruned} <= {(0.25,), (0.25, 0.5)}
    assert {(len(trial.validations), trial.validation) for trial in pruned} <= {(1, None), (2, None)}
    assert study.trials[0].state == "complete"
    assert f"trial {pruned[0].number}: pruned at validation NDCG@10" in said
    assert {trial.state for trial in study.trials[:5]} == {"complete"}


def test_a_failed_trial_is_a_trial_with_a_reason_and_a_log(tmp_path: Path) -> None:
    base = base_of("moody")
    (study,), said = tune(tmp_path, base, trials=8)
    failed = [trial for trial in study.trials if trial.state == "failed"]
    assert 0 < len(failed) < 8
    assert {(trial.values["mood"], trial.reason, trial.validation) for trial in failed} == {
        ("angry", "RuntimeError: not now", None)
    }
    assert f"trial {failed[0].number}: failed: RuntimeError: not now" in said
    log = (Study.folder(tmp_path, base) / f"trial-{failed[0].number}.log").read_text()
    assert "fitting with" in log
    assert "Traceback" in log
    assert "0 of 8 trials to do" in tune(tmp_path, base, trials=8)[1]


def test_out_of_time_a_trial_ends_with_its_best_validation_so_far(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (study,), _ = tune(tmp_path, base_of("searched", epochs=50), trials=2, seconds=0.0)
    assert [(len(trial.validations), trial.state) for trial in study.trials] == [(1, "complete")] * 2
    assert study.trials[0].validation == pytest.approx(0.05)
    assert study.trials[0].reason == "ended after the limit of 0 s"
    assert study.trials[0].cut_short

    def preparing(model: searched_models.Searched, *given: object) -> None:
        time.sleep(0.6)  # longer than the limit, and no trial's fault
        fit(model, *given)  # type: ignore[arg-type]

    fit = searched_models.Searched.fit
    monkeypatch.setattr(searched_models.Searched, "fit", preparing)
    (study,), _ = tune(tmp_path / "slow", base_of("searched"), trials=1, seconds=0.5)
    assert (len(study.trials[0].validations), study.trials[0].reason) == (4, "")
    assert not study.trials[0].cut_short


def test_a_model_without_epochs_is_validated_once_at_its_end(tmp_path: Path) -> None:
    (study,), _ = tune(tmp_path, base_of("withoutepochs"), trials=1)
    assert study.trials[0].validations == pytest.approx((0.15,))


def test_two_rows_get_the_same_number_of_trials_in_turn(tmp_path: Path) -> None:
    rows = base_of("searched"), base_of("searched", label="other", epochs=2), base_of("searched", label="same as first")
    studies, said = tune(tmp_path, *rows, trials=3)
    assert [len(study.trials) for study in studies] == [3, 3]
    assert said.index("other on ml-100k, trial 0") < said.index("searched on ml-100k, trial 1")


def test_trials_leave_no_runs_behind_and_no_test_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "judge", lambda *_, **__: pytest.fail("judged on the test queries"))
    monkeypatch.setattr(worker, "trace_queries", lambda *_: pytest.fail("traced on the test queries"))
    tune(tmp_path, base_of("searched"), trials=2)
    assert not (tmp_path / "runs").exists()
    assert [path for path in (tmp_path / "tuning" / "runs").rglob("*") if path.is_file()] == []


def test_a_trial_never_sees_a_test_query(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each user has 12 films: 10 train, the 11th is the validation target, the 12th that of the test."""
    monkeypatch.setattr(trial, "validation_ndcg", validation_ndcg)
    data = catalog.load_dataset("ml-100k").interactions
    lengths, recommend = set(), searched_models.Searched.recommend

    def spied(model: searched_models.Searched, histories: Histories, k: int) -> object:
        lengths.update(histories.lengths.tolist())
        return recommend(model, histories, k)

    monkeypatch.setattr(searched_models.Searched, "recommend", spied)
    (study,), _ = tune(tmp_path, base_of("searched"), trials=2)
    assert {trial.state for trial in study.trials} == {"complete"}
    assert set(data.lengths.tolist()) == {12}
    assert lengths == {10}


def test_another_time_limit_or_space_is_not_mixed_with_earlier_trials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = base_of("searched")
    tune(tmp_path, base, trials=1)
    with pytest.raises(BenchError, match="were made without --seconds-per-trial: do likewise, or delete"):
        tune(tmp_path, base, seconds=3)
    tune(tmp_path / "limited", base, trials=1, seconds=3)
    with pytest.raises(BenchError, match="were made with --seconds-per-trial 3: do likewise"):
        tune(tmp_path / "limited", base)
    monkeypatch.setattr(searched_models.Searched, "search_space", {})
    monkeypatch.setattr("bench.tuning.spaces.USUAL", {"quality": searched_models.Choice(0.1, 0.2)})
    with pytest.raises(BenchError, match="were made in another search space: delete"):
        tune(tmp_path, base)


def test_a_changed_default_starts_a_new_search(tmp_path: Path) -> None:
    tune(tmp_path, base_of("searched"), trials=2)
    assert "2 of 2 trials to do" in tune(tmp_path, base_of("searched", epochs=5), trials=2)[1]


def test_rows_that_can_not_be_tuned_are_errors_of_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, message in [
        ("popularity", "model 'popularity' has nothing to tune: leave it out"),
        ("misspelt", "search space of model 'misspelt': unknown key 'qualty': did you mean quality?"),
    ]:
        with pytest.raises(BenchError, match=message.replace("?", "[?]")):
            tune(tmp_path, base_of(name))

    def absent(name: str) -> None:
        raise SkippedRun("needs the package 'unobtainium'")

    monkeypatch.setattr(search, "class_of", absent)
    with pytest.raises(BenchError, match="model 'searched' needs the package 'unobtainium'"):
        tune(tmp_path, base_of("searched"))
    assert not (tmp_path / "tuning").exists()


def test_an_unreadable_study_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    base = base_of("searched")
    tune(tmp_path, base, trials=1)
    path = Study.folder(tmp_path, base) / "study.json"
    path.write_text(path.read_text()[:100])
    with pytest.raises(BenchError, match=f"unreadable study '{path}': delete"):
        tune(tmp_path, base)


def test_a_trial_whose_process_dies_is_a_failed_one_and_is_asked_for_once(tmp_path: Path) -> None:
    found_by = Search.of(base_of("searched"), tmp_path, None)
    planned = found_by.study.base.model_copy(update={"seed": 1})
    first, again = found_by.job(planned), found_by.job(planned)
    assert first.args[0].run == again.args[0].run  # type: ignore[attr-defined]
    found_by.record(RunResult(spec=planned, status="failed", reason=DIED))
    (found,) = found_by.study.trials
    assert (found.number, found.state, found.reason, found.validations) == (1, "failed", DIED, ())
    assert found.values == {key: first.args[0].run.config[key] for key in ("quality", "shape")}  # type: ignore[attr-defined]


def test_a_trial_without_a_validation_fails_after_twice_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reporting(model: searched_models.Searched, train: object, context: FitContext) -> None:
        for step in range(100):
            time.sleep(0.02)
            context.report_progress(step / 100, "on the way")

    monkeypatch.setattr(searched_models.Searched, "fit", reporting)
    (study,), _ = tune(tmp_path, base_of("searched"), trials=1, seconds=0.1)
    (found,) = study.trials
    assert (found.state, found.reason) == ("failed", "TimeoutError: no validation within 2 times the limit of 0.1 s")
    assert found.seconds < 1


def test_the_share_that_is_over_is_that_of_epochs_or_of_seconds_whichever_is_further(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (study,), _ = tune(tmp_path / "a", base_of("searched"), trials=1, seconds=1000)
    assert study.trials[0].shares == (0.25, 0.5, 0.75, 1.0)

    def slow(model: searched_models.Searched, train: object, context: FitContext) -> None:
        for epoch in range(1, 1001):
            model.epoch = epoch
            time.sleep(0.01)
            context.validate(model)
            context.report_progress(epoch / 1000, "going on")

    monkeypatch.setattr(searched_models.Searched, "fit", slow)
    (study,), _ = tune(tmp_path / "b", base_of("searched"), trials=1, seconds=0.2)
    shares = study.trials[0].shares
    assert shares[len(shares) // 2] > 10 * len(shares) / 1000
    assert shares[-1] > 0.5


def test_no_trial_begins_that_could_not_end_in_time(tmp_path: Path) -> None:
    studies, said = tune(tmp_path, base_of("searched"), base_of("moody"), trials=2, seconds=50, stop_after=40)
    assert [study.trials for study in studies] == [(), ()]
    assert "4 left for want of time: the same command goes on from here" in said
    studies, said = tune(tmp_path, base_of("searched"), base_of("moody"), trials=2, seconds=50, stop_after=4000)
    assert [len(study.trials) for study in studies] == [2, 2]
    assert "left" not in said


def test_the_best_trials_are_confirmed_with_other_seeds_before_the_choice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose seed is not 0 validates the worse the better it did: the third of the best is the choice."""
    base = base_of("searched", quality=0.2)
    (before,), _ = tune(tmp_path, base, trials=5)
    first, second, third = before.leading(3)
    judged = {first.values["quality"]: 0.0, second.values["quality"]: 0.0, third.values["quality"]: 0.9}

    def validation(model: searched_models.Searched, queries: object) -> float:
        return judged[model.config.quality]

    monkeypatch.setattr(trial, "validation_ndcg", validation)
    (study,), said = tune(tmp_path, base, trials=5, confirm_top=3, seeds=2)
    assert study.trials == before.trials
    assert [(made.trial, made.seed) for made in study.confirmations] == [
        (number, seed) for number in sorted(found.number for found in (first, second, third)) for seed in (1, 2)
    ]
    assert study.best == third
    assert study.confirmed[third.number] == pytest.approx(((third.validation or 0) + 1.8) / 3)
    assert f"trial {third.number} with seed 2: validation NDCG@10 0.9000" in said
    assert Study.read(tmp_path, base) == study
    assert "0 confirmations to do" in tune(tmp_path, base, trials=5, confirm_top=3, seeds=2)[1]


def test_a_trial_whose_confirmation_fails_is_not_chosen(tmp_path: Path) -> None:
    (study,), _ = tune(tmp_path, base_of("searched"), trials=3)
    first, second = study.leading(2)
    for found, value in [(first, None), (second, 0.1)]:
        study = study.with_confirmation(Confirmation(trial=found.number, seed=1, validation=value))
    assert study.best == second


def test_a_study_is_a_small_file_with_a_line_for_each_trial(tmp_path: Path) -> None:
    base = base_of("sasrec-ce")
    values = dict.fromkeys(("training.learning_rate", "dropout", "dim", "length", "blocks", "training.average"), 0.123)
    study = Study(base=base, space=dict.fromkeys(values, "Choice(options=(64, 128, 256))"))
    for number in range(16):
        validations = tuple(0.012345 + number / 1000 for _ in range(8))
        found = Trial(number=number, state="complete", values=values, validations=validations, validation=0.1)
        study = study.with_trial(found)
    study.write(tmp_path)
    path = Study.folder(tmp_path, base) / "study.json"
    assert path.stat().st_size < 12_000
    assert sum('"number"' in line for line in path.read_text().splitlines()) == 16
    assert Study.read(tmp_path, base) == study


def test_a_row_without_anything_to_choose_is_passed_over_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    studies, said = tune(tmp_path, base_of("popularity"), base_of("searched"), trials=1)
    assert [study.base.label for study in studies] == ["searched"]
    assert "not searched: model 'popularity' has nothing to tune" in said

    def absent(run: RunSpec) -> type[Recommender]:
        if run.model == "moody":
            raise SkippedRun("needs the package 'unobtainium'")
        return class_of(run)

    monkeypatch.setattr(search, "class_of", absent)
    studies, said = tune(tmp_path, base_of("moody"), base_of("searched"), trials=1)
    assert [study.base.label for study in studies] == ["searched"]
    assert "not searched: model 'moody' needs the package 'unobtainium'" in said
