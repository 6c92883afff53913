"""A clone holds the archive of a suite and not its runs: it answers what the runs would have answered."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_up import make_result, make_suite, plan
from rich.console import Console
from traces import make_trace

from bench.analysis.dataset_tables import write_frames
from bench.analysis.row_tests import compare_rows
from bench.analysis.runs import SuiteRuns
from bench.cli.main import main
from bench.evaluation.evaluator import ID_COLUMNS
from bench.evaluation.metrics import compute
from bench.execution.archive import read_archive, write_archive
from bench.execution.store import ResultStore, stored_results
from bench.plan import Plan
from bench.spec import RunResult

SUITE = "made-up"
KEPT = ("popularity", "item-knn", "tiger", "glass")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder with the runs of four rows on one data set, some of them with traces, one failed."""
    results = tmp_path_factory.mktemp("made") / "results"
    suite = make_suite(seeds=(0, 1))
    specs = [spec for spec in plan(suite) if spec.label in KEPT]
    Plan(suite=suite, runs=tuple(specs), command="bench run").write(results)
    store = ResultStore(results)
    for spec in specs:
        result = make_result(spec)
        if spec.label == "glass":
            result.decoding = make_trace(spec)
        if (spec.label, spec.seed) == ("item-knn", 1):
            result = RunResult(spec, "failed", reason="out of memory")
        store.save(result)
    return results


@pytest.fixture
def clone(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What is left of them in a clone: what git ignores is gone."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(made, tmp_path / "results")
    assert main(["archive", "--suite", SUITE]) == 0
    shutil.rmtree(tmp_path / "results" / "runs")
    (tmp_path / "results" / SUITE / "plan.json").unlink()
    return tmp_path / "results"


def runs_in(results: Path) -> SuiteRuns:
    planned = Plan.read(results, SUITE)
    stored = stored_results(planned.runs, results, Console(quiet=True), archive_of=SUITE)
    return SuiteRuns.of(planned.suite, planned.runs, stored)


def test_nothing_is_lost_but_logs(made: Path, clone: Path, tmp_path: Path) -> None:
    before, after = runs_in(made), runs_in(clone)
    assert len(before.runs) == len(after.runs) == 8
    for old, new in zip(before.runs, after.runs, strict=True):
        assert old.result is not None
        assert new.result is not None
        left, right = vars(old.result).copy(), vars(new.result).copy()
        for table in ("queries", "decoding"):
            first, second = left.pop(table), right.pop(table)
            assert (first is None) == (second is None)
            if first is not None:
                pd.testing.assert_frame_equal(first, second[list(first)], check_exact=True)
                assert set(first) == set(second)
        assert left == right
    for runs, name in ((before, "a"), (after, "b")):
        write_frames(runs, tmp_path / name)
    files = sorted((tmp_path / "a").rglob("*.csv"))
    assert len(files) >= 4
    for file in files:
        assert file.read_bytes() == (tmp_path / "b" / file.relative_to(tmp_path / "a")).read_bytes()


def test_the_ids_of_the_datas_own_files_stay_out(made: Path, tmp_path: Path) -> None:
    results = [run.result for run in runs_in(made).runs if run.result and run.result.queries is not None]
    assert results
    for result in results:
        assert isinstance(result.queries, pd.DataFrame)
        result.queries = result.queries.assign(**dict.fromkeys(ID_COLUMNS, "secret"))
    write_archive(results, tmp_path)
    for result in read_archive(tmp_path).values():
        assert isinstance(result.queries, pd.DataFrame)
        assert not set(ID_COLUMNS) & set(result.queries)
    assert all(b"secret" not in path.read_bytes() for path in tmp_path.iterdir())


def test_the_reviewers_question_is_answered_by_one_command(clone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    question = ["test", "--suite", SUITE, "--first", "glass", "--second", "tiger", "--metric", "recall@20"]
    assert main([*question, "--slice", "tail", "--configurations"]) == 0
    told = capsys.readouterr().out
    (asked,) = compare_rows(runs_in(clone), "glass", "tiger", "recall@20", "tail")
    assert asked.test is not None
    tables = {row: [result.queries for result in runs_in(clone).of_row(row)] for row in ("glass", "tiger")}
    tail = tables["glass"][0]["target_quantile"].to_numpy() >= np.float32(0.2)
    means = [
        np.mean([compute("recall@20", table["item_rank"].to_numpy()[tail], 20).mean() for table in of_row])
        for of_row in tables.values()
    ]
    assert (asked.test.first, asked.test.second) == pytest.approx(tuple(means))
    assert asked.test.n_queries == tail.sum()
    assert f"{means[0]:.4f} against {means[1]:.4f}" in told
    assert f"{tail.sum():,} queries of part tail, 2 seeds" in told
    assert "glass: model glass, revision 1" in told
    assert "--models glass,tiger --datasets ml-100k --seeds 0,1 --force" in told
    assert "Key" in told  # both configurations, which are empty here


@pytest.mark.parametrize(
    "command",
    [
        ["leaderboard", "--suite", SUITE, "--slice", "tail", "--metrics", "recall@20,ndcg@10"],
        ["export", "--to", "latex", "--suite", SUITE],
        ["compare", "results", "results", "--suite", SUITE],
        ["report", "--suite", SUITE],
    ],
    ids=lambda command: command[0],
)
@pytest.mark.usefixtures("clone")
def test_every_command_that_reads_results_works(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("bench.reporting.section.ReportFigure.picture", lambda *_: None)
    capsys.readouterr()
    assert main(command) == (1 if command[0] == "report" else 0)  # of a report's rows one has failed
    told = capsys.readouterr().out
    assert told
    if command[0] == "report":
        assert "7 complete, 1 failed, 0 skipped" in told
    else:
        assert "glass" in told


def test_the_archive_is_a_part_of_the_runs_size_and_equal_results_are_equal_files(
    made: Path, clone: Path, tmp_path: Path
) -> None:
    folder = clone / SUITE / "ml-100k"
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert set(files) == {"runs.json.gz", "ranks.parquet", "decoding.parquet"}
    runs = sum(path.stat().st_size for path in (made / "runs").rglob("*.*") if path.is_file())
    assert sum(map(len, files.values())) < runs / 3
    assert main(["archive", "--suite", SUITE]) == 0  # of the archive
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == files


@pytest.mark.parametrize("name", ["runs.json.gz", "ranks.parquet", "decoding.parquet"])
def test_a_file_that_has_changed_is_refused(clone: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = clone / SUITE / "ml-100k" / name
    if name == "runs.json.gz":
        content = json.loads(gzip.decompress(path.read_bytes()))
        next(iter(content["runs"].values()))["fit_seconds"] = 1.0
        path.write_bytes(gzip.compress(json.dumps(content).encode()))
    else:
        path.write_bytes(path.read_bytes() + b" ")
    capsys.readouterr()
    assert main(["leaderboard", "--suite", SUITE]) == 2
    assert f"{name}' (" in capsys.readouterr().err


def test_runs_of_ones_own_go_before_the_archive(made: Path, clone: Path) -> None:
    spec = next(run.spec for run in runs_in(clone).runs if run.spec.label == "glass")
    own = make_result(spec)
    assert own.queries is not None
    own.queries["item_rank"] = np.int16(1)
    ResultStore(clone).save(own)
    result = next(run.result for run in runs_in(clone).runs if run.spec.key == spec.key)
    assert result is not None
    assert result.queries is not None
    assert result.queries["item_rank"].eq(1).all()
    archived = read_archive(clone / SUITE / "ml-100k")[spec.key]
    assert archived.queries is not None
    assert not archived.queries["item_rank"].eq(1).all()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["test", "--first", "glas", "--second", "tiger"], "unknown row 'glas': did you mean glass?"),
        (["test", "--first", "glass", "--second", "tiger", "--slice", "tial"], "'tial': did you mean tail?"),
        (["test", "--first", "glass", "--second", "tiger", "--metric", "recal@9"], "unknown metric 'recal'"),
        (["test", "--first", "glass", "--second", "tiger", "--dataset", "ml"], "unknown data set 'ml'"),
        (["leaderboard", "--slice", "tial"], "'tial': did you mean tail?"),
        (["leaderboard", "--metrics", ","], "--metrics: give at least one"),
    ],
)
@pytest.mark.usefixtures("clone")
def test_bad_input_is_one_line(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main([words[0], "--suite", SUITE, *words[1:]]) == 2
    complaint = capsys.readouterr().err
    assert message in complaint
    assert complaint.count("\n") == 1


ASKING = [
    ["test", "--first", "glass", "--second", "tiger"],
    ["leaderboard"],
    ["export", "--to", "latex"],
    ["report"],
    ["archive"],
    ["confirm"],
]


@pytest.mark.parametrize(
    ("command", "planned"), [*((command, False) for command in ASKING), *((command, True) for command in ASKING[:3])]
)
def test_where_tables_alone_are_left_every_command_says_so_and_what_to_run(
    command: list[str], planned: bool, clone: Path, refused: Callable[[list[str]], str]
) -> None:
    archived = Plan.read(clone, SUITE)
    for path in (clone / SUITE).rglob("*"):
        if path.is_file():
            path.unlink()
    (clone / SUITE / "ml-100k").mkdir(exist_ok=True)
    (clone / SUITE / "ml-100k" / "metrics.csv").write_text("schema,suite\n")
    if planned:  # a run that was begun, and has no result yet
        archived.write(clone)
    message = refused([*command, "--suite", SUITE])
    where = f"'{Path('results', SUITE)}' has tables alone (CSV files of means), without runs or an archive"
    assert where in message
    assert f"python -m bench run --suite {SUITE}" in message


def test_tables_elsewhere_are_made_anew_there(clone: Path, refused: Callable[[list[str]], str]) -> None:
    (clone / "x" / SUITE / "d").mkdir(parents=True)
    (clone / "x" / SUITE / "d" / "metrics.csv").touch()
    message = refused(["leaderboard", "--suite", SUITE, "--results", str(clone / "x")])
    assert f"python -m bench run --suite {SUITE} --results {clone / 'x'}" in message
