from pathlib import Path
from typing import Any

import pytest

from bench import plan as planning
from bench.errors import BenchError, SkippedRun
from bench.execution.worker import execute
from bench.plan import Plan, expand, select
from bench.searched_as import SearchedAs
from bench.spec import Comparison, DatasetSpec, Entry, RunSpec, Suite
from bench.suite_files import load_suite, suite_names

pytestmark = pytest.mark.usefixtures("tiny_ml_100k", "outside_models")
DEFAULTS = {"order": "random", "schedule": {"epochs": 3, "pace": 0.5}}


def suite(*entries: Entry, **changes: Any) -> Suite:
    content = {"datasets": (DatasetSpec(name="ml-100k"),), "seeds": (0, 1), **changes}
    return Suite(name="mine", description="", models=entries, **content)


def configs(runs: list[RunSpec]) -> dict[str, Any]:
    return {run.label: run.config for run in runs}


def test_every_first_seed_comes_before_any_second() -> None:
    runs = expand(suite(Entry(model="popularity"), Entry(model="outside")))
    assert [(run.seed, run.label) for run in runs] == [
        (0, "popularity"),
        (0, "outside"),
        (1, "popularity"),
        (1, "outside"),
    ]


def test_a_configuration_is_complete_and_what_is_nested_keeps_its_other_defaults() -> None:
    entry = Entry(model="outside", config={"schedule": {"epochs": 9}}, per_dataset={"ml-100k": {"order": "reverse"}})
    run = expand(suite(Entry(model="outside", label="plain"), entry, seeds=(0,)))
    assert configs(run) == {
        "plain": DEFAULTS,
        "outside": {"order": "reverse", "schedule": {"epochs": 9, "pace": 0.5}},
    }


def test_the_key_depends_on_all_that_changes_the_outcome_and_on_nothing_else() -> None:
    (run,) = expand(suite(Entry(model="outside"), seeds=(0,)))
    (renamed,) = expand(suite(Entry(model="outside", label="x", config={"order": "random"}), seeds=(0,)))
    assert renamed.key == run.key
    changes: list[dict[str, Any]] = [
        {"config": {**DEFAULTS, "order": "reverse"}},
        {"seed": 1},
        {"revision": 2},
        {"data_hash": "other"},
        {"model": "other"},
        {"dataset": DatasetSpec(name="ml-100k", seen_items="keep")},
    ]
    assert len({run.key, *(run.model_copy(update=change).key for change in changes)}) == len(changes) + 1


def test_a_changed_default_changes_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    import outside_models

    (before,) = expand(suite(Entry(model="outside"), seeds=(0,)))

    class Retuned(outside_models.OutsideConfig):
        order: str = "reverse"

    monkeypatch.setattr(outside_models.Outside, "Config", Retuned)
    (after,) = expand(suite(Entry(model="outside"), seeds=(0,)))
    assert before.key != after.key


def test_set_reaches_one_model_or_all_that_have_the_key() -> None:
    rows = suite(Entry(model="popularity"), Entry(model="outside"), Entry(model="outside", label="b.c"), seeds=(0,))
    assert configs(expand(rows, ["schedule.epochs=5", "b.c.order=reverse"])) == {
        "popularity": {},
        "outside": {"order": "random", "schedule": {"epochs": 5, "pace": 0.5}},
        "b.c": {"order": "reverse", "schedule": {"epochs": 5, "pace": 0.5}},
    }
    both = configs(expand(rows, ["outside.schedule.pace=1e-3"]))
    assert both["outside"]["schedule"]["pace"] == both["b.c"]["schedule"]["pace"] == 0.001


def test_a_key_that_is_set_twice_is_an_error() -> None:
    rows = suite(Entry(model="outside"), seeds=(0,))
    with pytest.raises(BenchError, match="--set order=reverse: the key is set before, too: give one value"):
        expand(rows, ["order=random", "schedule.epochs=5", "order=reverse"])
    for settings in (["order=random", "outside.order=reverse"], ["outside.order=reverse", "order=random"]):
        assert configs(expand(rows, settings))["outside"]["order"] == "reverse", "what is set for one holds for it"


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("ordre=reverse", "--set ordre=reverse: unknown key 'ordre': did you mean order"),
        ("epochs=1", "unknown key 'epochs': did you mean schedule.epochs"),
        (
            "outside.schedule.epoch=1",
            "--set outside.schedule.epoch=1, schedule: unknown key 'epoch': did you mean epochs",
        ),
        ("outsid.order=reverse", "did you mean outside.order"),
        ("order=upwards", "order: should be 'random' or 'reverse', got 'upwards'"),
        ("schedule.epochs=0", "schedule.epochs: should be greater than or equal to 1, got 0"),
        ("order", "should read key=value"),
        ("outside.=1", "should read key=value"),
        ("order=[1", "no YAML"),
    ],
)
def test_a_wrong_set_is_told_in_one_line(setting: str, message: str) -> None:
    with pytest.raises(BenchError) as caught:
        expand(suite(Entry(model="outside")), [setting])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_wrong_key_in_a_suite_names_file_and_row() -> None:
    with pytest.raises(BenchError, match=r"mine.yaml, row 'outside': unknown key 'ordr': did you mean order"):
        expand(suite(Entry(model="outside", config={"ordr": 1})), where="mine.yaml")


def test_a_key_with_dots_in_a_suite_is_answered_with_how_to_write_it() -> None:
    rows = suite(Entry(model="outside", config={"schedule.epochs": 3}), seeds=(0,))
    with pytest.raises(BenchError, match=r"key 'schedule.epochs' lies within others: write schedule: {epochs: ...}"):
        expand(rows)


def taken(how: SearchedAs, **config: Any) -> list[RunSpec]:
    """The runs of a row, and of one that is to have its configuration."""
    searched = Entry(model="outside", label="searched", config={"schedule": {"epochs": 9}})
    return expand(
        suite(searched, Entry(model="outside", config=config, searched_as=how), seeds=(0,)), where="mine.yaml"
    )


def test_a_row_that_is_searched_as_another_has_its_configuration_and_its_key_is_what_it_was() -> None:
    same = {"schedule": {"epochs": 9}}
    with_it = taken(SearchedAs(row="searched"), **same)[1]
    without = expand(suite(Entry(model="outside", config=same), seeds=(0,)))[0]
    assert with_it.key == without.key
    assert taken(SearchedAs(row="searched", keys=("schedule",)), order="reverse", **same)


@pytest.mark.parametrize(
    ("how", "config", "message"),
    [
        ({}, {}, "(schedule.epochs is 3 here, and schedule.epochs is 9 there)"),
        ({}, {"order": "reverse"}, '(order is "reverse" here, and order is "random" there, and 1 more)'),
        ({"keys": ["schedul"]}, {}, "'searched_as', row 'searched': unknown key 'schedul'"),
        ({"within": "base"}, {}, '(base.order is missing here, and order is "random" there, and 2 more)'),
    ],
)
def test_another_configuration_than_that_of_the_searched_row_is_an_error(
    how: dict[str, Any], config: dict[str, Any], message: str
) -> None:
    with pytest.raises(BenchError) as caught:
        taken(SearchedAs(row="searched", **how), **config)
    assert str(caught.value).startswith("mine.yaml, row 'outside': ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_setting_may_change_one_of_two_rows_that_have_one_configuration() -> None:
    rows = suite(Entry(model="outside", label="a"), Entry(model="outside", searched_as=SearchedAs(row="a")), seeds=(0,))
    assert [run.config["order"] for run in expand(rows, ["a.order=reverse"])] == ["reverse", "random"]
    assert len(expand(select(rows, ["outside"]))) == 1, "the searched row may be left out of a selection"


def test_a_model_whose_package_is_missing_is_still_planned(monkeypatch: pytest.MonkeyPatch) -> None:
    def skip(name: str) -> None:
        raise SkippedRun("needs a package")

    monkeypatch.setattr(planning.registry, "model_class", skip)
    (run,) = expand(suite(Entry(model="gru4rec-recbole", config={"epochs": 3}), seeds=(0,)), ["gru4rec-recbole.a=1"])
    assert run.config == {"epochs": 3, "a": 1}


def test_runs_on_data_that_are_not_here_are_planned_where_others_are(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    here, absent = DatasetSpec(name="ml-100k"), DatasetSpec(name="kuairec-big", protocol="shipped")
    (tmp_path / "data" / "kuairec").mkdir()
    runs = expand(suite(Entry(model="popularity"), datasets=(here, absent), seeds=(0,)))
    assert [(run.dataset.label, run.data_hash == "") for run in runs] == [
        ("ml-100k", False),
        ("kuairec-big@shipped", True),
    ]
    result = execute(runs[1], tmp_path / "results", "cpu", threads=1)
    assert result.status == "skipped"
    assert result.reason.startswith("KuaiRec is not on this machine")
    with pytest.raises(BenchError, match=r"KuaiRec is not on this machine .* download KuaiRec\.zip") as raised:
        expand(suite(Entry(model="popularity"), datasets=(absent, DatasetSpec(name="taobao-mm"))))
    assert "; TAOBAO-MM is not on this machine: download" in str(raised.value)


def test_a_row_runs_only_on_its_data_sets() -> None:
    keep = DatasetSpec(name="ml-100k", seen_items="keep")
    rows = suite(Entry(model="outside", datasets=("ml-100k+keep",)), datasets=(DatasetSpec(name="ml-100k"), keep))
    assert {run.dataset.label for run in expand(rows)} == {"ml-100k+keep"}
    with pytest.raises(BenchError, match="no model of the selection runs on these data sets"):
        expand(select(rows.model_copy(update={"datasets": rows.datasets[:1]})))


def test_select_narrows_a_suite_and_lets_other_models_join() -> None:
    rows = suite(Entry(model="outside", label="a", config={"order": "reverse"}), Entry(model="popularity"))
    chosen = select(rows, models=["outside", "item-knn", "a"], datasets=["ml-100k"], seeds=[7])
    assert [(entry.row, entry.model) for entry in chosen.models] == [("a", "outside"), ("item-knn", "item-knn")]
    assert chosen.seeds == (7,)
    with pytest.raises(BenchError, match="unknown model 'popularty': did you mean popularity"):
        select(rows, models=["popularty"])
    with pytest.raises(BenchError, match="unknown data set 'ml-10k': did you mean ml-100k"):
        select(rows, datasets=["ml-10k"])


def test_a_row_of_that_very_name_is_selected_alone_and_a_model_without_one_with_all_its_rows() -> None:
    labelled = [Entry(model="outside", label=label, config={"order": "reverse"}) for label in ("a", "b")]
    variants = suite(labelled[0], Entry(model="outside"), labelled[1])
    assert [entry.row for entry in select(variants, models=["outside"]).models] == ["outside"]
    assert [entry.row for entry in select(variants, models=["b", "outside"]).models] == ["b", "outside"]
    assert [entry.row for entry in select(suite(*labelled), models=["outside"]).models] == ["a", "b"]
    named_after_another = suite(Entry(model="popularity", label="outside"), *labelled)
    assert [entry.model for entry in select(named_after_another, models=["outside"]).models] == ["popularity"]


def test_comparisons_survive_a_selection_and_the_disk(tmp_path: Path) -> None:
    asked = Comparison(title="Order", question="Does it matter?", rows=("a", "popularity"), against="a")
    rows = suite(Entry(model="outside", label="a"), Entry(model="popularity"), comparisons=(asked,))
    narrowed = select(rows, models=["popularity"])
    assert narrowed.comparisons == (asked,)
    Plan(suite=narrowed, runs=tuple(expand(narrowed)), command="").write(tmp_path)
    assert Plan.read(tmp_path, "mine").suite.comparisons == (asked,)


def test_a_plan_survives_the_disk(tmp_path: Path) -> None:
    rows = suite(Entry(model="outside"))
    plan = Plan(suite=rows, runs=tuple(expand(rows)), command="python -m bench run")
    plan.write(tmp_path)
    assert Plan.read(tmp_path, "mine") == plan
    with pytest.raises(BenchError, match=r"no results of suite 'full' in .* first run python -m bench run"):
        Plan.read(tmp_path, "full")
    path = Plan.path(tmp_path, "mine")
    path.write_text(path.read_text()[:100])
    with pytest.raises(BenchError, match="unreadable plan"):
        Plan.read(tmp_path, "mine")


def test_a_results_folder_that_can_not_be_written_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file")
    rows = suite(Entry(model="outside"))
    with pytest.raises(BenchError, match="can't write results to"):
        Plan(suite=rows, runs=(), command="").write(tmp_path / "results")


@pytest.mark.parametrize("name", suite_names())
def test_the_suites_of_the_project_fit_the_models(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "_checked_hash", lambda dataset: "")  # not everybody has their data
    loaded = load_suite(name)
    rows = [
        entry.row
        for dataset in loaded.datasets
        for entry in loaded.models
        if entry.datasets is None or {dataset.name, dataset.label} & set(entry.datasets)
    ]
    assert [spec.label for spec in expand(loaded)] == rows * len(loaded.seeds)
