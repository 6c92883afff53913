from __future__ import annotations

from pathlib import Path

import numpy as np
from as_text import cells_of
from matplotlib.figure import Figure

from bench.analysis.dataset_tables import frames_of
from bench.analysis.runs import SuiteRuns
from bench.analysis.trials import trials_table
from bench.reporting.figures.tuning import best_so_far
from bench.reporting.table import Table
from bench.reporting.tables.tuning import budget_table
from bench.searched_as import SearchedAs
from bench.spec import DatasetSpec, Entry, RunSpec, Suite
from bench.tuning.study import Confirmation, Study, Trial

DATASET = DatasetSpec(name="ml-100k")


def run_of(model: str, rate: float = 0.1, seed: int = 0, revision: int = 1) -> RunSpec:
    config = {"rate": rate}
    return RunSpec(
        dataset=DATASET, data_hash="h", model=model, revision=revision, config=config, seed=seed, label=model
    )


def study_of(base: RunSpec, *validations: float | None, limit: float | None = None) -> Study:
    """Trials at the rates 0.1, 0.2, ..., those without a validation pruned."""
    trials = [
        Trial(
            number=number,
            state="pruned" if validation is None else "complete",
            values={"rate": round(0.1 * (number + 1), 1)},
            validations=(0.01, 0.0) if validation is None else (validation,),
            validation=validation,
            seconds=number,
        )
        for number, validation in enumerate(validations)
    ]
    return Study(base=base, space={"rate": "0.1 to 1"}, seconds_per_trial=limit, trials=tuple(trials))


def table(results: Path, *runs: RunSpec, entries: tuple[Entry, ...] = ()) -> Table:
    models = (*entries, Entry(model="popularity"))
    suite = Suite(name="s", description="", datasets=(DATASET,), models=models, seeds=(0,))
    made = budget_table([frames_of(SuiteRuns.of(suite, runs, []), results)])
    assert made is not None
    return made


def budget(results: Path, *runs: RunSpec, entries: tuple[Entry, ...] = ()) -> list[list[str]]:
    """The cells of the table."""
    return cells_of(table(results, *runs, entries=entries))


def test_a_row_is_told_how_its_configuration_was_found(tmp_path: Path) -> None:
    for base, validations in [
        (run_of("tuned"), (0.2, None, 0.3, 0.1)),
        (run_of("left"), (0.2, 0.25)),
        (run_of("kept"), (0.2, 0.1)),
        (run_of("old", revision=1), (0.2, 0.3)),
    ]:
        study_of(base, *validations, limit=60 if base.label == "left" else None).write(tmp_path)
    seeds = [run_of("tuned", rate=0.3, seed=seed) for seed in (0, 1)]
    others = [run_of("left", seed=3), run_of("kept"), run_of("old", revision=2), run_of("kept2")]
    assert budget(tmp_path, *seeds, *others) == [
        [
            *("ml-100k", "tuned", "best of the search (trial 2)", "4 (3 complete, 1 pruned)", "-", "6"),
            *("0.2000 (0), 0.3000 (2)", "-", "0.2000", "0.3000"),
        ],
        [
            *("ml-100k", "left", "as it was; a better one was found", "2 (2 complete)", "60 s", "1"),
            *("0.2000 (0), 0.2500 (1)", "-", "0.2000", "0.2500"),
        ],
        [
            *("ml-100k", "kept", "as it was; nothing better was found", "2 (2 complete)", "-", "1"),
            *("0.2000 (0)", "-", "0.2000", "0.2000"),
        ],
        ["ml-100k", "old", "as it was, not searched", *["-"] * 7],
        ["ml-100k", "kept2", "as it was, not searched", *["-"] * 7],
    ]


def test_a_row_that_trains_for_other_epochs_than_its_best_trial(tmp_path: Path) -> None:
    def trained(epochs: int) -> RunSpec:
        return run_of("longer").model_copy(update={"config": {"rate": 0.1, "training": {"epochs": epochs}}})

    study_of(trained(6), 0.3, 0.2, limit=60).write(tmp_path)
    ((_, _, told, trials, limit, *_),) = budget(tmp_path, trained(12))
    assert (told, trials, limit) == ("best of the search (trial 0) but for its 6 epochs", "2 (2 complete)", "60 s")


def test_a_row_that_is_searched_as_another_has_that_ones_search(tmp_path: Path) -> None:
    study_of(run_of("base"), 0.2, None, 0.3).write(tmp_path)
    base, mixed = run_of("base", rate=0.3), run_of("mixed").model_copy(update={"config": {"of": {"rate": 0.3}, "a": 1}})
    how = Entry(model="mixed", searched_as=SearchedAs(row="base", within="of"))
    own, taken = budget(tmp_path, base, mixed, entries=(how,))
    assert own[2] == "best of the search (trial 2)"
    assert taken[:3] == ["ml-100k", "mixed", "as row base: best of the search (trial 2)"]
    assert taken[3:] == own[3:]
    # Where a setting has changed one of both, nothing is known of a search.
    other = mixed.model_copy(update={"config": {"of": {"rate": 0.9}, "a": 1}})
    assert budget(tmp_path, base, other, entries=(how,))[1][2:] == ["as it was, not searched", *["-"] * 7]
    study_of(run_of("kept"), 0.2).write(tmp_path)
    alone = budget(tmp_path, run_of("kept"), mixed, entries=(how,))[1]
    assert alone[2:] == ["as row base, which is not here", *["-"] * 7]


def test_trials_that_their_limit_ended_are_counted_and_the_best_one_is_marked(tmp_path: Path) -> None:
    study = study_of(run_of("m"), 0.2, 0.3, None, 0.25, limit=60)
    for number in (1, 3):
        study = study.with_trial(study.trials[number].model_copy(update={"reason": "ended after the limit of 60 s"}))
    failed = study.trials[2].model_copy(update={"state": "failed", "reason": "RuntimeError: not now"})
    study.with_trial(failed).write(tmp_path)
    study_of(run_of("n"), 0.2, limit=60).write(tmp_path)
    ended, whole = budget(tmp_path, run_of("m", rate=0.2), run_of("n"))
    assert ended[3] == "4 (3 complete, 2 of these by the limit, 1 failed)"
    assert ended[-1] == "0.3000 limit"
    assert whole[3] == "1 (1 complete)"
    assert whole[-1] == "0.2000"
    assert "train on as their configuration says" in table(tmp_path, run_of("m")).caption
    assert table(tmp_path, run_of("n")).caption == ""


def test_a_choice_by_more_seeds_is_told_with_their_mean(tmp_path: Path) -> None:
    study = study_of(run_of("m"), 0.2, 0.3, 0.25)
    for trial, validation in [(1, 0.1), (2, 0.35)]:
        study = study.with_confirmation(Confirmation(trial=trial, seed=1, validation=validation, seconds=5))
    study.write(tmp_path)
    (row,) = budget(tmp_path, run_of("m", rate=0.3))
    assert row[2] == "best of the search (trial 2)"
    assert row[5:8] == ["13", "0.2000 (0), 0.3000 (1)", "0.3000, mean of 2"]


def test_without_any_search_there_is_no_table(tmp_path: Path) -> None:
    suite = Suite(name="s", description="", datasets=(DATASET,), models=(Entry(model="popularity"),), seeds=(0,))
    assert budget_table([frames_of(SuiteRuns.of(suite, [run_of("m")], []), tmp_path)]) is None


def test_the_table_of_trials_has_one_row_a_trial() -> None:
    found = trials_table([study_of(run_of("m"), 0.2, None), study_of(run_of("n"), 0.1)])
    assert found[["model", "trial", "state", "validations"]].to_numpy().tolist() == [
        ["m", 0, "complete", 1],
        ["m", 1, "pruned", 2],
        ["n", 0, "complete", 1],
    ]
    assert found["values"].tolist() == ['{"rate": 0.1}', '{"rate": 0.2}', '{"rate": 0.1}']
    assert found["validation_ndcg@10"].isna().tolist() == [False, True, False]


def drawn(*studies: Study) -> Figure | None:
    return best_so_far(trials_table(studies))


def test_the_figure_shows_the_best_so_far_of_each_model_and_skips_those_without_one() -> None:
    figure = drawn(study_of(run_of("m"), 0.2, None, 0.2, 0.3), study_of(run_of("n"), None))
    assert figure is not None
    line, marks = figure.axes[0].lines
    np.testing.assert_array_equal(line.get_xdata(), [0, 1, 2, 3])
    np.testing.assert_allclose(np.asarray(line.get_ydata(), dtype=float), [0.2, 0.2, 0.2, 0.3])
    np.testing.assert_array_equal(marks.get_xdata(), [0, 3])
    assert drawn(study_of(run_of("n"), None)) is None
    assert drawn(study_of(run_of("m"))) is None, "a single trial is a point, which the table has"
