"""`bench export`: LaTeX as text, TensorBoard and MLflow read back with their own readers, and against fakes of both."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fake_trackers import FakeClient, FakeWriter

from bench.analysis.runs import SuiteRuns
from bench.cli.main import main
from bench.execution.store import ResultStore
from bench.export.latex import escape, export_latex
from bench.export.mlflow import export_mlflow
from bench.export.runs import curve, final_values, folder_of, started
from bench.export.tensorboard import export_tensorboard
from bench.plan import Plan
from bench.spec import DatasetSpec, Entry, RunResult, RunSpec, Suite

ROOT = Path(__file__).parents[3]
STARTED = "2025-01-01T00:00:00+00:00"
BEGAN = datetime.fromisoformat(STARTED).timestamp()
CURVE = [
    {"epoch": 2, "step": 30, "loss": 5.0, "validation": 0.25, "seconds": 4.0},
    {"epoch": 4, "step": 60, "loss": float("nan"), "validation": 0.5, "seconds": 8.0},
]
MANY = {"text": "x" * 600, "keys": {f"key_{number}": number for number in range(150)}}
"""More than MLflow takes of one value, and of params in one call."""


def make_run(label: str, seed: int, rank: int, dataset: str = "tiny") -> RunResult:
    """A complete run in which every target has the same rank."""
    spec = RunSpec(
        dataset=DatasetSpec(name=dataset),
        data_hash="d0",
        model="popularity",
        revision=1,
        config={"training": {"epochs": 4}, "codebooks": [4, 8], "row": label, **MANY},
        seed=seed,
        label=label,
    )
    queries = pd.DataFrame(
        {
            "user": np.arange(10, dtype=np.int32),
            "target": np.arange(10, dtype=np.int32),
            "history_length": np.full(10, 20, dtype=np.int32),
            "target_count": np.full(10, 5, dtype=np.int32),
            "target_quantile": np.linspace(0, 0.9, 10, dtype=np.float32),
            "item_rank": np.full(10, rank, dtype=np.int16),
            "sid_rank": np.full(10, rank, dtype=np.int16),
        }
    )
    environment = {"commit": "c0", "started": STARTED}
    return RunResult(
        spec, "complete", fit_seconds=10.0, parameters=7, curve=CURVE, environment=environment, queries=queries
    )


def grid_of(results: list[RunResult]) -> SuiteRuns:
    suite = Suite(
        name="made_up",
        description="",
        datasets=tuple({r.spec.dataset.label: r.spec.dataset for r in results}.values()),
        models=tuple(Entry(model="popularity", label=label) for label in {r.spec.label: None for r in results}),
        seeds=(0, 1),
    )
    return SuiteRuns.of(suite, [result.spec for result in results], results)


@pytest.fixture
def grid() -> SuiteRuns:
    """Row "best_1" with two seeds, "second", "third", and "broken & co" that failed."""
    failed = replace(make_run("broken & co", 0, 1), status="failed", reason="loss is NaN", queries=None, curve=[])
    rows = [make_run("third", 0, 8), make_run("best_1", 0, 1), make_run("best_1", 1, 2), make_run("second", 0, 4)]
    return grid_of([*rows, failed])


@pytest.fixture
def results(grid: SuiteRuns, tmp_path: Path) -> Path:
    """The same, stored."""
    folder = tmp_path / "results"
    for run in grid.runs:
        assert run.result is not None
        ResultStore(folder).save(run.result, "what it printed")
    Plan(suite=grid.suite, runs=tuple(run.spec for run in grid.runs), command="").write(folder)
    return folder


def test_a_latex_table_line_by_line(grid: SuiteRuns, tmp_path: Path) -> None:
    (path,) = export_latex(grid, tmp_path / "tables", ("hit@1", "recall@5", "ndcg@10"))
    assert path.name == "tiny.tex"
    assert path.read_text().splitlines() == [
        r"% Needs \usepackage{booktabs}.",
        r"% Without a complete run: broken \& co (failed).",
        r"\begin{table}[t]",
        r"  \centering",
        r"  \caption{tiny: full ranking, mean $\pm$ standard deviation over 1 to 2 seeds.}",
        r"  \label{tab:made-up-tiny}",
        r"  \begin{tabular}{lccc}",
        r"    \toprule",
        r"    Row & Hit@1 & Recall@5 & NDCG@10 \\",
        r"    \midrule",
        # NDCG: mean of 1 and 1 / log2(3); 1 / log2(5); 1 / log2(9)
        r"    best\_1 & \textbf{0.5000 $\pm$ 0.7071} & \textbf{1.0000 $\pm$ 0.0000} & \textbf{0.8155 $\pm$ 0.2610} \\",
        r"    second & \underline{0.0000} & \textbf{1.0000} & \underline{0.4307} \\",
        r"    third & \underline{0.0000} & \underline{0.0000} & 0.3155 \\",
        r"    \bottomrule",
        r"  \end{tabular}",
        r"\end{table}",
    ]


def test_a_table_of_some_rows_has_them_in_the_order_of_the_question(grid: SuiteRuns, tmp_path: Path) -> None:
    (path,) = export_latex(grid, tmp_path / "some.tex", ("ndcg@10",), ["third", "second", "third"])
    body = path.read_text().split("midrule\n")[1].split("    \\bottomrule")[0].splitlines()
    assert body == [r"    third & \underline{0.3155} \\", r"    second & \textbf{0.4307} \\"]
    (path,) = export_latex(grid, tmp_path / "broken.tex", ("ndcg@10",), ["broken & co", "second"])
    assert r"% Without a complete run: broken \& co (failed)." in path.read_text()


def test_no_name_means_anything_to_latex() -> None:
    assert escape("50% of a_b & {c}\n#1 $x^2$ ~ \\ <") == (
        r"50\% of a\_b \& \{c\} \#1 \$x\textasciicircum{}2\$ \textasciitilde{} \textbackslash{} \textless{}"
    )


def test_one_tex_file_holds_all_data_sets(tmp_path: Path) -> None:
    grid = grid_of([make_run("a", 0, 1), make_run("a", 0, 1, dataset="other")])
    assert export_latex(grid, tmp_path / "all.tex") == [tmp_path / "all.tex"]
    assert re.findall(r"\\caption\{(\w+):", (tmp_path / "all.tex").read_text()) == ["tiny", "other"]
    assert [path.name for path in export_latex(grid, tmp_path)] == ["tiny.tex", "other.tex"]


def test_latex_goes_to_standard_output_without_torch_or_plotting(results: Path) -> None:
    code = (
        "import sys; from bench.cli.main import main; code = main(sys.argv[1:]);"
        "assert not {'torch', 'matplotlib', 'models', 'baselines'} & set(sys.modules); sys.exit(code)"
    )
    arguments = [
        "export",
        "--to",
        "latex",
        "--suite",
        "made_up",
        "--results",
        str(results),
        "--metrics",
        "ndcg@10, hit@1",
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("% Needs")
    assert done.stdout.endswith("\\end{table}\n")
    assert r"Row & NDCG@10 & Hit@1 \\" in done.stdout


def test_a_curve_has_its_finite_points_at_the_time_they_were_measured(grid: SuiteRuns) -> None:
    result = grid.results[0]
    assert [(p.name, p.value, p.step, p.time - BEGAN) for p in curve(result)] == [
        ("loss", 5.0, 30, 4.0),
        ("validation", 0.25, 30, 4.0),
        ("validation", 0.5, 60, 8.0),
    ]
    assert started(replace(result, environment={})) == 0.0


def test_final_values_are_those_of_the_leaderboard(grid: SuiteRuns) -> None:
    values = final_values(grid, grid.runs[0])
    assert values["item/overall/ndcg@10"] == pytest.approx(1 / np.log2(9))
    assert (values["run/overall/fit_seconds"], values["run/overall/parameters"]) == (10.0, 7.0)
    assert {name.split("/")[1] for name in values} == {"overall", "head", "tail"}
    assert not any(name.startswith("sid/") for name in values)


def test_rows_never_share_a_folder() -> None:
    folders = {folder_of(grid_of([make_run(label, 0, 1)]).runs[0]) for label in ("a/b", "a_b", "a b", "a%2Fb")}
    assert len(folders) == 4
    assert all(len(folder.parts) == 3 for folder in folders)


def read_events(folder: Path) -> Any:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = accumulator.EventAccumulator(str(folder))
    events.Reload()
    return events


def test_tensorboard_reads_curves_and_final_values_once_after_two_exports(grid: SuiteRuns, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    for _ in range(2):
        folders = export_tensorboard(grid, tmp_path)
    assert [str(folder.relative_to(tmp_path)) for folder in folders] == [
        "tiny/third/s0",
        "tiny/best_1/s0",
        "tiny/best_1/s1",
        "tiny/second/s0",
    ]
    events = read_events(folders[0])
    points = [(e.step, e.value, e.wall_time - BEGAN) for e in events.Scalars("curve/validation")]
    assert points == [(30, 0.25, 4.0), (60, 0.5, 8.0)]
    (final,) = events.Scalars("final/item/overall/ndcg@10")
    assert (final.step, final.wall_time - BEGAN) == (0, 10.0)
    assert final.value == pytest.approx(1 / np.log2(9))
    assert "configuration/text_summary" in events.Tags()["tensors"]


def test_mlflow_reads_back_parameters_metrics_and_files_once_after_two_exports(
    grid: SuiteRuns, results: Path, tmp_path: Path
) -> None:
    mlflow = pytest.importorskip("mlflow")
    pytest.importorskip("sqlalchemy")
    for _ in range(2):
        names = export_mlflow(grid, results, tmp_path / "store")
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'store' / 'mlflow.db'}")
    runs = client.search_runs([client.get_experiment_by_name("made_up").experiment_id])
    assert sorted(run.info.run_name for run in runs) == sorted(names)
    by_name = {run.info.run_name: run for run in runs}
    run = by_name["third on tiny, seed 0"]
    assert run.info.status == "FINISHED"
    assert run.data.params["config.training.epochs"] == "4"
    assert run.data.metrics["item/overall/ndcg_at_10"] == pytest.approx(1 / np.log2(9))
    history = [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, "curve/validation")]
    assert history == [(30, 0.25), (60, 0.5)]
    assert [file.path for file in client.list_artifacts(run.info.run_id)] == [
        "log.txt",
        "queries.parquet",
        "result.json",
    ]
    assert by_name["broken & co on tiny, seed 0"].info.status == "FAILED"


def test_tensorboard_is_told_each_complete_run(
    grid: SuiteRuns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writers: list[FakeWriter] = []

    def writer(folder: str) -> FakeWriter:
        writers.append(FakeWriter(folder))
        return writers[-1]

    module = ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = writer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    export_tensorboard(grid, tmp_path)
    assert len(writers) == 4
    assert writers[0].folder == str(tmp_path / "tiny" / "third" / "s0")
    assert writers[0].told[0] == ("curve/loss", 5.0, 30, BEGAN + 4.0)
    assert writers[0].told[-2][0] == "configuration"
    assert '"epochs": 4' in writers[0].told[-2][1]
    assert writers[0].told[-1] == ("closed",)


@pytest.fixture
def fake_mlflow(monkeypatch: pytest.MonkeyPatch) -> FakeClient:
    client = FakeClient()

    def connect(tracking_uri: str) -> FakeClient:
        client.uri = tracking_uri
        return client

    module, entities = ModuleType("mlflow"), ModuleType("mlflow.entities")
    module.MlflowClient = connect  # type: ignore[attr-defined]
    entities.Param = entities.Metric = lambda *values: values  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "mlflow", module)
    monkeypatch.setitem(sys.modules, "mlflow.entities", entities)
    return client


def test_mlflow_is_told_each_run_that_has_ended(
    grid: SuiteRuns, results: Path, tmp_path: Path, fake_mlflow: FakeClient
) -> None:
    for _ in range(2):
        assert len(export_mlflow(grid, results, tmp_path / "store")) == 5
    assert fake_mlflow.uri == f"sqlite:///{tmp_path / 'store' / 'mlflow.db'}"
    assert fake_mlflow.experiments == {"made_up": (tmp_path / "store" / "artifacts").as_uri()}
    assert len(fake_mlflow.runs) == 5
    runs = {run.info.run_name: run for run in fake_mlflow.runs.values()}
    run = runs["third on tiny, seed 0"]
    assert (run.status, run.end_time - run.info.start_time) == ("FINISHED", 10_000)
    assert (run.params["config.codebooks"], run.params["data_hash"]) == ("[4, 8]", "d0")
    assert run.metrics[0] == ("curve/loss", 5.0, int(1000 * (BEGAN + 4)), 30)
    assert (Path(run.files) / "result.json").exists()
    failed = runs["broken & co on tiny, seed 0"]
    assert (failed.status, failed.data.tags["reason"]) == ("FAILED", "loss is NaN")


def test_rows_that_share_a_run_are_both_there(results: Path, tmp_path: Path, fake_mlflow: FakeClient) -> None:
    first = make_run("a", 0, 1)
    twin = replace(first, spec=first.spec.model_copy(update={"label": "b"}))
    ResultStore(results).save(first)
    assert first.spec.key == twin.spec.key
    export_mlflow(grid_of([first, twin]), results, tmp_path / "store")
    assert sorted(run.data.tags["row"] for run in fake_mlflow.runs.values()) == ["a", "b"]
    identities = {(run.data.tags["model"], run.data.tags["role"]) for run in fake_mlflow.runs.values()}
    assert identities == {("popularity", "contestant")}


@pytest.mark.parametrize(("target", "module"), [("tensorboard", "torch.utils.tensorboard"), ("mlflow", "mlflow")])
def test_without_its_package_a_target_says_how_to_install_it(
    target: str,
    module: str,
    results: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    options = ["--suite", "made_up", "--results", str(results), "--output", str(tmp_path / "out")]
    assert main(["export", "--to", target, *options]) == 2
    complaint = capsys.readouterr().err
    assert complaint.startswith(f"error: --to {target} needs the package")
    assert "pip install 'glass-bench[export]'" in complaint
    assert complaint.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("fake_mlflow")
def test_mlflow_lands_in_exports_unless_told_otherwise(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["export", "--to", "mlflow", "--suite", "made_up", "--results", str(results)]) == 0
    assert "5 runs written" in capsys.readouterr().out
    assert (tmp_path / "exports" / "made_up" / "mlflow").is_dir()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--to", "excel"], "--to"),
        ([], "--to"),
        (["--to", "latex", "--results", "absent"], "no results folder 'absent'"),
        (["--to", "latex", "--suite", "ful"], "no results of suite 'ful' in 'results': choose --suite made_up"),
        (
            ["--to", "latex", "--suite", "made_up", "--metrics", "ndgc@10"],
            "unknown metric 'ndgc@10': did you mean ndcg",
        ),
        (["--to", "latex", "--suite", "made_up", "--output", "taken/x"], "can't write to 'taken/x'"),
        (["--to", "latex", "--suite", "made_up", "--rows", "third,secnd"], "unknown row 'secnd': did you mean second"),
        (["--to", "latex", "--suite", "made_up", "--rows", ","], "--rows: give at least one name"),
        (["--to", "tensorboard", "--suite", "made_up", "--metrics", "hit@1"], "this is for --to latex"),
        (["--to", "mlflow", "--suite", "made_up", "--rows", "third"], "this is for --to latex"),
    ],
)
@pytest.mark.usefixtures("results")
def test_bad_input_is_one_line_and_exit_code_2(
    arguments: list[str], message: str, tmp_path: Path, refused: Callable[[list[str]], str]
) -> None:
    (tmp_path / "taken").write_text("a file")
    assert message in refused(["export", *arguments])


def test_nothing_complete_is_nothing_to_export(
    grid: SuiteRuns, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = Plan.read(results, "made_up")
    plan.model_copy(update={"runs": plan.runs[-1:]}).write(results)
    for target in ("latex", "tensorboard", "mlflow"):
        assert main(["export", "--to", target, "--suite", "made_up", "--results", str(results)]) == 2
        assert "has no complete run yet: nothing to export" in capsys.readouterr().err
