from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import searched_models
from searching import base_of

from bench.analysis.columns import TRIALS
from bench.cli.main import main
from bench.plan import Plan, expand, select
from bench.search_space import Choice
from bench.suite_files import load_suite
from bench.tuning.study import Study

ARGUMENTS = ["tune", "--dataset", "ml-100k"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--models", "tigr"], "unknown model 'tigr': did you mean tiger"),
        (["--models", ","], "--models: give at least one name"),
        (["--models", "popularity"], "model 'popularity' has nothing to tune: leave it out"),
        (["--models", "misspelt"], "search space of model 'misspelt': unknown key 'qualty': did you mean quality?"),
        (["--models", "searched", "--trials", "0"], "--trials"),
        (["--models", "searched", "--set", "searched.qualty=1"], "unknown key 'qualty': did you mean quality?"),
        (["--models", "searched", "--suite", "ful"], "unknown suite 'ful': did you mean full?"),
        (["--models", "searched", "--protocol", "temporary"], "protocol"),
    ],
)
@pytest.mark.usefixtures("searched")
def test_bad_input_is_one_line_and_exit_code_2(
    arguments: list[str], message: str, tmp_path: Path, refused: Callable[[list[str]], str]
) -> None:
    assert message in refused([*ARGUMENTS, *arguments])
    assert not (tmp_path / "results").exists()


@pytest.mark.usefixtures("searched")
def test_an_unknown_data_set_is_an_error_of_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tune", "--models", "searched", "--dataset", "ml-10k"]) == 2
    assert capsys.readouterr().err.startswith("error: unknown data set 'ml-10k': did you mean ml-100k")


@pytest.mark.usefixtures("searched")
def test_a_row_that_the_suite_does_not_run_there_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = tmp_path / "mine.yaml"
    suite.write_text(
        "datasets: [ml-100k, {name: ml-100k, protocol: temporal}]\n"
        "models: [searched, {model: searched, label: late, datasets: [ml-100k@temporal]}]\n"
    )
    assert main([*ARGUMENTS, "--suite", str(suite), "--models", "searched,late", "--protocol", "shipped"]) == 2
    assert "does not run late on ml-100k: choose others with --models" in capsys.readouterr().err


@pytest.mark.usefixtures("searched")
def test_a_search_ends_with_a_table_settings_a_csv_and_a_figure_and_a_run_can_use_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = ["--results", str(tmp_path / "results")]
    assert main([*ARGUMENTS, "--models", "searched,moody", "--trials", "7", "--jobs", "1", *folders]) == 0
    said = capsys.readouterr().out
    study = Study.read(tmp_path / "results", base_of("searched"))
    assert study is not None
    assert study.best is not None
    assert study.best.number > 0
    assert f"{study.best.validation:.4f} (trial {study.best.number})" in said
    assert "0.2000" in said
    settings = " ".join(f"--set {shlex.quote(setting)}" for setting in study.as_settings())
    assert f"searched on ml-100k: {settings}" in said
    assert f"searched.quality={study.best.values['quality']}" in settings
    assert "`bench run --tuned` takes them all" in said

    place = tmp_path / "results" / "tuning" / "ml-100k"
    trials = pd.read_csv(place / "trials.csv")
    assert list(trials.columns) == TRIALS.names
    assert trials["row"].value_counts().to_dict() == {"searched": 7, "moody": 7}
    assert trials.loc[trials["row"] == "searched", "validation_ndcg@10"].max() == study.best.validation
    assert (place / "best_so_far.png").stat().st_size > 1000

    asked: list[Plan] = []
    reports = ["--reports", str(tmp_path / "reports")]
    monkeypatch.setattr("bench.cli.running.run_plan", lambda plan, *_: asked.append(plan) or [])
    run = ["run", "--dataset", "ml-100k", "--models", "searched,popularity", *folders, *reports]
    assert main([*run, "--tuned"]) == 0
    assert {run.label: run.config for run in asked[0].runs}["searched"] == study.best_config
    assert asked[0].command.endswith(" --tuned")
    said = capsys.readouterr().out
    assert f"tuned: searched on ml-100k, trial {study.best.number} of 7" in said
    assert "not tuned: popularity on ml-100k" in said
    # The settings that were printed give the very same runs.
    given = [part for setting in study.as_settings() for part in ("--set", setting)]
    assert main([*run, *given]) == 0
    assert [run.key for run in asked[1].runs] == [run.key for run in asked[0].runs]


@pytest.mark.usefixtures("searched")
def test_a_model_without_a_complete_trial_sets_the_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(searched_models.Moody, "search_space", {"mood": Choice("angry")})
    command = [*ARGUMENTS, "--models", "searched,moody", "--trials", "2", "--set", "moody.mood=angry"]
    assert main([*command, "--results", str(tmp_path)]) == 1
    assert "moody on ml-100k: no trial is complete: RuntimeError: not now" in capsys.readouterr().out


SUITE = """
datasets: [ml-100k]
models:
  - popularity
  - {model: searched, label: first, config: {epochs: 3}, fixed: [shape]}
  - {model: moody, config: {quality: 0.1}}
"""


@pytest.mark.usefixtures("searched")
def test_all_rows_of_a_suite_are_searched_in_turn_and_their_best_is_printed_as_yaml(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite, results = tmp_path / "mine.yaml", tmp_path / "results"
    suite.write_text(SUITE)
    budget = ["--trials", "5", "--seconds-per-trial", "60", "--confirm-top", "2", "--seeds", "1"]
    command = [*ARGUMENTS, "--suite", str(suite), "--jobs", "1", "--results", str(results), *budget]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "not searched: model 'popularity' has nothing to tune" in said
    assert said.index("first on ml-100k, trial 1") < said.index("moody on ml-100k, trial 1")
    assert said.index("moody on ml-100k, trial 1") < said.index("first on ml-100k, trial 2")
    text = (results / "tuning" / "ml-100k" / "rows.yaml").read_text()
    assert "# Found by `bench tune` on ml-100k, by validation NDCG@10 alone." in text
    assert "  # 5 trials (" in text
    assert "of at most 60 s: " in text
    assert "mean of 2 seeds" in text
    # The file is a list of rows that a suite takes as they stand, and they are the best configurations.
    copied = tmp_path / "copied.yaml"
    copied.write_text("datasets: [ml-100k]\n" + text)
    rows = expand(load_suite(str(copied)))
    assert [row.label for row in rows] == ["first", "moody"]
    for row, base in zip(rows, expand(select(load_suite(str(suite)), ["first", "moody"], seeds=[0])), strict=True):
        study = Study.read(results, base)
        assert study is not None
        assert row.config == study.best_config
        assert "shape" not in study.space


TAKEN = """
datasets: [ml-100k]
models:
  - {model: searched, label: first, config: {epochs: 3}}
  - {model: moody, searched_as: {row: first, keys: [quality, epochs]}, config: {epochs: 3, mood: merry}}
"""


@pytest.mark.usefixtures("searched")
def test_a_row_that_is_searched_as_another_has_no_search_and_takes_what_that_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    suite, folders = tmp_path / "mine.yaml", ["--results", str(tmp_path / "results")]
    suite.write_text(TAKEN)
    command = [*ARGUMENTS, "--suite", str(suite), "--jobs", "1", "--trials", "7", *folders]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "not searched: row 'moody' has its configuration from row 'first'" in said
    assert "moody on ml-100k, trial" not in said
    study = Study.read(tmp_path / "results", expand(load_suite(str(suite)))[0])
    assert study is not None
    found = {"quality": study.best_config["quality"], "epochs": study.best_config["epochs"]}
    assert found["quality"] != 0.5, "the search has found something"

    copied = tmp_path / "copied.yaml"
    copied.write_text("datasets: [ml-100k]\n" + (tmp_path / "results/tuning/ml-100k/rows.yaml").read_text())
    rows = {run.label: run.config for run in expand(load_suite(str(copied)))}
    assert {key: rows["moody"][key] for key in found} == found
    assert rows["moody"]["mood"] == "merry"

    asked: list[Plan] = []
    monkeypatch.setattr("bench.cli.running.run_plan", lambda plan, *_: asked.append(plan) or [])
    run = ["run", "--suite", str(suite), "--tuned", *folders, "--reports", str(tmp_path / "reports")]
    assert main(run) == 0
    assert {run.label: run.config for run in asked[0].runs}["moody"] == rows["moody"]
    assert "tuned: moody on ml-100k, as row first, trial" in capsys.readouterr().out
    assert main([*run, "--set", "moody.quality=0.7"]) == 0
    assert {run.label: run.config for run in asked[1].runs}["moody"]["quality"] == 0.7, "the user's own goes before"
    assert "not tuned: moody on ml-100k" in capsys.readouterr().out


@pytest.mark.usefixtures("searched")
def test_a_row_that_is_searched_as_another_is_not_searched_by_its_name_either(
    tmp_path: Path, refused: Callable[[list[str]], str]
) -> None:
    suite = tmp_path / "mine.yaml"
    suite.write_text(TAKEN)
    message = refused([*ARGUMENTS, "--suite", str(suite), "--models", "moody"])
    assert "row 'moody' has its configuration from row 'first': search that with --models first" in message


@pytest.mark.usefixtures("searched")
def test_tuned_runs_without_any_search_are_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = ["--results", str(tmp_path / "results"), "--reports", str(tmp_path / "reports")]
    assert main(["run", "--dataset", "ml-100k", "--models", "popularity", "--tuned", *folders]) == 2
    assert "error: --tuned: no search for any of these runs" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.usefixtures("tiny_ml_100k")
def test_trials_are_made_in_worker_processes_and_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = ["--results", str(tmp_path / "results")]
    command = [
        *ARGUMENTS,
        "--models",
        "item-knn,sasrec-ce",
        "--trials",
        "3",
        "--jobs",
        "2",
        "--set",
        "training.epochs=1",
    ]
    assert main([*command, *folders]) == 0
    assert "(6 of 6)" in capsys.readouterr().out
    options = ["--dataset", "ml-100k", "--models", "item-knn,popularity", "--seeds", "1", "--tuned"]
    assert main(["run", *options, *folders, "--reports", str(tmp_path / "reports")]) == 0
    report = (tmp_path / "reports" / "full" / "report.md").read_text()
    budget = report.partition("## Tuning budget")[2].partition("\n## ")[0]
    assert "3 (3 complete)" in budget
    assert "as it was, not searched" in budget
