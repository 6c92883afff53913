"""Every table of a report can be recomputed from the CSV files, cell by cell; a table that nobody recomputes fails."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import recomputed
import recomputed_decoding
from enriched import enriched
from made_up import MODELS, failed_result, make_result, make_suite, plan
from recomputed import Cells, Files, Table, tables_of
from traces import PAPER, with_trace

from bench.analysis.grid import Grid
from bench.reporting.figures import style
from bench.reporting.report import write_report
from bench.spec import Comparison, Entry, RunResult, Suite

DATASETS = ("ml-100k", "beauty")
EXEMPT = {
    ("What was run, and how to run it again", ""): "versions and machines",
    **{("What was run, and how to run it again", dataset): "sizes and licence of the data" for dataset in DATASETS},
    ("Fidelity cards", "Mechanism"): "words",
}
"""Provenance: tables without measured figures, (section, first heading) -> what they hold."""

OF_A_DATASET: dict[tuple[str, str], tuple[int, Callable[[Files, Table], Cells]]] = {
    ("results", "Model"): (1, recomputed.main),
    ("results", "Best possible in expectation, known to"): (1, recomputed.best_possible),
    ("Is the best one better?", "Model"): (1, recomputed.against_best),
    ("Who beats whom", "Model"): (1, recomputed.who_beats_whom),
    ("glass against tiger, part by part", "Test queries"): (1, recomputed.part_by_part),
    ("sim against item-knn, part by part", "Test queries"): (1, recomputed.part_by_part),
    ("Parts of GLASS", "Row"): (1, recomputed.comparison),
    ("Another recurrence", "Row"): (1, recomputed.comparison),
    ("item level and SID level", "Model"): (1, recomputed.levels),
    ("head and tail", "Model"): (1, recomputed.head_tail),
    ("head and tail", "Target in training:"): (1, recomputed.parts("cold")),
    ("what is recommended", "Model"): (1, recomputed.recommended),
    ("the target's kind", "Target's genre:"): (1, recomputed.parts("item.genre")),
    ("the target's kind", "Target's year:"): (1, recomputed.parts("item.year")),
    ("history length", "Events before the target:"): (1, recomputed.parts("history")),
    ("history length", "Events before the target, in quarters:"): (1, recomputed.parts("history-quarter")),
    ("reach", "Target last occurred in:"): (1, recomputed.parts("reach")),
    ("reach", "Target's category last occurred in:"): (1, recomputed.parts("category-reach")),
    ("semantic-ID health", "Models"): (2, recomputed.sid_health),
    ("Accuracy of each level", "Model"): (1, recomputed_decoding.accuracy),
    ("Prefix precision", "Model"): (1, recomputed_decoding.prefixes),
    ("Conditional Rank Progression", "Model"): (1, recomputed_decoding.progression),
    ("What the paper found", "Metric"): (4, recomputed_decoding.papers),
    ("What a wrong first code costs", "Model"): (2, recomputed_decoding.wrong_first),
    ("Gate and retrieved events", "Model"): (1, recomputed_decoding.retrieval),
    ("cost", "Model"): (1, recomputed.cost),
    ("published against measured", "Model"): (2, recomputed.published),
}
OF_ALL: dict[tuple[str, str], Callable[[dict[str, Files], Table], Cells]] = {
    ("Summary", "Data set"): recomputed.overview,
    ("Over all data sets", "Model"): recomputed.ranks,
}
UNFINISHED = "Runs that failed, were skipped or are pending"
WORDS = ("Tokenizer", "Source")
"""Columns that hold words of the suite and of configurations."""


def make_everything() -> tuple[Suite, list[RunResult]]:
    """All that a report can tell of: two rows of one model, failed and pending runs, a row that knows the best."""
    small = make_suite(DATASETS, seeds=(0, 1))
    of_both = ("popularity", "tiger", "glass")
    models = [
        entry if entry.model in of_both else entry.model_copy(update={"datasets": ("ml-100k",)})
        for entry in small.models
    ]
    models.append(Entry(model="tiger", label="tiger-wide", config={"dim": 256}))
    comparisons = (
        Comparison(title="Parts of GLASS", question="?", rows=("tiger", "glass", "tiger-wide"), against="glass"),
        Comparison(title="Another recurrence", question="?", rows=("gru4rec", "sasrec-ce"), against="sasrec-ce"),
    )
    suite = small.model_copy(
        update={
            "models": tuple(models),
            "comparisons": comparisons,
            "paper": PAPER,
            "slices": ("genre", "year"),
        }
    )
    planned = [
        spec
        for spec in plan(suite)
        if (entry := next(e for e in models if e.row == spec.label)).datasets is None
        or spec.dataset.label in entry.datasets
    ]
    results = []
    for spec in planned:
        if spec.label == "sim" and spec.seed == 1:
            results.append(failed_result(spec, reason="ValueError: loss is NaN"))
        elif spec.label != "hstu":
            results.append(make_result(spec))
    grid = enriched(Grid.of(suite, planned, results), slices=("genre", "year"))
    exact = {f"{metric}@{k}": 0.9 - 0.1 / k for metric in ("recall", "ndcg") for k in (1, 5, 10, 20)}
    complete = [
        dataclasses.replace(result, diagnostics={**result.diagnostics, "exact": exact})
        if result.spec.label == "popularity"
        else with_trace(result)
        for result in grid.results
    ]
    return suite, [*complete, *(result for result in results if result.status == "failed")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report and the results folder of it, without figures."""
    suite, results = make_everything()
    pending = [spec for spec in plan(suite) if spec.label == "hstu" and spec.dataset.label == "ml-100k"]
    planned = sorted([*(result.spec for result in results), *pending], key=lambda spec: spec.seed)
    place = tmp_path_factory.mktemp("all")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(style, "save", lambda figure, stem: None)
        write_report(suite, planned, results, place, place, "command")
    return place / "made-up"


@pytest.fixture(scope="module")
def tables(folder: Path) -> list[Table]:
    return tables_of((folder / "report.md").read_text(), DATASETS)


@pytest.fixture(scope="module")
def files(folder: Path) -> dict[str, Files]:
    return {dataset: Files(folder / dataset) for dataset in DATASETS}


def test_every_table_is_recomputed_or_is_provenance(tables: list[Table]) -> None:
    found = {table.name for table in tables}
    known = {*OF_A_DATASET, *OF_ALL, *EXEMPT, (UNFINISHED, "Data set")}
    assert found - known == set(), "no recomputation covers these: add one to OF_A_DATASET or OF_ALL"
    assert known - found == set(), "the report of this test has no such table"


@pytest.mark.parametrize("name", list(OF_A_DATASET), ids=" - ".join)
def test_a_table_of_a_data_set_follows_from_its_files(
    name: tuple[str, str], tables: list[Table], files: dict[str, Files]
) -> None:
    key, recompute = OF_A_DATASET[name]
    of_this_name = [table for table in tables if table.name == name]
    assert of_this_name
    for table in of_this_name:
        assert table.cells(key, without=WORDS) == recompute(files[table.dataset], table)


@pytest.mark.parametrize("name", list(OF_ALL), ids=" - ".join)
def test_a_table_of_all_data_sets_follows_from_their_files(
    name: tuple[str, str], tables: list[Table], files: dict[str, Files]
) -> None:
    (table,) = [table for table in tables if table.name == name]
    assert table.cells(1) == OF_ALL[name](files, table)


def test_runs_without_a_result_follow_from_the_files(tables: list[Table], files: dict[str, Files]) -> None:
    (table,) = [table for table in tables if table.section == UNFINISHED]
    expected: Cells = {}
    for of_dataset in files.values():
        expected |= recomputed.unfinished(of_dataset, table)
    assert {row for row, _ in expected} == {"ml-100k sim", "ml-100k hstu"}
    assert table.cells(2) == expected


def test_rows_of_one_model_keep_their_labels_in_every_file(files: dict[str, Files]) -> None:
    for of_dataset in files.values():
        for name in ("metrics", "leaderboard", "decoding"):
            assert {"tiger", "tiger-wide"} <= set(of_dataset.read(name)["row"])
        for name in ("pairs", "tests"):
            assert {"tiger", "tiger-wide"} <= set(of_dataset.read(name)[["first", "second"]].to_numpy().ravel())


def test_every_file_tells_its_schema_suite_and_data_set(folder: Path) -> None:
    for dataset in DATASETS:
        found = {path.stem: pd.read_csv(path) for path in (folder / dataset).glob("*.csv")}
        assert set(found) == {"metrics", "leaderboard", "pairs", "tests", "decoding", "published"}
        for name, frame in found.items():
            assert set(frame["schema"]) == {5}
            if name != "leaderboard":
                assert set(frame["suite"]) == {"made-up"}
                assert set(frame["dataset"]) == {dataset}


def test_only_the_made_up_models_are_in_the_report(tables: list[Table]) -> None:
    main = next(table for table in tables if table.name == ("results", "Model"))
    assert {row[0] for row in main.rows} == {*MODELS, "tiger-wide"}
