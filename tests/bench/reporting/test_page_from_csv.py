"""What a report shows is what its CSV files hold: the page made from the files alone is the page."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pytest
from enriched import enriched
from made_up import MODELS, failed_result, make_result, make_suite, plan
from traces import PAPER, with_trace

from bench.analysis.columns import DECODING, LEADERBOARD, METRICS, PAIRS, PUBLISHED, TESTS
from bench.analysis.dataset_tables import write_frames
from bench.analysis.frames import DatasetFrames
from bench.analysis.leaderboard import slices
from bench.analysis.old_files import read_frame
from bench.analysis.runs import SuiteRuns
from bench.reporting import markdown
from bench.reporting.figure_cache import FigureCache
from bench.reporting.figures import style
from bench.reporting.report import report_page
from bench.reporting.sections.whole import SuiteFrames
from bench.spec import Comparison, Entry, RunResult, Suite

DATASETS = ("ml-100k", "beauty")


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
    grid = enriched(SuiteRuns.of(suite, planned, results), slices=("genre", "year"))
    exact = {f"{metric}@{k}": 0.9 - 0.1 / k for metric in ("recall", "ndcg") for k in (1, 5, 10, 20)}
    complete = [
        dataclasses.replace(result, diagnostics={**result.diagnostics, "exact": exact})
        if result.spec.label == "popularity"
        else with_trace(result)
        for result in grid.results
    ]
    return suite, [*complete, *(result for result in results if result.status == "failed")]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, DatasetFrames], Path]:
    """The frames of everything, and the folder of their files."""
    suite, results = make_everything()
    pending = [spec for spec in plan(suite) if spec.label == "hstu" and spec.dataset.label == "ml-100k"]
    planned = sorted([*(result.spec for result in results), *pending], key=lambda spec: spec.seed)
    place = tmp_path_factory.mktemp("all")
    return write_frames(SuiteRuns.of(suite, planned, results), place), place / "made-up"


def read_back(frames: DatasetFrames, folder: Path) -> DatasetFrames:
    """The frames with those that are files as their files have them, and what follows from these."""
    declared = (METRICS, LEADERBOARD, PAIRS, TESTS, DECODING, PUBLISHED)
    files = {columns.name: read_frame(folder / columns.file, columns) for columns in declared}
    for columns in declared:
        texts = [column.name for column in columns.columns if column.kind == "text"]
        files[columns.name][texts] = files[columns.name][texts].fillna("")
    return dataclasses.replace(frames, **files, slices=slices(files["metrics"], frames.item_columns))


def page_of(frames: Mapping[str, DatasetFrames], folder: Path) -> str:
    return markdown.page(report_page(SuiteFrames("made-up", "", "command", frames, folder), 1, FigureCache()))


def test_the_page_made_from_the_files_is_the_page(
    written: tuple[dict[str, DatasetFrames], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(style, "save", lambda figure, stem: None)
    frames, folder = written
    page = page_of(frames, folder)
    assert page == page_of({dataset: read_back(frames[dataset], folder / dataset) for dataset in frames}, folder)
    for section in ("results", "reach", "how decoding goes", "published against measured", "Parts of GLASS"):
        assert f"## ml-100k: {section}\n" in page
    changed = frames["ml-100k"].leaderboard.assign(**{"item.overall.ndcg@10.mean": 0.5})
    assert page != page_of({**frames, "ml-100k": dataclasses.replace(frames["ml-100k"], leaderboard=changed)}, folder)


def test_rows_of_one_model_keep_their_labels_in_every_file(written: tuple[dict[str, DatasetFrames], Path]) -> None:
    for dataset in DATASETS:
        files = {path.stem: pd.read_csv(path) for path in (written[1] / dataset).glob("*.csv")}
        for name in ("metrics", "leaderboard", "decoding"):
            assert {"tiger", "tiger-wide"} <= set(files[name]["row"])
        for name in ("pairs", "tests"):
            assert {"tiger", "tiger-wide"} <= set(files[name][["first", "second"]].to_numpy().ravel())
    assert set(written[0]["ml-100k"].leaderboard["row"]) == {*MODELS, "tiger-wide"}


def test_every_file_tells_its_schema_suite_and_data_set(written: tuple[dict[str, DatasetFrames], Path]) -> None:
    for dataset in DATASETS:
        files = {path.stem: pd.read_csv(path) for path in (written[1] / dataset).glob("*.csv")}
        assert set(files) == {"metrics", "leaderboard", "pairs", "tests", "decoding", "published"}
        for name, frame in files.items():
            assert set(frame["schema"]) == {5}
            if name != "leaderboard":
                assert set(frame["suite"]) == {"made-up"}
                assert set(frame["dataset"]) == {dataset}
